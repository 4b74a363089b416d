/*
 * Merging segments, part by part in the order the builder writes them:
 * documents, sequences, ids, then field by field, permutations last.
 */
#include "index/merge.h"

#include "index/field.h"
#include "index/order.h"

/*
 * What was read once for the merge does not stay in memory beside its result.
 * Searches that go on find it in the page cache.
 */
static void
forget(const struct idx_segment *s, struct span bytes)
{
    if (idx_segment_is_mapped(s))
        fs_forget(bytes);
}

/* Those of a field; UINT32_MAX: of none, which are documents, ids and sequences. */
static void
forget_sections(const struct idx_merge *m, uint32_t field)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct idx_segment *s = m->inputs[i].segment;
        for (uint32_t j = 0; j < s->n_sections; j++)
            if (s->sections[j].field == field)
                forget(s, s->sections[j].bytes);
    }
}

/* Everything is read, so everything is checked first (blocks of documents: as they are read). */
static enum rc
check_inputs(const struct idx_merge *m, struct err *err)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct idx_segment *s = m->inputs[i].segment;
        enum rc rc = idx_segment_check(s, err);
        if (rc != RC_OK)
            return rc;
        if (s->n_fields > m->schema->n_fields)
            return err_set(err, RC_INVALID,
                           "a segment to be merged has more fields than the schema");
    }
    return RC_OK;
}

static enum rc
number_docs(struct idx_merge *m, struct err *err)
{
    uint64_t n_docs = 0;
    for (size_t i = 0; i < m->n; i++)
        n_docs += m->inputs[i].n_live;
    if (n_docs > SEG_DOCS_MAX)
        return err_set(err, RC_LIMIT, "a segment cannot hold %llu documents",
                       (unsigned long long)n_docs);
    for (size_t i = 0; i < m->n; i++) {
        const struct idx_merge_input *in = &m->inputs[i];
        for (uint32_t doc = 0; doc < in->segment->n_docs; doc++) {
            bool is_live = in->live[doc / 64] >> (doc % 64) & 1;
            in->new_doc[doc] = is_live ? m->n_docs++ : UINT32_MAX;
        }
    }
    must(m->n_docs == n_docs);
    return RC_OK;
}

/* ---- stored documents ---- */

struct doc_merge {
    struct idx_merge *m;
    struct idx_docs_out out;
    struct idx_doc_reader *reader;
};

static uint32_t
count_live(const struct idx_merge_input *in, uint32_t first, uint32_t n)
{
    uint32_t count = 0;
    for (uint32_t doc = first; doc < first + n; doc++)
        count += in->new_doc[doc] != UINT32_MAX;
    return count;
}

/* Nothing of it is left out: the block is taken as it is. */
static void
take_block(struct doc_merge *w, const struct idx_merge_input *in, const struct idx_doc_block *b,
           struct span stored)
{
    idx_docs_put_block(&w->out, b);
    idx_layout_put_apart(&w->m->layout, stored, idx_segment_is_mapped(in->segment));
}

static enum rc
merge_block(struct doc_merge *w, const struct idx_merge_input *in, uint32_t i, struct err *err)
{
    struct buf *bytes = w->m->layout.out;
    struct idx_doc_block b = idx_docs_block(&in->segment->docs, i);
    uint32_t n_live = count_live(in, b.first, b.n);
    bool is_packed = b.stored_n < b.raw_n || !w->out.is_compressed;
    bool is_full = is_packed && b.raw_n >= SEG_DOC_BLOCK_N;
    struct span stored;
    struct idx_stored one;
    enum rc rc = RC_OK;
    if (n_live == b.n && is_full) {
        rc = idx_docs_stored(&in->segment->docs, &b, &stored, err);
        if (rc != RC_OK)
            atomic_store_explicit(&in->segment->health->is_corrupt, 1, memory_order_relaxed);
        if (rc == RC_OK)
            rc = idx_docs_flush(&w->out, bytes, err);
        if (rc == RC_OK)
            take_block(w, in, &b, stored);
        return rc;
    }
    for (uint32_t doc = b.first; rc == RC_OK && n_live && doc < b.first + b.n; doc++) {
        if (in->new_doc[doc] == UINT32_MAX)
            continue;
        rc = idx_doc_reader_stored(w->reader, in->segment, doc, &one, err);
        if (rc == RC_OK)
            rc = idx_docs_put(&w->out, one, bytes, err);
    }
    return rc;
}

static enum rc
merge_docs(struct idx_merge *m, struct err *err)
{
    struct doc_merge w = {
        .m = m, .out = {.is_compressed = m->is_compressed}, .reader = idx_doc_reader_new()};
    enum rc rc = RC_OK;
    idx_layout_open(&m->layout);
    for (size_t i = 0; rc == RC_OK && i < m->n; i++) {
        for (uint32_t j = 0; rc == RC_OK && j < m->inputs[i].segment->docs.n_blocks; j++) {
            rc = merge_block(&w, &m->inputs[i], j, err);
            if (rc == RC_OK && idx_merge_is_cancelled(m))
                rc = err_set(err, RC_STOPPED, "the merge was cancelled");
        }
        forget(m->inputs[i].segment, m->inputs[i].segment->docs.bytes);
    }
    if (rc == RC_OK)
        rc = idx_docs_flush(&w.out, m->layout.out, err);
    idx_layout_close(&m->layout, (struct idx_row){.kind = SEG_DOC_BYTES, .field = UINT32_MAX});
    idx_docs_write_rows(&w.out, &m->layout);
    idx_doc_reader_free(w.reader);
    idx_docs_fini(&w.out);
    return rc;
}

