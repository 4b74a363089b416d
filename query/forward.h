/*
 * Reading requests answered by Typesense: passed on from the loop they came
 * to, over connections that it keeps. Private to query/.
 */
#ifndef TAILFIN_QUERY_FORWARD_H
#define TAILFIN_QUERY_FORWARD_H

#include "query/ctx.h"
#include "query/shadow.h"
#include "query/upstream.h"

struct qry_forward;

/* Everything is borrowed; shadow may be NULL. */
MUST_USE struct qry_forward *qry_forward_new(const struct qry_options *options,
                                             struct qry_upstream *upstream,
                                             struct qry_shadow *shadow);
/* After the loops have ended. NULL allowed. */
void qry_forward_free(struct qry_forward *f);

/* Checks the keys and passes a search or multi_search on. Loop thread; always answers. */
void qry_forward_search(struct qry_forward *f, struct qry_ctx *ctx, struct http_exchange *x,
                        bool is_multi);
/* Passes any other reading request on, whose key was checked. Loop thread; always answers. */
void qry_forward_read(struct qry_forward *f, struct http_exchange *x);
/* Checks the key and streams an export through. Worker thread; always answers. */
void qry_forward_export(struct qry_upstream *upstream, struct qry_ctx *ctx,
                        struct http_exchange *x);

#endif
