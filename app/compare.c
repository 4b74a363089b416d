/*
 * `tailfin compare --queries FILE`: the same searches asked of a Tailfin (--url)
 * and of a Typesense (--typesense-url), one after the other, and how far the
 * answers agree.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/fs.h"
#include "http/client.h"
#include "http/http.h"
#include "query/compare.h"

#include "app/commands.h"
#include "app/options.h"

enum { FILE_BYTES_MAX = 1 << 30, ANSWER_BYTES_MAX = 64 << 20, ANSWER_US_MAX = 30 * 1000000 };

enum side { TAILFIN, TYPESENSE, SIDES };

struct end { /* one of the two that are asked */
    const char *url;
    const char *headers[2];
    uint64_t *took_us; /* of every answer */
    size_t n;
};

struct disagreement {
    struct qry_agreement agreement;
    const char *target;
    struct qry_top tops[SIDES];
};

struct comparison {
    struct http_client *client;
    struct arena arena; /* of what lives to the end */
    struct end ends[SIDES];
    struct disagreement *all; /* of every search that both answered */
    size_t n, n_lines, n_errors, n_found_equal, n_overlaps;
    double overlap_sum;
};

/* ---- searches ---- */

static void
put_param(struct buf *target, struct span name, struct span value)
{
    if (span_eq_str(name, "x-typesense-api-key") || span_eq_str(name, "match"))
        return;
    buf_putc(target, memchr(target->p, '?', target->n) ? '&' : '?');
    http_encode(target, name);
    buf_putc(target, '=');
    http_encode(target, value);
}

/* A whole URL or its path; keys in it are left out, each side has its own. */
static bool
target_of_url(struct span line, struct arena *arena, struct buf *target)
{
    size_t scheme = span_find(line, 0, ':'), n = 0;
    if (scheme + 3 < line.n && line.p[0] != '/') {
        size_t path = span_find(line, scheme + 3, '/');
        line = span_from(line, path);
    }
    if (line.n == 0 || line.p[0] != '/')
        return false;
    buf_put_span(target, span_split(&line, '?'));
    const struct http_param *params = http_params(line, arena, &n);
    for (size_t i = 0; i < n; i++)
        put_param(target, params[i].name, params[i].value);
    return true;
}

static bool
target_of_json(struct span line, struct arena *arena, struct buf *target)
{
    struct json search;
    if (json_parse(line, arena, &search, NULL) != RC_OK)
        return false;
    struct span collection = json_get_str(&search, "collection", (struct span){0});
    const struct json *params = json_get(&search, "params");
    if (collection.n == 0 || !params || params->type != JSON_OBJECT)
        return false;
    buf_puts(target, "/collections/");
    http_encode(target, collection);
    buf_puts(target, "/documents/search");
    for (uint32_t i = 0; i < params->n; i++) {
        const struct json *value = &params->members[i].value;
        struct buf text = {0};
        if (value->type == JSON_STRING)
            buf_put_span(&text, value->string);
        else
            json_put(&text, value, false);
        put_param(target, params->members[i].name, buf_span(&text));
        buf_fini(&text);
    }
    return true;
}

/* ---- asking ---- */

static bool
ask(struct comparison *c, enum side side, const char *target, struct arena *arena,
    struct json *answer)
{
    struct end *end = &c->ends[side];
    struct buf url = {0}, body = {0};
    struct err err = {0};
    int status = 0;
    buf_printf(&url, "%s%s", end->url, target);
    buf_putc(&url, '\0');
    const struct http_call call = {.method = "GET",
                                   .url = url.p,
                                   .headers = end->headers,
                                   .timeout_us = ANSWER_US_MAX,
                                   .answer_bytes_max = ANSWER_BYTES_MAX,
                                   .is_identity = true};
    uint64_t begin_us = clock_us();
    enum rc rc = http_client_fetch(c->client, &call, &status, &body, &err);
    uint64_t took_us = clock_us() - begin_us;
    if (rc == RC_OK && (status == 401 || status == 403 || status >= 500))
        rc = err_set(&err, RC_UNREACHABLE, "%s answered %d", end->url, status);
    if (rc == RC_OK)
        rc = json_parse(buf_span(&body), arena, answer, &err);
    if (rc == RC_OK)
        end->took_us[end->n++] = took_us;
    else
        fprintf(stderr, "error: %s\n", err.text);
    buf_fini(&url);
    buf_fini(&body);
    return rc == RC_OK;
}

