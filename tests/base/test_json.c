#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum rc
parse(const char *text, struct arena *a, struct json *v, struct err *err)
{
    return json_parse(span_str(text), a, v, err);
}

static void
test_values(void **state)
{
    struct arena a = {0};
    struct json v;
    double d;
    (void)state;
    assert_int_equal(parse(" null\n", &a, &v, NULL), RC_OK);
    assert_int_equal(v.type, JSON_NULL);
    assert_int_equal(parse("true", &a, &v, NULL), RC_OK);
    assert_true(v.type == JSON_BOOL && v.boolean);
    assert_int_equal(parse("false", &a, &v, NULL), RC_OK);
    assert_true(v.type == JSON_BOOL && !v.boolean);
    assert_int_equal(parse("\"\"", &a, &v, NULL), RC_OK);
    assert_true(v.type == JSON_STRING && v.string.n == 0);
    assert_int_equal(parse("[]", &a, &v, NULL), RC_OK);
    assert_true(v.type == JSON_ARRAY && v.n == 0);
    assert_int_equal(parse("{}", &a, &v, NULL), RC_OK);
    assert_true(v.type == JSON_OBJECT && v.n == 0);
    assert_false(json_number(&v, &d));
    assert_false(json_number(NULL, &d));
    arena_fini(&a);
}

struct number {
    const char *text;
    enum json_type type;
    int64_t i64;
    double number;
};

static const struct number numbers[] = {
    {"0", JSON_INT, 0, 0},
    {"-0", JSON_INT, 0, 0},
    {"42", JSON_INT, 42, 42},
    {"9223372036854775807", JSON_INT, INT64_MAX, 9223372036854775807.0},
    {"-9223372036854775808", JSON_INT, INT64_MIN, -9223372036854775808.0},
    {"9223372036854775808", JSON_DOUBLE, 0, 9223372036854775808.0},
    {"18446744073709551616", JSON_DOUBLE, 0, 18446744073709551616.0},
    {"1.0", JSON_DOUBLE, 0, 1.0},
    {"-1.5e3", JSON_DOUBLE, 0, -1500},
    {"1E2", JSON_DOUBLE, 0, 100},
    {"1e-400", JSON_DOUBLE, 0, 0},
};

static void
test_numbers(void **state)
{
    struct arena a = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        const struct number *wanted = &numbers[i];
        struct json v;
        double d;
        assert_int_equal(parse(wanted->text, &a, &v, NULL), RC_OK);
        assert_int_equal(v.type, wanted->type);
        assert_true(span_eq_str(v.text, wanted->text));
        assert_true(v.type == JSON_DOUBLE || v.i64 == wanted->i64);
        assert_true(json_number(&v, &d) && d == wanted->number);
    }
    arena_fini(&a);
}

