/* What the pipeline tells about itself, and the commands it takes from outside. */
#include "indexer/pipeline.h"

#include "base/clock.h"
#include "base/json_member.h"

#include "indexer/stats.h"

enum { STATUS_LETTERS = 10 }; /* dead letters shown with the status */

void
ing_trouble(struct ing_mongo *m, const char *what, const struct err *err, uint64_t wait_us)
{
    char quoted[LOG_QUOTE_MAX];
    pthread_mutex_lock(&m->lock);
    struct ing_status *s = &m->status;
    snprintf(s->trouble, sizeof s->trouble, "%s", err->text);
    s->trouble_wall_us = clock_wall_us();
    s->n_troubles++;
    pthread_mutex_unlock(&m->lock);
    log_line(m->options.log, LOG_WARN, "indexer", "source", "while=%s error=%s retry_ms=%llu", what,
             log_quote(span_str(err->text), quoted), (unsigned long long)(wait_us / 1000));
}

void
ing_log(struct ing_mongo *m, enum log_level level, const char *event, const char *text)
{
    log_line(m->options.log, level, "indexer", event, "%s", text);
}

static const char *
state_name(const struct ing_mongo *m)
{
    const struct ing_status *s = &m->status;
    if (!s->is_connected)
        return s->was_connected ? "reconnecting" : "connecting";
    if (!atomic_load(&m->is_ready))
        return "bootstrapping";
    return s->is_rebuilding ? "reindexing" : "tailing";
}

void
ing_status_note_state(struct ing_mongo *m)
{
    const char *name = state_name(m);
    if (m->status.state && strcmp(m->status.state, name) == 0)
        return;
    m->status.state = name;
    m->status.state_wall_us = clock_wall_us();
}

uint64_t
ing_status_lag_us(const struct ing_mongo *m)
{
    uint64_t now_us = clock_wall_us(), at_us = m->status.caught_up_wall_us;
    if (!at_us)
        return UINT64_MAX;
    return now_us > at_us ? now_us - at_us : 0;
}

/* The lock is held; the apply thread's own. */
static void
copy_cascades(struct ing_mongo *m)
{
    m->status.n_debts = m->debts.n;
    m->status.n_cascades = m->resume.n_cascades;
    for (size_t i = 0; i < m->resume.n_cascades && i < ING_CASCADES_SHOWN; i++) {
        const struct ing_cascade *c = &m->resume.cascades[i];
        struct ing_cascade_progress *to = &m->status.cascades[i];
        *to = (struct ing_cascade_progress){.kind = c->kind};
        snprintf(to->key, sizeof to->key, "%.*s", SPAN_ARG(buf_span(&c->key)));
        to->n_done = c->is_collected ? c->i_ids : 0;
        to->n_documents = c->is_collected ? c->n_ids : 0;
    }
}

void
ing_status_update(struct ing_mongo *m)
{
    bool is_rebuilding = false, is_scanning = false;
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        struct ing_feed *f = &m->feeds[i];
        f->shows_scanning = f->state->is_scanning;
        f->shows_aside = f->state->aside != 0;
        is_scanning |= f->shows_scanning;
        is_rebuilding |= f->shows_aside;
    }
    m->status.is_scanning = is_scanning;
    m->status.is_rebuilding = is_rebuilding;
    copy_cascades(m);
    ing_status_note_state(m);
    pthread_mutex_unlock(&m->lock);
}

bool
ing_mongo_is_ready(struct ing_mongo *m)
{
    return atomic_load(&m->is_ready);
}

bool
ing_mongo_feeds(struct ing_mongo *m, struct span collection)
{
    for (unsigned i = 0; i < m->n_feeds; i++) {
        if (span_eq(collection, m->feeds[i].schema->name))
            return true;
    }
    return false;
}

/* ---- writing; the lock is held ---- */

static void
put_seconds(struct buf *out, const char *name, uint64_t us)
{
    json_put_name(out, name);
    json_put_double(out, (double)(us / 1000) / 1000);
}

static void
put_lag(struct ing_mongo *m, struct buf *out)
{
    uint64_t lag_us = ing_status_lag_us(m);
    if (lag_us != UINT64_MAX) {
        put_seconds(out, "lag_s", lag_us);
        return;
    }
    json_put_name(out, "lag_s");
    buf_puts(out, "null");
}

