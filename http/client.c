/*
 * A caller (caller.c) in a thread of its own, with a queue that any thread may
 * put requests into.
 */
#include "http/client.h"

#include <pthread.h>

#include <ev.h>

#include "base/arena.h"

#include "http/caller.h"

enum { CLIENT_MAGIC = 0x48434c49 };

/* A request that waits to be begun. */
struct order {
    struct order *next;
    struct arena arena; /* of the strings in call */
    struct http_call call;
    http_client_done *done;
    void *arg;
};

struct http_client {
    unsigned magic;
    pthread_t thread;
    struct ev_loop *ev; /* of the thread, but for ev_async_send */
    struct ev_async wake;
    struct http_caller *caller; /* of the thread */

    pthread_mutex_t mutex;
    struct order *first, *last;
    bool is_stopping, is_aborting;
};

/* ---- the client's thread ---- */

/* Begins what waits. False once the client is to stop and nothing is left that it waits for. */
static bool
begin_waiting(struct http_client *c)
{
    must(pthread_mutex_lock(&c->mutex) == 0);
    struct order *first = c->first;
    c->first = c->last = NULL;
    bool is_stopping = c->is_stopping, is_aborting = c->is_aborting;
    pthread_mutex_unlock(&c->mutex);
    while (first) {
        struct order *o = first;
        first = o->next;
        http_caller_send(c->caller, &o->call, o->done, o->arg);
        arena_fini(&o->arena);
        free(o);
    }
    return !is_aborting && (http_caller_n(c->caller) > 0 || !is_stopping);
}

/* Wakes ev_run; run() does the rest. */
static void
on_wake(struct ev_loop *ev, struct ev_async *w, int events)
{
    (void)ev;
    (void)w;
    (void)events;
}

static void *
run(void *arg)
{
    struct http_client *c = arg;
    must(c->magic == CLIENT_MAGIC);
    while (begin_waiting(c))
        ev_run(c->ev, EVRUN_ONCE);
    http_caller_free(c->caller); /* what is left was aborted: done is called here */
    c->caller = NULL;
    return NULL;
}

/* ---- life ---- */

static void
client_fini(struct http_client *c)
{
    http_caller_free(c->caller);
    ev_loop_destroy(c->ev);
    pthread_mutex_destroy(&c->mutex);
    c->magic = 0;
    free(c);
}

enum rc
http_client_new(unsigned connections_max, struct http_client **out, struct err *err)
{
    struct http_client *c = xcalloc(1, sizeof *c);
    c->magic = CLIENT_MAGIC;
    c->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    must(c->ev);
    ev_async_init(&c->wake, on_wake);
    ev_async_start(c->ev, &c->wake);
    must(pthread_mutex_init(&c->mutex, NULL) == 0);
    enum rc rc = http_caller_new(c->ev, connections_max, &c->caller, err);
    if (rc == RC_OK) {
        int sys = pthread_create(&c->thread, NULL, run, c);
        if (sys != 0)
            rc = err_sys(err, RC_IO, sys, "starting the client's thread");
    }
    if (rc == RC_OK)
        *out = c;
    else
        client_fini(c);
    return rc;
}

static void
stop(struct http_client *c, bool is_aborting)
{
    must(pthread_mutex_lock(&c->mutex) == 0);
    c->is_stopping = true;
    c->is_aborting |= is_aborting;
    pthread_mutex_unlock(&c->mutex);
    ev_async_send(c->ev, &c->wake);
}

void
http_client_abort(struct http_client *c)
{
    if (!c)
        return;
    must(c->magic == CLIENT_MAGIC);
    stop(c, true);
}

void
http_client_free(struct http_client *c)
{
    if (!c)
        return;
    must(c->magic == CLIENT_MAGIC);
    stop(c, false);
    must(pthread_join(c->thread, NULL) == 0);
    client_fini(c);
}

/* ---- sending ---- */

static const char *const *
copy_lines(const char *const *lines, struct arena *arena)
{
    size_t n = 0;
    while (lines && lines[n])
        n++;
    const char **copy = arena_calloc(arena, n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_str(arena, span_str(lines[i]));
    return copy;
}

static struct order *
order_new(const struct http_call *call, http_client_done *done, void *arg)
{
    struct order *o = xcalloc(1, sizeof *o);
    o->call = *call;
    o->call.method = arena_str(&o->arena, span_str(call->method));
    o->call.url = arena_str(&o->arena, span_str(call->url));
    o->call.headers = copy_lines(call->headers, &o->arena);
    o->done = done;
    o->arg = arg;
    return o;
}

static bool
enqueue(struct http_client *c, struct order *o)
{
    must(pthread_mutex_lock(&c->mutex) == 0);
    bool is_open = !c->is_stopping;
    if (is_open && c->last)
        c->last->next = o;
    else if (is_open)
        c->first = o;
    if (is_open)
        c->last = o;
    pthread_mutex_unlock(&c->mutex);
    return is_open;
}

enum rc
http_client_send(struct http_client *c, const struct http_call *call, http_client_done *done,
                 void *arg, struct err *err)
{
    must(c->magic == CLIENT_MAGIC && call->method && call->url);
    struct order *o = order_new(call, done, arg);
    if (!enqueue(c, o)) {
        arena_fini(&o->arena);
        free(o);
        return err_set(err, RC_STOPPED, "the client is stopping");
    }
    ev_async_send(c->ev, &c->wake);
    return RC_OK;
}

/* What a waiting caller and the client's thread share. */
struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t is_done_now;
    bool is_done;
    int status;
    struct buf *body;
    struct err err;
};

static void
on_fetched(void *arg, const struct http_answer *answer)
{
    struct waiter *w = arg;
    must(pthread_mutex_lock(&w->mutex) == 0);
    w->status = answer->status;
    if (answer->rc)
        (void)err_set(&w->err, answer->rc, "%s", answer->text);
    else
        buf_put_span(w->body, answer->body);
    w->is_done = true;
    pthread_cond_signal(&w->is_done_now);
    pthread_mutex_unlock(&w->mutex);
}

enum rc
http_client_fetch(struct http_client *c, const struct http_call *call, int *status,
                  struct buf *body, struct err *err)
{
    must(!pthread_equal(c->thread, pthread_self()));
    struct waiter w = {.body = body};
    must(pthread_mutex_init(&w.mutex, NULL) == 0);
    must(pthread_cond_init(&w.is_done_now, NULL) == 0);
    enum rc rc = http_client_send(c, call, on_fetched, &w, err);
    if (rc)
        goto out;
    must(pthread_mutex_lock(&w.mutex) == 0);
    while (!w.is_done)
        pthread_cond_wait(&w.is_done_now, &w.mutex);
    pthread_mutex_unlock(&w.mutex);
    rc = w.err.rc;
    if (rc)
        (void)err_set(err, rc, "%s %s: %s", call->method, call->url, w.err.text);
    else
        *status = w.status;
out:
    pthread_cond_destroy(&w.is_done_now);
    pthread_mutex_destroy(&w.mutex);
    return rc;
}
