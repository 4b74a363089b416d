/*
 * The edit-distance automaton over a dictionary, walked as a trie: one row of
 * the distance table per byte of the current term, on a stack, so that terms
 * that share a prefix share its rows. All costs asked for are walked at once;
 * each has a bit in the stack's mask and lives or dies by itself.
 *
 * match=compat: search-semantics 3.2 (optimal string alignment on bytes; the
 * first two bytes of a term cannot be swapped) and 3.3 (what is pruned). Only
 * values up to 4 are ever compared, so a band of 4 cells on each side of the
 * diagonal is exact.
 *
 * match=full: the same table on code points, every swap allowed, nothing
 * pruned but what cannot come within the distance any more.
 */
#include "query/walk.h"

#include "tokenizer/tokenizer.h"

#include "query/walk_parts.h"

enum {
    BAND = 4,
    FAR = 100,                   /* more than any value that matters */
    UNITS_MAX = IDX_TERM_MAX + 1, /* of a pattern, with the zero byte */
    DEPTH_MAX = IDX_TERM_MAX + 2,
    WIDTH = UNITS_MAX + 3
};

struct automaton {
    int32_t t[UNITS_MAX]; /* the pattern's units; whole words end with a 0 */
    int32_t n;            /* how many: L of 3.3 */
    uint32_t length;      /* of the token, without the 0 */
    bool may_prefix, is_full;
    /* The stack: depth d = after d units of the term. */
    uint8_t rows[DEPTH_MAX + 1][WIDTH]; /* cell j at [j + 1] */
    int32_t w[DEPTH_MAX + 1];           /* w[d]: the unit that led to depth d */
    uint32_t ends[DEPTH_MAX + 1];       /* bytes of the term up to depth d */
    uint8_t masks[DEPTH_MAX + 1];       /* costs still alive at depth d */
};

static size_t
unit_next(struct span text, size_t at, bool is_full, int32_t *unit)
{
    if (!is_full) {
        *unit = (unsigned char)text.p[at];
        return at + 1;
    }
    size_t next = tkz_codepoint_next(text, at, unit);
    if (*unit < 0)
        *unit = 0x110000 + (unsigned char)text.p[at];
    return next;
}

uint32_t
qry_walk_length(struct span text, bool is_full)
{
    return (uint32_t)(is_full ? tkz_codepoints(text) : text.n);
}

static void
automaton_init(struct automaton *a, const struct qry_pattern *p, unsigned costs)
{
    a->n = 0;
    for (size_t at = 0; at < p->text.n && a->n < IDX_TERM_MAX;)
        at = unit_next(p->text, at, p->is_full, &a->t[a->n++]);
    a->length = (uint32_t)a->n;
    a->may_prefix = p->may_prefix;
    a->is_full = p->is_full;
    if (!p->may_prefix && !p->is_full)
        a->t[a->n++] = 0;
    memset(a->rows[0], FAR, sizeof a->rows[0]);
    for (int32_t j = 0; j <= a->n; j++)
        a->rows[0][j + 1] = (uint8_t)j;
    a->ends[0] = 0;
    a->masks[0] = (uint8_t)costs;
}

/* Computes the row of depth d (>= 1) for unit c. Cells outside the band stay far. */
static void
automaton_row(struct automaton *a, int32_t d, int32_t c)
{
    const uint8_t *up = a->rows[d - 1] + 1;
    const uint8_t *up2 = d > 1 ? a->rows[d - 2] + 1 : NULL;
    uint8_t *row = a->rows[d] + 1;
    int32_t lo = d > BAND ? d - BAND : 0;
    int32_t hi = d + BAND < a->n ? d + BAND : a->n;
    /* QUIRK of 3.2: the first two bytes of a term never count as swapped. */
    bool may_swap = d > (a->is_full ? 1 : 2);
    int32_t before = may_swap ? a->w[d - 1] : -1;

    a->w[d] = c;
    row[lo - 1] = FAR;
    if (lo == 0) {
        row[0] = (uint8_t)(d < FAR ? d : FAR);
        lo = 1;
    }
    for (int32_t j = lo; j <= hi; j++) {
        unsigned best = up[j - 1] + (unsigned)(a->t[j - 1] != c);
        unsigned other = (unsigned)(up[j] < row[j - 1] ? up[j] : row[j - 1]) + 1;
        best = other < best ? other : best;
        if (j > 1 && before == a->t[j - 1] && c == a->t[j - 2]) {
            other = up2[j - 2] + 1u;
            best = other < best ? other : best;
        }
        row[j] = (uint8_t)(best < FAR ? best : FAR);
    }
    if (hi < a->n)
        row[hi + 1] = FAR;
}

