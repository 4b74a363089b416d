/*
 * A full rebuild (journey c). Spine file.
 *
 *   BEGIN   a fresh generation per collection, without a name, recorded in the
 *           resume state together with the position: events from here on are
 *           applied to it as to the one that serves
 *   SCAN    slices in _id order through the same fetch-and-apply (pipeline.c
 *           calls ing_apply_slice); the place is part of every commit
 *   CATCH   until the stream has passed the time of the last slice
 *   SWITCH  one batch names all new generations and so drops the old ones
 *
 * A bootstrap is the same with nothing to serve meanwhile: its generation has
 * the name from the start and is complete at the switch. Until the switch is
 * durable, the old generation is what a restart finds, and the scan goes on.
 */
#include "indexer/pipeline.h"

#include "base/clock.h"
#include "base/heap.h"

#include "indexer/origin.h"

/* By then the last commit of a load is done, and its segments in RAM are gone. */
enum { TIDY_US = 10000000 };

static uint32_t create(struct ing_mongo *m, struct idx_batch *b, const struct ing_feed *f);
static void begin_scan(struct ing_mongo *m, struct ing_feed *f);
static void submit(struct ing_mongo *m, struct idx_batch **take);

/* ---- at start ---- */

static bool
has_generation(const struct idx_snapshot *s, uint32_t uid)
{
    return uid && idx_snapshot_find_uid(s, uid);
}

/* True if the feed's generation serves but must be made anew. */
static bool
prepare_feed(struct ing_mongo *m, struct idx_batch *b, const struct idx_snapshot *s,
             struct ing_feed *f)
{
    struct ing_resume_feed *state = f->state;
    const struct idx_collection *named = idx_snapshot_find(s, f->schema->name);
    if (!has_generation(s, state->live)) {
        state->live = named ? named->uid : 0;
        state->live_print = 0; /* not made by us: other than ours */
    }
    if (!has_generation(s, state->aside)) {
        state->is_scanning &= state->aside == 0;
        state->aside = 0;
    }
    if (!state->live) {
        state->live = create(m, b, f);
        state->live_print = f->fingerprint;
        idx_batch_name(b, state->live);
        begin_scan(m, f);
    }
    f->is_frozen = state->live_print != f->fingerprint;
    if (state->is_scanning && !state->aside && f->is_frozen)
        state->is_scanning = false; /* its scan went into another shape */
    if (state->is_scanning && !f->began_us) {
        f->began_us = clock_us(); /* goes on where it stood */
        f->n_scanned = f->n_before = state->n_scanned;
    }
    return state->aside ? state->aside_print != f->fingerprint : f->is_frozen;
}

/* Collections that the profile no longer has. */
static void
drop_strangers(struct ing_mongo *m, struct idx_batch *b)
{
    for (size_t i = 0; i < m->resume.n_feeds; i++) {
        struct ing_resume_feed *state = &m->resume.feeds[i];
        bool is_ours = false;
        for (unsigned k = 0; k < m->n_feeds; k++)
            is_ours |= m->feeds[k].state == state;
        if (is_ours)
            continue;
        if (state->live)
            idx_batch_drop(b, state->live);
        if (state->aside)
            idx_batch_drop(b, state->aside);
        state->live = state->aside = 0;
        state->is_scanning = false;
    }
}

void
ing_generations_prepare(struct ing_mongo *m)
{
    struct idx_batch *b = idx_batch_new();
    const struct idx_snapshot *s = idx_reader_begin(m->reader);
    uint64_t stale = 0;
    for (unsigned i = 0; i < m->n_feeds; i++) {
        if (prepare_feed(m, b, s, &m->feeds[i]))
            stale |= 1ull << i;
    }
    drop_strangers(m, b);
    bool is_ready = true;
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct idx_collection *c = idx_snapshot_find_uid(s, m->feeds[i].state->live);
        is_ready &= c && c->is_complete;
    }
    idx_reader_end(m->reader);
    submit(m, &b);
    if (stale)
        ing_rebuild_warn_room(m, stale);
    if (stale)
        ing_rebuild_begin(m, stale, "the profile changed");
    atomic_store(&m->is_ready, is_ready);
    m->n_idles_needed = 2;
    ing_status_update(m);
}

