/*
 * Verifying that the index is what MongoDB says it should be. Spine file.
 *
 *   for each collection, relations first:
 *     DOCS     a slice of MongoDB's documents in _id order, each    verify_compare.c
 *              compared with what the index holds
 *     ENTRIES  ids of the index in windows of their hashes, asked   verify_compare.c
 *              for in MongoDB where the sums of both sides differ
 *     SETTLE   whenever enough is suspected: read again behind the  verify_settle.c
 *              stream, reported, repaired                           verify_report.c
 *
 * Two passes take turns on one thread: the steady one goes round and round at
 * docs_per_s, repairs what it finds, and keeps its place over restarts; the
 * other one runs when somebody asks for it. Neither runs while a collection is
 * built: that reads everything anyway.
 */
#include "indexer/verify.h"

#include "base/clock.h"
#include "base/thread.h"

#include "indexer/fetch.h"

enum {
    SLICE_DOCS_MIN = 10,
    REPLY_MS_MAX = 3000,       /* stopping waits for it */
    SLICE_DOCS = 1000,         /* at full speed */
    SLICES_PER_S = 10,         /* at a limited one */
    SUSPECT_US_MAX = 10000000, /* until a few suspects are settled */
    PASS_EVERY_US = 60000000,  /* of the steady pass over a small database */
    LOOK_US = 1000000,         /* between looks for something to do */
    SAVE_US = 30000000,        /* between saves of the steady pass's place */
};

static void *verify_main(void *arg);
static void restore(struct ing_verify *v);
static struct ing_verify_pass *take_turn(struct ing_verify *v);
static void step(struct ing_verify *v, struct ing_verify_pass *p);
static void next_phase(struct ing_verify *v, struct ing_verify_pass *p);
static void end_pass(struct ing_verify *v, struct ing_verify_pass *p, enum ing_verify_state state);
static void save(struct ing_verify *v);

static void *
verify_main(void *arg)
{
    struct ing_verify *v = arg;
    struct ing_mongo *m = v->m;
    struct err err;
    (void)pthread_setname_np(pthread_self(), "mongo-verify"); /* for top and gdb only */
    thread_step_back(THREAD_STEPS_TIDY);
    if (ing_client_open(&v->client, m->uri, &err))
        return NULL; /* cannot be: the same URI opened for the other threads */
    restore(v);
    while (!ing_inbox_is_closed(&m->inbox)) {
        struct ing_verify_pass *p = take_turn(v);
        if (p)
            step(v, p);
        save(v);
    }
    v->saved_us = 0;
    save(v);
    if (!atomic_load(&m->is_hung))
        ing_client_close(&v->client);
    return NULL;
}

/* ---- whose turn it is ---- */

static bool
may_run(struct ing_mongo *m)
{
    pthread_mutex_lock(&m->lock);
    bool may = atomic_load(&m->is_ready) && !m->want_rebuild && !m->status.is_rebuilding &&
               !m->status.is_scanning;
    pthread_mutex_unlock(&m->lock);
    return may;
}

bool
ing_verify_is_cut(struct ing_verify *v, const struct ing_verify_pass *p)
{
    pthread_mutex_lock(&v->lock);
    bool is_asked = v->asked.state == ING_VERIFY_RUNNING;
    bool is_cut = v->is_closing || (p->is_steady ? is_asked : v->want_cancel);
    pthread_mutex_unlock(&v->lock);
    return is_cut || !may_run(v->m);
}

static void
begin_collection(struct ing_verify *v, struct ing_verify_pass *p, unsigned feed)
{
    const struct ing_feed *f = &v->m->feeds[feed];
    uint64_t n = ing_fetch_estimate(&v->client, f->source);
    p->has_sums = true;
    p->has_foreign = false;
    buf_clear(&p->at);
    memset(p->windows, 0, sizeof p->windows);
    p->window = 0;
    p->n_ids = p->i_ids = 0;
    ing_suspects_clear(&p->suspects);
    pthread_mutex_lock(&v->lock);
    p->feed = feed;
    p->phase = ING_VERIFY_DOCS;
    p->tallies[feed].n_estimate = n;
    p->tallies[feed].began_us = clock_us();
    pthread_mutex_unlock(&v->lock);
}

