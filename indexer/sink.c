/*
 * The Typesense sink's spine: what one thread does, over and over.
 *
 *   0 lease     only its holder feeds; the others stand by        sink_lease.c
 *   1 prepare   a new generation gets a collection of its own,     sink_schema.c
 *               an old one is looked at once
 *   2 owed      one window of the sweep through what changed       sink_pending.c,
 *   3 swap      what is filled and swept since gets the alias      sink_sweep.c, sink_send.c
 *   4 scan      one window of what is being filled                 sink_scan.c
 *   5 drop      collections that lost their alias, after a while
 *
 * The index is what is followed: nothing here reads MongoDB's documents, and
 * nothing that Typesense does holds up the index. A window that fails is given
 * up as a whole, and after a pause a new one is taken: what is owed stays owed
 * until it is acknowledged, and a scan goes on from where it was.
 *
 * S1 What is owed is durable with the change that owes it.
 * S2 An entry leaves only behind an acknowledgement (or a dead letter) of the
 *    version that the index still holds.
 * S3 A document is in one request at a time, and always with its newest text.
 * S4 The name of a collection is durable before the collection is made, and
 *    from then on every change is owed: what it holds can always be caught up.
 * S5 Nothing is sent but under the lease.
 * S6 Nothing is sent before the index has reached what any holder has
 *    acknowledged.
 */
#include "indexer/sink.h"

#include "base/clock.h"
#include "base/thread.h"

enum {
    OWED_DOCS = 20000,
    SCAN_DOCS_MIN = 20000,
    SCAN_DOCS_MAX = 100000,
    WINDOW_DOCS_MIN = 200,
    SMALL_BYTES = 32 << 10,
    GATHER_US = 20000,
    IDLE_US = 200000,
    UNCERTAIN_US = 1000000, /* a request without an answer may still be done for so long */
    REFUSED_US = 30000000,
};

static bool is_quiet(struct ing_sink *s);
static enum rc step(struct ing_sink *s, bool *has_worked, struct err *err);
static enum rc prepare(struct ing_sink *s, struct err *err);
static enum rc send_owed(struct ing_sink *s, bool *has_worked, struct err *err);
static enum rc swap(struct ing_sink *s, struct err *err);
static enum rc scan(struct ing_sink *s, bool *has_worked, struct err *err);
static enum rc drop_old(struct ing_sink *s, struct err *err);
static void retry_later(struct ing_sink *s, enum rc rc, const struct err *err);

void *
ing_sink_main(void *arg)
{
    struct ing_sink *s = arg;
    (void)pthread_setname_np(pthread_self(), "typesense"); /* for top and gdb only */
    thread_step_back(THREAD_STEPS_FEED);
    while (!atomic_load(&s->is_closed)) {
        if (!ing_sink_keep_lease(s)) {
            ing_sink_stand_by(s);
            ing_sink_report(s, ING_SINK_WAITING);
            ing_pending_wait(&s->pending, UINT64_MAX, IDLE_US);
            continue;
        }
        if (is_quiet(s) || !ing_sink_may_send(s)) { /* or MongoDB does not take our beats */
            ing_sink_report(s, is_quiet(s) ? ING_SINK_QUIET : ING_SINK_WAITING);
            ing_pending_wait(&s->pending, UINT64_MAX, IDLE_US / 2);
            continue;
        }
        if (!s->has_taken_over)
            ing_sink_take_over(s);
        struct err err = {0};
        bool has_worked = false;
        enum rc rc = step(s, &has_worked, &err);
        if (rc)
            retry_later(s, rc, &err);
        else if (!has_worked)
            ing_pending_wait(&s->pending, s->looked_ticket, IDLE_US);
    }
    atomic_store(&s->is_over, true);
    return NULL;
}

/* All changes up to this cluster time are submitted, with all that follows; 0: not certain. */
static uint32_t
position_s(struct ing_sink *s)
{
    pthread_mutex_lock(&s->m->lock);
    uint32_t time_s = s->m->status.whole_s;
    pthread_mutex_unlock(&s->m->lock);
    return time_s;
}

/* S6. What is older than what was acknowledged would undo it. */
static bool
is_quiet(struct ing_sink *s)
{
    uint32_t now_s = position_s(s);
    return clock_boot_us() < s->quiet_until_us || now_s == 0 || now_s < s->acked_s;
}

