/*
 * What is asked of Typesense: parameters of every source, and filters that
 * cannot reach into each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/outgoing.h"

static struct span
joined(const char *own, const char *scope, struct arena *arena)
{
    struct qry_params p = {.and_filters = {span_str(scope)}, .n_and_filters = scope ? 1 : 0};
    struct err err = {0};
    struct span out = {0};

    p.value[QRY_P_FILTER_BY] = own ? span_str(own) : (struct span){0};
    enum rc rc = qry_filters_join(&p, arena, &out, &err);
    assert_true(rc == RC_OK || (rc == RC_INVALID && err.text[0]));
    return rc == RC_OK ? out : SPAN_LIT("refused");
}

static void
filters_that_join(void **state)
{
    (void)state;
    static const char *const plain[] = {
        "a:1",
        "a:=1 && b:2",
        "a: 1&&b :2||c:3",
        "(a:1)",
        "((a:1 || b:2) && c:3)",
        " ( a:1 ) ",
        "a:[1..3, 7]",
        "a:!=[`x y`,z]",
        "tags:=`a \"b\" c`",
        "a.b_c-d:>=-1.5",
        "place:(48.9, 2.36, 5.1 km)",
        "place:(48.9, 2.36, 48.1, 2.1) && a:1",
        "na\xc3\xafve:\xf0\x9f\x90\x9f",
        "name:R&D",
        "name:a|b || c:d",
        "*:x",
    };
    struct arena arena = {0};
    for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
        struct span expected = arena_printf(&arena, "(%s) && (owner:=me)", plain[i]);
        assert_string_equal(arena_str(&arena, joined(plain[i], "owner:=me", &arena)), expected.p);
    }
    arena_fini(&arena);
}

static void
filters_that_do_not(void **state)
{
    (void)state;
    static const char *const unusual[] = {
        "a",
        ":1",
        "a:",
        "a: ",
        "()",
        "a:1)",
        "(a:1",
        ")(a:1",
        "a:1) || (b:2",
        "a:1)) || ((b:2",
        "a:1 &&",
        "|| a:1",
        "a:1 && && b:2",
        "a:1 &&& b:2",
        "a:1 (b:2)",
        "(a:1)(b:2)",
        "a:x(y)",
        "a:((1)",
        "a:(( ) ) || b:(( ",
        "a:(1`)`)",
        "a:(1 && b:2)",
        "a:`x",
        "a:`x)` || b:`(y`",
        "a:`x` `",
        "a:`x || b:1",
        "a:`x` y) || (b:`z`",
        "a:x\\) || (b:y",
        "$other(a:1)",
        "a:$other(b:1)",
        "a:1\n|| b:2",
        "a:1 || `b`:2",
    };
    struct arena arena = {0};
    for (size_t i = 0; i < ARRAY_SIZE(unusual); i++) {
        if (!span_eq_str(joined(unusual[i], "owner:=me", &arena), "refused"))
            fail_msg("joined: %s", unusual[i]);
        /* Alone it is between the client and Typesense. */
        assert_true(span_eq_str(joined(unusual[i], NULL, &arena), unusual[i]));
    }
    char deep[2 * 40 + 4] = {0};
    memset(deep, '(', 40);
    memcpy(deep + 40, "a:1", 3);
    memset(deep + 43, ')', 40);
    assert_true(span_eq_str(joined(deep, "owner:=me", &arena), "refused"));
    assert_true(span_eq_str(joined("", "owner:=me", &arena), "owner:=me"));
    assert_true(span_eq_str(joined("  ", "x) || (y", &arena), "x) || (y"));
    assert_int_equal(joined(NULL, NULL, &arena).n, 0);
    arena_fini(&arena);
}

/* Whatever text is accepted: read by its parentheses alone, none of it is outside of its own pair.
 */
