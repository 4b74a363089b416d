/* _text_match(buckets: N): search-semantics 7.3. Private to query/. */
#ifndef TAILFIN_QUERY_BUCKETS_H
#define TAILFIN_QUERY_BUCKETS_H

#include "query/sort_keys.h"

enum { QRY_BUCKETED_MAX = 250 }; /* only so many of the best hits are cut into blocks */

/* N of the first entry that has one; 0: none. */
uint32_t qry_buckets_of(const struct qry_search *s);
/* Re-orders sorted units (hits, or the first hits of groups) by blocks of score. */
void qry_buckets_apply(struct qry_keys *k, const struct qry_search *s, struct qry_hit *hits,
                       size_t n);

#endif
