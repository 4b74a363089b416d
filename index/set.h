/*
 * Writing postings: which documents have a term. One document stands in the
 * term's entry, a short list is delta varints, SEG_LIST_MAX or more documents
 * are a bitmap in roaring's portable format.
 */
#ifndef TAILFIN_INDEX_SET_H
#define TAILFIN_INDEX_SET_H

#include "index/layout.h"
#include "index/vec.h"

struct idx_set_out { /* all-zero is empty */
    struct idx_u32s entries;
    struct buf records;
};

/* The next term's documents: ascending, distinct, n >= 1. */
void idx_set_put(struct idx_set_out *o, const uint32_t *docs, size_t n);
MUST_USE enum rc idx_set_write(const struct idx_set_out *o, struct idx_layout *l,
                               struct idx_row row, struct err *err);
void idx_set_clear(struct idx_set_out *o);
void idx_set_fini(struct idx_set_out *o);

/*
 * Whether bytes begin with a sound portable bitmap of exactly n documents, all
 * below n_docs; by the library's own safe reader. For verifying.
 */
bool idx_set_bitmap_is_sound(struct span bytes, uint32_t n, uint32_t n_docs);

#endif
