#include "query/shadow.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/queue.h"
#include "base/thread.h"

#include "query/shadow_log.h"

enum { QUEUE_MAX = 256, ANSWER_MAX = 256 << 10, WAKE_US = 500000 };

struct qry_shadow {
    const struct qry_options *options;
    struct qry_upstream *upstream;
    _Atomic uint64_t n_seen;
    struct queue *queue;
    struct metrics_block *drops; /* of whoever gives */
    pthread_t thread;
    bool has_thread;

    /* Of the thread. */
    struct qry_options quiet; /* options without log and metrics: replays are nobody's searches */
    struct qry_ctx ctx;
    bool has_ctx;
    struct http_client *client;
    struct metrics_block *metrics;
    struct qry_shadow_log *log;
    unsigned turn;
};

/* ---- for those who serve ---- */

bool
qry_shadow_samples(struct qry_shadow *s, struct span answer)
{
    if (!s)
        return false;
    /* Hashed, so that no rhythm of the clients meets one of ours. */
    uint64_t number = atomic_fetch_add_explicit(&s->n_seen, 1, memory_order_relaxed);
    if (hash64(span_of((const char *)&number, sizeof number)) % 100 >= s->options->shadow_percent)
        return false;
    if (answer.n > ANSWER_MAX)
        metrics_add(s->drops, M_SHADOW_DROPS, 1);
    return answer.n <= ANSWER_MAX;
}

void
qry_shadow_give(struct qry_shadow *s, struct qry_replay *take)
{
    if (!take || queue_try_push(s->queue, take))
        return;
    metrics_add(s->drops, M_SHADOW_DROPS, 1);
    qry_replay_free(take);
}

/* ---- the thread ---- */

struct pair { /* the two answers to one search */
    const struct json *served, *replayed;
};

static struct pair
pair_at(const struct json *served, const struct json *replayed, bool is_multi, uint32_t i)
{
    if (!is_multi)
        return (struct pair){served, replayed};
    const struct json *a = json_get(served, "results"), *b = json_get(replayed, "results");
    bool has_a = a && a->type == JSON_ARRAY && i < a->n;
    bool has_b = b && b->type == JSON_ARRAY && i < b->n;
    return (struct pair){has_a ? &a->items[i] : NULL, has_b ? &b->items[i] : NULL};
}

static void
count(struct qry_shadow *s, const struct qry_agreement *g)
{
    metrics_add(s->metrics, M_SHADOW_SEARCHES, 1);
    metrics_add(s->metrics, M_SHADOW_FOUND_EQUAL, g->is_found_equal);
    if (!g->has_overlap)
        return;
    metrics_add(s->metrics, M_SHADOW_TOPS, 1);
    metrics_add(s->metrics, M_SHADOW_OVERLAP, (uint64_t)(g->overlap * 1000 + 0.5));
}

static void
compare(struct qry_shadow *s, const struct qry_replay *r, struct span answer, uint64_t took_us)
{
    struct arena arena = {0};
    struct json served, replayed;
    bool is_json = json_parse(buf_span(&r->answer), &arena, &served, NULL) == RC_OK &&
                   json_parse(answer, &arena, &replayed, NULL) == RC_OK;

    for (uint32_t i = 0; is_json && i < r->asked.n_searches; i++) {
        struct pair pair = pair_at(&served, &replayed, r->asked.is_post, i);
        struct qry_shadow_finding f = {.asked = &r->asked, .at = i};
        qry_top_read(pair.served, &f.served);
        qry_top_read(pair.replayed, &f.replayed);
        f.agreement = qry_top_compare(&f.served, &f.replayed);
        f.served_us = r->took_us;
        f.replayed_us = took_us;
        count(s, &f.agreement);
        qry_shadow_log_add(s->log, &f);
    }
    if (!is_json)
        metrics_add(s->metrics, M_SHADOW_ERRORS, 1);
    arena_fini(&arena);
}

static void
replay(struct qry_shadow *s, const struct qry_replay *r)
{
    struct buf answer = {0};
    struct err err = {0};
    uint64_t begin_us = clock_us();
    bool is_builtin = s->options->shadow == QRY_SHADOW_BUILTIN;
    enum rc rc = is_builtin ? qry_replay_builtin(r, &s->ctx, &answer, &err)
                            : qry_replay_upstream(r, s->upstream, s->client, s->options->forward_us,
                                                  s->turn++, &answer);
    uint64_t took_us = clock_us() - begin_us;

    metrics_observe(s->metrics, M_SHADOW_SERVED_TIME, r->took_us);
    if (rc == RC_OK) {
        metrics_observe(s->metrics, M_SHADOW_REPLAY_TIME, took_us);
        compare(s, r, buf_span(&answer), took_us);
    } else {
        metrics_add(s->metrics, M_SHADOW_ERRORS, 1);
    }
    buf_fini(&answer);
}

static void *
run(void *arg)
{
    struct qry_shadow *s = arg;

    thread_step_back(THREAD_STEPS_TIDY);
    while (!queue_is_closed(s->queue)) {
        struct qry_replay *r = queue_pop(s->queue, WAKE_US);
        if (r)
            replay(s, r);
        qry_replay_free(r);
        qry_shadow_log_tick(s->log);
    }
    return NULL;
}

/* ---- life ---- */

static enum rc
start(struct qry_shadow *s, struct err *err)
{
    enum rc rc = http_client_new(1, &s->client, err);

    if (rc == RC_OK) {
        rc = qry_ctx_init(&s->ctx, &s->quiet, err);
        s->has_ctx = true;
    }
    if (rc != RC_OK)
        return rc;
    int sys = pthread_create(&s->thread, NULL, run, s);
    s->has_thread = sys == 0;
    return s->has_thread ? RC_OK : err_sys(err, RC_NOMEM, sys, "starting the shadow's thread");
}

enum rc
qry_shadow_new(const struct qry_options *options, struct qry_upstream *upstream,
               struct qry_shadow **out, struct err *err)
{
    struct qry_shadow *s = xcalloc(1, sizeof *s);

    s->options = options;
    s->upstream = upstream;
    s->quiet = *options;
    s->quiet.log = NULL;
    s->quiet.metrics = NULL;
    s->queue = queue_new(QUEUE_MAX);
    if (options->metrics) {
        s->drops = metrics_block(options->metrics);
        s->metrics = metrics_block(options->metrics);
    }
    s->log = qry_shadow_log_new(options->fs, options->log,
                                options->shadow == QRY_SHADOW_BUILTIN ? "typesense" : "builtin");
    enum rc rc = start(s, err);
    if (rc == RC_OK)
        *out = s;
    else
        qry_shadow_free(s);
    return rc;
}

void
qry_shadow_free(struct qry_shadow *s)
{
    if (!s)
        return;
    queue_close(s->queue);
    http_client_abort(s->client);
    if (s->has_thread)
        must(pthread_join(s->thread, NULL) == 0);
    for (struct qry_replay *r; (r = queue_try_pop(s->queue));)
        qry_replay_free(r);
    queue_free(s->queue);
    qry_shadow_log_free(s->log);
    http_client_free(s->client);
    if (s->has_ctx)
        qry_ctx_fini(&s->ctx);
    free(s);
}
