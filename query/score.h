/*
 * The text match score: search-semantics section 6, as pure functions of
 * positions and counts. Private to the matching half of query/.
 */
#ifndef TAILFIN_QUERY_SCORE_H
#define TAILFIN_QUERY_SCORE_H

#include "query/request.h"

struct qry_places { /* where a token stands in one text: ascending, from 0 */
    const uint32_t *at;
    uint32_t n;
};

struct qry_window { /* 6.3 */
    uint32_t words;    /* tokens inside, at least 1 */
    uint32_t spread;   /* from the first to the last of them */
    uint32_t furthest; /* largest position then looked at, of all tokens */
};

enum { QRY_WINDOW_TOKENS = 10, QRY_WINDOW_REACH = 10 };

/* The best window of n >= 1 tokens, each with at least one place. Cost: sum of places times n. */
struct qry_window qry_score_window(const struct qry_places *tokens, uint32_t n);

/*
 * 6.4 for several tokens: n of the query's tokens stand in a text of
 * text_tokens tokens.
 */
bool qry_score_is_exact(const struct qry_places *tokens, uint32_t n, uint32_t spread,
                        uint32_t text_tokens);

/* The 48 bits of 6.1 from their bytes. cost: C of 5.3, cut at 255. */
uint64_t qry_score_field(uint32_t words, uint32_t unique, uint32_t cost, uint32_t spread,
                         bool is_exact, uint32_t position_byte);

/* One token matched: last is the 1-based position of its last occurrence. */
uint64_t qry_score_single(uint32_t cost, bool is_exact, bool has_position, uint32_t last);

struct qry_field_score { /* of one matched field, in search order */
    uint64_t score;
    unsigned weight;
};

/* The 64 bits of 6.2. fields: n >= 1. *best gets the 48 bits of the best field. */
uint64_t qry_score_text_match(enum qry_text_match_type type, uint32_t tokens, bool counts_fields,
                              const struct qry_field_score *fields, uint32_t n, uint64_t *best);

#endif
