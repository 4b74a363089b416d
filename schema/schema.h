/*
 * What a collection is: fields, types and options, as a Typesense-style JSON
 * schema gives them, and optionally where its documents come from (a
 * profile's mapping). Immutable once made; any thread may read.
 */
#ifndef TAILFIN_SCHEMA_SCHEMA_H
#define TAILFIN_SCHEMA_SCHEMA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum sch_type { SCH_STRING, SCH_INT32, SCH_INT64, SCH_FLOAT, SCH_BOOL, SCH_TYPE_N };

enum sch_flag {
    SCH_ARRAY = 1u << 0,    /* "type": "string[]" and so on */
    SCH_OPTIONAL = 1u << 1, /* may be missing */
    SCH_INDEXED = 1u << 2,  /* "index": false leaves it unsearchable and unfiltered */
    SCH_FACET = 1u << 3,    /* exact values are kept for facets and groups */
    SCH_SORT = 1u << 4,     /* default true for numbers and bools that are no arrays */
    SCH_INFIX = 1u << 5,
    SCH_STORED = 1u << 6, /* "store": false: not in the stored document */
    SCH_STEM = 1u << 7,   /* accepted and shown, no effect */
    SCH_EXACT = 1u << 8,  /* "index": "exact": whole values only, no tokens; not in query_by */
    SCH_ORDER = 1u << 9,  /* "order": true: a sorted permutation is kept (early termination) */
};

struct sch_field {
    struct span name;
    enum sch_type type;
    unsigned flags;            /* of enum sch_flag */
    struct span locale;        /* as given; only "" and "en" change nothing */
    const struct json *source; /* the profile's "from" object or string; NULL outside profiles */
};

enum sch_tie {              /* what decides between equal sort keys, larger first */
               SCH_TIE_SEQ, /* order of first insertion: collections written over the API */
               SCH_TIE_ID,  /* the document id's bytes: collections fed by MongoDB */
};

struct sch_collection {
    struct span name;
    struct sch_field *fields; /* n_fields; "id" is not among them */
    uint32_t n_fields;
    int32_t default_sort;   /* field number, -1: none */
    struct span separators; /* token_separators, one byte each, concatenated */
    struct span symbols;    /* symbols_to_index, the same */
    bool has_nested;        /* enable_nested_fields */
    enum sch_tie tie;
    uint64_t created_at_s;     /* Unix seconds */
    struct span metadata;      /* JSON text or empty */
    bool is_internal;          /* metadata says {"internal": true}: not for the API's eyes */
    const struct json *source; /* the profile's "source" object; NULL outside profiles */
};

enum { SCH_FIELDS_MAX = 1024, SCH_NAME_MAX = 256 };

/*
 * Reads a collection from JSON. Everything in *out lives in the arena (text is
 * copied as needed, json too must live as long). RC_INVALID with a sentence
 * for the client.
 */
MUST_USE enum rc sch_parse(const struct json *json, struct arena *arena, struct sch_collection *out,
                           struct err *err);

/*
 * Reads one entry of "fields". RC_INVALID with a sentence.
 */
MUST_USE enum rc sch_parse_field(const struct json *json, struct arena *arena,
                                 struct sch_field *out, struct err *err);

/* Deep copy into the arena (metadata and names; `source` pointers are kept as they are). */
void sch_copy(const struct sch_collection *c, struct arena *arena, struct sch_collection *out);

/* Number of the field; -1 if there is none of that name. O(n_fields). */
int32_t sch_field_find(const struct sch_collection *c, struct span name);

/* "string", "int32[]", ... ; static. */
const char *sch_type_name(enum sch_type type, bool is_array);

/*
 * Appends the summary of the API (search-style: keys in alphabetical order),
 * with num_documents; reading it back with sch_parse gives an equal collection
 * (tie, exact and order included: written only where they differ from the
 * defaults). With without_fields the key "fields" is left out.
 */
void sch_write(const struct sch_collection *c, uint64_t n_documents, bool without_fields,
               struct buf *out);
/* One field as in "fields". */
void sch_write_field(const struct sch_field *f, struct buf *out);

/* Changes whenever an index built for c would have other contents: fields, types, flags that matter
 * to storage, separators, symbols. */
uint64_t sch_fingerprint(const struct sch_collection *c);

#endif
