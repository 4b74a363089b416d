/*
 * The walk of walk.c for match=compat with a row of the distance table in two
 * machine words: bit j tells whether a cell is one more, or one less, than its
 * left neighbour (Hyyrö, "A bit-vector algorithm for computing Levenshtein and
 * Damerau edit distances", 2003). A step is some twenty instructions whatever
 * the length of the token; bench_match shows it.
 *
 * What 3.3 asks of a row is one cell: the diagonal one, or behind the token's
 * end the last one. Both are kept as counters.
 */
#include "query/walk_parts.h"

enum { LEVELS = IDX_TERM_MAX + 2 };

struct level { /* after some bytes of the term */
    uint64_t up, down; /* cell j is one more (one less) than cell j - 1 */
    uint64_t same;     /* cell (i, j) equals cell (i - 1, j - 1) */
    uint64_t equal;    /* positions of the token that hold the last byte */
    uint8_t diagonal, last;
    uint8_t alive; /* costs */
};

struct bits {
    struct walk *w;
    uint32_t n; /* L of 3.3 */
    bool may_prefix;
    uint64_t positions[256]; /* of each byte in the token */
    struct level levels[LEVELS];
};

static void
bits_init(struct bits *b, struct walk *w, unsigned costs)
{
    struct span t = w->pattern->text;

    b->w = w;
    b->may_prefix = w->pattern->may_prefix;
    b->n = (uint32_t)t.n + !b->may_prefix; /* whole words end with a zero byte */
    memset(b->positions, 0, sizeof b->positions);
    for (uint32_t i = 0; i < t.n; i++)
        b->positions[(unsigned char)t.p[i]] |= (uint64_t)1 << i;
    if (!b->may_prefix)
        b->positions[0] |= (uint64_t)1 << t.n;
    b->levels[0] = (struct level){.up = UINT64_MAX, .last = (uint8_t)b->n, .alive = (uint8_t)costs};
}

/* The row behind byte c, which is number d (from 1) of the term. */
static inline void
next_row(const struct bits *b, uint32_t d, unsigned char c, struct level *to)
{
    const struct level *from = to - 1;
    uint64_t equal = b->positions[c];
    /* QUIRK of 3.2: the first two bytes of a term never count as swapped. */
    uint64_t swapped = d > 2 ? ((~from->same & equal) << 1) & from->equal : 0;
    uint64_t same =
        (((equal & from->up) + from->up) ^ from->up) | equal | from->down | swapped;
    uint64_t more = from->down | ~(same | from->up), less = same & from->up;

    to->last = (uint8_t)(from->last + (more >> (b->n - 1) & 1) - (less >> (b->n - 1) & 1));
    to->diagonal = (uint8_t)(from->diagonal + (d <= b->n && !(same >> (d - 1) & 1)));
    more = more << 1 | 1;
    less <<= 1;
    to->up = less | ~(same | more);
    to->down = more & same;
    to->same = same;
    to->equal = equal;
}

/* Rules (a) and (b) of 3.3 for byte i of the term; bits outside the token are never set. */
static inline bool
is_rescued(const struct level *at, uint32_t i, unsigned g)
{
    uint64_t equal = at->equal, before = at[-1].equal;

    if ((g == 2 || g == 3) && (equal >> (i + 1) & 1 || (i >= 1 && equal >> (i - 1) & 1)))
        return true;
    if (g != 3 && g != 4)
        return false;
    return (i >= 2 && equal >> (i - 2) & 1) || (before >> (i + 1) & 1 && equal >> (i + 2) & 1);
}

/* Costs that go on below; *accepted: those that reach everything below. */
static inline unsigned
step(const struct bits *b, uint32_t d, const struct level *at, unsigned *accepted)
{
    unsigned g = d < b->n ? at->diagonal : at->last;
    unsigned alive = at[-1].alive, on;

    *accepted = 0;
    if (g > 4)
        return 0;
    on = g <= 1 || is_rescued(at, d - 1, g) ? alive : g == 2 ? alive & 4u : 0;
    if (!b->may_prefix || d < b->n)
        return on;
    *accepted = g <= 2 ? (1u << g) & alive : 0;
    /* At most L + c bytes are looked at. */
    on &= d >= b->n + 2 ? 0u : d >= b->n + 1 ? 4u : 6u;
    return on & ~*accepted;
}

/* The term ends at depth d with some costs alive. */
static void
end_term(struct bits *b, uint32_t d)
{
    struct level *at = &b->levels[d];
    unsigned alive = at->alive, ignored;

    if (!b->may_prefix) {
        next_row(b, d + 1, 0, at + 1);
        alive = step(b, d + 1, at + 1, &ignored);
        at++;
    }
    if (at->last < QRY_COSTS)
        qry_walk_add_term(b->w, (1u << at->last) & alive);
}

/*
 * Reads the current term from depth *d on; false if there is no further term
 * behind. Leaves the cursor on the next term to look at and in *d the depth of
 * the last level that is alive.
 */
static bool
walk_term(struct bits *b, uint32_t *d)
{
    struct idx_cursor *c = &b->w->cursor;

    while (*d < c->n) {
        struct level *at = &b->levels[*d + 1];
        unsigned accepted;
        next_row(b, *d + 1, (unsigned char)c->term[*d], at);
        at->alive = (uint8_t)step(b, *d + 1, at, &accepted);
        if (accepted && !qry_walk_add_subtrees(b->w, *d + 1, accepted, !at->alive))
            return false;
        if (!at->alive)
            return accepted || idx_cursor_skip(c, *d + 1);
        ++*d;
    }
    end_term(b, *d);
    return idx_cursor_next(c);
}

void
qry_walk_bits(struct walk *w, unsigned costs)
{
    struct bits b;
    uint32_t d = 0;
    unsigned ticks = 0;

    bits_init(&b, w, costs);
    idx_cursor_init(&w->cursor, w->terms);
    for (bool more = idx_cursor_next(&w->cursor); more; more = walk_term(&b, &d)) {
        d = d < w->cursor.shared ? d : w->cursor.shared;
        if ((++ticks & 4095) == 0 && w->pattern->late && w->pattern->late(w->pattern->late_arg))
            return;
    }
}
