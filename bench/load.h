/*
 * A load generator for HTTP/1.1 over kept connections: prepared requests, one
 * thread, epoll. In a closed loop every connection sends its next request when
 * its answer is there; in an open loop requests are due at a fixed rate, and
 * their time is counted from when they were due, so that a stall of the server
 * is seen in all that had to wait for it.
 */
#ifndef TAILFIN_BENCH_LOAD_H
#define TAILFIN_BENCH_LOAD_H

#include "base/buf.h"
#include "base/err.h"
#include "bench/hist.h"

enum { LOAD_KINDS_MAX = 32 };

/* What is sent, again and again in this order. */
struct load_list {
    struct load_request {
        struct buf text; /* the whole request as bytes */
        unsigned kind;
    } * requests;
    size_t n, cap;
    const char *kinds[LOAD_KINDS_MAX]; /* names, borrowed */
    unsigned n_kinds;
};

struct load_options {
    const char *host; /* an IPv4 address; NULL: 127.0.0.1 */
    int port;
    unsigned n_connections;
    double rate;          /* requests a second; 0: closed loop */
    uint64_t warm_up_us;  /* answers that come before count as errors or not at all */
    uint64_t duration_us; /* after the warm-up */
};

struct load_result {
    struct hist all, by_kind[LOAD_KINDS_MAX];
    uint64_t n_errors; /* answers with a status of 400 and more */
    uint64_t n_lost;   /* connections that ended or broke; they are opened again */
    uint64_t n_bytes;  /* received */
    uint64_t n_late;   /* open loop: due and not yet sent at the end */
    double seconds;
};

/*
 * Adds a request. kind: a name, compared by value. headers: further lines,
 * each with CR LF, or "". A body gets its Content-Length.
 */
void load_add(struct load_list *list, const char *kind, const char *method, const char *target,
              const char *headers, struct span body);
void load_fini(struct load_list *list);
/*
 * Blocks until done. RC_UNREACHABLE if a first connection fails. result is
 * large: not for the stack of a thread.
 */
MUST_USE enum rc load_run(const struct load_options *options, const struct load_list *list,
                          struct load_result *result, struct err *err);
/* A line for all and one for each kind. */
void load_print(const struct load_list *list, const struct load_result *result, const char *title);

#endif
