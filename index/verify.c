#include "index/verify.h"

#include <stdarg.h>

void
idx_findings_add(struct idx_findings *f, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    f->n++;
    if (f->report)
        f->report(f->arg, text);
}

static void
verify_docs(const struct idx_segment *s, struct idx_findings *f)
{
    struct idx_doc_reader *r = idx_doc_reader_new();
    struct err err = {0};
    uint32_t next = 0;
    for (uint32_t i = 0; i < s->docs.n_blocks; i++) {
        struct idx_doc_block b = idx_docs_block(&s->docs, i);
        if (b.first != next || b.n == 0 || b.n > s->n_docs - next) {
            idx_findings_add(f, "block %u of stored documents begins at document %u, not %u", i,
                             b.first, next);
            break;
        }
        next += b.n;
    }
    if (next != s->n_docs)
        idx_findings_add(f, "%u documents are stored, %u should be", next, s->n_docs);
    for (uint32_t doc = 0; doc < next; doc++) {
        struct span json;
        if (idx_doc_reader_get(r, s, doc, &json, &err) != RC_OK)
            idx_findings_add(f, "stored document %u: %s", doc, err.text);
    }
    idx_doc_reader_free(r);
}

static void
verify_ids(const struct idx_segment *s, struct idx_findings *f)
{
    char text[IDX_ID_MAX];
    if (!s->ids.ulids && !idx_runs_are_sound(&s->ids.runs, s->ids_section->bytes)) {
        idx_findings_add(f, "the ids do not lie where they should");
        return;
    }
    uint32_t n_used = 0, mask = ((uint32_t)1 << s->ids.n_doc_bits) - 1;
    for (uint32_t i = 0; i < s->ids.n_slots; i++) {
        n_used += s->ids.slots[i] != 0;
        if ((s->ids.slots[i] & mask) > s->n_docs) {
            idx_findings_add(f, "the id table names a document beyond the last");
            return;
        }
    }
    if (n_used >= s->ids.n_slots) {
        idx_findings_add(f, "the id table is full");
        return;
    }
    for (uint32_t doc = 0; doc < s->n_docs; doc++) {
        struct span id = idx_segment_id(s, doc, text);
        uint32_t found;
        /* An id that was added twice leads to its newer document. */
        if (id.n == 0 || id.n > IDX_ID_MAX)
            idx_findings_add(f, "the id of document %u has %zu bytes", doc, id.n);
        else if (!idx_segment_find_id(s, id, &found) || found < doc)
            idx_findings_add(f, "the id of document %u is not in the id table", doc);
    }
}

static void
verify_column(const struct idx_segment *s, uint32_t field, struct idx_findings *f)
{
    struct idx_column c;
    if (!idx_segment_column(s, field, &c))
        return;
    for (uint32_t doc = 0; c.offsets && doc < s->n_docs; doc++)
        if (c.offsets[doc] > c.offsets[doc + 1])
            idx_findings_add(f, "field %u: the values of document %u end before they begin", field,
                             doc);
    if (c.offsets && (c.offsets[0] != 0 || c.offsets[s->n_docs] != c.n_values))
        idx_findings_add(f, "field %u: its %u values do not belong to its documents", field,
                         c.n_values);
    for (uint32_t i = 0; c.type == SCH_BOOL && i < c.n_values; i++)
        if (c.b8[i] > 1)
            idx_findings_add(f, "field %u: value %u is neither true nor false", field, i);
    if (c.present && s->n_docs % 64 && c.present[s->n_docs / 64] >> (s->n_docs % 64))
        idx_findings_add(f, "field %u: a document beyond the last has a value", field);
}

/* -1, 0, 1 as document a's value is less, equal, greater; strings by their sort keys. */
static int
compare_values(const struct idx_column *c, const struct idx_terms *t, uint32_t a, uint32_t b)
{
    if (t) {
        uint32_t x = 0, y = 0;
        (void)idx_forward(t, a, &x, 1); /* both have a value: seen before */
        (void)idx_forward(t, b, &y, 1);
        return (x > y) - (x < y);
    }
    if (c->type == SCH_INT32)
        return (c->i32[a] > c->i32[b]) - (c->i32[a] < c->i32[b]);
    if (c->type == SCH_INT64)
        return (c->i64[a] > c->i64[b]) - (c->i64[a] < c->i64[b]);
    if (c->type == SCH_FLOAT)
        return (c->f32[a] > c->f32[b]) - (c->f32[a] < c->f32[b]);
    return (c->b8[a] > c->b8[b]) - (c->b8[a] < c->b8[b]);
}

static bool
has_value(const struct idx_column *c, const struct idx_terms *t, uint32_t doc)
{
    uint32_t ord;
    if (t)
        return idx_forward(t, doc, &ord, 1) > 0;
    return !c->present || c->present[doc / 64] >> (doc % 64) & 1;
}

static void
verify_order(const struct idx_segment *s, uint32_t field, struct idx_findings *f)
{
    uint32_t n, n_values = 0;
    const uint32_t *order = idx_segment_order(s, field, &n);
    const struct idx_terms *t = idx_segment_terms(s, field, IDX_SORT);
    struct idx_column c = {0};
    if (!order)
        return;
    if (!t && !idx_segment_column(s, field, &c)) {
        idx_findings_add(f, "field %u has an order but no values", field);
        return;
    }
    for (uint32_t doc = 0; doc < s->n_docs; doc++)
        n_values += has_value(&c, t, doc);
    if (n_values != n)
        idx_findings_add(f, "field %u: the order has %u documents, %u have a value", field, n,
                         n_values);
    for (uint32_t i = 0; i < n; i++) {
        if (order[i] >= s->n_docs || !has_value(&c, t, order[i])) {
            idx_findings_add(f, "field %u: the order has a document without a value", field);
            return;
        }
        int c_value = i ? compare_values(&c, t, order[i - 1], order[i]) : -1;
        /* Strictly rising, so that none is there twice; equal ties happen with an id added twice.
         */
        if (c_value > 0 || (c_value == 0 && idx_tie_before(s, order[i - 1], s, order[i])))
            idx_findings_add(f, "field %u: the order is wrong at place %u", field, i);
    }
}

enum rc
idx_segment_verify(const struct idx_segment *s, void (*report)(void *arg, const char *finding),
                   void *arg)
{
    struct idx_findings f = {.report = report, .arg = arg};
    for (uint32_t i = 0; i < s->n_sections; i++)
        if (s->sections[i].kind != SEG_DOC_BYTES && !idx_section_good(&s->sections[i]))
            idx_findings_add(&f, "section %u (kind %u, field %u) fails its checksum", i,
                             s->sections[i].kind, s->sections[i].field);
    if (f.n == 0) {
        verify_docs(s, &f);
        verify_ids(s, &f);
    }
    /* What is wrong with one part would make others crash: each needs the ones before it. */
    for (uint32_t field = 0; f.n == 0 && field < s->n_fields; field++) {
        verify_column(s, field, &f);
        for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++)
            idx_verify_terms(s, field, (enum idx_terms_kind)kind, &f);
        if (f.n == 0)
            verify_order(s, field, &f);
    }
    return f.n ? RC_CORRUPT : RC_OK;
}
