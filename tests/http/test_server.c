/* Plain requests and answers, keep-alive, pipelining, methods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

static int
setup(void **state)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    rig_start(r);
    *state = r;
    return 0;
}

static int
teardown(void **state)
{
    rig_stop(*state);
    free(*state);
    return 0;
}

static void
test_get(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/noop");
    assert_string_equal(wire_expect(&w, 200), "ok");
    assert_string_equal(wire_header(&w, "Content-Type"), "text/plain");
    assert_string_equal(wire_header(&w, "Content-Length"), "2");
    assert_string_equal(wire_header(&w, "Access-Control-Allow-Origin"), "*");
    assert_string_equal(wire_header(&w, "Connection"), "");
    assert_int_equal(strlen(wire_header(&w, "Date")), 29);
    wire_close(&w);
}

static void
test_keep_alive(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 100; i++) {
        wire_get(&w, i % 2 ? "/noop" : "/big?n=500");
        wire_expect(&w, 200);
        assert_int_equal(w.body.n, i % 2 ? 2 : 500);
    }
    wire_close(&w);
}

static void
test_post(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/echo", "", SPAN_LIT("hello"));
    assert_string_equal(wire_expect(&w, 200), "hello");
    wire_post(&w, "/echo", "", SPAN_LIT(""));
    assert_string_equal(wire_expect(&w, 200), "");
    wire_close(&w);
}

static void
test_not_found(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/nothing");
    assert_string_equal(wire_expect(&w, 404), "{\"message\": \"Not Found\"}");
    wire_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_not_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
