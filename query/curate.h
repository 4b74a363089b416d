/*
 * pinned_hits and hidden_hits, and the order in which an answer shows hits or
 * groups. Private to query/.
 */
#ifndef TAILFIN_QUERY_CURATE_H
#define TAILFIN_QUERY_CURATE_H

#include "query/group.h"

struct qry_pinned { /* a pinned document that exists */
    uint32_t position, view, doc, group;
};

struct qry_pinned_list { /* by position */
    struct qry_pinned *v;
    uint32_t n;
};

/*
 * Finds the pinned documents and takes them and the hidden ones out of words
 * (one array of words per view, writable). Where hits are not grouped, only
 * the first pin of a position counts.
 */
void qry_curate_words(const struct qry_plan *plan, uint64_t *const *words, struct arena *arena,
                      struct qry_pinned_list *pinned);

struct qry_unit { /* a hit, or a group of them, as the answer shows them */
    const struct qry_hit *hits;
    size_t n;
    uint64_t found; /* documents of the group */
    bool is_pinned;
};

/*
 * The pins at their positions among units, the others moving down; what is
 * left of the pins follows at the end. Returns the new list of *n units.
 */
struct qry_unit *qry_curate_merge(const struct qry_pinned_list *pinned,
                                  const struct qry_unit *units, size_t *n, struct arena *arena);

#endif
