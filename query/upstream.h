/*
 * The nodes of a Typesense cluster: which of them answer, and whom to ask
 * next. A thread looks at their /health; whoever is let down by one says so.
 * Private to query/.
 */
#ifndef TAILFIN_QUERY_UPSTREAM_H
#define TAILFIN_QUERY_UPSTREAM_H

#include "http/client.h"

#include "query/query.h"

enum { QRY_NODES_MAX = 16 };

struct qry_upstream;

/* RC_INVALID for a malformed list of URLs. */
MUST_USE enum rc qry_upstream_new(const struct qry_options *options, struct qry_upstream **out,
                                  struct err *err);
void qry_upstream_free(struct qry_upstream *u); /* NULL allowed */

/*
 * The node to ask: one that is up and whose bit is not in `tried`, taking
 * turns by `turn`; if none is up, one that was not found down just now. -1:
 * nobody is left. Any thread; atomics only.
 */
int qry_upstream_pick(const struct qry_upstream *u, unsigned turn, uint32_t tried);
/* Whether another one is up besides those tried. */
bool qry_upstream_has_other(const struct qry_upstream *u, uint32_t tried);
/* It did not answer, or not as a node should: skipped until its /health is well. */
void qry_upstream_failed(struct qry_upstream *u, int node);
/* Its address with the scheme and no slash at the end; borrowed. */
const char *qry_upstream_url(const struct qry_upstream *u, int node);
/* Header lines that every request needs, the key among them; ends with NULL; borrowed. */
const char *const *qry_upstream_headers(const struct qry_upstream *u);
bool qry_upstream_is_up(const struct qry_upstream *u);
/* `,"upstream":{...}`: the nodes by host and port, and which are up. */
void qry_upstream_write_health(const struct qry_upstream *u, struct buf *out);

#endif
