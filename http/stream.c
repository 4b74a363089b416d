#include "http/stream.h"

#include <pthread.h>

#include "http/gzip.h"
#include "http/loop.h"

struct http_stream {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* the loop did something */

    /* under mutex */
    struct buf in; /* of the body, not yet read by the holder */
    bool is_in_full, is_in_end, is_cut;
    enum rc in_rc;  /* what the end means */
    struct buf out; /* of the answer, framed, not yet taken by the loop */

    /* of the holder */
    struct buf piece; /* taken from `in`, read up to piece_at */
    size_t piece_at;
    struct http_inflate *inflate; /* set before the exchange is handed over */
};

struct http_stream *
http_stream_new(void)
{
    struct http_stream *s = xcalloc(1, sizeof *s);
    must(pthread_mutex_init(&s->mutex, NULL) == 0);
    must(pthread_cond_init(&s->changed, NULL) == 0);
    return s;
}

void
http_stream_free(struct http_stream *s)
{
    if (!s)
        return;
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
    http_inflate_free(s->inflate);
    buf_fini(&s->in);
    buf_fini(&s->out);
    buf_fini(&s->piece);
    free(s);
}

/* ---- the loop's side ---- */

void
http_stream_set_gzip(struct http_stream *s)
{
    s->inflate = http_inflate_new();
}

bool
http_stream_feed(struct http_stream *s, struct span piece)
{
    must(pthread_mutex_lock(&s->mutex) == 0);
    if (!s->is_cut)
        buf_put_span(&s->in, piece);
    s->is_in_full = s->in.n >= HTTP_STREAM_MAX;
    bool has_room = !s->is_in_full;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    return has_room;
}

