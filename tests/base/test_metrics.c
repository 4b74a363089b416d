#include "base/fs.h"
#include "base/metrics.h"
#include "base/metrics_parts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/rng.h"

#include <pthread.h>

static void
test_counts(void **state)
{
    struct metrics *m = metrics_new();
    struct metrics_block *a = metrics_block(m);
    struct metrics_block *b = metrics_block(m);
    (void)state;
    metrics_add(a, M_SEARCHES, 2);
    metrics_add(b, M_SEARCHES, 3);
    metrics_set(a, M_INDEX_DOCS, 10);
    metrics_set(a, M_INDEX_DOCS, 7);
    metrics_set(b, M_INDEX_DOCS, 5);
    assert_int_equal(metrics_read(m, M_SEARCHES), 5);
    assert_int_equal(metrics_read(m, M_INDEX_DOCS), 12);
    assert_int_equal(metrics_read(m, M_SEARCH_ERRORS), 0);
    metrics_add(NULL, M_SEARCHES, 1);
    metrics_set(NULL, M_SEARCHES, 1);
    metrics_observe(NULL, M_SEARCH_TIME, 1);
    metrics_free(m);
    metrics_free(NULL);
}

static int
compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

enum { VALUES_N = 5000 };

/* Quantiles are within 10 % of the true ones, over all sizes. */
static void
test_quantiles(void **state)
{
    static const double quantiles[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 1};
    struct rng rng = rng_new();
    uint64_t values[VALUES_N];
    (void)state;
    for (unsigned bits = 1; bits < 39; bits++) {
        struct metrics *m = metrics_new();
        struct metrics_block *b = metrics_block(m);
        assert_int_equal(metrics_quantile(m, M_SEARCH_TIME, 0.5), 0);
        for (size_t i = 0; i < VALUES_N; i++) {
            values[i] = rng_below(&rng, (uint64_t)1 << bits);
            metrics_observe(b, M_SEARCH_TIME, values[i]);
        }
        qsort(values, VALUES_N, sizeof values[0], compare);
        assert_int_equal(metrics_read(m, M_SEARCH_TIME), VALUES_N);
        for (size_t i = 0; i < ARRAY_SIZE(quantiles); i++) {
            uint64_t rank = (uint64_t)(quantiles[i] * (VALUES_N - 1) + 0.5);
            uint64_t got = metrics_quantile(m, M_SEARCH_TIME, quantiles[i]);
            uint64_t off = got > values[rank] ? got - values[rank] : values[rank] - got;
            assert_true(off <= values[rank] / 10);
        }
        metrics_free(m);
    }
}

static void
test_huge_values(void **state)
{
    struct metrics *m = metrics_new();
    struct metrics_block *b = metrics_block(m);
    (void)state;
    metrics_observe(b, M_SEARCH_TIME, UINT64_MAX);
    metrics_observe(b, M_SEARCH_TIME, (uint64_t)1 << 40);
    assert_true(metrics_quantile(m, M_SEARCH_TIME, 1) > (uint64_t)1 << 39);
    metrics_free(m);
}

