/*
 * One search, from parameters to the answer's text. Private to query/.
 */
#ifndef TAILFIN_QUERY_SEARCH_H
#define TAILFIN_QUERY_SEARCH_H

#include "query/ctx.h"
#include "query/deadline.h"
#include "query/params.h"

struct qry_ask {
    const struct idx_snapshot *snapshot;
    struct span collection;
    const struct qry_params *params;
    uint64_t begin_us;      /* when the request began */
    struct qry_slice slice; /* what the thread can give it */
};

/* Returned when the slice ended first: nothing was written; ask again with more time. */
#define QRY_UNFINISHED ((enum rc)1)

/*
 * Appends the answer's JSON object. Otherwise *err has the status (rc) and the
 * sentence for the client. The context's arena is used and not reset.
 */
MUST_USE enum rc qry_search_run(struct qry_ctx *ctx, const struct qry_ask *ask, struct buf *out,
                                struct err *err);

#endif
