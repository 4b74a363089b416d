/*
 * A connection to MongoDB as the pipeline uses it: one client for one thread,
 * with our time limits, a causally consistent session, and errors sorted into
 * what to do about them. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_SOURCE_H
#define TAILFIN_INDEXER_SOURCE_H

#include <mongoc/mongoc.h>

#include "base/err.h"
#include "base/span.h"

/*
 * Parses a connection string and adds the time limits it does not set itself
 * (server selection and connecting 2 s), so that stopping is quick. RC_INVALID
 * for a text that is no URI or names no database.
 */
MUST_USE enum rc ing_uri_parse(const char *text, mongoc_uri_t **out, struct err *err);

struct ing_client {
    const mongoc_uri_t *uri; /* borrowed */
    int32_t socket_ms;       /* how long a reply may take */
    mongoc_client_t *client;
    mongoc_client_session_t *session; /* NULL until ing_client_session */
    const char *database;             /* borrowed from the URI */
};

/* c is all-zero, or was opened with this URI before. */
MUST_USE enum rc ing_client_open(struct ing_client *c, const mongoc_uri_t *uri, struct err *err);
/*
 * After an error: the next use connects anew and, unless the URI sets a
 * limit, waits twice as long for a reply, up to a minute. The first limit is
 * short (1.5 s), so that a server that hangs does not keep us from stopping;
 * one that is only slow, opening a stream far back in its oplog, gets its
 * time. The client stays open. RC_INVALID never after a first open.
 */
MUST_USE enum rc ing_client_renew(struct ing_client *c, struct err *err);
void ing_client_close(struct ing_client *c); /* all-zero allowed */

/*
 * The session, made if there is none; later reads in it are never older than
 * the given cluster time (0, 0: no demand). RC_UNREACHABLE. May block for the
 * server selection time.
 */
MUST_USE enum rc ing_client_session(struct ing_client *c, uint32_t time_s, uint32_t time_i,
                                    struct err *err);
/* After an error: sessions may be broken by it, the next use makes a new one. */
void ing_client_drop_session(struct ing_client *c);
/* The server's newest cluster time, by a ping. */
MUST_USE enum rc ing_client_now(struct ing_client *c, uint32_t *time_s, uint32_t *time_i,
                                struct err *err);

/*
 * Turns a driver's error into ours: RC_HISTORY_LOST if a change stream cannot
 * go on from its position (codes 286, 280, 136, 222, 260, the older ones of
 * MongoDB 4.0, and 10334: an event too large to be sent), else RC_UNREACHABLE.
 */
enum rc ing_source_error(const bson_error_t *error, const char *doing, struct err *err);

/*
 * The wait before try number n (from 0): 100 ms doubling to 10 s, with up to
 * half of it random, so that many sidecars do not return in step.
 */
uint64_t ing_backoff_us(unsigned n);

#endif
