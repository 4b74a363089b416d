/* The inside of an open segment: its sections and what is laid over them. */
#ifndef TAILFIN_INDEX_PARTS_H
#define TAILFIN_INDEX_PARTS_H

#include "index/column.h"
#include "index/docs.h"
#include "index/ids.h"
#include "index/segment.h"
#include "index/terms.h"

struct idx_segment {
    struct span bytes;
    struct buf owned; /* RAM: the same bytes */
    struct fs *fs;    /* a file; NULL in RAM */
    struct fs_map map;
    uint32_t n_docs, n_fields, n_sections;
    enum sch_tie tie;
    struct idx_section *sections;
    struct idx_terms **terms;     /* n_fields * IDX_TERMS_KIND_N; NULL: no such terms */
    struct idx_section **columns; /* n_fields */
    struct idx_section **orders;  /* n_fields */
    struct idx_section *ids_section, *id_table, *seq, *doc_rows;
    struct idx_ids ids;
    struct idx_docs docs;
    struct idx_health *health;
};

/* As idx_segment_terms, but also if there are only lists and no terms. */
const struct idx_terms *idx_segment_slot(const struct idx_segment *s, uint32_t field,
                                         enum idx_terms_kind kind);

#endif
