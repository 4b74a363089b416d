/*
 * A search document on its way into the index: JSON or derived values,
 * tokenised as the collection's schema asks. Used by the MongoDB mapping and
 * by the API alike. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_DOCUMENT_H
#define TAILFIN_INDEXER_DOCUMENT_H

#include "base/arena.h"
#include "base/json.h"
#include "index/writer.h"
#include "tokenizer/tokenizer.h"

/*
 * Fills one string field's value: tokens, raw value and sort key as the
 * field's flags need them. Everything lives in the arena (texts may be
 * borrowed from elements, which must live as long).
 */
void ing_value_strings(const struct sch_field *field, const struct tkz_analyzer *analyzer,
                       const struct span *elements, uint32_t n, struct arena *arena,
                       struct idx_value *out);
/* One or several numbers (bools as 0/1); copied into the arena. */
void ing_value_ints(const int64_t *v, uint32_t n, struct arena *arena, struct idx_value *out);
void ing_value_floats(const double *v, uint32_t n, struct arena *arena, struct idx_value *out);

#endif
