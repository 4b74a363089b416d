/* q=*: the documents of a set in sort order, without scoring. Private to query/. */
#ifndef TAILFIN_QUERY_BROWSE_H
#define TAILFIN_QUERY_BROWSE_H

#include "query/collect.h"
#include "query/match.h"

/*
 * Gives the collector every document of the set; where only the best are
 * wanted, counts them at once and offers only those that may be among the
 * best, walking a sorted permutation (SCH_ORDER) if there is one. RC_CUTOFF
 * once the deadline is past: what was offered so far is kept.
 */
MUST_USE enum rc qry_browse_run(const struct qry_plan *plan, const struct qry_docset *docs,
                                struct qry_collector *c, struct err *err);

#endif
