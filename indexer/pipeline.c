/*
 * From a change event to a committed segment (journey a). Spine file: read it
 * top-down; each step is a call into the file that is named behind it.
 *
 *   stream thread   event -> dirty key, position             stream.c, event.c
 *       | queue: inbox (dirty.c)
 *   apply thread    1 take       what is dirty, coalesced    dirty.c
 *                   2 rebuilds   drops, commands             reindex.c
 *                   3 apply      fetch, map, submit: edges,  fetch.c, apply.c,
 *                                own documents, users;       mapping.c,
 *                                cascades between            cascade.c
 *                   4 scan       slices of what is not       scan.c, apply.c
 *                                fully read yet, two
 *                                collections at a time
 *                   5 finish     name what was rebuilt       reindex.c
 *                   6 save       position, in the last batch resume.c
 *       | queue: idx_submit -> writer thread -> manifest     index/
 *       | queue: when durable -> write-back thread           writeback.c
 *
 * One thread reads, maps and submits, so every read that is submitted later is
 * a later read, or left out (scan.h): whatever the order of events, the newest version wins. The
 * position is submitted behind everything it covers.
 */
#include "indexer/pipeline.h"

#include "base/clock.h"
#include "base/thread.h"

#include "indexer/stats.h"

enum {
    USERS_PER_ROUND = 150,  /* of cascades: keeps other changes fresh */
    REPLY_DOCS = 250,       /* of the server, when it is well */
    /* Of what they took, beside an index that serves. Who asks for a reindex counts documents a
     * second; cascades come unasked. */
    SCAN_REST_PERCENT = 125,
    CASCADE_REST_PERCENT = 250,
    IDLE_WAIT_US = 1000000,
    HURRY_DOCS = 100,
    HURRY_EVERY_US = 4000,
    SAVE_IDLE_US = 10000000, /* between saves of a position that moved alone */
};

static void *apply_main(void *arg);
static bool await_position(struct ing_mongo *m);
static void take(struct ing_mongo *m, struct ing_round *r);
static void begin_rebuilds(struct ing_mongo *m, const struct ing_round *r);
static bool apply(struct ing_mongo *m, struct ing_round *r);
static bool apply_stage(struct ing_mongo *m, struct ing_round *r, unsigned stage);
static bool scan(struct ing_mongo *m, struct ing_round *r);
static void rest(struct ing_mongo *m, const struct ing_round *r);
static void save(struct ing_mongo *m, const struct ing_round *r);
static bool go_on_after(struct ing_mongo *m, const char *what, const struct err *err,
                        unsigned n_tries);

static void *
apply_main(void *arg)
{
    struct ing_mongo *m = arg;
    (void)pthread_setname_np(pthread_self(), "mongo-apply"); /* for top and gdb only */
    thread_step_back(THREAD_STEPS_FEED);
    struct ing_round round = {0};
    bool is_open = await_position(m);
    if (is_open)
        ing_generations_prepare(m);
    while (is_open) {
        take(m, &round);
        ing_debts_settle(m);
        begin_rebuilds(m, &round);
        is_open = apply(m, &round) && scan(m, &round);
        rest(m, &round);
        if (is_open && ing_rebuild_may_finish(m, &round))
            ing_rebuild_finish(m);
        if (is_open)
            save(m, &round);
        if (is_open)
            ing_verify_round(m, &round);
        ing_rebuild_tidy(m);
        arena_reset(&round.arena);
        is_open = is_open && !ing_inbox_is_closed(&m->inbox);
    }
    for (unsigned i = 0; i < m->n_feeds; i++)
        ing_scan_stop(&m->feeds[i]);
    ing_dirty_set_fini(&round.dirty);
    arena_fini(&round.arena);
    return NULL;
}

/* The resume point is taken before anything is read: no change falls between. */
static bool
await_position(struct ing_mongo *m)
{
    while (!ing_position_is_set(&m->resume.position) && !ing_inbox_is_closed(&m->inbox)) {
        pthread_mutex_lock(&m->inbox.lock);
        if (ing_position_is_set(&m->inbox.filling.position))
            ing_position_copy(&m->resume.position, &m->inbox.filling.position);
        pthread_mutex_unlock(&m->inbox.lock);
        if (!ing_position_is_set(&m->resume.position))
            (void)ing_inbox_sleep(&m->inbox, 20000); /* the loop looks at closed */
    }
    /*
     * What happened before a start by time comes as no event: scans must show
     * it, though it may not be majority-committed at this moment.
     */
    m->resume.read_s = m->resume.position.time_s;
    m->resume.read_i = m->resume.position.time_i;
    return !ing_inbox_is_closed(&m->inbox);
}

