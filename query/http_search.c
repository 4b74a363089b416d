/* Searches and multi_search over HTTP: keys, sources of parameters, answers. */
#include "query/engine.h"

#include "base/clock.h"
#include "base/json.h"

#include "query/keys.h"
#include "query/search.h"

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

static enum rc
deny(struct err *err)
{
    return err_set(err, RC_DENIED,
                   "send a key that may search here in the header X-TYPESENSE-API-KEY");
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
             (unsigned long long)(us / MICROS), rc_http(rc),
             log_quote(ask->collection, collection),
             log_quote(ask->params->value[QRY_P_Q], q),
             log_quote(ask->params->value[QRY_P_FILTER_BY], filter));
}

/* ---- one search ---- */

static enum rc
search(struct qry_ctx *ctx, struct http_exchange *x, const struct qry_ask *ask,
       struct qry_params *params, struct buf *out, struct err *err)
{
    const struct http_request *r = http_exchange_request(x);
    struct qry_params embedded = {0};

    qry_keyring_refresh(ctx->keyring, ask->snapshot);
    if (!qry_keyring_allows_search(ctx->keyring, qry_key_of(x), ask->collection, &ctx->arena,
                                   &embedded))
        return deny(err);
    qry_params_url(params, r->params, r->n_params, &ctx->arena);
    qry_params_override(params, &embedded);
    enum rc rc = qry_search_run(ctx, ask, out, err);
    if (rc != QRY_UNFINISHED)
        note(ctx, ask, rc);
    return rc;
}

bool
qry_http_search(struct qry_ctx *ctx, struct http_exchange *x, uint64_t slice_end_us)
{
    struct qry_params params = {0};
    struct err err = {0};
    struct buf out = {0};
    struct qry_ask ask = {
        .snapshot = qry_ctx_begin(ctx),
        .collection = http_exchange_request(x)->parts[1],
        .params = &params,
        .begin_us = http_exchange_begin_us(x),
        .slice_end_us = slice_end_us,
    };

    buf_reserve(&out, ANSWER_BYTES);
    enum rc rc = search(ctx, x, &ask, &params, &out, &err);
    qry_ctx_end(ctx);
    if (rc == RC_OK) {
        qry_http_ok(x, &out);
        return true;
    }
    buf_fini(&out);
    if (rc == QRY_UNFINISHED)
        return false;
    qry_http_fail(x, rc, &err);
    return true;
}

/* ---- several ---- */

struct multi {
    struct qry_ctx *ctx;
    struct http_exchange *x;
    const struct idx_snapshot *snapshot;
    struct span key; /* of the request */
    struct qry_params url;
    uint64_t slice_end_us;
    struct err *err;
};

static enum rc
parse_body(struct multi *m, const struct json **searches)
{
    const struct http_request *r = http_exchange_request(m->x);
    struct json *body = arena_calloc(&m->ctx->arena, 1, sizeof *body);
    uint64_t limit = m->ctx->options->searches_max;

    if (json_parse(r->body, &m->ctx->arena, body, NULL) != RC_OK)
        return err_set(m->err, RC_INVALID, "the body is not valid JSON");
    *searches = json_get(body, "searches");
    if (!*searches || (*searches)->type != JSON_ARRAY)
        return err_set(m->err, RC_INVALID, "the body must be an object with an array \"searches\"");
    if ((*searches)->n == 0)
        return err_set(m->err, RC_INVALID, "\"searches\" is empty");
    struct span own = m->url.value[QRY_P_LIMIT_MULTI_SEARCHES];
    uint64_t asked;
    if (own.p && span_u64(own, &asked) && asked < limit)
        limit = asked;
    if ((*searches)->n > limit)
        return err_set(m->err, RC_INVALID, "a multi_search may have at most %llu searches",
                       (unsigned long long)limit);
    for (uint32_t i = 0; i < (*searches)->n; i++)
        if ((*searches)->items[i].type != JSON_OBJECT)
            return err_set(m->err, RC_INVALID, "each of \"searches\" must be an object");
    return RC_OK;
}

