/*
 * The read door of the engine. A reader takes the newest published snapshot
 * and sees exactly that one until it gives it back; nothing here takes a lock
 * or blocks (but for page faults in mapped files). Everything reached from a
 * snapshot is borrowed until idx_reader_end.
 *
 * A snapshot has collections; a collection has segments; a segment numbers its
 * documents 0..n_docs-1, some of them dead (not in `live`). Ordinals never
 * decide order: ties are broken by struct idx_tie.
 */
#ifndef TAILFIN_INDEX_INDEX_H
#define TAILFIN_INDEX_INDEX_H

#include "base/buf.h"
#include "base/err.h"
#include "schema/schema.h"

struct idx;          /* an open index directory (writer.h opens it) */
struct idx_reader;   /* one request's or thread's place in the epochs */
struct idx_snapshot; /* an immutable state of the whole index */
struct idx_segment;  /* an immutable run of documents */
struct idx_terms;    /* a dictionary with postings and forward lists, of one field in one segment */

/* ---- snapshots ---- */

/*
 * A place for one snapshot at a time. Made once and used again; at most
 * IDX_READERS_MAX exist. NULL beyond. May be handed from thread to thread,
 * used by one at a time. Any thread.
 */
enum { IDX_READERS_MAX = 4096 };
struct idx_reader *idx_reader_new(struct idx *idx);
void idx_reader_free(struct idx_reader *r); /* NULL allowed; not between begin and end */

/* The newest snapshot; never NULL. Wait-free. */
const struct idx_snapshot *idx_reader_begin(struct idx_reader *r);
void idx_reader_end(struct idx_reader *r);

/* Rises with every publication: same number, same contents. */
uint64_t idx_snapshot_version(const struct idx_snapshot *s);

/* ---- collections ---- */

struct idx_view { /* a segment as one snapshot sees it */
    const struct idx_segment *segment;
    /* Bit d of word d / 64: document d is alive; words up to n_docs, tail bits 0. */
    const uint64_t *live;
    uint32_t n_docs, n_live;
    uint64_t file; /* a number that no other segment ever has; 0: in RAM, and soon gone */
};

struct idx_collection {
    uint32_t uid;                        /* of this generation; never used again */
    uint32_t n_views;
    const struct idx_view *views;        /* no order */
    const struct sch_collection *schema; /* its name is the real name */
    uint64_t n_docs;                     /* live documents */
    uint64_t analyzer;                   /* fingerprint that its tokens were made with */
    bool is_complete;                    /* false while its first bootstrap has not finished */
    uint64_t version;                    /* rises when this collection's contents change */
};

/* The collection that answers to a name, aliases followed (once); NULL if there is none. */
const struct idx_collection *idx_snapshot_find(const struct idx_snapshot *s, struct span name);
/* The same for requests: NULL also for one whose schema is internal. */
const struct idx_collection *idx_snapshot_find_public(const struct idx_snapshot *s,
                                                      struct span name);
/* By uid: also one that has no name yet (a reindex aside); NULL if absent. */
const struct idx_collection *idx_snapshot_find_uid(const struct idx_snapshot *s, uint32_t uid);
/* All named collections, internal ones included, newest first; *n their number. */
const struct idx_collection *const *idx_snapshot_collections(const struct idx_snapshot *s,
                                                             size_t *n);

struct idx_entry { /* small durable records beside the documents: aliases, keys, settings */
    struct span kind, key, value;
};
/* All entries of a kind, sorted by key. "alias": key = alias, value = collection name. */
const struct idx_entry *idx_snapshot_entries(const struct idx_snapshot *s, struct span kind,
                                             size_t *n);
const struct idx_entry *idx_snapshot_entry(const struct idx_snapshot *s, struct span kind,
                                           struct span key);

/* ---- documents ---- */

enum { IDX_ID_MAX = 1024 }; /* bytes of a document id */

struct idx_tie { /* compared as the unsigned pair (hi, lo); larger comes first */
    uint64_t hi, lo;
};

/* The id's bytes: borrowed, or written into text (of IDX_ID_MAX bytes) where ids are packed. */
struct span idx_segment_id(const struct idx_segment *s, uint32_t doc, char *text);
/*
 * SCH_TIE_SEQ: {seq, 0}. SCH_TIE_ID: the first 16 bytes of the id's text, so
 * that documents with different ids may have equal ties; idx_tie_before
 * compares the whole.
 */
