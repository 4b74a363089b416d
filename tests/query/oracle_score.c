/* Scores of one sequence of terms in one document (search-semantics 5 and 6). */
#include "tests/query/oracle_parts.h"

struct places {
    uint32_t at[64];
    uint32_t n, next;
};

static uint32_t
find(const struct oracle_text *e, struct span term, struct places *out)
{
    out->n = out->next = 0;
    for (uint32_t i = 0; i < e->n; i++) {
        if (span_eq(e->tokens[i], term))
            out->at[out->n++] = i;
    }
    return out->n;
}

struct window {
    uint32_t words, spread, furthest;
};

/* 6.3, with removed tokens taken out of the array. */
static struct window
best_window(const struct places *given, uint32_t n_given)
{
    struct places p[10];
    uint32_t n = n_given < 10 ? n_given : 10, total = n;
    struct window best = {1, 0, 0};
    bool has_best = false;

    for (uint32_t i = 0; i < n; i++)
        p[i] = given[i];
    while (n >= 2) {
        uint32_t lo = 0;
        struct window w = {0, 0, 0};
        for (uint32_t i = 1; i < n; i++)
            lo = p[i].at[p[i].next] < p[lo].at[p[lo].next] ? i : lo;
        uint32_t from = p[lo].at[p[lo].next];
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = p[i].at[p[i].next];
            w.furthest = at > w.furthest ? at : w.furthest;
            if (at > from + 10)
                continue;
            w.words++;
            w.spread = at - from > w.spread ? at - from : w.spread;
        }
        if (!has_best || w.words > best.words || (w.words == best.words && w.spread < best.spread))
            best = w;
        has_best = true;
        if (w.words == total && w.spread == n - 1)
            break;
        if (++p[lo].next == p[lo].n)
            p[lo] = p[--n];
    }
    return best;
}

static bool
is_exact(const struct places *p, uint32_t n, uint32_t spread, const struct oracle_text *e)
{
    uint32_t total = 0;
    bool has_last = false;

    for (uint32_t i = 0; i < n; i++) {
        total += p[i].n;
        has_last |= p[i].at[p[i].n - 1] == e->n - 1;
    }
    if (spread > n - 1 || !has_last || e->n - 1 != n - 1)
        return false;
    return (total == n && spread == n - 1) || spread < n - 1;
}

/* match=full: the element is the query, and every word of it was matched. */
static bool
equals_query(const struct oracle_run *r, const struct oracle_text *e, const struct span *terms,
             uint32_t m)
{
    if (e->n != r->text.n_tokens)
        return false;
    for (uint32_t i = 0; i < e->n; i++) {
        bool is_matched = false;
        for (uint32_t k = 0; k < m; k++)
            is_matched = is_matched || span_eq(e->tokens[i], terms[k]);
        if (!is_matched || !span_eq(e->tokens[i], r->text.tokens[i]))
            return false;
    }
    return true;
}

static uint64_t
pack(uint64_t words, uint64_t unique, uint64_t c, uint64_t spread, bool exact, uint64_t position)
{
    return ((((words * 256 + unique) * 256 + (255 - c)) * 256 + (100 - spread)) * 256 + exact) *
               256 +
           position;
}

static uint64_t
score_alone(const struct oracle_run *r, const struct oracle_field *f, struct span term, uint32_t c,
            uint32_t n_kept)
{
    uint32_t last = 0;
    bool exact = false;
    struct places p;

    for (uint32_t e = 0; e < f->n; e++) {
        const struct oracle_text *text = &f->elements[e];
        if (find(text, term, &p) == 0)
            continue;
        last = p.at[p.n - 1] + 1 > last ? p.at[p.n - 1] + 1 : last;
        exact |= r->s->is_full ? c == 0 && equals_query(r, text, &term, 1)
                               : c == 0 && n_kept == 1 && text->n == 1;
    }
    return pack(1, 1, c, 0, exact && r->s->prioritize_exact_match,
                r->s->prioritize_token_position ? 255 - last % 256 : 0);
}

