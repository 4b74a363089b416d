/*
 * Query tokens and what they reach: one walk per token, field and segment,
 * whichever passes ask for it.
 */
#include "query/matching.h"

static bool
late(void *arg)
{
    return qry_run_is_late(arg);
}

static void
limit_costs(const struct qry_run *r, struct qry_word *w)
{
    const struct qry_search *s = r->s;
    uint32_t length = qry_walk_length(w->text, s->is_full);
    bool is_number = true, is_plain = true;

    w->max_cost = length < s->min_len_1typo ? 0 : length < s->min_len_2typo ? 1 : 2;
    for (size_t i = 0; i < w->text.n; i++) {
        char c = w->text.p[i];
        bool is_digit = c >= '0' && c <= '9';
        is_number = is_number && is_digit;
        is_plain = is_plain && (is_digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
    }
    w->max_cost_main = w->max_cost;
    if ((is_number && !s->typos_numerical) || (!is_plain && !s->typos_alpha_numerical))
        w->max_cost_main = 0;
}

struct qry_word *
qry_word_get(struct qry_run *r, struct span text, bool may_prefix)
{
    uint32_t id = qry_term_named(r, text);
    uint32_t *at =
        qry_numbers_put(&r->words_by_term, r->arena, (uint64_t)id << 1 | may_prefix, r->n_words);
    if (*at < r->n_words)
        return r->all_words[*at];
    struct qry_word *w = arena_calloc(r->arena, 1, sizeof *w);
    w->text = r->all_terms[id].text;
    w->may_prefix = may_prefix;
    w->id = id;
    limit_costs(r, w);
    r->all_words = arena_grow(r->arena, r->all_words, &r->words_cap, r->n_words + 1u,
                              sizeof *r->all_words);
    r->all_words[r->n_words++] = w;
    return w;
}

/* Costs to walk for at once: an exhaustive search will want them all. */
static unsigned
costs_to_walk(const struct qry_run *r, const struct qry_word *w, unsigned cost)
{
    unsigned costs = 1u << cost;

    for (unsigned c = 1; c <= w->max_cost && cost > 0 && r->s->is_exhaustive; c++)
        costs |= w->reach[c] ? 0 : 1u << c;
    return costs;
}

static void
walk_slot(struct qry_run *r, struct qry_word *w, unsigned costs, uint32_t slot)
{
    const struct qry_search_field *f = &r->s->fields[slot % r->n_fields];
    struct qry_pattern pattern = {w->text, w->may_prefix && f->has_prefix, r->s->is_full, late, r};
    struct qry_reach out[QRY_COSTS] = {0};
    unsigned wanted = costs & ((2u << f->num_typos) - 1);

    if (r->terms[slot] && wanted && !r->is_late)
        qry_walk(&pattern, r->terms[slot], wanted, r->arena, out);
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        if (costs & (1u << c))
            w->reach[c][slot] = out[c];
    }
}

const struct qry_reach *
qry_word_reach(struct qry_run *r, struct qry_word *w, unsigned cost)
{
    uint32_t n_slots = r->n_views * r->n_fields;
    unsigned costs;

    if (w->reach[cost])
        return w->reach[cost];
    costs = costs_to_walk(r, w, cost);
    for (unsigned c = 0; c < QRY_COSTS; c++) {
        if (costs & (1u << c))
            w->reach[c] = arena_calloc(r->arena, n_slots + 1u, sizeof *w->reach[c]);
    }
    for (uint32_t slot = 0; slot < n_slots; slot++)
        walk_slot(r, w, costs, slot);
    return w->reach[cost];
}

bool
qry_may_be_charged(const struct qry_search *s, const struct qry_word *w)
{
    bool may = w->text.n == 1; /* two bytes of ASCII are two edits away from such a letter */

    for (size_t i = 0; i < w->text.n; i++) {
        unsigned char c = (unsigned char)w->text.p[i];
        may = may || (c >= 0x80 && i < 3) || (c >= 0xd8 && c <= 0xdb);
    }
    return may && w->max_cost > 0 && !s->is_full;
}

/*
 * Adds what the other kind of search would find in the field, without
 * prefix-expanded terms. Where a term may be charged more than its cost, it may
 * be longer and still count as a typo: qry_doc_load looks closer.
 */
static struct qry_reach
loosen(struct qry_run *r, struct qry_word *w, unsigned cost, uint32_t slot)
{
    bool has_prefix = r->s->fields[slot % r->n_fields].has_prefix;
    struct qry_pattern pattern = {w->text, !has_prefix, r->s->is_full, late, r};
    struct qry_reach out[QRY_COSTS] = {0}, joined = {0};
    const struct qry_reach *own = &w->reach[cost][slot];
    size_t k = 0;

    if (!r->terms[slot] || r->is_late)
        return *own;
    qry_walk(&pattern, r->terms[slot], 1u << cost, r->arena, out);
    struct qry_reach more = qry_reach_without(&out[cost], own, r->arena);
    for (size_t i = 0; i < more.n; i++) {
        while (k < own->n && own->v[k].begin < more.v[i].begin)
            qry_reach_add(&joined, r->arena, own->v[k++]);
        if (!more.v[i].is_prefix || qry_may_be_charged(r->s, w))
            qry_reach_add(&joined, r->arena, more.v[i]);
    }
    while (k < own->n)
        qry_reach_add(&joined, r->arena, own->v[k++]);
    return joined;
}

/*
 * Where some fields have prefix search and others do not, a term found by
 * prefix in one field counts in the others, too, as long as it is not longer
 * than the token + cost (5.1): a superset that qry_list_has decides upon.
 */
const struct qry_reach *
qry_word_loose(struct qry_run *r, struct qry_word *w, unsigned cost)
{
    if (w->loose[cost])
        return w->loose[cost];
    const struct qry_reach *reach = qry_word_reach(r, w, cost);
    if (!r->prefix_differs || !w->may_prefix || cost == 0) {
        w->loose[cost] = w->reach[cost];
        return w->loose[cost];
    }
    uint32_t n_slots = r->n_views * r->n_fields;
    w->loose[cost] = arena_calloc(r->arena, n_slots + 1u, sizeof *w->loose[cost]);
    for (uint32_t slot = 0; slot < n_slots; slot++) {
        const struct qry_search_field *f = &r->s->fields[slot % r->n_fields];
        /* In compat a prefix search finds what the other would. */
        bool is_loose = (!f->has_prefix || r->s->is_full) && f->num_typos >= cost;
        w->loose[cost][slot] = is_loose ? loosen(r, w, cost, slot) : reach[slot];
    }
    return w->loose[cost];
}

const uint64_t *
qry_word_bits(struct qry_run *r, struct qry_word *w, unsigned cost, uint32_t view)
{
    if (!w->bits[cost])
        w->bits[cost] = arena_calloc(r->arena, r->n_views + 1u, sizeof *w->bits[cost]);
    if (w->bits[cost][view])
        return w->bits[cost][view];
    const struct qry_reach *loose = qry_word_loose(r, w, cost);
    uint64_t *bits = qry_run_bits(r, view);
    for (uint32_t f = 0; f < r->n_fields; f++) {
        uint32_t slot = qry_slot(r, view, f);
        for (size_t i = 0; i < loose[slot].n; i++)
            idx_terms_or(r->terms[slot], loose[slot].v[i].begin, loose[slot].v[i].end, bits);
    }
    w->bits[cost][view] = bits;
    return bits;
}
