/*
 * Nodes of the entitlement graph and their names ("role:01..."): how BSON
 * spells them, how search documents do, and their order. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_NODE_H
#define TAILFIN_INDEXER_NODE_H

#include <bson/bson.h>

#include "base/must.h"
#include "base/span.h"

enum ing_node_kind { /* in the order in which kinds are sorted */
                     ING_NODE_USER,
                     ING_NODE_ROLE,
                     ING_NODE_BADGE,
                     ING_NODE_PAINT,
                     ING_NODE_EMOTE_SET,
                     ING_NODE_PRODUCT,
                     ING_NODE_SUBSCRIPTION_BENEFIT,
                     ING_NODE_SUBSCRIPTION,
                     ING_NODE_SPECIAL_EVENT,
                     ING_NODE_GLOBAL_DEFAULT,
                     ING_NODE_KIND_N
};

enum { ING_NODE_TEXT_MAX = 96 };

/*
 * Writes the name of a BSON kind document, whose keys may come in any order.
 * Returns the number of bytes; 0 if it is none: not a document, an unknown
 * kind, an id that is missing or no UUID. Not NUL-terminated. Cost: O(keys).
 */
size_t ing_node_write(const bson_iter_t *it, char text[ING_NODE_TEXT_MAX]);

/* "<user>:<product>" of a document with the UUIDs user_id and product_id; 0 if it is none. */
size_t ing_pair_write(const bson_iter_t *it, char text[ING_NODE_TEXT_MAX]);

/* The kind a name begins with; ING_NODE_KIND_N for a text that is no name. */
enum ing_node_kind ing_node_kind(struct span name);
/* The part behind "role:". */
struct span ing_node_id(struct span name);
/* Whether what hangs below it belongs to whoever holds it. */
bool ing_node_may_expand(enum ing_node_kind kind);
/* By kind, then by the bytes of the id. */
int ing_node_compare(struct span a, struct span b);

/*
 * The way back: appends the kind document of a name to *out, its keys in the order in which the
 * application writes them. False for a text that is no name; then *out may hold a part.
 */
MUST_USE bool ing_node_put(bson_t *out, const char *key, struct span name);
/* Appends {user_id, product_id} of "<user>:<product>"; false, and nothing, for another text. */
MUST_USE bool ing_pair_put(bson_t *out, const char *key, struct span text);

/* The 16 bytes of a UUID (binary subtype 4); NULL for anything else. Borrowed from the document. */
const unsigned char *ing_bson_uuid(const bson_iter_t *it);

#endif
