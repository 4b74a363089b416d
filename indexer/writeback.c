/*
 * Marks documents as indexed in MongoDB (write-back `full`): search_updated_at
 * and the other outputs of today's indexer, after the index has them durably.
 * Every update is guarded by the updated_at that was seen: a document that
 * changed meanwhile is left alone, its own event brings it here again. Nothing
 * is read back into a decision, so a lost mark only costs a sweep.
 *
 * Lists of noted documents are made by the apply thread, handed over by the
 * index's writer thread when durable, and written by a thread of their own, if
 * this sidecar holds the lease (lease.c): each bulk is a transaction with the
 * lease's beat. Another one's lists are dropped, it makes the same.
 */
#include "indexer/writeback_parts.h"

#include "base/clock.h"

#include "indexer/event.h"
#include "indexer/fetch.h"
#include "indexer/lease.h"
#include "indexer/stats.h"

enum {
    ROOM_DOCS = 50000,  /* queued before the apply thread waits */
    SWEEP_DOCS = 10000, /* of a collection in one sweep */
    BULK_OPS = 500,
    TRIES_MAX = 100,
};

/* ---- handing over ---- */

static void
queue_release(struct ing_writeback_queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool is_last = --q->n_references == 0;
    pthread_mutex_unlock(&q->lock);
    if (!is_last)
        return;
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

void
ing_writeback_list_free(struct ing_writeback_list *list)
{
    if (!list)
        return;
    struct ing_writeback_queue *q = list->queue;
    arena_fini(&list->arena);
    free(list);
    queue_release(q);
}

void
ing_writeback_on_durable(void *arg, enum rc rc)
{
    struct ing_writeback_list *list = arg;
    struct ing_writeback_queue *q = list->queue;
    pthread_mutex_lock(&q->lock);
    bool is_taken = rc == RC_OK && !q->is_closed;
    if (is_taken) {
        *q->end = list;
        q->end = &list->next;
        q->n_docs += list->n;
        pthread_cond_broadcast(&q->wake);
    }
    pthread_mutex_unlock(&q->lock);
    if (!is_taken)
        ing_writeback_list_free(list);
}

void
ing_writeback_await_room(struct ing_mongo *m)
{
    struct ing_writeback_queue *q = m->writeback;
    for (bool is_full = q != NULL; is_full;) {
        pthread_mutex_lock(&q->lock);
        is_full = q->n_docs > ROOM_DOCS && !q->is_closed;
        pthread_mutex_unlock(&q->lock);
        if (is_full && ing_inbox_sleep(&m->inbox, 10000))
            return;
    }
}

size_t
ing_writeback_n(struct ing_mongo *m)
{
    struct ing_writeback_queue *q = m->writeback;
    if (!q)
        return 0;
    pthread_mutex_lock(&q->lock);
    size_t n = q->n_docs;
    pthread_mutex_unlock(&q->lock);
    return n;
}

/* ---- writing ---- */

static struct ing_writeback_list *
pop(struct ing_writeback_queue *q, uint64_t wait_us)
{
    uint64_t until_us = clock_us() + wait_us;
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    pthread_mutex_lock(&q->lock);
    while (!q->first && !q->is_closed && clock_us() < until_us)
        (void)pthread_cond_timedwait(&q->wake, &q->lock, &at); /* the loop looks again */
    struct ing_writeback_list *list = q->first;
    if (list) {
        q->first = list->next;
        q->end = q->first ? q->end : &q->first;
        q->n_docs -= list->n;
    }
    pthread_mutex_unlock(&q->lock);
    return list;
}

static bool
is_closed(struct ing_writeback_queue *q)
{
    pthread_mutex_lock(&q->lock);
    bool is = q->is_closed;
    pthread_mutex_unlock(&q->lock);
    return is;
}

struct back { /* the thread's own */
    struct ing_writeback_queue *queue;
    struct ing_mongo *m;
    struct ing_client client;
    struct ing_lease lease;
    mongoc_transaction_opt_t *transaction;
    struct metrics_block *metrics;
    int64_t event_s;     /* of the list that is being written */
    unsigned n_settling; /* tries, in a row */
};

/* {_id, updated_at: seen} -> {$set: {..., search_updated_at: max(now, seen + 1)}} */
static void
add_update(mongoc_bulk_operation_t *bulk, const struct ing_writeback_item *item, int64_t now_ms)
{
    bson_t key, outputs, filter = BSON_INITIALIZER, update = BSON_INITIALIZER, set;
    bson_iter_t id;
    if (!bson_init_static(&key, (const uint8_t *)item->id.p, item->id.n) ||
        !bson_iter_init(&id, &key) || !bson_iter_next(&id) ||
        !bson_init_static(&outputs, (const uint8_t *)item->set.p, item->set.n))
        return;
    int64_t after_ms = item->updated_at_ms + 1;
    bson_append_iter(&filter, "_id", -1, &id);
    bson_append_date_time(&filter, "updated_at", -1, item->updated_at_ms);
    bson_append_document_begin(&update, "$set", -1, &set);
    bson_concat(&set, &outputs);
    bson_append_date_time(&set, "search_updated_at", -1, now_ms > after_ms ? now_ms : after_ms);
    bson_append_document_end(&update, &set);
    (void)mongoc_bulk_operation_update_one_with_opts(bulk, &filter, &update, NULL, NULL);
    bson_destroy(&update);
    bson_destroy(&filter);
}

/* The bulk of items [from, to) of one feed, in the session's transaction. */
static enum rc
run_bulk(struct ing_client *client, const struct ing_writeback_item *from,
         const struct ing_writeback_item *to, struct err *err)
{
    bson_error_t error;
    bson_t opts = BSON_INITIALIZER;
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client->client, client->database, from->feed->source);
    bson_append_bool(&opts, "ordered", -1, false);
    bool is_ok = mongoc_client_session_append(client->session, &opts, &error);
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(collection, &opts);
    int64_t now_ms = (int64_t)(clock_wall_us() / 1000);
    for (const struct ing_writeback_item *item = from; item != to; item = item->next)
        add_update(bulk, item, now_ms);
    is_ok = is_ok && mongoc_bulk_operation_execute(bulk, NULL, &error);
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(collection);
    bson_destroy(&opts);
    return is_ok ? RC_OK : ing_source_error(&error, "writing back", err);
}

