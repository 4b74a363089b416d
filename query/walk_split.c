/*
 * Two edits in a large dictionary, in the manner of S. Mihov and K. U. Schulz,
 * "Fast approximate search in large dictionaries" (2004): the token is cut
 * behind its head. Where it is reached with two edits,
 *
 *  - at most one of them lies in the head: then a beginning of the term is
 *    within one edit of the head, and the walk need not look elsewhere;
 *  - or both do: then the rest stands in the term as it is, up to two bytes
 *    before or behind its place;
 *  - or one is a swap across the cut and the other lies before: then the rest
 *    stands there with the swapped pair before it.
 *
 * The terms of the last two kinds come from the dictionary's tails and are
 * looked at one by one. Either way a term is decided by the same rows, so the
 * split changes no answer; test_walk compares.
 */
#include "query/walk_parts.h"

/*
 * Behind a longer head the walk is shorter, and more terms have the rest, as
 * it is shorter, too. In units of terms to look at:
 */
enum {
    HEAD_LONG = IDX_TAIL_LAST - 2,
    HEAD_SHORT = IDX_TAIL_FIRST + 2,
    MANY = 1000,    /* what the short head's walk takes more */
    WHOLE_PART = 32 /* a walk over all terms: one in so many */
};
_Static_assert(HEAD_LONG >= HEAD_SHORT, "there are tails for every head");

struct cut {
    uint32_t head;
    struct qry_walk_piece pieces[8];
    uint32_t n, n_ords;
};

static void
find_piece(const struct walk *w, struct cut *c, struct span text, uint32_t from)
{
    struct qry_walk_piece *p = &c->pieces[c->n++];

    p->ords = idx_terms_tails(w->terms, from, text, !w->pattern->may_prefix, &p->n);
    p->is_sorted = text.n >= sizeof(uint64_t); /* by the bytes that tails are in order of */
    c->n_ords += p->n;
}

static struct cut
cut_behind(const struct walk *w, uint32_t head)
{
    struct cut c = {.head = head};
    struct span t = w->pattern->text, rest = span_from(t, head - 1);
    char swapped[WALK_BITS_MAX];

    for (uint32_t from = head - 2; from <= head + 2; from++)
        find_piece(w, &c, span_from(t, head), from);
    if (t.p[head] == t.p[head - 1])
        return c;
    memcpy(swapped, rest.p, rest.n);
    swapped[0] = rest.p[1];
    swapped[1] = rest.p[0];
    for (uint32_t from = head - 2; from <= head; from++)
        find_piece(w, &c, span_of(swapped, rest.n), from);
    return c;
}

static int
compare_begins(const void *x, const void *y)
{
    const struct qry_stretch *a = x, *b = y;

    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* Puts single terms, some perhaps there twice, between the stretches of *to; none is in both. */
static void
merge_terms(struct qry_reach *to, struct qry_reach *terms, struct arena *arena)
{
    struct qry_reach own = *to, all = {0};
    size_t k = 0;

    if (terms->n == 0)
        return;
    qsort(terms->v, terms->n, sizeof *terms->v, compare_begins);
    for (size_t i = 0; i < terms->n; i++) {
        if (i && terms->v[i].begin == terms->v[i - 1].begin)
            continue;
        while (k < own.n && own.v[k].begin < terms->v[i].begin)
            qry_reach_add(&all, arena, own.v[k++]);
        qry_reach_add(&all, arena, terms->v[i]);
    }
    while (k < own.n)
        qry_reach_add(&all, arena, own.v[k++]);
    *to = all;
}

bool
qry_walk_split(struct walk *w, unsigned costs)
{
    struct qry_reach apart = {0};

    if (!(costs & 4u) || w->pattern->text.n < HEAD_LONG + IDX_TAIL_MIN ||
        !idx_terms_has_tails(w->terms))
        return false;
    struct cut cut = cut_behind(w, HEAD_LONG);
    if (cut.n_ords > MANY) {
        struct cut other = cut_behind(w, HEAD_SHORT);
        if (other.n_ords + MANY < cut.n_ords)
            cut = other;
    }
    if (cut.n_ords > idx_terms_n(w->terms) / WHOLE_PART)
        return false;
    qry_walk_bits(w, costs, cut.head);
    for (uint32_t i = 0; i < cut.n; i++)
        qry_walk_bits_apart(w, &cut.pieces[i], cut.head, &apart);
    merge_terms(&w->out[2], &apart, w->arena);
    return true;
}
