/*
 * Candidate lists: search-semantics 3.4 and 3.6. A complete list is never
 * written out; it is a question that can be asked of a term (qry_list_has).
 * What must be known early is only whether a list is empty, which field comes
 * first in it, and, for the word after it, its best candidate.
 */
#include "query/matching.h"

enum { PART_KNOWN = 1, PART = 2, WHOLE_KNOWN = 4, WHOLE = 8 };

bool
qry_list_own(struct qry_run *r, const struct qry_word *w, unsigned cost, uint32_t field)
{
    return cost == 0 && qry_term_lives(r, w->id, field);
}

bool
qry_used_has(struct qry_run *r, struct qry_list *const *used, uint32_t n, uint32_t id)
{
    for (uint32_t i = 0; i < n; i++) {
        if (qry_list_has(r, used[i], id, true))
            return true;
    }
    return false;
}

/* The term is reached in the field and has a document there that passes the filter. */
static bool
field_offers(struct qry_run *r, struct qry_word *w, unsigned cost, uint32_t field, uint32_t id)
{
    const struct qry_reach *reach = qry_word_reach(r, w, cost);

    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t slot = qry_slot(r, v, field);
        uint32_t ord = reach[slot].n ? qry_term_ord(r, id, slot) : QRY_NONE;
        if (ord != QRY_NONE && qry_reach_find(&reach[slot], ord))
            return qry_term_passes(r, id, field);
    }
    return false;
}

/* Any candidate among the terms of one dictionary? */
static bool
slot_yields(struct qry_run *r, const struct qry_list_request *q, uint32_t view, uint32_t field)
{
    uint32_t slot = qry_slot(r, view, field);
    const struct qry_reach *reach = &qry_word_reach(r, q->word, q->cost)[slot];

    for (size_t i = 0; i < reach->n; i++) {
        if (q->cost == 0 && !reach->v[i].is_prefix)
            continue; /* the word itself: qry_list_own */
        for (uint32_t ord = reach->v[i].begin; ord < reach->v[i].end; ord++) {
            if (idx_terms_count(r->terms[slot], ord, r->words[view]) == 0)
                continue;
            if (q->n_used == 0 || !qry_used_has(r, q->used, q->n_used, qry_term_of(r, slot, ord)))
                return true;
            if (qry_run_tick(r))
                return false;
        }
    }
    return false;
}

static bool
field_yields(struct qry_run *r, const struct qry_list_request *q, uint32_t field)
{
    if (q->cost > r->s->fields[field].num_typos)
        return false;
    if (qry_list_own(r, q->word, q->cost, field) &&
        !qry_used_has(r, q->used, q->n_used, q->word->id))
        return true;
    for (uint32_t v = 0; v < r->n_views; v++) {
        if (slot_yields(r, q, v, field))
            return true;
    }
    return false;
}

/* ---- 3.6: terms beside the best candidate of the previous token ---- */

/* Fields that contain the term, most documents first; how many. */
uint32_t
qry_fields_of(struct qry_run *r, uint32_t id, uint32_t *fields)
{
    uint64_t counts[QRY_FIELDS_MAX];
    uint32_t n = 0;

    for (uint32_t f = 0; f < r->n_fields; f++) {
        uint64_t df = qry_term_df(r, id, f);
        uint32_t at = n;
        if (df == 0)
            continue;
        for (; at > 0 && counts[at - 1] < df; at--) {
            counts[at] = counts[at - 1];
            fields[at] = fields[at - 1];
        }
        counts[at] = df;
        fields[at] = f;
        n++;
    }
    return n;
}

struct together {
    const struct qry_list_request *q;
    struct qry_numbers seen; /* ords of the dictionary at hand */
    struct qry_numbers *out;
};

