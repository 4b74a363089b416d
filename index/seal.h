/*
 * A bulk load's full builder becomes a segment on a thread of its own while
 * the writer fills the next one. Only of quiet generations, one at a time.
 * What the builder does not know (which ordinal an id has, which are dead)
 * stays with the writer, so documents in here can be replaced and deleted like
 * any others; whoever needs all documents to be in parts settles first. Private
 * to the room.
 */
#ifndef TAILFIN_INDEX_SEAL_H
#define TAILFIN_INDEX_SEAL_H

#include <semaphore.h>

#include "index/engine.h"

struct idx_seal {
    struct idx_job job;
    uint32_t uid;           /* of the generation */
    struct idx_fresh fresh; /* its builder belongs to the worker until `done` */
    size_t n_bytes;         /* as the builder was sealed */
    sem_t done;
    struct idx_segment *segment; /* by the worker */
};

/* Takes the fresh documents (at least one) of g, which is quiet. Settles the one before. */
void idx_seal_start(struct idx *idx, struct idx_generation *g);
/* True while settling would have to wait. */
bool idx_seal_is_busy(const struct idx *idx);
/*
 * Waits for the seal that is under way, if there is one, and puts its segment
 * into its generation. The wait is for computing, never for the disk, and
 * no longer than making the segment here would have taken.
 */
void idx_seal_settle(struct idx *idx);

#endif
