/*
 * Random documents of a schema that has every kind of field, and a check that
 * a segment holds exactly some of them.
 */
#ifndef TAILFIN_TESTS_INDEX_CORPUS_H
#define TAILFIN_TESTS_INDEX_CORPUS_H

#include "base/arena.h"

#include "index/segment.h"
#include "tests/support/rng.h"

enum corpus_field {
    CORPUS_NAME,    /* text and sort key, ordered */
    CORPUS_TAGS,    /* text and values, array */
    CORPUS_KIND,    /* text and values, few of them */
    CORPUS_EMOTES,  /* exact, array of ULIDs */
    CORPUS_OWNER,   /* exact, ULID or something else, optional */
    CORPUS_SCORE,   /* int32, ordered, optional */
    CORPUS_AT,      /* int64, ordered */
    CORPUS_WEIGHT,  /* float, ordered */
    CORPUS_IS_ON,   /* bool, optional */
    CORPUS_FLAGS,   /* bool[] */
    CORPUS_NUMBERS, /* int32[] */
    CORPUS_TIMES,   /* int64[] */
    CORPUS_SHARES,  /* float[] */
    CORPUS_HIDDEN,  /* string, not indexed */
    CORPUS_NEVER,   /* int32 that no document has */
    CORPUS_LONG,    /* values of up to 65,535 bytes and more */
    CORPUS_FIELD_N
};

/*
 * Where the text of the emotes' array stands in a document's json. Such a
 * document is put with gaps in its text; every second one has its emotes put
 * as bytes, with gaps or without.
 */
enum { CORPUS_GAPS_MAX = 2 };
struct corpus_gaps {
    uint32_t n, at[CORPUS_GAPS_MAX]; /* in json, whole */
    struct span text;
};

struct corpus {
    struct arena arena;
    struct rng *rng;
    struct sch_collection schema;
    struct sch_field fields[CORPUS_FIELD_N];
    struct idx_doc *docs; /* as readers see them */
    struct corpus_gaps *gaps;
    bool has_odd_emotes; /* some are no ULIDs: those documents have no gaps */
    uint32_t n_docs;
};

enum corpus_ids { CORPUS_ULIDS, CORPUS_TEXT_IDS };

/* Ids are distinct. */
void corpus_init(struct corpus *c, struct rng *rng, uint32_t n_docs, enum corpus_ids ids,
                 enum sch_tie tie);
void corpus_fini(struct corpus *c);

/* A document as it is put, perhaps in the arena. */
struct idx_doc corpus_doc(const struct corpus *c, uint32_t i, struct arena *arena);
/* A segment of documents [begin, end). is_compressed as for the builder. */
struct idx_segment *corpus_segment(const struct corpus *c, uint32_t begin, uint32_t end,
                                   bool is_compressed);
/* The bytes of the same. */
struct buf corpus_bytes(const struct corpus *c, const uint32_t *which, uint32_t n,
                        bool is_compressed);
/* Asserts that the segment holds the documents `which`, n of them, in this order. */
void corpus_check(const struct corpus *c, const struct idx_segment *s, const uint32_t *which,
                  uint32_t n);

/* Opens the bytes, which must be sound. */
struct idx_segment *segment_of(struct buf *take_bytes, const struct sch_collection *schema);
/* Asserts that idx_segment_verify has no findings; prints them. */
void segment_check(const struct idx_segment *s);

#endif
