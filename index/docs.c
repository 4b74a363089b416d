/*
 * Reading stored documents. The table of blocks is checked like any section;
 * a block is checked when it is read, so that one document of a large file
 * costs one block and not the file.
 */
#include "index/docs.h"

#include <zstd.h>

#include "base/bytes.h"
#include "base/hash.h"

#include "index/parts.h"

bool
idx_docs_open(struct idx_docs *d, const struct idx_section *rows, struct span bytes)
{
    *d = (struct idx_docs){
        .rows = rows->bytes.p, .n_blocks = rows->n, .n_docs = rows->extra, .bytes = bytes};
    return rows->bytes.n == (uint64_t)rows->n * SEG_DOC_ROW_N;
}

static uint32_t
first_doc(const struct idx_docs *d, uint32_t i)
{
    return i < d->n_blocks ? load_u32(d->rows + (size_t)i * SEG_DOC_ROW_N + 8) : d->n_docs;
}

struct idx_doc_block
idx_docs_block(const struct idx_docs *d, uint32_t i)
{
    const char *row = d->rows + (size_t)i * SEG_DOC_ROW_N;
    struct idx_doc_block b = {.offset = load_u64(row),
                              .first = load_u32(row + 8),
                              .raw_n = load_u32(row + 12),
                              .stored_n = load_u32(row + 16),
                              .checksum = load_u64(row + 24)};
    b.n = first_doc(d, i + 1) - b.first;
    return b;
}

uint32_t
idx_docs_find(const struct idx_docs *d, uint32_t doc)
{
    uint32_t begin = 0, end = d->n_blocks;
    while (end - begin > 1) {
        uint32_t mid = begin + (end - begin) / 2;
        if (first_doc(d, mid) <= doc)
            begin = mid;
        else
            end = mid;
    }
    return begin;
}

enum rc
idx_docs_stored(const struct idx_docs *d, const struct idx_doc_block *b, struct span *stored,
                struct err *err)
{
    if (b->offset > d->bytes.n || b->stored_n > d->bytes.n - b->offset)
        return err_set(err, RC_CORRUPT, "a block of stored documents lies outside its section");
    *stored = span_of(d->bytes.p + b->offset, b->stored_n);
    if (hash64(*stored) != b->checksum)
        return err_set(err, RC_CORRUPT, "a block of stored documents fails its checksum");
    return RC_OK;
}

/* ---- the reader ---- */

struct idx_doc_reader {
    const struct idx_segment *segment; /* whose block is held; NULL: none */
    struct idx_doc_block block;
    struct span raw; /* the block: in the segment, or in text */
    struct buf text;
    ZSTD_DCtx *zstd;
    struct buf whole; /* a document whose gaps were filled */
    struct idx_u32s ords;
};

struct idx_doc_reader *
idx_doc_reader_new(void)
{
    return xcalloc(1, sizeof(struct idx_doc_reader));
}

void
idx_doc_reader_free(struct idx_doc_reader *r)
{
    if (!r)
        return;
    ZSTD_freeDCtx(r->zstd);
    buf_fini(&r->text);
    buf_fini(&r->whole);
    idx_u32s_fini(&r->ords);
    free(r);
}

void
idx_doc_reader_reset(struct idx_doc_reader *r)
{
    r->segment = NULL;
}

static enum rc
expand(struct idx_doc_reader *r, const struct idx_doc_block *b, struct span stored, struct err *err)
{
    if (!r->zstd)
        r->zstd = ZSTD_createDCtx();
    must(r->zstd != NULL);
    buf_clear(&r->text);
    buf_reserve(&r->text, b->raw_n);
    size_t n = ZSTD_decompressDCtx(r->zstd, r->text.p, b->raw_n, stored.p, stored.n);
    if (ZSTD_isError(n) || n != b->raw_n)
        return err_set(err, RC_CORRUPT, "a block of stored documents cannot be decompressed");
    r->raw = span_of(r->text.p, n);
    return RC_OK;
}

static enum rc
load_block(struct idx_doc_reader *r, const struct idx_docs *d, uint32_t i, struct err *err)
{
    struct idx_doc_block b = idx_docs_block(d, i);
    struct span stored;
    enum rc rc = idx_docs_stored(d, &b, &stored, err);
    if (rc == RC_OK && b.stored_n != b.raw_n)
        rc = expand(r, &b, stored, err);
    else if (rc == RC_OK)
        r->raw = stored;
    if (rc == RC_OK && r->raw.n / sizeof(uint32_t) < b.n)
        rc = err_set(err, RC_CORRUPT, "a block of stored documents is too short");
    r->block = b;
    return rc;
}

/* What is corrupt in a segment is remembered by it. */
static enum rc
set_corrupt(const struct idx_segment *s, struct err *err, const char *text)
{
    atomic_store_explicit(&s->health->is_corrupt, 1, memory_order_relaxed);
    return err_set(err, RC_CORRUPT, "%s", text);
}

enum rc
idx_doc_reader_stored(struct idx_doc_reader *r, const struct idx_segment *s, uint32_t doc,
                      struct idx_stored *out, struct err *err)
{
    must(doc < s->n_docs);
    if (!idx_section_good(s->doc_rows))
        return err_set(err, RC_CORRUPT, "the table of stored documents fails its checksum");
    if (r->segment != s || doc - r->block.first >= r->block.n) {
        r->segment = NULL;
        enum rc rc = load_block(r, &s->docs, idx_docs_find(&s->docs, doc), err);
        if (rc != RC_OK) {
            atomic_store_explicit(&s->health->is_corrupt, 1, memory_order_relaxed);
            return rc;
        }
        r->segment = s;
    }
    uint32_t k = doc - r->block.first;
    struct span texts = span_from(r->raw, (size_t)r->block.n * sizeof(uint32_t));
    uint32_t begin = k ? load_u32(r->raw.p + (size_t)4 * (k - 1)) & ~SEG_END_GAPS : 0;
    uint32_t end = load_u32(r->raw.p + (size_t)4 * k);
    bool has_gaps = end & SEG_END_GAPS;
    end &= ~SEG_END_GAPS;
    if (begin > end || end > texts.n)
        return set_corrupt(s, err, "a stored document lies outside its block");
    *out = (struct idx_stored){span_of(texts.p + begin, end - begin), has_gaps};
    return RC_OK;
}

enum rc
idx_doc_reader_get(struct idx_doc_reader *r, const struct idx_segment *s, uint32_t doc,
                   struct span *json, struct err *err)
{
    struct idx_stored stored;
    enum rc rc = idx_doc_reader_stored(r, s, doc, &stored, err);
    if (rc != RC_OK)
        return rc;
    if (!stored.has_gaps) {
        *json = stored.bytes;
        return RC_OK;
    }
    buf_clear(&r->whole);
    if (!idx_stored_fill(s, doc, stored.bytes, &r->ords, &r->whole))
        return set_corrupt(s, err, "the gaps of a stored document cannot be filled");
    *json = buf_span(&r->whole);
    return RC_OK;
}
