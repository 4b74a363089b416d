/* The merge policy; policy.h describes it. */
#include "index/policy.h"

#include "base/must.h"

static uint64_t
weight_of(const struct idx_policy_item *item)
{
    return item->weight ? item->weight : 1;
}

/* Numbers of the items, lightest first; equal weights by number, so that the choice is stable. */
static void
sort_light_first(const struct idx_policy_item *items, size_t n, size_t *order)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        while (at > 0 && weight_of(&items[order[at - 1]]) > weight_of(&items[i])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

/* How many of the lightest to take: two, and on while the next is no more than twice their sum. */
static size_t
light_run(const struct idx_policy_item *items, const size_t *order, size_t n)
{
    double sum = 0; /* weights may be large */
    size_t i = 0;
    for (; i < n && i < IDX_POLICY_MERGE_MAX; i++) {
        double weight = (double)weight_of(&items[order[i]]);
        if (i >= 2 && weight > 2 * sum)
            break;
        sum += weight;
    }
    return i;
}

static bool
is_decayed(const struct idx_policy_item *item, uint32_t min_dead)
{
    uint32_t n_dead = item->n_docs - item->n_live;
    return n_dead >= min_dead && n_dead >= (item->n_docs + 3) / 4;
}

size_t
idx_policy_pick(const struct idx_policy_item *items, size_t n, size_t max_n, uint32_t min_dead,
                size_t *picked)
{
    if (n == 0)
        return 0;
    sort_light_first(items, n, picked);
    size_t n_picked = n > max_n && n > 1 ? light_run(items, picked, n) : 0;
    for (size_t i = n_picked; i < n; i++)
        if (is_decayed(&items[picked[i]], min_dead))
            n_picked = i + 1;
    /* Too many at once: the heaviest are the decayed ones, so the light end waits. */
    if (n_picked > IDX_POLICY_MERGE_MAX) {
        size_t skip = n_picked - IDX_POLICY_MERGE_MAX;
        memmove(picked, picked + skip, IDX_POLICY_MERGE_MAX * sizeof picked[0]);
        n_picked = IDX_POLICY_MERGE_MAX;
    }
    return n_picked;
}
