#include "http/loop.h"

#include <sched.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/thread.h"

#include "http/caller.h"
#include "http/conn.h"
#include "http/gzip.h"
#include "http/server.h"
#include "http/stream.h"

/* A deadline is met with this much delay at most, as a part of the shortest one. */
enum { SWEEP_PART = 8, CALLER_CONNECTIONS_MAX = 256 };

static enum http_phase
phase_of(const struct http_loop *l)
{
    return (enum http_phase)atomic_load_explicit(&l->server->phase, memory_order_acquire);
}

bool
http_loop_is_current(const struct http_loop *l)
{
    /* Thread ids are reused: one that has ended is nobody's. */
    return atomic_load_explicit(&l->is_running, memory_order_acquire) &&
           pthread_equal(l->thread, pthread_self());
}

void
http_loop_wake(struct http_loop *l)
{
    ev_async_send(l->ev, &l->wake);
}

static bool
post(struct http_loop *l, struct http_note *note)
{
    struct http_note *head = atomic_load_explicit(&l->inbox, memory_order_acquire);
    do {
        if (head == &l->inbox_closed)
            return false;
        note->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->inbox, &head, note, memory_order_acq_rel,
                                                    memory_order_acquire));
    /* Not the first: whoever was it has woken the loop already. */
    if (!head)
        http_loop_wake(l);
    return true;
}

bool
http_loop_post(struct http_loop *l, struct http_note *note)
{
    /* Once the note is in, its exchange no longer keeps the loop: n_posting does. */
    atomic_fetch_add_explicit(&l->n_posting, 1, memory_order_acq_rel);
    bool is_posted = post(l, note);
    atomic_fetch_sub_explicit(&l->n_posting, 1, memory_order_acq_rel);
    return is_posted;
}

void
http_loop_release(struct http_loop *l)
{
    if (atomic_fetch_sub_explicit(&l->n_refs, 1, memory_order_acq_rel) == 1)
        http_loop_free(l);
}

