/*
 * Documents as they are stored: arrays that the index keeps anyway, as the
 * values of a field, are left out of the text and put in again by readers.
 */
#ifndef TAILFIN_INDEX_GAPS_H
#define TAILFIN_INDEX_GAPS_H

#include "index/segment.h"
#include "index/vec.h"

enum { IDX_GAPS_MAX = 16 };

struct idx_stored { /* a document as a block holds it */
    struct span bytes; /* the gaps, if it has any, then the text without what belongs there */
    bool has_gaps;
};

/* Appends a document's stored bytes. */
void idx_stored_put(const struct idx_doc *doc, struct buf *out);
/*
 * Appends the text of a stored document that has gaps. ords: room that is used
 * again. False if it or what it refers to is damaged.
 */
MUST_USE bool idx_stored_fill(const struct idx_segment *s, uint32_t doc, struct span stored,
                              struct idx_u32s *ords, struct buf *out);

#endif
