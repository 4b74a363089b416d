/*
 * Change events: what the server is asked to send, and what is read from one.
 * An event is only a hint that a document may have changed. Private to
 * indexer/.
 */
#ifndef TAILFIN_INDEXER_EVENT_H
#define TAILFIN_INDEXER_EVENT_H

#include <bson/bson.h>

#include "base/buf.h"

#include "indexer/dirty.h"

enum ing_event_kind {
    ING_EVENT_DOCUMENT,   /* inserted, updated, replaced or deleted: fetch it */
    ING_EVENT_COLLECTION, /* dropped or renamed: rebuild both collections named */
    ING_EVENT_DATABASE,   /* dropped: rebuild everything */
    ING_EVENT_INVALIDATE, /* the stream is over */
    ING_EVENT_OTHER
};

struct ing_change {
    enum ing_event_kind kind;
    enum ing_op op;
    struct span collection; /* MongoDB's name; borrowed from the event; empty if it has none */
    struct span other;      /* of a rename: the new name */
    bson_iter_t id;         /* of a document */
    struct span route;      /* its whole key (BSON), if a sharded collection's has more than _id */
    uint32_t time_s, time_i;
};

/*
 * Appends the stages of the stream's pipeline, an array for "pipeline":
 * drops what a write-back changed alone, keeps ids and kinds. MongoDB 4.0
 * stages only.
 */
void ing_event_pipeline(bson_t *out);
/* Reads one; whatever is missing is empty. doc is borrowed. */
void ing_event_read(const bson_t *doc, struct ing_change *out);
/* Appends a dirty key: the feed's number and the bytes of {"": id}. */
void ing_event_key(unsigned feed, const bson_iter_t *id, struct buf *out);
/* Appends {"": id} with what else is in the route: what a fetch asks a sharded collection for. */
void ing_event_routed(struct span id, struct span route, struct buf *out);

#endif
