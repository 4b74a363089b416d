/*
 * The life of a batch of emote statistics.
 *
 *   1 prepare    in the open transaction that will write the new lists: the
 *                rows, by what is stored at this moment           prepare
 *   2 tentative  an entry "T" of the index, durable               record
 *   3 token      in MongoDB, by the same transaction              leave_token
 *   4 end        committed: the entry becomes "S"; aborted: it goes   ing_stats_end
 *   5 send       to ClickHouse, under its token, until it answers     stats_send.c
 *   6 done       the entry goes
 *
 * A crash before 4 leaves a "T", and MongoDB knows whether it counts: its
 * token is there, or it is not. A crash behind 5 sends the same token again.
 * Deletions of users have no document to write to: their rows are an "S" in
 * the batch of the index that deletes them, which happens once.
 */
#include "indexer/stats.h"

#include <sys/random.h>

#include "base/clock.h"
#include "base/ulid.h"

#include "indexer/stats_parts.h"

static const struct span KIND = {"emote_stats", 11}, INSTANCE = {"instance", 8};

enum {
    RECORD_US = 10000000,  /* for the index to make an entry durable */
    SETTLED_US = 90000000, /* no transaction of MongoDB lives for so long (60 s) */
};

/* ---- batches and their entries ---- */

struct ing_stats_batch *
ing_stats_batch_new(struct ing_stats *s, struct buf *take_rows, size_t n_rows)
{
    struct ing_stats_batch *b = xcalloc(1, sizeof *b);
    uint64_t now_us = clock_wall_us();
    pthread_mutex_lock(&s->lock);
    s->last_number = now_us > s->last_number ? now_us : s->last_number + 1;
    snprintf(b->token, sizeof b->token, "%s-%016llx", s->instance,
             (unsigned long long)s->last_number);
    pthread_mutex_unlock(&s->lock);
    b->rows = *take_rows;
    b->n_rows = n_rows;
    *take_rows = (struct buf){0};
    return b;
}

void
ing_stats_batch_free(struct ing_stats_batch *b)
{
    if (!b)
        return;
    buf_fini(&b->rows);
    free(b);
}

void
ing_stats_put_entry(struct ing_stats_batch *b, bool is_sure, struct idx_batch *to)
{
    struct arena *arena = idx_batch_arena(to);
    struct span value =
        arena_printf(arena, "%s\n%.*s", is_sure ? "S" : "T", SPAN_ARG(buf_span(&b->rows)));
    idx_batch_entry(to, KIND, arena_dup(arena, span_str(b->token)), value);
}

void
ing_stats_drop_entry(const struct ing_stats_batch *b, struct idx_batch *to)
{
    idx_batch_entry(to, KIND, arena_dup(idx_batch_arena(to), span_str(b->token)), (struct span){0});
}

