/*
 * Text matching and scoring: search-semantics sections 2 to 6. Given a parsed
 * search and the documents that may match, finds every matching document with
 * its best evaluation. Private to query/.
 */
#ifndef TAILFIN_QUERY_MATCH_H
#define TAILFIN_QUERY_MATCH_H

#include "query/request.h"

/*
 * Which documents may match: one bit per document for each view of the
 * collection (same number and order), already live-only. words[v] is never
 * NULL. Pinned and hidden documents were taken out.
 */
struct qry_docset {
    const uint64_t *const *words;
    bool is_all_live; /* no filter: words are the views' live words */
};

/* Told of each matching document exactly once, in no order. */
struct qry_match_sink {
    void *arg;
    void (*hit)(void *arg, uint32_t view, uint32_t doc, uint64_t text_match, uint64_t field_score);
    /* For group_by: notes a hit; the number of distinct groups so far. May be NULL. */
    uint64_t (*n_groups)(void *arg, uint32_t view, uint32_t doc);
};

struct qry_match; /* what one run knows: tokens, matched terms */

/*
 * Runs all passes (main, split/join, dropped tokens, infix) and reports hits.
 * field_score is the bare 48-bit score of the best field (7.4). Where the sort
 * has two text matches (7.4) the evaluation kept per document is the one with
 * the larger (field_score, then text_match), else the larger text_match.
 * q = "*" and match-all queries (2.4) report every document of the set with
 * the constant score.
 *
 * *out lives in the arena and stays valid as long as it. RC_CUTOFF once the
 * deadline is past: hits found so far were reported or not, the caller decides
 * (*n_reported tells); RC_INVALID for a query that is none.
 */
MUST_USE enum rc qry_match_run(const struct qry_search *s, const struct qry_docset *docs,
                               const struct qry_match_sink *sink, struct arena *arena,
                               struct qry_match **out, struct err *err);

/* Number of include tokens of the query (for num_tokens_dropped); 0 for match-all. */
uint32_t qry_match_n_tokens(const struct qry_match *m);
/* The i-th include token as typed (normalised). */
struct span qry_match_token(const struct qry_match *m, uint32_t i);
/*
 * For highlighting: which query token a document's term stands for in a field
 * of the schema, and whether as a prefix expansion; -1 if it did not match.
 * Phrase words count, too (is_prefix false; numbered behind the tokens).
 */
int32_t qry_match_explain(const struct qry_match *m, uint32_t field, struct span term,
                          bool *is_prefix);

#endif
