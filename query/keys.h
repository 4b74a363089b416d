/*
 * Who may do what: the admin key, the search key, keys stored in the index
 * (entries of kind "key") and scoped keys made from them. search-semantics
 * 15.4. Private to query/; one thread at a time. Keys are compared in constant
 * time and never logged.
 */
#ifndef TAILFIN_QUERY_KEYS_H
#define TAILFIN_QUERY_KEYS_H

#include "query/params.h"
#include "query/query.h"

struct qry_keyring;

MUST_USE struct qry_keyring *qry_keyring_new(const struct qry_options *options);
void qry_keyring_free(struct qry_keyring *r); /* NULL allowed */
/* Reads the stored keys anew if they changed. */
void qry_keyring_refresh(struct qry_keyring *r, const struct idx_snapshot *snapshot);

/* The request's key: header or URL parameter; empty if it has none. */
struct span qry_key_of(const struct http_exchange *x);
bool qry_keyring_is_admin(const struct qry_keyring *r, struct span key);
/* collection "" or "*": the action is about all of them. Scoped keys may do nothing here. */
bool qry_keyring_allows(const struct qry_keyring *r, struct span key, const char *action,
                        struct span collection);
/*
 * Whether the key may search the collection. A scoped key's parameters are
 * added to *embedded (which borrows from the arena).
 */
bool qry_keyring_allows_search(const struct qry_keyring *r, struct span key,
                               struct span collection, struct arena *arena,
                               struct qry_params *embedded);

#endif
