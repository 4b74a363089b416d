/*
 * facet_query: which values of a facet field match a few typed letters. Values
 * are few (those of the hits), so each is tokenised and compared; no index.
 */
#include "query/facet.h"

enum { EDIT_BYTES_MAX = TKZ_TOKEN_MAX };

void
qry_facet_match_init(struct qry_facet_match *m, const struct qry_plan *plan, bool is_literal,
                     struct arena *arena)
{
    m->is_literal = is_literal;
    m->analyzer = plan->search.analyzer;
    m->typos = plan->facet_query_num_typos < 2 ? plan->facet_query_num_typos : 2;
    tkz_text(m->analyzer, plan->facet_query, arena, &m->tokens);
}

/*
 * Edits between a and b, or (is_prefix) between a and the best prefix of b;
 * more than max: max + 1. Optimal string alignment over bytes.
 */
static unsigned
distance(struct span a, struct span b, bool is_prefix, unsigned max)
{
    unsigned rows[3][EDIT_BYTES_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    size_t n = a.n < EDIT_BYTES_MAX ? a.n : EDIT_BYTES_MAX;
    unsigned best = max + 1;

    for (size_t j = 0; j <= n; j++)
        above[j] = before[j] = (unsigned)j;
    for (size_t i = 1; i <= b.n && i <= n + max; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned d = above[j - 1] + (a.p[j - 1] != b.p[i - 1]);
            d = above[j] + 1 < d ? above[j] + 1 : d;
            d = row[j - 1] + 1 < d ? row[j - 1] + 1 : d;
            if (i > 1 && j > 1 && a.p[j - 1] == b.p[i - 2] && a.p[j - 2] == b.p[i - 1] &&
                before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            row[j] = d;
        }
        if ((is_prefix || i == b.n) && row[n] < best)
            best = row[n];
        unsigned *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return best;
}

static unsigned
allowed(struct span token, unsigned typos)
{
    unsigned by_length = token.n < 4 ? 0 : token.n < 7 ? 1 : 2;

    return typos < by_length ? typos : by_length;
}

static bool
is_match(const struct qry_facet_match *m, size_t i, struct span word, unsigned typos)
{
    struct span token = m->tokens.v[i].text;
    bool is_prefix = i + 1 == m->tokens.n;
    unsigned max = allowed(token, typos);

    if (max == 0)
        return is_prefix ? span_starts(word, token) : span_eq(word, token);
    return distance(token, word, is_prefix, max) <= max;
}

/* Where the marked part of a word ends: prefixes mark as many characters as were typed. */
static size_t
mark_end(struct span value, const struct tkz_token *word, struct span token, bool is_prefix)
{
    size_t end = word->begin;

    if (!is_prefix)
        return word->end;
    for (size_t n = tkz_codepoints(token); n > 0 && end < word->end; n--)
        end = tkz_codepoint_next(value, end, NULL);
    return end;
}

static void
put_marked(const struct qry_plan *plan, struct span value, size_t begin, size_t end,
           struct buf *out)
{
    buf_put_span(out, plan->start_tag);
    buf_put(out, value.p + begin, end - begin);
    buf_put_span(out, plan->end_tag);
}

bool
qry_facet_match(const struct qry_facet_match *m, struct span value, unsigned typos,
                const struct qry_plan *plan, struct arena *arena, struct buf *highlighted)
{
    struct tkz_tokens words;
    size_t at = 0;

    if (m->is_literal && !span_starts(value, plan->facet_query))
        return false;
    tkz_text(m->analyzer, value, arena, &words);
    for (size_t i = 0; i < m->tokens.n; i++) {
        bool is_found = false;
        for (size_t w = 0; w < words.n && !is_found; w++)
            is_found = is_match(m, i, words.v[w].text, typos);
        if (!is_found)
            return false;
    }
    if (!highlighted)
        return true;
    for (size_t w = 0; w < words.n; w++) {
        const struct tkz_token *word = &words.v[w];
        for (size_t i = 0; i < m->tokens.n; i++) {
            if (!is_match(m, i, word->text, typos))
                continue;
            size_t end = mark_end(value, word, m->tokens.v[i].text, i + 1 == m->tokens.n);
            buf_put(highlighted, value.p + at, word->begin - at);
            put_marked(plan, value, word->begin, end, highlighted);
            at = end;
            break;
        }
    }
    buf_put(highlighted, value.p + at, value.n - at);
    return true;
}