static int32_t
unit_at(const struct automaton *a, int32_t i)
{
    return i >= 0 && i < a->n ? a->t[i] : -1; /* outside the pattern nothing matches */
}

/* Rules (a) and (b) of 3.3 for byte i of the term, value g > cost. */
static bool
is_worth_going_on(const struct automaton *a, int32_t i, unsigned g)
{
    int32_t c = a->w[i + 1];

    if ((g == 2 || g == 3) && (c == unit_at(a, i + 1) || c == unit_at(a, i - 1)))
        return true;
    if (g != 3 && g != 4)
        return false;
    if (c == unit_at(a, i - 2))
        return true;
    return i > 0 && a->w[i] == unit_at(a, i + 1) && c == unit_at(a, i + 2);
}

static unsigned
row_min(const struct automaton *a, int32_t d)
{
    unsigned best = FAR;
    int32_t lo = d > BAND ? d - BAND : 0;
    int32_t hi = d + BAND < a->n ? d + BAND : a->n;

    for (int32_t j = lo; j <= hi; j++)
        best = a->rows[d][j + 1] < best ? a->rows[d][j + 1] : best;
    return best;
}

/*
 * Depth d (units of the term looked at; its row is computed): which of the
 * costs in mask are reached by everything below, and which go on.
 */
static unsigned
step_compat(const struct automaton *a, int32_t d, unsigned mask, unsigned *accepted)
{
    unsigned g = a->rows[d][(d < a->n ? d : a->n) + 1];
    bool is_rescued = g >= 2 && g <= 4 && is_worth_going_on(a, d - 1, g);
    unsigned on = 0;

    *accepted = 0;
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        if (!(mask & (1u << c)))
            continue;
        if (a->may_prefix && d >= a->n && g == c)
            *accepted |= 1u << c;
        else if ((g <= c || is_rescued) && !(a->may_prefix && d >= a->n + (int32_t)c))
            on |= 1u << c;
    }
    return on;
}

static unsigned
step_full(const struct automaton *a, int32_t d, unsigned mask, unsigned *accepted)
{
    bool is_near = d + BAND >= a->n; /* else the last cell lies outside the band */
    unsigned low = row_min(a, d), last = is_near ? a->rows[d][a->n + 1] : FAR;
    unsigned on = 0;

    *accepted = a->may_prefix && last < QRY_COSTS ? (1u << last) & mask : 0;
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        bool is_dominated = a->may_prefix && last <= c; /* reached at that cost or a smaller one */
        if ((mask & (1u << c)) && low <= c && !is_dominated)
            on |= 1u << c;
    }
    return on;
}

static unsigned
automaton_step(struct automaton *a, int32_t d, int32_t unit, unsigned *accepted)
{
    automaton_row(a, d, unit);
    unsigned mask = a->masks[d - 1];
    unsigned on = a->is_full ? step_full(a, d, mask, accepted) : step_compat(a, d, mask, accepted);
    a->masks[d] = (uint8_t)on;
    return on;
}

/* The term ends at depth d, where costs in mask are alive: those it is reached at. */
static unsigned
automaton_end(struct automaton *a, int32_t d, unsigned mask)
{
    unsigned ignored;

    if (!a->is_full && !a->may_prefix) {
        mask = automaton_step(a, d + 1, 0, &ignored);
        d++;
    }
    unsigned last = a->rows[d][a->n + 1];
    /* Cells outside the band keep what an earlier term left there. */
    if (a->n > d + BAND || last >= QRY_COSTS)
        return 0;
    return mask & (1u << last);
}

