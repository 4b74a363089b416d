/*
 * Inside the filter: what a parsed expression looks like. Shared by
 * filter_parse.c (grammar), filter_values.c (what a clause means) and
 * filter_eval.c. Private to these.
 */
#ifndef TAILFIN_QUERY_FILTER_PARTS_H
#define TAILFIN_QUERY_FILTER_PARTS_H

#include "query/filter.h"

enum filter_kind {
    FILTER_TOKENS, /* string field with tokens */
    FILTER_VALUES, /* SCH_EXACT string field: whole values */
    FILTER_NUMBERS, /* int32, int64, bool: ranges */
    FILTER_FLOATS,
    FILTER_IDS,
    FILTER_ALL,    /* id:* */
};

struct filter_text { /* one alternative of a string clause */
    struct span raw; /* for FILTER_VALUES and FILTER_IDS */
    const struct span *tokens;
    uint32_t n_tokens;
    bool is_prefix; /* the last token (the raw value) is a prefix */
};

struct filter_range { /* closed; lo > hi: no value */
    int64_t lo, hi;
    float f_lo, f_hi; /* FILTER_FLOATS */
    bool is_not;      /* the documents that have no value in it */
};

struct filter_leaf {
    enum filter_kind kind;
    uint32_t field;
    bool is_first;   /* of the expression */
    bool is_negated; /* everything but */
    bool is_whole;   /* string: the whole value (or its start, for a prefix) */
    const struct filter_text *texts;
    const struct filter_range *ranges;
    uint32_t n_texts, n_ranges;
    struct span key; /* names the meaning within a collection: for the cache */
};

enum filter_op { FILTER_LEAF, FILTER_AND, FILTER_OR };

struct filter_step { /* postfix */
    enum filter_op op;
    uint32_t leaf;
};

struct qry_filter {
    const struct idx_collection *collection;
    const struct filter_leaf *leaves;
    const struct filter_step *steps;
    uint32_t n_leaves, n_steps;
    uint32_t depth; /* of the evaluation's stack */
};

/* Reads the value behind `field:`; filter_values.c. RC_INVALID. */
MUST_USE enum rc qry_filter_leaf_parse(const struct qry_filter_parser *p, struct span field,
                                       struct span value, struct filter_leaf *out);

#endif
