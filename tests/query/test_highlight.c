/* Highlights: search-semantics section 10.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"default_sorting_field\":\"n\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},"
    "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true},"
    "{\"name\":\"n\",\"type\":\"int32\"}]}";

static int
setup(void **state)
{
    struct ask *a = ask_new(schema);
    fixture_put(a->fixture, "{\"id\":\"1\",\"name\":\"Kappa-Pride forever!\",\"n\":1,"
                            "\"tags\":[\"cat\",\"big Cat\",\"dog\"]}");
    fixture_put(a->fixture, "{\"id\":\"2\",\"name\":\"caf\xc3\xa9_au_lait\",\"n\":2}");
    fixture_put(a->fixture,
                "{\"id\":\"3\",\"n\":3,\"name\":\"a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 b0 b1 b2 b3 b4 b5 "
                "b6 b7 b8 b9 needle c1 c2 c3 c4 c5 c6 c7 c8 c9 d0 d1 d2 d3 d4 d5\"}");
    fixture_put(a->fixture, "{\"id\":\"4\",\"name\":\"peepoHappy\",\"n\":4}");
    fixture_flush(a->fixture);
    *state = a;
    return 0;
}

static void
expect(struct ask *a, const char *query, const char *highlight, const char *highlights)
{
    struct buf text = {0};

    if (ask(a, query) != RC_OK)
        fail_msg("%s: %s", query, a->err.text);
    const struct json *hits = json_get(&a->json, "hits");
    if (hits->n == 0)
        fail_msg("%s: no hits", query);
    json_put(&text, json_get(&hits->items[0], "highlight"), false);
    buf_putc(&text, '\0');
    assert_string_equal(text.p, highlight);
    if (highlights) {
        buf_clear(&text);
        json_put(&text, json_get(&hits->items[0], "highlights"), false);
        buf_putc(&text, '\0');
        assert_string_equal(text.p, highlights);
    }
    buf_fini(&text);
}

static void
words(void **state)
{
    struct ask *a = *state;

    expect(a, "q=forever&query_by=name",
           "{\"name\":{\"matched_tokens\":[\"forever\"],"
           "\"snippet\":\"Kappa-Pride <mark>forever</mark>!\"}}",
           "[{\"field\":\"name\",\"matched_tokens\":[\"forever\"],"
           "\"snippet\":\"Kappa-Pride <mark>forever</mark>!\"}]");
    /* A prefix marks as many characters as were typed, punctuation not counted. */
    expect(a, "q=kappapri&query_by=name",
           "{\"name\":{\"matched_tokens\":[\"Kappa-Pri\"],"
           "\"snippet\":\"<mark>Kappa-Pri</mark>de forever!\"}}",
           NULL);
    expect(a, "q=cafe&query_by=name",
           "{\"name\":{\"matched_tokens\":[\"caf\xc3\xa9\"],"
           "\"snippet\":\"<mark>caf\xc3\xa9</mark>_au_lait\"}}",
           NULL);
    /* A typo in a prefix, and in a whole word. */
    expect(a, "q=pepo&query_by=name",
           "{\"name\":{\"matched_tokens\":[\"peep\"],\"snippet\":\"<mark>peep</mark>oHappy\"}}",
           NULL);
    expect(a, "q=pepeoHapy&query_by=name",
           "{\"name\":{\"matched_tokens\":[\"peepoHappy\"],"
           "\"snippet\":\"<mark>peepoHappy</mark>\"}}",
           NULL);
}

static void
arrays(void **state)
{
    struct ask *a = *state;

    expect(a, "q=cat&query_by=tags&filter_by=id:1",
           "{\"tags\":[{\"matched_tokens\":[\"cat\"],\"snippet\":\"<mark>cat</mark>\"},"
           "{\"matched_tokens\":[\"Cat\"],\"snippet\":\"big <mark>Cat</mark>\"},"
           "{\"matched_tokens\":[],\"snippet\":\"dog\"}]}",
           "[{\"field\":\"tags\",\"indices\":[0,1],\"matched_tokens\":[[\"cat\"],[\"Cat\"]],"
           "\"snippets\":[\"<mark>cat</mark>\",\"big <mark>Cat</mark>\"]}]");
    expect(a, "q=dog&query_by=tags&highlight_full_fields=tags",
           "{\"tags\":[{\"matched_tokens\":[],\"snippet\":\"cat\",\"value\":\"cat\"},"
           "{\"matched_tokens\":[],\"snippet\":\"big Cat\",\"value\":\"big Cat\"},"
           "{\"matched_tokens\":[\"dog\"],\"snippet\":\"<mark>dog</mark>\","
           "\"value\":\"<mark>dog</mark>\"}]}",
           "[{\"field\":\"tags\",\"indices\":[2],\"matched_tokens\":[[\"dog\"]],"
           "\"snippets\":[\"<mark>dog</mark>\"],\"values\":[\"<mark>dog</mark>\"]}]");
}

static void
snippets(void **state)
{
    struct ask *a = *state;

    expect(a, "q=needle&query_by=name",
           "{\"name\":{\"matched_tokens\":[\"needle\"],"
           "\"snippet\":\"b6 b7 b8 b9 <mark>needle</mark> c1 c2 c3 c4\"}}",
           NULL);
    expect(a, "q=needle&query_by=name&highlight_affix_num_tokens=1&highlight_start_tag=%3Cb%3E"
              "&highlight_end_tag=%3C/b%3E",
           "{\"name\":{\"matched_tokens\":[\"needle\"],\"snippet\":\"b9 <b>needle</b> c1\"}}",
           NULL);
    expect(a, "q=needle&query_by=name&snippet_threshold=100&filter_by=id:3&highlight_fields=name,x",
           "{\"name\":{\"matched_tokens\":[\"needle\"],\"snippet\":\"a0 a1 a2 a3 a4 a5 a6 a7 a8 "
           "a9 b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 <mark>needle</mark> c1 c2 c3 c4 c5 c6 c7 c8 c9 d0 d1 "
           "d2 d3 d4 d5\"}}",
           NULL);
}

static void
none(void **state)
{
    struct ask *a = *state;

    expect(a, "q=*", "{}", "[]");
    expect(a, "q=dog&query_by=tags&highlight_fields=none", "{}", "[]");
    expect(a, "q=dog&query_by=tags&include_fields=id", "{}", "[]");
    expect(a, "q=dog&query_by=tags&exclude_fields=tags", "{}", "[]");
    assert_int_equal(ask(a, "q=dog&query_by=tags&enable_highlight_v1=false"), RC_OK);
    const struct json *hit = &json_get(&a->json, "hits")->items[0];
    assert_non_null(json_get(hit, "highlight"));
    assert_null(json_get(hit, "highlights"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(arrays, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(snippets, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(none, setup, ask_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
