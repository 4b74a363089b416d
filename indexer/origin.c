/*
 * Whether MongoDB's collections are still those that the index was made from.
 * A collection keeps its UUID until it is dropped; a stream's position may
 * well be accepted by a server that never had these documents (a directory
 * opened against another cluster), and 4.0 does.
 */
#include "indexer/origin.h"

#include <string.h>

enum { UNAUTHORIZED = 13 };

struct found { /* by feed */
    struct ing_origin origins[ING_FEEDS_MAX];
};

static void
take_info(struct ing_mongo *m, const bson_t *info, struct found *out)
{
    bson_iter_t name, top, uuid;
    bson_subtype_t subtype;
    uint32_t n = 0;
    const uint8_t *p = NULL;
    if (!bson_iter_init_find(&name, info, "name") || !BSON_ITER_HOLDS_UTF8(&name) ||
        !bson_iter_init(&top, info) || !bson_iter_find_descendant(&top, "info.uuid", &uuid) ||
        !BSON_ITER_HOLDS_BINARY(&uuid))
        return;
    bson_iter_binary(&uuid, &subtype, &n, &p);
    for (unsigned i = 0; i < m->n_feeds && n == ING_ORIGIN_N; i++) {
        if (strcmp(bson_iter_utf8(&name, NULL), m->feeds[i].source) != 0)
            continue;
        out->origins[i].is_known = true;
        memcpy(out->origins[i].uuid, p, n);
    }
}

static enum rc
look(struct ing_mongo *m, struct ing_client *c, struct found *out, struct err *err)
{
    bson_error_t error;
    const bson_t *info;
    mongoc_database_t *database = mongoc_client_get_database(c->client, c->database);
    mongoc_cursor_t *cursor = mongoc_database_find_collections_with_opts(database, NULL);
    while (mongoc_cursor_next(cursor, &info))
        take_info(m, info, out);
    enum rc rc = RC_OK;
    /* Who may not ask goes on without: events tell of drops, too. */
    if (mongoc_cursor_error(cursor, &error) &&
        !(error.domain == MONGOC_ERROR_SERVER && error.code == UNAUTHORIZED))
        rc = ing_source_error(&error, "listing the collections", err);
    mongoc_cursor_destroy(cursor);
    mongoc_database_destroy(database);
    return rc;
}

static bool
is_same(const struct ing_origin *a, const struct ing_origin *b)
{
    return b->is_known && memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
}

enum rc
ing_origin_check(struct ing_mongo *m, struct ing_client *c, struct ing_origin_news *out,
                 struct err *err)
{
    struct found found = {0};
    unsigned n_same = 0;
    uint64_t other = 0, unknown = 0;
    enum rc rc = look(m, c, &found, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct ing_origin *held = &m->feeds[i].origin;
        if (!held->is_known)
            unknown |= 1ull << i;
        else if (is_same(held, &found.origins[i]))
            n_same++;
        else
            other |= 1ull << i;
    }
    for (unsigned i = 0; i < m->n_feeds && !other; i++)
        m->feeds[i].origin = found.origins[i];
    pthread_mutex_unlock(&m->lock);
    *out = (struct ing_origin_news){.rebuild = other ? other | unknown : 0,
                                    .is_another = other && n_same == 0};
    return RC_OK;
}

void
ing_origin_forget(struct ing_mongo *m, struct ing_feed *f)
{
    pthread_mutex_lock(&m->lock);
    f->origin.is_known = false;
    pthread_mutex_unlock(&m->lock);
}

uint64_t
ing_origin_known(struct ing_mongo *m)
{
    uint64_t known = 0;
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++)
        known |= (uint64_t)m->feeds[i].origin.is_known << i;
    pthread_mutex_unlock(&m->lock);
    return known;
}
