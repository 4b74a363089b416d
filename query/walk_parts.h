/* Between walk.c and walk_bits.c: the cursor and what is collected. */
#ifndef TAILFIN_QUERY_WALK_PARTS_H
#define TAILFIN_QUERY_WALK_PARTS_H

#include "query/walk.h"

struct walk {
    const struct qry_pattern *pattern;
    const struct idx_terms *terms;
    struct idx_cursor cursor;
    struct arena *arena;
    struct qry_reach *out;
    uint32_t length; /* of the token, in units */
};

/*
 * Everything below the current term's first `depth` bytes is reached at the
 * costs in `accepted`. Without other costs alive (is_last) the cursor is moved
 * behind it: the result says whether there is a further term. Else it stays,
 * and the result is true.
 */
bool qry_walk_add_subtrees(struct walk *w, uint32_t depth, unsigned accepted, bool is_last);
/* The current term alone, at the costs in `reached`; not prefix-expanded. */
void qry_walk_add_term(struct walk *w, unsigned reached);

/*
 * walk_bits.c: match=compat for patterns of at most WALK_BITS_MAX bytes, costs of bits 1 and 2.
 * head: only terms of which a beginning is within one edit of the token's
 * first `head` bytes; 0: all.
 */
enum { WALK_BITS_MAX = 60 };
void qry_walk_bits(struct walk *w, unsigned costs, uint32_t head);
struct qry_walk_piece { /* terms to look at one by one */
    const uint32_t *ords;
    uint32_t n;
    bool is_sorted; /* rising */
};
/*
 * Appends those of them that cost 2 reaches and that the walk with that head
 * leaves out, one by one.
 */
void qry_walk_bits_apart(struct walk *w, const struct qry_walk_piece *p, uint32_t head,
                         struct qry_reach *out);
/* walk_split.c: the same as a whole walk; false if it does not apply. */
bool qry_walk_split(struct walk *w, unsigned costs);

#endif
