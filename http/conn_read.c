#include "http/conn.h"

#include <strings.h>

#include "http/gzip.h"
#include "http/server.h"
#include "http/stream.h"

/*
 * gzip can make a thousand bytes of one: a piece is this small, and a turn
 * decodes no more than this, some milliseconds, before others have theirs.
 */
enum { INFLATE_PIECE = 1024, INFLATE_PER_TURN = 1024 * 1024 };

static bool
may_begin_another(const struct http_conn *c)
{
    return c->n_open < HTTP_PIPELINE_MAX && !c->is_blocked &&
           atomic_load_explicit(&c->loop->server->phase, memory_order_acquire) == HTTP_PHASE_RUN;
}

void
http_conn_refuse(struct http_conn *c, int status, const char *text)
{
    struct http_exchange *x = c->reading;
    bool is_queued = c->state == HTTP_READ_BODY;
    c->reading = NULL;
    c->state = HTTP_READ_END;
    if (x && x->is_handed) {
        /* Its holder learns of it and answers. */
        http_stream_feed_end(x->stream, status == 408 ? RC_IO : RC_INVALID);
        return;
    }
    if (!x)
        x = http_exchange_new(c);
    if (!is_queued)
        http_conn_queue(c, x);
    x->is_keep_alive = false;
    http_exchange_refuse(x, status, text);
    http_conn_final(c, x);
}

void
http_conn_read_eof(struct http_conn *c)
{
    if (c->state != HTTP_READ_BODY || c->is_paused)
        return;
    struct http_exchange *x = c->reading;
    if (!x->is_handed) {
        c->is_dead = true;
        return;
    }
    http_stream_feed_end(x->stream, RC_IO);
    c->reading = NULL;
    c->state = HTTP_READ_END;
}

/* ---- handing over ---- */

