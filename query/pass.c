/*
 * One pass over a sequence of words: the combinations of their edit costs, in
 * the peer's order, with its rules for giving up a cost (search-semantics
 * 4.1). An exhaustive search only notes which combinations count and then
 * looks at every document once; else combinations are looked at one by one,
 * because what was found decides whether the next is tried.
 */
#include "query/matching.h"

enum {
    COMBINATIONS_MAX = 10,
    COMBINATIONS_EXHAUSTIVE_MAX = 10000,
    TOKENS_COMBINED_MAX = 30, /* with more only the first combination is tried */
};

uint32_t
qry_costs_at(const struct qry_costs *c, unsigned cost)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->v[i] == cost)
            return i;
    }
    return QRY_NONE;
}

static void
init_costs(struct qry_run *r, struct qry_pass *p)
{
    p->costs = arena_calloc(r->arena, p->n, sizeof *p->costs);
    p->lists = arena_calloc(r->arena, p->n, sizeof *p->lists);
    for (uint32_t j = 0; j < p->n; j++) {
        unsigned max = p->is_main ? p->words[j]->max_cost_main : p->words[j]->max_cost;
        for (uint8_t c = 0; c <= max; c++)
            p->costs[j].v[p->costs[j].n++] = c;
    }
}

static uint64_t
count_combinations(const struct qry_run *r, const struct qry_pass *p)
{
    uint64_t limit = r->s->is_exhaustive ? COMBINATIONS_EXHAUSTIVE_MAX : COMBINATIONS_MAX;
    uint64_t n = 1;

    if (p->n > TOKENS_COMBINED_MAX)
        return 1;
    for (uint32_t j = 0; j < p->n && n < limit; j++)
        n *= p->costs[j].n;
    return n < limit ? n : limit;
}

/* Combination number i as a counter whose last digit changes fastest. */
static void
set_combination(const struct qry_pass *p, uint64_t i, uint8_t *costs)
{
    for (uint32_t j = p->n; j-- > 0;) {
        costs[j] = p->costs[j].v[i % p->costs[j].n];
        i /= p->costs[j].n;
    }
}

/* QUIRK: tokens with the same text share their lists, even if only one of them is a prefix. */
static struct qry_list *
find_list(const struct qry_pass *p, const struct qry_word *w, unsigned cost, bool is_full)
{
    for (uint32_t i = 0; i < p->n_made; i++) {
        const struct qry_word *maker = p->made[i]->word;
        if (p->made[i]->cost == cost && (is_full ? maker == w : span_eq(maker->text, w->text)))
            return p->made[i];
    }
    return NULL;
}

/*
 * Makes the lists of a combination; is_whole tells which were made just now.
 * Returns the token that has no candidate, QRY_NONE if all have some.
 */
static uint32_t
make_lists(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, bool *is_whole)
{
    uint32_t begin = p->n_made;

    for (uint32_t j = 0; j < p->n; j++) {
        struct qry_list **list = &p->lists[j][costs[j]];
        bool follows = p->has_previous && j > 0 && j == p->n - 1;
        if (!*list)
            *list = find_list(p, p->words[j], costs[j], r->s->is_full);
        is_whole[j] = !*list;
        if (*list)
            continue;
        struct qry_list_request q = {
            .word = p->words[j],
            .cost = costs[j],
            .previous = follows ? p->lists[j - 1][costs[j - 1]] : NULL,
            .used = p->n_made > begin ? p->made + begin : NULL,
            .n_used = p->n_made - begin,
        };
        *list = qry_list_new(r, &q);
        if (!*list || qry_run_tick(r))
            return j;
        p->made = arena_grow(r->arena, p->made, &p->made_cap, p->n_made + 1u, sizeof *p->made);
        p->made[p->n_made++] = *list;
    }
    return QRY_NONE;
}

static void
drop_cost(struct qry_costs *c, unsigned cost)
{
    uint32_t at = qry_costs_at(c, cost);

    for (uint32_t i = at + 1; i < c->n; i++)
        c->v[i - 1] = c->v[i];
    c->n--;
}

