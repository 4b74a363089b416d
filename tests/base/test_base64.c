#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const pairs[][2] = {{"", ""},
                                       {"f", "Zg=="},
                                       {"fo", "Zm8="},
                                       {"foo", "Zm9v"},
                                       {"foob", "Zm9vYg=="},
                                       {"fooba", "Zm9vYmE="},
                                       {"foobar", "Zm9vYmFy"},
                                       {"\xff\xef\xbe", "/+++"}};

static void
test_both_ways(void **state)
{
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        buf_clear(&out);
        base64_encode(&out, span_str(pairs[i][0]));
        assert_true(span_eq_str(buf_span(&out), pairs[i][1]));
        buf_clear(&out);
        assert_true(base64_decode(&out, span_str(pairs[i][1])));
        assert_true(span_eq_str(buf_span(&out), pairs[i][0]));
    }
    buf_fini(&out);
}

static void
test_refused(void **state)
{
    static const char *const bad[] = {
        "Z",    "Zg",   "Zg=",       "Zg==Zg==", "Zh==",   "Zm9=", "=m9v",
        "Z===", "====", "Zm9v Zg==", "Zm-v",     "Zm9v\n", "Z=9v"};
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(base64_decode(&out, span_str(bad[i])));
    buf_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