void
http_stream_feed_end(struct http_stream *s, enum rc rc)
{
    must(pthread_mutex_lock(&s->mutex) == 0);
    if (!s->is_in_end) {
        s->is_in_end = true;
        s->in_rc = rc;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

void
http_stream_take(struct http_stream *s, struct buf *out)
{
    must(out->n == 0);
    must(pthread_mutex_lock(&s->mutex) == 0);
    struct buf empty = *out;
    *out = s->out;
    s->out = empty;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

void
http_stream_cut(struct http_stream *s)
{
    must(pthread_mutex_lock(&s->mutex) == 0);
    s->is_cut = true;
    buf_fini(&s->in);
    buf_fini(&s->out);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

/* ---- the holder's side ---- */

/*
 * Waits until `piece` holds unread bytes. RC_OK with *is_end set at the end of
 * the body. *is_resumable: the loop waits for room.
 */
static enum rc
next_piece(struct http_stream *s, bool *is_end, bool *is_resumable)
{
    enum rc rc = RC_OK;
    must(pthread_mutex_lock(&s->mutex) == 0);
    while (s->in.n == 0 && !s->is_in_end && !s->is_cut)
        pthread_cond_wait(&s->changed, &s->mutex);
    if (s->is_cut) {
        rc = RC_IO;
    } else if (s->in.n > 0) {
        struct buf spent = s->piece;
        buf_clear(&spent);
        s->piece = s->in;
        s->in = spent;
        s->piece_at = 0;
        *is_resumable = s->is_in_full;
        s->is_in_full = false;
    } else {
        rc = s->in_rc;
        *is_end = true;
    }
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

static enum rc
read_piece(struct http_stream *s, char *to, size_t cap, size_t *n)
{
    struct span left = span_of(s->piece.p + s->piece_at, s->piece.n - s->piece_at);
    if (s->inflate) {
        enum rc rc = http_inflate_read(s->inflate, &left, to, cap, n);
        s->piece_at = s->piece.n - left.n;
        return rc;
    }
    *n = left.n < cap ? left.n : cap;
    memcpy(to, left.p, *n);
    s->piece_at += *n;
    return RC_OK;
}

static enum rc
body_end(const struct http_stream *s, enum rc rc, struct err *err)
{
    if (rc == RC_OK && s->inflate && !http_inflate_is_complete(s->inflate))
        rc = RC_INVALID;
    if (rc == RC_INVALID)
        return err_set(err, rc, "the encoding of the body is broken");
    if (rc)
        return err_set(err, rc, "the client did not send the whole body");
    return RC_OK;
}

enum rc
http_body_read(struct http_exchange *x, char *to, size_t cap, size_t *n, struct err *err)
{
    struct http_stream *s = x->stream;
    must(x->magic == HTTP_EXCHANGE_MAGIC && s && cap > 0);
    must(!http_loop_is_current(x->loop));
    for (;;) {
        size_t got = 0;
        /* A call that fills `to` may leave decoded bytes inside zlib: ask it first. */
        if (s->piece.p && read_piece(s, to, cap, &got))
            return body_end(s, RC_INVALID, err);
        if (got > 0) {
            *n = got;
            return RC_OK;
        }
        bool is_end = false, is_resumable = false;
        enum rc rc = next_piece(s, &is_end, &is_resumable);
        if (rc || is_end) {
            *n = 0;
            return body_end(s, rc, err);
        }
        if (is_resumable)
            http_exchange_signal(x, HTTP_SIGNAL_IN);
    }
}

void
http_stream_begin(struct http_exchange *x, int status, const char *content_type)
{
    must(x->magic == HTTP_EXCHANGE_MAGIC && x->holder.status == 0);
    must(!http_loop_is_current(x->loop));
    x->holder.status = status;
    x->holder.content_type = content_type;
    x->holder.is_streamed = true;
    if (!x->stream)
        x->stream = http_stream_new();
    http_exchange_signal(x, HTTP_SIGNAL_OUT);
}

/* A chunk, or the bytes themselves where the client knows no chunks. */
static void
put_framed(const struct http_exchange *x, struct buf *out, struct span bytes)
{
    if (x->frame.is_http10) {
        buf_put_span(out, bytes);
        return;
    }
    buf_printf(out, "%zx\r\n", bytes.n);
    buf_put_span(out, bytes);
    buf_puts(out, "\r\n");
}

static enum rc
write_piece(struct http_exchange *x, struct span bytes)
{
    struct http_stream *s = x->stream;
    must(pthread_mutex_lock(&s->mutex) == 0);
    while (s->out.n >= HTTP_STREAM_MAX && !s->is_cut)
        pthread_cond_wait(&s->changed, &s->mutex);
    bool is_cut = s->is_cut;
    if (!is_cut)
        put_framed(x, &s->out, bytes);
    pthread_mutex_unlock(&s->mutex);
    if (is_cut)
        return RC_IO;
    http_exchange_signal(x, HTTP_SIGNAL_OUT);
    return RC_OK;
}

enum rc
http_stream_write(struct http_exchange *x, struct span bytes, struct err *err)
{
    enum { PIECE_MAX = 64 * 1024 };
    must(x->magic == HTTP_EXCHANGE_MAGIC && x->holder.is_streamed);
    must(!http_loop_is_current(x->loop));
    while (bytes.n > 0) {
        size_t n = bytes.n < PIECE_MAX ? bytes.n : PIECE_MAX;
        /* For HEAD the header is all there is. */
        if (x->frame.method != HTTP_HEAD && write_piece(x, span_of(bytes.p, n)))
            return err_set(err, RC_IO, "the client went away");
        bytes = span_from(bytes, n);
    }
    return RC_OK;
}

void
http_stream_end(struct http_exchange *x, bool is_complete)
{
    must(x->magic == HTTP_EXCHANGE_MAGIC && x->holder.is_streamed);
    must(!http_loop_is_current(x->loop));
    x->holder.is_cut = !is_complete;
    struct http_stream *s = x->stream;
    bool has_chunks = x->frame.method != HTTP_HEAD && !x->frame.is_http10;
    if (is_complete && has_chunks) {
        must(pthread_mutex_lock(&s->mutex) == 0);
        if (!s->is_cut)
            buf_puts(&s->out, "0\r\n\r\n");
        pthread_mutex_unlock(&s->mutex);
    }
    http_exchange_signal(x, HTTP_SIGNAL_FINAL);
}
