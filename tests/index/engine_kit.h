/*
 * What the tests of the write door share: a naive model of an index, and an
 * index driven by the same operations. Both can be written down as a text;
 * the texts must be equal.
 *
 * Documents are numbered 0..KIT_DOCS-1 ("d7" is the id of number 7). A
 * document has a number n, a token made of it, an exact tag made of it, and
 * JSON that says both.
 */
#ifndef TAILFIN_TESTS_ENGINE_KIT_H
#define TAILFIN_TESTS_ENGINE_KIT_H

#include "index/index.h"
#include "index/writer.h"

enum { KIT_DOCS = 600, KIT_GENERATIONS = 24, KIT_NAMES = 4, KIT_KEYS = 8 };

/* ---- the model ---- */

struct kit_doc {
    bool is_alive;
    uint32_t n;
    uint64_t seq;
};

struct kit_generation { /* number in the array = uid */
    bool is_there, is_named, is_complete;
    uint32_t name; /* "c0".."c3" */
    struct kit_doc docs[KIT_DOCS];
};

struct kit_model {
    struct kit_generation generations[KIT_GENERATIONS];
    uint32_t entries[KIT_KEYS]; /* value of key "k0".. of kind "note"; 0: none */
    uint64_t pos;               /* the resume state */
};

/* Each changes the model and appends the same to the batch (either may be NULL). */
void kit_put(struct kit_model *m, struct idx_batch *b, uint32_t uid, uint32_t doc, uint32_t n,
             uint64_t seq);
void kit_delete(struct kit_model *m, struct idx_batch *b, uint32_t uid, uint32_t doc);
void kit_create(struct kit_model *m, struct idx_batch *b, uint32_t uid, uint32_t name);
void kit_name(struct kit_model *m, struct idx_batch *b, uint32_t uid);
void kit_complete(struct kit_model *m, struct idx_batch *b, uint32_t uid);
void kit_drop(struct kit_model *m, struct idx_batch *b, uint32_t uid);
void kit_entry(struct kit_model *m, struct idx_batch *b, uint32_t key, uint32_t value);
void kit_pos(struct kit_model *m, struct idx_batch *b, uint64_t pos);

/* ---- texts ---- */

/* What the model holds. without_quiet leaves out generations that are not named or not complete. */
void kit_write_model(const struct kit_model *m, bool without_quiet, struct buf *out);
/*
 * What a snapshot holds, in the same words; documents are read back by their
 * JSON, column, token, tag, tie and by their id, and all must agree (asserted).
 */
void kit_write_snapshot(const struct idx_snapshot *s, bool without_quiet, struct buf *out);
/* The newest snapshot of idx. */
void kit_write_index(struct idx *idx, bool without_quiet, struct buf *out);
/* The durable position; 0 if there is none. */
uint64_t kit_durable_pos(struct idx *idx);
/* Asserts that the texts of the newest snapshot and of the model are equal. */
void kit_expect(struct idx *idx, const struct kit_model *m);

/* ---- other helpers ---- */

/* {name: string, n: int32, tag: string exact}; tie by sequence. */
void kit_schema(const char *name, struct arena *arena, struct sch_collection *out);
/* Submits and waits for the stage; asserts that it was reached. Returns the ticket. */
uint64_t kit_submit(struct idx *idx, struct idx_batch **take, enum idx_stage stage);
/* Opens dir or fails the test. */
struct fs *kit_fs(const char *dir);
struct idx *kit_open(struct fs *fs, const struct idx_options *options);
void kit_close(struct idx *idx);
/* Runs idx_check and asserts that it finds nothing. */
void kit_check(struct fs *fs);

#endif
