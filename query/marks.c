/*
 * Reads a document's forward lists and marks in them what the pass is looking
 * for. A mark is the number of a term within the document; the same term has
 * the same mark in all fields.
 */
#include "query/matching.h"

static uint32_t
mark_of(struct qry_run *r, uint32_t id)
{
    struct qry_doc *d = &r->doc;

    for (uint32_t i = 0; i < d->n_terms; i++) {
        if (d->terms[i] == id)
            return i;
    }
    d->terms = arena_grow(r->arena, d->terms, &d->terms_cap, d->n_terms + 1u, sizeof *d->terms);
    d->terms[d->n_terms] = id;
    return d->n_terms++;
}

static void
add_option(struct qry_run *r, struct qry_options *o, struct qry_option option)
{
    for (uint32_t i = 0; i < o->n; i++) {
        if (o->v[i].mark == option.mark && o->v[i].cost == option.cost)
            return;
    }
    o->v = arena_grow(r->arena, o->v, &o->cap, o->n + 1u, sizeof *o->v);
    o->v[o->n++] = option;
}

static void
begin(struct qry_run *r, const struct qry_pass *p)
{
    struct qry_doc *d = &r->doc;
    size_t old = d->options_cap;

    if (!d->fields)
        d->fields = arena_calloc(r->arena, r->n_fields, sizeof *d->fields);
    d->options = arena_grow(r->arena, d->options, &d->options_cap, p->n, sizeof *d->options);
    if (d->options_cap > old)
        memset(d->options + old, 0, (d->options_cap - old) * sizeof *d->options);
    d->dropped =
        arena_grow(r->arena, d->dropped, &d->dropped_cap, p->n_dropped + 1u, sizeof *d->dropped);
    for (uint32_t j = 0; j < p->n; j++)
        d->options[j].n = 0;
    for (uint32_t i = 0; i < p->n_dropped; i++)
        d->dropped[i] = QRY_NONE;
    d->n_terms = 0;
}

struct place { /* a word of the document */
    uint32_t view, field, slot, ord;
};

/* Whether token j at that cost reaches the word; adds the option. */
static bool
try_token(struct qry_run *r, struct qry_pass *p, uint32_t j, unsigned cost,
          const struct place *at)
{
    struct qry_list *l = p->lists[j][cost];
    struct qry_word *w = l ? l->word : p->words[j];
    const struct qry_reach *loose = &qry_word_loose(r, w, cost)[at->slot];
    const struct qry_stretch *s = loose->n ? qry_reach_find(loose, at->ord) : NULL;

    if (!s)
        return false;
    uint32_t id = qry_term_of(r, at->slot, at->ord);
    struct span text = r->all_terms[id].text;
    struct qry_option o = {.cost = (uint8_t)cost, .charge = qry_charge(r->s, text, cost)};
    o.is_prefix = s->is_prefix && p->words[j]->may_prefix;
    if (o.charge != cost && o.is_prefix)
        o.is_prefix = text.n > p->words[j]->text.n + o.charge;
    if (!qry_field_allows(&r->s->fields[at->field], o.charge, o.is_prefix))
        return false;
    o.mark = mark_of(r, id);
    o.in_part = !l || qry_list_has(r, l, id, false);
    o.in_whole = !l || qry_list_has(r, l, id, true);
    add_option(r, &r->doc.options[j], o);
    return true;
}

static bool
try_tokens(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const struct place *at)
{
    bool is_marked = false;

    for (uint32_t j = 0; j < p->n; j++) {
        if (costs) {
            is_marked |= try_token(r, p, j, costs[j], at);
            continue;
        }
        for (uint32_t i = 0; i < p->costs[j].n; i++) {
            if (p->lists[j][p->costs[j].v[i]])
                is_marked |= try_token(r, p, j, p->costs[j].v[i], at);
        }
    }
    return is_marked;
}

