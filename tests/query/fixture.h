/*
 * An index in a temporary directory, built from JSON documents: what the
 * query tests ask. Ends the program (must) when something fails.
 */
#ifndef TAILFIN_TESTS_QUERY_FIXTURE_H
#define TAILFIN_TESTS_QUERY_FIXTURE_H

#include "index/index.h"
#include "index/writer.h"
#include "tokenizer/tokenizer.h"

struct fixture;

/* One collection, from a schema as the API takes it. */
struct fixture *fixture_new(const char *schema_json);
void fixture_free(struct fixture *f);

/* Adds or replaces; visible after fixture_flush. A document without "id" gets its number. */
void fixture_put(struct fixture *f, const char *document_json);
void fixture_delete(struct fixture *f, const char *id);
/* An entry beside the documents ("key", "alias"). value NULL removes it. */
void fixture_entry(struct fixture *f, const char *kind, const char *key, const char *value);
/* A further collection in the same index; fixture_put works on the last one made. */
void fixture_add_collection(struct fixture *f, const char *schema_json);
/* Publishes what was put: usually as one more segment (the index may merge small ones). */
void fixture_flush(struct fixture *f);

/* The published state; borrowed until fixture_end. Not nested. */
const struct idx_snapshot *fixture_snapshot(struct fixture *f);
/* The last collection made, of a snapshot taken anew. */
const struct idx_collection *fixture_begin(struct fixture *f);
void fixture_end(struct fixture *f);

const struct tkz_analyzer *fixture_analyzer(const struct fixture *f);
struct idx *fixture_idx(struct fixture *f);

/* Random numbers with a seed that is printed and can be set by TAILFIN_SEED. */
struct fixture_random {
    uint64_t state;
};
void fixture_random_init(struct fixture_random *r);
uint64_t fixture_random_next(struct fixture_random *r);
uint32_t fixture_random_below(struct fixture_random *r, uint32_t n);

#endif
