/*
 * Marks documents as indexed in MongoDB (write-back `full`): search_updated_at
 * and the other outputs of today's indexer, after the index has them durably.
 * Every update is guarded by the updated_at that was seen: a document that
 * changed meanwhile is left alone, its own event brings it here again. Nothing
 * is read back into a decision, so a lost mark only costs a sweep.
 *
 * Lists of noted documents are made by the apply thread, handed over by the
 * index's writer thread when durable, and written by a thread of their own.
 */
#include "indexer/pipeline.h"

#include "base/clock.h"
#include "base/ulid.h"

#include "indexer/fetch.h"
#include "indexer/event.h"
#include "indexer/node.h"

enum {
    ROOM_DOCS = 50000,   /* queued before the apply thread waits */
    SWEEP_DOCS = 10000,  /* of a collection in one sweep */
    BULK_OPS = 1000,
};

struct item {
    struct item *next;
    const struct ing_feed *feed;
    struct span key; /* {"": _id} */
    int64_t updated_at_ms;
    struct span set; /* BSON: what to set besides search_updated_at */
};

struct ing_writeback_list {
    struct ing_writeback_list *next;
    struct ing_writeback_queue *queue;
    struct arena arena;
    struct item *items, **end;
    size_t n;
};

/* Lists outlive the pipeline when it stops before they are durable: they hold a reference. */
struct ing_writeback_queue {
    struct ing_mongo *m; /* until closed */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ing_writeback_list *first, **end;
    size_t n_docs;
    size_t n_references;
    bool is_closed;
};

/* ---- noting ---- */

static int64_t
date_of(const bson_t *doc, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, doc, name) && BSON_ITER_HOLDS_DATE_TIME(&at)
               ? bson_iter_date_time(&at)
               : INT64_MIN;
}

static bool
find_path(const bson_t *doc, const char *path, bson_iter_t *out)
{
    bson_iter_t at;
    return bson_iter_init(&at, doc) && bson_iter_find_descendant(&at, path, out);
}

static bool
put_kind(bson_t *array, const char *index, struct span node)
{
    enum ing_node_kind kind = ing_node_kind(node);
    unsigned char a[ULID_BYTES_N], b[ULID_BYTES_N];
    struct span id = ing_node_id(node);
    char name[64];
    bson_t doc, pair;
    if (kind == ING_NODE_KIND_N)
        return false;
    bson_append_document_begin(array, index, -1, &doc);
    bson_append_utf8(&doc, "kind", -1, ing_node_kind_name(kind), -1);
    snprintf(name, sizeof name, "%s_id", ing_node_kind_name(kind));
    if (kind == ING_NODE_SUBSCRIPTION && id.n == 2 * ULID_TEXT_N + 1 &&
        ulid_read(span_of(id.p, ULID_TEXT_N), a) && ulid_read(span_from(id, ULID_TEXT_N + 1), b)) {
        bson_append_document_begin(&doc, name, -1, &pair);
        bson_append_binary(&pair, "user_id", -1, BSON_SUBTYPE_UUID, a, sizeof a);
        bson_append_binary(&pair, "product_id", -1, BSON_SUBTYPE_UUID, b, sizeof b);
        bson_append_document_end(&doc, &pair);
    } else if (kind != ING_NODE_GLOBAL_DEFAULT && ulid_read(id, a)) {
        bson_append_binary(&doc, name, -1, BSON_SUBTYPE_UUID, a, sizeof a);
    }
    bson_append_document_end(array, &doc);
    return true;
}

typedef bool put_element(bson_t *array, const char *index, struct span text);

