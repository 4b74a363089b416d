/*
 * Which sidecar feeds, and what those that do not feed know of it. Every one
 * keeps its own record of what is owed; the holder tells with its beats which
 * collections its aliases name and up to which cluster time everything is
 * acknowledged. A standby drops what is older than that, and if its own
 * record reaches back to such a time it can go on where the holder ended: all
 * that it owes, sent again, is enough. If not, it builds anew.
 */
#include "indexer/sink.h"

#include "base/clock.h"

enum { RETRY_US = 1000000, DROP_DOCS = 20000, MARGIN_S = 2 };
enum { NO_RECORD = INT32_MAX }; /* nothing of it is: no time that is acknowledged reaches it */

/* ---- what the holder tells ---- */

static void
tell(const struct ing_sink *s, bson_t *out)
{
    bson_t feeds, feed;
    char number[16];
    const char *key;
    uint32_t n = 0;
    bson_append_utf8(out, "by", -1, s->by, -1);
    bson_append_int64(out, "acked_s", -1, s->acked_s);
    bson_append_array_begin(out, "feeds", -1, &feeds);
    for (unsigned i = 0; i < s->n_feeds; i++) {
        const struct ing_sink_feed *f = &s->feeds[i];
        if (!f->target[0] || f->since_s || f->is_partial)
            continue;
        bson_uint32_to_string(n++, &key, number, sizeof number);
        bson_append_document_begin(&feeds, key, -1, &feed);
        bson_append_utf8(&feed, "name", -1, f->name.p, (int)f->name.n);
        bson_append_utf8(&feed, "target", -1, f->target, -1);
        bson_append_int64(&feed, "print", -1, (int64_t)f->feed->fingerprint);
        bson_append_document_end(&feeds, &feed);
    }
    bson_append_array_end(out, &feeds);
}

static int64_t
get_i64(const bson_t *doc, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, doc, name) && BSON_ITER_HOLDS_NUMBER(&at)
               ? bson_iter_as_int64(&at)
               : 0;
}

static struct span
get_text(const bson_t *doc, const char *name)
{
    bson_iter_t at;
    uint32_t n;
    if (!bson_iter_init_find(&at, doc, name) || !BSON_ITER_HOLDS_UTF8(&at))
        return (struct span){0};
    const char *text = bson_iter_utf8(&at, &n);
    return span_of(text, n);
}

/* A document or array inside; false if there is none. *out borrows. */
static bool
get_inside(bson_iter_t *at, bson_t *out)
{
    const uint8_t *p;
    uint32_t n;
    if (BSON_ITER_HOLDS_DOCUMENT(at))
        bson_iter_document(at, &n, &p);
    else if (BSON_ITER_HOLDS_ARRAY(at))
        bson_iter_array(at, &n, &p);
    else
        return false;
    return bson_init_static(out, p, n);
}

/* ---- taking it over ---- */

static uint32_t
local_uid(struct ing_sink *s, const struct ing_sink_feed *f)
{
    const struct idx_collection *c = idx_snapshot_find(idx_reader_begin(s->reader), f->name);
    uint32_t uid = c && c->is_complete ? c->uid : 0;
    idx_reader_end(s->reader);
    return uid;
}

static uint32_t
position_s(struct ing_sink *s)
{
    pthread_mutex_lock(&s->m->lock);
    uint32_t time_s = s->m->status.position_s;
    pthread_mutex_unlock(&s->m->lock);
    return time_s;
}

/* Collections that we began and that no one will finish go when we feed again. */
static void
give_up_building(struct ing_sink *s, struct ing_sink_feed *f)
{
    if (!f->building[0])
        return;
    ing_sink_add_old(s, f->building, 0);
    f->building[0] = 0;
    f->is_scanned = false;
    buf_clear(&f->at);
    s->has_moved = true;
}

/* Ours, now or until a moment ago: what we told before a restart may be older than what we have. */
static bool
is_known(const struct ing_sink *s, const struct ing_sink_feed *f, struct span name)
{
    bool is = span_eq_str(name, f->target) || span_eq_str(name, f->building);
    for (size_t i = 0; i < s->n_old; i++)
        is |= span_eq_str(name, s->old[i].name);
    return is;
}