static void
take(struct ing_mongo *m, struct ing_round *r)
{
    struct ing_feed *scanned[ING_SCANS];
    bool is_busy = ing_scans_next(m, scanned) || m->resume.n_cascades > 0;
    uint64_t now_us = clock_us();
    uint64_t rest_us = m->rest_until_us > now_us ? m->rest_until_us - now_us : 0;
    if (r->dirty.keys.cap > 16384)
        map_fini(&r->dirty.keys); /* clearing costs its capacity */
    else
        map_clear(&r->dirty.keys);
    ing_inbox_take(&m->inbox, is_busy ? rest_us : IDLE_WAIT_US,
                   is_busy && rest_us == 0 ? 0 : m->options.coalesce_us, m->options.batch_docs,
                   &r->dirty);
    r->taken_wall_us = clock_wall_us();
    r->taken_us = clock_us();
    r->is_resting = r->taken_us < m->rest_until_us;
    r->rest_us = 0;
    if (r->dirty.time_s > m->resume.read_s ||
        (r->dirty.time_s == m->resume.read_s && r->dirty.time_i > m->resume.read_i)) {
        /* Reads from now on show at least this. */
        m->resume.read_s = r->dirty.time_s;
        m->resume.read_i = r->dirty.time_i;
    }
    memset(r->work, 0, sizeof r->work);
    size_t at = 0;
    struct span key;
    uint64_t *op;
    while (map_next(&r->dirty.keys, &at, &key, &op))
        ing_round_add(r, (unsigned char)key.p[0], ing_round_id(r, key), (enum ing_op) * op);
    for (unsigned i = 0; i < ING_OP_DOCUMENT_N; i++)
        metrics_add(m->apply_metrics, ing_event_metric((enum ing_op)i, ING_OUTCOME_MERGED),
                    r->dirty.n_merged[i]);
    pthread_mutex_lock(&m->lock);
    m->status.n_in_round = r->dirty.n_events;
    pthread_mutex_unlock(&m->lock);
}

static void
begin_rebuilds(struct ing_mongo *m, const struct ing_round *r)
{
    pthread_mutex_lock(&m->lock);
    uint64_t wanted = m->want_rebuild;
    bool want_cancel = m->want_cancel;
    m->want_rebuild = 0;
    m->want_cancel = false;
    m->status.is_rebuilding |= wanted != 0;
    for (unsigned i = 0; i < m->n_feeds; i++)
        m->feeds[i].shows_aside |= wanted >> i & 1; /* no second one slips in between */
    pthread_mutex_unlock(&m->lock);
    if (want_cancel)
        ing_rebuild_cancel(m);
    if (r->dirty.rebuild)
        ing_rebuild_warn_room(m, r->dirty.rebuild);
    if (r->dirty.rebuild)
        ing_rebuild_begin(m, r->dirty.rebuild, "dropped, renamed, or history lost");
    if (wanted)
        ing_rebuild_begin(m, wanted, "asked for");
}

static bool
apply(struct ing_mongo *m, struct ing_round *r)
{
    ing_writeback_await_room(m);
    if (!apply_stage(m, r, ING_STAGE_EDGES))
        return false;
    if (m->resume.n_cascades && ing_await_submitted(m))
        return false;
    ing_cascades_touch_own(m, r);
    if (!apply_stage(m, r, ING_STAGE_OWN))
        return false;
    if (m->resume.n_cascades && ing_await_submitted(m))
        return false;
    uint64_t begin_us = clock_us();
    bool has_cascades = m->resume.n_cascades > 0 && !r->is_resting;
    if (has_cascades)
        ing_cascades_touch_users(m, r, USERS_PER_ROUND);
    if (!apply_stage(m, r, ING_STAGE_DERIVED))
        return false;
    ing_cascades_done(m);
    r->rest_us += has_cascades ? (clock_us() - begin_us) * CASCADE_REST_PERCENT / 100 : 0;
    return true;
}

