/*
 * A reindex as it is asked for from outside: is there room for it, may it
 * begin, how far is it, stop it. What is done about it: reindex.c.
 */
#include "indexer/pipeline.h"

#include "base/clock.h"
#include "base/memory.h"

enum { MEMORY_BYTES_DEFAULT = 256 << 20 };

/* ---- room ---- */

struct need { /* in bytes; 0: not known, or not asked */
    uint64_t disk, disk_free, memory, memory_free;
};

static uint64_t
bytes_of(const struct idx_snapshot *s, uint32_t uid)
{
    const struct idx_collection *c = idx_snapshot_find_uid(s, uid);
    uint64_t n = 0;
    for (uint32_t v = 0; c && v < c->n_views; v++)
        n += idx_segment_n_bytes(c->views[v].segment);
    return n;
}

/*
 * Beside the old generation: the new one, and once more while its segments are
 * merged. Where there is no old one to measure, the size of the documents in
 * MongoDB stands for both.
 */
static void
measure(struct ing_mongo *m, uint64_t feeds, struct need *out)
{
    const struct ing_mongo_options *o = &m->options;
    *out = (struct need){.memory = o->rebuild_memory_bytes ? o->rebuild_memory_bytes
                                                           : MEMORY_BYTES_DEFAULT,
                         .memory_free = memory_available()};
    struct idx_reader *reader = idx_reader_new(o->idx);
    if (!reader)
        return; /* thousands of requests at once: nothing is known then */
    const struct idx_snapshot *s = idx_reader_begin(reader);
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct ing_feed *f = &m->feeds[i];
        const struct idx_collection *old = idx_snapshot_find(s, f->schema->name);
        if (feeds >> i & 1)
            out->disk += old && old->n_docs ? 2 * bytes_of(s, old->uid) : f->source_bytes;
    }
    pthread_mutex_unlock(&m->lock);
    idx_reader_end(reader);
    idx_reader_free(reader);
    if (o->fs && fs_free_bytes(o->fs, &out->disk_free, NULL) != RC_OK)
        out->disk_free = 0;
}

static bool
has_disk(const struct ing_mongo *m, const struct need *n)
{
    return !m->options.fs || n->disk_free >= n->disk;
}

static bool
has_memory(const struct need *n)
{
    return !n->memory_free || n->memory_free >= n->memory;
}

static double
megabytes(uint64_t n_bytes)
{
    return (double)n_bytes / (1 << 20);
}

static enum rc
check_room(struct ing_mongo *m, uint64_t feeds, struct err *err)
{
    struct need n;
    measure(m, feeds, &n);
    if (!has_disk(m, &n))
        return err_set(err, RC_FULL,
                       "a rebuild aside takes about %.1f MB of disk while the old generation "
                       "serves, and %.1f MB are free: make room, or force it",
                       megabytes(n.disk), megabytes(n.disk_free));
    if (!has_memory(&n))
        return err_set(err, RC_FULL,
                       "a rebuild aside takes about %.1f MB of memory, and %.1f MB are available: "
                       "make room, or force it",
                       megabytes(n.memory), megabytes(n.memory_free));
    return RC_OK;
}

void
ing_rebuild_warn_room(struct ing_mongo *m, uint64_t feeds)
{
    struct err err;
    char quoted[LOG_QUOTE_MAX];
    if (check_room(m, feeds, &err) != RC_OK)
        log_line(m->options.log, LOG_WARN, "indexer", "reindex",
                 "why=%s; begun all the same, because what serves is not right any more",
                 log_quote(span_str(err.text), quoted));
}

void
ing_rebuild_write_room(struct ing_mongo *m, struct buf *out)
{
    struct need n;
    measure(m, UINT64_MAX, &n);
    buf_printf(out,
               "{\"disk_bytes\":%llu,\"disk_free_bytes\":%llu,\"memory_bytes\":%llu,"
               "\"memory_free_bytes\":%llu,\"has_room\":%s}",
               (unsigned long long)n.disk, (unsigned long long)n.disk_free,
               (unsigned long long)n.memory, (unsigned long long)n.memory_free,
               has_disk(m, &n) && has_memory(&n) ? "true" : "false");
}

