/*
 * The operators' routes. Rebuilding is MongoDB's affair: in standalone mode
 * there is no source to rebuild from, and the routes say so.
 */
#include "app/admin.h"

#include "base/clock.h"
#include "base/json.h"

static const char JSON[] = "application/json; charset=utf-8";

enum { REINDEX_NAMES_MAX = 64, LETTERS_DEFAULT = 100 };

/* ---- status ---- */

static void
put_collection(struct buf *out, const struct idx_collection *c)
{
    uint64_t bytes = 0, n_mapped = 0;
    for (uint32_t v = 0; v < c->n_views; v++) {
        bytes += idx_segment_n_bytes(c->views[v].segment);
        n_mapped += idx_segment_is_mapped(c->views[v].segment);
    }
    json_put_comma(out);
    buf_puts(out, "{\"name\":");
    json_put_str(out, c->schema->name);
    buf_printf(out,
               ",\"documents\":%llu,\"segments\":%u,\"segments_in_files\":%llu,\"bytes\":%llu,"
               "\"is_complete\":%s,\"generation\":%u}",
               (unsigned long long)c->n_docs, c->n_views, (unsigned long long)n_mapped,
               (unsigned long long)bytes, c->is_complete ? "true" : "false", c->uid);
}

void
app_status_write(struct app *app, struct buf *out)
{
    uint64_t wall_us = 0;
    uint64_t commit = idx_commit_number(app->idx, &wall_us);
    buf_printf(out, "{\"uptime_s\":%llu,\"commit\":%llu,\"commit_age_ms\":%lld",
               (unsigned long long)((clock_us() - app->begin_us) / 1000000),
               (unsigned long long)commit,
               wall_us ? (long long)(clock_wall_us() - wall_us) / 1000 : -1LL);
    struct idx_reader *reader = idx_reader_new(app->idx);
    buf_puts(out, ",\"collections\":[");
    if (reader) {
        size_t n = 0;
        const struct idx_snapshot *s = idx_reader_begin(reader);
        const struct idx_collection *const *all = idx_snapshot_collections(s, &n);
        for (size_t i = 0; i < n; i++)
            put_collection(out, all[i]);
        idx_reader_end(reader);
        idx_reader_free(reader);
    }
    buf_puts(out, "],\"source\":{");
    if (app->mongo)
        ing_mongo_write_status(app->mongo, out);
    else
        buf_puts(out, "\"kind\":\"api\"");
    buf_puts(out, "}}");
}

static void
answer_status(struct app *app, struct http_exchange *x)
{
    struct buf body = {0};
    app_status_write(app, &body);
    http_reply(x, 200, JSON, &body);
}

/* ---- dead letters ---- */

static void
answer_dead_letters(struct app *app, struct http_exchange *x)
{
    const struct http_param *limit = http_request_param(http_exchange_request(x), "limit");
    uint64_t max = LETTERS_DEFAULT;
    if (limit && !span_u64(limit->value, &max)) {
        http_reply_error(x, 400, "`limit` is to be a whole number");
        return;
    }
    struct buf body = {0};
    if (app->mongo)
        ing_mongo_write_dead_letters(app->mongo, max, &body);
    else
        buf_puts(&body, "{\"count\":0,\"dropped\":0,\"letters\":[]}");
    http_reply(x, 200, JSON, &body);
}

/* ---- reindex ---- */

static void
answer_progress(struct app *app, struct http_exchange *x, int status)
{
    struct buf body = {0};
    ing_mongo_write_reindex(app->mongo, &body);
    http_reply(x, status, JSON, &body);
}

/* Names from ?collections=a,b or from {"collections": ["a", "b"]}; none: all. */
static enum rc
read_names(struct http_exchange *x, struct span *names, size_t *n, struct err *err)
{
    const struct http_request *r = http_exchange_request(x);
    const struct http_param *param = http_request_param(r, "collections");
    struct span rest = param ? param->value : (struct span){0};
    *n = 0;
    while (rest.p && *n < REINDEX_NAMES_MAX) {
        struct span name = span_trim(span_split(&rest, ','));
        if (name.n)
            names[(*n)++] = name;
    }
    if (span_trim(r->body).n == 0)
        return RC_OK;
    struct json body;
    enum rc rc = json_parse(r->body, http_exchange_arena(x), &body, err);
    if (rc != RC_OK)
        return err_wrap(err, rc, "reading the body");
    const struct json *list = json_get(&body, "collections");
    if (!list)
        return RC_OK;
    if (list->type != JSON_ARRAY || list->n + *n > REINDEX_NAMES_MAX)
        return err_set(err, RC_INVALID, "`collections` is to be a list of at most %d names",
                       REINDEX_NAMES_MAX);
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->items[i].type != JSON_STRING)
            return err_set(err, RC_INVALID, "`collections` is to be a list of names");
        names[(*n)++] = list->items[i].string;
    }
    return RC_OK;
}

static void
answer_reindex(struct app *app, struct http_exchange *x)
{
    if (!app->mongo) {
        http_reply_error(x, 409,
                         "there is no MongoDB to reindex from: the documents came over the API");
        return;
    }
    struct err err = {0};
    enum rc rc = RC_OK;
    struct span names[REINDEX_NAMES_MAX];
    size_t n = 0;
    switch (http_exchange_request(x)->method) {
    case HTTP_GET:
        answer_progress(app, x, 200);
        return;
    case HTTP_POST:
        rc = read_names(x, names, &n, &err);
        if (rc == RC_OK)
            rc = ing_mongo_reindex(app->mongo, names, n, &err);
        break;
    case HTTP_DELETE:
        rc = ing_mongo_cancel_reindex(app->mongo, &err);
        break;
    case HTTP_HEAD:
    case HTTP_PUT:
    case HTTP_PATCH:
    case HTTP_OPTIONS:
    case HTTP_METHOD_N:
    default:
        http_reply_error(x, 404, "Not Found");
        return;
    }
    if (rc != RC_OK)
        http_reply_error(x, rc_http(rc), "%s", err.text);
    else
        answer_progress(app, x, 202);
}

struct admin_route {
    const char *name;
    bool is_read_only; /* GET alone */
    void (*answer)(struct app *app, struct http_exchange *x);
};

static const struct admin_route ROUTES[] = {
    {"status", true, answer_status},
    {"dead_letters", true, answer_dead_letters},
    {"reindex", false, answer_reindex},
};

bool
app_admin_handle(struct app *app, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    if (r->n_parts != 2 || !span_eq_str(r->parts[0], "admin"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ROUTES); i++) {
        if (!span_eq_str(r->parts[1], ROUTES[i].name) ||
            (ROUTES[i].is_read_only && r->method != HTTP_GET))
            continue;
        if (qry_authorize(app->qry, x, "*", SPAN_LIT("*")))
            ROUTES[i].answer(app, x);
        return true;
    }
    return false;
}
