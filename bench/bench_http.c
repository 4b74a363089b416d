/*
 * What an answer costs before there is anything to answer: our own server with
 * a handler that does nothing, or one that answers from another thread, under
 * a closed loop of 1, 8 and 64 connections and an open loop.
 *
 *   bench_http [LOOPS [SECONDS]]
 *
 * The generator takes a processor of its own.
 */
#include <pthread.h>
#include <stdio.h>

#include "base/queue.h"
#include "bench/load.h"
#include "http/http.h"

struct bench {
    struct queue *work;
    int port;
    double seconds;
};

static void
reply(struct http_exchange *x)
{
    struct buf body = {0};
    buf_puts(&body, "{\"ok\":true}");
    http_reply(x, 200, "application/json; charset=utf-8", &body);
}

static void
handle(void *ctx, struct http_exchange *x)
{
    struct bench *b = ctx;
    bool is_for_worker = span_eq_str(http_exchange_request(x)->path, "/worker");
    if (!is_for_worker || !queue_try_push(b->work, x))
        reply(x);
}

static void *
work(void *arg)
{
    struct bench *b = arg;
    struct http_exchange *x;
    while ((x = queue_pop(b->work, UINT64_MAX)))
        reply(x);
    return NULL;
}

static void
measure(const struct bench *b, const char *target, unsigned n_connections, double rate)
{
    struct load_list list = {0};
    struct load_result *result = xmalloc(sizeof *result);
    struct err err = {0};
    char title[80];
    load_add(&list, target, "GET", target, "Accept: */*\r\nX-API-Key: abcdefgh\r\n",
             (struct span){0});
    struct load_options options = {.port = b->port,
                                   .n_connections = n_connections,
                                   .rate = rate,
                                   .warm_up_us = 200000,
                                   .duration_us = (uint64_t)(b->seconds * 1e6)};
    (void)snprintf(title, sizeof title, "%s, %u connections, %s %.0f", target, n_connections,
                   rate > 0 ? "open" : "closed", rate);
    if (load_run(&options, &list, result, &err))
        printf("%s: %s\n", title, err.text);
    else
        load_print(&list, result, title);
    load_fini(&list);
    free(result);
}

int
main(int argc, char **argv)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    struct bench b = {.work = queue_new(10000), .seconds = argc > 2 ? strtod(argv[2], NULL) : 2};
    struct http_options options;
    http_options_init(&options);
    options.listen = listen;
    options.n_listen = 1;
    options.n_threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    options.handle = handle;
    options.ctx = &b;
    struct http_server *server = NULL;
    struct err err = {0};
    if (http_server_start(&options, &server, &err)) {
        fprintf(stderr, "bench_http: %s\n", err.text);
        return 1;
    }
    b.port = http_server_port(server, 0);
    pthread_t worker;
    must(pthread_create(&worker, NULL, work, &b) == 0);
    static const unsigned connections[] = {1, 8, 64};
    for (size_t i = 0; i < ARRAY_SIZE(connections); i++)
        measure(&b, "/loop", connections[i], 0);
    for (size_t i = 0; i < ARRAY_SIZE(connections); i++)
        measure(&b, "/worker", connections[i], 0);
    measure(&b, "/loop", 64, 20000);
    measure(&b, "/worker", 64, 20000);
    http_server_stop(server, 1000000);
    queue_close(b.work);
    must(pthread_join(worker, NULL) == 0);
    queue_free(b.work);
    return 0;
}
