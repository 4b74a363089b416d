/*
 * Words written together or apart: the one rewriting of the query that is
 * tried when nothing was found (search-semantics 4.3). Exact terms only.
 */
#include "query/matching.h"

enum { TOKENS_CONSIDERED = 5 };

struct rewriting {
    struct qry_run *r;
    uint32_t field;
    struct span *tokens; /* the candidate */
    uint32_t n;
};

static bool
is_term(struct qry_run *r, struct span text, uint32_t field)
{
    return text.n > 0 && text.n <= IDX_TERM_MAX &&
           qry_term_lives(r, qry_term_named(r, text), field);
}

static struct span
join(struct qry_run *r, const struct span *tokens, uint32_t n)
{
    struct buf text = {0};

    for (uint32_t i = 0; i < n; i++)
        buf_put_span(&text, tokens[i]);
    struct span joined = arena_dup(r->arena, buf_span(&text));
    buf_fini(&text);
    return joined;
}

/* Whether a live document has all tokens in the field. */
static bool
share_a_document(struct qry_run *r, const struct span *tokens, uint32_t n, uint32_t field)
{
    for (uint32_t v = 0; v < r->n_views && n > 0; v++) {
        uint32_t n_words = qry_n_words(r->c->views[v].n_docs), slot = qry_slot(r, v, field);
        uint64_t *docs = qry_run_scratch(r, 0, v), any = 0;
        memcpy(docs, r->c->views[v].live, n_words * sizeof *docs);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t ord = qry_term_ord(r, qry_term_named(r, tokens[i]), slot);
            uint64_t *one = qry_run_scratch(r, 1, v);
            if (ord != QRY_NONE)
                idx_terms_or(r->terms[slot], ord, ord + 1, one);
            for (uint32_t k = 0; k < n_words; k++)
                docs[k] &= one[k];
        }
        for (uint32_t k = 0; k < n_words; k++)
            any |= docs[k];
        if (any)
            return true;
    }
    return false;
}

static bool
is_phrase(struct qry_run *r, const struct span words[2], uint32_t field)
{
    const struct qry_phrase phrase = {words, 2};

    for (uint32_t v = 0; v < r->n_views; v++) {
        uint64_t *docs = qry_run_scratch(r, 0, v), any = 0;
        qry_phrase_bits(r, &phrase, v, field, docs);
        for (uint32_t k = 0; k < qry_n_words(r->c->views[v].n_docs); k++)
            any |= docs[k];
        if (any)
            return true;
    }
    return false;
}

/* Puts `by` (n_by tokens) in the place of n_out tokens of the query from `at` on. */
static void
replace(struct rewriting *w, uint32_t at, uint32_t n_out, const struct span *by, uint32_t n_by)
{
    const struct qry_text *q = &w->r->text;

    w->n = 0;
    w->tokens = arena_alloc(w->r->arena, (q->n_tokens + n_by) * sizeof *w->tokens);
    for (uint32_t i = 0; i < at; i++)
        w->tokens[w->n++] = q->tokens[i];
    for (uint32_t i = 0; i < n_by; i++)
        w->tokens[w->n++] = by[i];
    for (uint32_t i = at + n_out; i < q->n_tokens; i++)
        w->tokens[w->n++] = q->tokens[i];
}

/* How many tokens, from the first on, are terms of the field. */
static uint32_t
count_terms(const struct rewriting *w)
{
    uint32_t n = 0;

    while (n < w->n && is_term(w->r, w->tokens[n], w->field))
        n++;
    return n;
}

static bool
join_tokens(struct rewriting *w)
{
    const struct qry_text *q = &w->r->text;
    uint32_t considered = q->n_tokens < TOKENS_CONSIDERED ? q->n_tokens : TOKENS_CONSIDERED;

    if (q->n_tokens < 2)
        return false;
    struct span joined = join(w->r, q->tokens, q->n_tokens);
    if (is_term(w->r, joined, w->field)) {
        replace(w, 0, q->n_tokens, &joined, 1);
        return true;
    }
    for (uint32_t i = 0; considered > 2 && i + 1 < considered; i++) {
        joined = join(w->r, q->tokens + i, 2);
        replace(w, i, 2, &joined, 1);
        if (count_terms(w) == w->n && share_a_document(w->r, w->tokens, w->n, w->field))
            return true;
    }
    return false;
}

/* The first split of a token into two words that stand side by side; longest first part first. */
static bool
find_split(const struct rewriting *w, struct span token, struct span parts[2])
{
    for (size_t n = token.n; n-- > 1;) {
        parts[0] = span_of(token.p, n);
        parts[1] = span_from(token, n);
        if (is_term(w->r, parts[0], w->field) && is_term(w->r, parts[1], w->field) &&
            is_phrase(w->r, parts, w->field))
            return true;
    }
    return false;
}

static bool
split_a_token(struct rewriting *w)
{
    const struct qry_text *q = &w->r->text;
    struct span parts[2];

    for (uint32_t i = 0; i < q->n_tokens && i < TOKENS_CONSIDERED; i++) {
        if (!find_split(w, q->tokens[i], parts))
            continue;
        replace(w, i, 1, parts, 2);
        /* QUIRK: what stands behind the first missing word is not asked for. */
        if (share_a_document(w->r, w->tokens, count_terms(w), w->field))
            return true;
    }
    return false;
}

uint32_t
qry_split_join(struct qry_run *r, struct span **out)
{
    struct rewriting w = {.r = r};

    for (w.field = 0; w.field < r->n_fields; w.field++) {
        if (join_tokens(&w) || split_a_token(&w)) {
            *out = w.tokens;
            return w.n;
        }
    }
    return 0;
}