const char *
http_loop_date(struct http_loop *l)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t now_s = clock_wall_us() / 1000000;
    if (now_s == l->date_s)
        return l->date;
    l->date_s = now_s;
    time_t t = (time_t)now_s;
    struct tm tm;
    must(gmtime_r(&t, &tm));
    /* Bounded, so that the compiler sees that it fits. */
    (void)snprintf(l->date, sizeof l->date, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                   days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
                   ((unsigned)tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                   (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    return l->date;
}

void
http_loop_report(struct http_loop *l)
{
    if (!l->is_draining || l->is_reported || l->n_held > 0)
        return;
    for (struct http_conn *c = l->conns; c; c = c->next) {
        if (!c->is_lingering)
            return;
    }
    l->is_reported = true;
    struct http_server *s = l->server;
    must(pthread_mutex_lock(&s->mutex) == 0);
    s->n_reported++;
    pthread_cond_signal(&s->reported);
    pthread_mutex_unlock(&s->mutex);
}

/* ---- the inbox ---- */

static void
handle_exchange(struct http_loop *l, struct http_exchange *x)
{
    unsigned signals = atomic_exchange_explicit(&x->signals, 0, memory_order_acq_rel);
    if (signals & HTTP_SIGNAL_FINAL)
        l->n_held--;
    if (x->conn) {
        http_conn_signal(x->conn, x, signals);
        return;
    }
    if (!(signals & HTTP_SIGNAL_FINAL)) {
        http_stream_cut(x->stream);
        return;
    }
    http_exchange_recycle(x);
    http_loop_report(l);
}

static void
handle_note(struct http_loop *l, const struct http_note *note)
{
    const unsigned *magic = note->object;
    if (*magic == HTTP_EXCHANGE_MAGIC) {
        handle_exchange(l, note->object);
        return;
    }
    must(*magic == HTTP_CONN_MAGIC);
    http_conn_start(note->object, l);
}

/* Handles what lies in the inbox, oldest first, and leaves `instead` in it. */
static void
empty_inbox(struct http_loop *l, struct http_note *instead)
{
    struct http_note *newest = atomic_exchange_explicit(&l->inbox, instead, memory_order_acq_rel);
    struct http_note *oldest = NULL;
    while (newest) {
        struct http_note *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        /* First: a holder may post the note again as soon as it was handled. */
        struct http_note *note = oldest;
        oldest = note->next;
        handle_note(l, note);
    }
}

/* ---- events ---- */

static void
begin_drain(struct http_loop *l)
{
    if (l->is_draining)
        return;
    l->is_draining = true;
    if (l->number == 0) {
        for (size_t i = 0; i < l->server->n_listeners; i++)
            http_listener_close(&l->server->listeners[i], l->ev);
    }
    for (struct http_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        http_conn_turn(c);
    }
    http_loop_report(l);
}

static void
on_wake(struct ev_loop *ev, struct ev_async *w, int events)
{
    (void)events;
    struct http_loop *l = w->data;
    must(l->magic == HTTP_LOOP_MAGIC);
    empty_inbox(l, NULL);
    enum http_phase phase = phase_of(l);
    if (phase == HTTP_PHASE_RUN)
        return;
    begin_drain(l);
    if (phase == HTTP_PHASE_STOP)
        ev_break(ev, EVBREAK_ALL);
}

static void
on_sweep(struct ev_loop *ev, struct ev_timer *w, int events)
{
    (void)ev;
    (void)events;
    struct http_loop *l = w->data;
    must(l->magic == HTTP_LOOP_MAGIC);
    uint64_t now = clock_us();
    for (struct http_conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        if (c->deadline_us <= now)
            http_conn_expire(c);
    }
    http_loop_report(l);
}

/* ---- requests that go out ---- */

void
http_exchange_call(struct http_exchange *x, const struct http_call *call, http_client_done *done,
                   void *arg)
{
    struct http_loop *l = x->loop;
    must(http_loop_is_current(l));
    if (!l->caller)
        must(http_caller_new(l->ev, CALLER_CONNECTIONS_MAX, &l->caller, NULL) == RC_OK);
    http_caller_send(l->caller, call, done, arg);
}

/* ---- life ---- */

struct http_loop *
http_loop_new(struct http_server *server, unsigned number)
{
    struct http_loop *l = xcalloc(1, sizeof *l);
    l->magic = HTTP_LOOP_MAGIC;
    l->number = number;
    l->server = server;
    l->options = &server->options;
    l->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    must(l->ev);
    l->scratch = xmalloc(HTTP_SCRATCH_BYTES);
    if (l->options->metrics)
        l->metrics = metrics_block(l->options->metrics);
    ev_async_init(&l->wake, on_wake);
    l->wake.data = l;
    ev_async_start(l->ev, &l->wake);
    uint64_t shortest =
        l->options->idle_us < l->options->slow_us ? l->options->idle_us : l->options->slow_us;
    double every_s = (double)shortest / 1e6 / SWEEP_PART;
    every_s = every_s < 0.01 ? 0.01 : every_s > 1 ? 1 : every_s;
    ev_timer_init(&l->sweep, on_sweep, every_s, every_s);
    l->sweep.data = l;
    ev_timer_start(l->ev, &l->sweep);
    return l;
}

void
http_loop_free(struct http_loop *l)
{
    if (!l)
        return;
    must(l->magic == HTTP_LOOP_MAGIC);
    l->magic = 0;
    while (l->spare) {
        struct http_exchange *x = l->spare;
        l->spare = x->next;
        http_exchange_free(x);
    }
    http_deflate_free(l->deflate);
    ev_loop_destroy(l->ev);
    free(l->scratch);
    free(l);
}

/*
 * After the last event. From the closing of the inbox on holders free their
 * exchanges themselves; n_refs becomes their number and one for the server.
 */
static void
close_down(struct http_loop *l)
{
    const size_t many = SIZE_MAX / 2;
    http_caller_free(l->caller); /* those who wait for an answer give up, and reply */
    while (l->conns)
        http_conn_close(l->conns);
    atomic_store_explicit(&l->n_refs, many, memory_order_relaxed);
    empty_inbox(l, &l->inbox_closed);
    while (l->conns)
        http_conn_close(l->conns);
    atomic_store_explicit(&l->is_running, false, memory_order_release);
    while (atomic_load_explicit(&l->n_posting, memory_order_acquire) > 0)
        sched_yield();
    atomic_fetch_sub_explicit(&l->n_refs, many - l->n_held - 1, memory_order_acq_rel);
}

void *
http_loop_run(void *arg)
{
    struct http_loop *l = arg;
    must(l->magic == HTTP_LOOP_MAGIC);
    l->thread = pthread_self();
    thread_answer();
    atomic_store_explicit(&l->is_running, true, memory_order_release);
    ev_run(l->ev, 0);
    close_down(l);
    return NULL;
}