/* ---- ids and columns ---- */

static void
merge_seqs(struct idx_merge *m)
{
    idx_layout_open(&m->layout);
    for (size_t i = 0; i < m->n; i++)
        for (uint32_t doc = 0; doc < m->inputs[i].segment->n_docs; doc++)
            if (m->inputs[i].new_doc[doc] != UINT32_MAX)
                buf_put_u64(m->layout.out, idx_segment_seq(m->inputs[i].segment, doc));
    idx_layout_close(&m->layout,
                     (struct idx_row){.kind = SEG_SEQ, .field = UINT32_MAX, .n = m->n_docs});
}

static enum rc
merge_ids(struct idx_merge *m, struct err *err)
{
    struct idx_ids_out out = {0};
    char text[IDX_ID_MAX];
    for (size_t i = 0; i < m->n; i++)
        for (uint32_t doc = 0; doc < m->inputs[i].segment->n_docs; doc++)
            if (m->inputs[i].new_doc[doc] != UINT32_MAX)
                idx_ids_put(&out, idx_segment_id(m->inputs[i].segment, doc, text));
    enum rc rc = idx_ids_write(&out, &m->layout, err);
    idx_ids_fini(&out);
    return rc;
}

static enum rc
merge_column(struct idx_merge *m, uint32_t field, struct err *err)
{
    const struct sch_field *f = &m->schema->fields[field];
    struct idx_column_out out = {.type = f->type, .is_array = f->flags & SCH_ARRAY};
    for (size_t i = 0; i < m->n; i++) {
        const struct idx_merge_input *in = &m->inputs[i];
        struct idx_column column;
        bool has_column = idx_segment_column(in->segment, field, &column);
        for (uint32_t doc = 0; doc < in->segment->n_docs; doc++)
            if (in->new_doc[doc] != UINT32_MAX)
                idx_column_put_from(&out, has_column ? &column : NULL, doc);
    }
    enum rc rc = idx_column_write(&out, &m->layout, field, err);
    idx_column_fini(&out);
    return rc;
}

static enum rc
merge_field(struct idx_merge *m, uint32_t field, struct err *err)
{
    const struct sch_field *f = &m->schema->fields[field];
    if (idx_merge_is_cancelled(m))
        return err_set(err, RC_STOPPED, "the merge was cancelled");
    if (idx_field_has_column(f))
        return merge_column(m, field, err);
    enum rc rc = RC_OK;
    for (int kind = 0; rc == RC_OK && kind < IDX_TERMS_KIND_N; kind++)
        if (idx_field_has_terms(f, (enum idx_terms_kind)kind))
            rc = idx_merge_terms(m, field, (enum idx_terms_kind)kind, err);
    return rc;
}

static enum rc
merge_all(struct idx_merge *m, struct err *err)
{
    enum rc rc = merge_docs(m, err);
    if (rc != RC_OK)
        return rc;
    if (m->schema->tie == SCH_TIE_SEQ)
        merge_seqs(m);
    rc = merge_ids(m, err);
    forget_sections(m, UINT32_MAX);
    for (uint32_t i = 0; rc == RC_OK && i < m->schema->n_fields; i++) {
        rc = merge_field(m, i, err);
        forget_sections(m, i);
    }
    idx_terms_out_fini(&m->out); /* the orders need as much, and the result is largest now */
    if (rc == RC_OK)
        idx_orders_write(&m->layout, m->schema, m->n_docs);
    return rc;
}

enum rc
idx_segment_merge(const struct idx_merge_input *inputs, size_t n,
                  const struct sch_collection *schema, const atomic_bool *is_cancelled,
                  struct buf *out, struct err *err)
{
    const struct idx_merge_job job = {inputs, n, schema, is_cancelled, true};
    return idx_segment_merge_apart(&job, out, NULL, err);
}

enum rc
idx_segment_merge_apart(const struct idx_merge_job *job, struct buf *out, struct idx_aparts *aparts,
                        struct err *err)
{
    struct idx_merge m = {.inputs = job->inputs,
                          .n = job->n,
                          .schema = job->schema,
                          .is_cancelled = job->is_cancelled,
                          .is_compressed = job->is_compressed};
    size_t start = out->n;
    enum rc rc = check_inputs(&m, err);
    if (rc == RC_OK)
        rc = number_docs(&m, err);
    if (rc != RC_OK)
        return rc;
    idx_layout_begin(&m.layout, out);
    m.layout.aparts = aparts;
    rc = merge_all(&m, err);
    if (rc == RC_OK)
        idx_layout_end(&m.layout, m.n_docs, m.schema->n_fields,
                       m.schema->tie == SCH_TIE_SEQ ? SEG_HAS_SEQ : 0);
    else
        out->n = start;
    idx_layout_fini(&m.layout);
    idx_terms_out_fini(&m.out);
    return rc;
}
