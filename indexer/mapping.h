/*
 * From a MongoDB document to a search document: what a profile's "source" and
 * "from" entries say, compiled once. Pure but for the relations it is given.
 * Private to indexer/; with relations.h the only files that know BSON besides
 * the source files.
 */
#ifndef TAILFIN_INDEXER_MAPPING_H
#define TAILFIN_INDEXER_MAPPING_H

#include <bson/bson.h>

#include "base/arena.h"
#include "index/writer.h"
#include "tokenizer/tokenizer.h"

#include "indexer/relations.h"

struct ing_mapping;

/* Compiles a profile's collection, borrowed for the mapping's life. RC_INVALID naming the field. */
MUST_USE enum rc ing_mapping_new(const struct sch_collection *c, struct ing_mapping **out,
                                 struct err *err);
void ing_mapping_free(struct ing_mapping *m); /* NULL allowed */

const struct sch_collection *ing_mapping_schema(const struct ing_mapping *m);
const struct tkz_analyzer *ing_mapping_analyzer(const struct ing_mapping *m);
/* The MongoDB collection it reads. NUL-terminated, borrowed. */
const char *ing_mapping_source(const struct ing_mapping *m);
/* What finds and scans should project: inclusion of the paths that are read. Borrowed. */
const bson_t *ing_mapping_projection(const struct ing_mapping *m);
/* Whether its documents are derived from others (users): their relations must be visible first. */
bool ing_mapping_is_derived(const struct ing_mapping *m);
/*
 * Whether ing_mapping_run reads the edges: derived collections, and those that
 * list what a node grants (products, roles, ...). The snapshot that relations
 * is bound to must show every edge of the batch; edges that come later touch
 * the document again.
 */
bool ing_mapping_has_relations(const struct ing_mapping *m);
/*
 * Changes whenever the same documents would be mapped to others: the schema,
 * the "from" entries and the rules of this room. Keep it beside an index and
 * rebuild when it differs (sch_fingerprint knows nothing of the mapping).
 */
uint64_t ing_mapping_fingerprint(const struct ing_mapping *m);

/*
 * The search id of a BSON _id: ULID text for UUIDs, "a:b" for composites, the
 * string itself, decimal for integers; types are kept apart, so that two
 * different _ids never give the same text. RC_INVALID for one that the profile
 * cannot name. Result in the arena.
 */
MUST_USE enum rc ing_mapping_id(const struct ing_mapping *m, const bson_iter_t *id,
                                struct arena *arena, struct span *out, struct err *err);

/*
 * The other way: appends the BSON _id of a search id to *out under the name
 * "_id" (a UUID for a ULID text, a composite in the profile's field order, an
 * edge as the application writes it, an integer or string as the profile
 * says). False if the text cannot be one. Of a document, other fields or
 * another order than that make another _id with the same text.
 */
MUST_USE bool ing_mapping_bson_id(const struct ing_mapping *m, struct span id, bson_t *out);

/*
 * The kind of entitlement node whose outgoing edges show in the documents:
 * "role" for roles, so that an edge from "role:<id>" changes role <id>; empty
 * if the collection shows none. *by_field: -1 if the node is
 * "<kind>:<document id>", else the number of the exact string field that holds
 * the ids behind the colon ("benefits" of subscription_products).
 */
struct span ing_mapping_grants(const struct ing_mapping *m, int32_t *by_field);

struct ing_mapped {
    struct idx_doc doc;
    uint64_t updated_at_ms;     /* of the MongoDB document; 0 if it has none */
    bool has_search_updated_at; /* non-null there */
    uint64_t search_updated_at_ms;
    bool emotes_changed; /* emotes_changed_since_reindex is true */
    uint32_t n_bad;      /* values that are missing though required, or of a wrong type */
    struct span bad;     /* the first of them, for the log: "field: reason" */
    struct ing_user_derived *derived; /* of users, for write-back; else NULL */
};

struct ing_mapping_env {             /* what a document is mapped with */
    struct ing_relations *relations; /* bound to a snapshot that shows everything the documents may
                                        refer to; NULL: nothing is granted to anyone */
    uint64_t now_ms;
    struct arena *arena;  /* for the result */
    bool may_elide;       /* the text may have gaps, for the index to fill */
    bool wants_json_only; /* the result's values stay NULL: it is compared, not put */
};

/*
 * Maps a document. Lenient: a missing, null or wrongly typed field becomes the
 * field's empty value (required strings "", numbers 0, bools false) and is
 * counted in n_bad; numbers of any BSON type are accepted where a number is
 * wanted; invalid UTF-8 is repaired with U+FFFD. RC_INVALID without a usable
 * _id, the only failure. Everything in *out lives in the arena; nothing is
 * borrowed from doc. Cost: about 2 us for an emote (bench_mapping).
 */
MUST_USE enum rc ing_mapping_run(const struct ing_mapping *m, const bson_t *doc,
                                 const struct ing_mapping_env *env, struct ing_mapped *out,
                                 struct err *err);

/*
 * The now_ms that a stored document was mapped with; 0 if it does not show it.
 * Mapped with it again, an unchanged document gives the same text. O(json).
 */
uint64_t ing_mapping_now(const struct ing_mapping *m, struct span json);
/* Whether two stored texts (not NULL) say the same but for when they were mapped. O(json). */
bool ing_mapping_is_same(const struct ing_mapping *m, struct span a, struct span b);

#endif
