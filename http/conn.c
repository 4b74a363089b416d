#include "http/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include "http/gzip.h"
#include "http/server.h"
#include "http/stream.h"

/* How long a client may take to notice that it was refused, and how much it may send meanwhile. */
static const uint64_t linger_us = 2000000;

enum { IN_KEPT_MAX = 16 * 1024 };

static bool
is_draining(const struct http_conn *c)
{
    return atomic_load_explicit(&c->loop->server->phase, memory_order_acquire) != HTTP_PHASE_RUN;
}

/* ---- life ---- */

struct http_conn *
http_conn_new(int fd, bool is_refused)
{
    struct http_conn *c = xcalloc(1, sizeof *c);
    c->magic = HTTP_CONN_MAGIC;
    c->fd = fd;
    c->is_refused = is_refused;
    c->note.object = c;
    return c;
}

/* Gives up an exchange of a closing connection. */
static void
abandon(struct http_exchange *x)
{
    if (!x->is_handed || x->is_final) {
        http_exchange_recycle(x);
        return;
    }
    x->conn = NULL;
    if (x->is_stream_known)
        http_stream_cut(x->stream);
}

void
http_conn_close(struct http_conn *c)
{
    struct http_loop *l = c->loop;
    must(c->magic == HTTP_CONN_MAGIC && !c->is_busy);
    c->magic = 0;
    ev_io_stop(l->ev, &c->reader);
    ev_io_stop(l->ev, &c->writer);
    ev_timer_stop(l->ev, &c->resume);
    close(c->fd);
    /* In TURN the request is read but not queued. */
    if (c->state == HTTP_READ_TURN)
        http_exchange_recycle(c->reading);
    for (struct http_exchange *x = c->first, *next; x; x = next) {
        next = x->next;
        abandon(x);
    }
    if (c->prev)
        c->prev->next = c->next;
    else
        l->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    l->n_conns--;
    metrics_set(l->metrics, M_HTTP_CONNECTIONS, l->n_conns);
    atomic_fetch_sub_explicit(&l->server->n_conns, 1, memory_order_relaxed);
    http_inflate_free(c->inflate);
    buf_fini(&c->in);
    buf_fini(&c->interim);
    free(c);
    http_loop_report(l);
}

static void on_readable(struct ev_loop *ev, struct ev_io *w, int events);
static void on_writable(struct ev_loop *ev, struct ev_io *w, int events);
static void on_resume(struct ev_loop *ev, struct ev_timer *w, int events);

void
http_conn_start(struct http_conn *c, struct http_loop *l)
{
    must(c->magic == HTTP_CONN_MAGIC && !c->loop);
    c->loop = l;
    c->next = l->conns;
    if (c->next)
        c->next->prev = c;
    l->conns = c;
    l->n_conns++;
    metrics_set(l->metrics, M_HTTP_CONNECTIONS, l->n_conns);
    ev_io_init(&c->reader, on_readable, c->fd, EV_READ);
    c->reader.data = c;
    ev_io_init(&c->writer, on_writable, c->fd, EV_WRITE);
    c->writer.data = c;
    ev_timer_init(&c->resume, on_resume, 0, 0);
    c->resume.data = c;
    c->wait_us = clock_us();
    if (c->is_refused)
        http_conn_refuse(c, 503, "too many connections are open");
    http_conn_turn(c);
}

/* ---- the queue of answers ---- */

void
http_conn_queue(struct http_conn *c, struct http_exchange *x)
{
    if (c->last)
        c->last->next = x;
    else
        c->first = x;
    c->last = x;
    c->n_open++;
}

static void
count(struct http_conn *c, const struct http_exchange *x)
{
    struct metrics_block *m = c->loop->metrics;
    const struct http_options *o = c->loop->options;
    int status = x->holder.status;
    if (o->answered)
        o->answered(o->ctx, c->loop->number, &x->request, status, clock_us() - x->begin_us);
    metrics_add(m, M_HTTP_REQUESTS, 1);
    if (status >= 500)
        metrics_add(m, M_HTTP_5XX, 1);
    else if (status >= 400)
        metrics_add(m, M_HTTP_4XX, 1);
}