static enum rc
step(struct ing_sink *s, bool *has_worked, struct err *err)
{
    enum rc rc = prepare(s, err);
    if (!rc)
        rc = send_owed(s, has_worked, err);
    if (!rc)
        rc = swap(s, err);
    if (!rc)
        rc = scan(s, has_worked, err);
    if (!rc)
        rc = drop_old(s, err);
    if (rc)
        return rc;
    bool is_building = false;
    for (unsigned i = 0; i < s->n_feeds; i++)
        is_building |=
            s->feeds[i].building[0] || !(s->feeds[i].target[0] || s->feeds[i].refusal[0]);
    s->n_tries = 0;
    ing_sink_look_at_nodes(s);
    ing_sink_report(s, is_building ? ING_SINK_BUILDING : ING_SINK_FOLLOWING);
    return RC_OK;
}

static enum rc
await(struct ing_sink *s, uint64_t ticket, enum idx_stage stage, struct err *err)
{
    enum rc rc = RC_CUTOFF;
    while (ticket && rc == RC_CUTOFF && !atomic_load(&s->is_closed)) {
        (void)ing_sink_keep_lease(s); /* asked again before anything is sent */
        rc = idx_wait(s->m->options.idx, ticket, stage, IDLE_US);
    }
    return rc ? err_set(err, RC_STOPPED, "stopping") : RC_OK;
}

/* ---- 1 prepare ---- */

void
ing_sink_add_old(struct ing_sink *s, const char *name, uint64_t wait_us)
{
    if (!name[0])
        return;
    s->old = xgrow(s->old, &s->cap_old, s->n_old + 1, sizeof *s->old);
    struct ing_sink_old *o = &s->old[s->n_old++];
    *o = (struct ing_sink_old){.drop_ms = (clock_wall_us() + wait_us) / 1000};
    memcpy(o->name, name, sizeof o->name);
    s->has_moved = true;
}

/* S4 */
static enum rc
begin_building(struct ing_sink *s, struct ing_sink_feed *f, uint32_t uid, struct err *err)
{
    ing_sink_add_old(s, f->building, 0);
    snprintf(f->building, sizeof f->building, "%.*s_%llu", SPAN_ARG(f->name),
             (unsigned long long)(clock_wall_us() / 1000));
    f->uid = uid;
    f->is_partial |= f->since_s != 0;
    f->is_scanned = f->is_checked = false;
    f->since_s = 0;
    f->n_built = 0;
    f->refusal[0] = 0;
    buf_clear(&f->at);
    log_line(s->m->options.log, LOG_INFO, "indexer", "typesense", "collection=%s state=building",
             f->building);
    struct idx_batch *b = idx_batch_new();
    ing_dead_clear_collection(s->m->dead, b, ING_DEAD_TYPESENSE, f->name); /* all is sent anew */
    ing_sink_state_put(s, b);
    return await(s, ing_pending_follow(&s->pending, f->name, uid, &b), IDX_DURABLE, err);
}

/* The cluster does not take the collection: what it has of it is kept fresh meanwhile. */
static void
note_refusal(struct ing_sink *s, struct ing_sink_feed *f, const struct err *err)
{
    snprintf(f->refusal, sizeof f->refusal, "%s", err->text);
    log_line(s->m->options.log, LOG_ERROR, "indexer", "typesense",
             "collection=%.*s refused: %s; trying again in %d s", SPAN_ARG(f->name), err->text,
             REFUSED_US / 1000000);
    ing_sink_add_old(s, f->building, 0); /* it may be there: refused was its alias */
    f->building[0] = 0;
    f->is_checked = f->target[0] != 0;
    f->retry_us = clock_us() + REFUSED_US;
    if (!f->target[0]) {
        f->uid = 0;
        (void)ing_pending_follow(&s->pending, f->name, 0, NULL); /* no batch, no ticket */
    }
    s->has_moved = true;
}

static enum rc
check_building(struct ing_sink *s, struct ing_sink_feed *f, struct err *err)
{
    bool is_new = false, is_fresh = !f->at.n && !f->is_scanned;
    enum rc rc = is_fresh ? ing_sink_create(s, f, f->building, &is_new, err)
                          : ing_sink_fit(s, f, f->building, err);
    if (rc == RC_INVALID && is_fresh) {
        note_refusal(s, f, err);
        return RC_OK;
    }
    if (rc == RC_ABSENT || rc == RC_INVALID)
        return begin_building(s, f, f->uid, err); /* comes here again in the next step */
    return rc;
}

