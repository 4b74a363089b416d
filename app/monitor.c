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
