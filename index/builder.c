/*
 * Builds a segment from documents. Terms are numbered as they come and
 * renumbered in sorted order at the end, and stored documents are compressed
 * then: adding is quick, so that finishing can be left to another thread. A
 * document costs no allocation of its own.
 */
#include "index/segment.h"

#include "index/docs.h"
#include "index/field.h"
#include "index/gaps.h"
#include "index/ids.h"
#include "index/order.h"
#include "index/parts.h"
#include "index/terms_out.h"
#include "index/vocab.h"

struct lists { /* what a field's documents have, of one kind */
    bool is_used;
    struct idx_vocab vocab;
    struct idx_u32s ords; /* as idx_forward gives them, but with numbers of the vocabulary */
    struct idx_u32s ends; /* where each document's ends */
};

struct field {
    struct lists lists[IDX_TERMS_KIND_N];
    bool has_column;
    struct idx_column_out column;
};

struct doc_end {
    size_t at;
    bool has_gaps;
};

struct idx_builder {
    const struct sch_collection *schema;
    struct field *fields; /* n_fields of the schema */
    struct idx_ids_out ids;
    struct idx_docs_out docs;
    struct buf json;      /* of all documents, as they are stored: compressed when finishing */
    struct doc_end *ends; /* of each document in json */
    size_t cap_ends;
    struct idx_terms_out out;
    struct buf seqs;
    uint32_t n_docs;
    size_t n_bytes;
};

struct idx_builder *
idx_builder_new(const struct sch_collection *schema, bool is_compressed)
{
    struct idx_builder *b = xcalloc(1, sizeof *b);
    b->schema = schema;
    b->docs.is_compressed = is_compressed;
    b->fields = xcalloc(schema->n_fields, sizeof *b->fields);
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const struct sch_field *f = &schema->fields[i];
        for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++)
            b->fields[i].lists[kind].is_used = idx_field_has_terms(f, (enum idx_terms_kind)kind);
        b->fields[i].lists[IDX_VALUE].vocab.may_pack = true;
        b->fields[i].has_column = idx_field_has_column(f);
        b->fields[i].column.type = f->type;
        b->fields[i].column.is_array = f->flags & SCH_ARRAY;
    }
    return b;
}

void
idx_builder_free(struct idx_builder *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->schema->n_fields; i++) {
        for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++) {
            struct lists *l = &b->fields[i].lists[kind];
            idx_vocab_fini(&l->vocab);
            idx_u32s_fini(&l->ords);
            idx_u32s_fini(&l->ends);
        }
        idx_column_fini(&b->fields[i].column);
    }
    free(b->fields);
    idx_ids_fini(&b->ids);
    idx_docs_fini(&b->docs);
    buf_fini(&b->json);
    free(b->ends);
    buf_fini(&b->seqs);
    idx_terms_out_fini(&b->out);
    free(b);
}

uint32_t
idx_builder_n(const struct idx_builder *b)
{
    return b->n_docs;
}

size_t
idx_builder_n_bytes(const struct idx_builder *b)
{
    return b->n_bytes + b->json.n;
}

/* ---- adding ---- */

static void
put_term(struct idx_builder *b, struct lists *l, struct span term)
{
    size_t n_before = idx_vocab_n_bytes(&l->vocab);
    idx_u32s_put(&l->ords, idx_vocab_put(&l->vocab, term));
    b->n_bytes += 8 + (idx_vocab_n_bytes(&l->vocab) - n_before);
}

static void
put_element(struct idx_builder *b, struct lists *l, const struct idx_text *text,
            enum idx_terms_kind kind) /* IDX_TEXT or IDX_SORT */
{
    if (kind == IDX_TEXT) {
        for (uint32_t i = 0; i < text->n_tokens; i++) {
            must(text->tokens[i].n > 0 && text->tokens[i].n <= IDX_TERM_MAX);
            put_term(b, l, text->tokens[i]);
        }
    } else {
        struct span whole = text->sort_key;
        if (whole.n > IDX_VALUE_MAX)
            whole.n = IDX_VALUE_MAX;
        if (whole.n == 0)
            return;
        put_term(b, l, whole);
    }
    idx_u32s_put(&l->ords, IDX_ELEMENT_END);
}

static void
put_value_group(struct lists *l, const struct idx_text *text, uint32_t n, uint32_t *numbers)
{
    struct span terms[IDX_VOCAB_GROUP];
    for (uint32_t i = 0; i < n; i++) {
        terms[i] = text[i].value;
        if (terms[i].n > IDX_VALUE_MAX)
            terms[i].n = IDX_VALUE_MAX;
    }
    idx_vocab_put_group(&l->vocab, terms, n, numbers);
}