/* The first collection of the pass from `feed` on; n_feeds if there is none. */
static unsigned
next_collection(const struct ing_verify *v, const struct ing_verify_pass *p, unsigned feed)
{
    while (feed < v->m->n_feeds && !(p->feeds >> feed & 1))
        feed++;
    return feed;
}

static void
begin_pass(struct ing_verify *v, struct ing_verify_pass *p)
{
    pthread_mutex_lock(&v->lock);
    ing_verify_report_clear(p);
    p->state = ING_VERIFY_RUNNING;
    p->began_wall_us = clock_wall_us();
    pthread_mutex_unlock(&v->lock);
    p->due_us = 0;
    begin_collection(v, p, next_collection(v, p, 0));
}

/* Waits for a command or until the pass's time has come; both at most LOOK_US. */
static void
sleep_until(struct ing_verify *v, uint64_t until_us)
{
    uint64_t now_us = clock_us();
    if (until_us > now_us + LOOK_US)
        until_us = now_us + LOOK_US;
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    pthread_mutex_lock(&v->lock);
    if (!v->is_closing && !v->want_cancel)
        (void)pthread_cond_timedwait(&v->wake, &v->lock, &at); /* the caller looks again */
    pthread_mutex_unlock(&v->lock);
}

static struct ing_verify_pass *
take_turn(struct ing_verify *v)
{
    pthread_mutex_lock(&v->lock);
    bool is_asked = v->asked.state == ING_VERIFY_RUNNING, want_cancel = v->want_cancel;
    bool is_new = is_asked && !v->asked.began_wall_us;
    v->want_cancel = false;
    pthread_mutex_unlock(&v->lock);
    struct ing_verify_pass *p = is_asked ? &v->asked : &v->steady;
    if (is_asked && want_cancel) {
        end_pass(v, p, ING_VERIFY_CANCELLED);
        return NULL;
    }
    bool may = may_run(v->m) && (is_asked || p->docs_per_s);
    if (!may || clock_us() < p->due_us) {
        sleep_until(v, may ? p->due_us : UINT64_MAX);
        return NULL;
    }
    if (is_new || (p->is_steady && p->state != ING_VERIFY_RUNNING))
        begin_pass(v, p);
    return p;
}

/* ---- a step ---- */

/* Smaller after errors: the server may need too long for it. */
static size_t
slice_of(const struct ing_verify_pass *p)
{
    uint64_t n = p->docs_per_s / SLICES_PER_S;
    n = p->docs_per_s == 0 || n > SLICE_DOCS ? SLICE_DOCS : n;
    n >>= p->n_tries < 7 ? p->n_tries : 7;
    return n < SLICE_DOCS_MIN ? SLICE_DOCS_MIN : (size_t)n;
}

/* Told, and tried again later; what was read stays compared. */
static void
fail(struct ing_verify *v, struct ing_verify_pass *p, const struct err *err)
{
    struct err again;
    uint64_t wait_us = ing_backoff_us(p->n_tries++);
    if (err->rc == RC_CUTOFF || ing_inbox_is_closed(&v->m->inbox))
        return;
    ing_trouble(v->m, "verifying", err, wait_us);
    metrics_add(v->metrics, M_SOURCE_ERRORS, 1);
    p->due_us = clock_us() + wait_us;
    if (v->client.socket_ms > REPLY_MS_MAX / 2) /* is doubled below */
        v->client.socket_ms = REPLY_MS_MAX / 2;
    if (ing_client_renew(&v->client, &again))
        p->due_us += LOOK_US; /* cannot be: the URI was good before */
}