/* ---- begin and cancel ---- */

/* The lock is held. */
static enum rc
check_idle(struct ing_mongo *m, uint64_t feeds, struct err *err)
{
    if (!atomic_load(&m->is_ready))
        return err_set(err, RC_CONFLICT,
                       "the first bootstrap is running: everything is being built");
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct ing_feed *f = &m->feeds[i];
        bool is_busy = f->shows_aside || f->shows_scanning || m->want_rebuild >> i & 1;
        if ((feeds >> i & 1) && is_busy)
            return err_set(err, RC_CONFLICT, "%.*s is being rebuilt already",
                           SPAN_ARG(f->schema->name));
    }
    return RC_OK;
}

enum rc
ing_mongo_reindex_anyway(struct ing_mongo *m, const struct span *names, size_t n, struct err *err)
{
    uint64_t feeds = 0;
    enum rc rc = ing_feeds_named(m, names, n, &feeds, err);
    if (rc)
        return rc;
    feeds = ing_rebuild_with_users(m, feeds);
    pthread_mutex_lock(&m->lock);
    rc = check_idle(m, feeds, err);
    if (!rc)
        m->want_rebuild |= feeds;
    pthread_mutex_unlock(&m->lock);
    if (!rc)
        ing_inbox_wake(&m->inbox);
    return rc;
}

enum rc
ing_mongo_reindex(struct ing_mongo *m, const struct span *names, size_t n, struct err *err)
{
    uint64_t feeds = 0;
    enum rc rc = ing_feeds_named(m, names, n, &feeds, err);
    if (!rc)
        rc = check_room(m, ing_rebuild_with_users(m, feeds), err);
    return rc ? rc : ing_mongo_reindex_anyway(m, names, n, err);
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

/* ---- progress ---- */

static const char *
state_of(const struct ing_mongo *m, const struct ing_feed *f)
{
    if (f->shows_scanning)
        return f->n_scanned ? "scanning" : "waiting";
    if (f->was_cancelled)
        return "cancelled";
    return f->shows_aside || !atomic_load(&m->is_ready) ? "catching_up" : "done";
}

static void
write_feed(const struct ing_mongo *m, const struct ing_feed *f, struct buf *out)
{
    uint64_t end_us = f->shows_scanning ? clock_us() : f->ended_us;
    uint64_t took_us = end_us > f->began_us ? end_us - f->began_us : 1;
    double rate = (double)(f->n_scanned - f->n_before) * 1e6 / (double)took_us;
    uint64_t n_all = f->n_estimate > f->n_scanned ? f->n_estimate : f->n_scanned;
    bool has_end = f->shows_scanning && rate >= 1;
    buf_puts(out, "{\"name\":");
    json_put_str(out, f->schema->name);
    buf_printf(out,
               ",\"state\":\"%s\",\"documents\":%llu,\"estimated\":%llu,\"per_s\":%.0f,\"eta_s\":",
               state_of(m, f), (unsigned long long)f->n_scanned, (unsigned long long)n_all, rate);
    if (has_end)
        buf_printf(out, "%.0f", (double)(n_all - f->n_scanned) / rate);
    else
        buf_puts(out, "null");
    buf_putc(out, '}');
}

void
ing_mongo_write_reindex(struct ing_mongo *m, struct buf *out)
{
    pthread_mutex_lock(&m->lock);
    bool is_running = m->want_rebuild || m->status.is_rebuilding || m->status.is_scanning;
    buf_printf(out, "{\"running\":%s,\"collections\":[",
               is_running || !atomic_load(&m->is_ready) ? "true" : "false");
    for (unsigned i = 0; i < m->n_feeds; i++) {
        if (!m->feeds[i].began_us)
            continue;
        json_put_comma(out);
        write_feed(m, &m->feeds[i], out);
    }
    buf_puts(out, "]}");
    pthread_mutex_unlock(&m->lock);
}
