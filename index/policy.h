/*
 * Which segments to merge: pure functions over sizes, tested with plain
 * arrays. Private to the room.
 */
#ifndef TAILFIN_INDEX_POLICY_H
#define TAILFIN_INDEX_POLICY_H

#include "base/span.h"

struct idx_policy_item {
    uint64_t weight; /* what merging it costs: live bytes or documents; 0 counts as 1 */
    uint32_t n_docs, n_live;
};

enum {
    IDX_POLICY_FILES = 6,      /* file segments that a generation may rest with */
    IDX_POLICY_RAM = 3,        /* RAM segments that may rest between two commits */
    IDX_POLICY_MERGE_MAX = 12, /* inputs of one merge */
};

/*
 * Chooses what to merge of n items: writes their numbers to picked (room for
 * n) and returns how many; 0: nothing to do; 1: that one alone, for its dead.
 *
 * With more than max_n items the lightest go: two of them, and further ones
 * while the next is no heavier than twice all before it. So no merge is wasted
 * on something that is soon merged again, and equal arrivals become geometric:
 * with max_n = 6 each of 10,000 is rewritten 10 times (test_policy.c prints
 * it; without that rule 330 times).
 *
 * An item of which a quarter or more is dead goes at any time, with everything
 * smaller, since that is nearly free then; min_dead keeps that from being done
 * for a handful.
 */
size_t idx_policy_pick(const struct idx_policy_item *items, size_t n, size_t max_n,
                       uint32_t min_dead, size_t *picked);

#endif
