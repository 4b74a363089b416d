/*
 * Journey (d), start from disk, and its reverse: two numbered lists. What
 * answers requests in between is in routes.c.
 */
#include "app/server.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#include "app/options.h"
#include "app/routes.h"
#include "app/typesense.h"

enum { STOP_HTTP_US = 1500000, LISTEN_MAX = 16 };

static enum rc start(struct app *app, struct err *err);
static enum rc check_exposure(const struct app *app, struct err *err);
static enum rc check_backend(const struct app *app, struct err *err);
static enum rc open_index(struct app *app, struct err *err);
static enum rc start_query(struct app *app, struct err *err);
static enum rc start_indexer(struct app *app, struct err *err);
static enum rc start_http(struct app *app, struct err *err);
static void wait_for_signal(const sigset_t *signals, struct app *app);
static void stop(struct app *app);

int
app_serve(const struct conf *conf)
{
    /* 1. Signals are taken by this thread alone; a closed socket is no reason to die. */
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    /* 2. The log. */
    struct app app = {.conf = conf, .begin_us = clock_us()};
    enum log_level level = LOG_INFO;
    (void)log_level_parse(span_str(conf_str(conf, OPT_LOG_LEVEL)),
                          &level); /* the row's choices are its names */
    app.log = log_new(stderr, level);
    app.metrics = metrics_new();
    app.counts = metrics_block(app.metrics);

    struct err err = {0};
    enum rc rc = start(&app, &err);
    if (rc == RC_OK)
        wait_for_signal(&signals, &app);
    else
        log_line(app.log, LOG_ERROR, "app", "start", "failed: %s", err.text);
    stop(&app);
    return rc == RC_OK ? 0 : 1;
}

static enum rc
start(struct app *app, struct err *err)
{
    /* 3. No open door without a key, no Typesense without an address. */
    enum rc rc = check_exposure(app, err);
    if (rc == RC_OK)
        rc = check_backend(app, err);
    /* 4. The index: manifest, mapped segments, its threads. */
    if (rc == RC_OK)
        rc = open_index(app, err);
    /* 5. Searches. */
    if (rc == RC_OK)
        rc = start_query(app, err);
    /* 6. Its writers: MongoDB's pipeline or the operation log. */
    if (rc == RC_OK)
        rc = start_indexer(app, err);
    /* 7. The door. */
    if (rc == RC_OK)
        rc = start_http(app, err);
    return rc;
}

/* An address is loopback if nothing but this machine can reach it. */
static bool
is_loopback(struct span address)
{
    return span_starts(address, SPAN_LIT("unix:")) || span_starts(address, SPAN_LIT("127.")) ||
           span_starts(address, SPAN_LIT("localhost:")) || span_starts(address, SPAN_LIT("[::1]:"));
}

static enum rc
check_exposure(const struct app *app, struct err *err)
{
    const char *key = conf_str(app->conf, OPT_API_KEY);
    if (key && *key)
        return RC_OK;
    struct span rest = span_str(conf_str(app->conf, OPT_LISTEN));
    while (rest.p) {
        struct span address = span_trim(span_split(&rest, ','));
        if (!is_loopback(address))
            return err_set(
                err, RC_INVALID,
                "listening on %.*s lets others in: set --api-key, or listen on 127.0.0.1",
                SPAN_ARG(address));
    }
    return RC_OK;
}

/* The engine's trouble (a full disk, say) is retried by it; people should know. */
static void
on_index_trouble(void *arg, const struct err *err)
{
    struct app *app = arg;
    log_line(app->log, LOG_ERROR, "index", "commit",
             "failed: %s; retrying, nothing is lost meanwhile", err->text);
}

static enum rc
open_index(struct app *app, struct err *err)
{
    const char *dir = conf_str(app->conf, OPT_DATA_DIR);
    enum rc rc = fs_open_host(dir, &app->fs, err);
    if (rc != RC_OK)
        return err_wrap(err, rc, "opening the data directory %s", dir);
    const struct idx_options options = {
        .fs = app->fs,
        .refresh_us = conf_u64(app->conf, OPT_REFRESH_MS) * 1000,
        .commit_us = conf_u64(app->conf, OPT_COMMIT_MS) * 1000,
        .ram_bytes_max = conf_u64(app->conf, OPT_RAM_SEGMENTS_MB) << 20,
        .n_merge_threads = (uint32_t)conf_u64(app->conf, OPT_MERGE_THREADS),
        .metrics = app->metrics,
        .on_trouble = on_index_trouble,
        .trouble_arg = app,
    };
    rc = idx_open(&options, &app->idx, err);
    return rc == RC_OK ? RC_OK : err_wrap(err, rc, "opening the index in %s", dir);
}

