/*
 * The walk of walk.c for match=compat with a row of the distance table in two
 * machine words: bit j tells whether a cell is one more, or one less, than its
 * left neighbour (Hyyrö, "A bit-vector algorithm for computing Levenshtein and
 * Damerau edit distances", 2003). A step is some thirty instructions whatever
 * the length of the token; bench_match shows it.
 *
 * What 3.3 asks of a row is one cell: the diagonal one, or behind the token's
 * end the last one. Both are kept as counters. Nodes below which no cell can
 * come down to a cost that is alive are left although the peer would go on;
 * that changes no answer. Where no further edit is left, few bytes can follow,
 * and the cursor is led to those children straight away.
 */
#include "query/walk_parts.h"

enum { LEVELS = IDX_TERM_MAX + 2 };
#define ANY UINT64_MAX /* as level.next: every byte may follow */

struct level { /* after some bytes of the term */
    uint64_t up, down; /* cell j is one more (one less) than cell j - 1 */
    uint64_t same;     /* cell (i, j) equals cell (i - 1, j - 1) */
    uint64_t equal;    /* positions of the token that hold the last byte */
    uint64_t next;     /* positions of the token one of which the next byte must hold; or ANY */
    uint8_t diagonal, last;
    uint8_t alive; /* costs */
    bool is_met;   /* the token's first `head` bytes came within one edit of a beginning */
};

struct bits {
    struct walk *w;
    uint32_t n;    /* L of 3.3 */
    uint32_t head; /* only terms of which a beginning is within one edit of that many bytes; or 0 */
    bool may_prefix;
    uint64_t positions[256]; /* of each byte in the token */
    struct level levels[LEVELS];
};

static void
bits_init(struct bits *b, struct walk *w, unsigned costs, uint32_t head)
{
    struct span t = w->pattern->text;

    b->w = w;
    b->head = head;
    b->may_prefix = w->pattern->may_prefix;
    b->n = (uint32_t)t.n + !b->may_prefix; /* whole words end with a zero byte */
    memset(b->positions, 0, sizeof b->positions);
    for (uint32_t i = 0; i < t.n; i++)
        b->positions[(unsigned char)t.p[i]] |= (uint64_t)1 << i;
    if (!b->may_prefix)
        b->positions[0] |= (uint64_t)1 << t.n;
    b->levels[0] = (struct level){.up = UINT64_MAX,
                                  .next = ANY,
                                  .last = (uint8_t)b->n,
                                  .alive = (uint8_t)costs,
                                  .is_met = head == 0};
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

/* ---- what can still come of a node ---- */

static inline int
rise(const struct level *at, uint32_t j)
{
    return (int)(at->up >> j & 1) - (int)(at->down >> j & 1);
}

/* Positions that a swap with the last byte may continue at, around the diagonal. */
static inline uint64_t
swaps(const struct level *at, uint32_t d)
{
    uint64_t window = d >= 2 ? (uint64_t)7 << (d - 2) : 0;

    return at->equal >> 1 & ~at->same & window;
}

/*
 * Takes out costs that no cell of the row allows any more, and notes what may
 * follow where the cells have used up all edits. Cells more than 2 off the
 * diagonal are larger than every cost. A swap needs no word of its own but for
 * the byte that it asks for: half-way the cell between is no larger.
 */
static inline void
limit(const struct bits *b, uint32_t d, struct level *at)
{
    uint32_t j = d < b->n ? d : b->n;
    int most = at->alive & 4u ? 2 : 1, base = d < b->n ? at->diagonal : at->last, least = base;
    uint64_t cells = base <= most ? (uint64_t)1 << j : 0;
    int v = base;

    for (uint32_t k = j; k < b->n && k < j + 2; k++) {
        v += rise(at, k);
        least = v < least ? v : least;
        cells |= v <= most ? (uint64_t)1 << (k + 1) : 0;
    }
    v = base;
    for (uint32_t k = j; k > 0 && k + 2 > j; k--) {
        v -= rise(at, k - 1);
        least = v < least ? v : least;
        cells |= v <= most ? (uint64_t)1 << (k - 1) : 0;
    }
    at->alive &= least > 2 ? 0u : least == 2 ? 4u : 6u;
    at->next = least < most ? ANY : cells | swaps(at, d);
}

/* Cell `head` of row d is at most 1: a beginning of the term is near the token's head. */
static inline bool
head_is_met(const struct bits *b, uint32_t d, const struct level *at)
{
    int v = at->diagonal;

    if (d + 1 == b->head)
        v += rise(at, d);
    else if (d == b->head + 1)
        v -= rise(at, b->head);
    else if (d != b->head)
        return false;
    return v <= 1;
}

/* As limit, for the head and one edit, as long as no beginning of the term met it. */
static inline void
limit_head(const struct bits *b, uint32_t d, struct level *at)
{
    uint64_t cells = at->diagonal <= 1 ? (uint64_t)1 << d : 0;

    at->is_met = at[-1].is_met || (d <= b->head + 1 && head_is_met(b, d, at));
    if (at->is_met)
        return;
    if (at->diagonal - rise(at, d - 1) <= 1)
        cells |= (uint64_t)1 << (d - 1);
    if (at->diagonal + rise(at, d) <= 1)
        cells |= (uint64_t)1 << (d + 1);
    cells &= ((uint64_t)1 << b->head) - 1;
    if (d > b->head || !cells)
        at->alive = 0;
    else if (at->diagonal > 0)
        at->next &= cells | swaps(at, d);
}

/* The costs at which the term is reached, which ends at depth d with some alive. */
static inline unsigned
end_costs(struct bits *b, uint32_t d)
{
    struct level *at = &b->levels[d];
    unsigned alive = at->alive, ignored;

    if (!b->may_prefix) {
        next_row(b, d + 1, 0, at + 1);
        alive = step(b, d + 1, at + 1, &ignored);
        at++;
    }
    return at->last < QRY_COSTS ? (1u << at->last) & alive : 0;
}

/* To the next child of the current term's first d bytes that may be reached, or behind them. */
static bool
next_child(const struct bits *b, uint32_t d)
{
    struct idx_cursor *c = &b->w->cursor;
    struct span t = b->w->pattern->text;
    unsigned byte = (unsigned char)c->term[d], least = 256;
    uint64_t next = b->levels[d].next;

    if (next == ANY)
        return idx_cursor_skip(c, d + 1);
    for (next &= ((uint64_t)1 << t.n) - 1; next; next &= next - 1) {
        unsigned other = (unsigned char)t.p[__builtin_ctzll(next)];
        least = other > byte && other < least ? other : least;
    }
    if (least < 256)
        return idx_cursor_seek(c, d, (unsigned char)least);
    return d > 0 && idx_cursor_skip(c, d);
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
        unsigned char byte = (unsigned char)c->term[*d];
        unsigned accepted;
        if (at[-1].next != ANY && !(at[-1].next & b->positions[byte]))
            return next_child(b, *d);
        next_row(b, *d + 1, byte, at);
        at->alive = (uint8_t)step(b, *d + 1, at, &accepted);
        limit(b, *d + 1, at);
        limit_head(b, *d + 1, at);
        accepted = at->is_met ? accepted : 0;
        if (accepted && !qry_walk_add_subtrees(b->w, *d + 1, accepted, !at->alive))
            return false;
        if (!at->alive)
            return accepted || next_child(b, *d);
        ++*d;
    }
    if (b->levels[*d].is_met)
        qry_walk_add_term(b->w, end_costs(b, *d));
    return idx_cursor_next(c);
}