static bool
put_uuid(bson_t *array, const char *index, struct span text)
{
    unsigned char bytes[ULID_BYTES_N];
    return ulid_read(text, bytes) &&
           bson_append_binary(array, index, -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
}

/* Sets the array at path to these texts unless it holds exactly them already. */
static void
set_array(bson_t *set, const bson_t *doc, const char *path, const struct span *texts, uint32_t n,
          put_element *put)
{
    bson_t array = BSON_INITIALIZER, held;
    bson_iter_t at;
    uint32_t n_held = 0;
    const uint8_t *p = NULL;
    for (uint32_t i = 0; i < n; i++) {
        char number[16];
        const char *index;
        bson_uint32_to_string(i, &index, number, sizeof number);
        (void)put(&array, index, texts[i]); /* false: a text that is no id was never one */
    }
    if (find_path(doc, path, &at) && BSON_ITER_HOLDS_ARRAY(&at))
        bson_iter_array(&at, &n_held, &p);
    if (!p || !bson_init_static(&held, p, n_held) || !bson_equal(&held, &array))
        bson_append_array(set, path, -1, &array);
    bson_destroy(&array);
}

static void
set_i32(bson_t *set, const bson_t *doc, const char *path, int32_t value)
{
    bson_iter_t at;
    if (!find_path(doc, path, &at) || !BSON_ITER_HOLDS_NUMBER(&at) ||
        bson_iter_as_int64(&at) != value)
        bson_append_int32(set, path, -1, value);
}

static void
set_user(bson_t *set, const bson_t *doc, const struct ing_user_derived *d)
{
    bson_iter_t style, cached;
    set_array(set, doc, "cached.entitlements", d->entitlements, d->n_entitlements, put_kind);
    set_array(set, doc, "cached.active_emotes", d->emotes, d->n_emotes, put_uuid);
    set_i32(set, doc, "cached.role_rank", d->role_rank);
    set_i32(set, doc, "cached.role_hoist_rank", d->role_hoist_rank);
    bool has_set = find_path(doc, "style.active_emote_set_id", &style) && ing_bson_uuid(&style);
    bool has_cached = find_path(doc, "cached.emote_set_id", &cached);
    const unsigned char *held = has_cached ? ing_bson_uuid(&cached) : NULL;
    if (has_set && (!held || memcmp(held, ing_bson_uuid(&style), ULID_BYTES_N) != 0))
        bson_append_iter(set, "cached.emote_set_id", -1, &style);
    else if (!has_set && (!has_cached || held))
        bson_append_null(set, "cached.emote_set_id", -1);
}

static void
set_outputs(bson_t *set, const struct ing_feed *f, const bson_t *doc,
            const struct ing_mapped *mapped)
{
    bson_iter_t rank;
    if (mapped->emotes_changed)
        bson_append_bool(set, "emotes_changed_since_reindex", -1, false);
    if (f->kind == ING_FEED_ROLES && bson_iter_init_find(&rank, doc, "rank") &&
        BSON_ITER_HOLDS_NUMBER(&rank))
        set_i32(set, doc, "applied_rank", (int32_t)bson_iter_as_int64(&rank));
    if (mapped->derived)
        set_user(set, doc, mapped->derived);
}

void
ing_writeback_note(struct ing_mongo *m, struct ing_writeback_list **list, const struct ing_feed *f,
                   const bson_t *doc, const struct ing_mapped *mapped)
{
    bson_iter_t id;
    int64_t updated_ms = date_of(doc, "updated_at");
    if (!m->writeback || f->kind == ING_FEED_EDGES || updated_ms == INT64_MIN ||
        !bson_iter_init_find(&id, doc, "_id"))
        return;
    bson_t set = BSON_INITIALIZER;
    set_outputs(&set, f, doc, mapped);
    if (bson_count_keys(&set) > 0 || date_of(doc, "search_updated_at") <= updated_ms) {
        if (!*list) {
            *list = xcalloc(1, sizeof **list);
            (*list)->end = &(*list)->items;
            (*list)->queue = m->writeback;
            pthread_mutex_lock(&m->writeback->lock);
            m->writeback->n_references++;
            pthread_mutex_unlock(&m->writeback->lock);
        }
        struct arena *a = &(*list)->arena;
        struct buf key = {0};
        struct item *item = arena_alloc(a, sizeof *item);
        ing_event_key(f->number, &id, &key);
        *item = (struct item){
            .feed = f,
            .key = span_from(arena_dup(a, buf_span(&key)), 1),
            .updated_at_ms = updated_ms,
            .set = arena_dup(a, span_of((const char *)bson_get_data(&set), set.len))};
        buf_fini(&key);
        *(*list)->end = item;
        (*list)->end = &item->next;
        (*list)->n++;
    }
    bson_destroy(&set);
}

void
ing_writeback_fields(bson_t *projection)
{
    static const char *const names[] = {"updated_at", "search_updated_at",
                                        "emotes_changed_since_reindex", "applied_rank", "cached"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!bson_has_field(projection, names[i]))
            bson_append_int32(projection, names[i], -1, 1);
    }
}

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

