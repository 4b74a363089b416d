/*
 * A lock that is given in the order of asking. Writers hold it for a whole
 * group, which includes a sync: with a plain mutex an import would take it
 * again and again before a single write that waits. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_TURN_H
#define TAILFIN_INDEXER_TURN_H

#include <pthread.h>
#include <stdint.h>

struct ing_turn {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t next, serving; /* numbers as at a counter */
};

void ing_turn_init(struct ing_turn *t);
void ing_turn_fini(struct ing_turn *t); /* no one holds it or waits */
void ing_turn_take(struct ing_turn *t); /* blocks */
void ing_turn_give(struct ing_turn *t);

#endif