/* Body, then URL, then scoped key: the later one wins. */
static enum rc
gather_params(struct multi *m, const struct json *search, struct qry_params *out)
{
    struct qry_params embedded = {0};
    enum rc rc = qry_params_json(out, search, false, &m->ctx->arena, m->err);

    if (rc != RC_OK)
        return rc;
    struct span key = m->key, own = out->value[QRY_P_API_KEY];
    if (own.n > 0 && !qry_keyring_is_admin(m->ctx->keyring, m->key))
        key = own;
    qry_params_override(out, &m->url);
    if (!qry_keyring_allows_search(m->ctx->keyring, key, out->value[QRY_P_COLLECTION],
                                   &m->ctx->arena, &embedded))
        return deny(m->err);
    qry_params_override(out, &embedded);
    return RC_OK;
}

static void
put_error(struct buf *out, enum rc rc, const struct err *err)
{
    buf_printf(out, "{\"code\":%d,\"error\":", rc_http(rc));
    json_put_str(out, span_str(err->text[0] ? err->text : rc_text(rc)));
    buf_putc(out, '}');
}

/* One of the searches; its failure is its own element, but for time and rights. */
static enum rc
run_one(struct multi *m, const struct qry_params *params, struct buf *out)
{
    struct err own = {0};
    struct qry_ask ask = {
        .snapshot = m->snapshot,
        .collection = params->value[QRY_P_COLLECTION],
        .params = params,
        .begin_us = clock_us(),
        .slice_end_us = m->slice_end_us,
    };

    enum rc rc = qry_search_run(m->ctx, &ask, out, &own);
    if (rc == QRY_UNFINISHED)
        return rc;
    note(m->ctx, &ask, rc);
    if (rc == RC_CUTOFF)
        return err_set(m->err, rc, "%s", own.text);
    if (rc != RC_OK)
        put_error(out, rc, &own);
    return RC_OK;
}

static enum rc
run_all(struct multi *m, struct buf *out)
{
    const struct http_request *r = http_exchange_request(m->x);
    const struct json *searches = NULL;

    qry_keyring_refresh(m->ctx->keyring, m->snapshot);
    qry_params_url(&m->url, r->params, r->n_params, &m->ctx->arena);
    if (m->key.n == 0 && m->ctx->options->admin_key)
        return deny(m->err);
    enum rc rc = parse_body(m, &searches);
    if (rc != RC_OK)
        return rc;
    struct qry_params *params = arena_calloc(&m->ctx->arena, searches->n, sizeof *params);
    for (uint32_t i = 0; rc == RC_OK && i < searches->n; i++)
        rc = gather_params(m, &searches->items[i], &params[i]);
    buf_puts(out, "{\"results\":[");
    for (uint32_t i = 0; rc == RC_OK && i < searches->n; i++) {
        if (i > 0)
            buf_putc(out, ',');
        rc = run_one(m, &params[i], out);
    }
    buf_puts(out, "]}");
    return rc;
}

bool
qry_http_multi(struct qry_ctx *ctx, struct http_exchange *x, uint64_t slice_end_us)
{
    struct err err = {0};
    struct buf out = {0};
    struct multi m = {
        .ctx = ctx,
        .x = x,
        .snapshot = qry_ctx_begin(ctx),
        .key = qry_key_of(x),
        .slice_end_us = slice_end_us,
        .err = &err,
    };

    buf_reserve(&out, ANSWER_BYTES);
    enum rc rc = run_all(&m, &out);
    qry_ctx_end(ctx);
    if (rc == RC_OK) {
        qry_http_ok(x, &out);
        return true;
    }
    buf_fini(&out);
    if (rc == QRY_UNFINISHED)
        return false;
    qry_http_fail(x, rc, &err);
    return true;
}
