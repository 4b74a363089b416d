/* Inside the query side: what its files share. Private to query/. */
#ifndef TAILFIN_QUERY_ENGINE_H
#define TAILFIN_QUERY_ENGINE_H

#include <pthread.h>

#include "base/queue.h"

#include "query/ctx.h"
#include "query/forecast.h"

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
 * exchange is untouched. With slice_end_us UINT64_MAX always true.
 */
bool qry_http_search(struct qry_ctx *ctx, struct http_exchange *x, uint64_t slice_end_us);
bool qry_http_multi(struct qry_ctx *ctx, struct http_exchange *x, uint64_t slice_end_us);
/* Answers with the status of rc and the sentence in err. */
void qry_http_fail(struct http_exchange *x, enum rc rc, const struct err *err);
void qry_http_ok(struct http_exchange *x, struct buf *take);

/* ---- export.c ---- */

/* Streams all documents that match. Worker threads only. */
void qry_http_export(struct qry_ctx *ctx, struct http_exchange *x);

/* ---- read_routes.c ---- */

/* Answers collections, documents, aliases, keys, empty subsystems; false: not one of them. */
bool qry_http_read(struct qry_ctx *ctx, struct http_exchange *x);

#endif
