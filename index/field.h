/* Which parts of a segment a field of the schema has. */
#ifndef TAILFIN_INDEX_FIELD_H
#define TAILFIN_INDEX_FIELD_H

#include "index/index.h"

static inline bool
idx_field_has_terms(const struct sch_field *f, enum idx_terms_kind kind)
{
    if (f->type != SCH_STRING)
        return false;
    if (kind == IDX_TEXT)
        return f->flags & SCH_INDEXED && !(f->flags & SCH_EXACT);
    if (kind == IDX_VALUE)
        return f->flags & (SCH_FACET | SCH_EXACT);
    return f->flags & SCH_SORT && !(f->flags & SCH_ARRAY);
}

static inline bool
idx_field_has_column(const struct sch_field *f)
{
    return f->type != SCH_STRING &&
           f->flags & (SCH_INDEXED | SCH_FACET | SCH_SORT | SCH_ORDER | SCH_EXACT);
}

#endif
