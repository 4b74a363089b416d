#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/span.h"

static void
test_rows(void **state)
{
    (void)state;
    assert_string_equal(rc_name(RC_OK), "OK");
    assert_string_equal(rc_name(RC_HISTORY_LOST), "HISTORY_LOST");
    assert_string_equal(rc_text(RC_ABSENT), "there is no such thing");
    assert_int_equal(rc_http(RC_INVALID), 400);
    assert_int_equal(rc_http(RC_BUSY), 503);
    assert_string_equal(rc_name((enum rc) - 999), "UNKNOWN");
    assert_string_equal(rc_text((enum rc) - 999), "an unknown result");
    assert_int_equal(rc_http((enum rc) - 999), 500);
}

static void
test_values_are_distinct(void **state)
{
#define RC(name, value, http, text) {value, http, text},
    static const struct {
        int value, http;
        const char *text;
    } rows[] = {
#include "base/rc.def"
    };
#undef RC
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_true(i == 0 ? rows[i].value == 0 : rows[i].value < 0);
        assert_in_range(rows[i].http, 100, 599);
        assert_true(rows[i].text[0] != '\0');
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(rows[i].value, rows[k].value);
    }
}

static void
test_set(void **state)
{
    struct err err = {.sys = 7};
    (void)state;
    assert_int_equal(err_set(&err, RC_INVALID, "bad %s %d", "thing", 3), RC_INVALID);
    assert_int_equal(err.rc, RC_INVALID);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.text, "bad thing 3");
    assert_int_equal(err_sys(&err, RC_IO, 2, "cannot open x"), RC_IO);
    assert_int_equal(err.sys, 2);
    assert_string_equal(err.text, "cannot open x: No such file or directory");
    assert_int_equal(err_wrap(&err, RC_CORRUPT, "reading %s", "m"), RC_IO);
    assert_string_equal(err.text, "reading m: cannot open x: No such file or directory");
    assert_int_equal(err.sys, 2);
}

static void
test_null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, RC_INVALID, "x"), RC_INVALID);
    assert_int_equal(err_sys(NULL, RC_IO, 2, "x"), RC_IO);
    assert_int_equal(err_wrap(NULL, RC_CORRUPT, "x"), RC_CORRUPT);
}

static void
test_long_texts_are_cut(void **state)
{
    char text[2 * ERR_TEXT_MAX];
    struct err err = {0};
    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t n = ERR_TEXT_MAX - 6; n < ERR_TEXT_MAX + 3; n++) {
        text[n] = '\0';
        err_set(&err, RC_IO, "%s", text);
        assert_int_equal(strlen(err.text), n < ERR_TEXT_MAX ? n : ERR_TEXT_MAX - 1);
        err_wrap(&err, RC_IO, "doing");
        assert_true(strlen(err.text) < ERR_TEXT_MAX);
        err_sys(&err, RC_IO, 2, "%s", text);
        assert_true(strlen(err.text) < ERR_TEXT_MAX);
        err_wrap(&err, RC_IO, "%s", text);
        assert_true(strlen(err.text) < ERR_TEXT_MAX);
        text[n] = 'a';
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_values_are_distinct),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_null_is_allowed),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
