/*
 * The score of one sequence of terms in the loaded document: which of them
 * stand where in each field, handed to the formulas of score.c.
 */
#include "query/matching.h"

struct field_view { /* one field of the document, under one sequence */
    const struct qry_marks *marks;
    const struct qry_choice *tokens[QRY_SEQUENCE_MAX]; /* those that count here */
    uint32_t n;
    bool is_array;
};

static bool
has_mark(const struct qry_marks *m, uint32_t mark)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->v[i] == mark)
            return true;
    }
    return false;
}

static void
look_at_field(const struct qry_run *r, const struct qry_sequence *q, uint32_t field,
              struct field_view *out)
{
    const struct qry_search_field *f = &r->s->fields[field];

    out->marks = &r->doc.fields[field];
    out->is_array = (r->c->schema->fields[f->field].flags & SCH_ARRAY) != 0;
    out->n = 0;
    for (uint32_t i = 0; i < q->n && out->n < QRY_SEQUENCE_MAX; i++) {
        const struct qry_choice *c = &q->v[i];
        bool counts = i >= q->n_kept || qry_field_allows(f, c->cost, c->is_prefix);
        if (counts && has_mark(out->marks, c->mark))
            out->tokens[out->n++] = c;
    }
}

/* End of the element that begins at `begin`. */
static uint32_t
element_end(const struct qry_marks *m, uint32_t begin)
{
    while (begin < m->n && m->v[begin] != IDX_ELEMENT_END)
        begin++;
    return begin;
}

/*
 * match=full: exact means that the element is the query, word for word. The
 * include tokens are the first words of the run.
 */
static bool
is_the_query(const struct qry_run *r, const struct qry_marks *m, uint32_t begin, uint32_t end)
{
    if (end - begin != r->text.n_tokens)
        return false;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t mark = m->v[i];
        if (mark >= r->doc.n_terms ||
            !span_eq(r->all_terms[r->doc.terms[mark]].text, r->text.tokens[i - begin]))
            return false;
    }
    return true;
}

/* One token in the field (6.1, m = 1). */
static uint64_t
score_one(const struct qry_run *r, const struct qry_sequence *q, const struct field_view *f)
{
    const struct qry_marks *m = f->marks;
    uint32_t mark = f->tokens[0]->mark, last = 0;
    bool is_exact = false;

    for (uint32_t begin = 0; begin < m->n;) {
        uint32_t end = element_end(m, begin);
        for (uint32_t i = begin; i < end; i++) {
            if (m->v[i] == mark && i - begin + 1 > last)
                last = i - begin + 1;
        }
        if (r->s->is_full)
            is_exact = is_exact || (q->cost == 0 && is_the_query(r, m, begin, end));
        else
            is_exact = is_exact || (end - begin == 1 && m->v[begin] == mark);
        begin = end + 1;
    }
    if (!r->s->is_full)
        is_exact = is_exact && q->cost == 0 && q->n_kept == 1;
    return qry_score_single(q->cost, is_exact && r->s->prioritize_exact_match,
                            r->s->prioritize_token_position, last);
}

/* The places of each token in one element; how many tokens have any. */
static uint32_t
find_places(struct qry_run *r, const struct field_view *f, uint32_t begin, uint32_t end,
            struct qry_places *out)
{
    const struct qry_marks *m = f->marks;
    uint32_t n = 0;
    size_t used = 0;

    r->places = arena_grow(r->arena, r->places, &r->places_cap,
                           (size_t)(end - begin) * f->n + 1, sizeof *r->places);
    for (uint32_t t = 0; t < f->n; t++) {
        uint32_t *at = r->places + used;
        uint32_t n_at = 0;
        for (uint32_t i = begin; i < end; i++) {
            if (m->v[i] == f->tokens[t]->mark)
                at[n_at++] = i - begin;
        }
        if (n_at == 0)
            continue;
        out[n++] = (struct qry_places){at, n_at};
        used += n_at;
    }
    return n;
}

/* Several tokens in the field: the best of its elements. */
static uint64_t
score_many(struct qry_run *r, const struct qry_sequence *q, const struct field_view *f)
{
    const struct qry_marks *m = f->marks;
    struct qry_places places[QRY_SEQUENCE_MAX];
    uint64_t best = 0;

    for (uint32_t begin = 0; begin < m->n;) {
        uint32_t end = element_end(m, begin);
        uint32_t n = find_places(r, f, begin, end, places);
        if (n > 0) {
            struct qry_window w = qry_score_window(places, n);
            bool is_exact = r->s->is_full
                                ? q->cost == 0 && is_the_query(r, m, begin, end)
                                : qry_score_is_exact(places, n, w.spread, end - begin);
            uint32_t furthest = w.furthest < 255 ? w.furthest : 255;
            uint64_t score = qry_score_field(
                w.words, f->is_array ? w.words : f->n, q->cost, w.spread,
                is_exact && r->s->prioritize_exact_match,
                r->s->prioritize_token_position ? 255 - furthest : 0);
            best = score > best ? score : best;
        }
        begin = end + 1;
    }
    return best;
}

uint64_t
qry_rank_sequence(struct qry_run *r, const struct qry_sequence *q, uint32_t n_words,
                  uint64_t *field_score)
{
    struct qry_field_score scores[QRY_FIELDS_MAX];
    struct field_view view;
    uint32_t n = 0;

    for (uint32_t f = 0; f < r->n_fields; f++) {
        look_at_field(r, q, f, &view);
        if (view.n == 0)
            continue;
        scores[n].score = view.n == 1 ? score_one(r, q, &view) : score_many(r, q, &view);
        scores[n++].weight = r->s->fields[f].weight;
    }
    must(n > 0);
    return qry_score_text_match(r->s->text_match_type, n_words,
                                r->s->prioritize_num_matching_fields, scores, n, field_score);
}
