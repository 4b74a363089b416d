/*
 * Which parts of a generation to fold, and when: the policy's question put to
 * a generation's parts, for publishing, committing and merging alike. Writer
 * thread; reads nothing of a part but its sizes. Private to the room.
 *
 * All of it together keeps what a reader meets at IDX_VIEWS_MAX: a merge works
 * on at most 5 files, and while it does a commit leaves at most 2 others
 * behind; as the last resort publishing folds what is in RAM. Only a bulk load
 * that was just named may have more for a while.
 */
#ifndef TAILFIN_INDEX_CHOICE_H
#define TAILFIN_INDEX_CHOICE_H

#include "index/catalog.h"

enum {
    IDX_VIEWS_MAX = 12,    /* parts of a generation that is read */
    IDX_REST_US = 3000000, /* without changes for so long: merged further than it needs */
};

/*
 * Each writes numbers of parts that are not busy to picked (room for all
 * parts) and returns how many; 0: nothing to do.
 */

/* Of RAM parts, when publishing. room: how many parts more than it leaves must be possible. */
size_t idx_choose_ram(const struct idx_generation *g, size_t room, size_t *picked);
/* For a commit that makes one file of all RAM parts: those, and files to take along. */
size_t idx_choose_commit(const struct idx_generation *g, size_t *picked);
/* Of files, for a merge beside everything. now_us: to tell whether it is at rest. */
size_t idx_choose_merge(const struct idx_generation *g, uint64_t now_us, size_t *picked);
/* Every file, if that is more than one or some of it is dead. */
size_t idx_choose_all(const struct idx_generation *g, size_t *picked);

/* True if the generation has so much in RAM that a commit should not wait for its time. */
bool idx_choose_early_commit(const struct idx_generation *g);

#endif
