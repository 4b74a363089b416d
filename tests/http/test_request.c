/* Percent-coding and parameters, apart from any server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"
#include "tests/support/rng.h"

static void
test_decode(void **state)
{
    (void)state;
    static const struct {
        const char *in, *plain, *form;
    } rows[] = {
        {"", "", ""},
        {"abc", "abc", "abc"},
        {"a+b", "a+b", "a b"},
        {"a%20b", "a b", "a b"},
        {"%41%6a%6A", "Ajj", "Ajj"},
        {"%2B+", "++", "+ "},
        {"%", "%", "%"},
        {"%4", "%4", "%4"},
        {"%4g%zz%", "%4g%zz%", "%4g%zz%"},
        {"100%25", "100%", "100%"},
        {"%%41", "%A", "%A"},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct span in = span_str(rows[i].in);
        assert_true(span_eq_str(http_decode(in, false, &arena), rows[i].plain));
        assert_true(span_eq_str(http_decode(in, true, &arena), rows[i].form));
    }
    /* Nothing to decode: the input itself. */
    struct span same = SPAN_LIT("same");
    assert_ptr_equal(http_decode(same, true, &arena).p, same.p);
    arena_fini(&arena);
}

static void
test_encode_then_decode(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    struct arena arena = {0};
    struct buf in = {0}, coded = {0};
    for (int i = 0; i < 500; i++) {
        buf_clear(&in);
        buf_clear(&coded);
        for (uint64_t n = rng_below(&rng, 50); n > 0; n--)
            buf_putc(&in, (char)rng_below(&rng, 256));
        http_encode(&coded, buf_span(&in));
        for (size_t k = 0; k < coded.n; k++)
            assert_true(coded.p[k] > ' ' && coded.p[k] != '+' && coded.p[k] != '&');
        assert_true(span_eq(http_decode(buf_span(&coded), true, &arena), buf_span(&in)));
        assert_true(span_eq(http_decode(buf_span(&coded), false, &arena), buf_span(&in)));
    }
    buf_fini(&in);
    buf_fini(&coded);
    arena_fini(&arena);
}

static void
test_params(void **state)
{
    (void)state;
    struct arena arena = {0};
    size_t n = 99;
    const struct http_param *p = http_params(SPAN_LIT(""), &arena, &n);
    assert_int_equal(n, 0);
    p = http_params(SPAN_LIT("&&"), &arena, &n);
    assert_int_equal(n, 0);
    p = http_params(SPAN_LIT("a=1&b&=c&a=2%3D&d=="), &arena, &n);
    assert_int_equal(n, 5);
    static const char *const want[5][2] = {
        {"a", "1"}, {"b", ""}, {"", "c"}, {"a", "2="}, {"d", "="}};
    for (size_t i = 0; i < n; i++) {
        assert_true(span_eq_str(p[i].name, want[i][0]));
        assert_true(span_eq_str(p[i].value, want[i][1]));
    }
    struct http_request r = {.params = p, .n_params = n};
    assert_ptr_equal(http_request_param(&r, "a"), &p[3]);
    assert_null(http_request_param(&r, "e"));
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode_then_decode),
        cmocka_unit_test(test_params),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
