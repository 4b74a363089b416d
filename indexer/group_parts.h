/*
 * What group.c and replay.c share. Private to them.
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
};

/* The analyzer of the collection asked for last. */
struct ing_analyzer {
    struct tkz_analyzer analyzer;
    uint32_t uid; /* 0: none yet */
};
const struct tkz_analyzer *ing_analyzer_of(struct ing_analyzer *a, const struct idx_collection *c);

/* The log's position and the numbers, into the batch's state. */
void ing_groups_put_state(struct ing_groups *g, struct idx_batch *batch);
/* Applies the log's records behind the committed position. */
MUST_USE enum rc ing_groups_replay(struct ing_groups *g, struct err *err);

#endif