static void
put_oplog(struct ing_mongo *m, uint32_t durable_s, struct buf *out)
{
    const struct ing_status *s = &m->status;
    json_put_name(out, "oplog");
    buf_putc(out, '{');
    if (s->oplog_oldest_s) {
        uint64_t window_s = s->oplog_newest_s - s->oplog_oldest_s;
        uint64_t headroom_s = durable_s > s->oplog_oldest_s ? durable_s - s->oplog_oldest_s : 0;
        json_member_put_u64(out, "window_s", window_s);
        json_member_put_u64(out, "headroom_s", headroom_s);
        json_put_name(out, "headroom");
        json_put_double(out, window_s == 0           ? 1
                             : headroom_s < window_s ? (double)headroom_s / (double)window_s
                                                     : 1);
    } else {
        json_member_put_str(out, "unknown",
                            span_str(s->oplog_trouble[0] ? s->oplog_trouble : "not looked at yet"));
    }
    buf_putc(out, '}');
}

static void
put_cascades(const struct ing_status *s, struct buf *out)
{
    static const char *const kinds[ING_CASCADE_KIND_N] = {"edge", "role", "set"};
    json_put_name(out, "cascades_running");
    buf_putc(out, '[');
    for (size_t i = 0; i < s->n_cascades && i < ING_CASCADES_SHOWN; i++) {
        const struct ing_cascade_progress *c = &s->cascades[i];
        json_put_comma(out);
        buf_putc(out, '{');
        json_member_put_str(out, "kind", span_str(kinds[c->kind]));
        json_member_put_str(out, "key", span_str(c->key));
        json_member_put_u64(out, "documents_done", c->n_done);
        json_member_put_u64(out, "documents", c->n_documents);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

static void
put_times(struct ing_mongo *m, struct buf *out)
{
    static const struct {
        const char *name;
        enum metric metric;
    } rows[] = {{"fetch_ms", M_FETCH_TIME},
                {"scan_slice_ms", M_SLICE_TIME},
                {"round_ms", M_ROUND_TIME},
                {"apply_ms", M_APPLY_TIME}};
    struct metrics *metrics = m->options.metrics;
    for (size_t i = 0; metrics && i < ARRAY_SIZE(rows); i++) {
        json_put_name(out, rows[i].name);
        buf_printf(out, "{\"count\":%llu,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}",
                   (unsigned long long)metrics_read(metrics, rows[i].metric),
                   (double)metrics_quantile(metrics, rows[i].metric, 0.5) / 1e3,
                   (double)metrics_quantile(metrics, rows[i].metric, 0.99) / 1e3,
                   (double)metrics_quantile(metrics, rows[i].metric, 1) / 1e3);
    }
}

void
ing_mongo_write_health(struct ing_mongo *m, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    json_member_put_str(out, "source", span_str(state_name(m)));
    put_lag(m, out);
    if (!m->status.is_connected && m->status.trouble[0])
        json_member_put_str(out, "source_error", span_str(m->status.trouble));
    pthread_mutex_unlock(&m->lock);
    if (m->sink)
        ing_sink_write_health(m->sink, out);
}

static uint64_t
position_age_us(uint32_t position_s)
{
    uint64_t now_us = clock_wall_us(), at_us = (uint64_t)position_s * 1000000;
    return position_s && now_us > at_us ? now_us - at_us : 0;
}

/* Of the newest durable commit; 0: none. */
static uint32_t
durable_position_s(struct ing_mongo *m)
{
    struct arena arena = {0};
    struct ing_resume resume;
    uint32_t time_s = 0, time_i = 0;
    if (ing_resume_read(idx_state(m->options.idx, SPAN_LIT("mongo"), &arena), &resume, NULL) ==
        RC_OK) {
        if (!ing_position_time(&resume.position, &time_s, &time_i))
            time_s = 0;
        ing_resume_fini(&resume);
    }
    arena_fini(&arena);
    return time_s;
}

void
ing_mongo_refresh_metrics(struct ing_mongo *m)
{
    uint64_t n_events, commit_us = 0, now_us = clock_wall_us();
    size_t n_dirty = ing_inbox_n(&m->inbox, &n_events);
    size_t n_writeback = ing_writeback_n(m);
    uint32_t durable_s = durable_position_s(m);
    struct metrics_block *g = m->observer.gauges;
    (void)idx_commit_number(m->options.idx, &commit_us);
    metrics_set(g, M_DIRTY_KEYS, n_dirty);
    metrics_set(g, M_WRITEBACK_QUEUE, n_writeback);
    metrics_set(g, M_COMMIT_AGE, commit_us && now_us > commit_us ? now_us - commit_us : 0);
    metrics_set(g, M_POSITION_AGE, position_age_us(durable_s));
    pthread_mutex_lock(&m->lock);
    const struct ing_status *s = &m->status;
    uint64_t lag_us = ing_status_lag_us(m), oldest_s = s->oplog_oldest_s, n_rebuilding = 0;
    for (unsigned i = 0; i < m->n_feeds; i++)
        n_rebuilding += m->feeds[i].shows_scanning || m->feeds[i].shows_aside;
    metrics_set(g, M_LAG, lag_us == UINT64_MAX ? 0 : lag_us);
    metrics_set(g, M_LAG_EVENTS, n_events + s->n_in_round);
    metrics_set(g, M_CASCADES, s->n_cascades);
    metrics_set(g, M_WRITEBACK_OWED, s->n_debts);
    metrics_set(g, M_LEASE_HELD, s->lease && strcmp(s->lease, "holder") == 0);
    metrics_set(g, M_REBUILDING, n_rebuilding);
    metrics_set(g, M_OPLOG_WINDOW, (s->oplog_newest_s - oldest_s) * 1000000);
    metrics_set(g, M_OPLOG_HEADROOM,
                oldest_s && durable_s > oldest_s ? (durable_s - oldest_s) * 1000000 : 0);
    pthread_mutex_unlock(&m->lock);
}

uint64_t
ing_mongo_lag_us(struct ing_mongo *m)
{
    pthread_mutex_lock(&m->lock);
    uint64_t lag_us = ing_status_lag_us(m);
    pthread_mutex_unlock(&m->lock);
    return lag_us;
}

void
ing_mongo_write_status(struct ing_mongo *m, struct buf *out)
{
    uint64_t n_events;
    size_t n_dirty = ing_inbox_n(&m->inbox, &n_events);
    size_t n_writeback = ing_writeback_n(m);
    uint32_t durable_s = durable_position_s(m);
    pthread_mutex_lock(&m->lock);
    const struct ing_status *s = &m->status;
    ing_status_note_state(m);
    json_member_put_str(out, "state", span_str(s->state));
    json_member_put_u64(out, "state_since_s", s->state_wall_us / 1000000);
    json_member_put_bool(out, "ready", atomic_load(&m->is_ready));
    json_member_put_bool(out, "connected", s->is_connected);
    put_lag(m, out);
    json_member_put_u64(out, "position_s", s->position_s);
    json_member_put_u64(out, "position_i", s->position_i);
    put_seconds(out, "resume_point_age_s", position_age_us(durable_s));
    put_oplog(m, durable_s, out);
    json_member_put_u64(out, "lag_events", n_events + s->n_in_round);
    json_member_put_u64(out, "dirty_keys", n_dirty);
    json_member_put_u64(out, "writeback_queue", n_writeback);
    json_member_put_u64(out, "writeback_owed", s->n_debts);
    json_member_put_u64(out, "applied_keys", s->n_applied);
    json_member_put_u64(out, "cascades", s->n_cascades);
    put_cascades(s, out);
    json_member_put_u64(out, "bad_documents", s->n_bad);
    json_member_put_u64(out, "errors", s->n_troubles);
    json_member_put_str(out, "writeback",
                        span_str(m->options.writeback == ING_WRITEBACK_FULL ? "full" : "none"));
    if (m->writeback)
        json_member_put_str(out, "lease", span_str(s->lease ? s->lease : "watching"));
    if (s->trouble[0]) {
        json_member_put_str(out, "last_error", span_str(s->trouble));
        json_member_put_u64(out, "last_error_s", s->trouble_wall_us / 1000000);
    }
    pthread_mutex_unlock(&m->lock);
    put_times(m, out);
    if (m->stats) {
        json_put_name(out, "emote_stats");
        ing_stats_write_status(m->stats, out);
    }
    json_put_name(out, "dead_letters");
    ing_dead_write(m->dead, STATUS_LETTERS, out);
    if (m->sink)
        ing_sink_write_status(m->sink, out);
    json_put_name(out, "verify");
    ing_verify_write_short(m, out);
    json_put_name(out, "reindex");
    ing_mongo_write_reindex(m, out);
    json_put_name(out, "room_for_reindex");
    ing_rebuild_write_room(m, out);
}

void
ing_mongo_write_dead_letters(struct ing_mongo *m, size_t max, struct buf *out)
{
    ing_dead_write(m->dead, max, out);
}

/* ---- commands ---- */

enum rc
ing_feeds_named(struct ing_mongo *m, const struct span *names, size_t n, uint64_t *out,
                struct err *err)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bit = 0;
        for (unsigned k = 0; k < m->n_feeds; k++) {
            if (span_eq(names[i], m->feeds[k].schema->name))
                bit = 1ull << k;
        }
        if (!bit)
            return err_set(err, RC_ABSENT, "no collection `%.*s` is fed by MongoDB",
                           SPAN_ARG(names[i]));
        bits |= bit;
    }
    for (unsigned k = 0; n == 0 && k < m->n_feeds; k++)
        bits |= 1ull << k;
    *out = bits;
    return RC_OK;
}
