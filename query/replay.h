/*
 * A search that was answered, to be asked again on the other side: what was
 * asked, what the answer was, how long it took. Private to query/.
 */
#ifndef TAILFIN_QUERY_REPLAY_H
#define TAILFIN_QUERY_REPLAY_H

#include "query/outgoing.h"
#include "query/upstream.h"

struct qry_replay {
    struct qry_outgoing asked;
    struct buf answer;
    uint64_t took_us;
};

/* NULL if it cannot be asked of Typesense (qry_outgoing_search). */
struct qry_replay *qry_replay_of_gathered(const struct qry_gathered *g, struct arena *arena,
                                          struct span answer, uint64_t took_us);
MUST_USE struct qry_replay *qry_replay_of_outgoing(const struct qry_outgoing *asked,
                                                   struct span answer, uint64_t took_us);
void qry_replay_free(struct qry_replay *r); /* NULL allowed */

/*
 * Asks a node (the turn-th), or the index by ctx, and appends the answer. Of
 * Typesense a 4xx is one, but not that it refuses us or fails. Blocks.
 */
MUST_USE enum rc qry_replay_upstream(const struct qry_replay *r, struct qry_upstream *u,
                                     struct http_client *client, uint64_t timeout_us, unsigned turn,
                                     struct buf *answer);
MUST_USE enum rc qry_replay_builtin(const struct qry_replay *r, struct qry_ctx *ctx,
                                    struct buf *answer, struct err *err);

#endif
