/*
 * What group.c, group_disk.c and replay.c share. Private to them.
 */
#ifndef TAILFIN_INDEXER_GROUP_PARTS_H
#define TAILFIN_INDEXER_GROUP_PARTS_H

#include "indexer/group.h"
#include "indexer/sequence.h"
#include "indexer/turn.h"

#define ING_LOG_STATE                                                                              \
    SPAN_LIT("log") /* the part of the resume state that holds the log's position */

struct ing_groups {
    struct idx *idx;
    struct ing_mongo *mongo; /* NULL: standalone */
    struct ing_turn turn;    /* held for a whole group; guards all below but the numbers */
    struct ing_sequences sequences;
    struct idx_log *log;
    struct idx_reader *reader;
    const struct idx_snapshot *snapshot; /* of the group that runs */
    struct idx_doc_reader *docs;
    uint64_t log_end; /* everything before is in batches that were submitted */
    uint64_t trimmed_us;
    struct buf record;
    uint64_t unsettled; /* ticket of a change of the catalog that waits for the disk; 0: none */
    uint32_t leftover;  /* uid of a generation to be dropped; 0: none */
    pthread_mutex_t trouble_lock;
    struct err trouble; /* of the log's newest sync, and when; guarded by the lock */
    uint64_t trouble_us;
};

/* The analyzer of the collection asked for last. */
struct ing_analyzer {
    struct tkz_analyzer analyzer;
    uint32_t uid; /* 0: none yet */
};
const struct tkz_analyzer *ing_analyzer_of(struct ing_analyzer *a, const struct idx_collection *c);

/* The log's position and the numbers, into the batch's state. */
void ing_groups_put_state(struct ing_groups *g, struct idx_batch *batch);
/* RC_DISK if a write would wait, or rest on what is not durable. In the turn; does not wait. */
MUST_USE enum rc ing_groups_may_write(struct ing_groups *g, struct err *err);
/* Makes the log's pending records durable; it ends at log_end then. RC_DISK: none counts. */
MUST_USE enum rc ing_groups_sync(struct ing_groups *g, uint64_t log_end, struct err *err);
/* Submits with the log's position and waits until it is seen. RC_DISK, RC_STOPPED. */
MUST_USE enum rc ing_groups_show(struct ing_groups *g, struct idx_batch **take, struct err *err);
/* Applies the log's records behind the committed position. */
MUST_USE enum rc ing_groups_replay(struct ing_groups *g, struct err *err);

#endif
