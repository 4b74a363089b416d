/*
 * A sweep: everything that was owed at one moment, until all of it is
 * acknowledged. Then all changes up to that moment are, however many came
 * since: what came is for the next sweep. So the position that the sink tells
 * moves on under steady writes, too, and no entry waits behind newer ones.
 * Eight bytes per entry: keys are told apart by their hash. Private to
 * indexer/.
 */
#ifndef TAILFIN_INDEXER_SINK_SWEEP_H
#define TAILFIN_INDEXER_SINK_SWEEP_H

#include "base/must.h"
#include "base/span.h"

struct ing_sweep {
    uint64_t *marks; /* of the keys: hashes but for the lowest bit, which is 1 while it is owed */
    size_t n, cap;
    size_t n_left; /* owed; 0: there is no sweep */
};

/* Forgets all keys. */
void ing_sweep_clear(struct ing_sweep *w);
void ing_sweep_fini(struct ing_sweep *w);
/* Adds a key; then ing_sweep_begin, before anything is looked up. */
void ing_sweep_add(struct ing_sweep *w, struct span key);
/* Cost: O(n log n). */
void ing_sweep_begin(struct ing_sweep *w);
/* The key is in the sweep and still owed. Cost: O(log n). */
bool ing_sweep_has(const struct ing_sweep *w, struct span key);
/* The key is acknowledged; one that is not in the sweep does not matter. Cost: O(log n). */
void ing_sweep_take(struct ing_sweep *w, struct span key);

#endif
