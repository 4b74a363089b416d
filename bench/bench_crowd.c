/*
 * What a crowd of idle and slow clients costs the others: the time of a
 * request over 8 connections at a fixed rate, alone and beside 1,000 idle
 * connections, 100 that send a byte of a body at a time, and 100 that read a
 * long answer a little at a time.
 *
 *   bench_crowd PORT KEY TARGET LONG_TARGET [RATE [SECONDS]]
 *
 * TARGET is asked for and timed; LONG_TARGET is what the slow readers read (an
 * export, say). Both runs alternate, three times; the medians are compared.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/load.h"

enum {
    IDLE = 1000,
    SENDERS = 100,
    READERS = 100,
    CLIENTS = 8,
    ROUNDS = 3,
    TICK_US = 50000,
    READ_BYTES = 512,
};

struct crowd {
    int port;
    const char *key, *long_target;
    atomic_bool is_over, is_there;
    int fds[IDLE + SENDERS + READERS];
    uint64_t n_reopened;
};

static int
open_socket(const struct crowd *c, bool has_small_window)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (has_small_window)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small); /* only a wish */
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        fprintf(stderr, "error: no connection: %s\n", strerror(errno));
        exit(1);
    }
    return fd;
}

static bool
send_text(int fd, const char *text)
{
    return send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)strlen(text);
}

/* Idle ones have had an answer before, as pooled connections have. */
static void
open_one(struct crowd *c, size_t i)
{
    char text[1024];
    int fd = open_socket(c, i >= IDLE + SENDERS);
    if (i < IDLE)
        snprintf(text, sizeof text, "GET /health HTTP/1.1\r\nHost: bench\r\n\r\n");
    else if (i < IDLE + SENDERS)
        snprintf(text, sizeof text,
                 "POST /multi_search HTTP/1.1\r\nHost: bench\r\nX-TYPESENSE-API-KEY: %s\r\n"
                 "Content-Length: 1000000\r\n\r\n",
                 c->key);
    else
        snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: bench\r\nX-TYPESENSE-API-KEY: %s\r\n\r\n",
                 c->long_target, c->key);
    if (!send_text(fd, text))
        fprintf(stderr, "warning: a request of the crowd was not sent\n");
    c->fds[i] = fd;
}

/* A slow one moves on by a little; one that was cut off comes again. */
static void
tick(struct crowd *c, size_t i)
{
    char piece[READ_BYTES];
    ssize_t n = i < IDLE + SENDERS ? send(c->fds[i], " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT)
                                   : recv(c->fds[i], piece, sizeof piece, MSG_DONTWAIT);
    if (n > 0 || (n < 0 && errno == EAGAIN))
        return;
    close(c->fds[i]);
    c->n_reopened++;
    open_one(c, i);
}

static void *
run_crowd(void *arg)
{
    struct crowd *c = arg;
    size_t n = ARRAY_SIZE(c->fds);
    for (size_t i = 0; i < n; i++)
        open_one(c, i);
    atomic_store(&c->is_there, true);
    while (!atomic_load(&c->is_over)) {
        for (size_t i = IDLE; i < n; i++)
            tick(c, i);
        clock_sleep_us(TICK_US);
    }
    for (size_t i = 0; i < n; i++)
        close(c->fds[i]);
    return NULL;
}

static struct hist
measure(const struct load_options *options, const struct load_list *list, const char *title)
{
    static struct load_result result;
    struct err err = {0};
    if (load_run(options, list, &result, &err) != RC_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        exit(1);
    }
    load_print(list, &result, title);
    return result.all;
}

static struct hist
measure_crowded(struct crowd *c, const struct load_options *options, const struct load_list *list)
{
    pthread_t thread;
    atomic_store(&c->is_over, false);
    atomic_store(&c->is_there, false);
    must(pthread_create(&thread, NULL, run_crowd, c) == 0);
    while (!atomic_load(&c->is_there))
        clock_sleep_us(1000);
    struct hist h = measure(options, list, "crowded");
    atomic_store(&c->is_over, true);
    pthread_join(thread, NULL);
    return h;
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
    static struct crowd crowd;
    static struct load_list list;
    double alone[ROUNDS], crowded[ROUNDS];
    char headers[256];
    if (argc < 5) {
        fputs("usage: bench_crowd PORT KEY TARGET LONG_TARGET [RATE [SECONDS]]\n", stderr);
        return 2;
    }
    struct rlimit files = {4096, 4096};
    (void)setrlimit(RLIMIT_NOFILE, &files); /* what is missing shows when sockets are opened */
    crowd.port = (int)strtol(argv[1], NULL, 10);
    crowd.key = argv[2];
    crowd.long_target = argv[4];
    snprintf(headers, sizeof headers, "X-TYPESENSE-API-KEY: %s\r\n", argv[2]);
    load_add(&list, "request", "GET", argv[3], headers, (struct span){0});
    struct load_options options = {
        .port = crowd.port, .n_connections = CLIENTS, .warm_up_us = 300000};
    options.duration_us = argc > 6 ? (uint64_t)(strtod(argv[6], NULL) * 1e6) : 4000000;
    options.rate = argc > 5 ? strtod(argv[5], NULL) : 1000;
    for (int i = 0; i < ROUNDS; i++) {
        struct hist h = measure(&options, &list, "alone");
        alone[i] = (double)hist_quantile(&h, 0.99);
        h = measure_crowded(&crowd, &options, &list);
        crowded[i] = (double)hist_quantile(&h, 0.99);
    }
    qsort(alone, ROUNDS, sizeof alone[0], compare);
    qsort(crowded, ROUNDS, sizeof crowded[0], compare);
    printf("p99, median of %d: alone %.3f ms, crowded %.3f ms, %.2f times; %llu of the crowd came "
           "again\n",
           ROUNDS, alone[ROUNDS / 2] / 1e3, crowded[ROUNDS / 2] / 1e3,
           crowded[ROUNDS / 2] / alone[ROUNDS / 2], (unsigned long long)crowd.n_reopened);
    load_fini(&list);
    return 0;
}
