/*
 * Sources of parameters and whose word counts: body, then URL, then scoped
 * key; the later one wins, but filters are all kept.
 */
#include "query/gather.h"

#include "base/json.h"

#include "query/keys.h"

struct gather {
    struct qry_ctx *ctx;
    const struct http_request *request;
    struct span key; /* of the request */
    struct qry_params url;
    struct qry_gathered *out;
    struct err *err;
};

static enum rc
deny(struct err *err)
{
    return err_set(err, RC_DENIED,
                   "send a key that may search here in the header X-TYPESENSE-API-KEY");
}

/* Adds what a scoped key demands. Its filter is a right: pinned documents have to pass it, too. */
static enum rc
check_key(struct gather *g, struct span key, struct qry_params *params)
{
    struct qry_params embedded = {0};
    struct span collection = params->value[QRY_P_COLLECTION];

    g->out->is_admin &= qry_keyring_is_admin(g->ctx->keyring, key);
    if (!qry_keyring_allows_search(g->ctx->keyring, key, collection, &g->ctx->arena, &embedded))
        return deny(g->err);
    if (qry_params_has(&embedded, QRY_P_FILTER_BY))
        embedded.value[QRY_P_FILTER_CURATED_HITS] = SPAN_LIT("true");
    qry_params_override(params, &embedded);
    return RC_OK;
}

/* ---- one ---- */

static enum rc
gather_one(struct gather *g)
{
    struct qry_params *params = arena_calloc(&g->ctx->arena, 1, sizeof *params);

    *params = g->url;
    params->value[QRY_P_COLLECTION] = g->request->parts[1];
    g->out->params = params;
    g->out->n = 1;
    enum rc rc = check_key(g, g->key, params);
    params->value[QRY_P_COLLECTION] = g->request->parts[1]; /* the path's word is final */
    return rc;
}

/* ---- several ---- */

static enum rc
parse_body(struct gather *g, const struct json **searches)
{
    struct json *body = arena_calloc(&g->ctx->arena, 1, sizeof *body);
    uint64_t limit = g->ctx->options->searches_max;

    if (json_parse(g->request->body, &g->ctx->arena, body, NULL) != RC_OK)
        return err_set(g->err, RC_INVALID, "the body is not valid JSON");
    *searches = json_get(body, "searches");
    if (!*searches || (*searches)->type != JSON_ARRAY)
        return err_set(g->err, RC_INVALID, "the body must be an object with an array \"searches\"");
    if ((*searches)->n == 0)
        return err_set(g->err, RC_INVALID, "\"searches\" is empty");
    struct span own = g->url.value[QRY_P_LIMIT_MULTI_SEARCHES];
    uint64_t asked;
    if (own.p && span_u64(own, &asked) && asked < limit)
        limit = asked;
    if ((*searches)->n > limit)
        return err_set(g->err, RC_INVALID, "a multi_search may have at most %llu searches",
                       (unsigned long long)limit);
    for (uint32_t i = 0; i < (*searches)->n; i++)
        if ((*searches)->items[i].type != JSON_OBJECT)
            return err_set(g->err, RC_INVALID, "each of \"searches\" must be an object");
    g->out->body = body;
    return RC_OK;
}

static enum rc
gather_element(struct gather *g, const struct json *search, struct qry_params *out)
{
    enum rc rc = qry_params_json(out, search, false, &g->ctx->arena, g->err);
    struct span key = g->key, own = out->value[QRY_P_API_KEY];

    if (rc != RC_OK)
        return rc;
    if (own.n > 0 && !qry_keyring_is_admin(g->ctx->keyring, g->key))
        key = own;
    qry_params_override(out, &g->url);
    struct span asked = out->value[QRY_P_COLLECTION];
    rc = check_key(g, key, out);
    /* A scoped key may name a collection of its own: one that it may search. */
    if (rc == RC_OK && !span_eq(asked, out->value[QRY_P_COLLECTION]))
        rc = check_key(g, key, out);
    return rc;
}

static enum rc
gather_several(struct gather *g)
{
    const struct json *searches = NULL;

    if (g->key.n == 0 && g->ctx->options->admin_key)
        return deny(g->err);
    enum rc rc = parse_body(g, &searches);
    if (rc != RC_OK)
        return rc;
    g->out->n = searches->n;
    g->out->params = arena_calloc(&g->ctx->arena, searches->n, sizeof *g->out->params);
    for (uint32_t i = 0; rc == RC_OK && i < searches->n; i++)
        rc = gather_element(g, &searches->items[i], &g->out->params[i]);
    return rc;
}

enum rc
qry_gather(struct qry_ctx *ctx, const struct http_exchange *x, const struct idx_snapshot *snapshot,
           bool is_multi, struct qry_gathered *out, struct err *err)
{
    const struct http_request *r = http_exchange_request(x);
    struct gather g = {.ctx = ctx, .request = r, .key = qry_key_of(x), .out = out, .err = err};

    *out = (struct qry_gathered){.is_multi = is_multi, .is_admin = true, .request = r};
    qry_keyring_refresh(ctx->keyring, snapshot);
    qry_params_url(&g.url, r->params, r->n_params, &ctx->arena);
    return is_multi ? gather_several(&g) : gather_one(&g);
}
