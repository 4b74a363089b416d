#include "base/json.h"
#include "base/json_member.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/rng.h"

#include <float.h>
#include <math.h>

static void
check_double(double v, const char *wanted)
{
    struct buf out = {0};
    json_put_double(&out, v);
    buf_putc(&out, '\0');
    assert_string_equal(out.p, wanted);
    buf_fini(&out);
}

static void
test_doubles(void **state)
{
    (void)state;
    check_double(0, "0.0");
    check_double(-0.0, "-0.0");
    check_double(1, "1.0");
    check_double(-5, "-5.0");
    check_double(0.1, "0.1");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(1.5, "1.5");
    check_double(123456.789, "123456.789");
    check_double(1e14, "100000000000000.0");
    check_double(999999999999999, "999999999999999.0");
    check_double(1e15, "1e+15");
    check_double(123456789012345680, "1.2345678901234568e+17");
    check_double(1e21, "1e+21");
    check_double(1.5e300, "1.5e+300");
    check_double(0.001, "0.001");
    check_double(0.0001, "0.0001");
    check_double(0.00012345, "0.00012345");
    check_double(1e-5, "1e-05");
    check_double(-2.5e-7, "-2.5e-07");
    check_double(DBL_MAX, "1.7976931348623157e+308");
    check_double(DBL_TRUE_MIN, "5e-324");
    check_double((double)NAN, "null");
    check_double((double)INFINITY, "null");
}

static void
test_double_round_trip(void **state)
{
    struct rng rng = rng_new();
    struct buf out = {0};
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t bits = rng_next(&rng);
        double v;
        double again;
        memcpy(&v, &bits, sizeof v);
        if (i % 2)
            v = (double)(int64_t)(bits >> (bits & 63)) / 100;
        if (!isfinite(v))
            continue;
        buf_clear(&out);
        json_put_double(&out, v);
        assert_true(span_double(buf_span(&out), &again) && again == v);
    }
    buf_fini(&out);
}

static void
test_floats(void **state)
{
    struct rng rng = rng_new();
    struct buf out = {0};
    (void)state;
    json_put_float(&out, 0.1f);
    buf_putc(&out, ' ');
    json_put_float(&out, 3.0f);
    buf_putc(&out, ' ');
    json_put_float(&out, 16777216.0f);
    buf_putc(&out, ' ');
    json_put_float(&out, 1e-10f);
    assert_true(span_eq_str(buf_span(&out), "0.1 3.0 16777216.0 1e-10"));
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t bits = (uint32_t)rng_next(&rng);
        float v;
        double again;
        memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        buf_clear(&out);
        json_put_float(&out, v);
        assert_true(span_double(buf_span(&out), &again) && (float)again == v);
        assert_true(out.n <= 20);
    }
    buf_fini(&out);
}

static void
test_integers(void **state)
{
    struct buf out = {0};
    (void)state;
    json_put_i64(&out, INT64_MIN);
    buf_putc(&out, ' ');
    json_put_i64(&out, INT64_MAX);
    buf_putc(&out, ' ');
    json_put_u64(&out, UINT64_MAX);
    buf_putc(&out, ' ');
    json_put_i64(&out, 0);
    assert_true(span_eq_str(buf_span(&out), "-9223372036854775808 9223372036854775807 "
                                            "18446744073709551615 0"));
    buf_fini(&out);
}

static void
check_str(struct span in, const char *wanted)
{
    struct buf out = {0};
    json_put_str(&out, in);
    buf_putc(&out, '\0');
    assert_string_equal(out.p, wanted);
    buf_fini(&out);
}

static void
test_strings(void **state)
{
    (void)state;
    check_str(SPAN_LIT(""), "\"\"");
    check_str(SPAN_LIT("a\"\\/\b\f\n\r\t\x01\x1f\x7f z"),
              "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f z\"");
    check_str(SPAN_LIT("\0"), "\"\\u0000\"");
    check_str(SPAN_LIT("caf\u00e9\u20ac\U0001f600"), "\"caf\u00e9\u20ac\U0001f600\"");
    check_str(SPAN_LIT("a\xff"
                       "b"),
              "\"a\ufffd"
              "b\"");
    check_str(SPAN_LIT("\xc3"), "\"\ufffd\"");
    check_str(SPAN_LIT("\xc3\xa9\xa9"), "\"\u00e9\ufffd\"");
    check_str(SPAN_LIT("\xed\xa0\x80"), "\"\ufffd\ufffd\ufffd\"");
    check_str(SPAN_LIT("\xf0\x9f\x98\x80\x80"), "\"\U0001f600\ufffd\"");
    check_str(SPAN_LIT("\xc3\xc3\xa9"), "\"\ufffd\u00e9\"");
}

