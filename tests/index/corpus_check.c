/* Holding a segment against the documents it was made of, field by field. */
#include "tests/index/corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct check {
    const struct corpus *c;
    const struct idx_segment *s;
    const uint32_t *which;
    uint32_t n;
};

static const struct idx_value *
value_of(const struct check *k, uint32_t doc, uint32_t field)
{
    return &k->c->docs[k->which[doc]].values[field];
}

static void
assert_span_equal(struct span a, struct span b)
{
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
}

/* ---- columns ---- */

static void
check_number(const struct idx_column *c, uint32_t at, const struct idx_value *v, uint32_t i)
{
    if (c->type == SCH_INT32)
        assert_int_equal(c->i32[at], (int32_t)(uint32_t)(uint64_t)v->i64[i]);
    else if (c->type == SCH_INT64)
        assert_true(c->i64[at] == v->i64[i]);
    else if (c->type == SCH_FLOAT)
        assert_true(c->f32[at] == (float)v->f64[i]);
    else
        assert_int_equal(c->b8[at], v->i64[i]);
}

static void
check_column(const struct check *k, uint32_t field)
{
    struct idx_column c;
    bool has_column = idx_segment_column(k->s, field, &c);
    uint32_t n_values = 0;
    for (uint32_t doc = 0; doc < k->n; doc++) {
        const struct idx_value *v = value_of(k, doc, field);
        n_values += v->n;
        if (!has_column) {
            assert_int_equal(v->n, 0);
            continue;
        }
        if (c.offsets) {
            assert_int_equal(c.offsets[doc + 1] - c.offsets[doc], v->n);
            for (uint32_t i = 0; i < v->n; i++)
                check_number(&c, c.offsets[doc] + i, v, i);
        } else {
            bool is_present = !c.present || c.present[doc / 64] >> (doc % 64) & 1;
            assert_int_equal(is_present, v->n);
            if (is_present)
                check_number(&c, doc, v, 0);
        }
    }
    assert_int_equal(has_column, n_values > 0);
}

/* ---- orders ---- */

static double
number_of(const struct check *k, uint32_t doc, uint32_t field)
{
    const struct idx_value *v = value_of(k, doc, field);
    if (k->c->fields[field].type == SCH_FLOAT)
        return (double)(float)v->f64[0];
    if (k->c->fields[field].type == SCH_INT32)
        return (double)(int32_t)(uint32_t)(uint64_t)v->i64[0];
    return (double)v->i64[0];
}

static struct span
sort_key_of(const struct check *k, uint32_t doc, uint32_t field)
{
    const struct idx_value *v = value_of(k, doc, field);
    struct span key = v->n ? v->text[0].sort_key : (struct span){0};
    return span_of(key.p, key.n < IDX_VALUE_MAX ? key.n : IDX_VALUE_MAX);
}