/* Appends a batch that counts. */
static void
enqueue(struct ing_stats *s, struct ing_stats_batch *b)
{
    pthread_mutex_lock(&s->lock);
    b->next = NULL;
    *s->end = b;
    s->end = &b->next;
    s->n_batches++;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* ---- 1: rows ---- */

static bool
find_new_list(const struct ing_writeback_item *item, bson_t *set, bson_iter_t *out)
{
    return item->feed->kind == ING_FEED_USERS &&
           bson_init_static(set, (const uint8_t *)item->set.p, item->set.n) &&
           bson_iter_init_find(out, set, "cached.active_emotes");
}

/* The filter {_id: {$in: [...]}}; by_id gets the items by the bytes of {"": _id}. */
static size_t
list_users(const struct ing_stats_items *items, bson_t *filter, struct map *by_id)
{
    bson_t id, in;
    size_t n = 0;
    bson_append_document_begin(filter, "_id", -1, &id);
    bson_append_array_begin(&id, "$in", -1, &in);
    for (const struct ing_writeback_item *item = items->from; item != items->to;
         item = item->next) {
        bson_t set, key;
        bson_iter_t at;
        char number[16];
        const char *name;
        if (!find_new_list(item, &set, &at) ||
            !bson_init_static(&key, (const uint8_t *)item->id.p, item->id.n) ||
            !bson_iter_init(&at, &key) || !bson_iter_next(&at))
            continue;
        bson_uint32_to_string((uint32_t)n++, &name, number, sizeof number);
        bson_append_iter(&in, name, -1, &at);
        *map_put(by_id, item->id, NULL) = (uint64_t)(uintptr_t)item;
    }
    bson_append_array_end(&id, &in);
    bson_append_document_end(filter, &id);
    return n;
}

/* Counts if the write-back's guard will match: the same snapshot decides both. */
static void
add_user(struct ing_stats_rows *rows, const struct map *by_id, const bson_t *doc, int64_t at_s)
{
    bson_iter_t id, updated, at, before, after;
    bson_t key = BSON_INITIALIZER, set;
    if (bson_iter_init_find(&id, doc, "_id"))
        bson_append_iter(&key, "", 0, &id);
    const struct ing_writeback_item *item =
        map_get_ptr(by_id, span_of((const char *)bson_get_data(&key), key.len));
    bool is_as_seen = item && bson_iter_init_find(&updated, doc, "updated_at") &&
                      BSON_ITER_HOLDS_DATE_TIME(&updated) &&
                      bson_iter_date_time(&updated) == item->updated_at_ms;
    if (is_as_seen && find_new_list(item, &set, &after)) {
        bool has_list = bson_iter_init(&at, doc) &&
                        bson_iter_find_descendant(&at, "cached.active_emotes", &before);
        ing_stats_rows_diff(rows, has_list ? &before : NULL, &after, at_s);
    }
    bson_destroy(&key);
}

static enum rc
read_rows(struct ing_client *c, const struct ing_stats_items *items, struct ing_stats_rows *rows,
          struct err *err)
{
    struct map by_id = {0};
    bson_t filter = BSON_INITIALIZER;
    bson_t *opts = BCON_NEW("projection", "{", "updated_at", BCON_INT32(1), "cached.active_emotes",
                            BCON_INT32(1), "}");
    bson_error_t error;
    enum rc rc = RC_OK;
    if (list_users(items, &filter, &by_id) > 0) {
        const bson_t *doc;
        mongoc_collection_t *users =
            mongoc_client_get_collection(c->client, c->database, items->from->feed->source);
        (void)mongoc_client_session_append(c->session, opts, NULL); /* it worked for the beat */
        mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(users, &filter, opts, NULL);
        while (mongoc_cursor_next(cursor, &doc))
            add_user(rows, &by_id, doc, items->at_s);
        if (mongoc_cursor_error(cursor, &error))
            rc = ing_source_error(&error, "reading lists of emotes", err);
        mongoc_cursor_destroy(cursor);
        mongoc_collection_destroy(users);
    }
    bson_destroy(opts);
    bson_destroy(&filter);
    map_fini(&by_id);
    return rc;
}

/* ---- 3: the token in MongoDB ---- */

static bson_t *
token_filter(const struct ing_stats *s)
{
    char id[40];
    snprintf(id, sizeof id, "stats:%s", s->instance);
    return BCON_NEW("_id", BCON_UTF8(id));
}

static enum rc
leave_token(struct ing_stats *s, struct ing_client *c, struct err *err)
{
    bson_error_t error;
    bson_t *filter = token_filter(s), *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_t *change = BCON_NEW("$set", "{", "token", BCON_UTF8(s->tentative->token), "}");
    mongoc_collection_t *lease =
        mongoc_client_get_collection(c->client, c->database, "tailfin_lease");
    enum rc rc = RC_OK;
    if (!mongoc_client_session_append(c->session, opts, &error) ||
        !mongoc_collection_update_one(lease, filter, change, opts, NULL, &error))
        rc = ing_source_error(&error, "leaving a token", err);
    mongoc_collection_destroy(lease);
    bson_destroy(change);
    bson_destroy(opts);
    bson_destroy(filter);
    return rc;
}

/* is_inside: in the session's transaction; else what a majority has. */
static enum rc
find_token(struct ing_stats *s, struct ing_client *c, bool is_inside, bool *is_there,
           struct err *err)
{
    bson_error_t error;
    bson_iter_t at;
    const bson_t *doc;
    bson_t *filter = token_filter(s), opts = BSON_INITIALIZER;
    mongoc_collection_t *lease =
        mongoc_client_get_collection(c->client, c->database, "tailfin_lease");
    mongoc_read_concern_t *majority = mongoc_read_concern_new();
    mongoc_read_concern_set_level(majority, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    if (is_inside)
        (void)mongoc_client_session_append(c->session, &opts, NULL); /* it worked for the beat */
    else
        (void)mongoc_read_concern_append(majority, &opts); /* fails without memory only */
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(lease, filter, &opts, NULL);
    *is_there = mongoc_cursor_next(cursor, &doc) && bson_iter_init_find(&at, doc, "token") &&
                BSON_ITER_HOLDS_UTF8(&at) &&
                strcmp(bson_iter_utf8(&at, NULL), s->tentative->token) == 0;
    enum rc rc = mongoc_cursor_error(cursor, &error)
                     ? ing_source_error(&error, "looking for a token", err)
                     : RC_OK;
    mongoc_cursor_destroy(cursor);
    mongoc_read_concern_destroy(majority);
    mongoc_collection_destroy(lease);
    bson_destroy(&opts);
    bson_destroy(filter);
    return rc;
}

enum rc
ing_stats_find_token(struct ing_stats *s, struct ing_client *c, bool *is_there, struct err *err)
{
    return find_token(s, c, true, is_there, err);
}

/* ---- 2 and 4 ---- */

/* Waits until the tentative entry is durable. */
static enum rc
record(struct ing_stats *s, struct err *err)
{
    struct idx_batch *to = idx_batch_new();
    ing_stats_put_entry(s->tentative, false, to);
    uint64_t ticket = idx_submit(s->m->options.idx, &to);
    if (!ticket || idx_wait(s->m->options.idx, ticket, IDX_DURABLE, RECORD_US))
        return err_set(err, RC_STOPPED, "the index does not take emote statistics");
    return RC_OK;
}

static void
settle(struct ing_stats *s, bool counts)
{
    struct ing_stats_batch *b = s->tentative;
    struct idx_batch *to = idx_batch_new();
    s->tentative = NULL;
    s->is_unknown = false;
    if (counts)
        ing_stats_put_entry(b, true, to);
    else
        ing_stats_drop_entry(b, to);
    (void)idx_submit(s->m->options.idx, &to); /* closing: the token settles it after a restart */
    if (counts)
        enqueue(s, b);
    else
        ing_stats_batch_free(b);
}

void
ing_stats_end(struct ing_stats *s, enum ing_stats_end how)
{
    if (!s->tentative)
        return; /* nothing was counted */
    s->is_unknown = how == ING_STATS_UNKNOWN;
    s->unknown_us = clock_us();
    if (!s->is_unknown)
        settle(s, how == ING_STATS_COMMITTED);
}

enum rc
ing_stats_prepare(struct ing_stats *s, struct ing_client *c, const struct ing_stats_items *items,
                  struct err *err)
{
    struct ing_stats_rows rows = {0};
    struct buf text = {0};
    enum rc rc = read_rows(c, items, &rows, err);
    size_t n = rc == RC_OK ? ing_stats_rows_write(&rows, &text) : 0;
    if (n > 0) {
        s->tentative = ing_stats_batch_new(s, &text, n);
        rc = record(s, err);
        if (rc == RC_OK)
            rc = leave_token(s, c, err);
    }
    buf_fini(&text);
    ing_stats_rows_fini(&rows);
    return rc;
}

bool
ing_stats_is_unknown(const struct ing_stats *s)
{
    return s->is_unknown;
}

void
ing_stats_look(struct ing_stats *s, struct ing_client *c)
{
    struct err err;
    bool is_there;
    if (!s->is_unknown || clock_us() < s->unknown_us + SETTLED_US)
        return;
    if (find_token(s, c, false, &is_there, &err) == RC_OK)
        settle(s, is_there);
    else
        s->unknown_us = clock_us() - SETTLED_US + 10000000; /* again in 10 s */
}

/* ---- deletions ---- */

void
ing_stats_deleted(struct ing_stats *s, struct span text, int64_t at_s)
{
    struct arena arena = {0};
    struct json doc;
    pthread_mutex_lock(&s->m->lock);
    bool is_holder = s->m->status.lease && strcmp(s->m->status.lease, "holder") == 0;
    pthread_mutex_unlock(&s->m->lock);
    if (is_holder && json_parse(text, &arena, &doc, NULL) == RC_OK) {
        const struct json *emotes = json_get(&doc, "emotes");
        for (uint32_t i = 0; emotes && emotes->type == JSON_ARRAY && i < emotes->n; i++) {
            unsigned char id[ULID_BYTES_N];
            if (emotes->items[i].type == JSON_STRING && ulid_read(emotes->items[i].string, id))
                ing_stats_rows_add(&s->deleted, id, at_s, -1);
        }
    }
    arena_fini(&arena);
}

void
ing_stats_record(struct ing_stats *s, struct idx_batch *b)
{
    struct buf text = {0};
    size_t n = ing_stats_rows_write(&s->deleted, &text);
    if (n > 0) {
        s->recorded = ing_stats_batch_new(s, &text, n);
        ing_stats_put_entry(s->recorded, true, b);
    }
    ing_stats_rows_fini(&s->deleted);
    buf_fini(&text);
}

void
ing_stats_submitted(struct ing_stats *s, uint64_t ticket)
{
    struct ing_stats_batch *b = s->recorded;
    s->recorded = NULL;
    if (!b)
        return;
    b->ticket = ticket;
    if (ticket)
        enqueue(s, b);
    else
        ing_stats_batch_free(b); /* nothing was deleted */
}

/* ---- opening ---- */

static void
make_instance(struct ing_stats *s)
{
    uint64_t random = clock_wall_us();
    (void)!getrandom(&random, sizeof random, 0); /* else the time, which is distinct enough */
    snprintf(s->instance, sizeof s->instance, "%016llx", (unsigned long long)random);
    struct idx_batch *to = idx_batch_new();
    idx_batch_entry(to, KIND, INSTANCE, arena_dup(idx_batch_arena(to), span_str(s->instance)));
    (void)idx_submit(s->m->options.idx, &to); /* closing: nothing comes of it */
}

static struct ing_stats_batch *
read_entry(const struct idx_entry *e)
{
    struct ing_stats_batch *b = xcalloc(1, sizeof *b);
    snprintf(b->token, sizeof b->token, "%.*s", SPAN_ARG(e->key));
    buf_put_span(&b->rows, span_from(e->value, 2));
    for (size_t i = 0; i < b->rows.n; i++)
        b->n_rows += b->rows.p[i] == '\n';
    b->was_sent = true; /* perhaps */
    return b;
}

/* Entries are sorted by token, which is the order they were made in. */
static void
read_entries(struct ing_stats *s, const struct idx_snapshot *snapshot)
{
    size_t n = 0;
    const struct idx_entry *all = idx_snapshot_entries(snapshot, KIND, &n);
    for (size_t i = 0; i < n; i++) {
        if (span_eq(all[i].key, INSTANCE))
            snprintf(s->instance, sizeof s->instance, "%.*s", SPAN_ARG(all[i].value));
        else if (all[i].value.n < 2)
            continue;
        else if (all[i].value.p[0] == 'S')
            enqueue(s, read_entry(&all[i]));
        else if (!s->tentative)
            s->tentative = read_entry(&all[i]);
    }
    s->is_unknown = s->tentative != NULL;
    s->unknown_us = clock_us();
    if (!s->instance[0])
        make_instance(s);
}

enum rc
ing_stats_open(struct ing_mongo *m, struct ing_stats **out, struct err *err)
{
    if (m->options.writeback != ING_WRITEBACK_FULL)
        return err_set(err, RC_INVALID,
                       "emote statistics are counted by what is written back: they need "
                       "writeback=full");
    struct idx_reader *reader = idx_reader_new(m->options.idx);
    if (!reader)
        return err_set(err, RC_LIMIT, "too many readers of the index");
    struct ing_stats *s = xcalloc(1, sizeof *s);
    s->m = m;
    s->options = *m->options.stats;
    s->end = &s->first;
    s->metrics = m->options.metrics ? metrics_block(m->options.metrics) : NULL;
    must(pthread_mutex_init(&s->lock, NULL) == 0);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    must(pthread_cond_init(&s->wake, &attr) == 0);
    pthread_condattr_destroy(&attr);
    read_entries(s, idx_reader_begin(reader));
    idx_reader_end(reader);
    idx_reader_free(reader);
    enum rc rc = ing_stats_send_start(s, err);
    if (rc == RC_OK)
        *out = s;
    else
        ing_stats_close(s);
    return rc;
}

void
ing_stats_close(struct ing_stats *s)
{
    if (!s)
        return;
    ing_stats_send_stop(s);
    for (struct ing_stats_batch *b = s->first, *next; b; b = next) {
        next = b->next;
        ing_stats_batch_free(b);
    }
    ing_stats_batch_free(s->tentative);
    ing_stats_batch_free(s->recorded);
    ing_stats_rows_fini(&s->deleted);
    must(pthread_cond_destroy(&s->wake) == 0);
    must(pthread_mutex_destroy(&s->lock) == 0);
    free(s);
}

void
ing_stats_write_status(struct ing_stats *s, struct buf *out)
{
    size_t n_rows = 0;
    pthread_mutex_lock(&s->lock);
    for (const struct ing_stats_batch *b = s->first; b; b = b->next)
        n_rows += b->n_rows;
    buf_printf(out,
               "{\"pending_batches\":%zu,\"pending_rows\":%zu,\"sent_rows\":%llu,"
               "\"errors\":%llu",
               s->n_batches, n_rows, (unsigned long long)s->n_rows_sent,
               (unsigned long long)s->n_troubles);
    if (s->trouble[0]) {
        json_put_name(out, "last_error");
        json_put_str(out, span_str(s->trouble));
    }
    buf_putc(out, '}');
    pthread_mutex_unlock(&s->lock);
}
