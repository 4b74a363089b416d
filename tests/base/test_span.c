#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/must.h"

static void
test_compare(void **state)
{
    (void)state;
    assert_true(span_cmp(SPAN_LIT("a"), SPAN_LIT("b")) < 0);
    assert_true(span_cmp(SPAN_LIT("ab"), SPAN_LIT("a")) > 0);
    assert_true(span_cmp(SPAN_LIT("\xff"), SPAN_LIT("a")) > 0);
    assert_int_equal(span_cmp(span_str(NULL), SPAN_LIT("")), 0);
    assert_true(span_eq(SPAN_LIT("a\0b"), SPAN_LIT("a\0b")));
    assert_false(span_eq(SPAN_LIT("a\0b"), SPAN_LIT("a\0c")));
    assert_true(span_eq_str(SPAN_LIT("abc"), "abc"));
    assert_true(span_starts(SPAN_LIT("abc"), SPAN_LIT("ab")));
    assert_true(span_starts(SPAN_LIT(""), SPAN_LIT("")));
    assert_false(span_starts(SPAN_LIT("a"), SPAN_LIT("ab")));
}

static void
test_parts(void **state)
{
    (void)state;
    assert_true(span_eq_str(span_trim(SPAN_LIT(" \t\r\n a b \n")), "a b"));
    assert_int_equal(span_trim(SPAN_LIT("  ")).n, 0);
    assert_true(span_eq_str(span_from(SPAN_LIT("abc"), 2), "c"));
    assert_int_equal(span_find(SPAN_LIT("a,b,c"), 2, ','), 3);
    assert_int_equal(span_find(SPAN_LIT("a,b"), 2, ','), 3);
    assert_int_equal(span_find(SPAN_LIT("a"), 9, ','), 1);
}

static void
test_split(void **state)
{
    static const char *const wanted[] = {"a", "", "bc", ""};
    struct span rest = SPAN_LIT("a,,bc,");
    size_t n = 0;
    (void)state;
    while (rest.p)
        assert_true(span_eq_str(span_split(&rest, ','), wanted[n++]));
    assert_int_equal(n, 4);
    rest = SPAN_LIT("");
    assert_int_equal(span_split(&rest, ',').n, 0);
    assert_null(rest.p);
}

static void
test_integers(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "0x1",
                                      "1.0",
                                      "1e3",
                                      "--1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    int64_t i = 5;
    uint64_t u = 5;
    (void)state;
    for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
        assert_false(span_i64(span_str(bad[k]), &i));
    assert_int_equal(i, 5);
    assert_true(span_i64(SPAN_LIT("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_true(span_i64(SPAN_LIT("9223372036854775807"), &i) && i == INT64_MAX);
    assert_true(span_i64(SPAN_LIT("-0"), &i) && i == 0);
    assert_true(span_i64(SPAN_LIT("007"), &i) && i == 7);
    assert_false(span_u64(SPAN_LIT("18446744073709551616"), &u));
    assert_false(span_u64(SPAN_LIT("-1"), &u));
    assert_int_equal(u, 5);
    assert_true(span_u64(SPAN_LIT("18446744073709551615"), &u) && u == UINT64_MAX);
}

static void
test_doubles(void **state)
{
    static const char *const bad[] = {"",   "a",  "1x", "0x10", "nan", "inf", "1e999",
                                      " 1", "1 ", "1e", ".",    "-",   "1,5"};
    double v = 5;
    (void)state;
    for (size_t k = 0; k < ARRAY_SIZE(bad); k++)
        assert_false(span_double(span_str(bad[k]), &v));
    assert_false(span_double(SPAN_LIT("1\0"), &v));
    assert_true(v == 5);
    assert_true(span_double(SPAN_LIT("-1.5e3"), &v) && v == -1500);
    assert_true(span_double(SPAN_LIT("7"), &v) && v == 7);
    assert_true(span_double(SPAN_LIT("1e-400"), &v) && v == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_split),   cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
