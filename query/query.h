/*
 * The query side: requests in the API's dialect to answers. Owns the reading
 * routes, the keys' rights, and the worker pool for searches that take longer
 * than a loop's slice.
 */
#ifndef TAILFIN_QUERY_QUERY_H
#define TAILFIN_QUERY_QUERY_H

#include "base/log.h"
#include "base/metrics.h"
#include "http/http.h"
#include "index/index.h"

struct qry;

struct qry_options {
    struct idx *idx;           /* borrowed */
    unsigned n_loops;          /* of the HTTP server */
    unsigned n_workers;        /* default 2 */
    unsigned worker_queue_max; /* default 256; full: 503 with Retry-After */
    uint64_t slice_us;         /* a search's time in its loop; default 4,000 */
    bool is_full;              /* default of the parameter match: full instead of compat */
    unsigned per_page_max;     /* default 250 */
    unsigned filter_ops_max;   /* default 100 */
    unsigned searches_max;     /* of one multi_search; default 50 */
    const char *admin_key;     /* may be NULL: then every request may do everything */
    const char *search_key;    /* may be NULL */
    struct metrics *metrics;   /* may be NULL */
    struct log *log;           /* may be NULL; slow and failed searches */
    uint64_t slow_us;          /* searches slower than this are logged; 0: none */
};

void qry_options_init(struct qry_options *o);
MUST_USE enum rc qry_new(const struct qry_options *options, struct qry **out, struct err *err);
void qry_free(struct qry *q); /* waits for its workers; NULL allowed */

/*
 * Answers the exchange if it is one of the reading routes (searches,
 * multi_search, collections, a document by id, export, aliases, keys) and returns true; false:
 * not touched. Loop thread; never blocks.
 */
bool qry_handle(struct qry *q, struct http_exchange *x);

/*
 * Whether the exchange's key may do `action` ("documents:create",
 * "collections:list", "*" for admin routes) on a collection ("" or "*": all).
 * True: go on. False: it was answered with 401. Any thread.
 */
bool qry_authorize(struct qry *q, struct http_exchange *x, const char *action,
                   struct span collection);

/*
 * Calls each with the id of every live document of `snapshot`'s collection
 * that matches a filter_by expression. RC_INVALID, RC_ABSENT with the
 * sentence for the client. Any thread; cost of evaluating the filter + hits.
 */
MUST_USE enum rc qry_filter_ids(const struct idx_collection *c, struct span filter_by,
                                void (*each)(void *arg, struct span id), void *arg,
                                struct err *err);

#endif
