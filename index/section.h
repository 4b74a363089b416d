/*
 * A section of an open segment, checked before its first use. After a section
 * passed its checksum its contents are trusted; before, nothing of it is read
 * but its row in the table.
 */
#ifndef TAILFIN_INDEX_SECTION_H
#define TAILFIN_INDEX_SECTION_H

#include <stdatomic.h>

#include "base/span.h"

#include "index/format.h"

enum idx_section_state { IDX_SECTION_NEW, IDX_SECTION_GOOD, IDX_SECTION_BAD };

struct idx_health { /* changes in segments that are const otherwise */
    _Atomic uint8_t is_corrupt;
};

struct idx_section {
    struct span bytes;
    uint64_t checksum;
    uint32_t field, n, extra; /* n: entries; what extra means depends on the kind */
    uint16_t flags;
    uint8_t kind, sub;
    _Atomic uint8_t state;     /* enum idx_section_state */
    struct idx_health *health; /* the segment's */
};

/* The slow path of idx_section_good. Any thread; two may do the same work. Cost: one XXH3. */
bool idx_section_check(struct idx_section *s);

/* Was it found good before? */
static inline bool
idx_section_is_checked(const struct idx_section *s)
{
    return atomic_load_explicit(&s->state, memory_order_acquire) == IDX_SECTION_GOOD;
}

/* True if the contents may be read; s may be NULL (false). */
static inline bool
idx_section_good(struct idx_section *s)
{
    if (!s)
        return false;
    return idx_section_is_checked(s) || idx_section_check(s);
}

#endif