static void
add_terms_of(struct qry_run *r, struct together *t, uint32_t slot, uint32_t doc)
{
    const struct qry_reach *reach = &qry_word_reach(r, t->q->word, t->q->cost)[slot];
    uint32_t n = qry_run_forward(r, slot, doc);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t ord = r->forward[i];
        if (ord == IDX_ELEMENT_END || !qry_reach_find(reach, ord))
            continue;
        uint32_t *seen = qry_numbers_put(&t->seen, r->arena, ord, 0);
        if (*seen)
            continue;
        *seen = 1;
        uint32_t id = qry_term_of(r, slot, ord);
        if (t->q->cost == 0 && id == t->q->word->id)
            continue;
        if (!qry_used_has(r, t->q->used, t->q->n_used, id))
            (void)qry_numbers_put(t->out, r->arena, id, 0);
    }
}

/* Adds the candidates beside one term of one dictionary. */
static void
add_terms_beside(struct qry_run *r, struct together *t, uint32_t view, uint32_t slot,
                 uint32_t ord)
{
    uint32_t docs[IDX_POSTING_BATCH];
    struct idx_posting p;

    t->seen = (struct qry_numbers){0};
    idx_posting_begin(&p, r->terms[slot], ord);
    for (uint32_t n; (n = idx_posting_next(&p, docs)) > 0 && !qry_run_tick(r);) {
        for (uint32_t i = 0; i < n; i++) {
            if (qry_bit(r->words[view], docs[i]))
                add_terms_of(r, t, slot, docs[i]);
        }
    }
}

/* Candidates in the field that share a document with `previous`, and the word itself. */
struct qry_numbers *
qry_terms_together(struct qry_run *r, const struct qry_list_request *q, uint32_t previous,
                   uint32_t field)
{
    struct together t = {.q = q};

    t.out = arena_calloc(r->arena, 1, sizeof *t.out);
    if (q->cost > r->s->fields[field].num_typos)
        return t.out;
    if (qry_list_own(r, q->word, q->cost, field) &&
        !qry_used_has(r, q->used, q->n_used, q->word->id))
        (void)qry_numbers_put(t.out, r->arena, q->word->id, 0);
    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t slot = qry_slot(r, v, field);
        uint32_t ord = qry_term_ord(r, previous, slot);
        if (ord != QRY_NONE && qry_word_reach(r, q->word, q->cost)[slot].n > 0)
            add_terms_beside(r, &t, v, slot, ord);
    }
    return t.out;
}

/* ---- complete lists ---- */

/* Finds the first field that yields anything; false if none does. */
static bool
fill_complete(struct qry_run *r, struct qry_list *l, const struct qry_list_request *q)
{
    uint32_t fields[QRY_FIELDS_MAX], n = 0;

    if (q->previous)
        n = qry_fields_of(r, qry_list_first(r, q->previous), fields);
    for (uint32_t i = 0; i < n; i++) {
        l->together = qry_terms_together(r, q, qry_list_first(r, q->previous), fields[i]);
        if (l->together->n == 0)
            continue;
        l->part_field = fields[i];
        l->is_part_together = true;
        l->is_narrow = r->n_fields == 1;
        return true;
    }
    if (q->previous && r->n_fields == 1)
        return false;
    for (uint32_t f = 0; f < r->n_fields; f++) {
        if (!field_yields(r, q, f))
            continue;
        l->part_field = f;
        return true;
    }
    return false;
}

struct qry_list *
qry_list_new(struct qry_run *r, const struct qry_list_request *q)
{
    struct qry_list *l = arena_calloc(r->arena, 1, sizeof *l);
    struct qry_list_request request = *q;
    struct qry_list **used = NULL;

    if (r->s->is_full) /* no list depends on another */
        request = (struct qry_list_request){.word = q->word, .cost = q->cost};
    if (request.n_used) {
        used = arena_alloc(r->arena, request.n_used * sizeof(struct qry_list *));
        memcpy(used, request.used, request.n_used * sizeof(struct qry_list *));
    }
    l->word = q->word;
    l->cost = q->cost;
    l->used = used;
    l->n_used = request.n_used;
    l->first = QRY_NONE;
    bool has_any = r->s->max_candidates ? qry_list_fill(r, l, &request)
                                        : fill_complete(r, l, &request);
    return has_any ? l : NULL;
}

