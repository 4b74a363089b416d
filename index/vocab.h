/* The distinct terms of a field while a segment is built, numbered as they come. */
#ifndef TAILFIN_INDEX_VOCAB_H
#define TAILFIN_INDEX_VOCAB_H

#include "base/buf.h"

struct idx_vocab { /* all-zero is empty */
    struct idx_vocab_slot *slots;
    uint32_t n_slots, n;
    struct idx_vocab_term *terms; /* n */
    size_t cap;
    struct buf text; /* of all terms */
};

/* The term's number: 0 for the first one ever put. */
uint32_t idx_vocab_put(struct idx_vocab *v, struct span term);
/* The same for n terms at once, which is faster. */
enum { IDX_VOCAB_GROUP = 32 };
void idx_vocab_put_group(struct idx_vocab *v, const struct span *terms, uint32_t n,
                         uint32_t *numbers);
struct span idx_vocab_get(const struct idx_vocab *v, uint32_t number);
/*
 * Numbers in byte order of their terms into order (n long), and the place of
 * each number in that order into rank (n long).
 */
void idx_vocab_sort(struct idx_vocab *v, uint32_t *order, uint32_t *rank);
void idx_vocab_clear(struct idx_vocab *v); /* keeps the memory */
void idx_vocab_fini(struct idx_vocab *v);

#endif