static void
pace(struct ing_verify_pass *p, size_t n)
{
    uint64_t now_us = clock_us();
    p->n_tries = 0;
    if (p->docs_per_s)
        p->due_us = (p->due_us > now_us ? p->due_us : now_us) + n * 1000000 / p->docs_per_s;
}

static void
step(struct ing_verify *v, struct ing_verify_pass *p)
{
    const struct ing_feed *f = &v->m->feeds[p->feed];
    struct ing_advance advance = {0};
    struct err err = {0};
    bool is_docs = p->phase == ING_VERIFY_DOCS;
    enum rc rc = is_docs ? ing_verify_docs(v, p, f, slice_of(p), &advance, &err)
                         : ing_verify_entries(v, p, f, slice_of(p), &advance, &err);
    if (!rc && is_docs) {
        metrics_add(v->metrics, M_VERIFIED, advance.n);
        pthread_mutex_lock(&v->lock);
        p->tallies[p->feed].n_docs += advance.n;
        pthread_mutex_unlock(&v->lock);
    }
    const struct ing_suspects *s = &p->suspects;
    if (!rc && s->n > 0 &&
        (advance.is_end || s->n >= ING_SUSPECTS_MAX || clock_us() > s->first_us + SUSPECT_US_MAX))
        rc = ing_verify_settle(v, p, f, &err);
    if (rc) {
        fail(v, p, &err);
        return;
    }
    pace(p, advance.n);
    if (advance.is_end)
        next_phase(v, p);
}

static void
next_phase(struct ing_verify *v, struct ing_verify_pass *p)
{
    bool is_docs = p->phase == ING_VERIFY_DOCS;
    pthread_mutex_lock(&v->lock);
    p->phase = ING_VERIFY_ENTRIES;
    if (!is_docs)
        p->tallies[p->feed].ended_us = clock_us();
    pthread_mutex_unlock(&v->lock);
    if (is_docs)
        return;
    unsigned next = next_collection(v, p, p->feed + 1);
    if (next < v->m->n_feeds)
        begin_collection(v, p, next);
    else
        end_pass(v, p, ING_VERIFY_DONE);
}

static void
end_pass(struct ing_verify *v, struct ing_verify_pass *p, enum ing_verify_state state)
{
    uint64_t n_found, now_us = clock_wall_us(), n_docs = 0, n_repaired = 0;
    pthread_mutex_lock(&v->lock);
    p->state = state;
    p->ended_wall_us = now_us;
    if (state == ING_VERIFY_DONE && p->is_steady)
        p->last_full_wall_us = now_us;
    n_found = ing_verify_n_found(p);
    for (unsigned i = 0; i < v->m->n_feeds; i++) {
        n_docs += p->tallies[i].n_docs;
        n_repaired += p->tallies[i].n_repaired;
    }
    pthread_mutex_unlock(&v->lock);
    ing_suspects_clear(&p->suspects);
    if (p->is_steady) {
        v->saved_us = 0; /* now */
        uint64_t took_us = now_us > p->began_wall_us ? now_us - p->began_wall_us : 0;
        if (took_us < PASS_EVERY_US)
            p->due_us = clock_us() + PASS_EVERY_US - took_us;
    }
    log_line(v->m->options.log, p->is_steady && n_found == 0 ? LOG_DEBUG : LOG_INFO, "indexer",
             "verify", "state=%s documents=%llu differences=%llu repaired=%llu",
             state == ING_VERIFY_DONE ? "done" : "cancelled", (unsigned long long)n_docs,
             (unsigned long long)n_found, (unsigned long long)n_repaired);
}

/* ---- the place of the steady pass ---- */

