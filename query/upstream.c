#include "query/upstream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/json.h"

enum { PROBE_ANSWER_MAX = 64 << 10, ROUND_MS = 250, PROBE_UP_ROUNDS = 8 };

/* After a failure nobody is sent there for this long, even if all nodes are down. */
static const uint64_t rest_us = 100000;
static const uint64_t probe_us = 1000000;

struct node {
    const char *url;
    struct span name; /* host and port */
    atomic_bool is_up;
    _Atomic uint64_t failed_us; /* the last time */
    bool was_up;                /* of the thread: what was logged */
};

struct qry_upstream {
    struct node nodes[QRY_NODES_MAX];
    unsigned n;
    struct arena arena;
    const char *headers[3];
    struct http_client *client; /* for probes */
    struct log *log;
    struct metrics_block *metrics;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex;
    pthread_cond_t stopped; /* CLOCK_MONOTONIC */
    bool is_stopping;       /* under mutex */
};

/* ---- for everyone ---- */

int
qry_upstream_pick(const struct qry_upstream *u, unsigned turn, uint32_t tried)
{
    uint64_t now = clock_us();
    int rested = -1;

    for (unsigned i = 0; i < u->n; i++) {
        unsigned at = (turn + i) % u->n;
        const struct node *node = &u->nodes[at];
        if (tried & 1u << at)
            continue;
        if (atomic_load_explicit(&node->is_up, memory_order_relaxed))
            return (int)at;
        uint64_t failed_us = atomic_load_explicit(&node->failed_us, memory_order_relaxed);
        if (rested < 0 && (failed_us == 0 || now > failed_us + rest_us))
            rested = (int)at;
    }
    return rested;
}

bool
qry_upstream_has_other(const struct qry_upstream *u, uint32_t tried)
{
    for (unsigned i = 0; i < u->n; i++)
        if (!(tried & 1u << i) && atomic_load_explicit(&u->nodes[i].is_up, memory_order_relaxed))
            return true;
    return false;
}

bool
qry_upstream_is_up(const struct qry_upstream *u)
{
    return qry_upstream_has_other(u, 0);
}

void
qry_upstream_failed(struct qry_upstream *u, int node)
{
    atomic_store_explicit(&u->nodes[node].failed_us, clock_us(), memory_order_relaxed);
    atomic_store_explicit(&u->nodes[node].is_up, false, memory_order_relaxed);
}

const char *
qry_upstream_url(const struct qry_upstream *u, int node)
{
    return u->nodes[node].url;
}

const char *const *
qry_upstream_headers(const struct qry_upstream *u)
{
    return u->headers;
}

void
qry_upstream_write_health(const struct qry_upstream *u, struct buf *out)
{
    buf_printf(out, ",\"upstream\":{\"ok\":%s,\"nodes\":[",
               qry_upstream_is_up(u) ? "true" : "false");
    for (unsigned i = 0; i < u->n; i++) {
        json_put_comma(out);
        buf_puts(out, "{\"node\":");
        json_put_str(out, u->nodes[i].name);
        buf_printf(out, ",\"ok\":%s}", atomic_load(&u->nodes[i].is_up) ? "true" : "false");
    }
    buf_puts(out, "]}");
}

/* ---- the thread that probes ---- */

static void
probe(struct qry_upstream *u, struct node *node)
{
    struct buf url = {0}, body = {0};
    struct err err = {0};
    int status = 0;

    buf_printf(&url, "%s/health", node->url);
    buf_putc(&url, '\0');
    const struct http_call call = {.method = "GET",
                                   .url = url.p,
                                   .headers = u->headers,
                                   .timeout_us = probe_us,
                                   .answer_bytes_max = PROBE_ANSWER_MAX};
    enum rc rc = http_client_fetch(u->client, &call, &status, &body, &err);
    bool is_up = rc == RC_OK && status == 200;
    atomic_store_explicit(&node->is_up, is_up, memory_order_relaxed);
    if (is_up != node->was_up)
        log_line(u->log, is_up ? LOG_INFO : LOG_WARN, "query", "upstream", "node=%.*s status=%d %s",
                 SPAN_ARG(node->name), status,
                 is_up ? "up" : "down; others are asked, and it again when its /health is well");
    node->was_up = is_up;
    buf_fini(&url);
    buf_fini(&body);
}

