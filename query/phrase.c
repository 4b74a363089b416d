/*
 * What narrows a search before any token is looked for: exclusions and
 * phrases; and the match-all answer, when nothing else is left of the query
 * (search-semantics section 2).
 */
#include "query/matching.h"

enum { MATCH_ALL_SCORE = 100, PHRASE_SCORE = 100000 };

static bool
stands_in(const uint32_t *words, uint32_t n, const uint32_t *ords, uint32_t n_ords)
{
    for (uint32_t i = 0; i + n_ords <= n; i++) {
        if (memcmp(words + i, ords, n_ords * sizeof *ords) == 0)
            return true; /* no ordinal is IDX_ELEMENT_END: it lies inside one element */
    }
    return false;
}

static void
keep_adjacent(struct qry_run *r, uint32_t slot, uint32_t view, const uint32_t *ords,
              uint32_t n_ords, uint64_t *docs)
{
    uint32_t n_words = qry_n_words(r->c->views[view].n_docs);

    for (uint32_t i = 0; i < n_words; i++) {
        for (uint64_t word = docs[i]; word; word &= word - 1) {
            uint32_t doc = i * 64 + (uint32_t)__builtin_ctzll(word);
            uint32_t n = qry_run_forward(r, slot, doc);
            if (!stands_in(r->forward, n, ords, n_ords))
                docs[i] &= ~((uint64_t)1 << (doc % 64));
            if (qry_run_tick(r))
                return;
        }
    }
}

void
qry_phrase_bits(struct qry_run *r, const struct qry_phrase *p, uint32_t view, uint32_t field,
                uint64_t *out)
{
    uint32_t slot = qry_slot(r, view, field);
    uint32_t n_words = qry_n_words(r->c->views[view].n_docs);
    uint32_t *ords = arena_alloc(r->arena, p->n * sizeof *ords);

    memset(out, 0, n_words * sizeof *out);
    for (uint32_t i = 0; i < p->n; i++) {
        ords[i] = qry_term_ord(r, qry_term_named(r, p->words[i]), slot);
        if (ords[i] == QRY_NONE)
            return;
    }
    memcpy(out, r->c->views[view].live, n_words * sizeof *out);
    for (uint32_t i = 0; i < p->n; i++) {
        uint64_t *one = qry_run_scratch(r, 5, view);
        idx_terms_or(r->terms[slot], ords[i], ords[i] + 1, one);
        for (uint32_t k = 0; k < n_words; k++)
            out[k] &= one[k];
    }
    if (p->n > 1)
        keep_adjacent(r, slot, view, ords, p->n, out);
}

/* ---- phrases to be found ---- */

/* Documents of one field with all phrases that occur in it at all; NULL where none does. */
static uint64_t **
phrases_of_field(struct qry_run *r, uint32_t field)
{
    uint64_t **all = NULL;

    for (uint32_t i = 0; i < r->text.n_phrases; i++) {
        uint64_t **one = arena_calloc(r->arena, r->n_views + 1u, sizeof *one);
        uint64_t any = 0;
        for (uint32_t v = 0; v < r->n_views; v++) {
            one[v] = qry_run_bits(r, v);
            qry_phrase_bits(r, &r->text.phrases[i], v, field, one[v]);
            for (uint32_t k = 0; k < qry_n_words(r->c->views[v].n_docs); k++)
                any |= one[v][k];
        }
        if (!any)
            continue; /* QUIRK: not asked of this field then */
        for (uint32_t v = 0; all && v < r->n_views; v++) {
            for (uint32_t k = 0; k < qry_n_words(r->c->views[v].n_docs); k++)
                all[v][k] &= one[v][k];
        }
        all = all ? all : one;
    }
    return all;
}

