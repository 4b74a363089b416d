/* group_by, pinned_hits and hidden_hits: search-semantics section 10. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"default_sorting_field\":\"n\",\"fields\":["
    "{\"name\":\"brand\",\"type\":\"string\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"size\",\"type\":\"int32\",\"facet\":true},"
    "{\"name\":\"cast\",\"type\":\"string[]\",\"facet\":true,\"optional\":true},"
    "{\"name\":\"n\",\"type\":\"int32\"}]}";

static int
setup(void **state)
{
    static const char *const documents[] = {
        "{\"id\":\"a\",\"brand\":\"Omega\",\"size\":10,\"n\":1,\"cast\":[\"x\",\"y\"]}",
        "{\"id\":\"b\",\"brand\":\"Beta\",\"size\":11,\"n\":2,\"cast\":[\"x\"]}",
        "{\"id\":\"c\",\"brand\":\"Omega\",\"size\":12,\"n\":3,\"cast\":[\"x\",\"y\"]}",
        "{\"id\":\"d\",\"size\":10,\"n\":4}",
        "{\"id\":\"e\",\"brand\":\"Beta\",\"size\":10,\"n\":5}",
        "{\"id\":\"f\",\"size\":12,\"n\":6}",
    };
    struct ask *a = ask_new(schema);
    ask_put(a, documents, ARRAY_SIZE(documents));
    *state = a;
    return 0;
}

static const struct json *
group(struct ask *a, uint32_t i)
{
    return &json_get(&a->json, "grouped_hits")->items[i];
}

static void
expect_key(struct ask *a, uint32_t i, const char *expected)
{
    struct buf text = {0};

    json_put(&text, json_get(group(a, i), "group_key"), false);
    buf_putc(&text, '\0');
    assert_string_equal(text.p, expected);
    buf_fini(&text);
}

static void
groups(void **state)
{
    struct ask *a = *state;

    ask_expect(a, "q=*&group_by=brand", "(f d) (e b) (c a)");
    assert_int_equal(a->found, 3);
    assert_int_equal(json_get(&a->json, "found_docs")->i64, 6);
    assert_int_equal(json_get(group(a, 1), "found")->i64, 2);
    expect_key(a, 0, "[]");
    expect_key(a, 1, "[\"Beta\"]");
    ask_expect(a, "q=*&group_by=brand&group_limit=1", "(f) (e) (c)");
    assert_int_equal(json_get(group(a, 0), "found")->i64, 2);
    ask_expect(a, "q=*&group_by=brand&group_missing_values=false", "(f) (e b) (d) (c a)");
    ask_expect(a, "q=*&group_by=size&sort_by=n:asc", "(a d e) (b) (c f)");
    expect_key(a, 0, "[10]");
    ask_expect(a, "q=*&group_by=size,brand", "(f) (e) (d) (c) (b) (a)");
    expect_key(a, 1, "[10,\"Beta\"]");
    expect_key(a, 2, "[10]");
    ask_expect(a, "q=*&group_by=cast", "(f e d) (c a) (b)");
    expect_key(a, 1, "[[\"x\",\"y\"]]");
    ask_expect(a, "q=*&group_by=size&sort_by=_group_found:desc", "(e d a) (f c) (b)");
    ask_expect(a, "q=*&group_by=brand&per_page=1&page=2", "(e b)");
    ask_expect(a, "q=*&group_by=brand&filter_by=n:<4", "(c a) (b)");
}

/* A value's facet count is its number of groups. */
static void
facets_of_groups(void **state)
{
    struct ask *a = *state;

    assert_int_equal(ask(a, "q=*&group_by=size&facet_by=brand"), RC_OK);
    const struct json *counts =
        json_get(&json_get(&a->json, "facet_counts")->items[0], "counts");
    assert_int_equal(counts->n, 2);
    assert_int_equal(json_get(&counts->items[0], "count")->i64, 2);
    assert_int_equal(ask(a, "q=*&group_by=brand&facet_by=brand"), RC_OK);
    counts = json_get(&json_get(&a->json, "facet_counts")->items[0], "counts");
    assert_int_equal(json_get(&counts->items[0], "count")->i64, 1);
}

static void
curation(void **state)
{
    struct ask *a = *state;

    ask_expect(a, "q=*&pinned_hits=a:1,b:3", "a f b e d c");
    assert_int_equal(a->found, 6);
    ask_expect(a, "q=*&pinned_hits=a:1,b:1,c:9", "a f e d b c");
    ask_expect(a, "q=*&pinned_hits=nope:1,b:2", "f b e d c a");
    ask_expect(a, "q=*&pinned_hits=a:2&filter_by=n:>4", "f a e");
    assert_int_equal(a->found, 3);
    ask_expect(a, "q=*&pinned_hits=a:2&filter_by=n:>4&filter_curated_hits=true", "f e");
    ask_expect(a, "q=*&hidden_hits=f,e", "d c b a");
    ask_expect(a, "q=*&hidden_hits=f&pinned_hits=f:1,a:1", "a e d c b");
    ask_expect(a, "q=*&pinned_hits=a:1,b:2&per_page=2", "a b");
    ask_expect(a, "q=*&pinned_hits=a:1,b:2&per_page=2&page=2", "f e");
    assert_true(json_get(&a->json, "hits")->n == 2);
    assert_int_equal(ask(a, "q=*&pinned_hits=a:1"), RC_OK);
    const struct json *hit = &json_get(&a->json, "hits")->items[0];
    assert_true(json_get(hit, "curated")->boolean);
    assert_null(json_get(&json_get(&a->json, "hits")->items[1], "curated"));
    /* Pins of a position are one group; the groups they come from are not shown again. */
    ask_expect(a, "q=*&group_by=brand&pinned_hits=b:1,a:1", "(b a) (f d)");
    ask_expect(a, "q=*&group_by=size&pinned_hits=b:2", "(f c) (b) (e d a)");
    assert_int_equal(a->found, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(groups, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(facets_of_groups, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(curation, setup, ask_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