static unsigned
n_loops(const struct app *app)
{
    uint64_t asked = conf_u64(app->conf, OPT_THREADS);
    if (asked)
        return (unsigned)asked;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (unsigned)cores : 1;
}

/* An empty option means none, so that scripts can pass "$KEY" as it is. */
static const char *
option_or_null(const struct app *app, enum app_option option)
{
    const char *s = conf_str(app->conf, option);
    return s && *s ? s : NULL;
}

static enum rc
start_query(struct app *app, struct err *err)
{
    struct qry_options options;
    qry_options_init(&options);
    options.idx = app->idx;
    options.n_loops = n_loops(app);
    options.n_workers = (unsigned)conf_u64(app->conf, OPT_WORKERS);
    options.slice_us = conf_u64(app->conf, OPT_SLICE_MS) * 1000;
    options.is_full = strcmp(conf_str(app->conf, OPT_SEARCH_MATCH), "full") == 0;
    options.per_page_max = (unsigned)conf_u64(app->conf, OPT_PER_PAGE_MAX);
    options.filter_ops_max = (unsigned)conf_u64(app->conf, OPT_FILTER_OPS_MAX);
    options.searches_max = (unsigned)conf_u64(app->conf, OPT_SEARCHES_MAX);
    options.admin_key = option_or_null(app, OPT_API_KEY);
    options.search_key = option_or_null(app, OPT_SEARCH_API_KEY);
    options.metrics = app->metrics;
    options.log = app->log;
    options.slow_us = conf_u64(app->conf, OPT_SLOW_SEARCH_MS) * 1000;
    options.fs = app->fs;
    app_typesense_options(app->conf, &options);
    return qry_new(&options, &app->qry, err);
}

static bool
authorize(void *ctx, struct http_exchange *x, const char *action, struct span collection)
{
    struct app *app = ctx;
    return qry_authorize(app->qry, x, action, collection);
}

/* Whether a Typesense cluster is to be kept fresh. */
static bool
is_fed(const struct app *app)
{
    return strcmp(conf_str(app->conf, OPT_BACKEND), "builtin") != 0;
}

static enum rc
check_backend(const struct app *app, struct err *err)
{
    if (!is_fed(app))
        return RC_OK;
    const char *backend = conf_str(app->conf, OPT_BACKEND);
    if (!option_or_null(app, OPT_TYPESENSE_URL))
        return err_set(err, RC_INVALID, "--backend %s needs --typesense-url", backend);
    if (!option_or_null(app, OPT_MONGODB_URI))
        return err_set(err, RC_INVALID,
                       "--backend %s needs --mongodb-uri: Typesense is fed from MongoDB only",
                       backend);
    return RC_OK;
}

static enum rc
start_mongo(struct app *app, const char *uri, struct err *err)
{
    const char *name = conf_str(app->conf, OPT_PROFILE);
    enum rc rc = sch_profile_load(span_str(name), &app->profile_memory, &app->profile, err);
    if (rc != RC_OK)
        return err_wrap(err, rc, "loading the profile %s", name);
    struct ing_mongo_options options;
    ing_mongo_options_init(&options);
    options.idx = app->idx;
    options.uri = uri;
    options.profile = &app->profile;
    options.writeback = strcmp(conf_str(app->conf, OPT_WRITEBACK), "full") == 0
                            ? ING_WRITEBACK_FULL
                            : ING_WRITEBACK_NONE;
    options.verify_docs_per_s = conf_u64(app->conf, OPT_VERIFY_DOCS_PER_S);
    options.fs = app->fs;
    /* The open segment, one being finished, two in a merge. */
    options.rebuild_memory_bytes = 4 * (conf_u64(app->conf, OPT_RAM_SEGMENTS_MB) << 20);
    options.metrics = app->metrics;
    options.log = app->log;
    struct ing_sink_options sink;
    if (is_fed(app)) {
        ing_sink_options_init(&sink);
        sink.urls = conf_str(app->conf, OPT_TYPESENSE_URL);
        sink.api_key = option_or_null(app, OPT_TYPESENSE_API_KEY);
        sink.batch_bytes = conf_u64(app->conf, OPT_TYPESENSE_BATCH_KB) << 10;
        sink.n_connections = (unsigned)conf_u64(app->conf, OPT_TYPESENSE_CONNECTIONS);
        sink.timeout_us = conf_u64(app->conf, OPT_TYPESENSE_TIMEOUT_S) * 1000000;
        sink.grace_us = conf_u64(app->conf, OPT_TYPESENSE_GRACE_S) * 1000000;
        sink.lease_us = conf_u64(app->conf, OPT_LEASE_S) * 1000000;
        options.sink = &sink;
    }
    const struct ing_stats_options stats = {
        .url = option_or_null(app, OPT_CLICKHOUSE_URL),
        .user = conf_str(app->conf, OPT_CLICKHOUSE_USER),
        .password = conf_str(app->conf, OPT_CLICKHOUSE_PASSWORD),
        .table = conf_str(app->conf, OPT_CLICKHOUSE_TABLE),
    };
    if (stats.url)
        options.stats = &stats;
    return ing_mongo_start(&options, &app->mongo, err);
}

