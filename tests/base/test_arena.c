#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
test_alloc(void **state)
{
    struct arena a = {0};
    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        size_t n = i * 7 % 900;
        char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, (int)i, n);
    }
    assert_true(a.total_bytes > 1000000);
    arena_reset(&a);
    assert_true(a.total_bytes > 0 && a.total_bytes <= (1 << 20) + 64);
    size_t kept = a.total_bytes;
    memset(arena_alloc(&a, 1000), 1, 1000);
    assert_int_equal(a.total_bytes, kept);
    arena_fini(&a);
    assert_int_equal(a.total_bytes, 0);
    arena_fini(&a);
    arena_reset(&a);
    arena_fini(NULL);
}

static void
test_large_pieces(void **state)
{
    struct arena a = {0};
    (void)state;
    char *first = arena_alloc(&a, 5 << 20);
    memset(first, 1, 5 << 20);
    char *small = arena_alloc(&a, 10);
    char *large = arena_alloc(&a, 3 << 20);
    memset(large, 2, 3 << 20);
    /* The room behind a small piece stays in use after a large one. */
    assert_ptr_equal(arena_alloc(&a, 10), small + 16);
    arena_reset(&a);
    assert_true(a.total_bytes <= (1 << 20) + 64);
    arena_fini(&a);
}

static void
test_copies(void **state)
{
    struct arena a = {0};
    char text[] = "hello";
    (void)state;
    struct span s = arena_dup(&a, span_str(text));
    char *c = arena_str(&a, span_of(text, 2));
    text[0] = 'x';
    assert_true(span_eq_str(s, "hello") && s.p[5] == '\0');
    assert_string_equal(c, "he");
    assert_string_equal(arena_str(&a, (struct span){NULL, 0}), "");
    s = arena_printf(&a, "%d-%s", 5, "x");
    assert_true(span_eq_str(s, "5-x"));
    s = arena_printf(&a, "%0*d", 1000, 7);
    assert_int_equal(s.n, 1000);
    assert_int_equal(strlen(s.p), 1000);
    int *zeroes = arena_calloc(&a, 100, sizeof *zeroes);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zeroes[i], 0);
    arena_fini(&a);
}

static void
test_grow(void **state)
{
    struct arena a = {0};
    uint32_t *p = NULL;
    size_t cap = 0;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        p = arena_grow(&a, p, &cap, i + 1, sizeof *p);
        p[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], i);
    arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),
        cmocka_unit_test(test_large_pieces),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
