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
    struct span collection; /* its name */
    struct span id; /* of ING_DELETE and where a path named it; else empty: as the object says */
    struct json object; /* not of ING_DELETE */
    /* The outcome; a write whose rc is set before takes no part. */
    enum rc rc;
    struct err err;
    struct span
        stored; /* the document as it is now (deleted: as it was); until the group is reset */
    struct span stored_id;
    /* What ing_group_prepare made of it: inside. */
    bool is_built;
    enum rc built; /* for the generation uid, as if the id were new or laid over its base */
    uint32_t uid;
    uint64_t base_file; /* number of the segment that has the base; 0: there is none */
    uint32_t base_doc;
    struct ing_record record;
};

struct ing_groups;
struct ing_mongo;

/*
 * Opens the operation log in fs and replays what the index has not committed.
 * idx, fs and mongo (NULL: standalone) are borrowed. RC_IO, RC_CORRUPT.
 */
MUST_USE enum rc ing_groups_open(struct idx *idx, struct fs *fs, struct ing_mongo *mongo,
                                 struct ing_groups **out, struct err *err);
void ing_groups_close(struct ing_groups *g); /* NULL allowed */

/*
 * Writes that go together; used again and again. prepare may run beside other
 * groups' run, so that parsing and tokenising do not hold the turn.
 *
 *   ing_group_init(&group, groups, &err);
 *   w = ing_group_add(&group); ...        its texts live in group.arena or longer
 *   ing_group_prepare(&group);
 *   ing_group_run(&group);                outcomes are in group.writes
 *   ing_group_reset(&group); ...
 *   ing_group_fini(&group);
 */
struct ing_group {
    struct ing_groups *groups;
    struct idx_reader *reader;
    struct idx_doc_reader *docs;
    struct arena arena;
    struct idx_batch *batch; /* NULL before prepare and behind run */
    struct ing_write *writes;
    size_t n, cap;
};

/* RC_LIMIT: too many readers. */
MUST_USE enum rc ing_group_init(struct ing_group *group, struct ing_groups *groups,
                                struct err *err);
void ing_group_fini(struct ing_group *group); /* also of an all-zero one */
/* A zeroed write; valid until the next one is added. */
struct ing_write *ing_group_add(struct ing_group *group);
/* Builds what can be built without knowing the newest state. Any thread; does not wait. */
void ing_group_prepare(struct ing_group *group);
/*
 * Runs the writes in order and fills their outcomes. An error of the whole
 * group (RC_DISK: the disk takes no writes; the index is closing) is every write's
 * outcome. Any thread; groups take turns in the order of asking. Blocks for a
 * sync and a publication.
 */
void ing_group_run(struct ing_group *group);
void ing_group_reset(struct ing_group *group);

/*
 * Changes of the catalog (collections, aliases, keys) take the same turn:
 * between begin and end no group runs. The batch gets the log's position, is
 * submitted and waited for until it is durable. *take is nulled.
 *
 * RC_DISK after some seconds of failing commits, or a minute of a slow one;
 * the sentence says whether the change can be seen already. While commits
 * fail, later ones are refused at once.
 */
void ing_groups_begin(struct ing_groups *g);
MUST_USE enum rc ing_groups_commit(struct ing_groups *g, struct idx_batch **take, struct err *err);
/* A part of a larger change, not waited for; RC_DISK: there is no room. *take is nulled. */
MUST_USE enum rc ing_groups_submit(struct ing_groups *g, struct idx_batch **take, struct err *err);
/* Drops a generation that such parts were put into, unless ing_groups_commit may yet name it. */
void ing_groups_discard(struct ing_groups *g, uint32_t uid);
void ing_groups_end(struct ing_groups *g);

/* RC_CONFLICT, with a sentence, for a collection (by its real name) that MongoDB feeds. Any thread.
 */
MUST_USE enum rc ing_groups_check_fed(struct ing_groups *g, struct span name, struct err *err);

/* "disk_error" with a sentence, as a further member of an object, while writes fail. Any thread. */
void ing_groups_write_health(struct ing_groups *g, struct buf *out);

/* The newest snapshot, between begin and end only. */
const struct idx_snapshot *ing_groups_snapshot(struct ing_groups *g);
/* The generation `to`, built aside, goes on with the numbers of `from`. Between begin and end only.
 */
void ing_groups_hand_on(struct ing_groups *g, uint32_t from, uint32_t to);

#endif