static void
on_durable(void *arg, enum rc rc)
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
ing_writeback_attach(struct ing_writeback_list *list, struct idx_batch *b)
{
    if (list)
        idx_batch_on_durable(b, on_durable, list);
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

/* {_id, updated_at: seen} -> {$set: {..., search_updated_at: max(now, seen + 1)}} */
static void
add_update(mongoc_bulk_operation_t *bulk, const struct item *item, int64_t now_ms)
{
    bson_t key, outputs, filter = BSON_INITIALIZER, update = BSON_INITIALIZER, set;
    bson_iter_t id;
    if (!bson_init_static(&key, (const uint8_t *)item->key.p, item->key.n) ||
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

/* Writes items of one feed from *at on, at most BULK_OPS; moves *at behind them. */
static enum rc
write_bulk(struct ing_client *client, const struct item **at, size_t *n, struct err *err)
{
    const struct item *item = *at;
    const struct ing_feed *feed = item->feed;
    bson_error_t error;
    bson_t *opts = BCON_NEW("ordered", BCON_BOOL(false));
    mongoc_collection_t *collection =
        mongoc_client_get_collection(client->client, client->database, feed->source);
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(collection, opts);
    int64_t now_ms = (int64_t)(clock_wall_us() / 1000);
    for (*n = 0; item && item->feed == feed && *n < BULK_OPS; item = item->next, (*n)++)
        add_update(bulk, item, now_ms);
    enum rc rc = RC_OK;
    if (!mongoc_bulk_operation_execute(bulk, NULL, &error))
        rc = ing_source_error(&error, "writing back", err);
    else
        *at = item;
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(collection);
    bson_destroy(opts);
    return rc;
}

static void
write_list(struct ing_writeback_queue *q, struct ing_client *client,
           const struct ing_writeback_list *list, struct metrics_block *metrics)
{
    unsigned n_tries = 0;
    for (const struct item *at = list->items; at && !is_closed(q);) {
        struct err err;
        size_t n;
        if (write_bulk(client, &at, &n, &err) == RC_OK) {
            metrics_add(metrics, M_WRITEBACKS, n);
            n_tries = 0;
            continue;
        }
        uint64_t wait_us = ing_backoff_us(n_tries++);
        metrics_add(metrics, M_SOURCE_ERRORS, 1);
        ing_trouble(q->m, "writing back", &err, wait_us);
        if (ing_inbox_sleep(&q->m->inbox, wait_us))
            return;
        if (n_tries > 100)
            return; /* a write that can never be made; the sweep asks again */
    }
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
        if (m->feeds[i].kind != ING_FEED_EDGES &&
            ing_fetch_where(&fetch, filter, SWEEP_DOCS, &err))
            ing_trouble(m, "sweeping", &err, m->options.sweep_us);
    }
    bson_destroy(filter);
    bson_destroy(fields);
}

static void *
writeback_main(void *arg)
{
    struct ing_writeback_queue *q = arg;
    struct ing_mongo *m = q->m;
    (void)pthread_setname_np(pthread_self(), "mongo-back"); /* for top and gdb only */
    struct ing_client client = {0};
    struct metrics_block *metrics = m->options.metrics ? metrics_block(m->options.metrics) : NULL;
    struct err err;
    uint64_t sweep_at_us = clock_us() + m->options.sweep_us;
    if (ing_client_open(&client, m->uri, &err))
        return NULL; /* the same URI opened for the other threads */
    while (!is_closed(q)) {
        struct ing_writeback_list *list = pop(q, 200000);
        if (list) {
            write_list(q, &client, list, metrics);
            ing_writeback_list_free(list);
        } else if (clock_us() >= sweep_at_us && ing_mongo_is_ready(m)) {
            sweep(m, &client);
            sweep_at_us = clock_us() + m->options.sweep_us;
        }
    }
    if (!atomic_load(&m->is_hung))
        ing_client_close(&client);
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
    queue_release(q);
}
