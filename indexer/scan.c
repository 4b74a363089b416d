/* A cursor, the thread that reads it, and the parcels between the two threads. */
#include "indexer/scan.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/queue.h"
#include "base/thread.h"

enum { PARCEL_DOCS = 100, PARCEL_BYTES = 1 << 20, PARCELS = 24 };

struct parcel {
    struct buf docs; /* one behind the other */
    uint64_t asked;  /* the touches that its oldest reply is known to show */
};

/*
 * Touches are numbered. The map holds the number of the last one of each key;
 * a second map, the older, lets keys go again: those that every parcel shows
 * by now.
 */
struct touched {
    struct map keys[2];
    uint64_t until; /* the last number in keys[1] */
};

struct ing_scan {
    struct ing_scan_from from;
    struct buf after;
    pthread_t thread;
    struct queue *parcels, *spare;
    _Atomic uint64_t n_touches;
    /* Reading thread; the other one once the queue is closed: */
    struct ing_client client;
    uint64_t asked; /* n_touches when the last reply was asked for */
    uint32_t time_s, time_i;
    enum rc rc;
    struct err err;
    /* Taking thread: */
    struct touched touched;
    struct buf key;
};

/* ---- the reading thread ---- */

static void
note_asked(const mongoc_apm_command_started_t *event)
{
    struct ing_scan *s = mongoc_apm_command_started_get_context(event);
    s->asked = atomic_load(&s->n_touches);
}

static void
watch_commands(struct ing_scan *s)
{
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, note_asked);
    (void)mongoc_client_set_apm_callbacks(s->client.client, callbacks, s); /* fails twice only */
    mongoc_apm_callbacks_destroy(callbacks);
}

static struct parcel *
parcel_new(struct ing_scan *s)
{
    struct parcel *p = queue_try_pop(s->spare);
    return p ? p : xcalloc(1, sizeof *p);
}

static void
parcel_free(struct parcel *p)
{
    buf_fini(&p->docs);
    free(p);
}

/* False at the end of the documents. */
static bool
fill(struct ing_scan *s, mongoc_cursor_t *cursor, struct parcel *p)
{
    const bson_t *doc;
    for (size_t n = 0; n < PARCEL_DOCS && p->docs.n < PARCEL_BYTES; n++) {
        if (!mongoc_cursor_next(cursor, &doc))
            return false;
        p->asked = n == 0 ? s->asked : p->asked; /* later replies show more, not less */
        buf_put(&p->docs, bson_get_data(doc), doc->len);
    }
    return true;
}

static void
read_all(struct ing_scan *s, mongoc_cursor_t *cursor)
{
    bool has_more = true;
    while (has_more) {
        struct parcel *p = parcel_new(s);
        has_more = fill(s, cursor, p);
        if (!queue_push(s->parcels, p)) {
            parcel_free(p);
            return; /* closed: nobody wants the rest */
        }
    }
    bson_error_t error;
    if (mongoc_cursor_error(cursor, &error))
        s->rc = ing_source_error(&error, "scanning", &s->err);
}

static enum rc
begin(struct ing_scan *s)
{
    enum rc rc = ing_client_open(&s->client, s->from.uri, &s->err);
    if (rc)
        return rc;
    watch_commands(s);
    return ing_client_session(&s->client, s->from.time_s, s->from.time_i, &s->err);
}

static void *
scan_main(void *arg)
{
    struct ing_scan *s = arg;
    (void)pthread_setname_np(pthread_self(), "mongo-scan"); /* for top and gdb only */
    thread_step_back(THREAD_STEPS_FEED);
    struct ing_fetch fetch = {&s->client, s->from.collection, s->from.fields, NULL, NULL};
    mongoc_cursor_t *cursor = NULL;
    s->rc = begin(s);
    if (!s->rc)
        s->rc = ing_fetch_cursor(&fetch, s->from.after, s->from.reply_docs, &cursor, &s->err);
    if (!s->rc)
        read_all(s, cursor);
    if (!s->rc && cursor)
        mongoc_client_session_get_operation_time(s->client.session, &s->time_s, &s->time_i);
    if (cursor && !atomic_load(s->from.is_hung))
        mongoc_cursor_destroy(cursor);
    queue_close(s->parcels);
    return NULL;
}

/* ---- the taking thread ---- */

struct ing_scan *
ing_scan_open(const struct ing_scan_from *from)
{
    struct ing_scan *s = xcalloc(1, sizeof *s);
    s->from = *from;
    buf_put_span(&s->after, from->after);
    s->from.after = buf_span(&s->after);
    s->client.socket_ms = from->socket_ms;
    s->parcels = queue_new(PARCELS);
    s->spare = queue_new(PARCELS);
    must(pthread_create(&s->thread, NULL, scan_main, s) == 0);
    return s;
}