static bool
require_phrases(struct qry_run *r)
{
    uint64_t **words = arena_calloc(r->arena, r->n_views + 1u, sizeof *words);
    bool is_any = false;

    for (uint32_t i = 0; i < r->text.n_phrases; i++) {
        if (r->text.phrases[i].n == 0)
            return false; /* QUIRK: an empty phrase is found nowhere */
    }
    r->phrases = arena_calloc(r->arena, r->n_fields, sizeof *r->phrases);
    for (uint32_t f = 0; f < r->n_fields; f++) {
        r->phrases[f] = phrases_of_field(r, f);
        is_any = is_any || r->phrases[f];
    }
    for (uint32_t v = 0; v < r->n_views; v++) {
        words[v] = qry_run_bits(r, v);
        for (uint32_t i = 0; i < qry_n_words(r->c->views[v].n_docs); i++) {
            for (uint32_t f = 0; f < r->n_fields; f++)
                words[v][i] |= r->phrases[f] ? r->phrases[f][v][i] : 0;
            words[v][i] &= r->words[v][i];
        }
    }
    r->words = r->allowed = (const uint64_t *const *)words;
    return is_any;
}

/* ---- exclusions ---- */

static void
exclude_from(struct qry_run *r, uint32_t view, uint32_t field, uint64_t *allowed)
{
    uint32_t slot = qry_slot(r, view, field);
    uint32_t n_words = qry_n_words(r->c->views[view].n_docs);
    uint64_t *out = qry_run_scratch(r, 4, view);

    for (uint32_t i = 0; i < r->text.n_excluded; i++) {
        uint32_t ord = qry_term_ord(r, qry_term_named(r, r->text.excluded[i]), slot);
        if (ord != QRY_NONE)
            idx_terms_or(r->terms[slot], ord, ord + 1, out);
    }
    for (uint32_t i = 0; i < n_words; i++)
        allowed[i] &= ~out[i];
    for (uint32_t i = 0; i < r->text.n_excluded_phrases; i++) {
        const struct qry_phrase *p = &r->text.excluded_phrases[i];
        if (p->n == 0)
            continue;
        qry_phrase_bits(r, p, view, field, out);
        for (uint32_t k = 0; k < n_words; k++)
            allowed[k] &= ~out[k];
    }
}

bool
qry_run_restrict(struct qry_run *r, const struct qry_docset *docs)
{
    uint64_t **allowed;

    (void)docs;
    if (r->text.n_phrases && !require_phrases(r))
        return false;
    if (r->text.n_excluded + r->text.n_excluded_phrases == 0)
        return true;
    allowed = arena_calloc(r->arena, r->n_views + 1u, sizeof *allowed);
    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t n_words = qry_n_words(r->c->views[v].n_docs);
        allowed[v] = qry_run_bits(r, v);
        memcpy(allowed[v], r->words[v], n_words * sizeof(uint64_t));
        for (uint32_t f = 0; f < r->n_fields; f++)
            exclude_from(r, v, f, allowed[v]);
    }
    r->allowed = (const uint64_t *const *)allowed;
    return true;
}

/* ---- match-all ---- */

/* A phrase alone: the weight of its heaviest field counts. */
static uint64_t
score_of(const struct qry_run *r, uint32_t view, uint32_t doc)
{
    unsigned weight = 0;

    if (!r->phrases)
        return MATCH_ALL_SCORE;
    for (uint32_t f = 0; f < r->n_fields; f++) {
        if (r->phrases[f] && qry_bit(r->phrases[f][view], doc) && r->s->fields[f].weight > weight)
            weight = r->s->fields[f].weight;
    }
    return PHRASE_SCORE + weight;
}

struct match_all {
    struct qry_run *r;
    uint32_t view;
};

static bool
add_doc(void *arg, uint32_t doc)
{
    struct match_all *m = arg;
    struct qry_hit hit = {.view = m->view, .doc = doc};

    hit.text_match = hit.field_score = score_of(m->r, m->view, doc);
    qry_hits_add(m->r, &hit);
    return !qry_run_tick(m->r);
}

bool
qry_run_match_all(struct qry_run *r)
{
    struct match_all m = {r, 0};

    r->hits.is_direct = true;
    for (; m.view < r->n_views; m.view++) {
        uint32_t n_words = qry_n_words(r->c->views[m.view].n_docs);
        if (!qry_each_doc(r->allowed[m.view], n_words, add_doc, &m))
            return false;
    }
    return true;
}
