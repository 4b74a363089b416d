/*
 * The stream thread: opens the change stream of the whole database where the
 * position says, turns events into notes for the inbox, and opens it again
 * after every error, for ever. What it cannot make good (history lost, the
 * stream invalidated) it turns into a new start and a rebuild.
 */
#include "indexer/pipeline.h"

#include "base/clock.h"
#include "base/thread.h"

#include "indexer/event.h"
#include "indexer/origin.h"

/*
 * ORIGIN_US: between looks for collections that were not there yet. BESIDE_US: between replies
 * beside a scan.
 */
enum { AWAIT_MS = 500, EVENTS_PER_REPLY = 10000, ORIGIN_US = 5000000, BESIDE_US = 25000 };

struct stream {
    struct ing_mongo *m;
    struct ing_client client;
    struct ing_position position;
    struct metrics_block *metrics;
    struct buf key;
    unsigned n_tries;
    unsigned n_openings; /* of the stream since we opened it: more than 1 were the driver's own */
    size_t n_left;       /* events of the last reply, not yet read */
    uint64_t asked_us;   /* when that was asked for */
    bool is_invalidated;
    uint64_t origin_us; /* when the collections were last looked at */
    uint64_t awaited;   /* bit per feed: its rebuild was asked for, and may not have begun */
};

static uint64_t
all_feeds(const struct ing_mongo *m)
{
    return m->n_feeds == 64 ? UINT64_MAX : (1ull << m->n_feeds) - 1;
}

static void
set_connected(struct stream *s, bool is_connected)
{
    pthread_mutex_lock(&s->m->lock);
    s->m->status.is_connected = is_connected;
    s->m->status.was_connected |= is_connected;
    ing_status_note_state(s->m);
    pthread_mutex_unlock(&s->m->lock);
    metrics_set(s->metrics, M_SOURCE_CONNECTED, is_connected);
}

/*
 * A new beginning: from now on, with everything named rebuilt from scans that
 * start later. After an invalidate it begins behind the newest operation: that
 * may be the one that invalidated, and would again.
 */
static enum rc
start_anew(struct stream *s, uint64_t rebuild, struct err *err)
{
    uint32_t time_s = 0, time_i = 0;
    enum rc rc = ing_client_now(&s->client, &time_s, &time_i, err);
    if (rc)
        return rc;
    buf_clear(&s->position.token);
    s->awaited |= rebuild;
    s->position.time_s = time_s;
    s->position.time_i = time_i + s->is_invalidated;
    ing_inbox_restart(&s->m->inbox, time_s, time_i, s->is_invalidated, rebuild);
    s->is_invalidated = false;
    return RC_OK;
}

static void
note_asked(const mongoc_apm_command_started_t *command)
{
    struct stream *s = mongoc_apm_command_started_get_context(command);
    s->asked_us = clock_us();
    if (strcmp(mongoc_apm_command_started_get_command_name(command), "aggregate") == 0)
        s->n_openings++;
}

/* How many events a reply brings, to know when the next one will be asked for. */
static void
note_reply(const mongoc_apm_command_succeeded_t *command)
{
    struct stream *s = mongoc_apm_command_succeeded_get_context(command);
    const bson_t *reply = mongoc_apm_command_succeeded_get_reply(command);
    static const char *const paths[] = {"cursor.nextBatch", "cursor.firstBatch"};
    s->n_left = 0;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        bson_iter_t it, batch, event;
        if (!bson_iter_init(&it, reply) || !bson_iter_find_descendant(&it, paths[i], &batch) ||
            !bson_iter_recurse(&batch, &event))
            continue;
        while (bson_iter_next(&event))
            s->n_left++;
    }
}

static void
watch_commands(struct stream *s)
{
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, note_asked);
    mongoc_apm_set_command_succeeded_cb(callbacks, note_reply);
    (void)mongoc_client_set_apm_callbacks(s->client.client, callbacks, s); /* true for clients */
    mongoc_apm_callbacks_destroy(callbacks);
    s->n_openings = 0;
}

/*
 * By time wherever the token tells it, though tokens are more exact: MongoDB
 * 4.0 takes a token from between two events for good without looking whether
 * the oplog still has what came after it. What happened at that very time
 * comes again, which changes nothing (P1).
 */