static uint64_t
score_together(const struct oracle_run *r, const struct oracle_field *f, const struct span *terms,
               uint32_t m, uint32_t c, bool is_array)
{
    uint64_t best = 0;

    for (uint32_t e = 0; e < f->n; e++) {
        const struct oracle_text *text = &f->elements[e];
        struct places p[32];
        uint32_t n = 0;
        for (uint32_t i = 0; i < m; i++)
            n += find(text, terms[i], &p[n]) > 0;
        if (n == 0)
            continue;
        struct window w = best_window(p, n);
        bool exact = r->s->is_full ? c == 0 && equals_query(r, text, terms, m)
                                   : is_exact(p, n, w.spread, text);
        uint64_t position = w.furthest < 255 ? 255 - w.furthest : 0;
        uint64_t score = pack(w.words, is_array ? w.words : m, c, w.spread,
                              exact && r->s->prioritize_exact_match,
                              r->s->prioritize_token_position ? position : 0);
        best = score > best ? score : best;
    }
    return best;
}

bool
oracle_field_has(const struct oracle_field *f, struct span term)
{
    struct places p;

    for (uint32_t e = 0; e < f->n; e++) {
        if (find(&f->elements[e], term, &p))
            return true;
    }
    return false;
}

static bool
may_stand_in(const struct qry_search_field *f, const struct oracle_choice *c)
{
    return c->cost <= f->num_typos && (!c->is_prefix || f->has_prefix);
}

/* Terms of the sequence that count in the field. */
static uint32_t
matched(const struct qry_search_field *sf, const struct oracle_field *f,
        const struct oracle_choice *v, uint32_t n, struct span *out)
{
    uint32_t m = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (may_stand_in(sf, &v[i]) && oracle_field_has(f, v[i].term))
            out[m++] = v[i].term;
    }
    return m;
}

static uint64_t
combine(const struct qry_search *s, uint64_t tokens, const uint64_t *scores, uint64_t *best)
{
    uint32_t top = QRY_NONE, heavy = QRY_NONE, n = 0;
    uint64_t sum = 0;

    for (uint32_t f = 0; f < s->n_fields; f++) {
        if (!scores[f])
            continue;
        n++;
        top = top == QRY_NONE || scores[f] > scores[top] ? f : top;
        heavy = heavy == QRY_NONE || s->fields[f].weight > s->fields[heavy].weight ? f : heavy;
        sum += s->fields[f].weight * scores[f];
    }
    uint64_t nf = s->prioritize_num_matching_fields ? (n < 7 ? n : 7) : 0;
    tokens = tokens < 15 ? tokens : 15;
    *best = scores[top];
    if (s->text_match_type == QRY_MAX_WEIGHT)
        return (tokens << 59) + ((uint64_t)s->fields[heavy].weight << 51) + (scores[heavy] << 3) +
               nf;
    if (s->text_match_type == QRY_SUM_SCORE)
        return (tokens << 59) + (sum << 3) + nf;
    return (tokens << 59) + (scores[top] << 11) + ((uint64_t)s->fields[top].weight << 3) + nf;
}

bool
oracle_score(const struct oracle_run *r, const struct oracle_doc *d, const struct oracle_choice *v,
             uint32_t n_kept, const struct span *dropped, uint32_t n_dropped,
             struct oracle_value *out)
{
    struct oracle_choice all[64];
    uint64_t scores[QRY_FIELDS_MAX] = {0};
    uint32_t c = 0, n = n_kept;

    for (uint32_t j = 0; j < n_kept; j++) {
        struct span one;
        uint32_t found = 0;
        all[j] = v[j];
        c += 2 * v[j].cost + v[j].is_prefix;
        for (uint32_t f = 0; f < r->s->n_fields; f++)
            found += matched(&r->s->fields[f], &d->fields[r->s->fields[f].field], &v[j], 1, &one);
        if (!found)
            return false;
    }
    for (uint32_t i = 0; i < n_dropped; i++) {
        bool has = false;
        for (uint32_t f = 0; f < r->s->n_fields; f++)
            has |= oracle_field_has(&d->fields[r->s->fields[f].field], dropped[i]);
        if (has)
            all[n++] = (struct oracle_choice){dropped[i], 0, false};
    }
    for (uint32_t f = 0; f < r->s->n_fields; f++) {
        const struct oracle_field *field = &d->fields[r->s->fields[f].field];
        const struct sch_field *schema = &r->s->collection->schema->fields[r->s->fields[f].field];
        struct span terms[64];
        uint32_t m = matched(&r->s->fields[f], field, all, n, terms);
        if (m == 1)
            scores[f] = score_alone(r, field, terms[0], c, n_kept);
        else if (m > 1)
            scores[f] =
                score_together(r, field, terms, m, c, (schema->flags & SCH_ARRAY) != 0);
    }
    out->text_match = combine(r->s, n, scores, &out->field_score);
    return true;
}