/* Makes what is shown at the end independent of the answers. */
static void
keep(struct comparison *c, struct qry_top *top)
{
    for (uint32_t i = 0; i < top->n; i++)
        top->ids[i] = arena_dup(&c->arena, top->ids[i]);
}

static void
note(struct comparison *c, const char *target, const struct json answers[SIDES])
{
    struct disagreement *d = &c->all[c->n];
    for (int i = 0; i < SIDES; i++)
        qry_top_read(&answers[i], &d->tops[i]);
    if (d->tops[TAILFIN].is_error && d->tops[TYPESENSE].is_error) {
        /* Agreeing that it is nonsense says nothing of searching. */
        struct span why = json_get_str(&answers[TAILFIN], "message", SPAN_LIT("no reason given"));
        fprintf(stderr, "error: both refuse %s: %.*s\n", target, SPAN_ARG(why));
        c->n_errors++;
        return;
    }
    c->n++;
    d->agreement = qry_top_compare(&d->tops[TAILFIN], &d->tops[TYPESENSE]);
    c->n_found_equal += d->agreement.is_found_equal;
    c->n_overlaps += d->agreement.has_overlap;
    c->overlap_sum += d->agreement.has_overlap ? d->agreement.overlap : 0;
    if (d->agreement.badness <= 0)
        return;
    d->target = arena_str(&c->arena, span_str(target));
    keep(c, &d->tops[TAILFIN]);
    keep(c, &d->tops[TYPESENSE]);
}

static void
compare(struct comparison *c, const char *target)
{
    struct json answers[SIDES];
    struct arena arena = {0};
    /* Taking turns at being first, so that a warm machine favours neither. */
    enum side first = c->n_lines % 2 ? TYPESENSE : TAILFIN, second = first ? TAILFIN : TYPESENSE;
    if (ask(c, first, target, &arena, &answers[first]) &&
        ask(c, second, target, &arena, &answers[second]))
        note(c, target, answers);
    else
        c->n_errors++;
    arena_fini(&arena);
}

static void
compare_line(struct comparison *c, struct span line)
{
    struct arena arena = {0};
    struct buf target = {0};
    bool is_search = line.p[0] == '{' ? target_of_json(line, &arena, &target)
                                      : target_of_url(line, &arena, &target);
    if (is_search) {
        compare(c, arena_str(&arena, buf_span(&target)));
    } else {
        fprintf(stderr, "error: no search: %.*s\n", SPAN_ARG(line));
        c->n_errors++;
    }
    c->n_lines++;
    buf_fini(&target);
    arena_fini(&arena);
}

/* ---- the report ---- */

static int
order_times(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int
order_badness(const void *a, const void *b)
{
    const struct disagreement *x = a, *y = b;
    return (x->agreement.badness < y->agreement.badness) -
           (x->agreement.badness > y->agreement.badness);
}

static double
percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 100;
}

/* The overlap that half of the searches reach; they are ordered by badness. */
static double
median_overlap(const struct comparison *c)
{
    size_t n_seen = 0;
    for (size_t i = 0; i < c->n; i++) {
        n_seen += c->all[i].agreement.has_overlap;
        if (n_seen > c->n_overlaps / 2)
            return c->all[i].agreement.overlap;
    }
    return 1;
}

static void
print_latency(struct end *end)
{
    if (end->n > 1)
        qsort(end->took_us, end->n, sizeof *end->took_us, order_times);
    double p50 = end->n ? (double)end->took_us[end->n / 2] / 1000 : 0;
    double p99 = end->n ? (double)end->took_us[end->n * 99 / 100] / 1000 : 0;
    printf("  %-40s %8.2f %8.2f\n", end->url, p50, p99);
}