/* For IDX_VALUE, whose elements are single terms: they need no ends. */
static void
put_values(struct idx_builder *b, struct lists *l, const struct idx_value *v, uint32_t n)
{
    size_t n_before = idx_vocab_n_bytes(&l->vocab);
    idx_u32s_reserve(&l->ords, n);
    uint32_t *numbers = l->ords.p + l->ords.n;
    for (uint32_t first = 0; first < n; first += IDX_VOCAB_GROUP) {
        uint32_t n_terms = n - first < IDX_VOCAB_GROUP ? n - first : IDX_VOCAB_GROUP;
        if (v->is_ulids)
            idx_vocab_put_ulids(&l->vocab, v->ulids + (size_t)first * ULID_BYTES_N, n_terms,
                                numbers + first);
        else
            put_value_group(l, v->text + first, n_terms, numbers + first);
    }
    l->ords.n += n;
    b->n_bytes += 4 * (size_t)n + (idx_vocab_n_bytes(&l->vocab) - n_before);
}

static void
put_text(struct idx_builder *b, struct field *f, const struct idx_value *v, bool is_array)
{
    uint32_t n = is_array || v->n == 0 ? v->n : 1;
    must(!v->is_ulids || !(f->lists[IDX_TEXT].is_used || f->lists[IDX_SORT].is_used));
    for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++) {
        struct lists *l = &f->lists[kind];
        if (!l->is_used)
            continue;
        if (kind == IDX_VALUE)
            put_values(b, l, v, n);
        for (uint32_t i = 0; kind != IDX_VALUE && i < n; i++)
            put_element(b, l, &v->text[i], (enum idx_terms_kind)kind);
        idx_u32s_put(&l->ends, (uint32_t)l->ords.n);
        must(l->ords.n <= UINT32_MAX);
    }
}

uint32_t
idx_builder_add(struct idx_builder *b, const struct idx_doc *doc)
{
    must(b->n_docs < SEG_DOCS_MAX);
    idx_ids_put(&b->ids, doc->id);
    if (b->schema->tie == SCH_TIE_SEQ)
        buf_put_u64(&b->seqs, doc->seq);
    idx_stored_put(doc, &b->json);
    b->ends = xgrow(b->ends, &b->cap_ends, b->n_docs + (size_t)1, sizeof b->ends[0]);
    b->ends[b->n_docs] = (struct doc_end){b->json.n, doc->n_gaps > 0};
    b->n_bytes += 48;
    for (uint32_t i = 0; i < b->schema->n_fields; i++) {
        struct field *f = &b->fields[i];
        const struct idx_value *v = &doc->values[i];
        if (f->has_column) {
            idx_column_put(&f->column, v);
            b->n_bytes += v->n * sizeof(uint64_t) + 1;
        } else if (b->schema->fields[i].type == SCH_STRING) {
            put_text(b, f, v, b->schema->fields[i].flags & SCH_ARRAY);
        }
    }
    return b->n_docs++;
}

/* ---- finishing ---- */

/*
 * Documents by vocabulary number: those of number i are [starts[i], starts[i + 1]),
 * rising, one as often as it has the term.
 */
struct inverted {
    uint32_t *starts, *docs;
};

static struct inverted
invert(const struct lists *l)
{
    uint32_t n = l->vocab.n;
    uint32_t *starts = xcalloc((size_t)n + 2, sizeof *starts);
    for (size_t at = 0; at < l->ords.n; at++)
        if (l->ords.p[at] != IDX_ELEMENT_END)
            starts[l->ords.p[at] + 2]++;
    for (uint32_t i = 0; i < n; i++)
        starts[i + 2] += starts[i + 1];
    /* starts[i + 1] is now where i begins, and moves to where it ends. */
    uint32_t *docs = xmalloc(starts[n + 1] * sizeof *docs);
    for (uint32_t doc = 0, at = 0; doc < l->ends.n; doc++)
        for (; at < l->ends.p[doc]; at++)
            if (l->ords.p[at] != IDX_ELEMENT_END)
                docs[starts[l->ords.p[at] + 1]++] = doc;
    return (struct inverted){starts, docs};
}

static void
put_sets(struct idx_set_out *out, const struct lists *l, const uint32_t *order)
{
    struct inverted inv = invert(l);
    for (uint32_t i = 0; i < l->vocab.n; i++) {
        uint32_t begin = inv.starts[order[i]], end = inv.starts[order[i] + 1];
        uint32_t *docs = inv.docs + begin, n = 1;
        for (uint32_t j = 1; j < end - begin; j++) {
            docs[n] = docs[j];
            n += docs[j] != docs[n - 1];
        }
        idx_set_put(out, docs, n);
    }
    free(inv.starts);
    free(inv.docs);
}

static void
put_lists(struct idx_forward_out *out, struct lists *l, const uint32_t *rank)
{
    for (size_t i = 0; i < l->ords.n; i++)
        if (l->ords.p[i] != IDX_ELEMENT_END)
            l->ords.p[i] = rank[l->ords.p[i]];
    uint32_t at = 0;
    for (size_t doc = 0; doc < l->ends.n; doc++) {
        idx_forward_put(out, l->ords.p + at, l->ends.p[doc] - at);
        at = l->ends.p[doc];
    }
}

