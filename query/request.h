/*
 * One search, as understood: every parameter parsed, checked against the
 * schema and given its default. Private to query/. Lives in the request's
 * arena; borrowed from the snapshot and the HTTP exchange.
 */
#ifndef TAILFIN_QUERY_REQUEST_H
#define TAILFIN_QUERY_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "index/index.h"
#include "tokenizer/tokenizer.h"

#include "query/deadline.h"

enum qry_infix { QRY_INFIX_OFF, QRY_INFIX_ALWAYS, QRY_INFIX_FALLBACK };
enum qry_drop_mode { QRY_DROP_RIGHT_TO_LEFT, QRY_DROP_LEFT_TO_RIGHT, QRY_DROP_BOTH_SIDES };
enum qry_split_join { QRY_SPLIT_JOIN_OFF, QRY_SPLIT_JOIN_FALLBACK, QRY_SPLIT_JOIN_ALWAYS };
enum qry_text_match_type { QRY_MAX_SCORE, QRY_MAX_WEIGHT, QRY_SUM_SCORE };
enum qry_rank_tokens { QRY_RANK_DEFAULT, QRY_RANK_FREQUENCY, QRY_RANK_SORTING_FIELD };

struct qry_search_field { /* of query_by */
    uint32_t field;       /* number in the schema; a string field with IDX_TEXT */
    unsigned weight;      /* effective: 0..15 (search-semantics 6.2) */
    bool has_prefix;
    unsigned num_typos;   /* 0..2 */
    enum qry_infix infix;
};

enum { QRY_FIELDS_MAX = 100, QRY_SORTS_MAX = 3 };

enum qry_sort_kind {
    QRY_SORT_FIELD,
    QRY_SORT_TEXT_MATCH,
    QRY_SORT_EVAL,
    QRY_SORT_SEQ,
    QRY_SORT_GROUP, /* number of hits of the group */
};

struct qry_filter; /* filter.h */

struct qry_eval {
    const struct qry_filter *filter;
    int64_t score;
};

struct qry_sort {
    enum qry_sort_kind kind;
    uint32_t field;
    bool is_asc;
    bool missing_first;   /* resolved: where documents without a value go */
    uint32_t buckets;     /* text match: 0 = none given */
    const struct qry_eval *evals;
    uint32_t n_evals;
};

struct qry_search {
    const struct idx_collection *collection;
    const struct tkz_analyzer *analyzer;
    bool is_full; /* match=full */

    struct span q;
    bool is_wildcard; /* q is exactly "*" */
    struct qry_search_field *fields; /* n_fields, in search order (weights descending, stable) */
    uint32_t n_fields;
    bool first_prefix; /* the first value of the parameter prefix, in query_by order (4.1.4) */

    unsigned min_len_1typo, min_len_2typo;
    uint64_t typo_tokens_threshold, drop_tokens_threshold;
    enum qry_drop_mode drop_mode;
    uint64_t drop_both_sides_max;
    uint64_t max_candidates; /* 0: not given, complete */
    bool is_exhaustive;
    enum qry_split_join split_join;
    enum qry_text_match_type text_match_type;
    enum qry_rank_tokens rank_tokens;
    bool prioritize_exact_match, prioritize_token_position, prioritize_num_matching_fields;
    bool typos_numerical, typos_alpha_numerical;
    uint64_t max_extra_prefix, max_extra_suffix;

    const struct qry_filter *filter; /* NULL: none */

    struct qry_sort sorts[QRY_SORTS_MAX + 1]; /* with the implied ones of 7.1 */
    uint32_t n_sorts;

    bool has_group; /* typo and drop thresholds then count groups */
    struct qry_deadline deadline;
};

#endif