static void
note_whole(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const bool *is_whole)
{
    struct qry_combination c;

    if (!memchr(is_whole, true, p->n))
        return;
    c.costs = arena_alloc(r->arena, p->n);
    c.is_whole = arena_alloc(r->arena, p->n * sizeof(bool));
    memcpy(c.costs, costs, p->n);
    memcpy(c.is_whole, is_whole, p->n * sizeof(bool));
    p->whole = arena_grow(r->arena, p->whole, &p->whole_cap, p->n_whole + 1u, sizeof *p->whole);
    p->whole[p->n_whole++] = c;
}

/* ---- documents ---- */

static void
narrow(uint64_t *docs, const uint64_t *by, uint32_t n_words)
{
    for (uint32_t i = 0; i < n_words; i++)
        docs[i] &= by[i];
}

static void
widen(uint64_t *docs, const uint64_t *by, uint32_t n_words)
{
    for (uint32_t i = 0; i < n_words; i++)
        docs[i] |= by[i];
}

/* Documents that have every token at one of the costs that the scope allows. */
static void
select_docs(struct qry_run *r, struct qry_pass *p, const struct qry_scope *scope, uint32_t view,
            uint64_t *docs)
{
    uint32_t n_words = qry_n_words(r->c->views[view].n_docs);
    uint64_t *any = scope->costs ? NULL : qry_run_scratch(r, 1, view);

    memcpy(docs, r->allowed[view], n_words * sizeof *docs);
    for (uint32_t j = 0; j < p->n; j++) {
        if (scope->costs) {
            struct qry_list *l = p->lists[j][scope->costs[j]];
            narrow(docs, qry_word_bits(r, l->word, l->cost, view), n_words);
            continue;
        }
        memset(any, 0, n_words * sizeof *any);
        for (uint32_t i = 0; i < p->costs[j].n; i++) {
            struct qry_list *l = p->lists[j][p->costs[j].v[i]];
            if (l)
                widen(any, qry_word_bits(r, l->word, l->cost, view), n_words);
        }
        narrow(docs, any, n_words);
    }
}

struct sweep {
    struct qry_run *r;
    struct qry_pass *p;
    const struct qry_scope *scope;
    uint32_t view;
};

static bool
sweep_doc(void *arg, uint32_t doc)
{
    struct sweep *s = arg;

    (void)qry_evaluate(s->r, s->p, s->scope, s->view, doc);
    return !qry_run_tick(s->r);
}

static bool
sweep(struct qry_run *r, struct qry_pass *p, const struct qry_scope *scope)
{
    struct sweep s = {r, p, scope, 0};

    for (; s.view < r->n_views; s.view++) {
        uint64_t *docs = qry_run_scratch(r, 0, s.view);
        select_docs(r, p, scope, s.view, docs);
        if (!qry_each_doc(docs, qry_n_words(r->c->views[s.view].n_docs), sweep_doc, &s))
            return false;
    }
    return true;
}

/* Looks at a combination now, or leaves it to the sweep of an exhaustive search. */
static bool
take_combination(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const bool *is_whole)
{
    struct qry_scope scope = {.costs = costs, .is_whole = is_whole};

    for (uint32_t j = 0; j < p->n; j++)
        p->words[j]->costs_used |= 1u << costs[j];
    if (r->s->max_candidates)
        return qry_ranked_run(r, p, costs, is_whole);
    note_whole(r, p, costs, is_whole);
    return r->s->is_exhaustive || sweep(r, p, &scope);
}