/*
 * Settles, before the header is built, whether the connection ends with this
 * answer. One that begins while its request is still being read is the last:
 * nobody knows whether the rest will be read.
 */
static void
settle_last(struct http_conn *c, struct http_exchange *x)
{
    bool is_newest = c->last == x;
    bool is_being_read = c->reading == x;
    x->is_last = !x->is_keep_alive || is_being_read ||
                 (x->holder.is_streamed && x->frame.is_http10) ||
                 (is_newest && (c->state == HTTP_READ_END || is_draining(c)));
    if (x->is_last && is_newest && !is_being_read)
        c->state = HTTP_READ_END;
}

static void
begin_answer(struct http_conn *c, struct http_exchange *x)
{
    settle_last(c, x);
    http_exchange_head(x, http_loop_date(c->loop));
    count(c, x);
}

void
http_conn_final(struct http_conn *c, struct http_exchange *x)
{
    x->is_final = true;
    if (!x->has_head)
        begin_answer(c, x);
    /* Nobody reads the rest of the request any more. */
    if (c->reading == x) {
        c->reading = NULL;
        c->state = HTTP_READ_END;
    }
}

void
http_conn_signal(struct http_conn *c, struct http_exchange *x, unsigned signals)
{
    must(c->magic == HTTP_CONN_MAGIC && x->conn == c);
    if (signals & HTTP_SIGNAL_IN) {
        c->is_paused = false;
        c->wait_us = clock_us();
    }
    /* A holder that begins a stream and ends it at once is seen as both together. */
    if (signals & (HTTP_SIGNAL_OUT | HTTP_SIGNAL_FINAL)) {
        x->is_stream_known = x->stream != NULL;
        if (!x->has_head)
            begin_answer(c, x);
    }
    if (signals & HTTP_SIGNAL_FINAL)
        http_conn_final(c, x);
    http_conn_turn(c);
}

/* ---- time ---- */

static void
set_deadline(struct http_conn *c)
{
    const struct http_options *o = c->loop->options;
    if (c->is_lingering)
        return;
    uint64_t until = UINT64_MAX;
    if (c->is_blocked)
        until = c->write_us + o->slow_us;
    else if (c->state == HTTP_READ_BODY && !c->is_paused)
        until = c->wait_us + o->slow_us;
    else if (c->state == HTTP_READ_HEADER && c->begin_us > 0 && c->n_open < HTTP_PIPELINE_MAX)
        until = c->begin_us + o->slow_us;
    else if (c->n_open == 0)
        until = c->wait_us + o->idle_us;
    c->deadline_us = until;
}

void
http_conn_expire(struct http_conn *c)
{
    must(c->magic == HTTP_CONN_MAGIC);
    if (!c->is_lingering)
        metrics_add(c->loop->metrics, M_HTTP_TIMEOUTS, 1);
    bool is_request_slow =
        !c->is_blocked && !c->is_lingering && (c->state == HTTP_READ_BODY || c->begin_us > 0);
    if (!is_request_slow) {
        http_conn_close(c);
        return;
    }
    http_conn_refuse(c, 408, "the request took too long to arrive");
    http_conn_turn(c);
}

/* ---- a turn ---- */

/* Reads once; the loop tells again if there is more. False if nothing came. */
static bool
receive(struct http_conn *c, struct span *fresh)
{
    ssize_t n = recv(c->fd, c->loop->scratch, HTTP_SCRATCH_BYTES, 0);
    if (n > 0) {
        c->wait_us = clock_us();
        *fresh = span_of(c->loop->scratch, (size_t)n);
        return true;
    }
    if (n == 0)
        c->is_eof = true;
    else if (errno != EAGAIN && errno != EINTR)
        c->is_dead = true;
    return false;
}

/* Keeps what was not used. */
static void
keep_rest(struct http_conn *c, struct span in, size_t n_used)
{
    size_t left = in.n - n_used;
    if (in.p == c->in.p) {
        if (n_used > 0 && left > 0)
            memmove(c->in.p, c->in.p + n_used, left);
        c->in.n = left;
    } else if (left > 0) {
        buf_put(&c->in, in.p + n_used, left);
    }
    if (c->in.n == 0 && c->in.cap > IN_KEPT_MAX)
        buf_fini(&c->in);
}

