/* Which request is whose: searches in the loop or by a worker, exports, reading routes. */
#include "query/engine.h"

#include "base/clock.h"

enum { LOOP_BODY_MAX = 64 << 10 };

static bool
is_search(const struct http_request *r)
{
    return r->n_parts == 4 && span_eq_str(r->parts[0], "collections") &&
           span_eq_str(r->parts[2], "documents") && span_eq_str(r->parts[3], "search");
}

static bool
is_export(const struct http_request *r)
{
    return r->n_parts == 4 && span_eq_str(r->parts[0], "collections") &&
           span_eq_str(r->parts[2], "documents") && span_eq_str(r->parts[3], "export");
}

/*
 * By Typesense, or from the index: in the loop if it is likely to fit a slice,
 * else (and if it does not after all) by a worker.
 */
static void
handle(struct qry *q, struct qry_ctx *ctx, struct http_exchange *x, enum qry_job_kind kind)
{
    const struct http_request *r = http_exchange_request(x);
    bool is_multi = kind == QRY_JOB_MULTI;

    if (q->forward) {
        qry_forward_search(q->forward, ctx, x, is_multi);
        return;
    }
    uint32_t forecast = qry_forecast_kind(r);
    struct qry_slice slice = qry_slice_begin(q->options.slice_us);
    bool is_short = qry_forecast_us(&q->forecast, forecast) <= slice.length_us;
    bool is_done = false;

    if (is_short && r->body.n <= LOOP_BODY_MAX)
        is_done = qry_http_search(ctx, x, is_multi, slice);
    if (is_done)
        qry_forecast_learn(&q->forecast, forecast, clock_us() - slice.begin_us);
    else
        qry_workers_give(q, x, kind, forecast);
}

bool
qry_handle(struct qry *q, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    unsigned loop = http_exchange_loop(x);

    must(loop < q->n_loops);
    struct qry_ctx *ctx = &q->loops[loop];
    if (r->method == HTTP_POST && r->n_parts == 1 && span_eq_str(r->parts[0], "multi_search")) {
        handle(q, ctx, x, QRY_JOB_MULTI);
        return true;
    }
    if (r->method != HTTP_GET && r->method != HTTP_HEAD)
        return false;
    if (is_search(r)) {
        handle(q, ctx, x, QRY_JOB_SEARCH);
        return true;
    }
    if (is_export(r)) {
        qry_workers_give(q, x, QRY_JOB_EXPORT, 0);
        return true;
    }
    const struct qry_read_route *route = qry_read_route_find(r);
    if (!route)
        return false;
    if (!q->forward || qry_read_route_is_ours(route))
        qry_http_read(ctx, x, route);
    else if (qry_read_route_allows(ctx, x, route))
        qry_forward_read(q->forward, x);
    return true;
}