/* Sorted terms are far from each other: their texts are fetched so many before. */
enum { AHEAD = 8 };

static void
put_dict(struct idx_dict_out *out, const struct idx_vocab *v, const uint32_t *order)
{
    unsigned char ulid[ULID_BYTES_N];
    bool is_packed = idx_vocab_is_packed(v);
    for (uint32_t i = 0; i < v->n; i++) {
        if (is_packed) {
            idx_ulid_bytes(v->ulids.keys[order[i]], ulid);
            idx_dict_put_ulid(out, ulid);
            continue;
        }
        if (i + AHEAD < v->n)
            __builtin_prefetch(idx_vocab_get(v, order[i + AHEAD]).p);
        idx_dict_put(out, idx_vocab_get(v, order[i]));
    }
}

static enum rc
write_terms(struct idx_builder *b, struct idx_layout *layout, uint32_t field,
            enum idx_terms_kind kind, struct err *err)
{
    struct lists *l = &b->fields[field].lists[kind];
    if (!l->is_used || l->ords.n == 0)
        return RC_OK;
    idx_terms_out_clear(&b->out);
    b->out.lists.mode = idx_forward_mode(kind, b->schema->fields[field].flags & SCH_ARRAY);
    uint32_t *order = xmalloc((size_t)2 * l->vocab.n * sizeof *order), *rank = order + l->vocab.n;
    idx_vocab_sort(&l->vocab, order, rank);
    put_dict(&b->out.dict, &l->vocab, order);
    if (kind != IDX_SORT)
        put_sets(&b->out.sets, l, order);
    put_lists(&b->out.lists, l, rank);
    free(order);
    return idx_terms_out_write(&b->out, layout, field, kind, err);
}

static enum rc
write_field(struct idx_builder *b, struct idx_layout *l, uint32_t field, struct err *err)
{
    enum rc rc = RC_OK;
    if (b->fields[field].has_column)
        rc = idx_column_write(&b->fields[field].column, l, field, err);
    for (int kind = 0; rc == RC_OK && kind < IDX_TERMS_KIND_N; kind++)
        rc = write_terms(b, l, field, (enum idx_terms_kind)kind, err);
    return rc;
}

static enum rc
write_docs(struct idx_builder *b, struct idx_layout *l, struct err *err)
{
    enum rc rc = RC_OK;
    size_t begin = 0;
    idx_layout_open(l);
    for (uint32_t i = 0; rc == RC_OK && i < b->n_docs; i++) {
        const struct doc_end *end = &b->ends[i];
        struct idx_stored doc = {span_of(b->json.p + begin, end->at - begin), end->has_gaps};
        rc = idx_docs_put(&b->docs, doc, l->out, err);
        begin = end->at;
    }
    if (rc == RC_OK)
        rc = idx_docs_flush(&b->docs, l->out, err);
    idx_layout_close(l, (struct idx_row){.kind = SEG_DOC_BYTES, .field = UINT32_MAX});
    idx_docs_write_rows(&b->docs, l);
    return rc;
}

static enum rc
write_all(struct idx_builder *b, struct idx_layout *l, struct err *err)
{
    enum rc rc = write_docs(b, l, err);
    if (rc != RC_OK)
        return rc;
    if (b->schema->tie == SCH_TIE_SEQ) {
        idx_layout_open(l);
        buf_put_span(l->out, buf_span(&b->seqs));
        idx_layout_close(l, (struct idx_row){.kind = SEG_SEQ, .field = UINT32_MAX, .n = b->n_docs});
    }
    rc = idx_ids_write(&b->ids, l, err);
    for (uint32_t i = 0; rc == RC_OK && i < b->schema->n_fields; i++)
        rc = write_field(b, l, i, err);
    if (rc == RC_OK)
        idx_orders_write(l, b->schema, b->n_docs);
    return rc;
}

static void
builder_clear(struct idx_builder *b)
{
    for (uint32_t i = 0; i < b->schema->n_fields; i++) {
        for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++) {
            struct lists *l = &b->fields[i].lists[kind];
            idx_vocab_clear(&l->vocab);
            l->ords.n = l->ends.n = 0;
        }
        idx_column_clear(&b->fields[i].column);
    }
    idx_ids_clear(&b->ids);
    idx_docs_clear(&b->docs);
    buf_clear(&b->json);
    buf_clear(&b->seqs);
    b->n_docs = 0;
    b->n_bytes = 0;
}

enum rc
idx_builder_finish(struct idx_builder *b, struct buf *out, struct err *err)
{
    struct idx_layout l;
    size_t start = out->n;
    idx_layout_begin(&l, out);
    enum rc rc = write_all(b, &l, err);
    if (rc == RC_OK)
        idx_layout_end(&l, b->n_docs, b->schema->n_fields,
                       b->schema->tie == SCH_TIE_SEQ ? SEG_HAS_SEQ : 0);
    else
        out->n = start;
    idx_layout_fini(&l);
    builder_clear(b);
    return rc;
}
