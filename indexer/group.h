/*
 * Groups of API writes: resolved against the newest state, logged, synced,
 * applied and visible, one group at a time. Private to indexer/.
 *
 * A write is answered when its record is synced in the operation log and its
 * snapshot is published, so that every connection reads what was written.
 */
#ifndef TAILFIN_INDEXER_GROUP_H
#define TAILFIN_INDEXER_GROUP_H

#include "base/fs.h"
#include "indexer/record.h"

enum ing_action {
    ING_CREATE,  /* the id must be new */
    ING_UPSERT,  /* new, or replaced as a whole */
    ING_UPDATE,  /* laid over the existing document */
    ING_EMPLACE, /* laid over the existing document, or new */
    ING_DELETE,
    ING_ACTION_N
};

struct ing_write {
    enum ing_action action;
    enum ing_dirty dirty;
    struct span collection; /* its name; the same for a whole group of an import */
    struct span id;         /* of ING_DELETE and where a path named it; else empty: as the object says */
    struct json object;     /* not of ING_DELETE; in the caller's arena */
    /* The outcome. */
    enum rc rc;
    struct err err;
    struct span stored; /* the document as it is now (deleted: as it was), in the caller's arena */
    struct span stored_id;
};

struct ing_groups;

/*
 * Opens the operation log in fs and replays what the index has not committed.
 * idx and fs are borrowed. RC_IO, RC_CORRUPT.
 */
MUST_USE enum rc ing_groups_open(struct idx *idx, struct fs *fs, struct ing_groups **out,
                                 struct err *err);
void ing_groups_close(struct ing_groups *g); /* NULL allowed */

/*
 * Runs the writes in order and fills their outcomes; texts go to the arena,
 * which also holds what the writes point to. An error of the whole group (the
 * log's disk is full, the index is closing) is every write's outcome. Any
 * thread; groups take turns. Blocks for a sync and a publication.
 */
void ing_groups_run(struct ing_groups *g, struct ing_write *writes, size_t n, struct arena *arena);

/*
 * Changes of the catalog (collections, aliases, keys) take the same turn:
 * between begin and end no group runs. The batch gets the log's position, is
 * submitted and waited for until it is durable. *take is nulled.
 */
void ing_groups_begin(struct ing_groups *g);
MUST_USE enum rc ing_groups_commit(struct ing_groups *g, struct idx_batch **take, struct err *err);
void ing_groups_end(struct ing_groups *g);

/* The newest snapshot, between begin and end only. */
const struct idx_snapshot *ing_groups_snapshot(struct ing_groups *g);

#endif
