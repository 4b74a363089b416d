/*
 * Numbers under keys of eight bytes, and their order: what a vocabulary, the
 * tails of terms and the documents of a sort field are brought into order by.
 */
#ifndef TAILFIN_INDEX_KEYED_H
#define TAILFIN_INDEX_KEYED_H

#include <stdint.h>

struct idx_keyed {
    uint64_t key;
    uint32_t number; /* what the key stands for: an ord, a document */
};

/*
 * Sorts by rising key; equal keys stay in the order that they came in.
 *
 * from, to  n elements each, not overlapping: to is working room.
 * Returns from or to: where the sorted elements are. The other holds rubbish.
 * Threads: any.
 * Cost: O(n) for each byte of the key that is not the same everywhere.
 */
struct idx_keyed *idx_keyed_sort(struct idx_keyed *from, struct idx_keyed *to, uint32_t n);

#endif
