/*
 * HTTP/1.1 on libev: a server with one loop per thread. Knows nothing of
 * search. A request arrives as an exchange; the handler answers it at once or
 * keeps it and answers later, from any thread.
 */
#ifndef TAILFIN_HTTP_HTTP_H
#define TAILFIN_HTTP_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/metrics.h"

struct http_server;
struct http_exchange; /* one request and its answer */

enum http_method {
    HTTP_GET,
    HTTP_HEAD, /* the handler sees GET; the body is left out by the server */
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS, /* answered by the server (CORS) */
    HTTP_METHOD_N
};

struct http_param {
    struct span name, value; /* percent-decoded, '+' is a blank */
};

struct http_request {
    enum http_method method;
    struct span path;         /* as sent, without the query string, still encoded */
    struct span query;        /* as sent, without '?' */
    const struct span *parts; /* path segments, decoded, no empty ones: "/a//b%20c" {"a", "b c"} */
    size_t n_parts;
    const struct http_param *params; /* of the query string, in order, decoded */
    size_t n_params;
    struct span body;  /* whole and decoded (chunks, gzip); empty where it is streamed */
    bool is_unencoded; /* reserved */
};

/*
 * Told for every request, in the connection's loop thread: must not block.
 * Either answers before returning or keeps x and answers later.
 * ctx is options.ctx.
 */
typedef void http_handler(void *ctx, struct http_exchange *x);

/*
 * Asked when the header is complete, before the body is read; for every method
 * that may have a body (not for GET without one). Returning true makes the body
 * streamed: the handler is then called at once, with an empty
 * body, and reads with http_body_read. In the loop thread; must not block.
 */
typedef bool http_wants_stream(void *ctx, const struct http_request *r);

/*
 * Told of every answer as its sending begins, in the connection's loop thread,
 * whose number is given: must not block. took_us: since the request's first byte.
 */
typedef void http_answered(void *ctx, unsigned loop, const struct http_request *r, int status,
                           uint64_t took_us);

struct http_options {
    const char *const *listen; /* "127.0.0.1:8108", "[::1]:8108", "unix:/path"; port 0: any */
    size_t n_listen;
    unsigned n_threads; /* loops */
    http_handler *handle;
    http_wants_stream *wants_stream; /* may be NULL: never */
    http_answered *answered;         /* may be NULL */
    void *ctx;
    struct metrics *metrics;  /* may be NULL */
    size_t header_bytes_max;  /* default 16 KB */
    size_t query_bytes_max;   /* default 4,000: the peer's limit, 400 beyond */
    size_t body_bytes_max;    /* default 64 MB; streamed bodies are not limited by it */
    unsigned connections_max; /* default 10,000 over all loops */
    uint64_t idle_us;         /* keep-alive connection without a request; default 60 s */
    uint64_t slow_us;         /* a whole header; between pieces of a body or answer; default 30 s */
    const char *cors_origin;  /* "*" default; NULL or "" switches CORS off */
};

/* Fills in the defaults; everything else zero. */
void http_options_init(struct http_options *o);

/*
 * Binds, starts the threads. RC_CONFLICT if an address is in use, RC_INVALID
 * for a malformed one, RC_IO.
 */
MUST_USE enum rc http_server_start(const struct http_options *options, struct http_server **out,
                                   struct err *err);
/* The TCP port that listen address i got (for port 0). */
int http_server_port(const struct http_server *s, size_t i);
/*
 * Stops listening and reading new requests; open exchanges may still be
 * answered. Returns at once.
 */
void http_server_drain(struct http_server *s);
/*
 * Drains, waits up to timeout_us for open exchanges, closes everything, joins,
 * frees. NULL allowed. An exchange that is held for longer stays valid until
 * its holder answers it, which then has no effect. Not from a loop thread.
 */
void http_server_stop(struct http_server *s, uint64_t timeout_us);

/* ---- an exchange ---- */

/* Valid until the answer was sent: borrowed. Any thread that holds the exchange. */
const struct http_request *http_exchange_request(const struct http_exchange *x);
/* A request header's value, name case-insensitive; empty span if absent. */
struct span http_exchange_header(const struct http_exchange *x, const char *name);
/* The last query parameter of that name; NULL if absent. */
const struct http_param *http_request_param(const struct http_request *r, const char *name);
/* Memory that lives as long as the exchange. Of the thread that holds it. */
struct arena *http_exchange_arena(struct http_exchange *x);
/* Number of the loop whose connection it is, 0..n_threads-1. */
unsigned http_exchange_loop(const struct http_exchange *x);
/* Rises; for logs. */
uint64_t http_exchange_id(const struct http_exchange *x);
/* When its first byte was read (clock_us). */
uint64_t http_exchange_begin_us(const struct http_exchange *x);

/*
 * The answer: status, content type (a literal, or NULL for none), body (its
 * memory is taken, *take zeroed; NULL: no body). Ends the exchange: x must not
 * be touched afterwards. Any thread. Gzipped where the client asks and the
 * body is worth it.
 */
void http_reply(struct http_exchange *x, int status, const char *content_type, struct buf *take);
/* Adds a header line before the reply; name and value are copied. */
void http_reply_header(struct http_exchange *x, const char *name, const char *value);
/* {"message": "..."} with the status, text formatted and escaped. Ends the exchange. */
PRINTF_LIKE(3, 4)
void http_reply_error(struct http_exchange *x, int status, const char *format, ...);

/* ---- streaming, for imports and exports: never from a loop thread ---- */

/*
 * Reads the next piece of a streamed body (decoded). Blocks. RC_OK with *n = 0
 * at the end; RC_IO if the client went away or was too slow; RC_INVALID for a
 * broken encoding.
 */
MUST_USE enum rc http_body_read(struct http_exchange *x, char *to, size_t cap, size_t *n,
                                struct err *err);
/* Begins an answer whose length is not known (chunked; HTTP/1.0: until close). */
void http_stream_begin(struct http_exchange *x, int status, const char *content_type);
/*
 * Sends a piece; blocks while more than some 256 KB wait. RC_IO if the client
 * is gone (go on to http_stream_end).
 */
MUST_USE enum rc http_stream_write(struct http_exchange *x, struct span bytes, struct err *err);
/*
 * Ends the answer and the exchange. is_complete false: cuts the connection, so
 * that the client sees the failure.
 */
void http_stream_end(struct http_exchange *x, bool is_complete);

/* ---- helpers ---- */

/*
 * Decodes %XX and, if is_form, '+' as a blank; malformed escapes stay as they
 * are. Result in the arena or the input itself.
 */
struct span http_decode(struct span s, bool is_form, struct arena *arena);
/* Splits and decodes a query string. */
const struct http_param *http_params(struct span query, struct arena *arena, size_t *n);
/* Percent-encodes everything but unreserved characters (RFC 3986). */
void http_encode(struct buf *out, struct span s);

#endif