/* Any bytes give a text that parses. */
static void
test_any_bytes(void **state)
{
    struct rng rng = rng_new();
    struct arena a = {0};
    struct buf out = {0};
    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        char bytes[40];
        size_t n = rng_below(&rng, sizeof bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)(rng_next(&rng) % 3 ? rng_next(&rng) : 0x80 | rng_below(&rng, 128));
        struct json v;
        buf_clear(&out);
        json_put_str(&out, span_of(bytes, n));
        assert_int_equal(json_parse(buf_span(&out), &a, &v, NULL), RC_OK);
        arena_reset(&a);
    }
    buf_fini(&out);
    arena_fini(&a);
}

static void
check_put(const char *in, bool is_sorted, const char *wanted)
{
    struct arena a = {0};
    struct buf out = {0};
    struct json v;
    assert_int_equal(json_parse(span_str(in), &a, &v, NULL), RC_OK);
    json_put(&out, &v, is_sorted);
    buf_putc(&out, '\0');
    assert_string_equal(out.p, wanted);
    buf_fini(&out);
    arena_fini(&a);
}

static void
test_trees(void **state)
{
    (void)state;
    check_put(" [ ] ", false, "[]");
    check_put("{ }", true, "{}");
    check_put("[1, 2.50, 1e2, -0.0, 18446744073709551615, 18446744073709551616, true, null]", false,
              "[1,2.5,100.0,-0.0,18446744073709551615,1.8446744073709552e+19,true,null]");
    check_put("{\"b\":[{\"z\":1,\"a\":[]},{}],\"a\":\"x\",\"ab\":{\"c\":{}}}", false,
              "{\"b\":[{\"z\":1,\"a\":[]},{}],\"a\":\"x\",\"ab\":{\"c\":{}}}");
    check_put("{\"b\":[{\"z\":1,\"a\":[]},{}],\"a\":\"x\",\"ab\":{\"c\":{}}}", true,
              "{\"a\":\"x\",\"ab\":{\"c\":{}},\"b\":[{\"a\":[],\"z\":1},{}]}");
}

static void
test_deepest(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 1];
    (void)state;
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    text[2 * JSON_DEPTH_MAX] = '\0';
    check_put(text, true, text);
}

static void
test_names_and_commas(void **state)
{
    struct buf out = {0};
    (void)state;
    json_put_comma(&out);
    buf_putc(&out, '{');
    json_put_name(&out, "a");
    json_put_i64(&out, 1);
    json_put_name(&out, "b\"");
    buf_putc(&out, '[');
    json_put_comma(&out);
    json_put_str(&out, SPAN_LIT("x"));
    json_put_comma(&out);
    json_put_double(&out, 2);
    buf_puts(&out, "]}");
    assert_true(span_eq_str(buf_span(&out), "{\"a\":1,\"b\\\"\":[\"x\",2.0]}"));
    buf_fini(&out);
}

static void
test_members(void **state)
{
    struct buf out = {0};
    (void)state;
    buf_putc(&out, '{');
    json_member_put_str(&out, "a", SPAN_LIT("\"x\""));
    json_member_put_u64(&out, "b", UINT64_MAX);
    json_member_put_bool(&out, "c", true);
    json_member_put_bool(&out, "d", false);
    buf_putc(&out, '}');
    assert_true(span_eq_str(
        buf_span(&out), "{\"a\":\"\\\"x\\\"\",\"b\":18446744073709551615,\"c\":true,\"d\":false}"));
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_double_round_trip),
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_deepest),
        cmocka_unit_test(test_names_and_commas),
        cmocka_unit_test(test_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
