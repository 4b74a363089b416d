#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/must.h"

static void
test_valid(void **state)
{
    (void)state;
    static const char all[] = "ascii only text, longer than eight\0 \x7f \xc2\x80 \xdf\xbf "
                              "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf "
                              "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf";
    struct span s = {all, sizeof all - 1};
    assert_int_equal(utf8_valid_n(s), s.n);
    assert_int_equal(utf8_valid_n(SPAN_LIT("")), 0);
}

static void
test_invalid(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xc2z",
                                      "\xe0\x9f\xbf",
                                      "\xe1\x80",
                                      "\xe1\x80z",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf0\x90\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xfe",
                                      "\xff"};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        for (size_t before = 0; before < 20; before++) {
            char text[64];
            memset(text, 'a', before);
            size_t n = strlen(bad[i]);
            memcpy(text + before, bad[i], n);
            memset(text + before + n, 'b', 20);
            assert_int_equal(utf8_valid_n(span_of(text, before + n + 20)), before);
            assert_int_equal(utf8_valid_n(span_of(text, before + n)), before);
        }
}

static void
test_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = utf8_write(c, text);
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_int_equal(utf8_valid_n(span_of(text, n)), n);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_every_code_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