/* Begins a transaction with the lease's beat; end_fenced follows whatever comes of it. */
static enum rc
begin_fenced(struct back *b, struct err *err)
{
    bson_error_t error;
    enum rc rc = ing_client_session(&b->client, 0, 0, err);
    if (!rc)
        rc = ing_lease_prepare(&b->lease, &b->client, err);
    if (!rc &&
        !mongoc_client_session_start_transaction(b->client.session, b->transaction, &error))
        rc = ing_source_error(&error, "starting a transaction", err);
    return rc ? rc : ing_lease_beat(&b->lease, &b->client, err);
}

/* Commits if rc says that all went well. *how: what is known of it. */
static enum rc
end_fenced(struct back *b, enum rc rc, enum ing_stats_end *how, struct err *err)
{
    mongoc_client_session_t *session = b->client.session;
    bson_error_t error;
    *how = rc ? ING_STATS_ABORTED : ING_STATS_COMMITTED;
    if (rc && session && mongoc_client_session_in_transaction(session)) {
        (void)mongoc_client_session_abort_transaction(session, NULL); /* dies by itself else */
    } else if (!rc && !mongoc_client_session_commit_transaction(session, NULL, &error)) {
        rc = ing_source_error(&error, "committing a write-back", err);
        *how = ING_STATS_UNKNOWN;
    }
    return rc;
}

/*
 * If a crash or a lost answer left it open whether a batch of statistics counts:
 * finds out. The beat writes what that batch's transaction wrote: were it open
 * still, this one would fail, so what it reads is final once it has committed.
 */
static enum rc
settle_stats(struct back *b, struct err *err)
{
    struct ing_stats *stats = b->m->stats;
    enum ing_stats_end how;
    bool is_there = false;
    if (!stats || !ing_stats_is_unknown(stats))
        return RC_OK;
    enum rc rc = begin_fenced(b, err);
    if (!rc)
        rc = ing_stats_find_token(stats, &b->client, &is_there, err);
    rc = end_fenced(b, rc, &how, err);
    if (!rc)
        ing_stats_end(stats, is_there ? ING_STATS_COMMITTED : ING_STATS_ABORTED);
    return rc;
}

