/*
 * Sort keys from columns, dictionaries, expressions and scores. A string's
 * key is its ordinal in its segment's dictionary: exact between hits of one
 * segment, and turned into bytes only where hits of two segments meet.
 */
#include "query/sort_keys.h"

#define KEY_FIRST INT64_MAX /* a missing value that comes first */
#define KEY_LAST INT64_MIN
enum { SCORE_MATCH_ALL = 100 };

struct source { /* of one key in one view */
    struct idx_column column;
    bool has_column;
    const struct idx_terms *terms;
    const uint64_t **evals; /* words of each expression */
};

struct term_text { /* a decoded term, remembered */
    struct buf bytes;
    const struct idx_terms *terms;
    uint32_t ord;
};

struct qry_keys {
    const struct qry_plan *plan;
    const struct idx_collection *collection;
    const struct qry_sort *sorts;
    uint32_t n;
    bool is_plain;    /* numbers decide: no strings, no sequence among the keys */
    int last_text;    /* the key that holds the whole score; -1: none */
    struct source *sources; /* [view * n + key] */
    struct term_text a, b;
};

static bool
is_string(const struct qry_keys *k, uint32_t i)
{
    return k->sorts[i].kind == QRY_SORT_FIELD &&
           k->collection->schema->fields[k->sorts[i].field].type == SCH_STRING;
}

static void
open_source(const struct qry_keys *k, uint32_t v, uint32_t i, struct qry_filter_cache *cache,
            struct arena *arena)
{
    const struct idx_view *view = &k->collection->views[v];
    const struct qry_sort *sort = &k->sorts[i];
    struct source *s = &k->sources[v * k->n + i];

    if (sort->kind == QRY_SORT_FIELD && is_string(k, i))
        s->terms = idx_segment_terms(view->segment, sort->field, IDX_SORT);
    else if (sort->kind == QRY_SORT_FIELD)
        s->has_column = idx_segment_column(view->segment, sort->field, &s->column);
    if (sort->kind != QRY_SORT_EVAL)
        return;
    s->evals = arena_calloc(arena, sort->n_evals + 1, sizeof *s->evals);
    for (uint32_t e = 0; e < sort->n_evals; e++) {
        uint64_t *words = arena_calloc(arena, qry_words_n(view->n_docs) + 1, sizeof *words);
        qry_filter_eval(sort->evals[e].filter, view, cache, arena, words);
        s->evals[e] = words;
    }
}

struct qry_keys *
qry_keys_new(const struct qry_plan *plan, struct qry_filter_cache *cache, struct arena *arena)
{
    struct qry_keys *k = arena_calloc(arena, 1, sizeof *k);
    const struct idx_collection *c = plan->search.collection;

    k->plan = plan;
    k->collection = c;
    k->sorts = plan->search.sorts;
    k->n = plan->search.n_sorts;
    k->last_text = qry_keys_find(k, QRY_SORT_TEXT_MATCH);
    k->is_plain = true;
    k->sources = arena_calloc(arena, (size_t)c->n_views * k->n + 1, sizeof *k->sources);
    for (uint32_t i = 0; i < k->n; i++) {
        k->is_plain = k->is_plain && k->sorts[i].kind != QRY_SORT_SEQ && !is_string(k, i);
        for (uint32_t v = 0; v < c->n_views; v++)
            open_source(k, v, i, cache, arena);
    }
    return k;
}

void
qry_keys_fini(struct qry_keys *k)
{
    if (!k)
        return;
    buf_fini(&k->a.bytes);
    buf_fini(&k->b.bytes);
}

int
qry_keys_find(const struct qry_keys *k, enum qry_sort_kind kind)
{
    for (int i = (int)k->n - 1; i >= 0; i--)
        if (k->sorts[i].kind == kind)
            return i;
    return -1;
}

/* ---- values ---- */

static int64_t
missing_key(const struct qry_sort *sort)
{
    return sort->missing_first ? KEY_FIRST : KEY_LAST;
}

/* asc is the negated value; INT64_MIN has no negation. */
static int64_t
directed(int64_t value, bool is_asc)
{
    if (!is_asc)
        return value;
    return value == INT64_MIN ? INT64_MAX : -value;
}

/* An integer that orders as the float does. */
static int64_t
float_image(float f)
{
    int32_t bits;

    f = f == 0 ? 0 : f; /* -0 equals 0 */
    memcpy(&bits, &f, sizeof bits);
    return bits < 0 ? (int64_t)INT32_MIN - bits : bits;
}

static int64_t
column_value(const struct idx_column *c, uint32_t doc)
{
    switch (c->type) {
    case SCH_INT32:
        return c->i32[doc];
    case SCH_INT64:
        return c->i64[doc];
    case SCH_FLOAT:
        return float_image(c->f32[doc]);
    case SCH_BOOL:
        return c->b8[doc];
    case SCH_STRING:
    case SCH_TYPE_N:
        break;
    }
    return 0;
}

static int64_t
number_key(const struct source *s, const struct qry_sort *sort, uint32_t doc)
{
    const struct idx_column *c = &s->column;

    if (!s->has_column || c->offsets ||
        (c->present && !(c->present[doc / 64] >> (doc % 64) & 1)))
        return missing_key(sort);
    return directed(column_value(c, doc), sort->is_asc);
}

