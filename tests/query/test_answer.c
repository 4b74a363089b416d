/* The text of an answer: search-semantics section 12, and the fields of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/fields.h"
#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"default_sorting_field\":\"n\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"n\",\"type\":\"int32\"}]}";

static void
expect_fields(const char *document, const char *include, const char *exclude,
              const char *expected)
{
    struct arena arena = {0};
    struct buf out = {0};
    struct qry_names in = qry_names_of(span_str(include), &arena);
    struct qry_names without = qry_names_of(span_str(exclude), &arena);

    qry_fields_write(span_str(document), &in, in.n == 0 || qry_names_has(&in, SPAN_LIT("*")),
                     &without, &out);
    buf_putc(&out, '\0');
    assert_string_equal(out.p, expected);
    buf_fini(&out);
    arena_fini(&arena);
}

static void
fields(void **state)
{
    static const char document[] =
        "{\"a\":1.0,\"b\":{\"a\":[1,{\"x\":\"}\"}]},\"c\":\"q\\\"},{\\\\\",\"d\":[],\"e\":null}";

    (void)state;
    expect_fields(document, "", "", document);
    expect_fields(document, "a", "", "{\"a\":1.0}");
    expect_fields(document, "c, e", "", "{\"c\":\"q\\\"},{\\\\\",\"e\":null}");
    expect_fields(document, "", "b,c", "{\"a\":1.0,\"d\":[],\"e\":null}");
    expect_fields(document, "a,b", "b", "{\"a\":1.0}");
    expect_fields(document, "x", "", "{}");
    expect_fields(document, "", "*", "{}");
    expect_fields(document, "*, x", "a,b,c,d", "{\"e\":null}");
    expect_fields("{}", "a", "", "{}");
    expect_fields("{ \"a\" : 1 , \"b\" : [ 2 ] }", "b", "", "{\"b\" : [ 2 ] }");
}

/* The whole text, but for the time. */
static void
expect_text(struct ask *a, const char *query, const char *expected)
{
    if (ask(a, query) != RC_OK)
        fail_msg("%s: %s", query, a->err.text);
    buf_putc(&a->text, '\0');
    char *time = strstr(a->text.p, "\"search_time_ms\":");
    if (time) {
        char *digit = time + strlen("\"search_time_ms\":");
        assert_true(*digit >= '0' && *digit <= '9');
        *digit = '0';
    }
    assert_string_equal(a->text.p, expected);
}

static void
texts(void **state)
{
    struct ask a;

    (void)state;
    ask_init(&a, schema);
    expect_text(&a, "q=*",
                "{\"facet_counts\":[],\"found\":0,\"hits\":[],\"out_of\":0,\"page\":1,"
                "\"request_params\":{\"collection_name\":\"c\",\"first_q\":\"*\",\"per_page\":10,"
                "\"q\":\"*\"},\"search_cutoff\":false,\"search_time_ms\":0}");
    fixture_put(a.fixture, "{\"id\":\"a\",\"name\":\"x\xc3\xa9\",\"n\":1.0}");
    fixture_put(a.fixture, "{\"id\":\"b\\\"\",\"name\":\"y\",\"n\":2,\"extra\":[1.50]}");
    fixture_flush(a.fixture);
    expect_text(&a, "q=*&per_page=1",
                "{\"facet_counts\":[],\"found\":2,\"hits\":[{\"document\":{\"id\":\"b\\\"\","
                "\"name\":\"y\",\"n\":2,\"extra\":[1.50]},\"highlight\":{},\"highlights\":[]}],"
                "\"out_of\":2,\"page\":1,\"request_params\":{\"collection_name\":\"c\","
                "\"first_q\":\"*\",\"per_page\":1,\"q\":\"*\"},\"search_cutoff\":false,"
                "\"search_time_ms\":0}");
    expect_text(&a, "q=*&include_fields=id&limit=5&offset=1&enable_highlight_v1=false",
                "{\"facet_counts\":[],\"found\":2,\"hits\":[{\"document\":{\"id\":\"a\"},"
                "\"highlight\":{}}],\"offset\":1,\"out_of\":2,\"request_params\":{"
                "\"collection_name\":\"c\",\"first_q\":\"*\",\"per_page\":5,\"q\":\"*\"},"
                "\"search_cutoff\":false,\"search_time_ms\":0}");
    expect_text(&a, "q=*&include_fields=id&exclude_fields=id,out_of,search_time_ms&page=9",
                "{\"facet_counts\":[],\"found\":2,\"hits\":[],\"page\":9,\"request_params\":{"
                "\"collection_name\":\"c\",\"first_q\":\"*\",\"per_page\":10,\"q\":\"*\"},"
                "\"search_cutoff\":false}");
    expect_text(&a, "q=*&include_fields=id&per_page=1&sort_by=_text_match:desc&exclude_fields="
                    "search_time_ms",
                "{\"facet_counts\":[],\"found\":2,\"hits\":[{\"document\":{\"id\":\"b\\\"\"},"
                "\"highlight\":{},\"highlights\":[],\"text_match\":100,\"text_match_info\":{"
                "\"best_field_score\":\"0\",\"best_field_weight\":12,\"fields_matched\":4,"
                "\"num_tokens_dropped\":1,\"score\":\"100\",\"tokens_matched\":0,"
                "\"typo_prefix_score\":255}}],\"out_of\":2,\"page\":1,\"request_params\":{"
                "\"collection_name\":\"c\",\"first_q\":\"*\",\"per_page\":1,\"q\":\"*\"},"
                "\"search_cutoff\":false}");
    ask_expect(&a, "q=*&limit_hits=1", "b\"");
    ask_expect(&a, "q=*&limit_hits=1&page=2&per_page=1", "");
    ask_expect(&a, "q=*&per_page=0", "");
    assert_int_equal(a.found, 2);
    ask_fini(&a);
}

/* Later positions of a deep page are as exact as the first. */
static void
deep_pages(void **state)
{
    struct ask a;
    char text[64], ids[32];

    (void)state;
    ask_init(&a, schema);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof text, "{\"id\":\"%d\",\"name\":\"x\",\"n\":%d}", i, i / 2);
        fixture_put(a.fixture, text);
        if (i % 300 == 0)
            fixture_flush(a.fixture);
    }
    fixture_flush(a.fixture);
    for (int page = 1; page <= 1000; page += 37) {
        (void)snprintf(text, sizeof text, "q=*&per_page=1&page=%d&include_fields=id", page);
        (void)snprintf(ids, sizeof ids, "%d", 1000 - page);
        ask_expect(&a, text, ids);
    }
    ask_expect(&a, "q=*&per_page=3&page=100000", "");
    ask_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields),
        cmocka_unit_test(texts),
        cmocka_unit_test(deep_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