/* Writes items of one feed from *at on, at most max; moves *at behind them. */
static enum rc
write_bulk(struct back *b, const struct ing_writeback_item **at, size_t max, size_t *n,
           struct err *err)
{
    const struct ing_writeback_item *end = *at;
    struct ing_stats *stats = b->m->stats;
    enum ing_stats_end how;
    *n = 0;
    enum rc rc = settle_stats(b, err);
    if (rc)
        return rc;
    rc = begin_fenced(b, err);
    /* Behind the beat: only then a conflict is one about documents. */
    for (; !rc && end && end->feed == (*at)->feed && *n < max; end = end->next)
        (*n)++;
    const struct ing_stats_items items = {*at, end, b->event_s};
    if (!rc && stats)
        rc = ing_stats_prepare(stats, &b->client, &items, err);
    if (!rc)
        rc = run_bulk(&b->client, *at, end, err);
    rc = end_fenced(b, rc, &how, err);
    if (!rc)
        *at = end;
    if (stats)
        ing_stats_end(stats, how);
    return rc;
}

/* True if write-back must be refused for good: there are no transactions. */
static bool
is_refused(struct back *b, const struct err *err)
{
    if (err->sys != 20 && err->sys != 263) /* both: no transactions here */
        return false;
    b->lease.state = ING_LEASE_REFUSED;
    log_line(b->m->options.log, LOG_ERROR, "indexer", "writeback",
             "state=refused why=\"no transactions: write-backs cannot be fenced\"");
    return true;
}

/* After a failure, a while later: false if it is not to be tried again. */
static bool
may_try_again(struct back *b, const char *what, const struct err *why, unsigned n_tries)
{
    struct err err;
    uint64_t wait_us = ing_backoff_us(n_tries);
    metrics_add(b->metrics, M_SOURCE_ERRORS, 1);
    ing_trouble(b->m, what, why, wait_us);
    return n_tries < TRIES_MAX && !ing_inbox_sleep(&b->m->inbox, wait_us) &&
           !ing_client_renew(&b->client, &err);
}

/*
 * A conflict means that a document of the bulk is being changed, and the others
 * deserve a smaller bulk. True if everything was written.
 */
static bool
write_list(struct back *b, const struct ing_writeback_list *list)
{
    enum { WRITE_CONFLICT = 112 };
    struct ing_mongo *m = b->m;
    unsigned n_tries = 0;
    size_t max = BULK_OPS;
    bool has_left_out = false;
    b->event_s = list->event_s;
    for (const struct ing_writeback_item *at = list->items;
         at && !ing_inbox_is_closed(&m->inbox);) {
        struct err err;
        size_t n = 0;
        enum rc rc = write_bulk(b, &at, max, &n, &err);
        if (rc == RC_OK) {
            metrics_add(b->metrics, M_WRITEBACKS, n);
            n_tries = 0;
            max = max < BULK_OPS ? max * 2 : BULK_OPS;
            continue;
        }
        if (rc == RC_CONFLICT || is_refused(b, &err))
            return false;
        if (err.sys == WRITE_CONFLICT && n > 0) {
            max = max > 1 ? max / 2 : 1;
            has_left_out |= n == 1;
            if (n == 1)
                at = at->next; /* an event will follow, or the change comes to nothing */
            continue;
        }
        if (!may_try_again(b, "writing back", &err, n_tries++))
            return false; /* asked for again by the sweep, or as a debt */
    }
    return !has_left_out && !ing_inbox_is_closed(&m->inbox);
}

/* While nothing is written that would settle them first. */
static void
settle_at_rest(struct back *b)
{
    struct err err;
    enum rc rc = settle_stats(b, &err);
    bool is_over = !rc || rc == RC_CONFLICT || is_refused(b, &err) ||
                   !may_try_again(b, "settling emote statistics", &err, b->n_settling);
    b->n_settling = is_over ? 0 : b->n_settling + 1;
}

