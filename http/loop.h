/*
 * One thread with one libev loop and the connections dealt to it. Nothing of
 * a loop is touched by other threads but its inbox.
 */
#ifndef TAILFIN_HTTP_LOOP_H
#define TAILFIN_HTTP_LOOP_H

#include <pthread.h>

#include <ev.h>

#include "http/exchange.h"

struct http_server;
struct http_caller;
struct http_deflate;

enum {
    HTTP_LOOP_MAGIC = 0x484c4f50,
    HTTP_DATE_N = 29,
    HTTP_SCRATCH_BYTES = 64 * 1024,
    HTTP_SPARE_MAX = 256 /* exchanges kept for reuse */
};

struct http_loop {
    unsigned magic;
    unsigned number;
    struct http_server *server;         /* gone once is_running is false */
    const struct http_options *options; /* the server's */
    struct ev_loop *ev;
    struct ev_async wake;
    struct ev_timer sweep; /* ends connections past their deadline */

    /* Notes of other threads, newest first; points to inbox_closed once the loop has ended. */
    _Atomic(struct http_note *) inbox;
    struct http_note inbox_closed;
    _Atomic size_t n_posting; /* threads inside http_loop_post */
    _Atomic size_t n_refs;    /* after the end: exchanges still held, and the server */
    atomic_bool is_running;
    pthread_t thread; /* valid while is_running */

    struct http_conn *conns;
    size_t n_conns;
    size_t n_held; /* exchanges that a handler has, also of closed connections */
    struct http_exchange *spare;
    size_t n_spare;
    uint64_t n_exchanges;         /* ever */
    char *scratch;                /* HTTP_SCRATCH_BYTES for reading */
    struct http_deflate *deflate; /* made at first use */
    struct http_caller *caller;   /* made at first use */
    uint64_t date_s;
    char date[HTTP_DATE_N + 1];
    bool is_draining;
    bool is_reported; /* has told the server that nothing is open any more */
    struct metrics_block *metrics;
};

/* Not yet running. */
MUST_USE struct http_loop *http_loop_new(struct http_server *server, unsigned number);
/* For loops whose thread was never started; else http_loop_release. NULL allowed. */
void http_loop_free(struct http_loop *l);
/* The thread: serves until the server's phase is HTTP_PHASE_STOP. arg is the loop. */
void *http_loop_run(void *arg);
/* Any thread: looks at the inbox and at the server's phase soon. */
void http_loop_wake(struct http_loop *l);
/* Any thread: hands an object over. False once the loop has ended. */
MUST_USE bool http_loop_post(struct http_loop *l, struct http_note *note);
/* Any thread: whether it is the loop's. */
bool http_loop_is_current(const struct http_loop *l);
/* Loop thread: the current date for answers. */
const char *http_loop_date(struct http_loop *l);
/* After the end: gives up the server's part in it, or that of an exchange. The last one frees. */
void http_loop_release(struct http_loop *l);
/* Loop thread, while draining: tells the server once nothing is open. */
void http_loop_report(struct http_loop *l);

#endif
