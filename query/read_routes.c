/*
 * Reading collections, documents by id, aliases and keys; and what a client
 * library is told of the subsystems that Tailfin does not have.
 * search-semantics 15.2 to 15.4.
 */
#include "query/engine.h"

#include "base/json.h"

#include "query/fields.h"
#include "query/keys.h"

enum { PREFIX_N = 4 };

struct read {
    struct qry_ctx *ctx;
    const struct http_request *request;
    const struct idx_snapshot *snapshot;
    struct buf *out;
    struct err *err;
};

static struct span
part(const struct read *r, size_t i)
{
    return i < r->request->n_parts ? r->request->parts[i] : (struct span){0};
}

static struct span
param(const struct read *r, const char *name)
{
    const struct http_param *p = http_request_param(r->request, name);

    return p ? p->value : (struct span){0};
}

static enum rc
absent(const struct read *r)
{
    return err_set(r->err, RC_ABSENT, "Not Found");
}

/* ---- collections ---- */

static enum rc
read_number(const struct read *r, const char *name, uint64_t fallback, uint64_t *out)
{
    struct span text = param(r, name);

    *out = fallback;
    if (text.n > 0 && !span_u64(text, out))
        return err_set(r->err, RC_INVALID, "parameter %s must be an unsigned integer", name);
    return RC_OK;
}

/* What is there for the API: internal collections are not. */
static const struct idx_collection *const *
public_collections(struct read *r, size_t *n_out)
{
    size_t n, n_public = 0;
    const struct idx_collection *const *all = idx_snapshot_collections(r->snapshot, &n);
    const struct idx_collection **out = arena_calloc(&r->ctx->arena, n, sizeof *out);

    for (size_t i = 0; i < n; i++)
        if (!all[i]->schema->is_internal)
            out[n_public++] = all[i];
    *n_out = n_public;
    return out;
}

static enum rc
list_collections(struct read *r)
{
    size_t n;
    uint64_t offset, limit;
    const struct idx_collection *const *all = public_collections(r, &n);
    enum rc rc = read_number(r, "offset", 0, &offset);

    if (rc == RC_OK)
        rc = read_number(r, "limit", UINT64_MAX, &limit);
    if (rc != RC_OK)
        return rc;
    if (offset > 0 && offset >= n)
        return err_set(r->err, RC_INVALID, "offset lies behind the last collection");
    bool is_short = span_eq_str(param(r, "exclude_fields"), "fields");
    buf_putc(r->out, '[');
    for (size_t i = (size_t)offset; i < n && i - offset < limit; i++) {
        json_put_comma(r->out);
        sch_write(all[i]->schema, all[i]->n_docs, is_short, r->out);
    }
    buf_putc(r->out, ']');
    return RC_OK;
}

static enum rc
get_collection(struct read *r)
{
    const struct idx_collection *c = idx_snapshot_find_public(r->snapshot, part(r, 1));

    if (!c)
        return absent(r);
    sch_write(c->schema, c->n_docs, false, r->out);
    return RC_OK;
}

static enum rc
get_document(struct read *r)
{
    const struct idx_collection *c = idx_snapshot_find_public(r->snapshot, part(r, 1));
    struct span id = part(r, 3), json;
    uint32_t view, doc;

    if (!c)
        return absent(r);
    if (!idx_collection_find(c, id, &view, &doc))
        return err_set(r->err, RC_ABSENT, "there is no document with the id %.*s", SPAN_ARG(id));
    enum rc rc = idx_doc_reader_get(r->ctx->documents, c->views[view].segment, doc, &json, r->err);
    if (rc != RC_OK)
        return rc;
    struct qry_names include = qry_names_of(param(r, "include_fields"), &r->ctx->arena);
    struct qry_names exclude = qry_names_of(param(r, "exclude_fields"), &r->ctx->arena);
    qry_fields_write(json, &include, include.n == 0, &exclude, r->out);
    return RC_OK;
}

/* ---- aliases ---- */

static void
put_alias(struct buf *out, const struct idx_entry *alias)
{
    json_put_comma(out);
    buf_puts(out, "{\"collection_name\":");
    json_put_str(out, alias->value);
    buf_puts(out, ",\"name\":");
    json_put_str(out, alias->key);
    buf_putc(out, '}');
}

static enum rc
list_aliases(struct read *r)
{
    size_t n;
    const struct idx_entry *aliases = idx_snapshot_entries(r->snapshot, SPAN_LIT("alias"), &n);

    buf_puts(r->out, "{\"aliases\":[");
    for (size_t i = 0; i < n; i++)
        put_alias(r->out, &aliases[i]);
    buf_puts(r->out, "]}");
    return RC_OK;
}

static enum rc
get_alias(struct read *r)
{
    const struct idx_entry *alias = idx_snapshot_entry(r->snapshot, SPAN_LIT("alias"), part(r, 1));

    if (!alias)
        return absent(r);
    put_alias(r->out, alias);
    return RC_OK;
}

/* ---- keys: shown without their value ---- */

static void
put_key(struct read *r, const struct json *key)
{
    struct json shown = *key;

    shown.members = arena_calloc(&r->ctx->arena, key->n + 1, sizeof *shown.members);
    for (uint32_t i = 0; i < key->n; i++) {
        struct json_member *m = &shown.members[i];
        *m = key->members[i];
        if (!span_eq_str(m->name, "value"))
            continue;
        m->name = SPAN_LIT("value_prefix");
        if (m->value.type != JSON_STRING)
            m->value = (struct json){.type = JSON_NULL};
        else if (m->value.string.n > PREFIX_N)
            m->value.string.n = PREFIX_N;
    }
    json_put_comma(r->out);
    json_put(r->out, &shown, true);
}

