/*
 * What is owed to Typesense: an internal collection of the index with an
 * entry "<collection>/<document id>" for every document that changed since it
 * was last acknowledged. An entry is part of the batch that changes the
 * document, so that it is as durable as the change; many changes of one
 * document are one entry, so that a cluster that stalls for hours costs at
 * most an entry per document.
 *
 * An entry may only leave if the document has not changed since it was read
 * for sending. The one lock here orders both: the batches that bring changes
 * and the batches that take entries away are submitted under it, and every
 * change is remembered from one sample to the next. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_SINK_PENDING_H
#define TAILFIN_INDEXER_SINK_PENDING_H

#include <pthread.h>

#include "base/map.h"
#include "index/writer.h"

#include "indexer/sink_sweep.h"

enum {
    ING_PENDING_FOLLOWED_MAX = 64,
    ING_PENDING_TOUCHED_MAX = 200000, /* changes remembered; beyond, no entry may leave */
};

struct ing_pending {
    struct idx *idx;
    uint32_t uid; /* of the internal collection's generation */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* something is owed, or someone called ing_pending_wake */
    /* Under the lock: */
    struct { /* generations whose changes are owed */
        uint32_t uid;
        struct span name; /* of the collection; borrowed */
    } followed[ING_PENDING_FOLLOWED_MAX];
    unsigned n_followed;
    struct map touched; /* keys that were owed since the last sample */
    bool is_overflowed; /* more than could be remembered */
    bool is_woken;
    uint64_t ticket; /* of the newest batch with entries */
};

struct ing_pending_item {   /* an entry, as a snapshot shows it */
    struct span key;        /* of the entry */
    struct span collection; /* whose document it is */
    struct span id;         /* of the document */
};

/* Finds or makes the internal collection (visible when this returns). RC_STOPPED, RC_LIMIT. */
MUST_USE enum rc ing_pending_open(struct ing_pending *p, struct idx *idx, struct err *err);
void ing_pending_close(struct ing_pending *p);

/*
 * From the next submit on, changes of generation uid are owed, and those of
 * the one that was followed under this name are not. uid 0: none. name is
 * borrowed. The batch (NULL allowed, taken) is submitted at that border; its
 * ticket, or 0.
 */
uint64_t ing_pending_follow(struct ing_pending *p, struct span name, uint32_t uid,
                            struct idx_batch **take);
/*
 * idx_submit for whoever changes documents: adds what is owed for them,
 * stamped with a cluster time that the changes are not newer than.
 */
uint64_t ing_pending_submit(struct ing_pending *p, struct idx_batch **take, uint32_t time_s);

/* Forgets what was touched; entries of a snapshot that shows this ticket may leave later on. */
uint64_t ing_pending_sample(struct ing_pending *p);
/*
 * Submits the batch with the entries of these keys taken away, but for those
 * touched since the sample. *n_left: how many had to stay. The ticket, or 0.
 */
uint64_t ing_pending_settle(struct ing_pending *p, struct idx_batch **take, const struct span *keys,
                            size_t n, size_t *n_left);

/* Entries of a snapshot. */
uint64_t ing_pending_n(const struct ing_pending *p, const struct idx_snapshot *s);
struct ing_pending_filter {
    uint32_t before_s;             /* only entries that are older; 0: of any age */
    const struct ing_sweep *sweep; /* only entries that it has; NULL: all */
    size_t max;
};
/* At most filter.max entries into out, no order, copied into the arena. Returns how many. */
size_t ing_pending_list(const struct ing_pending *p, const struct idx_snapshot *s,
                        const struct ing_pending_filter *filter, struct arena *arena,
                        struct ing_pending_item *out);
/* Begins a sweep of all entries of the snapshot. */
void ing_pending_sweep(const struct ing_pending *p, const struct idx_snapshot *s,
                       struct ing_sweep *sweep);
/* The smallest stamp among the entries; 0 if there are none. Cost: O(entries). */
uint32_t ing_pending_oldest_s(const struct ing_pending *p, const struct idx_snapshot *s);

/* Waits until more is owed than with that ticket, someone wakes, or the time is over. */
void ing_pending_wait(struct ing_pending *p, uint64_t ticket_seen, uint64_t wait_us);
void ing_pending_wake(struct ing_pending *p);

#endif
