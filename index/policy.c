/* The merge policy; policy.h describes it. */
#include "index/policy.h"

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

/* How many of the lightest to take: the least run, and on while the next is light beside it. */
static size_t
light_run(const struct idx_policy_item *items, const size_t *order, size_t n,
          const struct idx_policy_rules *rules)
{
    double sum = 0; /* weights may be large */
    size_t n_run = 0;
    for (size_t i = 0; i < n && i < rules->max_picked; i++) {
        double weight = (double)weight_of(&items[order[i]]);
        bool is_light = i < rules->min_run || weight <= rules->factor * sum;
        if (!is_light && !rules->may_leap)
            break;
        if (is_light)
            n_run = i + 1;
        sum += weight;
    }
    return n_run < 2 ? 0 : n_run;
}

static bool
is_decayed(const struct idx_policy_item *item, const struct idx_policy_rules *rules)
{
    uint32_t n_dead = item->n_docs - item->n_live;
    return n_dead >= rules->min_dead && (uint64_t)n_dead * rules->dead_share >= item->n_docs;
}

size_t
idx_policy_pick(const struct idx_policy_item *items, size_t n, const struct idx_policy_rules *rules,
                size_t *picked)
{
    sort_light_first(items, n, picked);
    size_t n_picked = n > rules->max_n ? light_run(items, picked, n, rules) : 0;
    for (size_t i = n_picked; i < n; i++)
        if (is_decayed(&items[picked[i]], rules))
            n_picked = i + 1;
    /* Too many at once: the heaviest are the decayed ones, so the light end waits. */
    if (n_picked > rules->max_picked) {
        size_t skip = n_picked - rules->max_picked;
        memmove(picked, picked + skip, rules->max_picked * sizeof picked[0]);
        n_picked = rules->max_picked;
    }
    return n_picked;
}