/* All of them, or the one with that id; false if there is none. */
static bool
put_keys(struct read *r, const int64_t *id)
{
    size_t n;
    const struct idx_entry *entries = idx_snapshot_entries(r->snapshot, SPAN_LIT("key"), &n);

    for (size_t i = 0; i < n; i++) {
        struct json key;
        if (json_parse(entries[i].value, &r->ctx->arena, &key, NULL) != RC_OK)
            continue;
        const struct json *own = json_get(&key, "id");
        if (id && (!own || own->type != JSON_INT || own->i64 != *id))
            continue;
        put_key(r, &key);
        if (id)
            return true;
    }
    return false;
}

static enum rc
list_keys(struct read *r)
{
    buf_puts(r->out, "{\"keys\":[");
    (void)put_keys(r, NULL);
    buf_puts(r->out, "]}");
    return RC_OK;
}

static enum rc
get_key(struct read *r)
{
    int64_t id;

    if (!span_i64(part(r, 1), &id))
        return err_set(r->err, RC_INVALID, "the id of a key is a number");
    if (!put_keys(r, &id))
        return err_set(r->err, RC_ABSENT, "Not found.");
    return RC_OK;
}

/* ---- the table ---- */

struct qry_read_route { /* "*" in a pattern is any part */
    const char *parts[4];
    const char *action; /* the right it takes */
    enum rc (*answer)(struct read *r);
    const char *empty; /* without `answer`: what a subsystem that is not there has to say */
};

static const struct qry_read_route routes[] = {
    {{"collections"}, "collections:list", list_collections, NULL},
    {{"collections", "*"}, "collections:get", get_collection, NULL},
    {{"collections", "*", "documents", "*"}, "documents:get", get_document, NULL},
    {{"aliases"}, "aliases:list", list_aliases, NULL},
    {{"aliases", "*"}, "aliases:get", get_alias, NULL},
    {{"keys"}, "keys:list", list_keys, NULL},
    {{"keys", "*"}, "keys:get", get_key, NULL},
    {{"collections", "*", "synonyms"}, "synonyms:list", NULL, "{\"synonyms\":[]}"},
    {{"collections", "*", "overrides"}, "overrides:list", NULL, "{\"overrides\":[]}"},
    {{"presets"}, "presets:list", NULL, "{\"presets\":[]}"},
    {{"stopwords"}, "stopwords:list", NULL, "{\"stopwords\":[]}"},
    {{"limits"}, "*", NULL, "[]"},
    {{"analytics", "rules"}, "analytics/rules:list", NULL, "{\"rules\":[]}"},
    {{"conversations", "models"}, "*", NULL, "[]"},
};

static bool
is_route(const struct http_request *r, const struct qry_read_route *route)
{
    size_t n = 0;

    while (n < ARRAY_SIZE(route->parts) && route->parts[n])
        n++;
    if (r->n_parts != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(route->parts[i], "*") != 0 && !span_eq_str(r->parts[i], route->parts[i]))
            return false;
    return true;
}

const struct qry_read_route *
qry_read_route_find(const struct http_request *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
        if (is_route(r, &routes[i]))
            return &routes[i];
    return NULL;
}

bool
qry_read_route_is_ours(const struct qry_read_route *route)
{
    return strcmp(route->parts[0], "keys") == 0;
}

/* The part of the path that names a collection or an alias; empty: all of them. */
static struct span
subject(const struct http_request *r)
{
    bool has_one = span_eq_str(r->parts[0], "collections") || span_eq_str(r->parts[0], "aliases");

    return has_one && r->n_parts > 1 ? r->parts[1] : (struct span){0};
}

static enum rc
check(struct qry_ctx *ctx, const struct http_exchange *x, const struct idx_snapshot *snapshot,
      const struct qry_read_route *route, struct err *err)
{
    qry_keyring_refresh(ctx->keyring, snapshot);
    if (qry_keyring_allows(ctx->keyring, qry_key_of(x), route->action,
                           subject(http_exchange_request(x))))
        return RC_OK;
    return err_set(err, RC_DENIED, "send a key that may do this in the header X-TYPESENSE-API-KEY");
}

bool
qry_read_route_allows(struct qry_ctx *ctx, struct http_exchange *x,
                      const struct qry_read_route *route)
{
    struct err err = {0};
    enum rc rc = check(ctx, x, qry_ctx_begin(ctx), route, &err);

    qry_ctx_end(ctx);
    if (rc != RC_OK)
        qry_http_fail(x, rc, &err);
    return rc == RC_OK;
}

static enum rc
answer(struct read *r, const struct qry_read_route *route)
{
    if (route->answer)
        return route->answer(r);
    struct span collection = subject(r->request);
    if (collection.n > 0 && !idx_snapshot_find_public(r->snapshot, collection))
        return absent(r);
    buf_puts(r->out, route->empty);
    return RC_OK;
}

void
qry_http_read(struct qry_ctx *ctx, struct http_exchange *x, const struct qry_read_route *route)
{
    struct err err = {0};
    struct buf out = {0};
    struct read r = {
        .ctx = ctx,
        .request = http_exchange_request(x),
        .snapshot = qry_ctx_begin(ctx),
        .out = &out,
        .err = &err,
    };

    enum rc rc = check(ctx, x, r.snapshot, route, &err);
    if (rc == RC_OK)
        rc = answer(&r, route);
    qry_ctx_end(ctx);
    if (rc == RC_OK) {
        qry_http_ok(x, &out);
        return;
    }
    buf_fini(&out);
    qry_http_fail(x, rc, &err);
}
