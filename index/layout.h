/*
 * Writing a segment: sections one after the other behind the header, their
 * table last. One thread.
 */
#ifndef TAILFIN_INDEX_LAYOUT_H
#define TAILFIN_INDEX_LAYOUT_H

#include "base/buf.h"
#include "base/err.h"

#include "index/section.h"

struct idx_row { /* of the section table */
    uint8_t kind, sub;
    uint16_t flags;
    uint32_t field, n, extra;
    uint64_t offset, n_bytes, checksum;
};

/*
 * Bytes of a segment that need not be copied to be written: blocks of
 * documents that a merge takes as they are. They belong before out[at].
 */
struct idx_apart {
    size_t at;
    struct span bytes; /* borrowed */
    bool is_mapped;
};

struct idx_aparts { /* in the order of the segment; all-zero: none */
    struct idx_apart *v;
    size_t n, cap;
};
void idx_aparts_fini(struct idx_aparts *a);

struct idx_layout {
    struct buf *out;           /* borrowed */
    size_t start;              /* of the segment in out */
    struct idx_aparts *aparts; /* borrowed; NULL: everything goes into out */
    uint64_t n_apart;          /* bytes in them */
    struct idx_row *rows;
    size_t n_rows, cap_rows;
};

/* Leaves room for the header behind what out holds. */
void idx_layout_begin(struct idx_layout *l, struct buf *out);
/* Aligns out; what is appended to it until idx_layout_close is the section. */
void idx_layout_open(struct idx_layout *l);
/*
 * Appends bytes to the open section; where there are aparts they are only
 * borrowed, until the segment is written. The section cannot be found then
 * (idx_layout_find), and carries no checksum of its own: SEG_DOC_BYTES.
 */
void idx_layout_put_apart(struct idx_layout *l, struct span bytes, bool is_mapped);
/* Ends the section; row.offset, n_bytes and checksum are filled here. */
void idx_layout_close(struct idx_layout *l, struct idx_row row);
/*
 * A view of a finished section, good to read until out grows; false if there
 * is none. sub is compared where the kind has one (dictionaries).
 */
bool idx_layout_find(const struct idx_layout *l, struct idx_row key, struct idx_section *view);
/* Writes the table and the header. */
void idx_layout_end(struct idx_layout *l, uint32_t n_docs, uint32_t n_fields, uint32_t flags);
void idx_layout_fini(struct idx_layout *l);

/* Appends zero bytes so that what is written next is aligned in the segment. */
void idx_layout_align(struct idx_layout *l, size_t alignment);

#endif