/* False if the pipeline is stopping: then the position must not be saved. */
static bool
apply_feed(struct ing_mongo *m, struct ing_feed *f, const struct ing_work *w)
{
    unsigned n_tries = 0;
    for (size_t at = 0; at < w->n;) {
        struct err err;
        size_t n = w->n - at < m->chunk_docs ? w->n - at : m->chunk_docs;
        enum rc rc = ing_apply_keys(m, f, w, at, n, &err);
        if (rc) {
            m->chunk_docs = m->chunk_docs > 32 ? m->chunk_docs / 2 : m->chunk_docs;
            if (!go_on_after(m, "fetching", &err, n_tries++))
                return false;
            continue;
        }
        at += n;
        n_tries = 0;
        if (m->chunk_docs < m->options.batch_docs)
            m->chunk_docs++;
    }
    return true;
}

static bool
apply_stage(struct ing_mongo *m, struct ing_round *r, unsigned stage)
{
    bool is_open = true;
    for (unsigned i = 0; i < m->n_feeds && is_open; i++) {
        if (m->feeds[i].stage == stage)
            is_open = apply_feed(m, &m->feeds[i], &r->work[i]);
    }
    return is_open;
}

/* A slice of each, so that changes never wait long for a scan. */
static bool
scan(struct ing_mongo *m, struct ing_round *r)
{
    struct ing_feed *feeds[ING_SCANS];
    struct err err;
    if (r->is_resting)
        return true;
    uint64_t begin_us = clock_us();
    unsigned n = ing_scans_next(m, feeds), n_tries = 0;
    for (unsigned i = 0; i < n;) {
        if (ing_apply_slice(m, feeds[i], &err) == RC_OK) {
            m->reply_docs = m->reply_docs < REPLY_DOCS / 2 ? m->reply_docs * 2 : REPLY_DOCS;
            n_tries = 0;
            i++;
            continue;
        }
        m->reply_docs = m->reply_docs > 32 ? m->reply_docs / 2 : m->reply_docs;
        if (!go_on_after(m, "scanning", &err, n_tries++))
            return false;
    }
    r->rest_us += n > 0 ? (clock_us() - begin_us) * SCAN_REST_PERCENT / 100 : 0;
    atomic_store(&m->is_scanning, n > 0 && atomic_load(&m->is_ready));
    return true;
}

/*
 * Beside an index that serves, what takes long rests a part of the time: a
 * machine that is used up has searches wait, whatever their priority.
 */
static void
rest(struct ing_mongo *m, const struct ing_round *r)
{
    if (r->rest_us && atomic_load(&m->is_ready))
        m->rest_until_us = clock_us() + r->rest_us;
}

struct freshness { /* of the oldest change of a round; freed when it was seen */
    struct metrics_block *metrics;
    uint64_t received_us;
};

static void
observe_visible(void *arg, enum rc rc)
{
    struct freshness *f = arg;
    if (rc == RC_OK)
        metrics_observe(f->metrics, M_APPLY_TIME, clock_us() - f->received_us);
    free(f);
}

static void
save(struct ing_mongo *m, const struct ing_round *r)
{
    const struct ing_dirty_set *d = &r->dirty;
    uint64_t now_us = clock_us();
    bool has_work = d->keys.n > 0 || d->rebuild;
    if (ing_position_is_set(&d->position) && !ing_position_eq(&d->position, &m->resume.position)) {
        ing_position_copy(&m->resume.position, &d->position);
        m->has_moved = true;
    }
    if (has_work || (m->has_moved && now_us > m->saved_us + SAVE_IDLE_US)) {
        struct idx_batch *b = idx_batch_new();
        ing_state_put(m, b);
        if (d->first_us) {
            struct freshness *f = xmalloc(sizeof *f);
            *f = (struct freshness){m->apply_metrics, d->first_us};
            idx_batch_on_visible(b, observe_visible, f);
        }
        if (d->keys.n <= HURRY_DOCS && now_us > m->hurried_us + HURRY_EVERY_US) {
            idx_batch_hurry(b); /* a few changes need not wait for the next refresh */
            m->hurried_us = now_us;
        }
        (void)idx_submit(m->options.idx, &b); /* 0 only while closing */
        m->saved_us = now_us;
        m->has_moved = false;
    }
    uint32_t time_s = 0, time_i = 0;
    (void)ing_position_time(&m->resume.position, &time_s, &time_i); /* else 0 */
    pthread_mutex_lock(&m->lock);
    struct ing_status *s = &m->status;
    if (d->has_idled && !m->resume.n_cascades)
        s->caught_up_wall_us = r->taken_wall_us;
    else if (d->time_s && (uint64_t)d->time_s * 1000000 > s->caught_up_wall_us)
        s->caught_up_wall_us = (uint64_t)d->time_s * 1000000;
    s->n_in_round = 0;
    s->n_applied += d->keys.n;
    s->position_s = time_s;
    s->position_i = time_i;
    s->whole_s = ing_resume_whole_s(&m->resume);
    pthread_mutex_unlock(&m->lock);
    ing_status_update(m);
    if (has_work)
        metrics_observe(m->apply_metrics, M_ROUND_TIME, now_us - r->taken_us);
}