static bool
decide(struct qry_run *r, struct qry_list *l, uint32_t id, bool whole)
{
    if (qry_used_has(r, l->used, l->n_used, id))
        return false;
    if (whole ? l->is_narrow : l->is_part_together)
        return qry_numbers_get(l->together, id) != NULL;
    for (uint32_t f = whole ? 0 : l->part_field; f < r->n_fields; f++) {
        if (l->cost <= r->s->fields[f].num_typos &&
            ((id == l->word->id && qry_list_own(r, l->word, l->cost, f)) ||
             field_offers(r, l->word, l->cost, f, id)))
            return true;
        if (!whole)
            return false;
    }
    return false;
}

static bool
ranked_has(const struct qry_list *l, uint32_t id, bool whole)
{
    for (uint32_t i = 0; i < (whole ? l->n : l->n_part); i++) {
        if (l->ids[i] == id)
            return true;
    }
    return false;
}

bool
qry_list_has(struct qry_run *r, struct qry_list *l, uint32_t id, bool whole)
{
    unsigned known_bit, yes_bit;

    if (r->s->max_candidates)
        return ranked_has(l, id, whole);
    if (r->s->is_full && !r->prefix_differs)
        return true;
    whole = whole || r->s->is_full;
    known_bit = whole ? WHOLE_KNOWN : PART_KNOWN;
    yes_bit = whole ? WHOLE : PART;
    const uint32_t *known = qry_numbers_get(&l->known, id);
    if (known && (*known & known_bit))
        return (*known & yes_bit) != 0;
    bool is_member = decide(r, l, id, whole);
    uint32_t *state = qry_numbers_put(&l->known, r->arena, id, 0);
    *state |= known_bit | (is_member ? yes_bit : 0);
    return is_member;
}

/* ---- the best candidate ---- */

static bool
is_better(struct qry_run *r, uint32_t a, uint32_t b, uint32_t field)
{
    uint64_t rank_a = qry_term_rank(r, a, field), rank_b = qry_term_rank(r, b, field);

    if (rank_a != rank_b)
        return rank_a > rank_b;
    return span_cmp(r->all_terms[a].text, r->all_terms[b].text) > 0;
}

/* The better of the best so far and the part's terms in one stretch. */
static void
take_best(struct qry_run *r, struct qry_list *l, uint32_t slot, const struct qry_stretch *s)
{
    for (uint32_t ord = s->begin; ord < s->end; ord++) {
        uint32_t id = qry_term_of(r, slot, ord);
        if (id != l->first && qry_list_has(r, l, id, false) &&
            (l->first == QRY_NONE || is_better(r, id, l->first, l->part_field)))
            l->first = id;
        if (qry_run_tick(r))
            return;
    }
}

/* The first entry the peer's list would have: of the first field that yields anything. */
uint32_t
qry_list_first(struct qry_run *r, struct qry_list *l)
{
    if (l->first != QRY_NONE)
        return l->first;
    if (r->s->max_candidates)
        return l->first = l->ids[0];
    if (qry_list_own(r, l->word, l->cost, l->part_field) &&
        qry_list_has(r, l, l->word->id, false))
        return l->first = l->word->id;
    const struct qry_reach *reach = qry_word_reach(r, l->word, l->cost);
    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t slot = qry_slot(r, v, l->part_field);
        for (size_t i = 0; i < reach[slot].n; i++)
            take_best(r, l, slot, &reach[slot].v[i]);
    }
    if (l->first == QRY_NONE) /* stopped at the deadline: anything will do */
        l->first = l->word->id;
    return l->first;
}
