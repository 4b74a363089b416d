/* The merge policy over plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/must.h"

#include "index/policy.h"

#include "tests/support/rng.h"

enum { MANY = 64, NEVER = UINT32_MAX, FILES = 6, PICKED_MAX = 12 };

static struct idx_policy_rules
rules_of(size_t max_n, uint32_t min_dead)
{
    return (struct idx_policy_rules){.max_n = max_n,
                                     .min_run = 2,
                                     .factor = 2,
                                     .min_dead = min_dead,
                                     .dead_share = 4,
                                     .max_picked = PICKED_MAX};
}

static size_t
pick_by(const uint64_t *weights, size_t n, const struct idx_policy_rules *rules, size_t *picked)
{
    struct idx_policy_item items[MANY];
    for (size_t i = 0; i < n; i++)
        items[i] = (struct idx_policy_item){weights[i], 100, 100};
    return idx_policy_pick(items, n, rules, picked);
}

static size_t
pick(const uint64_t *weights, size_t n, size_t max_n, size_t *picked)
{
    const struct idx_policy_rules rules = rules_of(max_n, NEVER);
    return pick_by(weights, n, &rules, picked);
}

static void
test_nothing_to_do(void **state)
{
    (void)state;
    size_t picked[MANY];
    const uint64_t weights[] = {5, 1, 9};
    const struct idx_policy_rules rules = rules_of(3, NEVER);
    assert_int_equal(idx_policy_pick(NULL, 0, &rules, picked), 0);
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
    const struct idx_policy_rules rules = rules_of(6, 100), strict = rules_of(6, 2001);
    assert_int_equal(idx_policy_pick(items, 4, &rules, picked), 0); /* just under a quarter */
    items[1].n_live = 6000;
    assert_int_equal(idx_policy_pick(items, 4, &rules, picked), 3); /* and all that is smaller */
    assert_int_equal(picked[2], 1);
    assert_int_equal(idx_policy_pick(items, 4, &strict, picked), 0); /* too few to bother */
    items[2].n_live = 0;
    assert_int_equal(idx_policy_pick(items + 2, 1, &rules, picked), 1); /* alone, for its dead */
}

static void
test_bounded(void **state)
{
    (void)state;
    size_t picked[MANY];
    struct idx_policy_item items[MANY];
    for (size_t i = 0; i < MANY; i++)
        items[i] = (struct idx_policy_item){1, 10000, 5000};
    const struct idx_policy_rules rules = rules_of(3, 100);
    assert_int_equal(idx_policy_pick(items, MANY, &rules, picked), PICKED_MAX);
    uint64_t weights[MANY] = {0};
    assert_int_equal(pick(weights, MANY, 3, picked), PICKED_MAX);
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
        const struct idx_policy_rules rules = rules_of(max_n, 1000);
        size_t k = idx_policy_pick(items, n, &rules, picked);
        assert_true(k <= n && k <= PICKED_MAX);
        assert_true(n <= max_n || n < 2 || k >= 2);
        for (size_t i = 0; i < k; i++) {
            assert_true(picked[i] < n && !is_picked[picked[i]]);
            is_picked[picked[i]] = true;
        }
    }
}

/* With a least run of one nothing is rewritten for less than it is worth. */
static void
test_worth_it(void **state)
{
    (void)state;
    size_t picked[MANY];
    struct idx_policy_rules rules = rules_of(1, NEVER);
    rules.min_run = 1;
    rules.factor = 8;
    rules.may_leap = true;
    const uint64_t light[] = {1000, 124}, worth[] = {1000, 125}, chain[] = {1000, 9, 1, 114},
                   apart[] = {1000, 900, 1, 2000};
    assert_int_equal(pick_by(light, 2, &rules, picked), 0);
    assert_int_equal(pick_by(worth, 2, &rules, picked), 2);
    assert_int_equal(pick_by(chain, 4, &rules, picked), 0); /* each too heavy for those before */
    assert_int_equal(pick_by(apart, 4, &rules, picked), 4); /* the tiny one goes along */
    assert_int_equal(pick_by(worth, 1, &rules, picked), 0);
}

/* Merges as the rules say; adds to n_rewritten. */
static size_t
merge(uint64_t *weights, size_t n, const struct idx_policy_rules *rules, uint64_t *n_rewritten)
{
    size_t picked[MANY], left = 0, k = pick_by(weights, n, rules, picked);
    bool is_gone[MANY] = {false};
    uint64_t sum = 0;
    for (size_t j = 0; j < k; j++) {
        is_gone[picked[j]] = true;
        sum += weights[picked[j]];
    }
    for (size_t j = 0; j < n; j++)
        if (!is_gone[j])
            weights[left++] = weights[j];
    if (k > 0)
        weights[left++] = sum;
    *n_rewritten += sum;
    return left;
}

/*
 * Arrivals of equal size: how often is each rewritten, and how many segments
 * are there? Bounds of policy.h, so that a change of the policy shows.
 */
static void
test_write_amplification(void **state)
{
    (void)state;
    uint64_t weights[MANY], n_rewritten = 0;
    const struct idx_policy_rules rules = rules_of(FILES, NEVER);
    size_t n = 0;
    for (int i = 0; i < 10000; i++) {
        weights[n++] = 1;
        n = merge(weights, n, &rules, &n_rewritten);
        assert_true(n <= FILES);
    }
    print_message("10000 arrivals: each rewritten %.2f times, %zu segments\n",
                  (double)n_rewritten / 10000, n);
    assert_true(n_rewritten < 11 * 10000);
}

/*
 * A trickle with a rest after each arrival, beside a big segment: what is
 * merged at rest costs a bounded number of rewrites of what arrived, and not
 * the big segment each time.
 */
static void
test_trickle(void **state)
{
    (void)state;
    uint64_t weights[MANY] = {1000000}, n_rewritten = 0;
    struct idx_policy_rules rest = rules_of(1, NEVER), busy = rules_of(4, NEVER);
    rest.min_run = 1;
    rest.factor = 8;
    rest.may_leap = true;
    size_t n = 1, n_most = 0;
    for (int i = 0; i < 100000; i++) {
        weights[n++] = 1;
        n = merge(weights, n, &busy, &n_rewritten);
        for (size_t before = n + 1; n < before;) {
            before = n;
            n = merge(weights, n, &rest, &n_rewritten);
        }
        n_most = n > n_most ? n : n_most;
    }
    print_message("100000 arrivals with rests: each rewritten %.2f times, %zu segments at most\n",
                  (double)n_rewritten / 100000, n_most);
    assert_true(n_most <= 4);
    assert_true(n_rewritten < 200 * 100000ull);
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
        cmocka_unit_test(test_worth_it),
        cmocka_unit_test(test_write_amplification),
        cmocka_unit_test(test_trickle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
