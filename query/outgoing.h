/*
 * A request as Typesense is asked it: what our client asked, without what
 * concerns only us (keys, match), and with what a scoped key demands already
 * merged in. Holds no key. Private to query/.
 */
#ifndef TAILFIN_QUERY_OUTGOING_H
#define TAILFIN_QUERY_OUTGOING_H

#include "query/gather.h"

struct qry_outgoing {
    bool is_post;
    struct buf target; /* path and query string */
    struct buf body;   /* of a multi_search */
    uint32_t n_searches;
};

void qry_outgoing_fini(struct qry_outgoing *o);

/*
 * RC_INVALID with a sentence if the request cannot be passed on safely: see
 * qry_filters_join, and references to other collections without the admin key.
 */
MUST_USE enum rc qry_outgoing_search(const struct qry_gathered *g, struct arena *arena,
                                     struct qry_outgoing *out, struct err *err);
/* Any other reading route. RC_ABSENT if the path could mean another one elsewhere ("..", "."). */
MUST_USE enum rc qry_outgoing_read(const struct http_request *r, struct qry_outgoing *out,
                                   struct err *err);

/*
 * All filters of p as one expression ("": none). Where there are several, each
 * has to be of a plain form whose end no reader can take for another, so that
 * none reaches into the next; RC_INVALID with a sentence if one is not.
 */
MUST_USE enum rc qry_filters_join(const struct qry_params *p, struct arena *arena, struct span *out,
                                  struct err *err);

#endif
