/* Inside the query side: what its files share. Private to query/. */
#ifndef TAILFIN_QUERY_ENGINE_H
#define TAILFIN_QUERY_ENGINE_H

#include <pthread.h>

#include "base/queue.h"

#include "query/ctx.h"
#include "query/forecast.h"
#include "query/forward.h"
#include "query/search.h"

enum qry_job_kind { QRY_JOB_SEARCH, QRY_JOB_MULTI, QRY_JOB_EXPORT };

struct qry_job { /* a request that left its loop */
    struct http_exchange *exchange;
    enum qry_job_kind kind;
    uint32_t forecast; /* its kind there */
};

struct qry_worker {
    struct qry *qry;
    struct qry_ctx ctx;
    struct queue *queue;
    pthread_t thread;
    bool is_started, has_ctx;
};

struct qry {
    struct qry_options options;
    struct qry_ctx *loops; /* by number of the loop */
    unsigned n_loops;
    struct qry_forecast forecast;
    struct queue *searches, *exports;
    struct qry_worker *workers; /* n_workers for searches, then one for exports */
    unsigned n_workers;
    struct qry_upstream *upstream;  /* NULL: no Typesense */
    struct qry_shadow *shadow;      /* NULL: off */
    struct qry_forward *forward;    /* NULL: answers come from the index */
    pthread_mutex_t authorize_lock; /* guards authorize */
    struct qry_ctx authorize;
};

/* ---- workers.c ---- */

MUST_USE enum rc qry_workers_start(struct qry *q, struct err *err);
void qry_workers_stop(struct qry *q);
/* Hands the exchange to a worker; answers 503 if the queue is full. */
void qry_workers_give(struct qry *q, struct http_exchange *x, enum qry_job_kind kind,
                      uint32_t forecast);

/* ---- http_search.c ---- */

/*
 * Answers a search or a multi_search. False: the slice ended first; the
 * exchange is untouched. With an endless slice always true.
 */
bool qry_http_search(struct qry_ctx *ctx, struct http_exchange *x, bool is_multi,
                     struct qry_slice slice);
/* Appends the answer to what was gathered; *ask has snapshot and times. As qry_search_run. */
MUST_USE enum rc qry_http_run(struct qry_ctx *ctx, const struct qry_gathered *g,
                              struct qry_ask *ask, struct buf *out, struct err *err);
/* Answers with the status of rc and the sentence in err. */
void qry_http_fail(struct http_exchange *x, enum rc rc, const struct err *err);
void qry_http_ok(struct http_exchange *x, struct buf *take);

/* ---- export.c ---- */

/* Streams all documents that match. Worker threads only. */
void qry_http_export(struct qry_ctx *ctx, struct http_exchange *x);
/* Whether it asks for a collection that only the index has, whoever answers searches. */
bool qry_export_is_internal(const struct http_exchange *x);

/* ---- read_routes.c ---- */

struct qry_read_route;

/* The route of a collection, document, alias, key or subsystem that is read; NULL: none of them. */
const struct qry_read_route *qry_read_route_find(const struct http_request *r);
/* Whether its answer is Tailfin's, whoever answers searches: keys. */
bool qry_read_route_is_ours(const struct qry_read_route *route);
/* Whether the key allows it; otherwise it was answered. */
MUST_USE bool qry_read_route_allows(struct qry_ctx *ctx, struct http_exchange *x,
                                    const struct qry_read_route *route);
/* Answers from the index, having checked the key. */
void qry_http_read(struct qry_ctx *ctx, struct http_exchange *x,
                   const struct qry_read_route *route);

#endif
