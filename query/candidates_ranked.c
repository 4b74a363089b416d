/*
 * The lists of an explicit max_candidates: written out, best first, cut
 * (search-semantics 3.4 and 3.5 with the decisions of section 16: popularity
 * is that of live documents, ties in descending order of the terms' bytes).
 */
#include "query/matching.h"

struct ranked {
    uint32_t id;
    uint64_t rank;
    struct span text;
};

struct ranking {
    struct qry_run *r;
    struct qry_list *list;
    const struct qry_list_request *q;
    struct qry_numbers taken; /* ids in the list */
    struct ranked *v;
    size_t n, cap;
};

static int
compare(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return span_cmp(y->text, x->text);
}

static void
consider(struct ranking *k, uint32_t id, uint32_t field, struct qry_numbers *seen)
{
    struct qry_run *r = k->r;
    uint32_t *is_seen = qry_numbers_put(seen, r->arena, id, 0);

    if (*is_seen || id == k->q->word->id || qry_numbers_get(&k->taken, id))
        return;
    *is_seen = 1;
    if (!qry_term_passes(r, id, field) || qry_used_has(r, k->q->used, k->q->n_used, id))
        return;
    k->v = arena_grow(r->arena, k->v, &k->cap, k->n + 1, sizeof *k->v);
    k->v[k->n++] = (struct ranked){id, qry_term_rank(r, id, field), r->all_terms[id].text};
}

static void
consider_stretch(struct ranking *k, uint32_t slot, const struct qry_stretch *s,
                 struct qry_numbers *seen)
{
    for (uint32_t ord = s->begin; ord < s->end && !qry_run_tick(k->r); ord++)
        consider(k, qry_term_of(k->r, slot, ord), slot % k->r->n_fields, seen);
}

static void
consider_field(struct ranking *k, uint32_t field)
{
    struct qry_run *r = k->r;
    const struct qry_reach *reach = qry_word_reach(r, k->q->word, k->q->cost);
    struct qry_numbers seen = {0};

    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t slot = qry_slot(r, v, field);
        for (size_t i = 0; i < reach[slot].n; i++)
            consider_stretch(k, slot, &reach[slot].v[i], &seen);
    }
}

static void
consider_together(struct ranking *k, uint32_t field, uint32_t previous)
{
    struct qry_numbers *ids = qry_terms_together(k->r, k->q, previous, field);
    struct qry_numbers seen = {0};

    for (size_t i = 0; i < ids->cap; i++) {
        if (ids->keys[i])
            consider(k, (uint32_t)(ids->keys[i] - 1), field, &seen);
    }
}

static void
append(struct ranking *k, uint32_t id)
{
    struct qry_list *l = k->list;
    size_t cap = l->cap;

    l->ids = arena_grow(k->r->arena, l->ids, &cap, l->n + 1u, sizeof *l->ids);
    l->cap = (uint32_t)cap;
    l->ids[l->n++] = id;
    (void)qry_numbers_put(&k->taken, k->r->arena, id, 0);
}

/* One field's share of the list: at most max_candidates, the word itself first. */
static void
append_field(struct ranking *k, uint32_t field, uint32_t previous)
{
    struct qry_run *r = k->r;
    const struct qry_list_request *q = k->q;
    uint64_t left = r->s->max_candidates;
    bool was_empty = k->list->n == 0;

    if (q->cost > r->s->fields[field].num_typos)
        return;
    k->n = 0;
    if (previous == QRY_NONE)
        consider_field(k, field);
    else
        consider_together(k, field, previous);
    if (k->n > 1)
        qsort(k->v, k->n, sizeof *k->v, compare);
    if (qry_list_own(r, q->word, q->cost, field) && !qry_numbers_get(&k->taken, q->word->id) &&
        !qry_used_has(r, q->used, q->n_used, q->word->id)) {
        append(k, q->word->id);
        left--;
    }
    for (size_t i = 0; i < k->n && left > 0; i++, left--)
        append(k, k->v[i].id);
    if (was_empty || r->s->is_full)
        k->list->n_part = k->list->n;
}

bool
qry_list_fill(struct qry_run *r, struct qry_list *l, const struct qry_list_request *q)
{
    struct ranking k = {.r = r, .list = l, .q = q};
    uint32_t fields[QRY_FIELDS_MAX], n = 0;

    if (q->previous)
        n = qry_fields_of(r, qry_list_first(r, q->previous), fields);
    for (uint32_t i = 0; i < n && l->n < r->s->max_candidates; i++)
        append_field(&k, fields[i], qry_list_first(r, q->previous));
    if (q->previous && r->n_fields == 1)
        return l->n > 0;
    for (uint32_t f = 0; f < r->n_fields && l->n < r->s->max_candidates; f++)
        append_field(&k, f, QRY_NONE);
    return l->n > 0;
}
