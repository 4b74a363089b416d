#include "query/replay.h"

#include "base/clock.h"
#include "base/json.h"

#include "query/engine.h"
#include "query/search.h"

enum { ANSWER_MAX = 64 << 20 };

/* ---- life ---- */

struct qry_replay *
qry_replay_of_gathered(const struct qry_gathered *g, struct arena *arena, struct span answer,
                       uint64_t took_us)
{
    struct qry_replay *r = xcalloc(1, sizeof *r);

    if (qry_outgoing_search(g, arena, &r->asked, NULL) != RC_OK) {
        qry_replay_free(r);
        return NULL;
    }
    buf_put_span(&r->answer, answer);
    r->took_us = took_us;
    return r;
}

struct qry_replay *
qry_replay_of_outgoing(const struct qry_outgoing *asked, struct span answer, uint64_t took_us)
{
    struct qry_replay *r = xcalloc(1, sizeof *r);

    r->asked.is_post = asked->is_post;
    r->asked.n_searches = asked->n_searches;
    buf_put_span(&r->asked.target, buf_span(&asked->target));
    buf_put_span(&r->asked.body, buf_span(&asked->body));
    buf_put_span(&r->answer, answer);
    r->took_us = took_us;
    return r;
}

void
qry_replay_free(struct qry_replay *r)
{
    if (!r)
        return;
    qry_outgoing_fini(&r->asked);
    buf_fini(&r->answer);
    free(r);
}

/* ---- Typesense ---- */

enum rc
qry_replay_upstream(const struct qry_replay *r, struct qry_upstream *u, struct http_client *client,
                    uint64_t timeout_us, unsigned turn, struct buf *answer)
{
    int node = qry_upstream_pick(u, turn, 0);
    struct buf url = {0};
    int status = 0;

    if (node < 0)
        return RC_UNREACHABLE;
    buf_puts(&url, qry_upstream_url(u, node));
    buf_put_span(&url, buf_span(&r->asked.target));
    buf_putc(&url, '\0');
    const struct http_call call = {.method = r->asked.is_post ? "POST" : "GET",
                                   .url = url.p,
                                   .headers = qry_upstream_headers(u),
                                   .body = buf_span(&r->asked.body),
                                   .timeout_us = timeout_us,
                                   .answer_bytes_max = ANSWER_MAX,
                                   .is_identity = true};
    enum rc rc = http_client_fetch(client, &call, &status, answer, NULL);
    if (rc != RC_OK)
        qry_upstream_failed(u, node);
    else if (status == 401 || status == 403 || status >= 500)
        rc = RC_UNREACHABLE;
    buf_fini(&url);
    return rc;
}

/* ---- the index ---- */

static enum rc
read_single(const struct qry_replay *r, struct arena *arena, struct qry_gathered *out)
{
    struct span target = buf_span(&r->asked.target), path = span_split(&target, '?');
    struct span parts = span_from(path, 1);
    size_t n = 0;

    const struct http_param *params = http_params(target, arena, &n);
    out->n = 1;
    out->params = arena_calloc(arena, 1, sizeof *out->params);
    qry_params_url(out->params, params, n, arena);
    (void)span_split(&parts, '/'); /* "collections" */
    out->params->value[QRY_P_COLLECTION] = http_decode(span_split(&parts, '/'), false, arena);
    return RC_OK;
}

static enum rc
read_multi(const struct qry_replay *r, struct arena *arena, struct qry_gathered *out,
           struct err *err)
{
    struct json body;
    enum rc rc = json_parse(buf_span(&r->asked.body), arena, &body, err);

    if (rc != RC_OK)
        return rc;
    const struct json *searches = json_get(&body, "searches");
    must(searches && searches->type == JSON_ARRAY); /* outgoing.c wrote it */
    out->is_multi = true;
    out->n = searches->n;
    out->params = arena_calloc(arena, searches->n, sizeof *out->params);
    for (uint32_t i = 0; rc == RC_OK && i < searches->n; i++)
        rc = qry_params_json(&out->params[i], &searches->items[i], true, arena, err);
    return rc;
}

enum rc
qry_replay_builtin(const struct qry_replay *r, struct qry_ctx *ctx, struct buf *answer,
                   struct err *err)
{
    struct qry_ask ask = {
        .snapshot = qry_ctx_begin(ctx), .begin_us = clock_us(), .slice = QRY_SLICE_ENDLESS};
    struct qry_gathered gathered = {0};
    enum rc rc = r->asked.is_post ? read_multi(r, &ctx->arena, &gathered, err)
                                  : read_single(r, &ctx->arena, &gathered);

    if (rc == RC_OK)
        rc = qry_http_run(ctx, &gathered, &ask, answer, err);
    qry_ctx_end(ctx);
    return rc;
}