/* The apply thread takes it back: reads must show what was written. */
static void
finish(struct back *b, struct ing_writeback_list *list, bool is_written)
{
    struct ing_writeback_queue *q = b->queue;
    uint32_t time_s = 0, time_i = 0;
    if (b->client.session)
        mongoc_client_session_get_operation_time(b->client.session, &time_s, &time_i);
    pthread_mutex_lock(&q->lock);
    q->done_list = list->number;
    q->lost_list = is_written ? q->lost_list : list->number;
    if (time_s > q->written_s || (time_s == q->written_s && time_i > q->written_i)) {
        q->written_s = time_s;
        q->written_i = time_i;
    }
    list->next = q->done;
    q->done = list;
    pthread_mutex_unlock(&q->lock);
}

/* ---- the sweep ---- */

struct sweep {
    struct ing_mongo *m;
    bool is_stopping;
    const struct ing_feed *feed;
};

static void
sweep_doc(void *arg, const bson_t *doc)
{
    struct sweep *s = arg;
    bson_iter_t id;
    struct buf key = {0};
    if (!s->is_stopping && bson_iter_init_find(&id, doc, "_id")) {
        ing_event_key(s->feed->number, &id, &key);
        struct ing_note note = {.key = buf_span(&key)};
        s->is_stopping = !ing_inbox_put(&s->m->inbox, &note);
    }
    buf_fini(&key);
}

/* Documents that nobody has marked, found by the index on search_updated_at. */
static void
sweep(struct ing_mongo *m, struct ing_client *client)
{
    bson_t *fields = BCON_NEW("_id", BCON_INT32(1));
    bson_t *filter = BCON_NEW("search_updated_at", BCON_NULL);
    for (unsigned i = 0; i < m->n_feeds && !ing_inbox_is_closed(&m->inbox); i++) {
        struct sweep s = {.m = m, .feed = &m->feeds[i]};
        struct ing_fetch fetch = {client, m->feeds[i].source, fields, sweep_doc, &s};
        struct err err;
        if (m->feeds[i].kind != ING_FEED_EDGES && ing_fetch_where(&fetch, filter, SWEEP_DOCS, &err))
            ing_trouble(m, "sweeping", &err, m->options.sweep_us);
    }
    bson_destroy(filter);
    bson_destroy(fields);
}

static const char *const lease_names[] = {"watching", "standby", "holder", "refused"};

/* What the holder told; it stays true whatever becomes of the holder. */
static void
hear(struct back *b)
{
    bson_iter_t at, paid;
    const bson_t *seen = b->lease.seen;
    if (!seen || !bson_iter_init(&at, seen) ||
        !bson_iter_find_descendant(&at, "told.paid_s", &paid))
        return;
    int64_t paid_s = bson_iter_as_int64(&paid);
    pthread_mutex_lock(&b->queue->lock);
    b->queue->told_s = paid_s > 0 && paid_s < UINT32_MAX ? (uint32_t)paid_s : 0;
    pthread_mutex_unlock(&b->queue->lock);
}

static void
keep_lease(struct back *b)
{
    struct err err;
    enum ing_lease_state was = b->lease.state;
    struct ing_writeback_queue *q = b->queue;
    bson_t told = BSON_INITIALIZER;
    pthread_mutex_lock(&q->lock);
    bson_append_int64(&told, "paid_s", -1, q->paid_s);
    pthread_mutex_unlock(&q->lock);
    b->lease.told = &told;
    if (ing_lease_keep(&b->lease, &b->client, &err)) {
        ing_trouble(b->m, "keeping the lease", &err, ING_LEASE_LOOK_US);
        b->lease.looked_us = clock_boot_us(); /* try again, but not at once */
        if (ing_client_renew(&b->client, &err))
            b->lease.looked_us += ING_LEASE_LOOK_US; /* cannot be: the URI was good before */
    }
    b->lease.told = NULL;
    bson_destroy(&told);
    hear(b);
    if (b->lease.state == was)
        return;
    pthread_mutex_lock(&b->m->lock);
    b->m->status.lease = lease_names[b->lease.state];
    pthread_mutex_unlock(&b->m->lock);
    log_line(b->m->options.log, LOG_INFO, "indexer", "writeback", "lease=%s",
             lease_names[b->lease.state]);
}

