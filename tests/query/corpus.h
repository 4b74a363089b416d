/*
 * A random corpus in two forms: in an index, and as the oracle reads it; and
 * random requests to both.
 */
#ifndef TAILFIN_TESTS_QUERY_CORPUS_H
#define TAILFIN_TESTS_QUERY_CORPUS_H

#include "tests/query/fixture.h"
#include "tests/query/oracle.h"

enum { CORPUS_DOCS_MAX = 64, CORPUS_FIELDS = 3, CORPUS_WORDS = 40 };

struct corpus {
    struct fixture *fixture;
    struct fixture_random *random;
    struct arena arena; /* as long as the corpus */
    struct oracle_doc docs[CORPUS_DOCS_MAX];
    struct oracle oracle;
    char words[CORPUS_WORDS][32];
    uint32_t n_words;
    uint32_t n_groups;
};

/* A collection with n documents, some of them written twice or deleted, in several segments. */
void corpus_init(struct corpus *c, struct fixture_random *random, uint32_t n);
void corpus_fini(struct corpus *c);

/* A query string of words of the corpus, often with a typo or cut short. */
struct span corpus_query(struct corpus *c, struct arena *arena);
/* Everything of a request but collection and analyzer. */
void corpus_request(struct corpus *c, struct arena *arena, struct qry_search *out);

struct corpus_hit {
    bool is_hit;
    uint64_t text_match, field_score;
};
/* Runs the request; hits by document number. Dies if a document is reported twice. */
enum rc corpus_ask(struct corpus *c, struct qry_search *s, struct arena *arena,
                   struct corpus_hit hits[CORPUS_DOCS_MAX], struct qry_match **match);

#endif
