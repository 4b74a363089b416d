/*
 * What monitoring reads. The shapes of /stats.json, /metrics.json, /debug and
 * /status are the peer's, so that its dashboards go on working; /metrics is
 * Prometheus' text format over the rows of base/metrics.def.
 */
#include "app/monitor.h"

#include "base/clock.h"
#include "base/json.h"

#include "app/options.h"

static const char JSON[] = "application/json; charset=utf-8";

/* The version of the API that is spoken, as clients test it. */
#define API_VERSION "27.1"

static void
put_count(struct buf *out, const char *name, double value)
{
    json_put_name(out, name);
    json_put_double(out, value);
}

/* Ready: everything that is to be served has a complete generation, and is fresh enough. */
static bool
is_healthy(struct app *app)
{
    if (atomic_load(&app->is_stopping) || !atomic_load(&app->is_started))
        return false;
    if (!app->mongo)
        return true;
    if (!ing_mongo_is_ready(app->mongo))
        return false;
    uint64_t max_lag_s = conf_u64(app->conf, OPT_HEALTH_MAX_LAG_S);
    return max_lag_s == 0 || metrics_read(app->metrics, M_LAG_US) <= max_lag_s * 1000000;
}

static void
answer_health(struct app *app, struct http_exchange *x)
{
    bool ok = is_healthy(app);
    struct buf body = {0};
    buf_printf(&body, "{\"ok\":%s", ok ? "true" : "false");
    if (app->mongo)
        ing_mongo_write_health(app->mongo, &body);
    buf_putc(&body, '}');
    http_reply(x, ok ? 200 : 503, JSON, &body);
}

static void
answer_metrics(struct app *app, struct http_exchange *x)
{
    struct buf body = {0};
    metrics_write(app->metrics, &body);
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

static double
median_ms(struct app *app, enum metric histogram)
{
    return (double)metrics_quantile(app->metrics, histogram, 0.5) / 1e3;
}

/* Rates are means since the start: /metrics has the counters for better ones. */
static void
answer_stats(struct app *app, struct http_exchange *x)
{
    double seconds = (double)(clock_us() - app->begin_us) / 1e6;
    double searches = (double)metrics_read(app->metrics, M_SEARCHES);
    double writes = (double)metrics_read(app->metrics, M_API_WRITE_TIME);
    double deletes = (double)metrics_read(app->metrics, M_API_DELETE_TIME);
    double imports = (double)metrics_read(app->metrics, M_API_IMPORT_TIME);
    double requests = (double)metrics_read(app->metrics, M_HTTP_REQUESTS);
    struct buf body = {0};
    buf_putc(&body, '{');
    put_count(&body, "delete_latency_ms", median_ms(app, M_API_DELETE_TIME));
    put_count(&body, "delete_requests_per_second", deletes / seconds);
    put_count(&body, "import_latency_ms", median_ms(app, M_API_IMPORT_TIME));
    put_count(&body, "import_requests_per_second", imports / seconds);
    buf_puts(&body, ",\"latency_ms\":{}");
    put_count(&body, "overloaded_requests_per_second",
              (double)metrics_read(app->metrics, M_SEARCHES_SHED) / seconds);
    put_count(&body, "pending_write_batches", 0);
    buf_puts(&body, ",\"requests_per_second\":{}");
    put_count(&body, "search_latency_ms", median_ms(app, M_SEARCH_TIME));
    put_count(&body, "search_requests_per_second", searches / seconds);
    put_count(&body, "total_requests_per_second", requests / seconds);
    put_count(&body, "write_latency_ms", median_ms(app, M_API_WRITE_TIME));
    put_count(&body, "write_requests_per_second", writes / seconds);
    buf_putc(&body, '}');
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