void
qry_reach_add(struct qry_reach *r, struct arena *arena, struct qry_stretch s)
{
    struct qry_stretch *last = r->n ? &r->v[r->n - 1] : NULL;

    if (last && last->end == s.begin && last->is_prefix == s.is_prefix) {
        last->end = s.end;
        return;
    }
    r->v = arena_grow(arena, r->v, &r->cap, r->n + 1, sizeof *r->v);
    r->v[r->n++] = s;
}

static void
add_without(struct qry_reach *to, struct arena *arena, struct qry_stretch s,
            const struct qry_reach *minus)
{
    for (size_t i = 0; i < minus->n && s.begin < s.end; i++) {
        const struct qry_stretch *x = &minus->v[i];
        if (x->end <= s.begin || x->begin >= s.end)
            continue;
        if (x->begin > s.begin)
            qry_reach_add(to, arena, (struct qry_stretch){s.begin, x->begin, s.is_prefix});
        s.begin = x->end;
    }
    if (s.begin < s.end)
        qry_reach_add(to, arena, s);
}

struct qry_reach
qry_reach_without(const struct qry_reach *r, const struct qry_reach *minus, struct arena *arena)
{
    struct qry_reach out = {0};

    if (minus->n == 0)
        return *r;
    for (size_t i = 0; i < r->n; i++)
        add_without(&out, arena, r->v[i], minus);
    return out;
}

const struct qry_stretch *
qry_reach_find(const struct qry_reach *r, uint32_t ord)
{
    size_t lo = 0, hi = r->n;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->v[mid].end <= ord)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->n && r->v[lo].begin <= ord ? &r->v[lo] : NULL;
}

/* Bytes of the first `units` units; 0 if the term has no more than that many. */
static uint32_t
longer_than(struct span term, bool is_full, uint32_t units)
{
    int32_t unit;
    size_t at = 0;

    if (!is_full)
        return term.n > units ? units + 1 : 0;
    for (uint32_t i = 0; i <= units; i++) {
        if (at >= term.n)
            return 0;
        at = unit_next(term, at, true, &unit);
    }
    return (uint32_t)at;
}

/*
 * Adds all terms that share the current one's first `depth` bytes, told apart
 * by whether they are longer than the token + cost. The cursor ends on the
 * first term behind them; false if there is none.
 */
static bool
add_subtree(struct walk *w, struct idx_cursor *cursor, uint32_t depth, unsigned cost)
{
    bool more;

    do {
        uint32_t begin = cursor->ord;
        uint32_t at = longer_than(span_of(cursor->term, cursor->n), w->pattern->is_full,
                                  w->length + cost);
        more = at ? idx_cursor_skip(cursor, at > depth ? at : depth) : idx_cursor_next(cursor);
        uint32_t end = more ? cursor->ord : idx_terms_n(cursor->terms);
        qry_reach_add(&w->out[cost], w->arena, (struct qry_stretch){begin, end, at != 0});
    } while (more && cursor->shared >= depth);
    return more;
}

bool
qry_walk_add_subtrees(struct walk *w, uint32_t depth, unsigned accepted, bool is_last)
{
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        struct idx_cursor copy;
        if (!(accepted & (1u << c)))
            continue;
        accepted &= ~(1u << c);
        if (is_last && !accepted)
            return add_subtree(w, &w->cursor, depth, c);
        copy = w->cursor;
        (void)add_subtree(w, &copy, depth, c);
    }
    return true;
}

void
qry_walk_add_term(struct walk *w, unsigned reached)
{
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        if (reached & (1u << c))
            qry_reach_add(&w->out[c], w->arena,
                          (struct qry_stretch){w->cursor.ord, w->cursor.ord + 1, false});
    }
}

/*
 * Looks at the current term from depth *d on (rows up to there are valid and
 * alive) and moves the cursor to the next term worth a look; false if there
 * is none. *d gets the depth of valid rows.
 */
