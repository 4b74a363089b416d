/*
 * What a search must find, computed the slow way: every candidate list written
 * out, every combination of terms tried on every document, distances by the
 * full table. Shares nothing with query/ but the request and the parsed query
 * text. Only for small corpora.
 */
#ifndef TAILFIN_TESTS_QUERY_ORACLE_H
#define TAILFIN_TESTS_QUERY_ORACLE_H

#include "query/matching.h"

struct oracle_text { /* one element of a field's value */
    struct span *tokens;
    uint32_t n;
};

struct oracle_field {
    struct oracle_text *elements;
    uint32_t n;
};

struct oracle_doc {
    struct oracle_field *fields; /* in schema order; only string fields are looked at */
    int64_t popularity;          /* value of the default sorting field */
    uint32_t group;
    bool is_live, passes; /* the filter */
    /* out */
    bool is_hit;
    uint64_t text_match, field_score;
};

struct oracle {
    struct oracle_doc *docs;
    uint32_t n_docs;
    bool has_default_sort;
};

/* Fills the docs' out part. */
void oracle_run(struct oracle *o, const struct qry_search *s, struct arena *arena);

/* 3.3 by the full table: whether t reaches w at exactly that cost. */
bool oracle_reaches(struct span t, struct span w, unsigned cost, bool may_prefix, bool is_full);

#endif
