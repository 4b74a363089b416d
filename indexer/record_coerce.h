/* Values of a wrong type: rejected, coerced or dropped. Private to indexer/. */
#ifndef TAILFIN_INDEXER_RECORD_COERCE_H
#define TAILFIN_INDEXER_RECORD_COERCE_H

#include "indexer/record.h"

/*
 * Makes *value what the field wants, as dirty asks. RC_OK: it is right now;
 * > 0: it is to be dropped; RC_INVALID with a sentence. Arrays are checked by
 * element; where single ones are dropped, items shrink in place.
 */
MUST_USE enum rc ing_record_coerce(const struct sch_field *field, struct json *value,
                                   enum ing_dirty dirty, struct arena *arena, struct err *err);

#endif