static enum rc
check_target(struct ing_sink *s, struct ing_sink_feed *f, struct err *err)
{
    char named[ING_SINK_NAME_MAX];
    enum rc rc = ing_sink_fit(s, f, f->target, err);
    if (rc == RC_ABSENT || rc == RC_INVALID) {
        if (rc == RC_ABSENT)
            f->target[0] = 0;
        s->has_moved = true;
        return f->building[0] ? RC_OK : begin_building(s, f, f->uid, err);
    }
    if (!rc && !f->building[0]) {
        rc = ing_sink_alias(s, f->name, named, err);
        if (!rc && strcmp(named, f->target) != 0)
            rc = ing_sink_swap(s, f->name, f->target, err);
    }
    return rc;
}

static enum rc
prepare_feed(struct ing_sink *s, struct ing_sink_feed *f, uint32_t uid, struct err *err)
{
    enum rc rc = RC_OK;
    if (f->refusal[0] && clock_us() < f->retry_us)
        return RC_OK;
    if (uid && (f->uid != uid || f->since_s || f->refusal[0]))
        rc = begin_building(s, f, uid, err);
    if (rc || !f->uid || f->is_checked)
        return rc;
    char building[ING_SINK_NAME_MAX];
    memcpy(building, f->building, sizeof building);
    if (f->building[0])
        rc = check_building(s, f, err);
    if (!rc && f->target[0])
        rc = check_target(s, f, err);
    /* Another collection was begun meanwhile: it is made by the next step. */
    if (!rc && (strcmp(building, f->building) == 0 || !f->building[0]))
        f->is_checked = f->uid != 0;
    return rc;
}

static enum rc
prepare(struct ing_sink *s, struct err *err)
{
    uint32_t uids[ING_FEEDS_MAX];
    const struct idx_snapshot *snapshot = idx_reader_begin(s->reader);
    for (unsigned i = 0; i < s->n_feeds; i++) {
        const struct idx_collection *c = idx_snapshot_find(snapshot, s->feeds[i].name);
        uids[i] = c && c->is_complete ? c->uid : 0;
    }
    idx_reader_end(s->reader);
    for (unsigned i = 0; i < s->n_feeds; i++) {
        enum rc rc = prepare_feed(s, &s->feeds[i], uids[i], err);
        if (rc)
            return rc;
    }
    return RC_OK;
}

/* ---- windows ---- */

/* S2: what was rejected is told to people, and is owed again when it changes. */
static void
note_outcome(struct ing_sink *s, struct idx_batch *b, const struct ing_sink_item *item)
{
    if (item->rejection.p) {
        const struct ing_dead_letter letter = {.target = ING_DEAD_TYPESENSE,
                                               .collection = item->feed->name,
                                               .id = item->id,
                                               .reason = item->rejection};
        ing_dead_put(s->m->dead, b, &letter);
    } else {
        ing_dead_clear(s->m->dead, b, ING_DEAD_TYPESENSE, item->feed->name, item->id);
    }
}

/* Submits the outcome of a window: entries that leave, letters, the state. */
static void
settle(struct ing_sink *s, struct ing_sink_window *w)
{
    struct idx_batch *b = idx_batch_new();
    struct span *keys = arena_alloc(&w->arena, w->n * sizeof *keys);
    size_t n = 0, n_left;
    for (size_t i = 0; i < w->n; i++) {
        const struct ing_sink_item *item = &w->items[i];
        if (!ing_sink_item_is_done(item))
            continue;
        if (item->feed)
            note_outcome(s, b, item);
        if (!item->key.n)
            continue;
        keys[n++] = item->key;
        ing_sweep_take(&s->sweep, item->key);
    }
    ing_sink_state_put(s, b);
    uint64_t ticket = ing_pending_settle(&s->pending, &b, keys, n, &n_left);
    s->n_pending -= n - n_left < s->n_pending ? n - n_left : s->n_pending;
    if (ticket)
        s->settled_ticket = ticket; /* 0 only while closing */
    s->has_moved = false;
}

/* After a window that went well: the sizes that failures made smaller grow again. */
static void
grow(struct ing_sink *s)
{
    s->window_docs = s->window_docs * 2 < SCAN_DOCS_MAX ? s->window_docs * 2 : SCAN_DOCS_MAX;
    s->batch_bytes =
        s->batch_bytes * 2 < s->options.batch_bytes ? s->batch_bytes * 2 : s->options.batch_bytes;
}

/* ---- 2 owed ---- */

static struct ing_sink_feed *
feed_of(struct ing_sink *s, struct span name)
{
    for (unsigned i = 0; i < s->n_feeds; i++) {
        if (span_eq(s->feeds[i].name, name))
            return s->feeds[i].uid ? &s->feeds[i] : NULL;
    }
    return NULL;
}

