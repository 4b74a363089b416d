/*
 * Replays prepared requests against a server and prints a table of times by
 * kind: closed loop (every connection asks as soon as it is answered) or, with
 * a rate, open loop. bench/search.py makes the file and reads the JSON.
 *
 *   bench_search FILE [--host 127.0.0.1] [--port 8108] [--key K] [--connections 8] [--rate N]
 *                [--seconds 10] [--warm-up 1] [--format table|json|csv] [--title TEXT]
 *
 * FILE: a line per request, KIND TAB TARGET (a GET), or KIND TAB TARGET TAB
 * BODY (a POST). They are asked in this order, again and again. Exit status 3
 * if an answer was an error.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "bench/load.h"

struct search_bench {
    const char *file, *key, *format, *title;
    struct load_options load;
    struct buf text;    /* the file; lines and columns end with NUL */
    struct buf headers; /* of every request */
    struct load_list list;
    struct load_result result;
};

/* ---- the command line ---- */

static bool
set_option(struct search_bench *b, const char *name, const char *value)
{
    char *end = NULL;
    double number = strtod(value, &end);
    bool is_number = *value && *end == '\0' && number >= 0;
    if (strcmp(name, "--host") == 0)
        b->load.host = value;
    else if (strcmp(name, "--key") == 0)
        b->key = value;
    else if (strcmp(name, "--format") == 0)
        b->format = value;
    else if (strcmp(name, "--title") == 0)
        b->title = value;
    else if (!is_number)
        return false;
    else if (strcmp(name, "--port") == 0)
        b->load.port = (int)number;
    else if (strcmp(name, "--connections") == 0)
        b->load.n_connections = (unsigned)number;
    else if (strcmp(name, "--rate") == 0)
        b->load.rate = number;
    else if (strcmp(name, "--seconds") == 0)
        b->load.duration_us = (uint64_t)(number * 1e6);
    else if (strcmp(name, "--warm-up") == 0)
        b->load.warm_up_us = (uint64_t)(number * 1e6);
    else
        return false;
    return true;
}

/* ---- the file ---- */

static enum rc
read_file(struct search_bench *b, struct err *err)
{
    char piece[65536];
    FILE *f = fopen(b->file, "re");
    if (!f)
        return err_sys(err, RC_ABSENT, errno, "opening %s", b->file);
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_put(&b->text, piece, n);
    (void)fclose(f);
    buf_puts(&b->text, "\n"); /* of a last line without one */
    return RC_OK;
}

/* The beginning of the next column of a line, NULL behind the last one. */
static char *
next_column(char *column)
{
    char *tab = strchr(column, '\t');
    if (!tab)
        return NULL;
    *tab = '\0';
    return tab + 1;
}

static void
add_line(struct search_bench *b, char *line)
{
    char *target = next_column(line);
    char *body = target ? next_column(target) : NULL;
    if (!target)
        return;
    load_add(&b->list, line, body ? "POST" : "GET", target, b->headers.p,
             body ? span_str(body) : (struct span){0});
}

static enum rc
read_requests(struct search_bench *b, struct err *err)
{
    enum rc rc = read_file(b, err);
    if (rc)
        return rc;
    buf_printf(&b->headers, "X-TYPESENSE-API-KEY: %s\r\nAccept: */*\r\n", b->key);
    buf_put(&b->headers, "", 1);
    for (char *line = b->text.p, *end; line < b->text.p + b->text.n; line = end + 1) {
        end = memchr(line, '\n', b->text.n - (size_t)(line - b->text.p));
        *end = '\0';
        add_line(b, line);
    }
    return b->list.n > 0 ? RC_OK : err_set(err, RC_INVALID, "%s has no requests", b->file);
}

/* ---- what is printed ---- */

static double
ms(uint64_t us)
{
    return (double)us / 1000;
}

