/*
 * Everything that goes out over HTTP: keep-alive, any number of requests in
 * flight. Either a client with a thread of its own, for any thread to use, or
 * the loop of an exchange, for handlers that pass a request on.
 */
#ifndef TAILFIN_HTTP_CLIENT_H
#define TAILFIN_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

struct http_client;
struct http_exchange;

/*
 * A piece of an answer's body as it comes, in the client's thread; it may
 * block (then all of the client's requests wait). False ends the request.
 */
typedef bool http_call_piece(void *arg, int status, struct span bytes);

struct http_call {
    const char *method; /* "GET" */
    const char *url;
    const char *const *headers; /* "Name: value", ends with NULL; may be NULL */
    struct span body;           /* borrowed until done */
    uint64_t timeout_us;
    uint64_t connect_us; /* of timeout_us, for connecting; 0: all of it */
    uint64_t stall_us;   /* an answer that stands still for this long is given up; 0: none */
    size_t answer_bytes_max;
    http_call_piece *piece; /* NULL: the body is collected; answer_bytes_max does not hold */
    bool is_identity;       /* asks for an answer without compression */
};

struct http_answer {
    int status;               /* 0 if no answer came: rc says why */
    enum rc rc;               /* RC_OK, RC_UNREACHABLE, RC_CUTOFF, RC_TOO_LARGE, RC_STOPPED */
    struct span body;         /* borrowed until done returns */
    uint64_t retry_after_s;   /* 0 if the header is absent */
    const char *content_type; /* ""; borrowed as the body is */
    const char *text;         /* curl's reason; "" */
};

typedef void http_client_done(void *arg, const struct http_answer *answer);

MUST_USE enum rc http_client_new(unsigned connections_max, struct http_client **out,
                                 struct err *err);
/* Waits for calls in flight up to their time-outs; NULL allowed. */
void http_client_free(struct http_client *c);
/* Calls in flight end at once with RC_STOPPED, later ones are refused. Any thread; NULL allowed. */
void http_client_abort(struct http_client *c);
/*
 * Strings are copied, the body is borrowed until done, which is called in the
 * client's thread. RC_STOPPED while the client is being freed. Any thread.
 */
MUST_USE enum rc http_client_send(struct http_client *c, const struct http_call *call,
                                  http_client_done *done, void *arg, struct err *err);
/*
 * The same, waiting: the body of the answer is appended to *body. Not from a
 * loop or the client's thread.
 */
MUST_USE enum rc http_client_fetch(struct http_client *c, const struct http_call *call, int *status,
                                   struct buf *body, struct err *err);

/*
 * Sends from the loop of an exchange, over connections that this loop keeps.
 * Strings are copied, the body is borrowed until done, which is called in the
 * loop's thread after this call has returned; RC_STOPPED when the loop ends, in
 * which case nothing may be sent any more. Loop thread only; never blocks.
 * Whether the exchange is answered in between does not matter.
 */
void http_exchange_call(struct http_exchange *x, const struct http_call *call,
                        http_client_done *done, void *arg);

#endif
