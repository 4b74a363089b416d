/*
 * facet_by: values of the hits, counted. search-semantics section 10. Private
 * to query/.
 */
#ifndef TAILFIN_QUERY_FACET_H
#define TAILFIN_QUERY_FACET_H

#include "query/collect.h"

/*
 * Appends the array of facet_counts for the hits that were marked; where hits
 * were grouped (collector->hits holds all of them), a value's count is its
 * number of groups. RC_CUTOFF past the deadline.
 */
MUST_USE enum rc qry_facets_write(const struct qry_plan *plan, const struct qry_collector *c,
                                  struct arena *arena, struct buf *out, struct err *err);

/* ---- facet_query.c ---- */

struct qry_facet_match { /* the tokens looked for, the last one as a prefix */
    const struct tkz_analyzer *analyzer;
    struct tkz_tokens tokens;
    unsigned typos;  /* how many a token may have, beyond what its length allows */
    bool is_literal; /* numbers: the value's text begins with the query */
};

void qry_facet_match_init(struct qry_facet_match *m, const struct qry_plan *plan, bool is_literal,
                          struct arena *arena);
/*
 * Whether every token is found in the value with at most `typos` edits each.
 * highlighted (may be NULL) gets the value with its matches marked.
 */
bool qry_facet_match(const struct qry_facet_match *m, struct span value, unsigned typos,
                     const struct qry_plan *plan, struct arena *arena, struct buf *highlighted);

#endif
