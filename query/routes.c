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

static void
handle_search(struct qry *q, struct qry_ctx *ctx, struct http_exchange *x)
{
    if (!qry_http_search(ctx, x, clock_us() + q->options.slice_us))
        qry_workers_give(q, x, QRY_JOB_SEARCH);
}

static void
handle_multi(struct qry *q, struct qry_ctx *ctx, struct http_exchange *x)
{
    bool is_small = http_exchange_request(x)->body.n <= LOOP_BODY_MAX;

    if (!is_small || !qry_http_multi(ctx, x, clock_us() + q->options.slice_us))
        qry_workers_give(q, x, QRY_JOB_MULTI);
}

bool
qry_handle(struct qry *q, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    unsigned loop = http_exchange_loop(x);

    must(loop < q->n_loops);
    struct qry_ctx *ctx = &q->loops[loop];
    if (r->method == HTTP_POST && r->n_parts == 1 && span_eq_str(r->parts[0], "multi_search")) {
        handle_multi(q, ctx, x);
        return true;
    }
    if (r->method != HTTP_GET && r->method != HTTP_HEAD)
        return false;
    if (is_search(r)) {
        handle_search(q, ctx, x);
        return true;
    }
    if (is_export(r)) {
        qry_workers_give(q, x, QRY_JOB_EXPORT);
        return true;
    }
    return qry_http_read(ctx, x);
}
