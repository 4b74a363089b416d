/*
 * A document as the API takes it: a JSON object checked against the schema,
 * coerced as dirty_values asks, and turned into what the index stores.
 * Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_RECORD_H
#define TAILFIN_INDEXER_RECORD_H

#include "base/json.h"
#include "index/writer.h"
#include "tokenizer/tokenizer.h"

enum ing_dirty { /* what to do with values of a wrong type */
                 ING_DIRTY_REJECT,
                 ING_DIRTY_COERCE_OR_REJECT,
                 ING_DIRTY_COERCE_OR_DROP,
                 ING_DIRTY_DROP,
                 ING_DIRTY_N
};

/* False for a name that is none. */
bool ing_dirty_parse(struct span name, enum ing_dirty *out);

struct ing_record_rules { /* what a document is checked against; borrowed */
    const struct sch_collection *schema;
    const struct tkz_analyzer *analyzer;
    enum ing_dirty dirty;
};

/*
 * The members of patch laid over those of base: patch wins, its null members
 * are removed. base may be NULL. The result shares the inputs' memory; its
 * member list is in the arena.
 */
void ing_record_merge(const struct json *base, const struct json *patch, struct arena *arena,
                      struct json *out);

/*
 * The id that the object gives: RC_OK; > 0 if it gives none; RC_INVALID if it
 * is no string, empty or longer than IDX_ID_MAX.
 */
MUST_USE enum rc ing_record_id(const struct json *object, struct span *id, struct err *err);

/* Puts an id that the server made into the object. */
void ing_record_set_id(struct json *object, struct span id, struct arena *arena);

struct ing_record {
    struct idx_doc doc; /* its json: the stored text, keys in byte order */
    struct span logged; /* the same with what `"store": false` keeps out: what a replay needs */
};

/*
 * Checks object's members against the schema (required ones present, types
 * right; coerced or dropped in place as asked) and fills *out. doc.seq is the
 * caller's. Everything lives in the arena; texts borrow from object, which
 * must live as long. RC_INVALID with a sentence for the client.
 * Cost: linear in the document; tokenises.
 */
MUST_USE enum rc ing_record_build(const struct ing_record_rules *rules, struct json *object,
                                  struct arena *arena, struct ing_record *out, struct err *err);

#endif