/* uid, now_s: what we have ourselves, 0: nothing whole yet. */
static void
take_target(struct ing_sink *s, struct ing_sink_feed *f, struct span target, uint32_t uid,
            uint32_t now_s)
{
    bool is_other = !span_eq_str(target, f->target);
    give_up_building(s, f);
    if (is_other)
        snprintf(f->target, sizeof f->target, "%.*s", SPAN_ARG(target));
    s->has_moved |= is_other;
    if (!uid || !now_s) {
        f->since_s = NO_RECORD; /* built anew, and swapped for this one */
    } else if (f->uid != uid || is_other) {
        /* What is not recorded, or no more, the holder must have sent to this target. */
        f->since_s = (f->uid == uid && s->kept_s ? s->kept_s : now_s) + 1;
        f->uid = uid;
        (void)ing_pending_follow(&s->pending, f->name, uid,
                                 NULL); /* the state goes with the next */
        s->has_moved = true;
    }
}

static void
adopt(struct ing_sink *s, struct ing_sink_feed *f, struct span target, int64_t acked_s,
      bool is_ours)
{
    uint32_t uid = local_uid(s, f), now_s = position_s(s);
    if (target.n >= sizeof f->target || (f->uid && !(uid && now_s)))
        return; /* not before we know what we have */
    if (!is_ours || !is_known(s, f, target))
        take_target(s, f, target, uid, now_s);
    if (f->since_s && acked_s > (int64_t)f->since_s + MARGIN_S) {
        f->since_s = 0;
        s->has_moved = true;
    }
}

/* What another holder does not tell of may lack what we have dropped, or soon will. */
static void
disown(struct ing_sink *s, struct ing_sink_feed *f)
{
    if (!f->uid || f->since_s)
        return;
    f->since_s = position_s(s) + 1;
    s->has_moved = true;
}

/* The feed of an entry of what was told; NULL if it is none of ours, or made in another way. */
static struct ing_sink_feed *
feed_told(struct ing_sink *s, const bson_t *feed)
{
    struct span name = get_text(feed, "name");
    for (unsigned i = 0; i < s->n_feeds; i++) {
        struct ing_sink_feed *f = &s->feeds[i];
        if (span_eq(f->name, name))
            return get_i64(feed, "print") == (int64_t)f->feed->fingerprint ? f : NULL;
    }
    return NULL;
}

/* Reads what the holder told; its acked_s, 0 if it is unknown. */
static int64_t
adopt_all(struct ing_sink *s)
{
    bson_iter_t at, each;
    bson_t told, feeds, feed;
    bool is_told[ING_FEEDS_MAX] = {false};
    if (!s->lease.seen || !bson_iter_init_find(&at, s->lease.seen, "told") ||
        !get_inside(&at, &told))
        return 0;
    int64_t acked_s = get_i64(&told, "acked_s");
    bool is_ours = span_eq_str(get_text(&told, "by"), s->by); /* we told it, before a restart */
    bool has_any = bson_iter_init_find(&at, &told, "feeds") && get_inside(&at, &feeds) &&
                   bson_iter_init(&each, &feeds);
    while (has_any && bson_iter_next(&each)) {
        struct ing_sink_feed *f = get_inside(&each, &feed) ? feed_told(s, &feed) : NULL;
        if (!f)
            continue;
        is_told[f - s->feeds] = true;
        adopt(s, f, get_text(&feed, "target"), acked_s, is_ours);
    }
    for (unsigned i = 0; i < s->n_feeds && !is_ours; i++) {
        if (!is_told[i])
            disown(s, &s->feeds[i]);
    }
    return acked_s;
}

/* Entries older than that, at most DROP_DOCS; their keys. */
static struct span *
list_sent(struct ing_sink *s, uint32_t before_s, struct arena *arena, size_t *n)
{
    struct ing_pending_item *items = arena_alloc(arena, DROP_DOCS * sizeof *items);
    struct span *keys = arena_alloc(arena, DROP_DOCS * sizeof *keys);
    const struct ing_pending_filter filter = {.before_s = before_s, .max = DROP_DOCS};
    *n = ing_pending_list(&s->pending, idx_reader_begin(s->reader), &filter, arena, items);
    idx_reader_end(s->reader);
    for (size_t i = 0; i < *n; i++)
        keys[i] = items[i].key;
    return keys;
}

