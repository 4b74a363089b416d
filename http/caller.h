/*
 * Requests that go out of a libev loop: libcurl's multi interface, told by the
 * loop which sockets are ready. One per loop; everything in the loop's thread.
 */
#ifndef TAILFIN_HTTP_CALLER_H
#define TAILFIN_HTTP_CALLER_H

#include <ev.h>

#include "http/client.h"

struct http_caller;

/* ev is borrowed until http_caller_free. */
MUST_USE enum rc http_caller_new(struct ev_loop *ev, unsigned connections_max,
                                 struct http_caller **out, struct err *err);
/* Ends what is on its way (RC_STOPPED), closes the connections. NULL allowed. */
void http_caller_free(struct http_caller *c);
/*
 * Begins a request. Strings are copied, the body is borrowed until done, which
 * is called from the loop, never from within this call (but for
 * http_caller_free). Beyond connections_max requests wait for a connection.
 */
void http_caller_send(struct http_caller *c, const struct http_call *call, http_client_done *done,
                      void *arg);
/* Requests on their way. */
size_t http_caller_n(const struct http_caller *c);

#endif
