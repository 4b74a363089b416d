/*
 * Reading documents from MongoDB: by key, or the next ones in _id order.
 * Majority-committed, in a causally consistent session. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_FETCH_H
#define TAILFIN_INDEXER_FETCH_H

#include "indexer/source.h"

struct ing_fetch {
    struct ing_client *client;
    const char *collection;
    const bson_t *fields; /* projection */
    /* Gets each document, borrowed for the call. */
    void (*each)(void *arg, const bson_t *doc);
    void *arg;
};

/*
 * Those of the keys that exist, in no order. A key is the bytes of {"": _id},
 * or, of a sharded collection, of {"": _id, ...} with the rest of the document's
 * key, which tells the server's router where to look. RC_UNREACHABLE, perhaps
 * after some of them were given to each.
 */
MUST_USE enum rc ing_fetch_keys(const struct ing_fetch *f, const struct span *ids, size_t n,
                                struct err *err);

/* Whether the key says more than the _id. */
bool ing_fetch_is_routed(struct span id);

/*
 * Up to max_docs documents behind the one whose {"_id": x} bytes are after
 * (empty: from the first), in _id order over all types; the one of after may
 * be among them. *n: how many were given.
 */
MUST_USE enum rc ing_fetch_slice(const struct ing_fetch *f, struct span after, size_t max_docs,
                                 size_t *n, struct err *err);

/*
 * A cursor over all documents behind `after`, as of ing_fetch_slice, in replies of reply_docs; each
 * and arg are not used. The caller's to destroy, before the client. RC_UNREACHABLE.
 */
MUST_USE enum rc ing_fetch_cursor(const struct ing_fetch *f, struct span after, size_t reply_docs,
                                  mongoc_cursor_t **out, struct err *err);

/* Up to max_docs documents that match the filter, in no order. */
MUST_USE enum rc ing_fetch_where(const struct ing_fetch *f, const bson_t *filter, size_t max_docs,
                                 struct err *err);

/* A rough number of documents; 0 if unknown. */
uint64_t ing_fetch_estimate(struct ing_client *c, const char *collection);

#endif
