/*
 * What the write-back's files share: noted documents and the queue of lists.
 * Private to indexer/writeback*.c.
 */
#ifndef TAILFIN_INDEXER_WRITEBACK_PARTS_H
#define TAILFIN_INDEXER_WRITEBACK_PARTS_H

#include "indexer/pipeline.h"

struct ing_writeback_item {
    struct ing_writeback_item *next;
    const struct ing_feed *feed;
    struct span key; /* the feed's byte, then the id */
    struct span id;  /* {"": _id} */
    int64_t updated_at_ms;
    struct span set; /* BSON: what to set besides search_updated_at */
};

struct ing_writeback_list {
    struct ing_writeback_list *next;
    struct ing_writeback_queue *queue;
    struct arena arena;
    struct ing_writeback_item *items, **end;
    size_t n;
    uint64_t number; /* from 1, in the order of the rounds */
    int64_t event_s; /* when it was asked for: the day that statistics count it for */
};

/* Lists outlive the pipeline when it stops before they are durable: they hold a reference. */
struct ing_writeback_queue {
    struct ing_mongo *m; /* until closed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ing_writeback_list *first, **end;
    size_t n_docs;
    size_t n_references;
    bool is_closed;
    /* Of lists that the thread is done with, for the apply thread: */
    struct ing_writeback_list *done;
    uint64_t done_list, lost_list; /* newest numbers; lost: not written, or not in full */
    uint32_t written_s, written_i; /* cluster time of the last transaction */
    uint32_t told_s;               /* the lease's holder: all changes before are written back */
    uint32_t paid_s;               /* what we would tell as the holder */

    /* Apply thread: */
    uint64_t n_lists;
    size_t n_waiting;   /* lists attached and not reaped */
    struct map waiting; /* their items: key with the feed's byte, to how many there are */
};

/* Of idx_batch_on_durable: arg is a list, which it takes. Writer thread. */
void ing_writeback_on_durable(void *arg, enum rc rc);

#endif
