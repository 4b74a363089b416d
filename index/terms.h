/*
 * A dictionary of an open segment: the sorted terms, their postings and the
 * forward lists. Private to the room; index.h has what readers call.
 */
#ifndef TAILFIN_INDEX_TERMS_H
#define TAILFIN_INDEX_TERMS_H

#include "base/ulid.h"

#include "index/index.h"
#include "index/layout.h"
#include "index/runs.h"
#include "index/section.h"

/*
 * Terms front-coded: lcp[i] leading bytes (at most 255) are those of term
 * i - 1, the run holds the rest; the first of every SEG_BLOCK has a run that
 * holds all of it. lcp has zeroes behind the last, so that scans for a small
 * lcp end there.
 */
struct idx_dict {
    uint32_t n;
    const char *ulids; /* 16 bytes each instead of everything below; NULL if not packed */
    const uint64_t
        *heads; /* first 8 bytes of the first term of every block, as a big-endian number */
    const uint8_t *lcp;
    struct idx_runs runs;
};

struct idx_terms {
    struct idx_dict dict;
    uint32_t n_docs;
    struct idx_section *dict_section, *postings, *forward; /* the last two may be NULL */
    struct idx_section *tails[IDX_TAIL_N];                 /* NULL: the dictionary is small */
    const uint32_t *entries;                               /* of postings, one a term */
    const unsigned char *records;                          /* of postings, aligned to 4 */
    enum seg_mode mode;                                    /* of forward */
    uint32_t width;                                        /* SEG_FIXED: bytes a document */
    const char *fixed;                                     /* SEG_FIXED */
    struct idx_runs lists;                                 /* else */
};

/* ---- attaching sections: false if the bytes cannot hold what the row says ---- */

bool idx_dict_open(struct idx_dict *d, const struct idx_section *s);
bool idx_postings_open(struct idx_terms *t, struct idx_section *s);
bool idx_forward_open(struct idx_terms *t, struct idx_section *s);

/* ---- reading a dictionary ---- */

/* First term that is not before key; *is_equal tells. O(log n). */
uint32_t idx_dict_seek(const struct idx_dict *d, struct span key, bool *is_equal);
/* Leading 8 bytes as a big-endian number, missing ones 0: compares as the bytes do. */
uint64_t idx_head_of(struct span term);

/* Walks all terms of any dictionary in order; for merging and verifying. */
struct idx_walk {
    const struct idx_dict *dict;
    uint32_t ord;    /* of the current term */
    uint32_t at;     /* where the next run begins */
    struct buf term; /* the current term */
};
/* The caller clears w->term with buf_fini at the end. */
void idx_walk_init(struct idx_walk *w, const struct idx_dict *d);
bool idx_walk_next(struct idx_walk *w);

/*
 * The first term behind ord that lacks its first `depth` bytes (1 or more); n
 * if there is none. head: the term's, of which bytes behind depth do not
 * matter. O(log n) up to a depth of 8, else it looks at a byte of each term
 * between.
 */
uint32_t idx_dict_behind(const struct idx_dict *d, uint32_t ord, uint64_t head, uint32_t depth);
/* The first term behind ord that has at most `depth` (below 255) bytes of its predecessor; or n. */
uint32_t idx_dict_sibling(const struct idx_dict *d, uint32_t ord, uint32_t depth);
/* The first block behind `block` whose head is larger; the number of blocks if there is none. */
uint32_t idx_dict_gallop(const struct idx_dict *d, uint32_t block, uint64_t head);

/* ---- writing a dictionary ---- */

struct idx_dict_out { /* all-zero is empty */
    struct buf ulids; /* as long as all terms are ULIDs; then: */
    struct buf heads, lcp, last;
    struct idx_runs_out runs;
    uint32_t n;
    bool has_other; /* the terms are in runs */
};

/* In rising order, each once. */
void idx_dict_put(struct idx_dict_out *o, struct span term);
void idx_dict_put_ulid(struct idx_dict_out *o, const unsigned char ulid[ULID_BYTES_N]);
/* Writes the section (packed if may_pack and all are ULIDs). RC_LIMIT if it became too large. */
MUST_USE enum rc idx_dict_write(struct idx_dict_out *o, struct idx_layout *l, struct idx_row row,
                                bool may_pack, struct err *err);
void idx_dict_clear(struct idx_dict_out *o);
void idx_dict_fini(struct idx_dict_out *o);

/* ---- writing forward lists ---- */

struct idx_forward_out { /* mode is set first; all else zero is empty */
    enum seg_mode mode;
    uint32_t n_docs, n_present, max; /* max: the largest ordinal + 1 */
    struct idx_u32s fixed;
    struct idx_runs_out lists;
    struct buf scratch;
};

/* The next document's list as idx_forward gives it; n = 0: missing. */
void idx_forward_put(struct idx_forward_out *o, const uint32_t *list, size_t n);
MUST_USE enum rc idx_forward_write(const struct idx_forward_out *o, struct idx_layout *l,
                                   struct idx_row row, struct err *err);
void idx_forward_clear(struct idx_forward_out *o);
void idx_forward_fini(struct idx_forward_out *o);
/* How lists of that kind are written. */
enum seg_mode idx_forward_mode(enum idx_terms_kind kind, bool is_array);

#endif
