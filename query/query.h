/*
 * The query side: requests in the API's dialect to answers. Owns the reading
 * routes, the keys' rights, and the worker pool for searches that take longer
 * than a loop's slice.
 */
#ifndef TAILFIN_QUERY_QUERY_H
#define TAILFIN_QUERY_QUERY_H

#include "base/fs.h"
#include "base/log.h"
#include "base/metrics.h"
#include "http/http.h"
#include "index/index.h"

struct qry;

/* Where searches are asked again, to compare: where they are not served from. */
enum qry_shadow_mode { QRY_SHADOW_OFF, QRY_SHADOW_TYPESENSE, QRY_SHADOW_BUILTIN };

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

    /* Typesense. The key is sent to these nodes only and shown to nobody. */
    const char *upstream_urls;   /* http://HOST:PORT, separated by commas; NULL: there is none */
    const char *upstream_key;    /* may be NULL */
    bool is_forwarding;          /* reading requests are answered by Typesense */
    uint64_t forward_us;         /* longest wait for it; default 3 s */
    enum qry_shadow_mode shadow; /* the other side than the one that serves */
    unsigned shadow_percent;     /* of the searches; default 10 */
    struct fs *fs;               /* for shadow.log; NULL: none is written */
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

/* `,"upstream":{...}` if requests are forwarded: how the nodes of Typesense are. Any thread. */
void qry_write_health(const struct qry *q, struct buf *out);
/* Whether somebody can answer reading requests: false only if no node of Typesense can. */
bool qry_is_healthy(const struct qry *q);

/*
 * Calls each with the id of every live document of `snapshot`'s collection
 * that matches a filter_by expression. RC_INVALID, RC_ABSENT with the
 * sentence for the client. Any thread; cost of evaluating the filter + hits.
 */
MUST_USE enum rc qry_filter_ids(const struct idx_collection *c, struct span filter_by,
                                void (*each)(void *arg, struct span id), void *arg,
                                struct err *err);

#endif
