/*
 * Dictionary terms as one request knows them: the same text has one number in
 * all fields and segments, and what is learned about it is kept.
 */
#include "query/matching.h"

enum { PASSES_KNOWN = 1, PASSES = 2, LIVES_KNOWN = 4, LIVES = 8 };
#define ORD_UNKNOWN (UINT32_MAX - 1)

uint32_t
qry_term_named(struct qry_run *r, struct span text)
{
    bool is_new;
    uint64_t *number = map_put(&r->by_text, text, &is_new);

    if (!is_new)
        return (uint32_t)*number;
    uint32_t n_slots = r->n_views * r->n_fields;
    struct qry_term t = {.text = arena_dup(r->arena, text)};
    t.ords = arena_alloc(r->arena, n_slots * sizeof *t.ords);
    for (uint32_t i = 0; i < n_slots; i++)
        t.ords[i] = ORD_UNKNOWN;
    t.states = arena_calloc(r->arena, r->n_fields, sizeof *t.states);
    r->all_terms = arena_grow(r->arena, r->all_terms, &r->terms_cap, r->n_terms + 1u,
                              sizeof *r->all_terms);
    r->all_terms[r->n_terms] = t;
    *number = r->n_terms;
    return r->n_terms++;
}

uint32_t
qry_term_of(struct qry_run *r, uint32_t slot, uint32_t ord)
{
    uint64_t key = (uint64_t)slot << 32 | ord;
    uint32_t *id = qry_numbers_put(&r->by_place, r->arena, key, QRY_NONE);

    if (*id != QRY_NONE)
        return *id;
    buf_clear(&r->term_text);
    idx_terms_get(r->terms[slot], ord, &r->term_text);
    *id = qry_term_named(r, buf_span(&r->term_text));
    r->all_terms[*id].ords[slot] = ord;
    return *id;
}

uint32_t
qry_term_ord(struct qry_run *r, uint32_t id, uint32_t slot)
{
    struct qry_term *t = &r->all_terms[id];

    if (t->ords[slot] == ORD_UNKNOWN) {
        const struct idx_terms *terms = r->terms[slot];
        if (!terms || !idx_terms_find(terms, t->text, &t->ords[slot]))
            t->ords[slot] = QRY_NONE;
    }
    return t->ords[slot];
}

static uint64_t
count_in(struct qry_run *r, uint32_t id, uint32_t field, bool is_filtered)
{
    uint64_t n = 0;

    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t ord = qry_term_ord(r, id, qry_slot(r, v, field));
        const uint64_t *words = is_filtered ? r->words[v] : r->c->views[v].live;
        if (ord != QRY_NONE)
            n += idx_terms_count(r->terms[qry_slot(r, v, field)], ord, words);
    }
    return n;
}

bool
qry_term_lives(struct qry_run *r, uint32_t id, uint32_t field)
{
    uint8_t *state = &r->all_terms[id].states[field];

    if (!(*state & LIVES_KNOWN))
        *state |= (uint8_t)(LIVES_KNOWN | (count_in(r, id, field, false) ? LIVES : 0));
    return (*state & LIVES) != 0;
}

bool
qry_term_passes(struct qry_run *r, uint32_t id, uint32_t field)
{
    uint8_t *state = &r->all_terms[id].states[field];

    if (!(*state & PASSES_KNOWN))
        *state |= (uint8_t)(PASSES_KNOWN | (count_in(r, id, field, true) ? PASSES : 0));
    return (*state & PASSES) != 0;
}

uint64_t
qry_term_df(struct qry_run *r, uint32_t id, uint32_t field)
{
    return count_in(r, id, field, false);
}

/* ---- popularity: 3.4, step 2, and 3.5 ---- */

/* Numbers compare as unsigned from the smallest value on; 0 is left for "no value". */
static uint64_t
ordered(const struct idx_column *c, uint32_t doc)
{
    uint32_t bits;

    if (c->present && !qry_bit(c->present, doc))
        return 0;
    switch (c->type) {
    case SCH_INT32:
        return (uint64_t)((int64_t)c->i32[doc] - INT32_MIN) + 1;
    case SCH_INT64:
        return c->i64[doc] == INT64_MIN ? 1 : (uint64_t)c->i64[doc] + ((uint64_t)1 << 63);
    case SCH_FLOAT:
        memcpy(&bits, &c->f32[doc], sizeof bits);
        return (uint64_t)(bits >> 31 ? ~bits : bits | (uint32_t)1 << 31) + 1;
    case SCH_BOOL:
        return c->b8[doc] + 1u;
    case SCH_STRING:
    case SCH_TYPE_N:
    default:
        return 0;
    }
}

static uint64_t
largest_value(struct qry_run *r, uint32_t id, uint32_t field)
{
    uint32_t docs[IDX_POSTING_BATCH];
    uint64_t best = 0;

    for (uint32_t v = 0; v < r->n_views; v++) {
        const struct idx_view *view = &r->c->views[v];
        uint32_t ord = qry_term_ord(r, id, qry_slot(r, v, field));
        struct idx_posting p;
        struct idx_column column;
        if (ord == QRY_NONE || !idx_segment_column(view->segment,
                                                   (uint32_t)r->c->schema->default_sort, &column))
            continue;
        idx_posting_begin(&p, r->terms[qry_slot(r, v, field)], ord);
        for (uint32_t n; (n = idx_posting_next(&p, docs)) > 0;) {
            for (uint32_t i = 0; i < n; i++) {
                uint64_t value = qry_bit(view->live, docs[i]) ? ordered(&column, docs[i]) : 0;
                best = value > best ? value : best;
            }
        }
    }
    return best;
}

uint64_t
qry_term_rank(struct qry_run *r, uint32_t id, uint32_t field)
{
    struct qry_term *t = &r->all_terms[id];
    bool by_value = r->s->rank_tokens != QRY_RANK_FREQUENCY && r->c->schema->default_sort >= 0;

    if (!t->ranks) {
        t->ranks = arena_alloc(r->arena, r->n_fields * sizeof *t->ranks);
        memset(t->ranks, 0xff, r->n_fields * sizeof *t->ranks);
    }
    if (t->ranks[field] == UINT64_MAX)
        t->ranks[field] = by_value ? largest_value(r, id, field) : count_in(r, id, field, false);
    return t->ranks[field];
}
