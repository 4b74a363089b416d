/*
 * group_by: which group a document belongs to, and the groups of an answer.
 * Private to query/; one thread at a time.
 */
#ifndef TAILFIN_QUERY_GROUP_H
#define TAILFIN_QUERY_GROUP_H

#include "query/sort_keys.h"

struct qry_groups;

struct qry_groups *qry_groups_new(const struct qry_plan *plan, struct arena *arena);
void qry_groups_fini(struct qry_groups *g); /* NULL allowed */

/* The group's number, from 0; counts the document in. */
uint32_t qry_groups_add(struct qry_groups *g, uint32_t view, uint32_t doc);
/* The same without counting the document: its group may be new and empty. */
uint32_t qry_groups_number(struct qry_groups *g, uint32_t view, uint32_t doc);
/* Number of groups, and of documents in one. */
uint32_t qry_groups_n(const struct qry_groups *g);
uint64_t qry_groups_n_docs(const struct qry_groups *g, uint32_t group);

/*
 * Puts the sorted hits in the order of their groups (a group stands where its
 * best hit stood) and keeps at most limit of each. firsts gets the index of
 * each group's first hit and one more at the end. Returns the number of groups.
 */
size_t qry_groups_arrange(const struct qry_groups *g, struct qry_hit *hits, size_t *n_hits,
                          uint32_t limit, struct arena *arena, size_t **firsts);

/* Appends the group's key as a JSON array. */
void qry_groups_write_key(const struct qry_groups *g, const struct qry_hit *hit, struct buf *out);

#endif