static void
save(struct ing_verify *v)
{
    struct ing_verify_pass *p = &v->steady;
    /* Suspects are not kept: the place stays before them. */
    if (p->state == ING_VERIFY_NEVER || p->suspects.n > 0 ||
        (v->saved_us && clock_us() < v->saved_us + SAVE_US))
        return;
    bson_t doc = BSON_INITIALIZER;
    bool is_running = p->state == ING_VERIFY_RUNNING;
    bson_append_date_time(&doc, "last_full", -1, (int64_t)(p->last_full_wall_us / 1000));
    bson_append_date_time(&doc, "began", -1, (int64_t)(p->began_wall_us / 1000));
    if (is_running) {
        struct span name = v->m->feeds[p->feed].schema->name;
        bson_append_utf8(&doc, "collection", -1, name.p, (int)name.n);
        bson_append_bool(&doc, "entries", -1, p->phase == ING_VERIFY_ENTRIES);
        bson_append_bool(&doc, "foreign", -1, p->has_foreign);
        bson_append_int64(&doc, "documents", -1, (int64_t)p->tallies[p->feed].n_docs);
        bson_append_binary(&doc, "at", -1, BSON_SUBTYPE_BINARY, (const uint8_t *)p->at.p,
                           (uint32_t)p->at.n);
    }
    struct idx_batch *b = idx_batch_new();
    idx_batch_state(
        b, SPAN_LIT("verify"),
        arena_dup(idx_batch_arena(b), span_of((const char *)bson_get_data(&doc), doc.len)));
    (void)idx_submit(v->m->options.idx, &b); /* 0 only while closing */
    bson_destroy(&doc);
    v->saved_us = clock_us();
}

static void
restore_place(struct ing_verify *v, const bson_t *doc, struct span name)
{
    struct ing_verify_pass *p = &v->steady;
    bson_iter_t at;
    unsigned feed = 0;
    while (feed < v->m->n_feeds && !span_eq(v->m->feeds[feed].schema->name, name))
        feed++;
    if (feed == v->m->n_feeds)
        return;
    begin_collection(v, p, feed);
    p->has_sums = false; /* of what was read before the restart */
    pthread_mutex_lock(&v->lock);
    p->state = ING_VERIFY_RUNNING;
    if (bson_iter_init_find(&at, doc, "entries") && bson_iter_as_bool(&at))
        p->phase = ING_VERIFY_ENTRIES;
    if (bson_iter_init_find(&at, doc, "documents"))
        p->tallies[feed].n_docs = (uint64_t)bson_iter_as_int64(&at);
    pthread_mutex_unlock(&v->lock);
    p->has_foreign = bson_iter_init_find(&at, doc, "foreign") && bson_iter_as_bool(&at);
    if (bson_iter_init_find(&at, doc, "at") && BSON_ITER_HOLDS_BINARY(&at)) {
        uint32_t n;
        const uint8_t *bytes;
        bson_iter_binary(&at, NULL, &n, &bytes);
        buf_put(&p->at, bytes, n);
    }
}

/* What cannot be read begins anew. */
static void
restore(struct ing_verify *v)
{
    struct ing_verify_pass *p = &v->steady;
    struct arena arena = {0};
    bson_t doc;
    bson_iter_t at;
    struct span text = idx_state(v->m->options.idx, SPAN_LIT("verify"), &arena);
    if (p->docs_per_s && text.n && bson_init_static(&doc, (const uint8_t *)text.p, text.n) &&
        bson_validate(&doc, BSON_VALIDATE_NONE, NULL)) {
        pthread_mutex_lock(&v->lock);
        if (bson_iter_init_find(&at, &doc, "last_full") && BSON_ITER_HOLDS_DATE_TIME(&at))
            p->last_full_wall_us = (uint64_t)bson_iter_date_time(&at) * 1000;
        if (bson_iter_init_find(&at, &doc, "began") && BSON_ITER_HOLDS_DATE_TIME(&at))
            p->began_wall_us = (uint64_t)bson_iter_date_time(&at) * 1000;
        pthread_mutex_unlock(&v->lock);
        if (bson_iter_init_find(&at, &doc, "collection") && BSON_ITER_HOLDS_UTF8(&at))
            restore_place(v, &doc, span_str(bson_iter_utf8(&at, NULL)));
    }
    v->saved_us = clock_us();
    arena_fini(&arena);
}

