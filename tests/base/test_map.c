#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/rng.h"

static void
test_empty(void **state)
{
    struct map m = {0};
    size_t at = 0;
    (void)state;
    assert_null(map_get(&m, SPAN_LIT("x")));
    assert_null(map_get_ptr(&m, SPAN_LIT("x")));
    assert_false(map_remove(&m, SPAN_LIT("x")));
    assert_false(map_next(&m, &at, NULL, NULL));
    map_clear(&m);
    map_fini(&m);
    map_fini(NULL);
}

static void
test_put(void **state)
{
    struct map m = {0};
    bool is_new;
    char key[] = "key";
    (void)state;
    *map_put(&m, span_str(key), &is_new) = 5;
    assert_true(is_new);
    key[0] = 'x';
    assert_int_equal(*map_get(&m, SPAN_LIT("key")), 5);
    assert_int_equal(*map_put(&m, SPAN_LIT("key"), &is_new), 5);
    assert_false(is_new);
    assert_int_equal(*map_put(&m, SPAN_LIT(""), NULL), 0);
    assert_int_equal(m.n, 2);
    assert_true(map_remove(&m, SPAN_LIT("")));
    assert_false(map_remove(&m, SPAN_LIT("")));
    *map_put(&m, SPAN_LIT("p"), NULL) = (uintptr_t)&m;
    assert_ptr_equal(map_get_ptr(&m, SPAN_LIT("p")), &m);
    map_clear(&m);
    assert_null(map_get(&m, SPAN_LIT("key")));
    map_fini(&m);
}

enum { KEYS_N = 500 };

/* Against an array: random puts, removes and lookups. */
static void
test_against_array(void **state)
{
    struct rng rng = rng_new();
    struct map m = {0};
    uint64_t wanted[KEYS_N] = {0};
    size_t n = 0;
    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        size_t k = rng_below(&rng, KEYS_N);
        char key[16];
        struct span s = {key, (size_t)snprintf(key, sizeof key, "k%zu", k)};
        uint64_t *v = map_get(&m, s);
        assert_true(wanted[k] ? v && *v == wanted[k] : !v);
        if (rng_below(&rng, 2)) {
            n += !wanted[k];
            *map_put(&m, s, NULL) = wanted[k] = i + 1;
        } else {
            assert_int_equal(map_remove(&m, s), wanted[k] != 0);
            n -= wanted[k] != 0;
            wanted[k] = 0;
        }
        assert_int_equal(m.n, n);
    }
    size_t at = 0;
    size_t n_seen = 0;
    struct span key;
    uint64_t *value;
    while (map_next(&m, &at, &key, &value)) {
        uint64_t k;
        assert_true(span_u64(span_from(key, 1), &k));
        assert_int_equal(*value, wanted[k]);
        n_seen++;
    }
    assert_int_equal(n_seen, n);
    /* Tombstones and the keys of removed entries do not pile up. */
    assert_true(m.cap <= 4096 && m.keys.total_bytes < 200000);
    map_fini(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_against_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