static bool
walk_term(struct walk *w, struct automaton *a, int32_t *d)
{
    struct idx_cursor *c = &w->cursor;
    uint32_t at = a->ends[*d];

    while (at < c->n) {
        int32_t unit;
        unsigned accepted;
        at = (uint32_t)unit_next(span_of(c->term, c->n), at, a->is_full, &unit);
        unsigned on = automaton_step(a, *d + 1, unit, &accepted);
        if (accepted && !qry_walk_add_subtrees(w, at, accepted, !on))
            return false;
        if (!on)
            return accepted || idx_cursor_skip(c, at);
        a->ends[++*d] = at;
    }
    qry_walk_add_term(w, automaton_end(a, *d, a->masks[*d]));
    return idx_cursor_next(c);
}

static void
walk_rows(struct walk *w, unsigned costs)
{
    struct automaton a;
    int32_t d = 0;
    unsigned ticks = 0;

    automaton_init(&a, w->pattern, costs);
    idx_cursor_init(&w->cursor, w->terms);
    for (bool more = idx_cursor_next(&w->cursor); more; more = walk_term(w, &a, &d)) {
        while (a.ends[d] > w->cursor.shared)
            d--;
        if ((++ticks & 4095) == 0 && w->pattern->late && w->pattern->late(w->pattern->late_arg))
            return;
    }
}

/* Cost 0 needs no walk: the term itself, or the terms that begin with it. */
static void
walk_exact(struct walk *w)
{
    struct span text = w->pattern->text;
    uint32_t begin, end, ord;

    if (!w->pattern->may_prefix) {
        if (idx_terms_find(w->terms, text, &ord))
            qry_reach_add(&w->out[0], w->arena, (struct qry_stretch){ord, ord + 1, false});
        return;
    }
    idx_terms_prefix(w->terms, text, &begin, &end);
    if (begin == end)
        return;
    /* The term equal to the prefix, if there is one, is the first of them. */
    if (idx_terms_find(w->terms, text, &ord) && ord == begin) {
        qry_reach_add(&w->out[0], w->arena, (struct qry_stretch){ord, ord + 1, false});
        begin++;
    }
    if (begin < end)
        qry_reach_add(&w->out[0], w->arena, (struct qry_stretch){begin, end, true});
}

/* match=full, prefix search: what a smaller cost reaches is not reached at a larger one. */
static void
walk_smallest(struct walk *w, unsigned costs)
{
    struct qry_reach all[QRY_COSTS] = {{0}};
    struct qry_reach *out = w->out;

    w->out = all;
    walk_exact(w);
    walk_rows(w, 6u);
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        for (unsigned lower = 0; lower < c; lower++)
            all[c] = qry_reach_without(&all[c], &all[lower], w->arena);
        if (costs & (1u << c))
            out[c] = all[c];
    }
}

void
qry_walk(const struct qry_pattern *p, const struct idx_terms *terms, unsigned costs,
         struct arena *arena, struct qry_reach out[QRY_COSTS])
{
    struct walk w = {.pattern = p, .terms = terms, .arena = arena, .out = out};

    w.length = qry_walk_length(p->text, p->is_full);
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        if (costs & (1u << c))
            out[c] = (struct qry_reach){0};
    }
    if (p->is_full && p->may_prefix && (costs & ~1u)) {
        walk_smallest(&w, costs);
        return;
    }
    if (costs & 1u)
        walk_exact(&w);
    if (!(costs & ~1u))
        return;
    costs &= ~1u;
    if (p->is_full || p->text.n >= WALK_BITS_MAX)
        walk_rows(&w, costs);
    else if (!qry_walk_split(&w, costs))
        qry_walk_bits(&w, costs, 0);
}

bool
qry_walk_reaches(const struct qry_pattern *p, struct span term, unsigned cost, bool *is_prefix)
{
    struct automaton a;
    int32_t d = 0;
    unsigned accepted = 0, on = 1u << cost;

    automaton_init(&a, p, on);
    *is_prefix = p->may_prefix && qry_walk_length(term, p->is_full) > a.length + cost;
    for (size_t at = 0; at < term.n && d < DEPTH_MAX - 1;) {
        int32_t unit;
        at = unit_next(term, at, p->is_full, &unit);
        on = automaton_step(&a, ++d, unit, &accepted);
        if (accepted || !on)
            return accepted != 0;
    }
    return automaton_end(&a, d, on) != 0;
}
