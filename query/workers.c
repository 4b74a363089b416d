/*
 * Threads for what does not fit a loop's slice: long searches, and exports.
 * Their queues are bounded; a loop never waits for one.
 */
#include "query/engine.h"

#include "base/clock.h"

enum { EXPORTS_MAX = 32 };

static void
run_job(struct qry_worker *w, const struct qry_job *job)
{
    switch (job->kind) {
    case QRY_JOB_SEARCH:
    case QRY_JOB_MULTI:
        /* True: the slice never ends. */
        (void)qry_http_search(&w->ctx, job->exchange, job->kind == QRY_JOB_MULTI,
                              QRY_SLICE_ENDLESS);
        break;
    case QRY_JOB_EXPORT:
        if (w->qry->forward && !qry_export_is_internal(job->exchange))
            qry_forward_export(w->qry->upstream, &w->ctx, job->exchange);
        else
            qry_http_export(&w->ctx, job->exchange);
        break;
    }
}

static void *
run(void *arg)
{
    struct qry_worker *w = arg;

    for (;;) {
        struct qry_job *job = queue_pop(w->queue, UINT64_MAX);
        if (!job)
            break;
        uint64_t begin_us = clock_us();
        run_job(w, job);
        if (job->kind != QRY_JOB_EXPORT)
            qry_forecast_learn(&w->qry->forecast, job->forecast, clock_us() - begin_us);
        free(job);
    }
    return NULL;
}

enum rc
qry_workers_start(struct qry *q, struct err *err)
{
    unsigned n = q->options.n_workers + 1;

    q->searches = queue_new(q->options.worker_queue_max);
    q->exports = queue_new(EXPORTS_MAX);
    q->workers = xcalloc(n, sizeof *q->workers);
    q->n_workers = n;
    for (unsigned i = 0; i < n; i++) {
        struct qry_worker *w = &q->workers[i];
        w->qry = q;
        w->queue = i + 1 < n ? q->searches : q->exports;
        enum rc rc = qry_ctx_init(&w->ctx, &q->options, err);
        w->has_ctx = true;
        w->ctx.shadow = q->shadow;
        if (rc != RC_OK)
            return rc;
        int e = pthread_create(&w->thread, NULL, run, w);
        if (e != 0)
            return err_sys(err, RC_NOMEM, e, "starting a search thread");
        w->is_started = true;
    }
    return RC_OK;
}

void
qry_workers_stop(struct qry *q)
{
    if (q->searches)
        queue_close(q->searches);
    if (q->exports)
        queue_close(q->exports);
    for (unsigned i = 0; i < q->n_workers; i++) {
        if (q->workers[i].is_started)
            (void)pthread_join(q->workers[i].thread, NULL);
        if (q->workers[i].has_ctx)
            qry_ctx_fini(&q->workers[i].ctx);
    }
    queue_free(q->searches);
    queue_free(q->exports);
    free(q->workers);
}

void
qry_workers_give(struct qry *q, struct http_exchange *x, enum qry_job_kind kind,
                 uint32_t forecast)
{
    struct qry_job *job = xmalloc(sizeof *job);
    struct metrics_block *m = q->loops[http_exchange_loop(x)].metrics;

    *job = (struct qry_job){x, kind, forecast};
    if (queue_try_push(kind == QRY_JOB_EXPORT ? q->exports : q->searches, job)) {
        if (kind != QRY_JOB_EXPORT)
            metrics_add(m, M_SEARCHES_MOVED, 1);
        return;
    }
    free(job);
    metrics_add(m, M_SEARCHES_SHED, 1);
    http_reply_header(x, "Retry-After", "1");
    http_reply_error(x, rc_http(RC_BUSY), "too many long searches are waiting; try again");
}