struct idx_tie idx_segment_tie(const struct idx_segment *s, uint32_t doc);
/* True if a comes before b (the larger tie; equal ties: the larger id). */
bool idx_tie_before(const struct idx_segment *a, uint32_t a_doc, const struct idx_segment *b,
                    uint32_t b_doc);
uint32_t idx_segment_n_docs(const struct idx_segment *s);
bool idx_segment_is_mapped(const struct idx_segment *s); /* in a file, not in RAM */
uint64_t idx_segment_n_bytes(const struct idx_segment *s);
/*
 * True once a read met stored bytes that fail their checksum. Reads that
 * cannot return an error answered as if the section were empty; whoever must
 * not give a wrong answer asks this behind its reads. O(1).
 */
bool idx_segment_is_corrupt(const struct idx_segment *s);

/* Finds the live document with that id: view number and ordinal. Cost: O(views). */
bool idx_collection_find(const struct idx_collection *c, struct span id, uint32_t *view,
                         uint32_t *doc);

/*
 * Reads stored documents. Keeps the last decompressed block, so that
 * neighbours are cheap. One thread at a time; must not outlive the snapshot
 * whose segments it read unless idx_doc_reader_reset is called between.
 */
struct idx_doc_reader;
MUST_USE struct idx_doc_reader *idx_doc_reader_new(void);
void idx_doc_reader_free(struct idx_doc_reader *r);
void idx_doc_reader_reset(struct idx_doc_reader *r);
/* The document's JSON text as it was put; borrowed until the next call. RC_CORRUPT. */
MUST_USE enum rc idx_doc_reader_get(struct idx_doc_reader *r, const struct idx_segment *s,
                                    uint32_t doc, struct span *json, struct err *err);

/* ---- columns: numbers and bools ---- */

/*
 * The values of one field. For a plain column value i belongs to document i
 * (undefined where present says missing). For an array column the values of
 * document d are [offsets[d], offsets[d+1]).
 */
struct idx_column {
    enum sch_type type;
    const int32_t *i32;      /* SCH_INT32 */
    const int64_t *i64;      /* SCH_INT64 */
    const float *f32;        /* SCH_FLOAT */
    const uint8_t *b8;       /* SCH_BOOL: 0 or 1, a byte each */
    const uint64_t *present; /* bit per document; NULL: all have a value */
    const uint32_t *offsets; /* array columns: n_docs + 1 */
    uint32_t n_values;
};

/* False if the field has no column in this segment (all its documents lack it). */
bool idx_segment_column(const struct idx_segment *s, uint32_t field, struct idx_column *out);

/*
 * The documents that have a value, ascending by (value, tie), for fields with
 * SCH_ORDER; dead ones included. NULL if there is none. *n: how many.
 */
const uint32_t *idx_segment_order(const struct idx_segment *s, uint32_t field, uint32_t *n);

/* ---- dictionaries: text, values, sort keys ---- */

enum idx_terms_kind {
    IDX_TEXT,  /* tokens; string fields that are indexed and not exact */
    IDX_VALUE, /* whole raw values; string fields with SCH_FACET or SCH_EXACT */
    IDX_SORT,  /* tokenizer's sort keys; string fields with SCH_SORT (no postings, only lists) */
    IDX_TERMS_KIND_N
};

enum {
    IDX_TERM_MAX = 100,     /* bytes of a token */
    IDX_VALUE_MAX = 65535,  /* bytes of a value or sort key */
};

/* NULL if no document of the segment has such terms. */
const struct idx_terms *idx_segment_terms(const struct idx_segment *s, uint32_t field,
                                          enum idx_terms_kind kind);

/* Terms are numbered 0..n-1 in byte order (memcmp, prefix first), distinct. */
uint32_t idx_terms_n(const struct idx_terms *t);
bool idx_terms_find(const struct idx_terms *t, struct span term, uint32_t *ord);
/* The terms that start with prefix: [*begin, *end); equal if none. O(log n). */
void idx_terms_prefix(const struct idx_terms *t, struct span prefix, uint32_t *begin,
                      uint32_t *end);
/*
 * Behind the last of the terms from ord on that have `prefix`, one byte or
 * more, which that term begins with. Cost: as of idx_cursor_skip.
 */
uint32_t idx_terms_behind(const struct idx_terms *t, uint32_t ord, struct span prefix);
/* Appends the term's bytes to *out. */
void idx_terms_get(const struct idx_terms *t, uint32_t ord, struct buf *out);
/*
 * Where all terms are ULIDs and kept as such: their 16 bytes each, by ordinal,
 * borrowed from the segment. NULL otherwise. O(1).
 */
