/*
 * Stored documents: their JSON, in blocks of about SEG_DOC_BLOCK_N bytes, each
 * compressed by itself or raw, each with its own checksum.
 */
#ifndef TAILFIN_INDEX_DOCS_H
#define TAILFIN_INDEX_DOCS_H

#include "index/gaps.h"
#include "index/layout.h"
#include "index/vec.h"

/* ---- reading ---- */

struct idx_docs {     /* of an open segment */
    const char *rows; /* SEG_DOC_ROW_N bytes a block */
    uint32_t n_blocks, n_docs;
    struct span bytes; /* of all blocks */
};

struct idx_doc_block {        /* a row of SEG_DOC_BLOCKS */
    uint64_t offset;          /* in SEG_DOC_BYTES */
    uint32_t first, n;        /* documents */
    uint32_t raw_n, stored_n; /* bytes; equal: raw */
    uint64_t checksum;        /* of the stored bytes */
};

bool idx_docs_open(struct idx_docs *d, const struct idx_section *rows, struct span bytes);
struct idx_doc_block idx_docs_block(const struct idx_docs *d, uint32_t i);
/* The block that holds a document. O(log blocks). */
uint32_t idx_docs_find(const struct idx_docs *d, uint32_t doc);
/* The stored bytes after their checksum; RC_CORRUPT. */
MUST_USE enum rc idx_docs_stored(const struct idx_docs *d, const struct idx_doc_block *b,
                                 struct span *stored, struct err *err);
/* As idx_doc_reader_get, but as it is stored: what a merge carries over. Borrowed as there. */
MUST_USE enum rc idx_doc_reader_stored(struct idx_doc_reader *r, const struct idx_segment *s,
                                       uint32_t doc, struct idx_stored *out, struct err *err);

/* ---- writing ---- */

struct idx_docs_out { /* is_compressed is set first; all else zero is empty */
    bool is_compressed;
    struct buf raw;       /* the open block's documents */
    struct idx_u32s ends; /* where each of them ends */
    struct buf rows;
    struct buf scratch;
    uint32_t n_docs, n_blocks;
    uint64_t n_bytes; /* of closed blocks */
    void *zstd;       /* ZSTD_CCtx */
};

/* Adds a document; closed blocks are appended to *bytes. Documents above 1 GB: RC_LIMIT. */
MUST_USE enum rc idx_docs_put(struct idx_docs_out *o, struct idx_stored doc, struct buf *bytes,
                              struct err *err);
/* Notes a whole stored block of another segment, whose bytes the caller appends as they are. */
void idx_docs_put_block(struct idx_docs_out *o, const struct idx_doc_block *b);
/* Closes the open block. */
MUST_USE enum rc idx_docs_flush(struct idx_docs_out *o, struct buf *bytes, struct err *err);
/* Writes the section of rows, after all blocks. */
void idx_docs_write_rows(const struct idx_docs_out *o, struct idx_layout *l);
void idx_docs_clear(struct idx_docs_out *o);
void idx_docs_fini(struct idx_docs_out *o);

#endif
