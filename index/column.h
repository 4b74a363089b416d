/* Columns: the typed values of one field by document. Private to the room. */
#ifndef TAILFIN_INDEX_COLUMN_H
#define TAILFIN_INDEX_COLUMN_H

#include "index/layout.h"
#include "index/vec.h"
#include "index/writer.h"

/* Lays a column over a section; false if the bytes cannot hold it. Reads nothing of it. */
bool idx_column_open(struct idx_column *c, const struct idx_section *s, uint32_t n_docs);

struct idx_column_out { /* type and is_array are set first; all else zero is empty */
    enum sch_type type;
    bool is_array;
    struct buf values;      /* in their stored width */
    struct idx_u32s starts; /* array: where each document's values begin */
    struct buf present;     /* plain: a byte each, 0 or 1 */
    uint32_t n_present;
};

/* The next document's value; n = 0: missing. */
void idx_column_put(struct idx_column_out *o, const struct idx_value *v);
/* The same, as document doc of another column has it; c NULL: missing. */
void idx_column_put_from(struct idx_column_out *o, const struct idx_column *c, uint32_t doc);
/* Writes the section; nothing if no document has a value. RC_LIMIT above 2^32 values. */
MUST_USE enum rc idx_column_write(const struct idx_column_out *o, struct idx_layout *l,
                                  uint32_t field, struct err *err);
void idx_column_clear(struct idx_column_out *o);
void idx_column_fini(struct idx_column_out *o);

/* Bytes of a stored value. Strings have none. */
size_t idx_column_width(enum sch_type type);

#endif
