/*
 * The terms of a dictionary in the order of what they hold from a byte on:
 * "which terms have these bytes there" without looking at the others. One
 * section for each byte from IDX_TAIL_FIRST to IDX_TAIL_LAST. Private to the
 * room; index.h has what readers call.
 */
#ifndef TAILFIN_INDEX_TAILS_H
#define TAILFIN_INDEX_TAILS_H

#include "index/layout.h"
#include "index/terms.h"

/* Lays the section (SEG_TAILS) over its part of t; false if it cannot be one of them. */
bool idx_tails_open(struct idx_terms *t, struct idx_section *s);
/* The least term of every group of SEG_BLOCK; behind them all terms. Of a section that is good. */
const uint64_t *idx_tails_heads(const struct idx_section *s);
const uint32_t *idx_tails_ords(const struct idx_section *s);
/* The 8 bytes from byte `from` on as a big-endian number, missing ones 0. */
static inline uint64_t
idx_tails_key(struct span term, uint32_t from)
{
    return idx_head_of(span_from(term, from));
}
/* Terms that have at least this many bytes are in the section of byte `from`. */
static inline uint32_t
idx_tails_length(uint32_t from)
{
    return from + IDX_TAIL_MIN;
}

/* Writes the sections of the field's dictionary of text, if it is large; it was written before. */
void idx_tails_write(struct idx_layout *l, uint32_t field);

#endif