static mongoc_change_stream_t *
open_stream(struct stream *s)
{
    uint32_t time_s, time_i;
    bson_t pipeline, opts = BSON_INITIALIZER;
    watch_commands(s);
    ing_event_pipeline(&pipeline);
    bson_append_int32(&opts, "maxAwaitTimeMS", -1, AWAIT_MS);
    bson_append_int32(&opts, "batchSize", -1, EVENTS_PER_REPLY);
    bson_t token;
    if (ing_position_time(&s->position, &time_s, &time_i))
        bson_append_timestamp(&opts, "startAtOperationTime", -1, time_s, time_i);
    else if (bson_init_static(&token, (const uint8_t *)s->position.token.p, s->position.token.n))
        bson_append_document(&opts, "resumeAfter", -1, &token);
    mongoc_database_t *database = mongoc_client_get_database(s->client.client, s->client.database);
    mongoc_change_stream_t *stream = mongoc_database_watch(database, &pipeline, &opts);
    mongoc_database_destroy(database);
    bson_destroy(&opts);
    bson_destroy(&pipeline);
    return stream;
}

static uint64_t
feeds_of(const struct ing_mongo *m, struct span collection)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < m->n_feeds; i++) {
        if (collection.n && span_eq_str(collection, m->feeds[i].source))
            bits |= 1ull << i;
    }
    return bits;
}

static struct span
token_of(mongoc_change_stream_t *stream)
{
    const bson_t *token = mongoc_change_stream_get_resume_token(stream);
    return token ? span_of((const char *)bson_get_data(token), token->len) : (struct span){0};
}

/* One note for each feed that reads the collection; the token goes with the last. */
static bool
note_event(struct stream *s, const struct ing_change *event, struct span token)
{
    struct ing_mongo *m = s->m;
    struct ing_note note = {.op = event->op,
                            .route = event->route,
                            .time_s = event->time_s,
                            .time_i = event->time_i};
    uint64_t feeds = feeds_of(m, event->collection);
    bool is_open = true;
    if (event->kind == ING_EVENT_COLLECTION)
        note.rebuild = feeds | feeds_of(m, event->other);
    else if (event->kind == ING_EVENT_DATABASE)
        note.rebuild = all_feeds(m);
    s->awaited |= note.rebuild;
    metrics_add(s->metrics, M_EVENTS, 1);
    if (event->kind == ING_EVENT_DOCUMENT && feeds) {
        for (unsigned i = 0; i < m->n_feeds && is_open; i++) {
            if (!(feeds >> i & 1))
                continue;
            buf_clear(&s->key);
            ing_event_key(i, &event->id, &s->key);
            note.key = buf_span(&s->key);
            is_open = ing_inbox_put(&m->inbox, &note);
        }
        note.key = (struct span){0};
    } else if (!note.rebuild) {
        metrics_add(s->metrics, M_EVENTS_IGNORED, 1);
        if (event->kind == ING_EVENT_DOCUMENT)
            metrics_add(s->metrics, ing_event_metric(event->op, ING_OUTCOME_IGNORED), 1);
    }
    note.token = token;
    return is_open && ing_inbox_put(&m->inbox, &note);
}

static void
keep_token(struct stream *s, struct span token)
{
    if (!token.n)
        return;
    buf_clear(&s->position.token);
    buf_put_span(&s->position.token, token);
}

/* Rebuilds what MongoDB no longer has as it was. RC_HISTORY_LOST: that is everything. */
static enum rc
check_origin(struct stream *s, struct err *err)
{
    struct ing_origin_news news;
    if (ing_origin_known(s->m) & s->awaited)
        return RC_OK; /* of old, what is about to be rebuilt */
    s->awaited = 0;
    enum rc rc = ing_origin_check(s->m, &s->client, &news, err);
    if (rc)
        return rc;
    s->origin_us = clock_us();
    if (news.is_another)
        return err_set(err, RC_HISTORY_LOST, "this is not the database that the index was made of");
    s->awaited = news.rebuild;
    struct ing_note note = {.rebuild = news.rebuild};
    return !news.rebuild || ing_inbox_put(&s->m->inbox, &note) ? RC_OK : RC_STOPPED;
}

/* Some collections may never be there: those are looked for now and then. */
static bool
is_origin_due(const struct stream *s)
{
    uint64_t known = ing_origin_known(s->m);
    if (s->awaited)
        return !(known & s->awaited);
    return known != all_feeds(s->m) && clock_us() > s->origin_us + ORIGIN_US;
}

/*
 * A reply for every event costs MongoDB and us more than the events. Beside a
 * scan, which takes what the machine has, they come some at a time.
 */
