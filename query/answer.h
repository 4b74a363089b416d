/* The text of a search's answer: search-semantics section 12. Private to query/. */
#ifndef TAILFIN_QUERY_ANSWER_H
#define TAILFIN_QUERY_ANSWER_H

#include "query/ctx.h"
#include "query/curate.h"
#include "query/match.h"

struct qry_answer {
    const struct qry_plan *plan;
    const struct qry_match *match;   /* NULL without a query */
    const struct qry_groups *groups; /* NULL without group_by */
    const struct qry_unit *units;    /* of the page */
    size_t n_units;
    uint64_t found, found_docs;
    struct span facets; /* JSON */
    bool has_text_match, is_cut_off;
    uint64_t begin_us;
};

/* Appends the JSON object. RC_CORRUPT if a stored document cannot be read. */
MUST_USE enum rc qry_answer_write(struct qry_ctx *ctx, const struct qry_answer *a,
                                  struct buf *out, struct err *err);

#endif