/* By the definition: value, then tie, with text ids compared whole. */
static int
compare_docs(const struct check *k, uint32_t a, uint32_t b, uint32_t field)
{
    const struct idx_doc *x = &k->c->docs[k->which[a]], *y = &k->c->docs[k->which[b]];
    if (k->c->fields[field].type == SCH_STRING) {
        int c = span_cmp(sort_key_of(k, a, field), sort_key_of(k, b, field));
        if (c)
            return c;
    } else if (k->c->fields[field].type == SCH_INT64) {
        int64_t p = x->values[field].i64[0], q = y->values[field].i64[0];
        if (p != q)
            return p < q ? -1 : 1;
    } else {
        double p = number_of(k, a, field), q = number_of(k, b, field);
        if (p < q || p > q)
            return p < q ? -1 : 1;
    }
    if (k->c->schema.tie == SCH_TIE_SEQ && x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return span_cmp(x->id, y->id);
}

static void
check_order(const struct check *k, uint32_t field)
{
    bool is_text = k->c->fields[field].type == SCH_STRING;
    uint32_t n, n_values = 0;
    const uint32_t *order = idx_segment_order(k->s, field, &n);
    for (uint32_t doc = 0; doc < k->n; doc++)
        n_values += is_text ? sort_key_of(k, doc, field).n > 0 : value_of(k, doc, field)->n > 0;
    if (!(k->c->fields[field].flags & SCH_ORDER) || n_values == 0) {
        assert_null(order);
        assert_int_equal(n, 0);
        return;
    }
    assert_int_equal(n, n_values);
    for (uint32_t i = 1; i < n; i++)
        assert_true(compare_docs(k, order[i - 1], order[i], field) < 0);
}

/* ---- dictionaries ---- */

static struct span
term_at(const struct idx_text *t, enum idx_terms_kind kind, uint32_t i)
{
    struct span whole = kind == IDX_VALUE ? t->value : t->sort_key;
    if (kind == IDX_TEXT)
        return t->tokens[i];
    return span_of(whole.p, whole.n < IDX_VALUE_MAX ? whole.n : IDX_VALUE_MAX);
}

static uint32_t
n_terms_of(const struct idx_text *t, enum idx_terms_kind kind)
{
    return kind == IDX_TEXT ? t->n_tokens : 1;
}

/* The document's list says what the value says; returns the distinct terms it has. */
static uint32_t
check_list(const struct idx_terms *t, enum idx_terms_kind kind, uint32_t doc,
           const struct idx_value *v)
{
    enum { CAP = 100000 };
    uint32_t *list = xmalloc(CAP * sizeof *list), at = 0, n_distinct = 0;
    uint32_t n = idx_forward(t, doc, list, CAP), few[3];
    assert_in_range(n, 0, CAP);
    assert_int_equal(idx_forward(t, doc, few, 3), n);
    assert_memory_equal(few, list, sizeof few[0] * (n < 3 ? n : 3));
    for (uint32_t i = 0; i < v->n; i++) {
        const struct idx_text *e = &v->text[i];
        if (kind == IDX_SORT && e->sort_key.n == 0)
            continue;
        for (uint32_t j = 0; j < n_terms_of(e, kind); j++, at++) {
            uint32_t ord = UINT32_MAX;
            bool is_first = true;
            assert_true(idx_terms_find(t, term_at(e, kind, j), &ord));
            assert_int_equal(list[at], ord);
            for (uint32_t x = 0; x < at; x++)
                is_first &= list[x] != ord;
            n_distinct += is_first;
            if (kind != IDX_SORT)
                assert_true(idx_terms_has(t, ord, doc));
        }
        assert_int_equal(list[at++], IDX_ELEMENT_END);
    }
    assert_int_equal(n, at);
    free(list);
    return n_distinct;
}

static void
check_postings(const struct check *k, const struct idx_terms *t, uint64_t n_pairs)
{
    uint64_t n_seen = 0, n_df = 0;
    for (uint32_t ord = 0; ord < idx_terms_n(t); ord++) {
        uint32_t batch[IDX_POSTING_BATCH], n, n_docs = 0, last = 0;
        struct idx_posting p;
        idx_posting_begin(&p, t, ord);
        while ((n = idx_posting_next(&p, batch)) > 0)
            for (uint32_t i = 0; i < n; i++) {
                assert_true(n_docs == 0 || batch[i] > last);
                assert_true(batch[i] < k->n);
                last = batch[i];
                n_docs++;
            }
        assert_int_equal(n_docs, idx_terms_df(t, ord));
        assert_true(n_docs > 0);
        n_seen += n_docs;
        n_df += idx_terms_df(t, ord);
    }
    /* Every pair was looked for and found, so equal numbers mean equal sets. */
    assert_int_equal(n_seen, n_pairs);
    assert_int_equal(n_df, n_pairs);
}

static void
check_terms(const struct check *k, uint32_t field, enum idx_terms_kind kind)
{
    const struct idx_terms *t = idx_segment_terms(k->s, field, kind);
    uint64_t n_pairs = 0;
    struct buf a = {0}, b = {0};
    if (!t) {
        for (uint32_t doc = 0; doc < k->n; doc++)
            for (uint32_t i = 0; i < value_of(k, doc, field)->n; i++) {
                const struct idx_text *e = &value_of(k, doc, field)->text[i];
                assert_true(kind == IDX_SORT ? e->sort_key.n == 0
                                             : kind == IDX_TEXT && e->n_tokens == 0);
            }
        return;
    }
    for (uint32_t doc = 0; doc < k->n; doc++)
        n_pairs += check_list(t, kind, doc, value_of(k, doc, field));
    for (uint32_t ord = 0; ord < idx_terms_n(t); ord++) {
        buf_clear(&b);
        idx_terms_get(t, ord, &b);
        assert_true(ord == 0 || span_cmp(buf_span(&a), buf_span(&b)) < 0);
        buf_clear(&a);
        buf_put_span(&a, buf_span(&b));
    }
    buf_fini(&a);
    buf_fini(&b);
    if (kind != IDX_SORT)
        check_postings(k, t, n_pairs);
}

static bool
has_kind(const struct sch_field *f, enum idx_terms_kind kind)
{
    if (kind == IDX_TEXT)
        return f->flags & SCH_INDEXED && !(f->flags & SCH_EXACT);
    return kind == IDX_VALUE ? f->flags & (SCH_FACET | SCH_EXACT) : f->flags & SCH_SORT;
}

static void
check_field(const struct check *k, uint32_t field)
{
    const struct sch_field *f = &k->c->fields[field];
    check_order(k, field);
    if (f->type != SCH_STRING) {
        check_column(k, field);
        return;
    }
    for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++) {
        if (has_kind(f, (enum idx_terms_kind)kind))
            check_terms(k, field, (enum idx_terms_kind)kind);
        else
            assert_null(idx_segment_terms(k->s, field, (enum idx_terms_kind)kind));
    }
}

void
corpus_check(const struct corpus *c, const struct idx_segment *s, const uint32_t *which, uint32_t n)
{
    struct check k = {c, s, which, n};
    struct idx_doc_reader *r = idx_doc_reader_new();
    char text[IDX_ID_MAX];
    assert_int_equal(idx_segment_n_docs(s), n);
    for (uint32_t doc = 0; doc < n; doc++) {
        const struct idx_doc *d = &c->docs[which[doc]];
        struct span json;
        uint32_t found = UINT32_MAX;
        assert_span_equal(idx_segment_id(s, doc, text), d->id);
        assert_true(idx_segment_find_id(s, d->id, &found));
        assert_int_equal(found, doc);
        assert_true(idx_segment_seq(s, doc) == (c->schema.tie == SCH_TIE_SEQ ? d->seq : 0));
        assert_int_equal(idx_doc_reader_get(r, s, doc, &json, NULL), RC_OK);
        assert_span_equal(json, d->json);
    }
    idx_doc_reader_free(r);
    for (uint32_t field = 0; field < CORPUS_FIELD_N; field++)
        check_field(&k, field);
}