static void
print_top(const char *name, const struct qry_top *top)
{
    struct buf ids = {0};
    qry_top_write_ids(top, &ids);
    printf("     %-9s %10llu found  %.*s%s\n", name, (unsigned long long)top->found,
           SPAN_ARG(buf_span(&ids)), top->is_error ? "  (an error)" : "");
    buf_fini(&ids);
}

static void
print_worst(const struct comparison *c, uint64_t n_worst)
{
    for (size_t i = 0; i < c->n && i < n_worst && c->all[i].agreement.badness > 0; i++) {
        const struct disagreement *d = &c->all[i];
        printf("%s%3zu. %s\n", i == 0 ? "\nworst disagreements\n" : "", i + 1, d->target);
        print_top("tailfin", &d->tops[TAILFIN]);
        print_top("typesense", &d->tops[TYPESENSE]);
    }
}

static bool
report(struct comparison *c, const struct conf *conf)
{
    double limit = (double)conf_u64(conf, OPT_AGREE_PERCENT);
    double found = percent((double)c->n_found_equal, (double)c->n);
    double overlap = percent(c->overlap_sum, (double)c->n_overlaps);
    if (c->n > 1)
        qsort(c->all, c->n, sizeof *c->all, order_badness);
    printf("searches compared      %zu of %zu (%zu failed)\n", c->n, c->n_lines, c->n_errors);
    printf("found equal            %.2f %%\n", found);
    printf("first ten in common    %.2f %% on average, %.2f %% at the median\n", overlap,
           100 * median_overlap(c));
    printf("latency, ms                                     p50      p99\n");
    for (int i = 0; i < SIDES; i++)
        print_latency(&c->ends[i]);
    print_worst(c, conf_u64(conf, OPT_WORST));
    return c->n > 0 && c->n_errors == 0 && found >= limit && overlap >= limit;
}

/* ---- from the options to the end ---- */

static void
set_end(struct comparison *c, enum side side, const char *urls, const char *key, size_t n_lines)
{
    struct span all = span_str(urls), url = span_trim(span_split(&all, ','));
    while (url.n > 0 && url.p[url.n - 1] == '/')
        url.n--;
    c->ends[side].url = arena_str(&c->arena, url);
    c->ends[side].headers[0] = arena_printf(&c->arena, "X-TYPESENSE-API-KEY: %s", key ? key : "").p;
    c->ends[side].took_us = arena_calloc(&c->arena, n_lines + 1, sizeof(uint64_t));
}

static size_t
count_lines(struct span text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static bool
compare_all(const struct conf *conf, struct span text)
{
    struct comparison c = {0};
    struct err err = {0};
    size_t n = count_lines(text);
    bool ok = false;
    const char *key = conf_str(conf, OPT_API_KEY);
    set_end(&c, TAILFIN, conf_str(conf, OPT_URL),
            key && *key ? key : conf_str(conf, OPT_SEARCH_API_KEY), n);
    set_end(&c, TYPESENSE, conf_str(conf, OPT_TYPESENSE_URL), conf_str(conf, OPT_TYPESENSE_API_KEY),
            n);
    c.all = arena_calloc(&c.arena, n, sizeof *c.all);
    if (http_client_new(2, &c.client, &err) != RC_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        goto out;
    }
    while (text.p) {
        struct span line = span_trim(span_split(&text, '\n'));
        if (line.n > 0)
            compare_line(&c, line);
    }
    ok = report(&c, conf);
out:
    http_client_free(c.client);
    arena_fini(&c.arena);
    return ok;
}

int
app_compare(const struct app_call *call)
{
    const char *file = conf_str(call->conf, OPT_QUERIES);
    const char *typesense = conf_str(call->conf, OPT_TYPESENSE_URL);
    struct buf text = {0};
    struct err err = {0};
    if (!file || !*file || !typesense || !*typesense) {
        fprintf(stderr, "usage: tailfin compare --queries FILE --url URL --typesense-url URL\n");
        return 2;
    }
    if (fs_read_path(file, FILE_BYTES_MAX, &text, &err) != RC_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        return 1;
    }
    bool ok = compare_all(call->conf, buf_span(&text));
    buf_fini(&text);
    return ok ? 0 : 1;
}
