/* The merge policy over plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/must.h"

#include "index/policy.h"

#include "tests/support/rng.h"

enum { MANY = 64, NEVER = 1u << 30 };

static size_t
pick(const uint64_t *weights, size_t n, size_t max_n, size_t *picked)
{
    struct idx_policy_item items[MANY];
    for (size_t i = 0; i < n; i++)
        items[i] = (struct idx_policy_item){weights[i], 100, 100};
    return idx_policy_pick(items, n, max_n, NEVER, picked);
}

static void
test_nothing_to_do(void **state)
{
    (void)state;
    size_t picked[MANY];
    const uint64_t weights[] = {5, 1, 9};
    assert_int_equal(idx_policy_pick(NULL, 0, 3, NEVER, picked), 0);
    assert_int_equal(pick(weights, 3, 3, picked), 0);
    assert_int_equal(pick(weights, 1, 0, picked), 0); /* alone: nothing to merge with */
}

static void
test_small_ones_go_first(void **state)
{
    (void)state;
    size_t picked[MANY];
    const uint64_t weights[] = {1000000, 10, 900000, 12, 11, 800000};
    assert_int_equal(pick(weights, 6, 5, picked), 3);
    assert_int_equal(picked[0], 1);
    assert_int_equal(picked[1], 4);
    assert_int_equal(picked[2], 3);
}

static void
test_equal_ones_go_together(void **state)
{
    (void)state;
    size_t picked[MANY];
    const uint64_t weights[] = {7, 7, 7, 7, 7, 7, 7};
    assert_int_equal(pick(weights, 7, 6, picked), 7);
    const uint64_t steps[] = {1, 1, 4, 12, 37, 100}; /* twice the sum: 4, 12, 36 */
    assert_int_equal(pick(steps, 6, 5, picked), 4);
}

static void
test_decayed(void **state)
{
    (void)state;
    size_t picked[MANY];
    struct idx_policy_item items[] = {
        {900, 1000, 900}, {5000, 8000, 6001}, {100, 1000, 1000}, {9000, 9000, 9000}};
    assert_int_equal(idx_policy_pick(items, 4, 6, 100, picked), 0); /* just under a quarter */
    items[1].n_live = 6000;
    assert_int_equal(idx_policy_pick(items, 4, 6, 100, picked), 3); /* and all that is smaller */
    assert_int_equal(picked[2], 1);
    assert_int_equal(idx_policy_pick(items, 4, 6, 2001, picked), 0); /* too few to bother */
    items[2].n_live = 0;
    assert_int_equal(idx_policy_pick(items + 2, 1, 6, 100, picked), 1); /* alone, for its dead */
}

static void
test_bounded(void **state)
{
    (void)state;
    size_t picked[MANY];
    struct idx_policy_item items[MANY];
    for (size_t i = 0; i < MANY; i++)
        items[i] = (struct idx_policy_item){1, 10000, 5000};
    assert_int_equal(idx_policy_pick(items, MANY, 3, 100, picked), IDX_POLICY_MERGE_MAX);
    uint64_t weights[MANY] = {0};
    assert_int_equal(pick(weights, MANY, 3, picked), IDX_POLICY_MERGE_MAX);
}

/* Random inputs: what is picked are distinct numbers in range, and the count comes down. */
static void
test_random(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int round = 0; round < 20000; round++) {
        struct idx_policy_item items[MANY];
        size_t picked[MANY], n = (size_t)rng_below(&rng, MANY),
                             max_n = 1 + (size_t)rng_below(&rng, 8);
        bool is_picked[MANY] = {false};
        for (size_t i = 0; i < n; i++) {
            uint32_t docs = 1 + (uint32_t)rng_below(&rng, 100000);
            items[i] = (struct idx_policy_item){rng_next(&rng) >> rng_below(&rng, 64), docs,
                                                (uint32_t)rng_below(&rng, docs + 1)};
        }
        size_t k = idx_policy_pick(items, n, max_n, 1000, picked);
        assert_true(k <= n && k <= IDX_POLICY_MERGE_MAX);
        assert_true(n <= max_n || n < 2 || k >= 2);
        for (size_t i = 0; i < k; i++) {
            assert_true(picked[i] < n && !is_picked[picked[i]]);
            is_picked[picked[i]] = true;
        }
    }
}

/*
 * Arrivals of equal size: how often is each rewritten, and how many segments
 * are there? Bounds of the README, so that a change of the policy shows.
 */
static void
test_write_amplification(void **state)
{
    (void)state;
    uint64_t weights[MANY];
    size_t n = 0, picked[MANY];
    uint64_t n_arrived = 0, n_rewritten = 0;
    for (int i = 0; i < 10000; i++) {
        weights[n++] = 1;
        n_arrived++;
        size_t k = pick(weights, n, IDX_POLICY_FILES, picked);
        bool is_gone[MANY] = {false};
        uint64_t sum = 0;
        for (size_t j = 0; j < k; j++) {
            is_gone[picked[j]] = true;
            sum += weights[picked[j]];
        }
        size_t left = 0;
        for (size_t j = 0; j < n; j++)
            if (!is_gone[j])
                weights[left++] = weights[j];
        n = left;
        if (k > 0)
            weights[n++] = sum;
        n_rewritten += sum;
        assert_true(n <= IDX_POLICY_FILES);
    }
    print_message("10000 arrivals: each rewritten %.2f times, %zu segments\n",
                  (double)n_rewritten / (double)n_arrived, n);
    assert_true(n_rewritten < 11 * n_arrived);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_small_ones_go_first),
        cmocka_unit_test(test_equal_ones_go_together),
        cmocka_unit_test(test_decayed),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_write_amplification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
