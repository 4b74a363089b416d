/* The observing thread. */
#include "indexer/pipeline.h"

#include "base/clock.h"

enum {
    OPLOG_EVERY_US = 10000000,
    SIZES_EVERY_US = 600000000,
};

/* One entry of the oplog by natural order (1: the oldest, -1: the newest). */
static enum rc
read_entry(struct ing_client *c, int order, uint32_t *time_s, struct err *err)
{
    mongoc_collection_t *oplog = mongoc_client_get_collection(c->client, "local", "oplog.rs");
    bson_t *opts = BCON_NEW("sort", "{", "$natural", BCON_INT32(order), "}", "limit", BCON_INT64(1),
                            "projection", "{", "ts", BCON_INT32(1), "}");
    bson_t filter = BSON_INITIALIZER;
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(oplog, &filter, opts, NULL);
    const bson_t *doc;
    bson_error_t error;
    bson_iter_t at;
    uint32_t time_i;
    enum rc rc = RC_OK;
    if (mongoc_cursor_next(cursor, &doc) && bson_iter_init_find(&at, doc, "ts") &&
        BSON_ITER_HOLDS_TIMESTAMP(&at))
        bson_iter_timestamp(&at, time_s, &time_i);
    else if (mongoc_cursor_error(cursor, &error))
        rc = ing_source_error(&error, "reading local.oplog.rs", err);
    else
        rc = err_set(err, RC_ABSENT, "local.oplog.rs is empty");
    mongoc_cursor_destroy(cursor);
    bson_destroy(&filter);
    bson_destroy(opts);
    mongoc_collection_destroy(oplog);
    return rc;
}

static enum rc
look_at_oplog(struct ing_mongo *m, struct ing_client *c, struct err *err)
{
    uint32_t oldest_s = 0, newest_s = 0;
    enum rc rc = read_entry(c, 1, &oldest_s, err);
    if (!rc)
        rc = read_entry(c, -1, &newest_s, err);
    pthread_mutex_lock(&m->lock);
    struct ing_status *s = &m->status;
    s->oplog_oldest_s = rc ? 0 : oldest_s;
    s->oplog_newest_s = rc ? 0 : newest_s;
    snprintf(s->oplog_trouble, sizeof s->oplog_trouble, "%s", rc ? err->text : "");
    pthread_mutex_unlock(&m->lock);
    return rc;
}

/* A collection that is not there has no size; the next look may find it. */
static void
look_at_size(struct ing_mongo *m, struct ing_client *c, struct ing_feed *f)
{
    bson_t *command = BCON_NEW("collStats", BCON_UTF8(f->source));
    bson_t reply;
    bson_iter_t at;
    uint64_t bytes = 0;
    if (mongoc_client_command_simple(c->client, c->database, command, NULL, &reply, NULL) &&
        bson_iter_init_find(&at, &reply, "size") && BSON_ITER_HOLDS_NUMBER(&at))
        bytes = (uint64_t)bson_iter_as_int64(&at);
    bson_destroy(&reply);
    bson_destroy(command);
    pthread_mutex_lock(&m->lock);
    f->source_bytes = bytes;
    pthread_mutex_unlock(&m->lock);
}

static void *
observe_main(void *arg)
{
    struct ing_mongo *m = arg;
    struct ing_client client = {0};
    struct err err = {0};
    uint64_t sizes_at_us = 0;
    (void)pthread_setname_np(pthread_self(), "mongo-observe"); /* for top and gdb only */
    if (ing_client_open(&client, m->uri, &err))
        return NULL; /* cannot be: the same URI opened for the other threads */
    do {
        /* What cannot be read is said in the status; the stream tells of a server that is away. */
        if (look_at_oplog(m, &client, &err) == RC_OK && clock_us() >= sizes_at_us) {
            for (unsigned i = 0; i < m->n_feeds && !ing_inbox_is_closed(&m->inbox); i++)
                look_at_size(m, &client, &m->feeds[i]);
            sizes_at_us = clock_us() + SIZES_EVERY_US;
        }
    } while (!ing_inbox_sleep(&m->inbox, OPLOG_EVERY_US));
    if (!atomic_load(&m->is_hung))
        ing_client_close(&client);
    return NULL;
}

void
ing_observe_start(struct ing_mongo *m)
{
    if (m->options.metrics)
        m->observer.gauges = metrics_block(m->options.metrics);
    must(pthread_create(&m->observer.thread, NULL, observe_main, m) == 0);
}

void
ing_observe_stop(struct ing_mongo *m)
{
    pthread_join(m->observer.thread, NULL);
}
