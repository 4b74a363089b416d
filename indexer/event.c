/* The change stream's pipeline and the reading of its events. */
#include "indexer/event.h"

#include "base/must.h"

/*
 * Our own write-backs, and those of today's indexer, are dropped by the
 * server, if all of this holds: the event is an update; nothing was removed or
 * truncated; something was set, and only outputs of the indexer;
 * search_updated_at was not set to null (which asks for indexing), and
 * emotes_changed_since_reindex not to true. $objectToArray gives the names:
 * they may have dots in them, which a path could not say.
 */
static const char pipeline_json[] =
    "{\"pipeline\": ["
    "{\"$addFields\": {\"names\": {\"$map\": {\"input\": {\"$objectToArray\":"
    " {\"$ifNull\": [\"$updateDescription.updatedFields\", {}]}}, \"in\": \"$$this.k\"}}}},"
    "{\"$match\": {\"$expr\": {\"$not\": [{\"$and\": ["
    "{\"$eq\": [\"$operationType\", \"update\"]},"
    "{\"$eq\": [{\"$size\": {\"$ifNull\": [\"$updateDescription.removedFields\", []]}}, 0]},"
    "{\"$eq\": [{\"$size\": {\"$ifNull\": [\"$updateDescription.truncatedArrays\", []]}}, 0]},"
    "{\"$gt\": [{\"$size\": \"$names\"}, 0]},"
    "{\"$allElementsTrue\": [{\"$map\": {\"input\": \"$names\", \"in\": {\"$or\": ["
    "{\"$in\": [\"$$this\", [\"search_updated_at\", \"applied_rank\","
    " \"emotes_changed_since_reindex\", \"cached\"]]},"
    "{\"$eq\": [{\"$substrBytes\": [\"$$this\", 0, 7]}, \"cached.\"]}]}}}]},"
    "{\"$ne\": [{\"$type\": \"$updateDescription.updatedFields.search_updated_at\"}, \"null\"]},"
    "{\"$ne\": [\"$updateDescription.updatedFields.emotes_changed_since_reindex\", true]}"
    "]}]}}},"
    "{\"$project\": {\"operationType\": 1, \"ns\": 1, \"to\": 1, \"documentKey\": 1,"
    " \"clusterTime\": 1}}]}";

void
ing_event_pipeline(bson_t *out)
{
    bson_error_t error;
    bool is_ok = bson_init_from_json(out, pipeline_json, -1, &error);
    must(is_ok);
}

static bool
find_path(const bson_t *doc, const char *path, bson_iter_t *out)
{
    bson_iter_t at;
    return bson_iter_init(&at, doc) && bson_iter_find_descendant(&at, path, out);
}

static struct span
text_at(const bson_t *doc, const char *path)
{
    bson_iter_t at;
    uint32_t n;
    if (!find_path(doc, path, &at) || !BSON_ITER_HOLDS_UTF8(&at))
        return (struct span){0};
    const char *p = bson_iter_utf8(&at, &n);
    return span_of(p, n);
}

static void
read_operation(struct span name, struct ing_change *out)
{
    static const struct {
        const char *name;
        enum ing_event_kind kind;
        enum ing_op op;
    } rows[] = {
        {"insert", ING_EVENT_DOCUMENT, ING_OP_INSERT},
        {"update", ING_EVENT_DOCUMENT, ING_OP_UPDATE},
        {"replace", ING_EVENT_DOCUMENT, ING_OP_REPLACE},
        {"delete", ING_EVENT_DOCUMENT, ING_OP_DELETE},
        {"drop", ING_EVENT_COLLECTION, ING_OP_DROP},
        {"rename", ING_EVENT_COLLECTION, ING_OP_RENAME},
        {"dropDatabase", ING_EVENT_DATABASE, ING_OP_DROP_DATABASE},
        {"invalidate", ING_EVENT_INVALIDATE, ING_OP_INVALIDATE},
    };
    out->kind = ING_EVENT_OTHER;
    out->op = ING_OP_OTHER;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!span_eq_str(name, rows[i].name))
            continue;
        out->kind = rows[i].kind;
        out->op = rows[i].op;
    }
}

static struct span
route_of(const bson_t *doc)
{
    bson_iter_t at;
    bson_t key;
    uint32_t n;
    const uint8_t *p;
    if (!bson_iter_init_find(&at, doc, "documentKey") || !BSON_ITER_HOLDS_DOCUMENT(&at))
        return (struct span){0};
    bson_iter_document(&at, &n, &p);
    return bson_init_static(&key, p, n) && bson_count_keys(&key) > 1
               ? span_of((const char *)p, n)
               : (struct span){0};
}

void
ing_event_read(const bson_t *doc, struct ing_change *out)
{
    bson_iter_t at;
    *out = (struct ing_change){.collection = text_at(doc, "ns.coll"),
                               .other = text_at(doc, "to.coll")};
    read_operation(text_at(doc, "operationType"), out);
    if (bson_iter_init_find(&at, doc, "clusterTime") && BSON_ITER_HOLDS_TIMESTAMP(&at))
        bson_iter_timestamp(&at, &out->time_s, &out->time_i);
    if (out->kind == ING_EVENT_DOCUMENT && !find_path(doc, "documentKey._id", &out->id))
        out->kind = ING_EVENT_OTHER;
    else if (out->kind == ING_EVENT_DOCUMENT)
        out->route = route_of(doc);
}

void
ing_event_key(unsigned feed, const bson_iter_t *id, struct buf *out)
{
    bson_t doc = BSON_INITIALIZER;
    bson_append_iter(&doc, "", 0, id);
    buf_putc(out, (char)feed);
    buf_put(out, bson_get_data(&doc), doc.len);
    bson_destroy(&doc);
}

void
ing_event_routed(struct span id, struct span route, struct buf *out)
{
    bson_t from, doc = BSON_INITIALIZER;
    bson_iter_t at;
    if (bson_init_static(&from, (const uint8_t *)id.p, id.n))
        bson_concat(&doc, &from);
    if (bson_init_static(&from, (const uint8_t *)route.p, route.n) && bson_iter_init(&at, &from)) {
        while (bson_iter_next(&at)) {
            if (strcmp(bson_iter_key(&at), "_id") != 0)
                bson_append_iter(&doc, NULL, 0, &at);
        }
    }
    buf_put(out, bson_get_data(&doc), doc.len);
    bson_destroy(&doc);
}
