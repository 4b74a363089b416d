/*
 * What monitoring reads. The shapes of /stats.json, /metrics.json, /debug and
 * /status are the peer's, so that its dashboards go on working; /metrics is
 * Prometheus' text format over the rows of base/metrics.def.
 */
#include "app/monitor.h"

#include "base/clock.h"
#include "base/json.h"

#include "app/options.h"
#include "app/typesense.h"

static const char JSON[] = "application/json; charset=utf-8";

/* The version of the API that is spoken, as clients test it. */
#define API_VERSION "27.1"

/* Ready: everything that is to be served has a complete generation, and is fresh enough. */
static bool
is_healthy(struct app *app)
{
    if (atomic_load(&app->is_stopping) || !atomic_load(&app->is_started))
        return false;
    if (!qry_is_healthy(app->qry))
        return false;
    /* What Typesense answers does not wait for our index. */
    if (!app->mongo || app_serves_from_typesense(app->conf))
        return true;
    if (!ing_mongo_is_ready(app->mongo))
        return false;
    uint64_t max_lag_s = conf_u64(app->conf, OPT_HEALTH_MAX_LAG_S);
    return max_lag_s == 0 || ing_mongo_lag_us(app->mongo) <= max_lag_s * 1000000;
}

static void
answer_health(struct app *app, struct http_exchange *x)
{
    bool ok = is_healthy(app);
    struct buf body = {0};
    buf_printf(&body, "{\"ok\":%s", ok ? "true" : "false");
    if (app->mongo)
        ing_mongo_write_health(app->mongo, &body);
    qry_write_health(app->qry, &body);
    if (app->api) /* searches go on: this is no reason to send them elsewhere */
        ing_api_write_health(app->api, &body);
    buf_putc(&body, '}');
    http_reply(x, ok ? 200 : 503, JSON, &body);
}

struct collection_metric { /* of each collection: its number of ... */
    const char *name, *help;
    uint64_t (*read)(const struct idx_collection *c);
};

static uint64_t
documents_of(const struct idx_collection *c)
{
    return c->n_docs;
}

static uint64_t
bytes_of(const struct idx_collection *c)
{
    uint64_t n = 0;
    for (uint32_t v = 0; v < c->n_views; v++)
        n += idx_segment_n_bytes(c->views[v].segment);
    return n;
}

static uint64_t
segments_of(const struct idx_collection *c)
{
    return c->n_views;
}

static uint64_t
generation_of(const struct idx_collection *c)
{
    return c->uid;
}

static const struct collection_metric COLLECTION_METRICS[] = {
    {"tailfin_collection_documents", "live documents of a collection", documents_of},
    {"tailfin_collection_bytes", "bytes of a collection's segments", bytes_of},
    {"tailfin_collection_segments", "segments of a collection", segments_of},
    {"tailfin_collection_generation", "rises with every rebuild of a collection", generation_of},
};

static void
write_collections(struct app *app, struct buf *out)
{
    size_t n = 0;
    struct idx_reader *reader = idx_reader_new(app->idx);
    if (!reader)
        return; /* thousands of requests at once: they matter more */
    const struct idx_collection *const *all =
        idx_snapshot_collections(idx_reader_begin(reader), &n);
    for (size_t m = 0; m < ARRAY_SIZE(COLLECTION_METRICS); m++) {
        const struct collection_metric *metric = &COLLECTION_METRICS[m];
        buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", metric->name, metric->help,
                   metric->name);
        for (size_t i = 0; i < n; i++) {
            buf_printf(out, "%s{collection=", metric->name);
            json_put_str(out, all[i]->schema->name); /* the same escapes */
            buf_printf(out, "} %llu\n", (unsigned long long)metric->read(all[i]));
        }
    }
    idx_reader_end(reader);
    idx_reader_free(reader);
}

static void
answer_metrics(struct app *app, struct http_exchange *x)
{
    struct buf body = {0};
    if (app->mongo)
        ing_mongo_refresh_metrics(app->mongo);
    metrics_write(app->metrics, &body);
    write_collections(app, &body);
    http_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void
answer_debug(struct app *app, struct http_exchange *x)
{
    (void)app;
    struct buf body = {0};
    buf_puts(&body, "{\"state\":1,\"version\":\"" API_VERSION "\"}");
    http_reply(x, 200, JSON, &body);
}

static void
answer_state(struct app *app, struct http_exchange *x)
{
    struct buf body = {0};
    buf_printf(&body, "{\"committed_index\":%llu,\"queued_writes\":0,\"state\":\"LEADER\"}",
               (unsigned long long)idx_commit_number(app->idx, NULL));
    http_reply(x, 200, JSON, &body);
}

static void
answer_stats(struct app *app, struct http_exchange *x)
{
    struct buf body = {0};
    app_stats_write(app->stats, &body);
    http_reply(x, 200, JSON, &body);
}

static void
answer_machine(struct app *app, struct http_exchange *x)
{
    struct buf body = {0};
    app_machine_write(&app->machine, conf_str(app->conf, OPT_DATA_DIR),
                      metrics_read(app->metrics, M_INDEX_FILE_BYTES), &body);
    http_reply(x, 200, JSON, &body);
}

struct monitor_route {
    const char *path;
    const char *action; /* NULL: open to everyone */
    void (*answer)(struct app *app, struct http_exchange *x);
};

static const struct monitor_route ROUTES[] = {
    {"health", NULL, answer_health},
    {"metrics", "metrics:list", answer_metrics},
    {"debug", "debug:list", answer_debug},
    {"status", "status:list", answer_state},
    {"stats.json", "stats:list", answer_stats},
    {"metrics.json", "metrics:list", answer_machine},
};

bool
app_monitor_handle(struct app *app, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    /* The peer answers POST /health as well, and some probes send that. */
    if (r->n_parts != 1 || (r->method != HTTP_GET && r->method != HTTP_POST))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(ROUTES); i++) {
        if (!span_eq_str(r->parts[0], ROUTES[i].path) || (r->method == HTTP_POST && i > 0))
            continue;
        if (!ROUTES[i].action || qry_authorize(app->qry, x, ROUTES[i].action, SPAN_LIT("*")))
            ROUTES[i].answer(app, x);
        return true;
    }
    return false;
}
