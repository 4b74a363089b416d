/*
 * The best evaluation of one document in one pass: every way in which its
 * words can stand for the tokens, as far as the peer's enumeration of term
 * combinations would have come across it (search-semantics 4.1 and 5).
 */
#include "query/matching.h"

struct trial {
    struct qry_run *r;
    struct qry_pass *p;
    const struct qry_scope *scope;
    uint32_t *at; /* by token: which option is tried */
    struct qry_sequence q;
    uint32_t *ids;
    uint8_t *costs;
    uint32_t n_words; /* tokens matched, dropped ones included (5.4) */
    bool has_rivals;  /* an earlier pass had as many words */
    bool is_found;
    struct qry_hit best;
};

static const struct qry_option *
option_of(const struct trial *t, uint32_t j)
{
    return &t->r->doc.options[j].v[t->at[j]];
}

static bool
is_in_scope_of(const struct trial *t, const struct qry_combination *c)
{
    for (uint32_t j = 0; j < t->p->n; j++) {
        const struct qry_option *o = option_of(t, j);
        if (o->cost != c->costs[j] || !(c->is_whole[j] ? o->in_whole : o->in_part))
            return false;
    }
    return true;
}

static bool
is_enumerated(const struct trial *t)
{
    uint64_t number = 0;

    for (uint32_t j = 0; j < t->p->n; j++) {
        const struct qry_option *o = option_of(t, j);
        uint32_t place = qry_costs_at(&t->p->costs[j], o->cost);
        if (!o->in_part || place == QRY_NONE)
            return false;
        number = number * t->p->costs[j].n + place;
    }
    return number < t->p->n_done;
}

static bool
is_in_scope(const struct trial *t)
{
    const struct qry_scope *s = t->scope;

    if (s->is_free)
        return true;
    if (s->costs) {
        for (uint32_t j = 0; j < t->p->n; j++) {
            if (!(s->is_whole[j] ? option_of(t, j)->in_whole : option_of(t, j)->in_part))
                return false;
        }
        return true;
    }
    if (is_enumerated(t))
        return true;
    for (uint32_t i = 0; i < t->p->n_whole; i++) {
        if (is_in_scope_of(t, &t->p->whole[i]))
            return true;
    }
    return false;
}

/*
 * Where the fields differ in prefix search, a sequence first met as a prefix
 * expansion is not looked at again as a typo, although the typo could stand in
 * more fields. Only the last token's terms have several costs.
 */
static bool
was_met_before(struct trial *t)
{
    uint32_t last = t->p->n - 1;
    uint8_t cost = option_of(t, last)->cost;
    bool was_met = false;

    if (!t->r->prefix_differs || t->r->s->is_full || t->scope->is_free)
        return false;
    for (uint32_t j = 0; j <= last; j++)
        t->costs[j] = option_of(t, j)->cost;
    for (uint32_t i = 0; i < t->p->costs[last].n && !was_met; i++) {
        t->costs[last] = t->p->costs[last].v[i];
        was_met = t->costs[last] < cost && qry_pass_has(t->r, t->p, t->costs, t->ids);
    }
    return was_met;
}

static void
try_sequence(struct trial *t)
{
    uint64_t field_score = 0;

    if (!is_in_scope(t))
        return;
    t->q.cost = 0;
    for (uint32_t j = 0; j < t->p->n; j++) {
        const struct qry_option *o = option_of(t, j);
        t->q.v[j] = (struct qry_choice){o->mark, o->charge, o->is_prefix};
        t->q.cost += 2u * o->charge + o->is_prefix;
        t->ids[j] = t->r->doc.terms[o->mark];
    }
    if (t->has_rivals && qry_pass_was_done(t->r, t->ids, t->p->n))
        return;
    if (was_met_before(t))
        return;
    uint64_t score = qry_rank_sequence(t->r, &t->q, t->n_words, &field_score);
    bool is_better = t->r->hits.is_by_field && field_score != t->best.field_score
                         ? field_score > t->best.field_score
                         : score > t->best.text_match;
    if (t->is_found && !is_better)
        return;
    t->is_found = true;
    t->best.text_match = score;
    t->best.field_score = field_score;
}

static void
try_all(struct trial *t)
{
    for (;;) {
        uint32_t j = 0;
        try_sequence(t);
        if (qry_run_tick(t->r))
            return;
        while (j < t->p->n && ++t->at[j] == t->r->doc.options[j].n)
            t->at[j++] = 0;
        if (j == t->p->n)
            return;
    }
}

static void
add_dropped(struct trial *t)
{
    const struct qry_pass *p = t->p;

    t->n_words = t->q.n = t->q.n_kept = p->n;
    for (uint32_t i = 0; i < p->n_dropped; i++) {
        if (t->r->doc.dropped[i] == QRY_NONE)
            continue;
        t->q.v[t->q.n++] = (struct qry_choice){t->r->doc.dropped[i], 0, false};
        t->n_words++;
    }
}

/* Scratch of a pass's trials, kept in the run. */
static void
make_room(struct trial *t, uint32_t n)
{
    struct qry_doc *d = &t->r->doc;

    if (d->room < n) {
        d->room = n + 8;
        d->at = arena_alloc(t->r->arena, d->room * sizeof *d->at);
        d->ids = arena_alloc(t->r->arena, d->room * sizeof *d->ids);
        d->choices = arena_alloc(t->r->arena, d->room * sizeof *d->choices);
        d->costs = arena_alloc(t->r->arena, d->room);
    }
    t->at = d->at;
    t->ids = d->ids;
    t->q.v = d->choices;
    t->costs = d->costs;
    memset(t->at, 0, n * sizeof *t->at);
}

static bool
evaluate(struct trial *t, uint32_t view, uint32_t doc)
{
    make_room(t, t->p->n + t->p->n_dropped);
    for (uint32_t j = 0; j < t->p->n; j++) {
        if (t->r->doc.options[j].n == 0)
            return false;
    }
    add_dropped(t);
    try_all(t);
    if (!t->is_found)
        return false;
    t->best.view = view;
    t->best.doc = doc;
    qry_hits_add(t->r, &t->best);
    return true;
}

bool
qry_evaluate(struct qry_run *r, struct qry_pass *p, const struct qry_scope *scope, uint32_t view,
             uint32_t doc)
{
    struct trial t = {.r = r, .p = p, .scope = scope};

    for (uint32_t i = 0; i < r->n_passes; i++)
        t.has_rivals = t.has_rivals || r->passes[i]->n == p->n;
    qry_doc_load(r, p, scope->costs, view, doc);
    return evaluate(&t, view, doc);
}

bool
qry_evaluate_terms(struct qry_run *r, struct qry_pass *p, const uint8_t *costs,
                   const uint32_t *ids, uint32_t view, uint32_t doc)
{
    const struct qry_scope scope = {.is_free = true};
    struct trial t = {.r = r, .p = p, .scope = &scope};

    qry_doc_load_terms(r, p, costs, ids, view, doc);
    return evaluate(&t, view, doc);
}