static void
test_text(void **state)
{
    struct metrics *m = metrics_new();
    struct metrics_block *b = metrics_block(m);
    struct buf out = {0};
    (void)state;
    metrics_add(b, M_SEARCHES, 42);
    metrics_set(b, M_INDEX_SEGMENTS, 9);
    metrics_observe(b, M_SEARCH_TIME, 15);
    metrics_observe(b, M_SEARCH_TIME, 100);
    metrics_observe(b, M_SEARCH_TIME, 2000000);
    metrics_write(m, &out);
    buf_putc(&out, '\0');
    static const char *const wanted[] = {
        "# TYPE tailfin_searches_total counter\ntailfin_searches_total 42\n",
        "# HELP tailfin_index_segments segments of the newest snapshot\n"
        "# TYPE tailfin_index_segments gauge\ntailfin_index_segments 9\n",
        "# TYPE tailfin_search_seconds histogram\n"
        "tailfin_search_seconds_bucket{le=\"0.000016\"} 1\n"
        "tailfin_search_seconds_bucket{le=\"0.000064\"} 1\n"
        "tailfin_search_seconds_bucket{le=\"0.000256\"} 2\n",
        "tailfin_search_seconds_bucket{le=\"1.048576\"} 2\n"
        "tailfin_search_seconds_bucket{le=\"4.194304\"} 3\n",
        "tailfin_search_seconds_bucket{le=\"+Inf\"} 3\ntailfin_search_seconds_sum 2.000115\n"
        "tailfin_search_seconds_count 3\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_non_null(strstr(out.p, wanted[i]));
    /* Every line is a comment or `name value`. */
    struct span rest = span_str(out.p);
    while (rest.n > 0) {
        struct span line = span_split(&rest, '\n');
        double value;
        if (line.p[0] == '#')
            continue;
        assert_true(span_double(span_from(line, span_find(line, 0, ' ') + 1), &value));
    }
    buf_fini(&out);
    metrics_free(m);
}

enum { THREADS_N = 4, ROUNDS_N = 20000 };

static void *
work(void *arg)
{
    struct metrics_block *b = metrics_block(arg);
    for (unsigned i = 0; i < ROUNDS_N; i++) {
        metrics_add(b, M_SEARCHES, 1);
        metrics_observe(b, M_SEARCH_TIME, i);
    }
    return NULL;
}

static void
test_threads(void **state)
{
    struct metrics *m = metrics_new();
    pthread_t threads[THREADS_N];
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < THREADS_N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, m), 0);
    metrics_write(m, &out);
    for (size_t i = 0; i < THREADS_N; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(metrics_read(m, M_SEARCHES), THREADS_N * ROUNDS_N);
    assert_int_equal(metrics_read(m, M_SEARCH_TIME), THREADS_N * ROUNDS_N);
    buf_fini(&out);
    metrics_free(m);
}

/* A family of labelled rows has one head; a gauge of microseconds is shown in seconds. */
static void
test_families(void **state)
{
    struct metrics *m = metrics_new();
    struct metrics_block *b = metrics_block(m);
    struct buf out = {0};
    (void)state;
    metrics_set(b, M_LAG, 1500000);
    metrics_add(b, M_EVENT_UPDATE_APPLIED, 3);
    metrics_write(m, &out);
    buf_putc(&out, 0);
    assert_non_null(
        strstr(out.p, "\n# TYPE tailfin_lag_seconds gauge\ntailfin_lag_seconds 1.500000\n"));
    assert_non_null(strstr(
        out.p, "\ntailfin_event_outcomes_total{operation=\"update\",outcome=\"applied\"} 3\n"));
    const char *type = strstr(out.p, "# TYPE tailfin_event_outcomes_total counter\n");
    assert_non_null(type);
    assert_null(strstr(type + 1, "# TYPE tailfin_event_outcomes_total"));
    buf_fini(&out);
    metrics_free(m);
}

/* Every metric has its line in the page for operators, with unit and meaning. */
static void
test_page(void **state)
{
    struct buf page = {0};
    (void)state;
    assert_int_equal(fs_read_path("app/METRICS.md", 1 << 20, &page, NULL), RC_OK);
    buf_putc(&page, 0);
    for (size_t i = 0; i < METRIC_N; i++) {
        char line[512];
        struct span name = span_str(metric_rows[i].name);
        snprintf(line, sizeof line, "\n| `%.*s` | ", (int)span_find(name, 0, '{'), name.p);
        const char *at = strstr(page.p, line);
        if (!at)
            fail_msg("app/METRICS.md lacks %s", metric_rows[i].name);
        const char *end = strchr(at + 1, '\n');
        if (!memmem(at, (size_t)(end - at), metric_rows[i].help, strlen(metric_rows[i].help)))
            fail_msg("app/METRICS.md says something else of %s", metric_rows[i].name);
    }
    buf_fini(&page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),      cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_huge_values), cmocka_unit_test(test_text),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_families),
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