/* Waits for the next round; false when it is time to stop. */
static bool
rest(struct qry_upstream *u)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ROUND_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    must(pthread_mutex_lock(&u->mutex) == 0);
    int timed_out = 0;
    while (!u->is_stopping && !timed_out)
        timed_out = pthread_cond_timedwait(&u->stopped, &u->mutex, &until);
    bool is_going_on = !u->is_stopping;
    must(pthread_mutex_unlock(&u->mutex) == 0);
    return is_going_on;
}

/* Those that are down every round, those that are up now and then. */
static void *
run(void *arg)
{
    struct qry_upstream *u = arg;
    unsigned round = 0;

    do {
        uint64_t n_up = 0;
        for (unsigned i = 0; i < u->n; i++) {
            bool is_up = atomic_load_explicit(&u->nodes[i].is_up, memory_order_relaxed);
            if (!is_up || round % PROBE_UP_ROUNDS == 0)
                probe(u, &u->nodes[i]);
            n_up += atomic_load_explicit(&u->nodes[i].is_up, memory_order_relaxed);
        }
        metrics_set(u->metrics, M_UPSTREAM_UP, n_up);
        round++;
    } while (rest(u));
    return NULL;
}

/* ---- life ---- */

/* Host and port: without the scheme, a name and password, or a path. */
static struct span
name_of(struct span url)
{
    size_t begin = span_find(url, 0, '/');
    struct span name = begin + 2 <= url.n ? span_from(url, begin + 2) : url;

    name.n = span_find(name, 0, '/');
    size_t at = span_find(name, 0, '@');
    return at < name.n ? span_from(name, at + 1) : name;
}

static enum rc
read_nodes(struct qry_upstream *u, const char *urls, struct err *err)
{
    struct span rest_of = span_str(urls);

    while (rest_of.p) {
        struct span url = span_trim(span_split(&rest_of, ','));
        while (url.n > 0 && url.p[url.n - 1] == '/')
            url.n--;
        bool is_http =
            span_starts(url, SPAN_LIT("http://")) || span_starts(url, SPAN_LIT("https://"));
        if (!is_http || name_of(url).n == 0)
            return err_set(err, RC_INVALID, "a node of Typesense is not http://HOST:PORT: %.*s",
                           SPAN_ARG(name_of(url)));
        if (u->n == QRY_NODES_MAX)
            return err_set(err, RC_INVALID, "more than %d nodes of Typesense", QRY_NODES_MAX);
        struct node *node = &u->nodes[u->n++];
        node->url = arena_str(&u->arena, url);
        node->name = name_of(span_str(node->url));
        node->was_up = true;
    }
    return u->n > 0 ? RC_OK : err_set(err, RC_INVALID, "no node of Typesense is named");
}

enum rc
qry_upstream_new(const struct qry_options *options, struct qry_upstream **out, struct err *err)
{
    struct qry_upstream *u = xcalloc(1, sizeof *u);
    pthread_condattr_t attributes;
    const char *key = options->upstream_key ? options->upstream_key : "";

    must(pthread_condattr_init(&attributes) == 0);
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&u->stopped, &attributes) == 0);
    must(pthread_condattr_destroy(&attributes) == 0);
    must(pthread_mutex_init(&u->mutex, NULL) == 0);
    u->log = options->log;
    u->metrics = options->metrics ? metrics_block(options->metrics) : NULL;
    u->headers[0] = arena_printf(&u->arena, "X-TYPESENSE-API-KEY: %s", key).p;
    u->headers[1] = "Content-Type: application/json";
    enum rc rc = read_nodes(u, options->upstream_urls, err);
    if (rc == RC_OK)
        rc = http_client_new(2, &u->client, err);
    if (rc == RC_OK) {
        int sys = pthread_create(&u->thread, NULL, run, u);
        u->has_thread = sys == 0;
        if (sys != 0)
            rc = err_sys(err, RC_NOMEM, sys, "starting the thread that watches Typesense");
    }
    if (rc == RC_OK)
        *out = u;
    else
        qry_upstream_free(u);
    return rc;
}

void
qry_upstream_free(struct qry_upstream *u)
{
    if (!u)
        return;
    must(pthread_mutex_lock(&u->mutex) == 0);
    u->is_stopping = true;
    must(pthread_cond_signal(&u->stopped) == 0);
    must(pthread_mutex_unlock(&u->mutex) == 0);
    http_client_abort(u->client);
    if (u->has_thread)
        must(pthread_join(u->thread, NULL) == 0);
    http_client_free(u->client);
    must(pthread_cond_destroy(&u->stopped) == 0);
    must(pthread_mutex_destroy(&u->mutex) == 0);
    arena_fini(&u->arena);
    free(u);
}