static enum rc
start_indexer(struct app *app, struct err *err)
{
    const char *uri = option_or_null(app, OPT_MONGODB_URI);
    if (uri) {
        enum rc rc = start_mongo(app, uri, err);
        if (rc != RC_OK)
            return rc;
    }
    struct ing_api_options options;
    ing_api_options_init(&options);
    options.idx = app->idx;
    options.fs = app->fs;
    options.mongo = app->mongo;
    options.filter_ids = qry_filter_ids;
    options.authorize = authorize;
    options.authorize_ctx = app;
    options.metrics = app->metrics;
    options.log = app->log;
    return ing_api_start(&options, &app->api, err);
}

static enum rc
start_http(struct app *app, struct err *err)
{
    struct arena arena = {0};
    const char *addresses[LISTEN_MAX];
    size_t n = 0;
    struct span rest = span_str(conf_str(app->conf, OPT_LISTEN));
    while (rest.p && n < LISTEN_MAX)
        addresses[n++] = arena_str(&arena, span_trim(span_split(&rest, ',')));
    app->stats = app_stats_new(n_loops(app));
    struct http_options options;
    http_options_init(&options);
    options.listen = addresses;
    options.n_listen = n;
    options.n_threads = n_loops(app);
    options.handle = app_handle;
    options.wants_stream = app_wants_stream;
    options.answered = app_answered;
    options.ctx = app;
    options.metrics = app->metrics;
    options.header_bytes_max = conf_u64(app->conf, OPT_HEADER_KB_MAX) << 10;
    options.query_bytes_max = conf_u64(app->conf, OPT_QUERY_BYTES_MAX);
    options.body_bytes_max = conf_u64(app->conf, OPT_BODY_MB_MAX) << 20;
    options.connections_max = (unsigned)conf_u64(app->conf, OPT_CONNECTIONS_MAX);
    options.idle_us = conf_u64(app->conf, OPT_IDLE_S) * 1000000;
    options.slow_us = conf_u64(app->conf, OPT_SLOW_S) * 1000000;
    options.cors_origin = option_or_null(app, OPT_CORS_ORIGIN);
    enum rc rc = http_server_start(&options, &app->http, err);
    if (rc == RC_OK) {
        atomic_store(&app->is_started, true);
        log_line(app->log, LOG_INFO, "app", "start", "listen=%s port=%d source=%s took_ms=%llu",
                 conf_str(app->conf, OPT_LISTEN), http_server_port(app->http, 0),
                 app->mongo ? "mongodb" : "api",
                 (unsigned long long)(clock_us() - app->begin_us) / 1000);
    }
    arena_fini(&arena);
    return rc;
}

static void
wait_for_signal(const sigset_t *signals, struct app *app)
{
    int got = 0;
    while (sigwait(signals, &got) != 0)
        continue;
    log_line(app->log, LOG_INFO, "app", "stop", "signal=%s", got == SIGINT ? "INT" : "TERM");
}

/* The reverse order; every step accepts what was never started. */
static void
stop(struct app *app)
{
    /* 1. Health says 503, no new requests; open ones are answered. */
    atomic_store(&app->is_stopping, true);
    if (app->http)
        http_server_drain(app->http);
    /* 2. The writers hand over what they have. */
    ing_mongo_stop(app->mongo);
    ing_api_stop(app->api);
    http_server_stop(app->http, STOP_HTTP_US);
    app_stats_free(app->stats);
    /* 3. Readers end before the index does. */
    qry_free(app->qry);
    /* 4. The last commit. */
    struct err err = {0};
    if (app->idx && idx_close(app->idx, &err) != RC_OK)
        log_line(app->log, LOG_ERROR, "index", "stop", "the last commit failed: %s", err.text);
    fs_close(app->fs);
    arena_fini(&app->profile_memory);
    log_line(app->log, LOG_INFO, "app", "stop", "done");
    metrics_free(app->metrics);
    log_free(app->log);
}
