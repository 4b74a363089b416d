/* What a run leaves behind for highlighting: which words stand for which token. */
#include "query/matching.h"

uint32_t
qry_match_n_tokens(const struct qry_match *m)
{
    return m->text.n_tokens;
}

struct span
qry_match_token(const struct qry_match *m, uint32_t i)
{
    must(i < m->text.n_tokens);
    return m->text.tokens[i];
}

static const struct qry_search_field *
find_field(const struct qry_search *s, uint32_t field)
{
    for (uint32_t f = 0; f < s->n_fields; f++) {
        if (s->fields[f].field == field)
            return &s->fields[f];
    }
    return NULL;
}

/* The include token with that text and place; words of a rewriting are numbered behind. */
static int32_t
number_of(const struct qry_match *m, uint32_t word)
{
    const struct qry_word *w = m->words[word];

    for (uint32_t i = 0; i < m->text.n_tokens; i++) {
        if (span_eq(m->text.tokens[i], w->text))
            return (int32_t)i;
    }
    return (int32_t)(m->text.n_tokens + word);
}

static int32_t
find_phrase_word(const struct qry_match *m, struct span term)
{
    uint32_t number = m->text.n_tokens + m->n_words;

    for (uint32_t p = 0; p < m->text.n_phrases; p++) {
        for (uint32_t i = 0; i < m->text.phrases[p].n; i++, number++) {
            if (span_eq(m->text.phrases[p].words[i], term))
                return (int32_t)number;
        }
    }
    return -1;
}

int32_t
qry_match_explain(const struct qry_match *m, uint32_t field, struct span term, bool *is_prefix)
{
    const struct qry_search_field *f = find_field(m->s, field);

    *is_prefix = false;
    if (!f || term.n == 0 || term.n > IDX_TERM_MAX)
        return -1;
    for (uint32_t i = 0; i < m->n_words; i++) {
        if (span_eq(m->words[i]->text, term))
            return number_of(m, i);
    }
    for (unsigned cost = 0; cost < QRY_COSTS && cost <= f->num_typos; cost++) {
        for (uint32_t i = 0; i < m->n_words; i++) {
            const struct qry_word *w = m->words[i];
            struct qry_pattern pattern = {
                .text = w->text,
                .may_prefix = w->may_prefix && f->has_prefix,
                .is_full = m->s->is_full,
            };
            if ((w->costs_used & (1u << cost)) &&
                qry_walk_reaches(&pattern, term, cost, is_prefix))
                return number_of(m, i);
        }
    }
    *is_prefix = false;
    return find_phrase_word(m, term);
}
