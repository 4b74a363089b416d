/*
 * Dead letters: documents that a target does not have as MongoDB has them,
 * because they could not be mapped (the index) or were refused (Typesense).
 * Kept in the index itself, in an internal collection, so that the list is as
 * durable as the batch that made an entry. A letter leaves when its document
 * is taken in full, or deleted. Private to indexer/.
 *
 * At most ING_DEAD_MAX are kept; those beyond are counted and dropped, so that
 * a profile that fits nothing cannot fill the disk with complaints.
 */
#ifndef TAILFIN_INDEXER_DEAD_H
#define TAILFIN_INDEXER_DEAD_H

#include "base/metrics.h"
#include "index/writer.h"

enum { ING_DEAD_MAX = 10000 };

enum ing_dead_target { ING_DEAD_INDEX, ING_DEAD_TYPESENSE, ING_DEAD_TARGET_N };

struct ing_dead;

struct ing_dead_letter {
    enum ing_dead_target target;
    struct span collection; /* its search name */
    struct span id;         /* the search id; for an _id that has none: any text that is its own */
    struct span reason;     /* UTF-8 or nearly; cut at 300 bytes */
    bool is_partial;        /* the target has the document without some of its fields */
};

/*
 * Reads the list from the index; makes the internal collection if it is not
 * there (a batch of its own, submitted). metrics may be NULL. RC_CORRUPT,
 * RC_LIMIT (readers). Before the threads that use it.
 */
MUST_USE enum rc ing_dead_open(struct idx *idx, struct metrics *metrics, struct ing_dead **out,
                               struct err *err);
void ing_dead_close(struct ing_dead *d); /* NULL allowed */

/*
 * Adds a letter, or counts another attempt of the one that is there; the change
 * is part of the batch. The batch must be submitted afterwards (call this when
 * nothing can fail any more), and batches that touch the same target in the
 * order of these calls: one thread per target, or the caller's own lock. All
 * spans are copied. Any thread. Cost: O(1).
 */
void ing_dead_put(struct ing_dead *d, struct idx_batch *b, const struct ing_dead_letter *letter);

/*
 * The document is in the target in full, or gone from MongoDB: its letter
 * leaves with this batch. Nothing happens if there is none, which costs one
 * look (none at all while the list is empty). The same rules as ing_dead_put.
 */
void ing_dead_clear(struct ing_dead *d, struct idx_batch *b, enum ing_dead_target target,
                    struct span collection, struct span id);

/* All letters of a collection: when it is read or sent anew from the beginning. O(list). */
void ing_dead_clear_collection(struct ing_dead *d, struct idx_batch *b,
                               enum ing_dead_target target, struct span collection);

/* How many there are. Any thread. */
size_t ing_dead_n(struct ing_dead *d);

/*
 * Appends {"count": n, "dropped": n, "letters": [{"target", "collection", "id",
 * "reason", "partial", "first_ms", "last_ms", "attempts"}...]} with the newest
 * `max` letters, newest first. Any thread. Cost: O(list * log list).
 */
void ing_dead_write(struct ing_dead *d, size_t max, struct buf *out);

#endif
