#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/fs.h"
#include "base/hash.h"

static void
test_json(void **state)
{
    struct arena a = {0};
    struct buf out = {0};
    struct json v;
    struct err err;
    (void)state;
    struct span text = SPAN_LIT(" {\"a\":[1,2.5,\"x\\u00e9\\ud83d\\ude00y\",null,true],\"b\":{},\"a\":{\"q\":[]},"
                                "\"c\":\"caf\xc3\xa9\",\"d\":1e21} ");
    assert_int_equal(json_parse(text, &a, &v, &err), RC_OK);
    json_put(&out, &v, false);
    buf_putc(&out, '\0');
    assert_string_equal(out.p, "{\"a\":{\"q\":[]},\"b\":{},\"c\":\"caf\xc3\xa9\",\"d\":1e+21}");
    assert_int_equal(json_parse(SPAN_LIT("{} x"), &a, &v, &err), RC_INVALID);
    print_message("%s\n", err.text);
    assert_int_equal(json_parse(SPAN_LIT("\"\\ud800x\""), &a, &v, &err), RC_INVALID);
    print_message("%s\n", err.text);
    buf_fini(&out);
    arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