const unsigned char *idx_terms_ulids(const struct idx_terms *t);

/*
 * Walks the terms of an IDX_TEXT dictionary in order, as a depth-first walk
 * of their trie: after looking at term[0..n), the caller either goes to the
 * next term or skips everything that shares the first `depth` bytes. shared
 * says how many leading bytes the term has in common with the one the cursor
 * stood on before, so that automaton states of a stack stay valid up to there.
 *
 *   idx_cursor_init(&c, terms);
 *   for (bool more = idx_cursor_next(&c); more;)
 *       more = dead_at ? idx_cursor_skip(&c, dead_at) : idx_cursor_next(&c);
 *
 * Cost: next O(new bytes); skip and seek O(log terms skipped) in the first 8
 * bytes of a term, behind them a byte per term skipped, vectorised.
 */
struct idx_cursor {
    const struct idx_terms *terms;
    uint32_t ord;    /* of the current term */
    uint32_t n;      /* its length */
    uint32_t shared; /* leading bytes shared with the term stood on before (0 for the first) */
    uint32_t at;     /* inside: where the next term's bytes are */
    char term[IDX_TERM_MAX + 16];
};
void idx_cursor_init(struct idx_cursor *c, const struct idx_terms *t);
bool idx_cursor_next(struct idx_cursor *c);
/* To the first later term without the current one's first depth bytes (1 <= depth <= n). */
bool idx_cursor_skip(struct idx_cursor *c, uint32_t depth);
/*
 * To the first later term that is not before the current one's first `depth`
 * bytes followed by `byte`, which is larger than what follows them now.
 */
bool idx_cursor_seek(struct idx_cursor *c, uint32_t depth, unsigned char byte);
/* Ordinal behind the last term that shares the current one's first depth bytes. Does not move. */
uint32_t idx_cursor_end(const struct idx_cursor *c, uint32_t depth);

/*
 * The terms of a large IDX_TEXT dictionary by what they hold from byte `from`
 * on (IDX_TAIL_FIRST..IDX_TAIL_LAST): those that have `tail` there, of which
 * the first 8 bytes count, and with is_end nothing behind it. At least
 * IDX_TAIL_MIN bytes. The result is borrowed: n ordinals, each once; those
 * whose next 8 bytes are equal in rising order. A tail of more than 8 bytes,
 * or with a byte 0, may bring others along. Only if idx_terms_has_tails.
 * Cost: O(log terms).
 */
enum {
    IDX_TAIL_FIRST = 1,
    IDX_TAIL_LAST = 6,
    IDX_TAIL_N = IDX_TAIL_LAST - IDX_TAIL_FIRST + 1,
    IDX_TAIL_MIN = 3
};
bool idx_terms_has_tails(const struct idx_terms *t);
const uint32_t *idx_terms_tails(const struct idx_terms *t, uint32_t from, struct span tail,
                                bool is_end, uint32_t *n);

/* ---- postings: which documents have a term (dead ones included, ascending) ---- */

/* Number of documents with the term, dead ones included. O(1). */
uint32_t idx_terms_df(const struct idx_terms *t, uint32_t ord);

struct idx_posting { /* an iterator; opaque inside */
    const void *at;
    const void *state;
    uint64_t left, word;
};
void idx_posting_begin(struct idx_posting *p, const struct idx_terms *t, uint32_t ord);
/* The next documents into out (room for IDX_POSTING_BATCH); 0 at the end. */
enum { IDX_POSTING_BATCH = 256 };
uint32_t idx_posting_next(struct idx_posting *p, uint32_t out[IDX_POSTING_BATCH]);
bool idx_terms_has(const struct idx_terms *t, uint32_t ord, uint32_t doc);
/* Sets the bits of all documents of the terms [begin, end) in words. */
void idx_terms_or(const struct idx_terms *t, uint32_t begin, uint32_t end, uint64_t *words);
/* Number of documents of the term that are set in words. */
uint32_t idx_terms_count(const struct idx_terms *t, uint32_t ord, const uint64_t *words);

/* ---- forward lists: which terms a document has, in order ---- */

#define IDX_ELEMENT_END UINT32_MAX /* closes each element of the field's value */

/*
 * The document's terms: ordinals in reading order, IDX_ELEMENT_END after each
 * element (one for a plain string; an element without tokens is just the end
 * mark). Writes at most cap numbers and returns how many there are; 0 if the
 * document lacks the field. Cost: O(result).
 */
uint32_t idx_forward(const struct idx_terms *t, uint32_t doc, uint32_t *out, uint32_t cap);

#endif
