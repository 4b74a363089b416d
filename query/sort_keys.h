/*
 * What hits are ordered by: up to three keys and the tie. search-semantics
 * section 7. Private to query/; one thread at a time.
 */
#ifndef TAILFIN_QUERY_SORT_KEYS_H
#define TAILFIN_QUERY_SORT_KEYS_H

#include "query/plan.h"

struct qry_hit {
    int64_t keys[QRY_SORTS_MAX]; /* larger comes first; a string's are ordinals of its segment */
    uint64_t text_match;
    uint32_t view, doc;
    uint32_t group; /* number of its group, if there are groups */
    bool is_pinned;
};

struct qry_keys;

/* Borrows the plan; cache may be NULL. In the arena, but for what qry_keys_fini frees. */
struct qry_keys *qry_keys_new(const struct qry_plan *plan, struct qry_filter_cache *cache,
                              struct arena *arena);
void qry_keys_fini(struct qry_keys *k); /* NULL allowed */

/* Fills keys and text_match of a hit whose view and doc are set. */
void qry_keys_fill(const struct qry_keys *k, struct qry_hit *hit, uint64_t text_match,
                   uint64_t field_score);
/* Tells the processor that a document's keys will be wanted soon. */
void qry_keys_expect(const struct qry_keys *k, uint32_t view, uint32_t doc);
/* One key of a document, as by qry_keys_fill of a match-all query. */
int64_t qry_keys_one(const struct qry_keys *k, uint32_t i, uint32_t view, uint32_t doc);
/* The column that a key comes from, in one view; NULL if it is no plain number there. */
const struct idx_column *qry_keys_column(const struct qry_keys *k, uint32_t i, uint32_t view);
/* Whether a comes before b; a total order over documents. */
bool qry_keys_before(struct qry_keys *k, const struct qry_hit *a, const struct qry_hit *b);
void qry_keys_sort(struct qry_keys *k, struct qry_hit *hits, size_t n);

/* Number of the key with that kind, the last one; -1 if there is none. */
int qry_keys_find(const struct qry_keys *k, enum qry_sort_kind kind);

#endif