/* Tells, waits, and says whether to try again. */
static bool
go_on_after(struct ing_mongo *m, const char *what, const struct err *err, unsigned n_tries)
{
    uint64_t wait_us = ing_backoff_us(n_tries);
    if (ing_inbox_is_closed(&m->inbox) || err->rc == RC_STOPPED)
        return false;
    ing_trouble(m, what, err, wait_us);
    metrics_add(m->apply_metrics, M_SOURCE_ERRORS, 1);
    struct err again;
    return !ing_inbox_sleep(&m->inbox, wait_us) && ing_client_renew(&m->client, &again) == RC_OK;
}

/* ---- start and stop ---- */

void
ing_mongo_options_init(struct ing_mongo_options *o)
{
    *o = (struct ing_mongo_options){.coalesce_us = 5000, .batch_docs = 1000, .sweep_us = 60000000};
}

static enum ing_feed_kind
kind_of(struct span name)
{
    static const struct {
        const char *name;
        enum ing_feed_kind kind;
    } rows[] = {{"entitlement_edges", ING_FEED_EDGES},
                {"roles", ING_FEED_ROLES},
                {"emote_sets", ING_FEED_SETS},
                {"users", ING_FEED_USERS}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (span_eq_str(name, rows[i].name))
            return rows[i].kind;
    }
    return ING_FEED_PLAIN;
}

static enum rc
feed_init(struct ing_mongo *m, struct ing_feed *f, const struct sch_collection *c, struct err *err)
{
    enum rc rc = ing_mapping_new(c, &f->mapping, err);
    if (rc)
        return rc;
    f->number = (unsigned)(f - m->feeds);
    f->schema = c;
    f->source = ing_mapping_source(f->mapping);
    f->kind = kind_of(c->name);
    f->stage = ing_mapping_is_derived(f->mapping) ? ING_STAGE_DERIVED
               : f->kind == ING_FEED_EDGES        ? ING_STAGE_EDGES
                                                  : ING_STAGE_OWN;
    f->fingerprint = ing_mapping_fingerprint(f->mapping);
    bson_copy_to(ing_mapping_projection(f->mapping), &f->fields);
    if (m->options.writeback == ING_WRITEBACK_FULL)
        ing_writeback_fields(&f->fields);
    struct ing_feed **const by_kind[] = {[ING_FEED_EDGES] = &m->edges,
                                         [ING_FEED_ROLES] = &m->roles,
                                         [ING_FEED_SETS] = &m->sets,
                                         [ING_FEED_USERS] = &m->users};
    if (f->kind != ING_FEED_PLAIN)
        *by_kind[f->kind] = f;
    return RC_OK;
}

static enum rc
feeds_init(struct ing_mongo *m, struct err *err)
{
    const struct sch_profile *profile = m->options.profile;
    if (profile->n_collections > ING_FEEDS_MAX)
        return err_set(err, RC_INVALID, "the profile has more than %d collections", ING_FEEDS_MAX);
    m->feeds = xcalloc(profile->n_collections, sizeof *m->feeds);
    for (uint32_t i = 0; i < profile->n_collections; i++) {
        enum rc rc = feed_init(m, &m->feeds[i], &profile->collections[i], err);
        if (rc)
            return rc;
        m->n_feeds++;
    }
    return RC_OK;
}