/* Consuming makes answers, sending makes room for further requests: until neither does. */
static void
run(struct http_conn *c, struct span fresh)
{
    struct span in = fresh;
    if (c->in.n > 0) {
        buf_put_span(&c->in, fresh);
        in = buf_span(&c->in);
    }
    size_t used = 0;
    bool has_sent = true;
    while (has_sent && !c->is_dead) {
        used += http_conn_consume(c, span_from(in, used));
        has_sent = http_conn_flush(c);
    }
    keep_rest(c, in, used);
}

static void
begin_linger(struct http_conn *c)
{
    /* Closing with unread input would reset the connection and could destroy the answer. */
    c->is_lingering = true;
    c->deadline_us = clock_us() + linger_us;
    buf_fini(&c->in);
    if (shutdown(c->fd, SHUT_WR) != 0)
        c->is_dead = true;
}

/* Whether all that will ever be sent has been sent. */
static bool
is_over(const struct http_conn *c)
{
    if (c->n_open > 0 || c->interim.n > 0)
        return false;
    return c->state == HTTP_READ_END || c->is_eof ||
           (c->state == HTTP_READ_HEADER && is_draining(c));
}

static bool
wants_input(const struct http_conn *c)
{
    if (c->is_eof)
        return false;
    if (c->is_lingering)
        return true;
    if (c->state == HTTP_READ_BODY)
        return !c->is_paused;
    return c->state == HTTP_READ_HEADER && !c->is_blocked && c->n_open < HTTP_PIPELINE_MAX;
}

static void
watch(struct http_conn *c)
{
    struct ev_loop *ev = c->loop->ev;
    bool wants_read = wants_input(c);
    if (wants_read && !ev_is_active(&c->reader))
        ev_io_start(ev, &c->reader);
    else if (!wants_read && ev_is_active(&c->reader))
        ev_io_stop(ev, &c->reader);
    if (c->is_blocked && !ev_is_active(&c->writer))
        ev_io_start(ev, &c->writer);
    else if (!c->is_blocked && ev_is_active(&c->writer))
        ev_io_stop(ev, &c->writer);
}

static void
turn(struct http_conn *c, struct span fresh)
{
    must(!c->is_busy);
    c->is_busy = true;
    c->n_inflated = 0;
    if (!c->is_lingering)
        run(c, fresh);
    if (c->is_eof && !c->is_dead && !c->is_lingering) {
        http_conn_read_eof(c);
        if (http_conn_flush(c))
            run(c, (struct span){0});
    }
    if (is_over(c) && !c->is_lingering) {
        if (c->is_eof || c->state == HTTP_READ_HEADER)
            c->is_dead = true;
        else
            begin_linger(c);
    }
    if (c->is_lingering && c->is_eof)
        c->is_dead = true;
    c->is_busy = false;
    if (c->is_dead) {
        http_conn_close(c);
        return;
    }
    set_deadline(c);
    watch(c);
    http_loop_report(c->loop);
}

void
http_conn_turn(struct http_conn *c)
{
    must(c->magic == HTTP_CONN_MAGIC);
    turn(c, (struct span){0});
}

static void
on_readable(struct ev_loop *ev, struct ev_io *w, int events)
{
    (void)ev;
    (void)events;
    struct http_conn *c = w->data;
    must(c->magic == HTTP_CONN_MAGIC);
    struct span fresh = {0};
    bool has_input = receive(c, &fresh);
    if (has_input || c->is_eof || c->is_dead)
        turn(c, fresh);
}

static void
on_writable(struct ev_loop *ev, struct ev_io *w, int events)
{
    (void)ev;
    (void)events;
    struct http_conn *c = w->data;
    must(c->magic == HTTP_CONN_MAGIC);
    c->is_blocked = false;
    http_conn_turn(c);
}

void
http_conn_yield(struct http_conn *c)
{
    c->is_paused = true;
    /* A timer that is due at once runs in the loop's next round, after its sockets. */
    ev_timer_start(c->loop->ev, &c->resume);
}

static void
on_resume(struct ev_loop *ev, struct ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct http_conn *c = w->data;
    must(c->magic == HTTP_CONN_MAGIC);
    c->is_paused = false;
    http_conn_turn(c);
}