void
qry_walk_bits(struct walk *w, unsigned costs, uint32_t head)
{
    struct bits b;
    uint32_t d = 0;
    unsigned ticks = 0;

    bits_init(&b, w, costs, head);
    idx_cursor_init(&w->cursor, w->terms);
    for (bool more = idx_cursor_next(&w->cursor); more; more = walk_term(&b, &d)) {
        d = d < w->cursor.shared ? d : w->cursor.shared;
        if ((++ticks & 4095) == 0 && w->pattern->late && w->pattern->late(w->pattern->late_arg))
            return;
    }
}

/*
 * Whether cost 2 reaches the term although no beginning of it is near the
 * head. *lost: so many bytes decide that no term with them is; 0: none do.
 */
static bool
is_apart(struct bits *b, struct span term, uint32_t *lost)
{
    uint32_t d = 0;

    *lost = 0;
    while (d < term.n) {
        struct level *at = &b->levels[d + 1];
        unsigned accepted;
        next_row(b, d + 1, (unsigned char)term.p[d], at);
        at->alive = (uint8_t)step(b, d + 1, at, &accepted);
        bool is_met = ++d <= b->head + 1 && head_is_met(b, d, at);
        if (accepted && !is_met)
            return true;
        if (is_met || !at->alive) {
            *lost = d;
            return false;
        }
    }
    return end_costs(b, d) != 0;
}

void
qry_walk_bits_apart(struct walk *w, const struct qry_walk_piece *p, uint32_t head,
                    struct qry_reach *out)
{
    struct bits b;
    struct buf buf = {0};
    uint32_t end = 0; /* terms before it are decided */
    size_t longest = w->length + 2;

    bits_init(&b, w, 4u, head);
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t ord = p->ords[i], lost;
        if (ord < end)
            continue;
        buf_clear(&buf);
        idx_terms_get(w->terms, ord, &buf);
        struct span term = buf_span(&buf);
        if (is_apart(&b, term, &lost)) {
            out->v = arena_grow(w->arena, out->v, &out->cap, out->n + 1, sizeof *out->v);
            out->v[out->n++] = (struct qry_stretch){ord, ord + 1, b.may_prefix && term.n > longest};
        }
        if (p->is_sorted && lost)
            end = idx_terms_behind(w->terms, ord, span_of(term.p, lost));
        if ((i & 1023) == 1023 && w->pattern->late && w->pattern->late(w->pattern->late_arg))
            break;
    }
    buf_fini(&buf);
}