/* CORS preflight and plain OPTIONS (Fetch standard, "CORS protocol"). */
static void
answer_options(struct http_exchange *x)
{
    static const char methods[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    const char *origin = x->loop->options->cors_origin;
    http_reply_header(x, "Allow", methods);
    if (origin && *origin) {
        struct span asked = http_exchange_header(x, "Access-Control-Request-Headers");
        const char *headers = asked.n > 0 ? arena_str(http_exchange_arena(x), asked) : "*";
        http_reply_header(x, "Access-Control-Allow-Methods", methods);
        http_reply_header(x, "Access-Control-Allow-Headers", headers);
        http_reply_header(x, "Access-Control-Max-Age", "86400");
    }
    http_reply(x, 200, NULL, NULL);
}

static void
hand_over(struct http_conn *c, struct http_exchange *x)
{
    const struct http_options *o = c->loop->options;
    x->is_handed = true;
    c->loop->n_held++;
    if (x->request.method == HTTP_OPTIONS)
        answer_options(x);
    else
        o->handle(o->ctx, x);
}

/* The request has been read to its end. */
static void
end_reading(struct http_conn *c, const struct http_exchange *x)
{
    c->reading = NULL;
    c->state = x->is_keep_alive && !x->is_last ? HTTP_READ_HEADER : HTTP_READ_END;
}

/* ---- bodies ---- */

static void
end_body(struct http_conn *c)
{
    struct http_exchange *x = c->reading;
    if (x->is_handed) {
        end_reading(c, x);
        http_stream_feed_end(x->stream, RC_OK);
        return;
    }
    if (c->inflate && !http_inflate_is_complete(c->inflate)) {
        http_conn_refuse(c, 400, "the gzipped body is not complete");
        return;
    }
    end_reading(c, x);
    x->request.body = buf_span(&x->body);
    hand_over(c, x);
}

static enum rc
inflate_body(struct http_conn *c, struct http_exchange *x, struct span piece)
{
    size_t before = x->body.n;
    enum rc rc = http_inflate_put(c->inflate, piece, c->loop->options->body_bytes_max, &x->body);
    c->n_inflated += x->body.n - before;
    if (c->n_inflated > INFLATE_PER_TURN)
        http_conn_yield(c);
    return rc;
}

static void
put_body(struct http_conn *c, struct span piece)
{
    struct http_exchange *x = c->reading;
    size_t max = c->loop->options->body_bytes_max;
    if (x->is_handed) {
        c->is_paused = !http_stream_feed(x->stream, piece);
        return;
    }
    enum rc rc = RC_OK;
    if (c->inflate)
        rc = inflate_body(c, x, piece);
    else if (piece.n > max - x->body.n)
        rc = RC_TOO_LARGE;
    else
        buf_put_span(&x->body, piece);
    if (rc == RC_TOO_LARGE)
        http_conn_refuse(c, 413, "the body is larger than the limit");
    else if (rc)
        http_conn_refuse(c, 400, "the gzipped body is broken");
}

static enum http_chunk
next_piece(struct http_conn *c, struct span *in, struct span *piece)
{
    if (c->is_chunked)
        return http_chunks_next(&c->chunks, in, piece);
    if (c->body_left == 0)
        return HTTP_CHUNK_END;
    if (in->n == 0)
        return HTTP_CHUNK_MORE;
    size_t n = in->n < c->body_left ? in->n : (size_t)c->body_left;
    *piece = span_of(in->p, n);
    *in = span_from(*in, n);
    c->body_left -= n;
    return HTTP_CHUNK_DATA;
}

/* False if more input is needed or the body is paused. */
static bool
read_body(struct http_conn *c, struct span *in)
{
    if (c->is_paused)
        return false;
    size_t n = c->inflate && in->n > INFLATE_PIECE ? INFLATE_PIECE : in->n;
    struct span window = span_of(in->p, n), piece = {0};
    enum http_chunk what = next_piece(c, &window, &piece);
    *in = span_from(*in, n - window.n);
    switch (what) {
    case HTTP_CHUNK_MORE:
        return in->n > 0;
    case HTTP_CHUNK_DATA:
        put_body(c, piece);
        return true;
    case HTTP_CHUNK_END:
        end_body(c);
        return true;
    case HTTP_CHUNK_BAD:
        http_conn_refuse(c, 400, "the chunked coding of the body is malformed");
        return true;
    }
    return false;
}

/* ---- the begin of a request, once it is its turn ---- */

/* False for an encoding that is not known. */
static bool
is_gzipped(const struct http_exchange *x, bool *out)
{
    struct span name = http_exchange_header(x, "Content-Encoding");
    *out = (name.n == 4 && strncasecmp(name.p, "gzip", 4) == 0) ||
           (name.n == 6 && strncasecmp(name.p, "x-gzip", 6) == 0);
    return *out || name.n == 0 || (name.n == 8 && strncasecmp(name.p, "identity", 8) == 0);
}

static bool
wants_stream(struct http_conn *c, const struct http_exchange *x)
{
    const struct http_options *o = c->loop->options;
    return !x->is_safe && o->wants_stream && x->request.method != HTTP_OPTIONS &&
           o->wants_stream(o->ctx, &x->request);
}

static void
begin_stream(struct http_conn *c, struct http_exchange *x, bool has_gzip)
{
    x->stream = http_stream_new();
    x->is_stream_known = true;
    if (has_gzip)
        http_stream_set_gzip(x->stream);
    hand_over(c, x);
}

static void
begin_body(struct http_conn *c, struct http_exchange *x)
{
    const struct http_frame *f = &x->frame;
    bool has_gzip = false;
    c->state = HTTP_READ_BODY;
    c->is_chunked = f->is_chunked;
    c->chunks = (struct http_chunks){0};
    c->body_left = f->body_bytes;
    c->is_paused = false;
    http_inflate_free(c->inflate);
    c->inflate = NULL;
    if (!is_gzipped(x, &has_gzip)) {
        http_conn_refuse(c, 415, "of the content encodings only gzip is known");
        return;
    }
    bool is_streamed = wants_stream(c, x);
    if (!is_streamed && f->body_bytes > c->loop->options->body_bytes_max) {
        http_conn_refuse(c, 413, "the body is larger than the limit");
        return;
    }
    if (f->expects_continue && (f->is_chunked || f->body_bytes > 0))
        buf_puts(&c->interim, "HTTP/1.1 100 Continue\r\n\r\n");
    if (is_streamed)
        begin_stream(c, x, has_gzip);
    else if (has_gzip)
        c->inflate = http_inflate_new();
}

/* False while it must wait for the answers before it. */
static bool
begin_request(struct http_conn *c)
{
    struct http_exchange *x = c->reading;
    bool has_to_wait = c->n_open > 0 && !(x->is_safe && c->last->is_safe);
    if (has_to_wait)
        return false;
    http_conn_queue(c, x);
    if (x->is_safe) {
        end_reading(c, x);
        hand_over(c, x);
    } else {
        begin_body(c, x);
    }
    return true;
}

/* ---- headers ---- */

static struct http_refusal
parse_head(struct http_conn *c, struct http_exchange *x, struct span block)
{
    struct http_refusal no = http_strict_check(block, &x->frame);
    if (no.status != 0)
        return no;
    if (!http_exchange_parse(x, block))
        return (struct http_refusal){400, "the request is malformed"};
    if (x->request.query.n > c->loop->options->query_bytes_max)
        return (struct http_refusal){400, "the query string is longer than the limit"};
    enum http_method method = x->request.method;
    bool has_body = x->frame.is_chunked || x->frame.body_bytes > 0;
    x->is_safe = !has_body && (method == HTTP_GET || method == HTTP_OPTIONS);
    return no;
}

/* False if more input is needed. */
static bool
read_head(struct http_conn *c, struct span *in)
{
    /* Empty lines before a request are passed over (RFC 9112, section 2.2). */
    while (in->n >= 2 && in->p[0] == '\r' && in->p[1] == '\n')
        *in = span_from(*in, 2);
    if (in->n == 0 || (in->n == 1 && in->p[0] == '\r') || !may_begin_another(c))
        return false;
    if (c->begin_us == 0)
        c->begin_us = c->wait_us;
    size_t max = c->loop->options->header_bytes_max;
    struct http_refusal no = {0};
    size_t n = http_strict_end(*in, &c->n_scanned, &no);
    if (no.status == 0 && (n > max || (n == 0 && in->n >= max)))
        no = (struct http_refusal){431, "the header is larger than the limit"};
    if (n == 0 && no.status == 0)
        return false;
    if (n > 0 && no.status == 0) {
        c->reading = http_exchange_new(c);
        no = parse_head(c, c->reading, span_of(in->p, n));
        *in = span_from(*in, n);
    }
    c->begin_us = 0;
    c->n_scanned = 0;
    c->state = HTTP_READ_TURN;
    if (no.status != 0)
        http_conn_refuse(c, no.status, no.text);
    return true;
}

size_t
http_conn_consume(struct http_conn *c, struct span in)
{
    struct span rest = in;
    bool goes_on = true;
    while (goes_on && !c->is_dead) {
        switch (c->state) {
        case HTTP_READ_HEADER:
            goes_on = read_head(c, &rest);
            break;
        case HTTP_READ_TURN:
            goes_on = begin_request(c);
            break;
        case HTTP_READ_BODY:
            goes_on = read_body(c, &rest);
            break;
        case HTTP_READ_END:
            return in.n;
        }
    }
    return in.n - rest.n;
}