/* ---- begin ---- */

static uint32_t
create(struct ing_mongo *m, struct idx_batch *b, const struct ing_feed *f)
{
    uint32_t uid = idx_new_uid(m->options.idx);
    idx_batch_create(b, uid, f->schema, tkz_fingerprint(ing_mapping_analyzer(f->mapping)));
    return uid;
}

static void
begin_scan(struct ing_mongo *m, struct ing_feed *f)
{
    ing_scan_stop(f);
    f->state->is_scanning = true;
    buf_clear(&f->state->at);
    f->state->n_scanned = 0;
    pthread_mutex_lock(&m->lock);
    f->n_scanned = f->n_before = f->n_estimate = f->ended_us = 0;
    f->was_cancelled = false;
    f->began_us = clock_us();
    pthread_mutex_unlock(&m->lock);
}

static void
submit(struct ing_mongo *m, struct idx_batch **take)
{
    ing_state_put(m, *take);
    idx_batch_hurry(*take);
    uint64_t ticket = idx_submit(m->options.idx, take);
    if (ticket)
        m->edges_ticket = m->relation_ticket = ticket; /* they must be there before they are read */
}

uint64_t
ing_rebuild_with_users(const struct ing_mongo *m, uint64_t feeds)
{
    const struct ing_feed *relations[] = {m->edges, m->roles, m->sets};
    for (size_t i = 0; i < ARRAY_SIZE(relations); i++) {
        if (relations[i] && m->users && feeds >> relations[i]->number & 1)
            feeds |= 1ull << m->users->number;
    }
    return feeds;
}

/* The progress that is shown is of the rebuild that runs, or of the last one. */
static void
forget_last(struct ing_mongo *m)
{
    for (unsigned i = 0; i < m->n_feeds; i++) {
        if (m->feeds[i].state->aside || m->feeds[i].state->is_scanning)
            return;
    }
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        m->feeds[i].began_us = 0;
        m->feeds[i].was_cancelled = false;
    }
    pthread_mutex_unlock(&m->lock);
}

void
ing_rebuild_begin(struct ing_mongo *m, uint64_t feeds, const char *why)
{
    struct idx_batch *b = idx_batch_new();
    feeds = ing_rebuild_with_users(m, feeds);
    forget_last(m);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        struct ing_feed *f = &m->feeds[i];
        if (!(feeds >> i & 1))
            continue;
        if (f->state->aside)
            idx_batch_drop(b, f->state->aside);
        f->state->aside = create(m, b, f);
        f->state->aside_print = f->fingerprint;
        begin_scan(m, f);
        ing_origin_forget(m, f);
        log_line(m->options.log, LOG_INFO, "indexer", "reindex", "collection=%s why=\"%s\"",
                 f->source, why);
    }
    for (size_t i = 0; i < m->resume.n_cascades; i++)
        m->resume.cascades[i].is_collected = false; /* the new generation has users too */
    submit(m, &b);
    ing_status_update(m);
}

void
ing_rebuild_cancel(struct ing_mongo *m)
{
    struct idx_batch *b = idx_batch_new();
    for (unsigned i = 0; i < m->n_feeds; i++) {
        struct ing_feed *f = &m->feeds[i];
        if (!f->state->aside || f->is_frozen)
            continue; /* what serves only as a stopgap goes on being rebuilt */
        idx_batch_drop(b, f->state->aside);
        ing_scan_stop(f);
        f->state->aside = 0;
        f->state->is_scanning = false;
        f->was_cancelled = true;
    }
    submit(m, &b);
    ing_status_update(m);
}

/* ---- scan, catch up, switch ---- */

