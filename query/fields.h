/* include_fields and exclude_fields on a stored document's text. Private to query/. */
#ifndef TAILFIN_QUERY_FIELDS_H
#define TAILFIN_QUERY_FIELDS_H

#include "query/plan.h"

/*
 * Appends the document with only the top-level members that are wanted:
 * include first (all if includes_all), then exclude. The text is copied as it
 * is; json is a valid object (it was checked when it was put).
 */
void qry_fields_write(struct span json, const struct qry_names *include, bool includes_all,
                      const struct qry_names *exclude, struct buf *out);

#endif