/* Ordinals count up for desc; for asc they count down from -1. */
static int64_t
string_key(const struct source *s, const struct qry_sort *sort, uint32_t doc)
{
    uint32_t list[2];

    if (!s->terms || idx_forward(s->terms, doc, list, 2) == 0 || list[0] == IDX_ELEMENT_END)
        return missing_key(sort);
    return sort->is_asc ? -1 - (int64_t)list[0] : (int64_t)list[0];
}

static int64_t
eval_key(const struct source *s, const struct qry_sort *sort, uint32_t doc)
{
    for (uint32_t e = 0; e < sort->n_evals; e++)
        if (s->evals[e][doc / 64] >> (doc % 64) & 1)
            return directed(sort->evals[e].score, sort->is_asc);
    return 0;
}

static int64_t
key_of(const struct qry_keys *k, uint32_t i, const struct qry_hit *hit, uint64_t field_score)
{
    const struct qry_sort *sort = &k->sorts[i];
    const struct source *s = &k->sources[hit->view * k->n + i];

    switch (sort->kind) {
    case QRY_SORT_FIELD:
        return is_string(k, i) ? string_key(s, sort, hit->doc) : number_key(s, sort, hit->doc);
    case QRY_SORT_TEXT_MATCH:
        /* Two of them: the last holds the score, the others the bare field score (7.4). */
        if ((int)i == k->last_text)
            return (int64_t)hit->text_match;
        return directed((int64_t)field_score, sort->is_asc);
    case QRY_SORT_EVAL:
        return eval_key(s, sort, hit->doc);
    case QRY_SORT_SEQ:
    case QRY_SORT_GROUP:
        break;
    }
    return 0;
}

void
qry_keys_fill(const struct qry_keys *k, struct qry_hit *hit, uint64_t text_match,
              uint64_t field_score)
{
    if (k->plan->search.is_wildcard)
        text_match = field_score = SCORE_MATCH_ALL;
    hit->text_match = text_match;
    hit->is_pinned = false;
    for (uint32_t i = 0; i < k->n; i++)
        hit->keys[i] = key_of(k, i, hit, field_score);
}

int64_t
qry_keys_one(const struct qry_keys *k, uint32_t i, uint32_t view, uint32_t doc)
{
    struct qry_hit hit = {.view = view, .doc = doc, .text_match = SCORE_MATCH_ALL};

    return key_of(k, i, &hit, SCORE_MATCH_ALL);
}

void
qry_keys_expect(const struct qry_keys *k, uint32_t view, uint32_t doc)
{
    for (uint32_t i = 0; i < k->n; i++) {
        const struct idx_column *c = qry_keys_column(k, i, view);
        if (!c)
            continue;
        if (c->type == SCH_INT64)
            __builtin_prefetch(&c->i64[doc]);
        else if (c->type == SCH_INT32)
            __builtin_prefetch(&c->i32[doc]);
        else if (c->type == SCH_FLOAT)
            __builtin_prefetch(&c->f32[doc]);
    }
}

const struct idx_column *
qry_keys_column(const struct qry_keys *k, uint32_t i, uint32_t view)
{
    const struct source *s = &k->sources[view * k->n + i];

    return s->has_column && !s->column.offsets ? &s->column : NULL;
}

/* ---- comparing ---- */

static struct span
term_of(struct term_text *t, const struct idx_terms *terms, int64_t key)
{
    uint32_t ord = (uint32_t)(key < 0 ? -1 - key : key);

    if (t->terms != terms || t->ord != ord || t->bytes.n == 0) {
        buf_clear(&t->bytes);
        idx_terms_get(terms, ord, &t->bytes);
        t->terms = terms;
        t->ord = ord;
    }
    return buf_span(&t->bytes);
}

/* Positive: a first. */
static int
compare_strings(struct qry_keys *k, uint32_t i, const struct qry_hit *a, const struct qry_hit *b)
{
    int64_t x = a->keys[i], y = b->keys[i];
    bool is_edge = x == KEY_FIRST || x == KEY_LAST || y == KEY_FIRST || y == KEY_LAST;

    if (a->view == b->view || is_edge)
        return (x > y) - (x < y);
    int order = span_cmp(term_of(&k->a, k->sources[a->view * k->n + i].terms, x),
                         term_of(&k->b, k->sources[b->view * k->n + i].terms, y));
    return k->sorts[i].is_asc ? -order : order;
}

static bool
tie_before(const struct qry_keys *k, const struct qry_hit *a, const struct qry_hit *b)
{
    const struct idx_view *views = k->collection->views;

    return idx_tie_before(views[a->view].segment, a->doc, views[b->view].segment, b->doc);
}

bool
qry_keys_before(struct qry_keys *k, const struct qry_hit *a, const struct qry_hit *b)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (!k->is_plain && k->sorts[i].kind == QRY_SORT_SEQ)
            return tie_before(k, a, b) != k->sorts[i].is_asc;
        if (!k->is_plain && is_string(k, i)) {
            int order = compare_strings(k, i, a, b);
            if (order)
                return order > 0;
        } else if (a->keys[i] != b->keys[i]) {
            return a->keys[i] > b->keys[i];
        }
    }
    return tie_before(k, a, b);
}

static int
order_hits(const void *a, const void *b, void *keys)
{
    const struct qry_hit *x = a, *y = b;

    if (x->view == y->view && x->doc == y->doc)
        return 0;
    return qry_keys_before(keys, x, y) ? -1 : 1;
}

void
qry_keys_sort(struct qry_keys *k, struct qry_hit *hits, size_t n)
{
    if (n > 1)
        qsort_r(hits, n, sizeof *hits, order_hits, k);
}
