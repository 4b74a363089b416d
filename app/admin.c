/*
 * The operators' routes. Rebuilding and verifying are MongoDB's affair: in
 * standalone mode there is no source to read from, and the routes say so.
 */
#include "app/admin.h"

#include "base/clock.h"
#include "base/json.h"

static const char JSON[] = "application/json; charset=utf-8";

enum { ORDER_NAMES_MAX = 64, LETTERS_DEFAULT = 100 };

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

/* ---- reindex and verify ---- */

struct admin_order { /* what a POST asks for */
    struct span names[ORDER_NAMES_MAX];
    size_t n;
    bool may_repair; /* verify */
    bool is_forced;  /* reindex */
    uint64_t docs_per_s;
};

static enum rc
read_names(const struct json *list, struct admin_order *out, struct err *err)
{
    if (!list)
        return RC_OK;
    if (list->type != JSON_ARRAY || list->n + out->n > ORDER_NAMES_MAX)
        return err_set(err, RC_INVALID, "`collections` is to be a list of at most %d names",
                       ORDER_NAMES_MAX);
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->items[i].type != JSON_STRING)
            return err_set(err, RC_INVALID, "`collections` is to be a list of names");
        out->names[out->n++] = list->items[i].string;
    }
    return RC_OK;
}

/* A flag as a text, or as a JSON value; absent: as it is. */
static enum rc
read_flag(const char *name, struct span text, bool *out, struct err *err)
{
    *out = span_eq_str(text, "true");
    if (!*out && !span_eq_str(text, "false"))
        return err_set(err, RC_INVALID, "`%s` is to be true or false", name);
    return RC_OK;
}

static enum rc
read_json_flag(const char *name, const struct json *v, bool *out, struct err *err)
{
    if (!v)
        return RC_OK;
    const char *text = v->type != JSON_BOOL ? "" : v->boolean ? "true" : "false";
    return read_flag(name, span_str(text), out, err);
}

static enum rc
read_rate(struct span text, struct admin_order *out, struct err *err)
{
    if (!span_u64(text, &out->docs_per_s))
        return err_set(err, RC_INVALID, "`docs_per_s` is to be a whole number");
    return RC_OK;
}

static enum rc
read_query(const struct http_request *r, struct admin_order *out, struct err *err)
{
    const struct http_param *names = http_request_param(r, "collections");
    const struct http_param *repair = http_request_param(r, "repair");
    const struct http_param *rate = http_request_param(r, "docs_per_s");
    struct span rest = names ? names->value : (struct span){0};
    while (rest.p && out->n < ORDER_NAMES_MAX) {
        struct span name = span_trim(span_split(&rest, ','));
        if (name.n)
            out->names[out->n++] = name;
    }
    const struct http_param *force = http_request_param(r, "force");
    enum rc rc = repair ? read_flag("repair", repair->value, &out->may_repair, err) : RC_OK;
    if (rc == RC_OK && force)
        rc = read_flag("force", force->value, &out->is_forced, err);
    if (rc == RC_OK && rate)
        rc = read_rate(rate->value, out, err);
    return rc;
}

/* From ?collections=a,b&... or from {"collections": ["a", "b"], ...}; no names: all. */
static enum rc
read_order(struct http_exchange *x, struct admin_order *out, struct err *err)
{
    const struct http_request *r = http_exchange_request(x);
    struct json body;
    *out = (struct admin_order){0};
    enum rc rc = read_query(r, out, err);
    if (rc != RC_OK || span_trim(r->body).n == 0)
        return rc;
    rc = json_parse(r->body, http_exchange_arena(x), &body, err);
    if (rc != RC_OK)
        return err_wrap(err, rc, "reading the body");
    const struct json *rate = json_get(&body, "docs_per_s");
    rc = read_names(json_get(&body, "collections"), out, err);
    if (rc == RC_OK)
        rc = read_json_flag("repair", json_get(&body, "repair"), &out->may_repair, err);
    if (rc == RC_OK)
        rc = read_json_flag("force", json_get(&body, "force"), &out->is_forced, err);
    if (rc == RC_OK && rate)
        rc = read_rate(rate->type == JSON_INT ? rate->text : (struct span){0}, out, err);
    return rc;
}

struct admin_work { /* what is ordered, looked at and cancelled on one path */
    enum rc (*begin)(struct ing_mongo *m, const struct admin_order *o, struct err *err);
    enum rc (*cancel)(struct ing_mongo *m, struct err *err);
    void (*write)(struct ing_mongo *m, struct buf *out);
};

static enum rc
begin_reindex(struct ing_mongo *m, const struct admin_order *o, struct err *err)
{
    return o->is_forced ? ing_mongo_reindex_anyway(m, o->names, o->n, err)
                        : ing_mongo_reindex(m, o->names, o->n, err);
}

static enum rc
begin_verify(struct ing_mongo *m, const struct admin_order *o, struct err *err)
{
    const struct ing_verify_order order = {o->may_repair, o->docs_per_s};
    return ing_mongo_verify(m, o->names, o->n, &order, err);
}

static const struct admin_work REINDEX = {begin_reindex, ing_mongo_cancel_reindex,
                                          ing_mongo_write_reindex};
static const struct admin_work VERIFY = {begin_verify, ing_mongo_cancel_verify,
                                         ing_mongo_write_verify};

static void
answer_work(struct app *app, struct http_exchange *x, const struct admin_work *work)
{
    struct err err = {0};
    struct admin_order order;
    enum rc rc = RC_OK;
    int status = 202;
    if (!app->mongo) {
        http_reply_error(x, 409,
                         "there is no MongoDB to read from: the documents came over the API");
        return;
    }
    switch (http_exchange_request(x)->method) {
    case HTTP_GET:
        status = 200;
        break;
    case HTTP_POST:
        rc = read_order(x, &order, &err);
        if (rc == RC_OK)
            rc = work->begin(app->mongo, &order, &err);
        break;
    case HTTP_DELETE:
        rc = work->cancel(app->mongo, &err);
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
    if (rc != RC_OK) {
        http_reply_error(x, rc_http(rc), "%s", err.text);
        return;
    }
    struct buf body = {0};
    work->write(app->mongo, &body);
    http_reply(x, status, JSON, &body);
}

static void
answer_reindex(struct app *app, struct http_exchange *x)
{
    answer_work(app, x, &REINDEX);
}

static void
answer_verify(struct app *app, struct http_exchange *x)
{
    answer_work(app, x, &VERIFY);
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
    {"verify", false, answer_verify},
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
