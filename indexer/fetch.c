/* Finds with our projection, session and read concern; nothing else reads documents. */
#include "indexer/fetch.h"

static mongoc_collection_t *
collection_of(struct ing_client *c, const char *name)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(c->client, c->database, name);
    mongoc_read_concern_t *concern = mongoc_read_concern_new();
    mongoc_read_concern_set_level(concern, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_collection_set_read_concern(collection, concern);
    mongoc_read_concern_destroy(concern);
    return collection;
}

/* A cursor in the client's session; nothing was asked yet. The caller's to destroy. */
static enum rc
open_cursor(const struct ing_fetch *f, const bson_t *filter, bson_t *opts, mongoc_cursor_t **out,
            struct err *err)
{
    bson_error_t error;
    enum rc rc = ing_client_session(f->client, 0, 0, err);
    if (rc)
        return rc;
    if (!mongoc_client_session_append(f->client->session, opts, &error))
        return ing_source_error(&error, "using a session", err);
    mongoc_collection_t *collection = collection_of(f->client, f->collection);
    *out = mongoc_collection_find_with_opts(collection, filter, opts, NULL);
    mongoc_collection_destroy(collection); /* the cursor has its own name of it */
    return RC_OK;
}

static enum rc
run(const struct ing_fetch *f, const bson_t *filter, bson_t *opts, size_t *n, struct err *err)
{
    bson_error_t error;
    const bson_t *doc;
    mongoc_cursor_t *cursor;
    enum rc rc = open_cursor(f, filter, opts, &cursor, err);
    if (rc)
        return rc;
    for (*n = 0; mongoc_cursor_next(cursor, &doc); (*n)++)
        f->each(f->arg, doc);
    if (mongoc_cursor_error(cursor, &error))
        rc = ing_source_error(&error, "reading documents", err);
    mongoc_cursor_destroy(cursor);
    return rc;
}

static bool
open_key(struct span bytes, bson_t *key, bson_iter_t *id)
{
    return bson_init_static(key, (const uint8_t *)bytes.p, bytes.n) && bson_iter_init(id, key) &&
           bson_iter_next(id);
}

/* {_id: {$in: [...]}}: one index, one reply. */
static void
filter_by_ids(const struct span *ids, size_t n, bson_t *filter)
{
    bson_t in, array, key;
    bson_append_document_begin(filter, "_id", 3, &in);
    bson_append_array_begin(&in, "$in", 3, &array);
    for (size_t i = 0; i < n; i++) {
        bson_iter_t id;
        char number[16];
        const char *name;
        bson_uint32_to_string((uint32_t)i, &name, number, sizeof number);
        if (open_key(ids[i], &key, &id))
            bson_append_value(&array, name, -1, bson_iter_value(&id));
    }
    bson_append_array_end(&in, &array);
    bson_append_document_end(filter, &in);
}

/* {$or: [{_id: x, city: y}, ...]}: each part names the shard that has it. */
static void
filter_by_routes(const struct span *ids, size_t n, bson_t *filter)
{
    bson_t array, part, key;
    bson_append_array_begin(filter, "$or", 3, &array);
    for (size_t i = 0; i < n; i++) {
        bson_iter_t at;
        char number[16];
        const char *name;
        bson_uint32_to_string((uint32_t)i, &name, number, sizeof number);
        if (!open_key(ids[i], &key, &at))
            continue;
        bson_append_document_begin(&array, name, -1, &part);
        bson_append_value(&part, "_id", 3, bson_iter_value(&at));
        while (bson_iter_next(&at))
            bson_append_value(&part, bson_iter_key(&at), -1, bson_iter_value(&at));
        bson_append_document_end(&array, &part);
    }
    bson_append_array_end(filter, &array);
}

bool
ing_fetch_is_routed(struct span id)
{
    bson_t key;
    return bson_init_static(&key, (const uint8_t *)id.p, id.n) && bson_count_keys(&key) > 1;
}

enum rc
ing_fetch_keys(const struct ing_fetch *f, const struct span *ids, size_t n, struct err *err)
{
    bson_t filter = BSON_INITIALIZER, opts = BSON_INITIALIZER;
    bool has_routes = false;
    for (size_t i = 0; i < n && !has_routes; i++)
        has_routes = ing_fetch_is_routed(ids[i]);
    if (has_routes)
        filter_by_routes(ids, n, &filter);
    else
        filter_by_ids(ids, n, &filter);
    bson_append_document(&opts, "projection", -1, f->fields);
    bson_append_int32(&opts, "batchSize", -1, (int32_t)n + 1); /* one reply, cursor closed */
    size_t n_found = 0;
    enum rc rc = run(f, &filter, &opts, &n_found, err);
    bson_destroy(&opts);
    bson_destroy(&filter);
    return rc;
}

/*
 * "min" bounds the index itself, so that ids of all types come in one order;
 * {_id: {$gt: x}} would see only those of x's type.
 */
static void
in_order(const struct ing_fetch *f, struct span after, size_t reply_docs, bson_t *opts)
{
    bson_t min;
    bson_t *order = BCON_NEW("_id", BCON_INT32(1));
    if (after.n && bson_init_static(&min, (const uint8_t *)after.p, after.n))
        bson_append_document(opts, "min", -1, &min);
    bson_append_document(opts, "hint", -1, order);
    bson_append_document(opts, "sort", -1, order);
    bson_append_document(opts, "projection", -1, f->fields);
    bson_append_int32(opts, "batchSize", -1, (int32_t)reply_docs);
    bson_destroy(order);
}

enum rc
ing_fetch_slice(const struct ing_fetch *f, struct span after, size_t max_docs, size_t *n,
                struct err *err)
{
    bson_t filter = BSON_INITIALIZER, opts = BSON_INITIALIZER;
    in_order(f, after, max_docs + 1, &opts); /* one reply, cursor closed */
    bson_append_int64(&opts, "limit", -1, (int64_t)max_docs);
    *n = 0;
    enum rc rc = run(f, &filter, &opts, n, err);
    bson_destroy(&opts);
    bson_destroy(&filter);
    return rc;
}

enum rc
ing_fetch_cursor(const struct ing_fetch *f, struct span after, size_t reply_docs,
                 mongoc_cursor_t **out, struct err *err)
{
    bson_t filter = BSON_INITIALIZER, opts = BSON_INITIALIZER;
    in_order(f, after, reply_docs, &opts);
    enum rc rc = open_cursor(f, &filter, &opts, out, err);
    bson_destroy(&opts);
    bson_destroy(&filter);
    return rc;
}

enum rc
ing_fetch_where(const struct ing_fetch *f, const bson_t *filter, size_t max_docs, struct err *err)
{
    bson_t opts = BSON_INITIALIZER;
    bson_append_document(&opts, "projection", -1, f->fields);
    bson_append_int64(&opts, "limit", -1, (int64_t)max_docs);
    size_t n = 0;
    enum rc rc = run(f, filter, &opts, &n, err);
    bson_destroy(&opts);
    return rc;
}

uint64_t
ing_fetch_estimate(struct ing_client *c, const char *name)
{
    mongoc_collection_t *collection = mongoc_client_get_collection(c->client, c->database, name);
    int64_t n = mongoc_collection_estimated_document_count(collection, NULL, NULL, NULL, NULL);
    mongoc_collection_destroy(collection);
    return n > 0 ? (uint64_t)n : 0;
}