bool
qry_pass_run(struct qry_run *r, struct qry_pass *p)
{
    uint8_t *costs = arena_alloc(r->arena, p->n);
    bool *is_whole = arena_calloc(r->arena, p->n, sizeof *is_whole);
    const struct qry_scope all = {0};

    init_costs(r, p);
    if (qry_single_fits(r, p))
        return qry_single_run(r, p);
    for (uint64_t i = 0; i < count_combinations(r, p); i++) {
        set_combination(p, i, costs);
        uint32_t without = make_lists(r, p, costs, is_whole);
        if (qry_run_is_late(r)) /* a combination takes time in proportion to the tokens */
            return false;
        if (without != QRY_NONE) {
            drop_cost(&p->costs[without], costs[without]);
            if (p->costs[without].n == 0)
                return true;
            i = UINT64_MAX; /* the enumeration begins anew */
            p->n_done = 0;
        } else {
            p->n_done = i + 1;
            if (!take_combination(r, p, costs, is_whole))
                return false;
        }
        if (!r->s->is_exhaustive && r->hits.n >= r->s->typo_tokens_threshold)
            return true;
    }
    if (r->s->is_exhaustive && !r->s->max_candidates)
        return sweep(r, p, &all);
    return true;
}

/* ---- sequences that an earlier pass has seen ---- */

/*
 * All members of the parts, in a combination that was enumerated? The one with
 * the smallest costs has the smallest number.
 */
static bool
is_in_parts(struct qry_run *r, struct qry_pass *p, const uint32_t *ids)
{
    uint64_t number = 0;

    for (uint32_t j = 0; j < p->n; j++) {
        uint32_t i = 0;
        for (; i < p->costs[j].n; i++) {
            struct qry_list *l = p->lists[j][p->costs[j].v[i]];
            if (l && qry_list_has(r, l, ids[j], false))
                break;
        }
        if (i == p->costs[j].n)
            return false;
        number = number * p->costs[j].n + i;
    }
    return number < p->n_done;
}

static bool
is_in_whole(struct qry_run *r, struct qry_pass *p, const struct qry_combination *c,
            const uint32_t *ids)
{
    for (uint32_t j = 0; j < p->n; j++) {
        struct qry_list *l = p->lists[j][c->costs[j]];
        if (!qry_list_has(r, l, ids[j], c->is_whole[j]))
            return false;
    }
    return true;
}

bool
qry_pass_has(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const uint32_t *ids)
{
    uint64_t number = 0;
    bool is_member = true;

    for (uint32_t i = 0; i < p->n_whole; i++) {
        if (memcmp(p->whole[i].costs, costs, p->n) == 0 && is_in_whole(r, p, &p->whole[i], ids))
            return true;
    }
    for (uint32_t j = 0; j < p->n && is_member; j++) {
        uint32_t at = qry_costs_at(&p->costs[j], costs[j]);
        struct qry_list *l = p->lists[j][costs[j]];
        is_member = at != QRY_NONE && l && qry_list_has(r, l, ids[j], false);
        number = number * p->costs[j].n + at;
    }
    return is_member && number < p->n_done;
}

/* The lists of a single word are always whole: everything it reached counts. */
static bool
is_in_single(struct qry_run *r, struct qry_pass *p, uint32_t id)
{
    struct qry_word *w = p->words[0];

    for (uint32_t slot = 0; slot < r->n_views * r->n_fields; slot++) {
        uint32_t ord = qry_term_ord(r, id, slot);
        if (ord == QRY_NONE)
            continue;
        for (uint32_t i = 0; i < p->n_done; i++) {
            const struct qry_reach *reach = &qry_word_reach(r, w, p->costs[0].v[i])[slot];
            if (qry_reach_find(reach, ord) && qry_term_passes(r, id, slot % r->n_fields))
                return true;
        }
    }
    return false;
}

bool
qry_pass_was_done(struct qry_run *r, const uint32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < r->n_passes; i++) {
        struct qry_pass *p = r->passes[i];
        if (p->n != n || r->s->is_full)
            continue;
        if (n == 1 ? is_in_single(r, p, ids[0]) : is_in_parts(r, p, ids))
            return true;
        for (uint32_t w = 0; w < p->n_whole && n > 1; w++) {
            if (is_in_whole(r, p, &p->whole[w], ids))
                return true;
        }
    }
    return false;
}
