/*
 * Which segments to merge: a pure function over sizes, tested with plain
 * arrays. What it is asked about a generation is choice.h's. Private to the
 * room.
 */
#ifndef TAILFIN_INDEX_POLICY_H
#define TAILFIN_INDEX_POLICY_H

#include "base/span.h"

struct idx_policy_item {
    uint64_t weight; /* what merging it costs: live bytes or documents; 0 counts as 1 */
    uint32_t n_docs, n_live;
};

struct idx_policy_rules {
    size_t max_n;        /* with more items than this the lightest go... */
    size_t min_run;      /* ...so many in any case... */
    uint32_t factor;     /* ...and on while the next is no heavier than so many times all before */
    bool may_leap;       /* ...or, over heavier ones, up to the last that is none */
    uint32_t min_dead;   /* an item with so many dead, and... */
    uint32_t dead_share; /* ...of which one in so many is dead, goes at any time */
    size_t max_picked;
};

/*
 * Chooses what to merge of n items: writes their numbers to picked (room for
 * n), lightest first, and returns how many; 0: nothing to do; 1: that one
 * alone, for its dead.
 *
 * The run of light ones takes everything that is not much heavier than what
 * goes anyway. So no merge is wasted on something that is soon merged again,
 * and equal arrivals become geometric: with max_n = 6 and factor 2 each of
 * 10,000 is rewritten 10 times (test_policy.c prints it; without that 330
 * times). With min_run = 1 there is no merge unless it is worth its cost:
 * nothing is rewritten for less than a factor-th of it. With may_leap the
 * heaviest alone has to be worth it, so that a tiny one does not keep
 * others apart.
 *
 * An item that decayed takes everything smaller along, since that is nearly
 * free then.
 */
size_t idx_policy_pick(const struct idx_policy_item *items, size_t n,
                       const struct idx_policy_rules *rules, size_t *picked);

#endif
