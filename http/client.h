/*
 * Everything that goes out over HTTP: libcurl's multi interface in a thread of
 * its own, keep-alive, any number of requests in flight.
 */
#ifndef TAILFIN_HTTP_CLIENT_H
#define TAILFIN_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

struct http_client;

struct http_call {
    const char *method; /* "GET" */
    const char *url;
    const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
    struct span body;           /* borrowed until done */
    uint64_t timeout_us;
    size_t answer_bytes_max;
};

struct http_answer {
    int status;             /* 0 if no answer came: rc says why */
    enum rc rc;             /* RC_OK, RC_UNREACHABLE, RC_CUTOFF, RC_TOO_LARGE */
    struct span body;       /* borrowed until done returns */
    uint64_t retry_after_s; /* 0 if the header is absent */
    const char *text;       /* curl's reason; "" */
};

typedef void http_client_done(void *arg, const struct http_answer *answer);

MUST_USE enum rc http_client_new(unsigned connections_max, struct http_client **out,
                                 struct err *err);
/* Waits for calls in flight up to their time-outs; NULL allowed. */
void http_client_free(struct http_client *c);
/*
 * Strings are copied, the body is borrowed until done, which is called in the
 * client's thread. Any thread.
 */
MUST_USE enum rc http_client_send(struct http_client *c, const struct http_call *call,
                                  http_client_done *done, void *arg, struct err *err);
/*
 * The same, waiting: the body of the answer is appended to *body. Not from a
 * loop or the client's thread.
 */
MUST_USE enum rc http_client_fetch(struct http_client *c, const struct http_call *call, int *status,
                                   struct buf *body, struct err *err);

#endif