static void
await_events(struct stream *s)
{
    uint64_t now_us = clock_us(), until_us = s->asked_us + BESIDE_US;
    if (s->n_left == 0 && now_us < until_us && atomic_load(&s->m->is_scanning))
        (void)ing_inbox_sleep(&s->m->inbox, until_us - now_us); /* the loop looks at closed */
}

/* Reads until closed (RC_STOPPED), an error, or the end of the stream (RC_HISTORY_LOST). */
static enum rc
read_events(struct stream *s, mongoc_change_stream_t *stream, struct err *err)
{
    const bson_t *doc;
    bson_error_t error;
    while (!ing_inbox_is_closed(&s->m->inbox)) {
        await_events(s);
        bool has_event = mongoc_change_stream_next(stream, &doc);
        if (s->n_openings > 1) /* by token: see open_stream */
            return err_set(err, RC_UNREACHABLE, "the driver opened the change stream again");
        if (has_event) {
            s->n_left -= s->n_left > 0;
            struct ing_change event;
            ing_event_read(doc, &event);
            s->is_invalidated = event.kind == ING_EVENT_INVALIDATE;
            if (event.kind != ING_EVENT_DOCUMENT)
                metrics_add(s->metrics, (enum metric)(M_EVENTS_DROP + (event.op - ING_OP_DROP)), 1);
            if (s->is_invalidated)
                return err_set(err, RC_HISTORY_LOST, "the change stream was invalidated");
            struct span token = token_of(stream);
            if (!note_event(s, &event, token))
                return RC_STOPPED;
            keep_token(s, token);
            continue;
        }
        if (mongoc_change_stream_error_document(stream, &error, NULL))
            return ing_source_error(&error, "reading the change stream", err);
        if (s->n_tries || !s->m->status.is_connected)
            set_connected(s, true);
        s->n_tries = 0;
        struct ing_note note = {.token = token_of(stream), .is_idle = true};
        keep_token(s, note.token);
        if (!ing_inbox_put(&s->m->inbox, &note))
            return RC_STOPPED;
        enum rc rc = is_origin_due(s) ? check_origin(s, err) : RC_OK;
        if (rc)
            return rc;
    }
    return RC_STOPPED;
}

static enum rc
run_once(struct stream *s, struct err *err)
{
    enum rc rc = RC_OK;
    if (!ing_position_is_set(&s->position))
        rc = start_anew(s, 0, err);
    if (!rc)
        rc = check_origin(s, err);
    if (rc)
        return rc;
    mongoc_change_stream_t *stream = open_stream(s);
    bson_error_t error;
    if (mongoc_change_stream_error_document(stream, &error, NULL)) {
        rc = ing_source_error(&error, "opening the change stream", err);
    } else {
        set_connected(s, true);
        rc = read_events(s, stream, err);
    }
    if (rc != RC_STOPPED && ing_inbox_is_closed(&s->m->inbox))
        atomic_store(&s->m->is_hung, true);
    else
        mongoc_change_stream_destroy(stream);
    return rc;
}

void *
ing_stream_main(void *arg)
{
    struct stream s = {.m = arg};
    struct ing_mongo *m = s.m;
    (void)pthread_setname_np(pthread_self(), "mongo-stream"); /* for top and gdb only */
    thread_step_back(THREAD_STEPS_FEED);
    if (m->options.metrics)
        s.metrics = metrics_block(m->options.metrics);
    ing_position_copy(&s.position, &m->start);
    struct err err = {0};
    enum rc rc = ing_client_open(&s.client, m->uri, &err);
    while (rc != RC_STOPPED && !ing_inbox_is_closed(&m->inbox)) {
        rc = s.client.client ? run_once(&s, &err) : RC_UNREACHABLE;
        set_connected(&s, false);
        if (rc == RC_HISTORY_LOST) {
            ing_trouble(m, "history", &err, 0);
            rc = start_anew(&s, all_feeds(m), &err);
        }
        if (rc == RC_OK || rc == RC_STOPPED)
            continue;
        uint64_t wait_us = ing_backoff_us(s.n_tries++);
        metrics_add(s.metrics, M_SOURCE_ERRORS, 1);
        ing_trouble(m, "stream", &err, wait_us);
        if (ing_inbox_sleep(&m->inbox, wait_us))
            break;
        rc = ing_client_renew(&s.client, &err);
    }
    if (!atomic_load(&m->is_hung))
        ing_client_close(&s.client);
    ing_position_fini(&s.position);
    buf_fini(&s.key);
    return NULL;
}