static void
test_strings(void **state)
{
    struct arena a = {0};
    struct json v;
    (void)state;
    assert_int_equal(parse("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", &a, &v, NULL), RC_OK);
    assert_true(span_eq_str(v.string, "a\"\\/\b\f\n\r\tz"));
    assert_int_equal(parse("\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"", &a, &v, NULL), RC_OK);
    assert_true(span_eq_str(v.string, "A\u00e9\u20ac\U0001f600"));
    assert_int_equal(parse("\"\\u0000\"", &a, &v, NULL), RC_OK);
    assert_true(span_eq(v.string, SPAN_LIT("\0")));
    assert_int_equal(parse("\"caf\u00e9 \U0001f600\"", &a, &v, NULL), RC_OK);
    assert_true(span_eq_str(v.string, "caf\u00e9 \U0001f600"));
    /* Escapes beside plain strings, in names and values. */
    assert_int_equal(
        parse("{\"a\":\"b\",\"\\u0063\":\"\\n\",\"d\":[\"\\\"\",\"x\",\"\\\\\"]}", &a, &v, NULL),
        RC_OK);
    assert_true(span_eq_str(json_get_str(&v, "a", SPAN_LIT("?")), "b"));
    assert_true(span_eq_str(json_get_str(&v, "c", SPAN_LIT("?")), "\n"));
    const struct json *d = json_get(&v, "d");
    assert_int_equal(d->n, 3);
    assert_true(span_eq_str(d->items[0].string, "\""));
    assert_true(span_eq_str(d->items[1].string, "x"));
    assert_true(span_eq_str(d->items[2].string, "\\"));
    arena_fini(&a);
}

static void
test_text_may_be_freed(void **state)
{
    struct arena a = {0};
    struct json v;
    char *text = xstrdup("{\"name\":[\"value\",1.5]}");
    (void)state;
    assert_int_equal(json_parse(span_of(text, strlen(text)), &a, &v, NULL), RC_OK);
    memset(text, 'x', strlen(text));
    free(text);
    const struct json *items = json_get(&v, "name");
    assert_true(span_eq_str(items->items[0].string, "value"));
    assert_true(span_eq_str(items->items[1].text, "1.5"));
    arena_fini(&a);
}

static const struct span bad[] = {
#define BAD(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
    BAD(""),
    BAD(" "),
    BAD("{"),
    BAD("["),
    BAD("]"),
    BAD("[1,]"),
    BAD("[,1]"),
    BAD("[1 2]"),
    BAD("{\"a\"}"),
    BAD("{\"a\":}"),
    BAD("{\"a\":1,}"),
    BAD("{a:1}"),
    BAD("{1:1}"),
    BAD("{} {}"),
    BAD("1 2"),
    BAD("nul"),
    BAD("truex"),
    BAD("True"),
    BAD("NaN"),
    BAD("Infinity"),
    BAD("01"),
    BAD("1."),
    BAD(".5"),
    BAD("+1"),
    BAD("1e"),
    BAD("-"),
    BAD("0x1"),
    BAD("1e999"),
    BAD("-1e999"),
    BAD("\""),
    BAD("\"a"),
    BAD("\"\\"),
    BAD("\"\\\""),
    BAD("\"\\x\""),
    BAD("\"\\u12\""),
    BAD("\"\\u12g4\""),
    BAD("\"\n\""),
    BAD("\"\t\""),
    BAD("\"\0\""),
    BAD("1\0"),
    BAD("'a'"),
    BAD("[1]//x"),
    BAD("/**/1"),
    BAD("\"\x80\""),
    BAD("\"\xc0\x80\""),
    BAD("\"\xed\xa0\x80\""),
    BAD("\"\xf4\x90\x80\x80\""),
    BAD("\"\xc3\""),
    BAD("\"\\n\xc3\""),
    BAD("{\"\xff\":1}"),
    BAD("\xc3\xa9"),
    BAD("\xef\xbb\xbf{}"),
    BAD("\"\\ud800\""),
    BAD("\"\\ud800x\""),
    BAD("\"\\udc00\""),
    BAD("\"\\ud800\\ud800\""),
    BAD("\"\\ud800\\u0041\""),
    BAD("\"\\ud800\\n\""),
    BAD("{\"\\udfff\":1}"),
#undef BAD
};

static void
test_refused(void **state)
{
    struct arena a = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct json v = {.type = JSON_BOOL, .n = 77};
        struct err err = {0};
        if (json_parse(bad[i], &a, &v, &err) != RC_INVALID)
            fail_msg("accepted: %.*s", SPAN_ARG(bad[i]));
        assert_int_equal(err.rc, RC_INVALID);
        assert_non_null(strstr(err.text, "JSON is not valid at byte "));
        assert_int_equal(v.n, 77);
        assert_int_equal(json_parse(bad[i], &a, &v, NULL), RC_INVALID);
    }
    arena_fini(&a);
}

static void
test_error_offset(void **state)
{
    struct arena a = {0};
    struct json v;
    struct err err;
    (void)state;
    assert_int_equal(parse("{\"a\": 1, \"b\": x}", &a, &v, &err), RC_INVALID);
    uint64_t offset;
    const char *digits = err.text + strlen("JSON is not valid at byte ");
    assert_true(span_u64(span_of(digits, strcspn(digits, ":")), &offset));
    assert_in_range(offset, 14, 16);
    arena_fini(&a);
}

static void
test_depth(void **state)
{
    struct arena a = {0};
    struct buf text = {0};
    struct json v;
    (void)state;
    for (unsigned depth = 1; depth < 100; depth++) {
        buf_clear(&text);
        for (unsigned i = 0; i < depth; i++)
            buf_puts(&text, i % 2 ? "{\"a\":" : "[");
        buf_puts(&text, "1");
        for (unsigned i = depth; i > 0; i--)
            buf_puts(&text, (i - 1) % 2 ? "}" : "]");
        enum rc rc = json_parse(buf_span(&text), &a, &v, NULL);
        assert_int_equal(rc, depth <= JSON_DEPTH_MAX ? RC_OK : RC_LIMIT);
        arena_reset(&a);
    }
    /* A bomb costs no more than its first levels. */
    buf_clear(&text);
    for (unsigned i = 0; i < 1000000; i++)
        buf_putc(&text, '[');
    assert_int_equal(json_parse(buf_span(&text), &a, &v, NULL), RC_LIMIT);
    buf_fini(&text);
    arena_fini(&a);
}

static void
test_repeated_names(void **state)
{
    struct arena a = {0};
    struct json v;
    (void)state;
    assert_int_equal(parse("{\"a\":1,\"b\":2,\"a\":3,\"b\":4,\"a\":5}", &a, &v, NULL), RC_OK);
    assert_int_equal(v.n, 2);
    assert_int_equal(json_get(&v, "a")->i64, 5);
    assert_int_equal(json_get(&v, "b")->i64, 4);
    assert_true(span_eq_str(v.members[0].name, "a"));
    for (unsigned n = 1; n < 400; n += 13) {
        struct buf text = {0};
        buf_putc(&text, '{');
        for (unsigned i = 0; i < 3 * n; i++)
            buf_printf(&text, "%s\"k%u\":%u", i ? "," : "", i % n, i);
        buf_putc(&text, '}');
        assert_int_equal(json_parse(buf_span(&text), &a, &v, NULL), RC_OK);
        assert_int_equal(v.n, n);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(v.members[i].value.i64, i + 2 * n);
        buf_fini(&text);
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void
test_wide(void **state)
{
    struct arena a = {0};
    struct buf text = {0};
    struct json v;
    (void)state;
    buf_putc(&text, '[');
    for (unsigned i = 0; i < 100000; i++)
        buf_printf(&text, "%s{\"i\":%u,\"s\":[\"%u\"]}", i ? "," : "", i, i);
    buf_putc(&text, ']');
    assert_int_equal(json_parse(buf_span(&text), &a, &v, NULL), RC_OK);
    assert_int_equal(v.n, 100000);
    for (unsigned i = 0; i < v.n; i += 997) {
        assert_int_equal(json_get(&v.items[i], "i")->i64, i);
        assert_int_equal(json_get(&v.items[i], "s")->n, 1);
    }
    buf_fini(&text);
    arena_fini(&a);
}

static void
test_get(void **state)
{
    struct arena a = {0};
    struct json v;
    (void)state;
    assert_int_equal(parse("{\"a\":\"x\",\"n\":1}", &a, &v, NULL), RC_OK);
    assert_null(json_get(&v, "z"));
    assert_null(json_get(NULL, "a"));
    assert_null(json_get(json_get(&v, "a"), "b"));
    assert_true(span_eq_str(json_get_str(&v, "n", SPAN_LIT("f")), "f"));
    assert_true(span_eq_str(json_get_str(&v, "z", SPAN_LIT("f")), "f"));
    assert_ptr_equal(json_get_span(&v, SPAN_LIT("n")), json_get(&v, "n"));
    arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings), cmocka_unit_test(test_text_may_be_freed),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_error_offset),
        cmocka_unit_test(test_depth),   cmocka_unit_test(test_repeated_names),
        cmocka_unit_test(test_wide),    cmocka_unit_test(test_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