static enum rc
resume_init(struct ing_mongo *m, struct err *err)
{
    struct arena arena = {0};
    enum rc rc =
        ing_resume_read(idx_state(m->options.idx, SPAN_LIT("mongo"), &arena), &m->resume, err);
    if (!rc && m->options.writeback == ING_WRITEBACK_FULL)
        ing_debts_read(&m->debts, idx_state(m->options.idx, SPAN_LIT("owed"), &arena));
    arena_fini(&arena);
    if (rc)
        return rc;
    /* All at once: the array must not move while feeds point into it. */
    for (unsigned i = 0; i < m->n_feeds; i++)
        (void)ing_resume_feed(&m->resume, m->feeds[i].schema->name);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        m->feeds[i].state = ing_resume_feed(&m->resume, m->feeds[i].schema->name);
        m->feeds[i].origin = m->feeds[i].state->origin;
    }
    ing_position_copy(&m->start, &m->resume.position);
    return RC_OK;
}

static void
mongo_free(struct ing_mongo *m)
{
    ing_sink_stop(m->sink);
    ing_writeback_stop(m->writeback);
    ing_verify_close(m->verify);
    ing_stats_close(m->stats);
    ing_dead_close(m->dead);
    for (size_t i = 0; i < ARRAY_SIZE(m->relations); i++)
        ing_relations_free(m->relations[i]);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        ing_mapping_free(m->feeds[i].mapping);
        bson_destroy(&m->feeds[i].fields);
    }
    idx_doc_reader_free(m->doc_reader);
    idx_reader_free(m->reader);
    if (!atomic_load(&m->is_hung))
        ing_client_close(&m->client);
    ing_resume_fini(&m->resume);
    ing_debts_fini(&m->debts);
    ing_position_fini(&m->start);
    ing_inbox_fini(&m->inbox);
    pthread_mutex_destroy(&m->lock);
    if (m->uri)
        mongoc_uri_destroy(m->uri);
    free(m->feeds);
    free(m);
}

static enum rc
mongo_init(struct ing_mongo *m, struct err *err)
{
    enum rc rc = ing_uri_parse(m->options.uri, &m->uri, err);
    if (!rc)
        rc = ing_client_open(&m->client, m->uri, err);
    if (!rc)
        rc = feeds_init(m, err);
    if (!rc)
        rc = resume_init(m, err);
    if (!rc)
        rc = ing_dead_open(m->options.idx, m->options.metrics, &m->dead, err);
    if (!rc)
        rc = ing_verify_open(m, err);
    if (!rc && m->options.stats)
        rc = ing_stats_open(m, &m->stats, err);
    if (rc)
        return rc;
    m->reader = idx_reader_new(m->options.idx);
    if (!m->reader)
        return err_set(err, RC_LIMIT, "too many readers of the index");
    m->doc_reader = idx_doc_reader_new();
    for (size_t i = 0; i < ARRAY_SIZE(m->relations); i++)
        m->relations[i] = ing_relations_new();
    m->chunk_docs = m->options.batch_docs ? m->options.batch_docs : 1;
    m->reply_docs = REPLY_DOCS;
    if (m->options.metrics)
        m->apply_metrics = metrics_block(m->options.metrics);
    return m->options.sink ? ing_sink_start(m, &m->sink, err) : RC_OK;
}

/* The driver's own log lines would bypass ours; what matters comes as an error. */
static void
no_log(mongoc_log_level_t level, const char *domain, const char *message, void *arg)
{
    (void)level, (void)domain, (void)message, (void)arg;
}

enum rc
ing_mongo_start(const struct ing_mongo_options *options, struct ing_mongo **out, struct err *err)
{
    mongoc_init(); /* does nothing the second time */
    mongoc_log_set_handler(no_log, NULL);
    struct ing_mongo *m = xcalloc(1, sizeof *m);
    m->options = *options;
    ing_inbox_init(&m->inbox);
    pthread_mutex_init(&m->lock, NULL);
    enum rc rc = mongo_init(m, err);
    if (rc) {
        mongo_free(m);
        return rc;
    }
    if (options->writeback == ING_WRITEBACK_FULL)
        m->writeback = ing_writeback_start(m);
    ing_observe_start(m);
    must(pthread_create(&m->stream_thread, NULL, ing_stream_main, m) == 0);
    must(pthread_create(&m->apply_thread, NULL, apply_main, m) == 0);
    ing_verify_start(m);
    *out = m;
    return RC_OK;
}

void
ing_mongo_stop(struct ing_mongo *m)
{
    if (!m)
        return;
    ing_inbox_close(&m->inbox);
    ing_observe_stop(m);
    pthread_join(m->stream_thread, NULL);
    pthread_join(m->apply_thread, NULL);
    ing_verify_stop(m);
    mongo_free(m);
}
