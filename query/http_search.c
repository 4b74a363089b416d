/* Searches and multi_search over HTTP, answered from the index. */
#include "query/engine.h"

#include "base/clock.h"
#include "base/json.h"

#include "query/shadow.h"

enum { ANSWER_BYTES = 4096, MICROS = 1000 };

static const char json_type[] = "application/json; charset=utf-8";

void
qry_http_fail(struct http_exchange *x, enum rc rc, const struct err *err)
{
    int status = rc_http(rc);

    if (status == 503)
        http_reply_header(x, "Retry-After", "1");
    http_reply_error(x, status, "%s", err->text[0] ? err->text : rc_text(rc));
}

void
qry_http_ok(struct http_exchange *x, struct buf *take)
{
    http_reply(x, 200, json_type, take);
}

static void
note(struct qry_ctx *ctx, const struct qry_ask *ask, enum rc rc)
{
    const struct qry_options *o = ctx->options;
    uint64_t us = clock_us() - ask->begin_us;
    char collection[LOG_QUOTE_MAX], q[LOG_QUOTE_MAX], filter[LOG_QUOTE_MAX];

    metrics_add(ctx->metrics, M_SEARCHES, 1);
    metrics_observe(ctx->metrics, M_SEARCH_TIME, us);
    if (rc != RC_OK)
        metrics_add(ctx->metrics, M_SEARCH_ERRORS, 1);
    bool is_slow = o->slow_us > 0 && us > o->slow_us;
    if (!o->log || (!is_slow && rc_http(rc) < 500))
        return;
    log_line(o->log, LOG_WARN, "query", "slow", "ms=%llu status=%d collection=%s q=%s filter=%s",
             (unsigned long long)(us / MICROS), rc_http(rc), log_quote(ask->collection, collection),
             log_quote(ask->params->value[QRY_P_Q], q),
             log_quote(ask->params->value[QRY_P_FILTER_BY], filter));
}

/* ---- running ---- */

static void
put_error(struct buf *out, enum rc rc, const struct err *err)
{
    buf_printf(out, "{\"code\":%d,\"error\":", rc_http(rc));
    json_put_str(out, span_str(err->text[0] ? err->text : rc_text(rc)));
    buf_putc(out, '}');
}

static enum rc
run_one(struct qry_ctx *ctx, struct qry_ask *ask, struct buf *out, struct err *err)
{
    enum rc rc = qry_search_run(ctx, ask, out, err);

    if (rc != QRY_UNFINISHED)
        note(ctx, ask, rc);
    return rc;
}

/* The failure of one of several is its own element, but for time. */
static enum rc
run_several(struct qry_ctx *ctx, const struct qry_gathered *g, struct qry_ask *ask, struct buf *out,
            struct err *err)
{
    enum rc rc = RC_OK;

    buf_puts(out, "{\"results\":[");
    for (uint32_t i = 0; rc == RC_OK && i < g->n; i++) {
        struct err own = {0};
        json_put_comma(out);
        ask->collection = g->params[i].value[QRY_P_COLLECTION];
        ask->params = &g->params[i];
        ask->begin_us = clock_us();
        rc = run_one(ctx, ask, out, &own);
        if (rc == RC_CUTOFF)
            return err_set(err, rc, "%s", own.text);
        if (rc == RC_OK || rc == QRY_UNFINISHED)
            continue;
        put_error(out, rc, &own);
        rc = RC_OK;
    }
    buf_puts(out, "]}");
    return rc;
}

enum rc
qry_http_run(struct qry_ctx *ctx, const struct qry_gathered *g, struct qry_ask *ask,
             struct buf *out, struct err *err)
{
    if (g->is_multi)
        return run_several(ctx, g, ask, out, err);
    ask->collection = g->params->value[QRY_P_COLLECTION];
    ask->params = g->params;
    return run_one(ctx, ask, out, err);
}

bool
qry_http_search(struct qry_ctx *ctx, struct http_exchange *x, bool is_multi, struct qry_slice slice)
{
    struct err err = {0};
    struct buf out = {0};
    struct qry_gathered gathered;
    struct qry_ask ask = {
        .snapshot = qry_ctx_begin(ctx),
        .begin_us = http_exchange_begin_us(x),
        .slice = slice,
    };

    buf_reserve(&out, ANSWER_BYTES);
    enum rc rc = qry_gather(ctx, x, ask.snapshot, is_multi, &gathered, &err);
    if (rc == RC_OK)
        rc = qry_http_run(ctx, &gathered, &ask, &out, &err);
    struct qry_replay *replay = NULL;
    if (rc == RC_OK && qry_shadow_samples(ctx->shadow, buf_span(&out)))
        replay = qry_replay_of_gathered(&gathered, &ctx->arena, buf_span(&out),
                                        clock_us() - http_exchange_begin_us(x));
    qry_ctx_end(ctx);
    if (rc == RC_OK) {
        qry_http_ok(x, &out);
        qry_shadow_give(ctx->shadow, replay);
        return true;
    }
    buf_fini(&out);
    if (rc == QRY_UNFINISHED)
        return false;
    qry_http_fail(x, rc, &err);
    return true;
}
