/* Words written together or apart (search-semantics 4.3). */
#include "tests/query/oracle_parts.h"

static struct span
glue(struct oracle_run *r, const struct span *v, uint32_t n)
{
    struct span s = {"", 0};

    for (uint32_t i = 0; i < n; i++)
        s = arena_printf(r->arena, "%.*s%.*s", SPAN_ARG(s), SPAN_ARG(v[i]));
    return s;
}

static bool
some_document_has(const struct oracle_run *r, const struct span *v, uint32_t n, uint32_t field)
{
    for (uint32_t i = 0; i < r->o->n_docs && n > 0; i++) {
        const struct oracle_doc *d = &r->o->docs[i];
        uint32_t has = 0;
        for (uint32_t k = 0; k < n && d->is_live; k++)
            has += oracle_field_has(&d->fields[r->s->fields[field].field], v[k]);
        if (has == n)
            return true;
    }
    return false;
}

static bool
some_document_says(const struct oracle_run *r, struct span a, struct span b, uint32_t field)
{
    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        const struct oracle_doc *d = &r->o->docs[i];
        const struct oracle_field *f = &d->fields[r->s->fields[field].field];
        for (uint32_t e = 0; d->is_live && e < f->n; e++) {
            for (uint32_t k = 0; k + 1 < f->elements[e].n; k++) {
                if (span_eq(f->elements[e].tokens[k], a) &&
                    span_eq(f->elements[e].tokens[k + 1], b))
                    return true;
            }
        }
    }
    return false;
}

static uint32_t
put_together(struct oracle_run *r, uint32_t at, uint32_t n_out, const struct span *by,
             uint32_t n_by, struct span **out)
{
    uint32_t n = 0;
    struct span *v = arena_calloc(r->arena, r->text.n_tokens + n_by, sizeof *v);

    for (uint32_t i = 0; i < r->text.n_tokens; i++) {
        for (uint32_t k = 0; k < n_by && i == at; k++)
            v[n++] = by[k];
        if (i < at || i >= at + n_out)
            v[n++] = r->text.tokens[i];
    }
    *out = v;
    return n;
}

static uint32_t
terms_from_left(struct oracle_run *r, const struct span *v, uint32_t n, uint32_t field)
{
    uint32_t i = 0;

    while (i < n && oracle_term_lives(r, v[i], field))
        i++;
    return i;
}

static uint32_t
in_field(struct oracle_run *r, uint32_t field, struct span **out)
{
    uint32_t n = r->text.n_tokens, five = n < 5 ? n : 5, m;
    struct span all = glue(r, r->text.tokens, n), parts[2];

    if (n >= 2 && oracle_term_lives(r, all, field))
        return put_together(r, 0, n, &all, 1, out);
    for (uint32_t i = 0; five >= 3 && i + 1 < five; i++) {
        all = glue(r, r->text.tokens + i, 2);
        m = put_together(r, i, 2, &all, 1, out);
        if (terms_from_left(r, *out, m, field) == m && some_document_has(r, *out, m, field))
            return m;
    }
    for (uint32_t i = 0; i < five; i++) {
        struct span t = r->text.tokens[i];
        bool is_split = false;
        for (size_t k = t.n; k-- > 1 && !is_split;) {
            parts[0] = span_of(t.p, k);
            parts[1] = span_from(t, k);
            is_split = oracle_term_lives(r, parts[0], field) &&
                       oracle_term_lives(r, parts[1], field) &&
                       some_document_says(r, parts[0], parts[1], field);
        }
        if (!is_split)
            continue;
        m = put_together(r, i, 1, parts, 2, out);
        if (some_document_has(r, *out, terms_from_left(r, *out, m, field), field))
            return m;
    }
    return 0;
}

uint32_t
oracle_split_join(struct oracle_run *r, struct span **out)
{
    for (uint32_t f = 0; f < r->s->n_fields; f++) {
        uint32_t n = in_field(r, f, out);
        if (n)
            return n;
    }
    return 0;
}