/* One window of the sweep that is under way, or else of a new one. */
static void
list_owed(struct ing_sink *s, uint32_t now_s, size_t max, struct ing_sink_window *w)
{
    struct ing_pending_item *owed = arena_alloc(&w->arena, max * sizeof *owed);
    struct ing_pending_filter filter = {.max = max};
    const struct idx_snapshot *snapshot = idx_reader_begin(s->reader);
    s->n_pending = ing_pending_n(&s->pending, snapshot);
    s->oldest_s = ing_pending_oldest_s(&s->pending, snapshot);
    if (s->sweep.n_left == 0) {
        s->n_sweeps++;
        s->sweep_s = now_s;
        if (s->n_pending > max)
            ing_pending_sweep(&s->pending, snapshot, &s->sweep);
    }
    if (s->sweep.n_left)
        filter.sweep = &s->sweep;
    size_t n = ing_pending_list(&s->pending, snapshot, &filter, &w->arena, owed);
    idx_reader_end(s->reader);
    w->items = arena_calloc(&w->arena, n, sizeof *w->items);
    w->n = n;
    for (size_t i = 0; i < n; i++) {
        w->items[i].key = owed[i].key;
        w->items[i].id = owed[i].id;
        w->items[i].feed = feed_of(s, owed[i].collection); /* NULL: no one wants it any more */
    }
}

/*
 * Whatever was owed when it began has been acknowledged since, be it that it
 * is owed again.
 */
static void
end_sweep(struct ing_sink *s)
{
    ing_sweep_clear(&s->sweep);
    s->n_swept = s->n_sweeps;
    if (s->sweep_s > s->acked_s)
        s->acked_s = s->sweep_s;
}

static enum rc
send_owed(struct ing_sink *s, bool *has_worked, struct err *err)
{
    size_t max = s->window_docs < OWED_DOCS ? s->window_docs : OWED_DOCS;
    uint32_t now_s = position_s(s);
    uint64_t ticket = ing_pending_sample(&s->pending);
    if (ticket > s->looked_ticket)
        clock_sleep_us(GATHER_US); /* it will be visible without anyone being hurried */
    if (s->settled_ticket > ticket)
        ticket = s->settled_ticket; /* what was settled must not show up again */
    enum rc rc = ticket ? await(s, ticket, IDX_VISIBLE, err) : RC_OK;
    if (rc)
        return rc;
    s->looked_ticket = ticket;
    struct ing_sink_window w = {0};
    list_owed(s, now_s, max, &w);
    bool is_long = s->sweep.n_left > 0;
    if (w.n)
        rc = ing_sink_send(s, &w, err);
    if (w.n)
        settle(s, &w);
    if (!rc && (w.n < max || (is_long && s->sweep.n_left == 0)))
        end_sweep(s);
    if (!rc && w.n)
        grow(s);
    *has_worked |= is_long || w.n == max;
    arena_fini(&w.arena);
    return rc;
}

/* ---- 3 swap ---- */

static enum rc
swap(struct ing_sink *s, struct err *err)
{
    for (unsigned i = 0; i < s->n_feeds; i++) {
        struct ing_sink_feed *f = &s->feeds[i];
        if (!f->building[0] || !f->is_scanned || !f->is_checked || s->n_swept <= f->n_swept)
            continue;
        enum rc rc = ing_sink_swap(s, f->name, f->building, err);
        if (rc == RC_INVALID) {
            note_refusal(s, f, err);
            continue;
        }
        if (rc)
            return rc;
        ing_sink_add_old(s, f->target, s->options.grace_us);
        memcpy(f->target, f->building, sizeof f->target);
        f->building[0] = 0;
        f->is_scanned = f->is_partial = false;
        buf_clear(&f->at);
        s->has_moved = true;
        log_line(s->m->options.log, LOG_INFO, "indexer", "typesense",
                 "collection=%s state=following documents=%llu", f->target,
                 (unsigned long long)f->n_built);
    }
    if (s->has_moved) {
        struct idx_batch *b = idx_batch_new();
        ing_sink_state_put(s, b);
        (void)idx_submit(s->m->options.idx, &b); /* 0 only while closing */
        s->has_moved = false;
    }
    return RC_OK;
}

/* ---- 4 scan ---- */