/* ---- commands ---- */

enum rc
ing_mongo_verify(struct ing_mongo *m, const struct span *names, size_t n,
                 const struct ing_verify_order *order, struct err *err)
{
    struct ing_verify *v = m->verify;
    uint64_t feeds = 0;
    enum rc rc = ing_feeds_named(m, names, n, &feeds, err);
    if (rc)
        return rc;
    if (!may_run(m))
        return err_set(err, RC_CONFLICT,
                       "collections are being built, which reads everything anyway: "
                       "verify when that is done (GET /admin/reindex)");
    pthread_mutex_lock(&v->lock);
    if (v->asked.state == ING_VERIFY_RUNNING) {
        rc = err_set(err, RC_CONFLICT, "a verification is running already");
    } else {
        v->asked.state = ING_VERIFY_RUNNING;
        v->asked.began_wall_us = 0; /* the thread begins it */
        v->asked.feeds = feeds;
        v->asked.may_repair = order->may_repair;
        v->asked.docs_per_s = order->docs_per_s;
        v->asked.due_us = 0;
        ing_verify_report_clear(&v->asked);
        pthread_cond_broadcast(&v->wake);
    }
    pthread_mutex_unlock(&v->lock);
    return rc;
}

enum rc
ing_mongo_cancel_verify(struct ing_mongo *m, struct err *err)
{
    struct ing_verify *v = m->verify;
    enum rc rc = RC_OK;
    pthread_mutex_lock(&v->lock);
    v->want_cancel = v->asked.state == ING_VERIFY_RUNNING;
    if (!v->want_cancel)
        rc = err_set(err, RC_ABSENT, "no verification is running");
    pthread_cond_broadcast(&v->wake);
    pthread_mutex_unlock(&v->lock);
    return rc;
}

/* ---- start and stop ---- */

static void
pass_fini(struct ing_verify_pass *p)
{
    buf_fini(&p->at);
    arena_fini(&p->arena);
    free(p->ids);
    ing_suspects_fini(&p->suspects);
    arena_fini(&p->findings_arena);
    free(p->findings);
}

enum rc
ing_verify_open(struct ing_mongo *m, struct err *err)
{
    struct ing_verify *v = xcalloc(1, sizeof *v);
    pthread_condattr_t attr;
    v->m = m;
    v->steady.is_steady = v->steady.may_repair = true;
    v->steady.docs_per_s = m->options.verify_docs_per_s;
    v->steady.feeds = UINT64_MAX;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&v->lock, NULL);
    pthread_cond_init(&v->wake, &attr);
    pthread_condattr_destroy(&attr);
    v->reader = idx_reader_new(m->options.idx);
    v->doc_reader = idx_doc_reader_new();
    v->relations = ing_relations_new();
    if (m->options.metrics)
        v->metrics = metrics_block(m->options.metrics);
    m->verify = v;
    return v->reader ? RC_OK : err_set(err, RC_LIMIT, "too many readers of the index");
}

void
ing_verify_start(struct ing_mongo *m)
{
    struct ing_verify *v = m->verify;
    must(pthread_create(&v->thread, NULL, verify_main, v) == 0);
}

void
ing_verify_stop(struct ing_mongo *m)
{
    struct ing_verify *v = m->verify;
    pthread_mutex_lock(&v->lock);
    v->is_closing = true;
    pthread_cond_broadcast(&v->wake);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
}

void
ing_verify_close(struct ing_verify *v)
{
    if (!v)
        return;
    pass_fini(&v->asked);
    pass_fini(&v->steady);
    ing_relations_free(v->relations);
    idx_doc_reader_free(v->doc_reader);
    idx_reader_free(v->reader);
    pthread_cond_destroy(&v->wake);
    pthread_mutex_destroy(&v->lock);
    free(v);
}
