/*
 * The byte format of a segment: numbers that the builder writes and the reader
 * expects. FORMAT.md describes every section in words; change both together,
 * raise SEG_VERSION, and keep a golden file of the older version.
 */
#ifndef TAILFIN_INDEX_FORMAT_H
#define TAILFIN_INDEX_FORMAT_H

#include <stdint.h>

#define SEG_MAGIC "TFSEGMNT"

enum {
    SEG_VERSION = 2,
    SEG_VERSION_MIN = 1, /* the oldest that is read */
    SEG_HEADER_N = 64, /* bytes; the last 8 are the checksum */
    SEG_ROW_N = 40,    /* bytes of a section table row */
    SEG_ALIGN = 64,    /* of every section, from the start of the segment */
    SEG_DOCS_MAX = 0x7fffffff,
};

/* Header flags. */
enum { SEG_HAS_SEQ = 1u << 0 };

/* What a section holds; the number is stored. */
enum seg_kind {
    SEG_IDS = 1,    /* ids by ordinal */
    SEG_ID_TABLE,   /* hash table from id to ordinal */
    SEG_SEQ,        /* u64 by ordinal */
    SEG_DOC_BLOCKS, /* where the blocks of stored documents are */
    SEG_DOC_BYTES,  /* those blocks; each has its own checksum in SEG_DOC_BLOCKS */
    SEG_COLUMN,     /* of a field; sub = enum sch_type */
    SEG_ORDER,      /* of a field */
    SEG_DICT,       /* of a field; sub = enum idx_terms_kind, as for the next two */
    SEG_POSTINGS,
    SEG_FORWARD,
    SEG_TAILS, /* of a field; extra = the byte that they begin at */
    SEG_KIND_N
};

/* Section flags, by kind. */
enum {
    SEG_PACKED = 1u << 0,      /* SEG_IDS, SEG_DICT: 16 bytes each, all are ULIDs */
    SEG_HAS_LONG = 1u << 1,    /* SEG_IDS, SEG_DICT, SEG_FORWARD: a run of 255 bytes or more */
    SEG_IS_ARRAY = 1u << 2,    /* SEG_COLUMN: offsets are there */
    SEG_HAS_MISSING = 1u << 3, /* SEG_COLUMN: presence bits are there */
    SEG_MODE_SHIFT = 8,        /* SEG_FORWARD: enum seg_mode in the upper byte */
};

/* How a forward section writes a document's terms. */
enum seg_mode {
    SEG_FIXED, /* at most one term: fixed width, ordinal + 1, 0 if missing */
    SEG_ONE,   /* one element: its terms; a lone 0 for an element without any */
    SEG_EACH,  /* every term is an element */
    SEG_MANY,  /* 0 closes each element */
};

enum {
    SEG_BLOCK = 32,              /* entries that share an offset in runs and dictionaries */
    SEG_LONG = 255,              /* length byte of a run whose length is stored before its bytes */
    SEG_SLACK = 64,              /* zero bytes behind arrays that are read by whole words */
    SEG_TAILS_TERMS_MIN = 8192,  /* terms from which on a dictionary has tails */
    SEG_LIST_MAX = 256,          /* documents from which on postings are a roaring bitmap */
    SEG_DOC_BLOCK_N = 8 * 1024, /* stored documents: raw bytes at which a block is closed */
    SEG_DOC_ROW_N = 32,          /* bytes of a row of SEG_DOC_BLOCKS */
};

/* Where a stored document ends, in its block: this bit set, it begins with its gaps. */
#define SEG_END_GAPS 0x80000000u

/* Postings entry: this bit clear: the only document; set: offset of the record in 4 bytes. */
#define SEG_ENTRY_RECORD 0x80000000u

#endif