static bool
is_scanning(const struct ing_feed *f)
{
    return f && f->state->is_scanning;
}

/* Whether what the feed is derived from is in the index. */
static bool
may_scan(const struct ing_mongo *m, const struct ing_feed *f)
{
    bool needs_all = ing_mapping_is_derived(f->mapping);
    bool needs_edges = needs_all || ing_mapping_has_relations(f->mapping);
    return !(needs_edges && is_scanning(m->edges)) &&
           !(needs_all && (is_scanning(m->roles) || is_scanning(m->sets)));
}

unsigned
ing_scans_next(const struct ing_mongo *m, struct ing_feed *out[ING_SCANS])
{
    unsigned n = 0, max_n = atomic_load(&m->is_ready) ? 1 : ING_SCANS;
    for (unsigned i = 0; i < m->n_feeds && n < max_n; i++) {
        if (is_scanning(&m->feeds[i]) && may_scan(m, &m->feeds[i]))
            out[n++] = &m->feeds[i];
    }
    return n;
}

void
ing_scan_stop(struct ing_feed *f)
{
    ing_scan_close(f->scan);
    f->scan = NULL;
}

static bool
is_pending(const struct ing_mongo *m)
{
    for (unsigned i = 0; i < m->n_feeds; i++) {
        if (m->feeds[i].state->aside)
            return true;
    }
    return !atomic_load(&m->is_ready);
}

/* Everything is read, and the stream was read past the time of the last slice. */
static bool
is_caught_up(const struct ing_mongo *m, const struct ing_round *r)
{
    uint32_t time_s, time_i;
    if (m->n_idles_needed == 0)
        return true;
    return ing_position_is_set(&r->dirty.position) && m->scan_end_s &&
           ing_position_time(&r->dirty.position, &time_s, &time_i) &&
           (time_s > m->scan_end_s || (time_s == m->scan_end_s && time_i >= m->scan_end_i));
}

/*
 * Started behind the last scan (which another process made): its end is not
 * known any more, but it lies before now. Without this, a stream that never
 * runs dry would keep a complete index from being served.
 */
static void
set_scan_end(struct ing_mongo *m)
{
    struct err err = {0};
    if (!m->scan_end_s && ing_client_now(&m->client, &m->scan_end_s, &m->scan_end_i, &err) != RC_OK)
        m->scan_end_s = 0; /* asked again in the next round */
}

bool
ing_rebuild_may_finish(struct ing_mongo *m, const struct ing_round *r)
{
    struct ing_feed *scanned[ING_SCANS];
    if (!is_pending(m) || ing_scans_next(m, scanned))
        return false;
    set_scan_end(m);
    bool is_done = is_caught_up(m, r);
    if (r->dirty.has_idled && m->n_idles_needed)
        m->n_idles_needed--;
    return is_done;
}

void
ing_rebuild_finish(struct ing_mongo *m)
{
    struct idx_batch *b = idx_batch_new();
    for (unsigned i = 0; i < m->n_feeds; i++) {
        struct ing_feed *f = &m->feeds[i];
        struct ing_resume_feed *state = f->state;
        if (state->aside) {
            idx_batch_complete(b, state->aside);
            idx_batch_name(b, state->aside);
            state->live = state->aside;
            state->live_print = state->aside_print;
            state->aside = 0;
            f->is_frozen = false;
        } else if (!atomic_load(&m->is_ready)) {
            idx_batch_complete(b, state->live);
        }
        buf_clear(&state->at);
    }
    submit(m, &b);
    if (ing_await_relations(m) == RC_OK)
        atomic_store(&m->is_ready, true);
    ing_status_update(m);
    ing_log(m, LOG_INFO, "reindex", "state=complete");
    m->loaded_us = clock_us();
}

void
ing_rebuild_tidy(struct ing_mongo *m)
{
    if (m->loaded_us == 0 || clock_us() < m->loaded_us + TIDY_US)
        return;
    m->loaded_us = 0;
    heap_trim();
}
