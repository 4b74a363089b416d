/*
 * Evaluates a parsed filter over one segment into flat 64-bit words. A
 * clause's words say nothing of liveness, so they can be remembered and
 * negated; dead documents are taken out at the end.
 */
#include "query/filter_parts.h"

#include "query/words.h"

enum { FORWARD_STACK = 512, CACHE_DOCS_MIN = 512 };

struct eval {
    const struct qry_filter *filter;
    const struct idx_view *view;
    const struct idx_segment *segment;
    struct arena *arena;
    uint32_t n_docs;
    size_t n_words;
};

static void
set_bit(uint64_t *words, uint32_t doc)
{
    words[doc / 64] |= 1ull << (doc % 64);
}

static void
negate(const struct eval *e, uint64_t *words)
{
    for (size_t i = 0; i < e->n_words; i++)
        words[i] = ~words[i];
    if (e->n_docs % 64)
        words[e->n_words - 1] &= (1ull << (e->n_docs % 64)) - 1;
}

/* ---- numbers ---- */

static uint64_t
word_f32(const float *v, size_t n, float lo, float hi)
{
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)((v[i] >= lo) & (v[i] <= hi)) << i;
    return word;
}

static uint64_t
word_b8(const uint8_t *v, size_t n, bool is_true)
{
    uint8_t m[64] = {0};

    memcpy(m, v, n);
    uint64_t word = qry_word_pack(m);
    uint64_t all = n == 64 ? UINT64_MAX : (1ull << n) - 1;
    return is_true ? word : ~word & all;
}

/* The n (at most 64) values from `at` on that lie in the range, as bits. */
static uint64_t
word_of(const struct idx_column *c, size_t at, size_t n, const struct filter_range *r)
{
    switch (c->type) {
    case SCH_INT32: {
        if (r->lo > INT32_MAX || r->hi < INT32_MIN)
            return 0;
        int32_t lo = r->lo < INT32_MIN ? INT32_MIN : (int32_t)r->lo;
        int32_t hi = r->hi > INT32_MAX ? INT32_MAX : (int32_t)r->hi;
        return lo > hi ? 0 : qry_word_i32(c->i32 + at, n, lo, hi);
    }
    case SCH_INT64:
        return qry_word_i64(c->i64 + at, n, r->lo, r->hi);
    case SCH_FLOAT:
        return word_f32(c->f32 + at, n, r->f_lo, r->f_hi);
    case SCH_BOOL:
        return word_b8(c->b8 + at, n, r->lo != 0);
    case SCH_STRING:
    case SCH_TYPE_N:
        break;
    }
    return 0;
}

static void
eval_plain_range(const struct eval *e, const struct idx_column *c, const struct filter_range *r,
                 uint64_t *out)
{
    for (size_t w = 0; w < e->n_words; w++) {
        size_t left = e->n_docs - w * 64;
        uint64_t word = word_of(c, w * 64, left < 64 ? left : 64, r);
        out[w] |= c->present ? word & c->present[w] : word;
    }
}

static void
eval_array_range(const struct eval *e, const struct idx_column *c, const struct filter_range *r,
                 uint64_t *out)
{
    for (uint32_t d = 0; d < e->n_docs; d++) {
        bool is_hit = false;
        for (uint32_t at = c->offsets[d]; at < c->offsets[d + 1] && !is_hit;) {
            uint32_t n = c->offsets[d + 1] - at;
            n = n < 64 ? n : 64;
            is_hit = word_of(c, at, n, r) != 0;
            at += n;
        }
        if (is_hit)
            set_bit(out, d);
    }
}

static void
eval_range(const struct eval *e, const struct idx_column *c, const struct filter_range *r,
           uint64_t *out)
{
    if (c->offsets)
        eval_array_range(e, c, r, out);
    else
        eval_plain_range(e, c, r, out);
}

static void
eval_ranges(const struct eval *e, const struct filter_leaf *leaf, uint64_t *out)
{
    struct idx_column column;
    bool has_column = idx_segment_column(e->segment, leaf->field, &column);

    for (uint32_t i = 0; i < leaf->n_ranges; i++) {
        const struct filter_range *r = &leaf->ranges[i];
        if (!r->is_not) {
            if (has_column)
                eval_range(e, &column, r, out);
            continue;
        }
        uint64_t *inside = arena_calloc(e->arena, e->n_words, sizeof *inside);
        if (has_column)
            eval_range(e, &column, r, inside);
        negate(e, inside);
        for (size_t w = 0; w < e->n_words; w++)
            out[w] |= inside[w];
    }
}

