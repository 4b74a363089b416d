/*
 * Which terms of a dictionary a query token reaches within a number of edits:
 * search-semantics 3.2 and 3.3. Private to the matching half of query/.
 */
#ifndef TAILFIN_QUERY_WALK_H
#define TAILFIN_QUERY_WALK_H

#include "base/arena.h"
#include "index/index.h"

enum { QRY_COSTS = 3 }; /* edit costs 0, 1, 2 */

struct qry_pattern { /* what a walk looks for */
    struct span text;   /* 1..IDX_TERM_MAX bytes */
    bool may_prefix;    /* a term need only begin with it */
    bool is_full;       /* match=full: code points, every term within the distance */
    /* Asked every few thousand terms: the walk stops when it says true. NULL: never. */
    bool (*late)(void *arg);
    void *late_arg;
};

struct qry_stretch { /* terms [begin, end) */
    uint32_t begin, end;
    bool is_prefix; /* they count as prefix-expanded (5.1): longer than the token + cost */
};

struct qry_reach { /* in term order, disjoint */
    struct qry_stretch *v;
    size_t n, cap;
};

/*
 * Fills out[c] for every cost c in `costs` (bits 1u << c) and leaves the
 * others alone. Storage comes from the arena. match=compat finds what the
 * peer's walk finds (its pruning at cost 2 included, never its blindness
 * beyond 8 shared bytes); match=full every term within the distance, each at
 * its smallest cost.
 *
 * Cost: about 20 ns per visited trie node.
 */
void qry_walk(const struct qry_pattern *p, const struct idx_terms *terms, unsigned costs,
              struct arena *arena, struct qry_reach out[QRY_COSTS]);

/* The same question for one term: whether it is reached at exactly that cost. */
bool qry_walk_reaches(const struct qry_pattern *p, struct span term, unsigned cost,
                      bool *is_prefix);

/* Length in the unit of the mode: bytes, or code points for match=full. */
uint32_t qry_walk_length(struct span text, bool is_full);

/* Adds a stretch behind the others, joined to the last one if it continues it. */
void qry_reach_add(struct qry_reach *r, struct arena *arena, struct qry_stretch s);
/* The terms of r that are not in `minus`. */
struct qry_reach qry_reach_without(const struct qry_reach *r, const struct qry_reach *minus,
                                   struct arena *arena);
/* The stretch that holds ord; NULL if none does. O(log n). */
const struct qry_stretch *qry_reach_find(const struct qry_reach *r, uint32_t ord);

#endif
