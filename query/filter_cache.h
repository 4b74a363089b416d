/*
 * What filter clauses evaluate to over segments in files, remembered from
 * request to request: nearly all of an API share a few clauses over flags. One thread at
 * a time; private to query/. Answers are never remembered, only bitmaps.
 */
#ifndef TAILFIN_QUERY_FILTER_CACHE_H
#define TAILFIN_QUERY_FILTER_CACHE_H

#include "index/index.h"

struct qry_filter_cache;

MUST_USE struct qry_filter_cache *qry_filter_cache_new(size_t bytes_max);
void qry_filter_cache_free(struct qry_filter_cache *c); /* NULL allowed */

/* To be called before a request: forgets everything if the room is used up. */
void qry_filter_cache_begin(struct qry_filter_cache *c);

/*
 * The words of a clause (key) over the segment in a file (of struct idx_view);
 * NULL if they are not known. Borrowed until the next begin or put.
 */
const uint64_t *qry_filter_cache_get(const struct qry_filter_cache *c, uint64_t file,
                                     struct span key);
/* Copies n_words words in, unless the room is used up; for file 0 does nothing. */
void qry_filter_cache_put(struct qry_filter_cache *c, uint64_t file, struct span key,
                          const uint64_t *words, size_t n_words);

#endif
