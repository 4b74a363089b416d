/*
 * How far two answers to the same search agree: shadow mode asks while
 * serving, `tailfin compare` offline.
 */
#ifndef TAILFIN_QUERY_COMPARE_H
#define TAILFIN_QUERY_COMPARE_H

#include "base/json.h"

enum { QRY_TOP_N = 10 };

/* What counts of one search's answer; borrows from its JSON. */
struct qry_top {
    bool is_error; /* no hits, but a sentence */
    bool has_ids;  /* false: the documents were asked for without their ids */
    uint64_t found;
    uint32_t n;
    struct span ids[QRY_TOP_N]; /* n, in order; of grouped hits: one group after the other */
};

struct qry_agreement {
    bool is_found_equal;
    bool has_overlap; /* false: unknown, or both are errors */
    double overlap;   /* the part of the longer list's first ten that is in both, 0..1 */
    double badness;   /* 0: they agree; for ordering */
};

/* Reads an answer of a search, or an element of "results". Anything else is an error's answer. */
void qry_top_read(const struct json *answer, struct qry_top *out);
struct qry_agreement qry_top_compare(const struct qry_top *a, const struct qry_top *b);
/* `["a","b"]` */
void qry_top_write_ids(const struct qry_top *top, struct buf *out);

#endif
