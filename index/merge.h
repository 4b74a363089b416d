/* A merge at work: what its steps share. Private to the room. */
#ifndef TAILFIN_INDEX_MERGE_H
#define TAILFIN_INDEX_MERGE_H

#include "index/parts.h"
#include "index/terms_out.h"

struct idx_merge {
    const struct idx_merge_input *inputs;
    size_t n;
    const struct sch_collection *schema;
    const atomic_bool *is_cancelled; /* may be NULL */
    bool is_compressed;              /* struct idx_merge_job */
    struct idx_layout layout;
    struct idx_terms_out out; /* used again from field to field */
    uint32_t n_docs;          /* of the result */
};

static inline bool
idx_merge_is_cancelled(const struct idx_merge *m)
{
    return m->is_cancelled && atomic_load_explicit(m->is_cancelled, memory_order_relaxed);
}

/* Merges a field's dictionary of one kind. RC_STOPPED, RC_LIMIT. */
MUST_USE enum rc idx_merge_terms(struct idx_merge *m, uint32_t field, enum idx_terms_kind kind,
                                 struct err *err);

#endif