static size_t
scan_docs(const struct ing_sink *s, const struct ing_sink_feed *f)
{
    size_t n = (size_t)(f->n_to_build / 64);
    n = n < SCAN_DOCS_MIN ? SCAN_DOCS_MIN : n > SCAN_DOCS_MAX ? SCAN_DOCS_MAX : n;
    return n < s->window_docs ? n : s->window_docs;
}

static void
move_on(const struct ing_sink *s, struct ing_sink_feed *f, const struct ing_sink_window *w,
        size_t max)
{
    struct span last = {0};
    for (size_t i = 0; i < w->n; i++) {
        if (!last.p || span_cmp(w->items[i].id, last) > 0)
            last = w->items[i].id;
    }
    if (last.p) {
        buf_clear(&f->at);
        buf_put_span(&f->at, last);
    }
    f->is_scanned = w->n < max;
    f->n_swept = s->n_sweeps;
    f->n_built += w->n;
}

static enum rc
scan(struct ing_sink *s, bool *has_worked, struct err *err)
{
    struct ing_sink_feed *f = NULL;
    for (unsigned i = 0; i < s->n_feeds && !f; i++) {
        if (s->feeds[i].building[0] && !s->feeds[i].is_scanned && s->feeds[i].is_checked)
            f = &s->feeds[i];
    }
    if (!f)
        return RC_OK;
    struct ing_sink_window w = {0};
    size_t max = scan_docs(s, f);
    enum rc rc = RC_OK;
    *has_worked = true;
    if (!ing_sink_scan(s, f, max, &w)) /* there is a newer generation: prepare finds it */
        goto out;
    rc = w.n ? ing_sink_send(s, &w, err) : RC_OK;
    if (rc)
        goto out;
    move_on(s, f, &w, max);
    settle(s, &w);
    grow(s);
out:
    arena_fini(&w.arena);
    return rc;
}

/* ---- 5 drop ---- */

static bool
is_used(const struct ing_sink *s, const char *name)
{
    bool is = false;
    for (unsigned i = 0; i < s->n_feeds; i++)
        is |= strcmp(s->feeds[i].target, name) == 0 || strcmp(s->feeds[i].building, name) == 0;
    return is;
}

static enum rc
drop_old(struct ing_sink *s, struct err *err)
{
    for (size_t i = 0; i < s->n_old;) {
        struct ing_sink_old *o = &s->old[i];
        if (clock_wall_us() / 1000 < o->drop_ms) {
            i++;
            continue;
        }
        enum rc rc = is_used(s, o->name) ? RC_OK : ing_sink_drop(s, o->name, err);
        if (rc && rc != RC_INVALID)
            return rc;
        log_line(s->m->options.log, rc ? LOG_WARN : LOG_INFO, "indexer", "typesense",
                 "collection=%s %s", o->name, rc ? err->text : "state=dropped");
        *o = s->old[--s->n_old];
        s->has_moved = true;
    }
    return RC_OK;
}

/* ---- failures ---- */

static void
retry_later(struct ing_sink *s, enum rc rc, const struct err *err)
{
    if (rc == RC_STOPPED || atomic_load(&s->is_closed))
        return; /* without the lease, or closing: the loop sees it */
    uint64_t wait_us = ing_backoff_us(s->n_tries++);
    metrics_add(s->metrics, M_SINK_RETRIES, 1);
    if (rc == RC_UNREACHABLE && wait_us < UNCERTAIN_US)
        wait_us = UNCERTAIN_US; /* S3: the request without an answer must not come last */
    if (rc == RC_BUSY && wait_us < s->retry_after_us)
        wait_us = s->retry_after_us;
    s->retry_after_us = 0;
    s->window_docs = s->window_docs / 2 > WINDOW_DOCS_MIN ? s->window_docs / 2 : WINDOW_DOCS_MIN;
    if (rc == RC_UNREACHABLE && s->batch_bytes > SMALL_BYTES)
        s->batch_bytes /= 2; /* it may have been too much for the time */
    s->batch_bytes = s->batch_bytes > 1 ? s->batch_bytes : 1;
    ing_sink_trouble(s, err, wait_us);
    ing_sink_report(s, ING_SINK_RETRYING);
    uint64_t until_us = clock_us() + wait_us;
    if (rc == RC_UNREACHABLE || rc == RC_BUSY)
        ing_sink_fail_over(s);
    while (clock_us() < until_us && !atomic_load(&s->is_closed)) {
        if (!ing_sink_keep_lease(s))
            return;
        uint64_t left_us = until_us - clock_us();
        ing_pending_wait(&s->pending, UINT64_MAX, left_us < IDLE_US ? left_us : IDLE_US);
    }
}
