/*
 * The two bounded buffers between the thread that reads a streamed body or
 * writes a streamed answer and the loop that owns the socket.
 */
#ifndef TAILFIN_HTTP_STREAM_H
#define TAILFIN_HTTP_STREAM_H

#include "base/buf.h"
#include "base/err.h"

struct http_stream;

enum { HTTP_STREAM_MAX = 256 * 1024 };

MUST_USE struct http_stream *http_stream_new(void);
void http_stream_free(struct http_stream *s); /* NULL allowed */

/* ---- the loop's side: short critical sections, never waits for a holder ---- */

/* The body is gzipped: the reader decodes it. Before the exchange is handed over. */
void http_stream_set_gzip(struct http_stream *s);
/* Adds a piece of the body. False: the buffer is full now, HTTP_SIGNAL_IN will tell of room. */
MUST_USE bool http_stream_feed(struct http_stream *s, struct span piece);
/*
 * No more of the body will come: RC_OK at its end, RC_IO or RC_INVALID for a
 * failure. The first call counts.
 */
void http_stream_feed_end(struct http_stream *s, enum rc rc);
/* Swaps the waiting bytes of the answer into *out, which must be empty. */
void http_stream_take(struct http_stream *s, struct buf *out);
/* The client is gone or the server stops: every call of the holder fails from now on. */
void http_stream_cut(struct http_stream *s);

#endif
