#include "http/server.h"

#include <errno.h>

#include "base/clock.h"

#include "http/conn.h"

void
http_options_init(struct http_options *o)
{
    *o = (struct http_options){
        .n_threads = 1,
        .header_bytes_max = 16 * 1024,
        .query_bytes_max = 4000,
        .body_bytes_max = 64 * 1024 * 1024,
        .connections_max = 10000,
        .idle_us = 60 * 1000000ull,
        .slow_us = 30 * 1000000ull,
        .cors_origin = "*",
    };
}

static void
free_server(struct http_server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        http_listener_close(&s->listeners[i], NULL);
    free(s->listeners);
    /* A loop that ran is kept by exchanges that are still held. */
    for (unsigned i = 0; i < s->n_loops; i++) {
        if (i < s->n_threads)
            http_loop_release(s->loops[i]);
        else
            http_loop_free(s->loops[i]);
    }
    free(s->loops);
    free(s->threads);
    free(s->cors_origin);
    pthread_cond_destroy(&s->reported);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

static struct http_server *
server_new(const struct http_options *options)
{
    struct http_server *s = xcalloc(1, sizeof *s);
    s->options = *options;
    if (options->cors_origin)
        s->cors_origin = xstrdup(options->cors_origin);
    s->options.cors_origin = s->cors_origin;
    must(pthread_mutex_init(&s->mutex, NULL) == 0);
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&s->reported, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    s->listeners = xcalloc(options->n_listen, sizeof *s->listeners);
    s->loops = xcalloc(options->n_threads, sizeof(struct http_loop *));
    s->threads = xcalloc(options->n_threads, sizeof *s->threads);
    return s;
}

enum rc
http_server_start(const struct http_options *options, struct http_server **out, struct err *err)
{
    must(options->handle && options->n_threads > 0);
    if (options->n_listen == 0)
        return err_set(err, RC_INVALID, "there is no address to listen on");
    struct http_server *s = server_new(options);
    enum rc rc = RC_OK;
    for (; s->n_listeners < options->n_listen; s->n_listeners++) {
        struct http_listener *li = &s->listeners[s->n_listeners];
        rc = http_listener_open(options->listen[s->n_listeners], s, li, err);
        if (rc)
            goto out;
    }
    for (; s->n_loops < options->n_threads; s->n_loops++)
        s->loops[s->n_loops] = http_loop_new(s, s->n_loops);
    for (size_t i = 0; i < s->n_listeners; i++)
        http_listener_watch(&s->listeners[i], s->loops[0]->ev);
    for (; s->n_threads < s->n_loops; s->n_threads++) {
        int sys =
            pthread_create(&s->threads[s->n_threads], NULL, http_loop_run, s->loops[s->n_threads]);
        if (sys != 0) {
            rc = err_sys(err, RC_IO, sys, "starting a server thread");
            goto out;
        }
    }
    *out = s;
    s = NULL;
out:
    http_server_stop(s, 0);
    return rc;
}

int
http_server_port(const struct http_server *s, size_t i)
{
    must(i < s->n_listeners);
    return s->listeners[i].port;
}

static void
set_phase(struct http_server *s, enum http_phase phase)
{
    unsigned before = atomic_load_explicit(&s->phase, memory_order_acquire);
    if (before >= (unsigned)phase)
        return;
    atomic_store_explicit(&s->phase, (unsigned)phase, memory_order_release);
    for (unsigned i = 0; i < s->n_threads; i++)
        http_loop_wake(s->loops[i]);
}

void
http_server_drain(struct http_server *s)
{
    set_phase(s, HTTP_PHASE_DRAIN);
}

static void
wait_for_reports(struct http_server *s, uint64_t timeout_us)
{
    uint64_t now = clock_us();
    uint64_t until = timeout_us < UINT64_MAX - now ? now + timeout_us : UINT64_MAX;
    struct timespec ts = {.tv_sec = (time_t)(until / 1000000),
                          .tv_nsec = (long)(until % 1000000) * 1000};
    must(pthread_mutex_lock(&s->mutex) == 0);
    while (s->n_reported < s->n_threads) {
        if (pthread_cond_timedwait(&s->reported, &s->mutex, &ts) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&s->mutex);
}

void
http_server_stop(struct http_server *s, uint64_t timeout_us)
{
    if (!s)
        return;
    http_server_drain(s);
    wait_for_reports(s, timeout_us);
    set_phase(s, HTTP_PHASE_STOP);
    for (unsigned i = 0; i < s->n_threads; i++)
        must(pthread_join(s->threads[i], NULL) == 0);
    free_server(s);
}
