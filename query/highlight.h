/*
 * Highlights of a hit: search-semantics section 10.1. Private to query/; one
 * thread at a time.
 */
#ifndef TAILFIN_QUERY_HIGHLIGHT_H
#define TAILFIN_QUERY_HIGHLIGHT_H

#include "base/json.h"

#include "query/match.h"
#include "query/plan.h"

struct qry_highlighter;

/* NULL if the plan and the match can have no highlights (match NULL: q=*). */
struct qry_highlighter *qry_highlighter_new(const struct qry_plan *plan,
                                            const struct qry_match *match, struct arena *arena);
/*
 * Appends `"highlight":{...}` and, unless switched off, `,"highlights":[...]`
 * for a stored document (NULL with h NULL: both empty).
 */
void qry_highlight_write(const struct qry_highlighter *h, const struct qry_plan *plan,
                         const struct json *document, struct buf *out);

#endif
