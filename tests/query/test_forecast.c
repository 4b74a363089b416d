/* Forecasts: kinds of requests, and averages that follow what is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/forecast.h"

static uint32_t
kind_of(const char *path, const char *query)
{
    struct arena arena = {0};
    struct http_request r = {.path = span_str(path)};

    r.params = http_params(span_str(query), &arena, &r.n_params);
    uint32_t kind = qry_forecast_kind(&r);
    arena_fini(&arena);
    return kind;
}

static void
kinds(void **state)
{
    static const char path[] = "/collections/emotes/documents/search";

    (void)state;
    assert_int_equal(kind_of(path, "q=abc&query_by=name"), kind_of(path, "query_by=name&q=xyz"));
    assert_int_equal(kind_of(path, "q=abc&page=2"), kind_of(path, "q=abc"));
    assert_int_not_equal(kind_of(path, "q=abc"), kind_of(path, "q=abcd"));
    assert_int_not_equal(kind_of(path, "q=abc"), kind_of(path, "q=abc&exhaustive_search=true"));
    assert_int_not_equal(kind_of(path, "q=abc"), kind_of("/collections/users", "q=abc"));
}

static void
averages(void **state)
{
    struct qry_forecast f = {0};

    (void)state;
    assert_int_equal(qry_forecast_us(&f, 5), 0);
    qry_forecast_learn(&f, 5, 8000);
    assert_in_range(qry_forecast_us(&f, 5), 900, 1100); /* one outlier is no rule */
    for (int i = 0; i < 60; i++)
        qry_forecast_learn(&f, 5, 8000);
    assert_in_range(qry_forecast_us(&f, 5), 7800, 8100);
    for (int i = 0; i < 60; i++)
        qry_forecast_learn(&f, 5, 100);
    assert_in_range(qry_forecast_us(&f, 5), 90, 200);
    qry_forecast_learn(&f, 5, UINT64_MAX); /* no overflow */
    assert_true(qry_forecast_us(&f, 5) < 60000000);
    assert_int_equal(qry_forecast_us(&f, 6), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(averages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
