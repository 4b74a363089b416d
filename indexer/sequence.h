/*
 * The next document's number of each collection generation: the tie-break of
 * equal scores, and the id of a document that brings none. A number is given
 * out once; numbers of refused or lost writes are left out. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_SEQUENCE_H
#define TAILFIN_INDEXER_SEQUENCE_H

#include <pthread.h>

#include "base/map.h"
#include "index/writer.h"

struct ing_sequences {
    struct idx *idx;
    pthread_mutex_t lock;
    struct map all;      /* "seq:<uid>" -> struct sequence * */
    struct arena memory; /* of them */
};

void ing_sequences_init(struct ing_sequences *s, struct idx *idx);
void ing_sequences_fini(struct ing_sequences *s);
/* Any thread. */
uint64_t ing_sequences_take(struct ing_sequences *s, uint32_t uid);
/* No number below this one is given out from now on (replay, a generation built aside). */
void ing_sequences_raise(struct ing_sequences *s, uint32_t uid, uint64_t next);
/* The next number, not taken. */
uint64_t ing_sequences_peek(struct ing_sequences *s, uint32_t uid);
/* Puts those that have moved since the last call into the batch's state. */
void ing_sequences_save(struct ing_sequences *s, struct idx_batch *batch);

#endif
