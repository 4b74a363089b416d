/* Candidate lists, written out (search-semantics 3.4 to 3.6). */
#include "tests/query/oracle_parts.h"

static const struct oracle_field *
field_of(const struct oracle_run *r, const struct oracle_doc *d, uint32_t field)
{
    return &d->fields[r->s->fields[field].field];
}

bool
oracle_list_has(const struct oracle_list *l, struct span term)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (span_eq(l->terms[i], term))
            return true;
    }
    return false;
}

void
oracle_list_add(struct oracle_run *r, struct oracle_list *l, struct span term)
{
    l->terms = arena_grow(r->arena, l->terms, &l->cap, l->n + 1u, sizeof *l->terms);
    l->terms[l->n++] = term;
}

bool
oracle_term_lives(const struct oracle_run *r, struct span term, uint32_t field)
{
    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        const struct oracle_doc *d = &r->o->docs[i];
        if (d->is_live && oracle_field_has(field_of(r, d, field), term))
            return true;
    }
    return false;
}

/* A document that passes the filter has the term, and (unless NULL) `beside`, in the field. */
static bool
has_document(const struct oracle_run *r, struct span term, const struct span *beside,
             uint32_t field)
{
    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        const struct oracle_doc *d = &r->o->docs[i];
        const struct oracle_field *f = field_of(r, d, field);
        if (d->is_live && d->passes && oracle_field_has(f, term) &&
            (!beside || oracle_field_has(f, *beside)))
            return true;
    }
    return false;
}

struct rated {
    struct span term;
    int64_t rank;
};

static int
compare(const void *a, const void *b)
{
    const struct rated *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return span_cmp(y->term, x->term);
}

static int64_t
rank_of(const struct oracle_run *r, struct span term, uint32_t field)
{
    bool by_value = r->s->rank_tokens != QRY_RANK_FREQUENCY && r->o->has_default_sort;
    int64_t best = INT64_MIN, n = 0;

    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        const struct oracle_doc *d = &r->o->docs[i];
        if (!d->is_live || !oracle_field_has(field_of(r, d, field), term))
            continue;
        n++;
        best = d->popularity > best ? d->popularity : best;
    }
    return by_value ? best : n;
}

/* All different terms of live documents in the field. */
static void
vocabulary(struct oracle_run *r, uint32_t field, struct oracle_list *out)
{
    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        const struct oracle_field *f = field_of(r, &r->o->docs[i], field);
        for (uint32_t e = 0; r->o->docs[i].is_live && e < f->n; e++) {
            for (uint32_t t = 0; t < f->elements[e].n; t++) {
                if (!oracle_list_has(out, f->elements[e].tokens[t]))
                    oracle_list_add(r, out, f->elements[e].tokens[t]);
            }
        }
    }
}

static void
add_field(struct oracle_run *r, const struct oracle_wanted *w, uint32_t field,
          const struct span *beside, struct oracle_list *out)
{
    const struct qry_search_field *f = &r->s->fields[field];
    bool may_prefix = w->token.may_prefix && f->has_prefix;
    struct oracle_list words = {0};
    uint64_t max = r->s->max_candidates ? r->s->max_candidates : UINT64_MAX, n = 0;
    bool was_empty = out->n == 0;

    if (w->cost > f->num_typos)
        return;
    vocabulary(r, field, &words);
    struct rated *v = arena_calloc(r->arena, words.n + 1u, sizeof *v);
    size_t n_rated = 0;
    for (uint32_t i = 0; i < words.n; i++) {
        struct span term = words.terms[i];
        if (span_eq(term, w->token.text) || oracle_list_has(w->used, term) ||
            !has_document(r, term, beside, field) ||
            !oracle_reaches(w->token.text, term, w->cost, may_prefix, r->s->is_full))
            continue;
        v[n_rated++] = (struct rated){term, rank_of(r, term, field)};
    }
    qsort(v, n_rated, sizeof *v, compare);
    if (w->cost == 0 && oracle_term_lives(r, w->token.text, field) &&
        !oracle_list_has(w->used, w->token.text)) {
        oracle_list_add(r, out, w->token.text);
        oracle_list_add(r, w->used, w->token.text);
        n++;
    }
    for (size_t i = 0; i < n_rated && n < max; i++, n++) {
        oracle_list_add(r, out, v[i].term);
        oracle_list_add(r, w->used, v[i].term);
    }
    if (was_empty)
        out->n_part = out->n;
}

static uint32_t
count_docs(const struct oracle_run *r, struct span term, uint32_t field)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < r->o->n_docs; i++)
        n += r->o->docs[i].is_live && oracle_field_has(field_of(r, &r->o->docs[i], field), term);
    return n;
}

void
oracle_list_make(struct oracle_run *r, const struct oracle_wanted *w, struct oracle_list *out)
{
    uint64_t max = r->s->max_candidates ? r->s->max_candidates : UINT64_MAX;

    *out = (struct oracle_list){0};
    if (w->previous && !r->s->is_full) {
        struct span first = w->previous->terms[0];
        for (uint32_t df = r->o->n_docs; df > 0; df--) {
            for (uint32_t f = 0; f < r->s->n_fields && out->n < max; f++) {
                if (count_docs(r, first, f) == df)
                    add_field(r, w, f, &first, out);
            }
        }
        if (r->s->n_fields == 1)
            return;
    }
    for (uint32_t f = 0; f < r->s->n_fields && out->n < max; f++)
        add_field(r, w, f, NULL, out);
}