/* What the holder has surely sent is not owed any more. */
static void
drop_sent(struct ing_sink *s, uint32_t before_s)
{
    struct arena arena = {0};
    struct span *keys = NULL;
    size_t n = 0, n_left = 0;
    uint64_t ticket = ing_pending_sample(&s->pending);
    s->kept_s = before_s > s->kept_s ? before_s : s->kept_s;
    if (before_s && !(ticket && idx_wait(s->m->options.idx, ticket, IDX_VISIBLE, 1000000)))
        keys = list_sent(s, before_s, &arena, &n);
    if (n || s->has_moved) {
        struct idx_batch *b = idx_batch_new();
        ing_sink_state_put(s, b);
        (void)ing_pending_settle(&s->pending, &b, keys, n, &n_left); /* 0 only while closing */
        s->has_moved = false;
    }
    const struct idx_snapshot *snapshot = idx_reader_begin(s->reader);
    s->n_pending = ing_pending_n(&s->pending, snapshot);
    s->oldest_s = ing_pending_oldest_s(&s->pending, snapshot);
    idx_reader_end(s->reader);
    arena_fini(&arena);
}

void
ing_sink_stand_by(struct ing_sink *s)
{
    if (s->stood_us == s->lease.looked_us)
        return; /* nothing new was seen */
    s->stood_us = s->lease.looked_us;
    int64_t acked_s = adopt_all(s);
    if (acked_s > s->acked_s && acked_s < UINT32_MAX)
        s->acked_s = (uint32_t)acked_s;
    drop_sent(s, s->acked_s > MARGIN_S ? s->acked_s - MARGIN_S : 0);
}

void
ing_sink_take_over(struct ing_sink *s)
{
    s->has_taken_over = true;
    s->stood_us = 0;
    ing_sink_stand_by(s);
    ing_sweep_clear(&s->sweep);
    for (unsigned i = 0; i < s->n_feeds; i++)
        s->feeds[i].is_checked = false;
}

/* ---- keeping ---- */

static void
on_change(struct ing_sink *s, enum ing_lease_state was, enum ing_lease_state now)
{
    static const char *const names[] = {"watching", "standby", "holder", "refused"};
    if (now == ING_LEASE_HELD) {
        /* What a dead holder asked for may still be done for as long as it would have waited. */
        s->quiet_until_us = s->lease.was_dead ? clock_boot_us() + s->options.timeout_us : 0;
        s->has_taken_over = false;
        s->stood_us = 0;
        ing_sink_stand_by(s); /* what the holder before us acknowledged */
    } else if (was == ING_LEASE_HELD) {
        s->kept_s = position_s(s); /* up to here we may have settled anything */
    }
    log_line(s->m->options.log, LOG_INFO, "indexer", "typesense", "lease=%s", names[now]);
}

bool
ing_sink_keep_lease(struct ing_sink *s)
{
    struct err err;
    enum ing_lease_state was = s->lease.state;
    uint64_t now_us = clock_boot_us();
    if (now_us < s->lease_retry_us)
        return was == ING_LEASE_HELD;
    bson_t told = BSON_INITIALIZER;
    tell(s, &told);
    s->lease.told = &told;
    enum rc rc = ing_lease_keep(&s->lease, &s->client, &err);
    s->lease.told = NULL;
    bson_destroy(&told);
    if (rc) {
        ing_trouble(s->m, "keeping the lease of Typesense", &err, RETRY_US);
        s->lease_retry_us = now_us + RETRY_US;
        if (ing_client_renew(&s->client, &err))
            return false; /* cannot be: the URI was good before */
    }
    if (!s->by[0])
        memcpy(s->by, s->lease.holder, sizeof s->by); /* stored with the next change */
    if (s->lease.state != was)
        on_change(s, was, s->lease.state);
    return s->lease.state == ING_LEASE_HELD;
}