static bool
try_dropped(struct qry_run *r, const struct qry_pass *p, const struct place *at)
{
    bool is_marked = false;

    for (uint32_t i = 0; i < p->n_dropped; i++) {
        uint32_t id = p->dropped[i]->id;
        if (qry_term_ord(r, id, at->slot) != at->ord)
            continue;
        r->doc.dropped[i] = mark_of(r, id);
        is_marked = true;
    }
    return is_marked;
}

/* A place's mark, if an earlier word of the same text was this one: looked up once. */
static uint32_t
mark_again(const struct qry_run *r, const struct qry_marks *m, uint32_t i)
{
    for (uint32_t k = 0; k < i; k++) {
        if (r->forward[k] == r->forward[i])
            return m->v[k];
    }
    return IDX_ELEMENT_END; /* not seen */
}

static uint32_t
forward_of(struct qry_run *r, uint32_t slot, uint32_t doc, struct qry_marks *m)
{
    m->n = r->terms[slot] ? qry_run_forward(r, slot, doc) : 0;
    m->v = arena_grow(r->arena, m->v, &m->cap, m->n, sizeof *m->v);
    return m->n;
}

/* QRY_NONE and IDX_ELEMENT_END are one number. */
#define NOT_A_MARK (UINT32_MAX - 1)

void
qry_doc_load(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, uint32_t view,
             uint32_t doc)
{
    begin(r, p);
    for (uint32_t f = 0; f < r->n_fields; f++) {
        struct qry_marks *m = &r->doc.fields[f];
        struct place at = {view, f, qry_slot(r, view, f), 0};
        uint32_t n = forward_of(r, at.slot, doc, m);
        for (uint32_t i = 0; i < n; i++) {
            at.ord = r->forward[i];
            m->v[i] = at.ord == IDX_ELEMENT_END ? IDX_ELEMENT_END : mark_again(r, m, i);
            if (at.ord == IDX_ELEMENT_END || m->v[i] != IDX_ELEMENT_END)
                continue;
            bool is_marked = try_tokens(r, p, costs, &at);
            is_marked |= p->n_dropped && try_dropped(r, p, &at);
            m->v[i] = is_marked ? mark_of(r, qry_term_of(r, at.slot, at.ord)) : NOT_A_MARK;
        }
    }
}

/* Whether a word is one of the given terms; adds their options. */
static bool
try_terms(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const uint32_t *ids,
          const struct place *at)
{
    bool is_marked = false;

    for (uint32_t j = 0; j < p->n; j++) {
        struct span text = r->all_terms[ids[j]].text;
        struct qry_option o = {.cost = costs[j], .in_part = true, .in_whole = true};
        o.charge = qry_charge(r->s, text, costs[j]);
        uint32_t limit = qry_walk_length(p->words[j]->text, r->s->is_full) + o.charge;
        if (qry_term_ord(r, ids[j], at->slot) != at->ord)
            continue;
        o.mark = mark_of(r, ids[j]);
        o.is_prefix =
            p->words[j]->may_prefix && qry_walk_length(text, r->s->is_full) > limit;
        is_marked = true;
        add_option(r, &r->doc.options[j], o);
    }
    return is_marked;
}

void
qry_doc_load_terms(struct qry_run *r, struct qry_pass *p, const uint8_t *costs,
                   const uint32_t *ids, uint32_t view, uint32_t doc)
{
    begin(r, p);
    for (uint32_t f = 0; f < r->n_fields; f++) {
        struct qry_marks *m = &r->doc.fields[f];
        struct place at = {view, f, qry_slot(r, view, f), 0};
        uint32_t n = forward_of(r, at.slot, doc, m);
        for (uint32_t i = 0; i < n; i++) {
            at.ord = r->forward[i];
            m->v[i] = IDX_ELEMENT_END;
            if (at.ord == IDX_ELEMENT_END)
                continue;
            bool is_marked = try_terms(r, p, costs, ids, &at);
            is_marked |= p->n_dropped && try_dropped(r, p, &at);
            m->v[i] = is_marked ? mark_of(r, qry_term_of(r, at.slot, at.ord)) : NOT_A_MARK;
        }
    }
}