static void
joined_filters_stay_apart(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a",   ":", "1", "(",  ")", "`",   "&&", "||", " ",
                                         "b:2", "[", "]", "\\", "$", "(1)", ":(", "=",  ","};
    struct arena arena = {0};
    unsigned n_accepted = 0;
    uint64_t random = 88172645463325252ull;
    for (int i = 0; i < 200000; i++) {
        struct buf text = {0};
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        for (uint64_t k = 0, left = random; k < 3 + (random >> 60); k++, left /= 19)
            buf_puts(&text, pieces[left % ARRAY_SIZE(pieces)]);
        struct qry_params p = {.and_filters = {SPAN_LIT("s:1")}, .n_and_filters = 1};
        struct span out;
        p.value[QRY_P_FILTER_BY] = buf_span(&text);
        if (span_trim(buf_span(&text)).n > 0 && qry_filters_join(&p, &arena, &out, NULL) == RC_OK) {
            n_accepted++;
            int depth = 0;
            for (size_t at = 0; at + 1 < text.n + 2; at++) {
                depth += out.p[at] == '(' ? 1 : out.p[at] == ')' ? -1 : 0;
                assert_true(depth > 0);
            }
            assert_int_equal(depth, 1);
        }
        buf_fini(&text);
        arena_reset(&arena);
    }
    assert_true(n_accepted > 100);
    arena_fini(&arena);
}

/* ---- whole requests ---- */

static struct http_request
request_of(const char *path, const char *query, struct arena *arena)
{
    struct span rest = span_str(path), *parts = arena_calloc(arena, 8, sizeof *parts);
    struct http_request r = {.method = HTTP_GET, .path = span_str(path), .query = span_str(query)};
    size_t n = 0;

    while (rest.p && n < 8) {
        struct span part = span_split(&rest, '/');
        if (part.n > 0)
            parts[n++] = http_decode(part, false, arena);
    }
    r.parts = parts;
    r.n_parts = n;
    r.params = http_params(r.query, arena, &r.n_params);
    return r;
}

static void
expect_search(const char *path, const char *query, const char *scope, const char *expected)
{
    struct arena arena = {0};
    struct http_request r = request_of(path, query, &arena);
    struct qry_params params = {0}, embedded = {0};
    struct qry_gathered g = {.params = &params, .n = 1, .request = &r};
    struct qry_outgoing out = {0};
    struct json json;

    qry_params_url(&params, r.params, r.n_params, &arena);
    if (scope) {
        assert_int_equal(json_parse(span_str(scope), &arena, &json, NULL), RC_OK);
        assert_int_equal(qry_params_json(&embedded, &json, true, &arena, NULL), RC_OK);
        qry_params_override(&params, &embedded);
    }
    if (qry_outgoing_search(&g, &arena, &out, NULL) == RC_OK) {
        buf_putc(&out.target, '\0');
        assert_string_equal(out.target.p, expected);
        assert_false(out.is_post);
    } else {
        assert_string_equal("refused", expected);
    }
    qry_outgoing_fini(&out);
    arena_fini(&arena);
}

static void
search_targets(void **state)
{
    (void)state;
    static const char path[] = "/collections/c%20d/documents/search";
    expect_search(path, "q=a+b&query_by=n%2Cm", NULL,
                  "/collections/c%20d/documents/search?q=a%20b&query_by=n%2Cm");
    expect_search(path,
                  "q=a&match=full&x-typesense-api-key=secret&collection=x&id=1&name=2&expires_at=1",
                  NULL, "/collections/c%20d/documents/search?q=a");
    expect_search(path, "q=a&vector_query=v&q=b", NULL,
                  "/collections/c%20d/documents/search?q=b&vector_query=v");
    expect_search(path, "q=a&filter_by=x%3A1&filter_by=y%3A2", NULL,
                  "/collections/c%20d/documents/search?q=a&filter_by=x%3A1%26%26y%3A2");
    expect_search(path, "q=a&per_page=50&filter_by=x%3A1",
                  "{\"filter_by\":\"o:1\",\"per_page\":5,\"exclude_fields\":\"secret\"}",
                  "/collections/c%20d/documents/search?exclude_fields=secret&per_page=5&q=a"
                  "&filter_by=%28x%3A1%29%20%26%26%20%28o%3A1%29");
    expect_search(path, "q=a&filter_by=x%3A1)||(y:1", "{\"filter_by\":\"o:1\"}", "refused");
    expect_search("/collections/../documents/search", "q=a", NULL, "refused");
    expect_search("/collections/%2e/documents/search", "q=a", NULL, "refused");
    expect_search("/collections/a%2F..%2Fb/documents/search", "q=a", NULL,
                  "/collections/a%2F..%2Fb/documents/search?q=a");
    expect_search(path, "q=a&include_fields=%24other%28x%29", NULL, "refused");
    expect_search(path, "q=%24other%28x%29", NULL,
                  "/collections/c%20d/documents/search?q=%24other%28x%29");
}

static void
expect_multi(const char *first, const char *target, const char *before, const char *paging)
{
    struct arena arena = {0};
    struct http_request r = request_of("/multi_search", "later=1&q=b&collection=c", &arena);
    struct qry_params params = {0}, url = {0};
    struct json body;
    struct qry_gathered g = {
        .params = &params, .n = 1, .is_multi = true, .request = &r, .body = &body};
    struct qry_outgoing out = {0};
    struct span text = arena_printf(
        &arena,
        "{%s\"x-typesense-api-key\":\"secret\",\"searches\":[{\"q\":\"\\\"a\\\"\","
        "\"collection\":\"wrong\",\"per_page\":3,\"match\":\"full\",\"new_one\":[1,{\"x\":2}],"
        "\"x-typesense-api-key\":\"secret\",\"filter_by\":\"x:1\"}]}",
        first);
    struct span expected = arena_printf(
        &arena,
        "{%s\"searches\":[{\"new_one\":[1,{\"x\":2}],\"collection\":\"c\",%s\"q\":\"b\","
        "\"filter_by\":\"(x:1) && (o:1)\"}]}",
        before, paging);

    assert_int_equal(json_parse(text, &arena, &body, NULL), RC_OK);
    const struct json *search = &json_get(&body, "searches")->items[0];
    assert_int_equal(qry_params_json(&params, search, true, &arena, NULL), RC_OK);
    qry_params_url(&url, r.params, r.n_params, &arena);
    qry_params_override(&params, &url);
    params.and_filters[params.n_and_filters++] = SPAN_LIT("o:1");
    assert_int_equal(qry_outgoing_search(&g, &arena, &out, NULL), RC_OK);
    buf_putc(&out.target, '\0');
    buf_putc(&out.body, '\0');
    assert_string_equal(out.target.p, target);
    assert_string_equal(out.body.p, expected.p);
    assert_true(out.is_post);
    assert_int_equal(out.n_searches, 1);
    qry_outgoing_fini(&out);
    arena_fini(&arena);
}

static void
multi_bodies(void **state)
{
    (void)state;
    expect_multi("", "/multi_search?later=1", "", "\"per_page\":\"3\",");
    expect_multi("\"other\":[],\"union\":false,", "/multi_search?later=1",
                 "\"other\":[],\"union\":false,", "\"per_page\":\"3\",");
    expect_multi("\"union\":true,", "/multi_search?later=1&per_page=3", "\"union\":true,", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_that_join),
        cmocka_unit_test(filters_that_do_not),
        cmocka_unit_test(joined_filters_stay_apart),
        cmocka_unit_test(search_targets),
        cmocka_unit_test(multi_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
