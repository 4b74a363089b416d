/*
 * Infix search: terms that contain a query token anywhere
 * (search-semantics 4.4). match=compat looks for the first token only and
 * ignores exclusions; match=full wants every token and honours them.
 */
#include "query/matching.h"

enum { INFIX_SCORE = 100 };

static bool
is_inside(const struct qry_search *s, struct span term, struct span token)
{
    const char *at = term.n >= token.n ? memmem(term.p, term.n, token.p, token.n) : NULL;

    if (!at)
        return false;
    size_t before = (size_t)(at - term.p);
    return before <= s->max_extra_prefix && term.n - before - token.n <= s->max_extra_suffix;
}

/* Adds the documents of every term of the field that holds the token. */
static bool
add_field(struct qry_run *r, struct span token, uint32_t view, uint32_t field, uint64_t *out)
{
    const struct idx_terms *terms = r->terms[qry_slot(r, view, field)];
    struct idx_cursor c;

    if (!terms)
        return true;
    idx_cursor_init(&c, terms);
    for (bool more = idx_cursor_next(&c); more; more = idx_cursor_next(&c)) {
        if (is_inside(r->s, span_of(c.term, c.n), token))
            idx_terms_or(terms, c.ord, c.ord + 1, out);
        if (qry_run_tick(r))
            return false;
    }
    return true;
}

static void
add_hits(struct qry_run *r, uint32_t view, const uint64_t *docs)
{
    for (uint32_t i = 0; i < qry_n_words(r->c->views[view].n_docs); i++) {
        for (uint64_t word = docs[i]; word; word &= word - 1) {
            struct qry_hit hit = {.view = view, .doc = i * 64 + (uint32_t)__builtin_ctzll(word)};
            hit.text_match = hit.field_score = INFIX_SCORE;
            if (!qry_bit(r->hits.found[view], hit.doc)) /* else it has a better score */
                qry_hits_add(r, &hit);
        }
    }
}

static bool
is_wanted(const struct qry_run *r, uint32_t field)
{
    enum qry_infix infix = r->s->fields[field].infix;

    return infix == QRY_INFIX_ALWAYS || (infix == QRY_INFIX_FALLBACK && r->hits.n == 0);
}

static bool
run_field(struct qry_run *r, uint32_t field)
{
    for (uint32_t v = 0; v < r->n_views; v++) {
        uint64_t *docs = qry_run_scratch(r, 0, v);
        if (!add_field(r, r->text.tokens[0], v, field, docs))
            return false;
        for (uint32_t i = 0; i < qry_n_words(r->c->views[v].n_docs); i++)
            docs[i] &= r->words[v][i];
        add_hits(r, v, docs);
    }
    return true;
}

/* Documents of a view with every word in one of the wanted fields. */
static bool
add_view(struct qry_run *r, uint32_t view, const bool *wanted)
{
    uint32_t n_words = qry_n_words(r->c->views[view].n_docs);
    uint64_t *docs = qry_run_scratch(r, 0, view);

    memcpy(docs, r->allowed[view], n_words * sizeof *docs);
    for (uint32_t t = 0; t < r->text.n_tokens; t++) {
        uint64_t *one = qry_run_scratch(r, 1, view);
        for (uint32_t f = 0; f < r->n_fields; f++) {
            if (wanted[f] && !add_field(r, r->text.tokens[t], view, f, one))
                return false;
        }
        for (uint32_t i = 0; i < n_words; i++)
            docs[i] &= one[i];
    }
    add_hits(r, view, docs);
    return true;
}

static bool
run_all_words(struct qry_run *r)
{
    bool wanted[QRY_FIELDS_MAX], is_any = false;

    for (uint32_t f = 0; f < r->n_fields; f++) {
        wanted[f] = is_wanted(r, f);
        is_any = is_any || wanted[f];
    }
    for (uint32_t v = 0; v < r->n_views && is_any; v++) {
        if (!add_view(r, v, wanted))
            return false;
    }
    return true;
}

bool
qry_infix_run(struct qry_run *r)
{
    if (r->s->is_full)
        return run_all_words(r);
    for (uint32_t f = 0; f < r->n_fields; f++) {
        if (is_wanted(r, f) && !run_field(r, f))
            return false;
    }
    return true;
}
