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
    struct span key; /* {"": _id} */
    int64_t updated_at_ms;
    struct span set; /* BSON: what to set besides search_updated_at */
};

struct ing_writeback_list {
    struct ing_writeback_list *next;
    struct ing_writeback_queue *queue;
    struct arena arena;
    struct ing_writeback_item *items, **end;
    size_t n;
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
};

#endif