bool
ing_writeback_is_holder(struct ing_mongo *m)
{
    pthread_mutex_lock(&m->lock);
    bool is = m->status.lease == lease_names[ING_LEASE_HELD];
    pthread_mutex_unlock(&m->lock);
    return is;
}

/* Not known yet whether another one is alive: keep what there is, within limits. */
static bool
may_pop(const struct back *b)
{
    bool is_full = false;
    if (b->lease.state != ING_LEASE_WATCHED)
        return true;
    pthread_mutex_lock(&b->queue->lock);
    is_full = b->queue->n_docs > ROOM_DOCS / 2;
    pthread_mutex_unlock(&b->queue->lock);
    return is_full;
}

static void *
writeback_main(void *arg)
{
    struct ing_writeback_queue *q = arg;
    struct back b = {.queue = q,
                     .m = q->m,
                     .lease = {.id = "writeback", .ttl_us = ING_LEASE_TTL_US}};
    struct ing_mongo *m = q->m;
    struct err err;
    uint64_t sweep_at_us = clock_us() + m->options.sweep_us;
    (void)pthread_setname_np(pthread_self(), "mongo-back"); /* for top and gdb only */
    memcpy(b.lease.holder, m->debts.holder, sizeof b.lease.holder);
    memcpy(b.lease.former, m->debts.former, sizeof b.lease.former);
    if (m->options.metrics)
        b.metrics = metrics_block(m->options.metrics);
    if (ing_client_open(&b.client, m->uri, &err))
        return NULL; /* cannot be: the same URI opened for the other threads */
    b.transaction = mongoc_transaction_opts_new();
    mongoc_write_concern_t *majority = mongoc_write_concern_new();
    mongoc_write_concern_set_w(majority, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_transaction_opts_set_write_concern(b.transaction, majority);
    mongoc_write_concern_destroy(majority);
    while (!is_closed(q) && !ing_inbox_is_closed(&m->inbox)) {
        bool was_holder = b.lease.state == ING_LEASE_HELD;
        keep_lease(&b);
        bool is_holder = b.lease.state == ING_LEASE_HELD;
        if (is_holder && !was_holder)
            sweep_at_us = clock_us(); /* for what the holder before us left undone */
        if (!may_pop(&b)) {
            (void)ing_inbox_sleep(&m->inbox, 200000); /* the loop looks at closed */
            continue;
        }
        struct ing_writeback_list *list = pop(q, 200000);
        bool is_written = list && is_holder && write_list(&b, list);
        if (!is_holder && m->stats)
            ing_stats_look(m->stats, &b.client);
        else if (!list && is_holder)
            settle_at_rest(&b);
        if (list)
            finish(&b, list, is_written);
        if (!list && is_holder && clock_us() >= sweep_at_us && ing_mongo_is_ready(m)) {
            sweep(m, &b.client);
            sweep_at_us = clock_us() + m->options.sweep_us;
        }
    }
    if (!atomic_load(&m->is_hung)) {
        ing_lease_release(&b.lease, &b.client);
        ing_client_close(&b.client);
    }
    ing_lease_fini(&b.lease);
    mongoc_transaction_opts_destroy(b.transaction);
    return NULL;
}

struct ing_writeback_queue *
ing_writeback_start(struct ing_mongo *m)
{
    struct ing_writeback_queue *q = xcalloc(1, sizeof *q);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wake, &attr);
    pthread_condattr_destroy(&attr);
    q->m = m;
    q->end = &q->first;
    q->n_references = 1;
    ing_lease_make_name(m->debts.holder);
    m->has_moved = true; /* the name is saved at once */
    must(pthread_create(&q->thread, NULL, writeback_main, q) == 0);
    return q;
}

void
ing_writeback_stop(struct ing_writeback_queue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->lock);
    q->is_closed = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
    pthread_join(q->thread, NULL);
    for (struct ing_writeback_list *list; (list = pop(q, 0)) != NULL;)
        ing_writeback_list_free(list);
    for (struct ing_writeback_list *next; q->done; q->done = next) {
        next = q->done->next;
        ing_writeback_list_free(q->done);
    }
    map_fini(&q->waiting);
    queue_release(q);
}
