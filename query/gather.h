/*
 * What a request wants to search, wherever the parameters stand (URL, body,
 * scoped key), once its keys were found to allow it. Private to query/.
 */
#ifndef TAILFIN_QUERY_GATHER_H
#define TAILFIN_QUERY_GATHER_H

#include "query/ctx.h"
#include "query/params.h"

struct qry_gathered {
    struct qry_params *params; /* n: one for each search; all in the context's arena */
    uint32_t n;
    bool is_multi;
    bool is_admin; /* every search, by the admin key */
    /* Where the parameters came from, for those that params.def does not name. */
    const struct http_request *request;
    const struct json *body; /* of a multi_search; its array "searches" has n objects */
};

/*
 * The value of "collection" is set in every element. RC_DENIED, RC_INVALID
 * with a sentence. Between qry_ctx_begin and qry_ctx_end.
 */
MUST_USE enum rc qry_gather(struct qry_ctx *ctx, const struct http_exchange *x,
                            const struct idx_snapshot *snapshot, bool is_multi,
                            struct qry_gathered *out, struct err *err);

#endif
