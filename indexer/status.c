/* What the pipeline tells about itself, and the commands it takes from outside. */
#include "indexer/pipeline.h"

#include "base/clock.h"

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

static void
put_str(struct buf *out, const char *name, const char *value)
{
    json_put_name(out, name);
    json_put_str(out, span_str(value));
}

static void
put_u64(struct buf *out, const char *name, uint64_t value)
{
    json_put_name(out, name);
    json_put_u64(out, value);
}

static void
put_bool(struct buf *out, const char *name, bool value)
{
    json_put_name(out, name);
    buf_puts(out, value ? "true" : "false");
}

static void
put_lag(struct ing_mongo *m, struct buf *out)
{
    uint64_t now_us = clock_wall_us(), at_us = m->status.caught_up_wall_us;
    json_put_name(out, "lag_s");
    if (at_us)
        json_put_double(out, now_us > at_us ? (double)((now_us - at_us) / 1000) / 1000 : 0);
    else
        buf_puts(out, "null");
}

static void
put_scan(const struct ing_feed *f, struct buf *out)
{
    uint64_t end_us = f->shows_scanning ? clock_us() : f->ended_us;
    uint64_t took_us = end_us > f->began_us ? end_us - f->began_us : 1;
    double rate = (double)f->n_scanned * 1e6 / (double)took_us;
    bool is_waiting = f->shows_scanning && f->n_scanned == 0;
    put_str(out, "state",
            is_waiting          ? "waiting"
            : f->shows_scanning ? "scanning"
            : f->shows_aside    ? "scanned"
                                : "done");
    put_u64(out, "documents", f->n_scanned);
    put_u64(out, "estimated", f->n_estimate > f->n_scanned ? f->n_estimate : f->n_scanned);
    put_u64(out, "documents_per_s", (uint64_t)rate);
    if (f->shows_scanning && rate >= 1 && f->n_estimate > f->n_scanned)
        put_u64(out, "remaining_s", (uint64_t)((double)(f->n_estimate - f->n_scanned) / rate) + 1);
}

void
ing_mongo_write_health(struct ing_mongo *m, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    put_str(out, "source", state_name(m));
    put_lag(m, out);
    if (!m->status.is_connected && m->status.trouble[0])
        put_str(out, "source_error", m->status.trouble);
    pthread_mutex_unlock(&m->lock);
}

void
ing_mongo_write_status(struct ing_mongo *m, struct buf *out)
{
    size_t n_dirty = ing_inbox_n(&m->inbox);
    pthread_mutex_lock(&m->lock);
    const struct ing_status *s = &m->status;
    put_str(out, "state", state_name(m));
    put_bool(out, "ready", atomic_load(&m->is_ready));
    put_bool(out, "connected", s->is_connected);
    put_lag(m, out);
    put_u64(out, "position_s", s->position_s);
    put_u64(out, "position_i", s->position_i);
    put_u64(out, "dirty_keys", n_dirty);
    put_u64(out, "applied_keys", s->n_applied);
    put_u64(out, "cascades", s->n_cascades);
    put_u64(out, "bad_documents", s->n_bad);
    put_u64(out, "errors", s->n_troubles);
    put_str(out, "writeback", m->options.writeback == ING_WRITEBACK_FULL ? "full" : "none");
    if (m->writeback)
        put_str(out, "lease", s->lease ? s->lease : "watching");
    if (s->trouble[0]) {
        put_str(out, "last_error", s->trouble);
        put_u64(out, "last_error_s", s->trouble_wall_us / 1000000);
    }
    pthread_mutex_unlock(&m->lock);
    json_put_name(out, "dead_letters");
    ing_dead_write(m->dead, STATUS_LETTERS, out);
    json_put_name(out, "collections");
    ing_mongo_write_reindex(m, out);
}

void
ing_mongo_write_dead_letters(struct ing_mongo *m, size_t max, struct buf *out)
{
    ing_dead_write(m->dead, max, out);
}

void
ing_mongo_write_reindex(struct ing_mongo *m, struct buf *out)
{
    buf_putc(out, '{');
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct ing_feed *f = &m->feeds[i];
        if (!f->began_us)
            continue;
        json_put_comma(out);
        json_put_str(out, f->schema->name);
        buf_puts(out, ":{");
        put_scan(f, out);
        buf_putc(out, '}');
    }
    pthread_mutex_unlock(&m->lock);
    buf_putc(out, '}');
}

/* ---- commands ---- */

static enum rc
feeds_named(struct ing_mongo *m, const struct span *names, size_t n, uint64_t *out, struct err *err)
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

enum rc
ing_mongo_reindex(struct ing_mongo *m, const struct span *names, size_t n, struct err *err)
{
    uint64_t feeds = 0;
    enum rc rc = feeds_named(m, names, n, &feeds, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&m->lock);
    if (m->status.is_rebuilding || m->want_rebuild || !atomic_load(&m->is_ready))
        rc = err_set(err, RC_CONFLICT, "a reindex is running already");
    else
        m->want_rebuild = feeds;
    pthread_mutex_unlock(&m->lock);
    if (!rc)
        ing_inbox_wake(&m->inbox);
    return rc;
}

enum rc
ing_mongo_cancel_reindex(struct ing_mongo *m, struct err *err)
{
    enum rc rc = RC_OK;
    pthread_mutex_lock(&m->lock);
    if (m->want_rebuild)
        m->want_rebuild = 0;
    else if (m->status.is_rebuilding)
        m->want_cancel = true;
    else
        rc = err_set(err, RC_ABSENT, "no reindex is running");
    pthread_mutex_unlock(&m->lock);
    if (!rc)
        ing_inbox_wake(&m->inbox);
    return rc;
}