/* ---- strings ---- */

struct ords { /* a text's tokens in one dictionary: [begin, end) each */
    uint32_t *begin, *end;
    uint32_t n;
    bool is_whole, is_prefix;
};

/* False if a token is not in the dictionary. */
static bool
find_ords(const struct eval *e, const struct idx_terms *terms, const struct filter_text *t,
          struct ords *out)
{
    out->n = t->n_tokens;
    out->is_prefix = t->is_prefix;
    out->begin = arena_calloc(e->arena, t->n_tokens, sizeof *out->begin);
    out->end = arena_calloc(e->arena, t->n_tokens, sizeof *out->end);
    for (uint32_t i = 0; i < t->n_tokens; i++) {
        if (t->is_prefix && i + 1 == t->n_tokens)
            idx_terms_prefix(terms, t->tokens[i], &out->begin[i], &out->end[i]);
        else if (idx_terms_find(terms, t->tokens[i], &out->begin[i]))
            out->end[i] = out->begin[i] + 1;
        if (out->begin[i] == out->end[i])
            return false;
    }
    return true;
}

/* Whether the n ordinals of an element are the wanted ones (or begin with them). */
static bool
is_element(const uint32_t *element, uint32_t n, const struct ords *o)
{
    if (o->is_prefix ? n < o->n : n != o->n)
        return false;
    for (uint32_t i = 0; i < o->n; i++)
        if (element[i] < o->begin[i] || element[i] >= o->end[i])
            return false;
    return true;
}

static bool
has_element(const struct eval *e, const struct idx_terms *terms, uint32_t doc,
            const struct ords *o)
{
    uint32_t on_stack[FORWARD_STACK], *list = on_stack;
    uint32_t n = idx_forward(terms, doc, list, FORWARD_STACK);

    if (n > FORWARD_STACK) {
        list = arena_calloc(e->arena, n, sizeof *list);
        n = idx_forward(terms, doc, list, n);
    }
    for (uint32_t begin = 0, at = 0; at < n; at++) {
        if (list[at] != IDX_ELEMENT_END)
            continue;
        if (is_element(list + begin, at - begin, o))
            return true;
        begin = at + 1;
    }
    return false;
}

/* The documents that have every token; then, for a whole value, a look at each. */
static void
eval_tokens(const struct eval *e, const struct idx_terms *terms, const struct ords *o,
            uint64_t *out)
{
    uint64_t *all = arena_calloc(e->arena, e->n_words, sizeof *all);
    uint64_t *one = o->n > 1 ? arena_calloc(e->arena, e->n_words, sizeof *one) : NULL;

    idx_terms_or(terms, o->begin[0], o->end[0], all);
    for (uint32_t i = 1; i < o->n; i++) {
        memset(one, 0, e->n_words * sizeof *one);
        idx_terms_or(terms, o->begin[i], o->end[i], one);
        for (size_t w = 0; w < e->n_words; w++)
            all[w] &= one[w];
    }
    for (size_t w = 0; w < e->n_words; w++) {
        if (!o->is_whole) {
            out[w] |= all[w];
            continue;
        }
        for (uint64_t left = all[w] & ~out[w]; left; left &= left - 1) {
            uint32_t doc = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
            if (has_element(e, terms, doc, o))
                set_bit(out, doc);
        }
    }
}

static void
eval_text(const struct eval *e, const struct filter_leaf *leaf, const struct idx_terms *terms,
          const struct filter_text *t, uint64_t *out)
{
    struct ords o = {.is_whole = leaf->is_whole};

    if (!find_ords(e, terms, t, &o))
        return;
    if (o.n == 1 && !o.is_whole)
        idx_terms_or(terms, o.begin[0], o.end[0], out);
    else
        eval_tokens(e, terms, &o, out);
}

static void
eval_value(const struct idx_terms *terms, const struct filter_text *t, uint64_t *out)
{
    uint32_t begin = 0, end = 0;

    if (t->is_prefix)
        idx_terms_prefix(terms, t->raw, &begin, &end);
    else if (idx_terms_find(terms, t->raw, &begin))
        end = begin + 1;
    if (begin < end)
        idx_terms_or(terms, begin, end, out);
}

