/* The three sections of a dictionary while they are written; used again from field to field. */
#ifndef TAILFIN_INDEX_TERMS_OUT_H
#define TAILFIN_INDEX_TERMS_OUT_H

#include "index/set.h"
#include "index/tails.h"
#include "index/terms.h"

struct idx_terms_out { /* all-zero is empty */
    struct idx_dict_out dict;
    struct idx_set_out sets;
    struct idx_forward_out lists;
};

static inline void
idx_terms_out_clear(struct idx_terms_out *o)
{
    idx_dict_clear(&o->dict);
    idx_set_clear(&o->sets);
    idx_forward_clear(&o->lists);
}

static inline void
idx_terms_out_fini(struct idx_terms_out *o)
{
    idx_dict_fini(&o->dict);
    idx_set_fini(&o->sets);
    idx_forward_fini(&o->lists);
}

/* Writes them; nothing if no document has the field. Values that are all ULIDs are packed.
 * RC_LIMIT. */
static inline enum rc
idx_terms_out_write(struct idx_terms_out *o, struct idx_layout *l, uint32_t field,
                    enum idx_terms_kind kind, struct err *err)
{
    struct idx_row row = {.kind = SEG_DICT, .sub = (uint8_t)kind, .field = field};
    if (o->lists.n_present == 0)
        return RC_OK;
    enum rc rc = idx_dict_write(&o->dict, l, row, kind == IDX_VALUE, err);
    row.kind = SEG_POSTINGS;
    if (rc == RC_OK && kind != IDX_SORT)
        rc = idx_set_write(&o->sets, l, row, err);
    row.kind = SEG_FORWARD;
    if (rc == RC_OK)
        rc = idx_forward_write(&o->lists, l, row, err);
    if (rc == RC_OK && kind == IDX_TEXT)
        idx_tails_write(l, field);
    return rc;
}

#endif
