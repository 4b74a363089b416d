/*
 * The distinct terms of a field while a segment is built, numbered as they
 * come. Values may be kept as 16 bytes each as long as all of them are ULIDs.
 */
#ifndef TAILFIN_INDEX_VOCAB_H
#define TAILFIN_INDEX_VOCAB_H

#include "base/buf.h"

#include "index/ulids.h"

struct idx_vocab { /* may_pack is set first; all else zero is empty */
    bool may_pack; /* ULIDs are kept in `ulids`; */
    bool has_text; /* until a term came that is none: all are below then */
    uint32_t n;
    struct idx_ulids ulids;
    struct idx_vocab_slot *slots;
    uint32_t n_slots;
    struct idx_vocab_term *terms; /* n */
    size_t cap;
    struct buf text; /* of all terms */
};

/* The term's number: 0 for the first one ever put. */
uint32_t idx_vocab_put(struct idx_vocab *v, struct span term);
/* The same for n terms at once, which is faster; or for ULIDs of 16 bytes each. */
enum { IDX_VOCAB_GROUP = IDX_ULIDS_GROUP };
void idx_vocab_put_group(struct idx_vocab *v, const struct span *terms, uint32_t n,
                         uint32_t *numbers);
void idx_vocab_put_ulids(struct idx_vocab *v, const unsigned char *ulids, uint32_t n,
                         uint32_t *numbers);
/* Whether all terms are ULIDs, kept as such. */
static inline bool
idx_vocab_is_packed(const struct idx_vocab *v)
{
    return v->may_pack && !v->has_text;
}
/* A term's text; not of a packed vocabulary. */
struct span idx_vocab_get(const struct idx_vocab *v, uint32_t number);
/* Memory in use. */
size_t idx_vocab_n_bytes(const struct idx_vocab *v);
/*
 * Numbers in byte order of their terms into order (n long), and the place of
 * each number in that order into rank (n long).
 */
void idx_vocab_sort(struct idx_vocab *v, uint32_t *order, uint32_t *rank);
void idx_vocab_clear(struct idx_vocab *v); /* keeps the memory */
void idx_vocab_fini(struct idx_vocab *v);

#endif