static void
eval_texts(const struct eval *e, const struct filter_leaf *leaf, uint64_t *out)
{
    enum idx_terms_kind kind = leaf->kind == FILTER_VALUES ? IDX_VALUE : IDX_TEXT;
    const struct idx_terms *terms = idx_segment_terms(e->segment, leaf->field, kind);

    if (!terms)
        return;
    for (uint32_t i = 0; i < leaf->n_texts; i++) {
        if (leaf->kind == FILTER_VALUES)
            eval_value(terms, &leaf->texts[i], out);
        else
            eval_text(e, leaf, terms, &leaf->texts[i], out);
    }
}

static void
eval_ids(const struct eval *e, const struct filter_leaf *leaf, uint64_t *out)
{
    const struct idx_collection *c = e->filter->collection;
    uint32_t view, doc;

    for (uint32_t i = 0; i < leaf->n_texts; i++)
        if (idx_collection_find(c, leaf->texts[i].raw, &view, &doc) &&
            c->views[view].segment == e->segment)
            set_bit(out, doc);
}

/* ---- clauses and the program ---- */

static void
eval_leaf(const struct eval *e, const struct filter_leaf *leaf, uint64_t *out)
{
    switch (leaf->kind) {
    case FILTER_TOKENS:
    case FILTER_VALUES:
        eval_texts(e, leaf, out);
        break;
    case FILTER_NUMBERS:
    case FILTER_FLOATS:
        eval_ranges(e, leaf, out);
        break;
    case FILTER_IDS:
        eval_ids(e, leaf, out);
        break;
    case FILTER_ALL:
        negate(e, out);
        break;
    }
    if (leaf->is_negated)
        negate(e, out);
}

struct operand {
    const uint64_t *words;
    uint64_t *own; /* the same if it may be written to; NULL: borrowed from the cache */
};

static struct operand
leaf_words(const struct eval *e, const struct filter_leaf *leaf, struct qry_filter_cache *cache)
{
    /* Numbers are compared one by one; strings come from postings, which is cheap anyway. */
    bool is_number = leaf->kind == FILTER_NUMBERS || leaf->kind == FILTER_FLOATS;
    bool is_kept = cache && is_number && e->n_docs >= CACHE_DOCS_MIN;

    if (is_kept) {
        const uint64_t *known = qry_filter_cache_get(cache, e->view->file, leaf->key);
        if (known)
            return (struct operand){known, NULL};
    }
    uint64_t *words = arena_calloc(e->arena, e->n_words ? e->n_words : 1, sizeof *words);
    eval_leaf(e, leaf, words);
    if (is_kept)
        qry_filter_cache_put(cache, e->view->file, leaf->key, words, e->n_words);
    return (struct operand){words, words};
}

static struct operand
combine(const struct eval *e, enum filter_op op, struct operand a, struct operand b)
{
    uint64_t *to = a.own ? a.own : b.own;

    if (!to)
        to = arena_alloc(e->arena, (e->n_words ? e->n_words : 1) * sizeof *to);
    for (size_t w = 0; w < e->n_words; w++)
        to[w] = op == FILTER_AND ? a.words[w] & b.words[w] : a.words[w] | b.words[w];
    return (struct operand){to, to};
}

void
qry_filter_eval(const struct qry_filter *f, const struct idx_view *view,
                struct qry_filter_cache *cache, struct arena *arena, uint64_t *words)
{
    struct eval e = {
        .filter = f,
        .view = view,
        .segment = view->segment,
        .arena = arena,
        .n_docs = view->n_docs,
        .n_words = qry_words_n(view->n_docs),
    };
    struct operand *stack = arena_calloc(arena, f->depth, sizeof *stack);
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n_steps; i++) {
        const struct filter_step *s = &f->steps[i];
        if (s->op == FILTER_LEAF) {
            must(n < f->depth);
            stack[n++] = leaf_words(&e, &f->leaves[s->leaf], cache);
            continue;
        }
        must(n >= 2);
        stack[n - 2] = combine(&e, s->op, stack[n - 2], stack[n - 1]);
        n--;
    }
    must(n == 1);
    for (size_t w = 0; w < e.n_words; w++)
        words[w] = stack[0].words[w] & view->live[w];
}
