/*
 * Reading a collection ahead: a thread with a client of its own takes the
 * documents from one cursor in _id order, so that the server makes its next
 * reply while the apply thread maps the last one, and two collections can be
 * read at a time. Private to indexer/.
 *
 * What is read ahead may be older than what the apply thread fetched in the
 * meantime for an event. So that the newest version still wins, a fetched key
 * is told to the scan, which leaves out documents of that key that the server
 * was asked for before.
 */
#ifndef TAILFIN_INDEXER_SCAN_H
#define TAILFIN_INDEXER_SCAN_H

#include <stdatomic.h>

#include "indexer/fetch.h"

struct ing_scan;

struct ing_scan_from {
    const mongoc_uri_t *uri; /* borrowed until the scan is closed */
    int32_t socket_ms;       /* how long a reply may take */
    const char *collection;  /* borrowed, as are the fields: a projection */
    const bson_t *fields;
    struct span after;       /* {"_id": x}, copied: begins with it if it is there; empty: all */
    uint32_t time_s, time_i; /* reads nothing older */
    size_t reply_docs;       /* of one reply of the server; at least 1 */
    const atomic_bool
        *is_hung; /* borrowed: the server does not answer, so do not take leave of it */
};

/* Starts the thread; a server that is away is told by ing_scan_take. */
MUST_USE struct ing_scan *ing_scan_open(const struct ing_scan_from *from);
/* Blocks for the request that runs, at most socket_ms. NULL allowed. */
void ing_scan_close(struct ing_scan *s);

struct ing_scan_share { /* what to take at a time: by parcels, so some more than the first limit
                           reached */
    size_t max_docs, max_bytes;
    uint64_t wait_us; /* for that much; then what is there */
};

struct ing_scan_taken {
    size_t n;    /* documents passed, also those left out */
    bool is_end; /* there are no more */
};

/*
 * Gives the next documents to each, borrowed for the call. An error of the reading thread is
 * returned when what it read before is used up: RC_UNREACHABLE, RC_HISTORY_LOST;
 * then nothing was given and the scan is to be closed.
 */
MUST_USE enum rc ing_scan_take(struct ing_scan *s, const struct ing_scan_share *share,
                               void (*each)(void *arg, const bson_t *doc), void *arg,
                               struct ing_scan_taken *out, struct err *err);

/* Documents of these keys ({"": _id, ...}) were fetched just now. The taking thread. */
void ing_scan_touch(struct ing_scan *s, const struct span *keys, size_t n);

/* The operation time of the last reply; once is_end was told. */
void ing_scan_time(const struct ing_scan *s, uint32_t *time_s, uint32_t *time_i);

#endif
