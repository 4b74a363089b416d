/*
 * filter_by: parsed, checked against the schema, and evaluated into bitmaps.
 * search-semantics section 9. Private to query/.
 */
#ifndef TAILFIN_QUERY_FILTER_H
#define TAILFIN_QUERY_FILTER_H

#include "query/filter_cache.h"
#include "query/request.h"

struct qry_filter_parser { /* what parsing an expression needs */
    const struct idx_collection *collection;
    const struct tkz_analyzer *analyzer;
    unsigned ops_max; /* clauses and operators allowed */
    struct arena *arena;
    struct err *err;
};

/*
 * Parses an expression. *out is NULL for a blank one. Nesting is bounded with
 * ops_max. RC_INVALID with a sentence (RC_ABSENT never: an unknown field in a
 * filter is 400).
 */
MUST_USE enum rc qry_filter_parse(const struct qry_filter_parser *p, struct span text,
                                  const struct qry_filter **out);

/* Both must hold; either may be NULL (then the other). Shares their parts. */
const struct qry_filter *qry_filter_and(const struct qry_filter *a, const struct qry_filter *b,
                                        struct arena *arena);

/*
 * Sets in words exactly the live documents of the view that match. words has
 * room for n_docs bits. The view is one of the collection the filter was
 * parsed for. Scratch comes from the arena. cache may be NULL; it was told of
 * the snapshot (qry_filter_cache_begin).
 */
void qry_filter_eval(const struct qry_filter *f, const struct idx_view *view,
                     struct qry_filter_cache *cache, struct arena *arena, uint64_t *words);

static inline size_t
qry_words_n(uint32_t n_docs)
{
    return ((size_t)n_docs + 63) / 64;
}

#endif
