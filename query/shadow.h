/*
 * Shadow mode: a share of the searches that were answered by one side is asked
 * again of the other, and the answers are compared. A bounded queue and one
 * thread that steps back: what does not fit is dropped, and nothing of it
 * touches the answers served. Private to query/.
 */
#ifndef TAILFIN_QUERY_SHADOW_H
#define TAILFIN_QUERY_SHADOW_H

#include "query/replay.h"

struct qry_shadow;

/* options and upstream are borrowed. */
MUST_USE enum rc qry_shadow_new(const struct qry_options *options, struct qry_upstream *upstream,
                                struct qry_shadow **out, struct err *err);
void qry_shadow_free(struct qry_shadow *s); /* NULL allowed */

/*
 * Whether the search at hand is one of the share, and its answer not too large
 * to be kept; s NULL: no. Any thread.
 */
bool qry_shadow_samples(struct qry_shadow *s, struct span answer);
/* Takes a replay (NULL: nothing), after its answer was sent. Any thread; never waits. */
void qry_shadow_give(struct qry_shadow *s, struct qry_replay *take);

#endif
