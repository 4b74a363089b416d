/* facet_by and facet_query: search-semantics section 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"fields\":["
    "{\"name\":\"owner\",\"type\":\"string\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"tags\",\"type\":\"string[]\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"n\",\"type\":\"int32\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"nums\",\"type\":\"int64[]\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"x\",\"type\":\"float\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"on\",\"type\":\"bool\",\"facet\":true,\"optional\":true}]}";

static int
setup(void **state)
{
    static const char *const documents[] = {
        "{\"id\":\"1\",\"owner\":\"bob\",\"tags\":[\"Rock\",\"Soft Rock\",\"Rock\"],\"n\":1,"
        "\"nums\":[3,3,5],\"x\":1,\"on\":true}",
        "{\"id\":\"2\",\"owner\":\"alice\",\"tags\":[\"Rock\"],\"n\":5,\"x\":1.5,\"on\":false}",
        "{\"id\":\"3\",\"owner\":\"carol\",\"tags\":[\"Electronic\"],\"n\":10,\"x\":1.5,"
        "\"on\":true}",
        "{\"id\":\"4\",\"owner\":\"bob\",\"n\":-3,\"nums\":[5]}",
        "{\"id\":\"5\"}",
    };
    struct ask *a = ask_new(schema);
    ask_put(a, documents, ARRAY_SIZE(documents));
    fixture_put(a->fixture, "{\"id\":\"gone\",\"owner\":\"dead\",\"n\":77}");
    fixture_flush(a->fixture);
    fixture_delete(a->fixture, "gone");
    fixture_flush(a->fixture);
    *state = a;
    return 0;
}

/* The facets as "field value=count value=count; ...", with the number of values. */
static void
expect(struct ask *a, const char *query, const char *expected)
{
    char text[1024] = "";
    size_t n = 0;

    if (ask(a, query) != RC_OK)
        fail_msg("%s: %s", query, a->err.text);
    const struct json *facets = json_get(&a->json, "facet_counts");
    for (uint32_t i = 0; i < facets->n; i++) {
        const struct json *counts = json_get(&facets->items[i], "counts");
        struct span field = json_get_str(&facets->items[i], "field_name", SPAN_LIT("?"));
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i ? "; " : "", SPAN_ARG(field));
        for (uint32_t k = 0; k < counts->n; k++) {
            struct span value = json_get_str(&counts->items[k], "value", SPAN_LIT("?"));
            n += (size_t)snprintf(text + n, sizeof text - n, " %.*s=%lld", SPAN_ARG(value),
                                  (long long)json_get(&counts->items[k], "count")->i64);
        }
    }
    if (strcmp(text, expected) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", query, text, expected);
}

static double
stat(struct ask *a, const char *name)
{
    const struct json *facets = json_get(&a->json, "facet_counts");
    double v = -1000;

    (void)json_number(json_get(json_get(&facets->items[0], "stats"), name), &v);
    return v;
}

static void
counts(void **state)
{
    struct ask *a = *state;

    expect(a, "q=*&facet_by=owner", "owner bob=2 carol=1 alice=1");
    expect(a, "q=*&facet_by=owner&max_facet_values=1", "owner bob=2");
    assert_int_equal((int)stat(a, "total_values"), 3);
    expect(a, "q=*&facet_by=tags", "tags Rock=2 Soft Rock=1 Electronic=1");
    expect(a, "q=*&facet_by=nums", "nums 5=2 3=1");
    expect(a, "q=*&facet_by=x", "x 1.5=2 1=1");
    expect(a, "q=*&facet_by=on,owner&filter_by=n:>0",
           "on true=2 false=1; owner bob=1 carol=1 alice=1");
    expect(a, "q=*&facet_by=o*", "owner bob=2 carol=1 alice=1; on true=2 false=1");
    expect(a, "q=*&facet_by=owner(sort_by:_alpha:asc)", "owner alice=1 bob=2 carol=1");
    expect(a, "q=*&facet_by=owner( sort_by : _alpha:desc )", "owner carol=1 bob=2 alice=1");
    expect(a, "q=*&facet_by=owner&filter_by=n:>1000", "owner");
    expect(a, "q=*&facet_by=n(low:[,1], mid:[1,10], high:[10,])", "n mid=2 low=1 high=1");
}

static void
stats(void **state)
{
    struct ask *a = *state;

    expect(a, "q=*&facet_by=n", "n 5=1 1=1 10=1 -3=1");
    assert_true(stat(a, "sum") > 12.9 && stat(a, "sum") < 13.1);
    assert_true(stat(a, "avg") > 3.2 && stat(a, "avg") < 3.3);
    assert_true(stat(a, "min") < -2.9 && stat(a, "max") > 9.9);
    assert_int_equal((int)stat(a, "total_values"), 4);
    expect(a, "q=*&facet_by=owner", "owner bob=2 carol=1 alice=1");
    assert_true(stat(a, "sum") < -999); /* strings have none */
}

static void
queries(void **state)
{
    struct ask *a = *state;

    expect(a, "q=*&facet_by=tags&facet_query=tags:ro", "tags Rock=2 Soft Rock=1");
    expect(a, "q=*&facet_by=tags&facet_query=tags: soft ro", "tags Soft Rock=1");
    const struct json *entry =
        &json_get(&json_get(&a->json, "facet_counts")->items[0], "counts")->items[0];
    assert_true(span_eq_str(json_get_str(entry, "highlighted", SPAN_LIT("")),
                            "<mark>Soft</mark> <mark>Ro</mark>ck"));
    expect(a, "q=*&facet_by=tags&facet_query=tags:eletronic", "tags Electronic=1");
    expect(a, "q=*&facet_by=tags&facet_query=tags:eletronic&facet_query_num_typos=0", "tags");
    expect(a, "q=*&facet_by=tags&facet_query=tags:zzz", "tags");
    expect(a, "q=*&facet_by=tags&facet_query=tags:", "tags Rock=2 Soft Rock=1 Electronic=1");
    expect(a, "q=*&facet_by=n&facet_query=n:1", "n 1=1 10=1");
    assert_string_equal(a->ids, ""); /* per_page is 0 then */
}

static void
refused(void **state)
{
    static const char *const texts[] = {
        "n(low:[0,1],high:[2,3])", "n(low:[0,2],high:[1,3])",   "n(low:[0,1],high:[1,3)",
        "n(low:[0 1])",            "n(low:[a,b])",              "owner(low:[0,1])",
        "n(sort_by:_alpha:asc)",   "owner(sort_by:n:asc)",      "owner(sort_by:_alpha:up)",
        "owner(sort:_alpha:asc)",  "owner(sort_by:_alpha:asc",
    };
    char text[128];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        (void)snprintf(text, sizeof text, "q=*&facet_by=%s", texts[i]);
        ask_expect_error(*state, text, RC_INVALID);
    }
    ask_expect_error(*state, "q=*&facet_by=nope", RC_ABSENT);
    ask_expect_error(*state, "q=*&facet_by=zz*", RC_ABSENT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(stats, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(queries, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(refused, setup, ask_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