static void
print_json_row(const struct hist *h, const char *kind, bool is_first)
{
    struct buf name = {0};
    json_put_str(&name, span_str(kind));
    double mean = h->n ? ms(h->sum_us) / (double)h->n : 0;
    printf("%s{\"kind\":%.*s,\"n\":%llu,\"mean\":%.4f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,"
           "\"max\":%.3f}",
           is_first ? "" : ",", (int)name.n, name.p, (unsigned long long)h->n, mean,
           ms(hist_quantile(h, .50)), ms(hist_quantile(h, .90)), ms(hist_quantile(h, .99)),
           ms(h->max_us));
    buf_fini(&name);
}

static void
print_json(const struct search_bench *b)
{
    const struct load_result *r = &b->result;
    printf("{\"connections\":%u,\"rate\":%.1f,\"seconds\":%.3f,\"per_second\":%.1f,"
           "\"bytes\":%llu,\"errors\":%llu,\"lost\":%llu,\"late\":%llu,\"ms\":[",
           b->load.n_connections, b->load.rate, r->seconds, (double)r->all.n / r->seconds,
           (unsigned long long)r->n_bytes, (unsigned long long)r->n_errors,
           (unsigned long long)r->n_lost, (unsigned long long)r->n_late);
    print_json_row(&r->all, "all", true);
    for (unsigned i = 0; i < b->list.n_kinds; i++)
        print_json_row(&r->by_kind[i], b->list.kinds[i], false);
    printf("]}\n");
}

static void
print_csv_row(const struct search_bench *b, const struct hist *h, const char *kind)
{
    printf("%s,%llu,%.1f,%.4f,%.3f,%.3f,%.3f,%.3f\n", kind, (unsigned long long)h->n,
           (double)h->n / b->result.seconds, h->n ? ms(h->sum_us) / (double)h->n : 0,
           ms(hist_quantile(h, .50)), ms(hist_quantile(h, .90)), ms(hist_quantile(h, .99)),
           ms(h->max_us));
}

static void
print_csv(const struct search_bench *b)
{
    printf("kind,n,per_second,mean_ms,p50_ms,p90_ms,p99_ms,max_ms\n");
    print_csv_row(b, &b->result.all, "all");
    for (unsigned i = 0; i < b->list.n_kinds; i++)
        print_csv_row(b, &b->result.by_kind[i], b->list.kinds[i]);
}

static void
print(const struct search_bench *b)
{
    if (strcmp(b->format, "json") == 0)
        print_json(b);
    else if (strcmp(b->format, "csv") == 0)
        print_csv(b);
    else
        load_print(&b->list, &b->result, b->title);
}

static int
run(struct search_bench *b)
{
    struct err err = {0};
    if (read_requests(b, &err) || load_run(&b->load, &b->list, &b->result, &err)) {
        fprintf(stderr, "bench_search: %s\n", err.text);
        return 1;
    }
    print(b);
    return b->result.n_errors > 0 ? 3 : 0;
}

int
main(int argc, char **argv)
{
    struct search_bench *b = xcalloc(1, sizeof *b);
    b->key = "";
    b->format = "table";
    b->title = "searches";
    b->load = (struct load_options){
        .port = 8108, .n_connections = 8, .warm_up_us = 1000000, .duration_us = 10000000};
    bool is_valid = argc >= 2 && argc % 2 == 0;
    for (int i = 2; is_valid && i + 1 < argc; i += 2)
        is_valid = set_option(b, argv[i], argv[i + 1]);
    int status = 2;
    if (is_valid) {
        b->file = argv[1];
        status = run(b);
    } else {
        fprintf(stderr, "usage: bench_search FILE [--host IPV4] [--port N] [--key K] "
                        "[--connections N] [--rate N] [--seconds N] [--warm-up N] "
                        "[--format table|json|csv] [--title TEXT]\n");
    }
    load_fini(&b->list);
    buf_fini(&b->text);
    buf_fini(&b->headers);
    free(b);
    return status;
}