void
ing_scan_close(struct ing_scan *s)
{
    if (!s)
        return;
    struct parcel *p;
    queue_close(s->parcels);
    must(pthread_join(s->thread, NULL) == 0);
    while ((p = queue_try_pop(s->parcels)) || (p = queue_try_pop(s->spare)))
        parcel_free(p);
    queue_free(s->parcels);
    queue_free(s->spare);
    if (!atomic_load(s->from.is_hung))
        ing_client_close(&s->client);
    map_fini(&s->touched.keys[0]);
    map_fini(&s->touched.keys[1]);
    buf_fini(&s->after);
    buf_fini(&s->key);
    free(s);
}

/* As events write it: {"": _id}; of a longer key only that. */
static struct span
key_of(struct ing_scan *s, bson_iter_t *id)
{
    bson_t key = BSON_INITIALIZER;
    bson_append_value(&key, "", 0, bson_iter_value(id));
    buf_clear(&s->key);
    buf_put(&s->key, bson_get_data(&key), key.len);
    bson_destroy(&key);
    return buf_span(&s->key);
}

void
ing_scan_touch(struct ing_scan *s, const struct span *keys, size_t n)
{
    uint64_t number = atomic_load(&s->n_touches) + 1;
    for (size_t i = 0; i < n; i++) {
        bson_t key;
        bson_iter_t id;
        if (bson_init_static(&key, (const uint8_t *)keys[i].p, keys[i].n) &&
            bson_iter_init(&id, &key) && bson_iter_next(&id))
            *map_put(&s->touched.keys[0], key_of(s, &id), NULL) = number;
    }
    atomic_store(&s->n_touches, number); /* replies asked for from now on show it */
}

/* What every later parcel shows needs no remembering. */
static void
forget_shown(struct ing_scan *s, uint64_t asked)
{
    struct touched *t = &s->touched;
    if (asked < t->until)
        return;
    map_fini(&t->keys[1]);
    t->keys[1] = t->keys[0];
    t->keys[0] = (struct map){0};
    t->until = atomic_load(&s->n_touches);
}

static bool
is_outdated(struct ing_scan *s, const struct parcel *p, const bson_t *doc)
{
    bson_iter_t id;
    if (p->asked >= atomic_load(&s->n_touches) || !bson_iter_init_find(&id, doc, "_id"))
        return false;
    struct span key = key_of(s, &id);
    for (size_t i = 0; i < ARRAY_SIZE(s->touched.keys); i++) {
        const uint64_t *number = map_get(&s->touched.keys[i], key);
        if (number && *number > p->asked)
            return true;
    }
    return false;
}

static size_t
hand_out(struct ing_scan *s, const struct parcel *p, void (*each)(void *arg, const bson_t *doc),
         void *arg)
{
    size_t n = 0;
    for (size_t at = 0; at < p->docs.n; n++) {
        uint32_t n_bytes = load_u32(p->docs.p + at);
        bson_t doc;
        bool is_sound = bson_init_static(&doc, (const uint8_t *)p->docs.p + at, n_bytes);
        must(is_sound);
        if (!is_outdated(s, p, &doc))
            each(arg, &doc);
        at += n_bytes;
    }
    return n;
}

/* Used again, so that its pages are. */
static void
give_back(struct ing_scan *s, struct parcel *p)
{
    buf_clear(&p->docs);
    if (p->docs.cap > 2 * PARCEL_BYTES || !queue_try_push(s->spare, p))
        parcel_free(p);
}

enum rc
ing_scan_take(struct ing_scan *s, const struct ing_scan_share *share,
              void (*each)(void *arg, const bson_t *doc), void *arg, struct ing_scan_taken *out,
              struct err *err)
{
    uint64_t until_us = clock_us() + share->wait_us;
    size_t n_bytes = 0;
    *out = (struct ing_scan_taken){0};
    while (out->n < share->max_docs && n_bytes < share->max_bytes) {
        uint64_t now_us = clock_us();
        struct parcel *p = queue_pop(s->parcels, now_us < until_us ? until_us - now_us : 0);
        if (!p)
            break;
        forget_shown(s, p->asked);
        out->n += hand_out(s, p, each, arg);
        n_bytes += p->docs.n;
        give_back(s, p);
    }
    if (out->n || !queue_is_closed(s->parcels) || queue_n(s->parcels))
        return RC_OK;
    if (s->rc && err)
        *err = s->err;
    out->is_end = !s->rc;
    return s->rc;
}

void
ing_scan_time(const struct ing_scan *s, uint32_t *time_s, uint32_t *time_i)
{
    *time_s = s->time_s;
    *time_i = s->time_i;
}
