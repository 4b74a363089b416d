#include "http/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/clock.h"

#include "http/stream.h"

enum { PARTS_MAX = 2 * HTTP_PIPELINE_MAX + 1 };

/* Of head and sending. */
static size_t
left_of(const struct http_exchange *x)
{
    return x->has_head ? x->head.n + x->sending.n - x->n_sent : 0;
}

/* Puts what is left of one answer into at most 2 parts. */
static size_t
gather_one(const struct http_exchange *x, struct iovec *parts)
{
    size_t n = 0;
    if (x->n_sent < x->head.n)
        parts[n++] = (struct iovec){x->head.p + x->n_sent, x->head.n - x->n_sent};
    size_t skip = x->n_sent > x->head.n ? x->n_sent - x->head.n : 0;
    if (skip < x->sending.n)
        parts[n++] = (struct iovec){x->sending.p + skip, x->sending.n - skip};
    return n;
}

/* The answers that may go out now: all complete ones at the front, or a part of a streamed one. */
static size_t
gather(const struct http_conn *c, struct iovec *parts)
{
    size_t n = 0;
    if (c->interim.n > 0)
        parts[n++] = (struct iovec){c->interim.p, c->interim.n};
    for (const struct http_exchange *x = c->first; x && x->has_head; x = x->next) {
        n += gather_one(x, parts + n);
        if (x->holder.is_streamed)
            break;
    }
    return n;
}

/* Counts n bytes of one answer as sent; returns how many of them were its own. */
static size_t
advance_one(struct http_exchange *x, size_t n)
{
    size_t own = left_of(x) < n ? left_of(x) : n;
    x->n_sent += own;
    return own;
}

static void
advance_interim(struct buf *interim, size_t *n)
{
    size_t own = interim->n < *n ? interim->n : *n;
    if (own > 0)
        memmove(interim->p, interim->p + own, interim->n - own);
    interim->n -= own;
    *n -= own;
}

/* Fetches the next piece of a streamed answer. False if nothing waits. */
static bool
refill(struct http_exchange *x)
{
    if (!x->is_stream_known)
        return false;
    buf_clear(&x->head);
    buf_clear(&x->sending);
    x->n_sent = 0;
    http_stream_take(x->stream, &x->sending);
    return x->sending.n > 0;
}

/* Takes answers that are wholly sent off the queue. True if there were any. */
static bool
finish_sent(struct http_conn *c)
{
    bool has_finished = false;
    while (c->first && c->first->has_head && left_of(c->first) == 0) {
        struct http_exchange *x = c->first;
        if (x->holder.is_streamed && refill(x))
            break;
        if (!x->is_final)
            break;
        if (x->holder.is_cut)
            c->is_dead = true;
        c->first = x->next;
        if (!c->first)
            c->last = NULL;
        c->n_open--;
        http_exchange_recycle(x);
        has_finished = true;
    }
    /* The time that answers took is not the client's silence. */
    if (has_finished)
        c->wait_us = clock_us();
    return has_finished;
}

static void
advance(struct http_conn *c, size_t n)
{
    advance_interim(&c->interim, &n);
    for (struct http_exchange *x = c->first; x && n > 0; x = x->next)
        n -= advance_one(x, n);
}

/* Sends once. False if the socket takes no more. */
static bool
send_parts(struct http_conn *c, struct iovec *parts, size_t n_parts)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = n_parts};
    ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    if (n >= 0) {
        advance(c, (size_t)n);
        return true;
    }
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN) {
        c->is_dead = true;
        return false;
    }
    c->is_blocked = true;
    c->write_us = clock_us();
    return false;
}

bool
http_conn_flush(struct http_conn *c)
{
    bool has_finished = false;
    while (!c->is_dead && !c->is_blocked) {
        has_finished |= finish_sent(c);
        struct iovec parts[PARTS_MAX];
        size_t n = gather(c, parts);
        if (n == 0 || c->is_dead || !send_parts(c, parts, n))
            break;
    }
    return has_finished;
}
