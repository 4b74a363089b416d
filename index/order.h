/* Sorted permutations of fields with SCH_ORDER. */
#ifndef TAILFIN_INDEX_ORDER_H
#define TAILFIN_INDEX_ORDER_H

#include "schema/schema.h"

#include "index/layout.h"

/*
 * Writes the permutations over the ids, sequences, columns and sort keys that
 * the layout already holds. Cost: O(n) a field, and O(n log n) once unless the
 * documents came in the order of their ties.
 */
void idx_orders_write(struct idx_layout *l, const struct sch_collection *schema, uint32_t n_docs);

#endif
