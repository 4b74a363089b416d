/*
 * How readers find the newest snapshot and keep it, without locks or counters
 * that they share. Private to the room.
 *
 * Every reader has a slot. Beginning, it writes the present epoch into its
 * slot and then loads the newest snapshot; ending, it writes 0. Publishing,
 * the writer swaps the snapshot and then raises the epoch to E; a reader that
 * could hold the old snapshot has a slot value below E. So the old one is free
 * to go once no slot is below E (but for 0). Both sides write before they read
 * (sequentially consistent), hence a slot that the writer sees empty belongs
 * to a reader that will load the new snapshot.
 * Source: epoch-based reclamation, K. Fraser, "Practical lock-freedom", 2004.
 */
#ifndef TAILFIN_INDEX_EPOCH_H
#define TAILFIN_INDEX_EPOCH_H

#include <stdatomic.h>

#include "index/index.h"

struct idx_epochs {
    _Atomic(const struct idx_snapshot *) newest; /* written by the writer thread */
    atomic_uint_fast64_t epoch;                  /* from 1; written by the writer thread */
    atomic_uint n_slots;                         /* slots that were ever taken: [0, n_slots) */
    struct idx_reader *slots;                    /* IDX_READERS_MAX, a cache line each */
    void *memory;
};

void idx_epochs_init(struct idx_epochs *e, const struct idx_snapshot *first);
/* No reader may be between begin and end. */
void idx_epochs_fini(struct idx_epochs *e);
/* A free slot; NULL if all are taken. Any thread. idx_reader_free gives it back. */
struct idx_reader *idx_epochs_join(struct idx_epochs *e);

/*
 * Makes s the newest. Returns the epoch that idx_epochs_oldest must reach
 * before the one it replaces may be freed. Writer thread.
 */
uint64_t idx_epochs_swap(struct idx_epochs *e, const struct idx_snapshot *s);
/* The oldest epoch that a reader is in; UINT64_MAX if none reads. Cost: O(slots ever taken). */
uint64_t idx_epochs_oldest(struct idx_epochs *e);

#endif
