/*
 * Writes over the API of a running server in standalone mode: single documents
 * over 16 connections, each durable and readable when it is answered.
 *
 *   bench_writes PORT KEY [SECONDS]
 *
 * Makes a collection bench_writes and drops it again. Half of the writes are
 * new documents, half replace one. The disk's own limit is printed beside it:
 * how long an fdatasync of one block takes in the directory of the program.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/load.h"

enum { DOCUMENTS = 200000, CONNECTIONS = 16, SYNCS = 200 };

static const char SCHEMA[] =
    "{\"name\":\"bench_writes\",\"default_sorting_field\":\"rank\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"tags\",\"type\":\"string[]\",\"facet\":"
    "true},"
    "{\"name\":\"rank\",\"type\":\"int32\"}]}";

static char *
key_header(const char *key)
{
    size_t n = strlen(key) + 64;
    char *text = xmalloc(n);
    snprintf(text, n, "X-TYPESENSE-API-KEY: %s\r\n", key);
    return text;
}

/* One request over one connection; for making and dropping the collection. */
static void
ask(int port, const char *method, const char *target, const char *headers, const char *body)
{
    static struct load_result result;
    struct load_list list = {0};
    struct err err = {0};
    const struct load_options options = {
        .port = port, .n_connections = 1, .rate = 10, .duration_us = 50000};
    load_add(&list, "", method, target, headers, span_str(body));
    if (load_run(&options, &list, &result, &err) != RC_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        exit(1);
    }
    load_fini(&list);
}

static void
fill(struct load_list *list, const char *headers)
{
    struct buf body = {0};
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        /* Every second write replaces the document of the one before. */
        unsigned id = i / 2;
        buf_clear(&body);
        buf_printf(
            &body,
            "{\"id\":\"d%u\",\"name\":\"name %u of many\",\"tags\":[\"t%u\",\"all\"],\"rank\":%u}",
            id, id, id % 100, i);
        load_add(list, "write", "POST", "/collections/bench_writes/documents?action=upsert",
                 headers, buf_span(&body));
    }
    buf_fini(&body);
}

static void
print_sync(void)
{
    char name[] = "bench-sync-XXXXXX";
    char block[4096] = {0};
    int fd = mkstemp(name);
    if (fd < 0)
        return;
    uint64_t begin_us = clock_us();
    for (int i = 0; i < SYNCS; i++) {
        if (write(fd, block, sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0)
            break;
    }
    printf("fdatasync of a block: %.2f ms\n", (double)(clock_us() - begin_us) / 1e3 / SYNCS);
    close(fd);
    unlink(name);
}

int
main(int argc, char **argv)
{
    static struct load_result result;
    struct load_list list = {0};
    struct err err = {0};
    if (argc < 3) {
        fputs("usage: bench_writes PORT KEY [SECONDS]\n", stderr);
        return 2;
    }
    int port = (int)strtol(argv[1], NULL, 10);
    char *headers = key_header(argv[2]);
    struct load_options options = {
        .port = port, .n_connections = CONNECTIONS, .warm_up_us = 500000};
    options.duration_us = (argc > 3 ? strtoull(argv[3], NULL, 10) : 5) * 1000000;
    print_sync();
    ask(port, "POST", "/collections", headers, SCHEMA);
    fill(&list, headers);
    enum rc rc = load_run(&options, &list, &result, &err);
    if (rc == RC_OK)
        load_print(&list, &result, "single writes, 16 connections");
    else
        fprintf(stderr, "error: %s\n", err.text);
    ask(port, "DELETE", "/collections/bench_writes", headers, "");
    load_fini(&list);
    free(headers);
    return rc == RC_OK && result.n_errors == 0 ? 0 : 1;
}
