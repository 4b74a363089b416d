/*
 * Gathers hits: counts them, keeps the best, marks them for facets, and keeps
 * all of them where groups must be formed. Private to query/.
 */
#ifndef TAILFIN_QUERY_COLLECT_H
#define TAILFIN_QUERY_COLLECT_H

#include "query/sort_keys.h"

struct qry_groups; /* group.h */

enum { QRY_PENDING_N = 16 };

struct qry_collector {
    struct qry_keys *keys;
    struct qry_groups *groups; /* NULL: no groups, only the best hits are kept */
    struct qry_hit *hits;      /* a heap with the worst on top once full; malloc'ed */
    size_t n, cap, max;
    bool is_heap, has_worst_tie;
    struct idx_tie worst_tie; /* of hits[0], once asked for */
    uint64_t n_found;
    /*
     * Hits whose keys are on their way from memory: reading a column at each
     * document's place is what most searches with many hits wait for.
     */
    struct qry_pending {
        uint32_t view, doc;
        uint64_t text_match, field_score;
    } pending[QRY_PENDING_N]; /* a ring */
    uint32_t n_pending, pending_at;
    uint64_t **marks; /* a bit per document and view; NULL: not wanted */
};

void qry_collector_init(struct qry_collector *c, struct qry_keys *keys, size_t max);
void qry_collector_fini(struct qry_collector *c);

/* A hit, reported once. */
void qry_collector_add(struct qry_collector *c, uint32_t view, uint32_t doc, uint64_t text_match,
                       uint64_t field_score);
/*
 * The same for a hit that was counted already (n_found), of a match-all query.
 * False if it was not kept: it and all that come after it are worse.
 */
bool qry_collector_offer(struct qry_collector *c, uint32_t view, uint32_t doc);
/* Whether a hit whose key number i is this (those before being equal) could still be kept. */
bool qry_collector_wants(const struct qry_collector *c, uint32_t i, int64_t key);
/*
 * The same for a hit whose keys all equal those of the worst that is kept:
 * whether its tie could be better. Cost: one look at the segment.
 */
bool qry_collector_wants_tie(struct qry_collector *c, const struct idx_collection *collection,
                             uint32_t view, uint32_t doc);
/* Sorts what was kept: hits[0..n), best first. */
void qry_collector_finish(struct qry_collector *c);

#endif
