/*
 * What the mapping's files share: the compiled form of a profile's entries and
 * the state of one run. Private to indexer/mapping*.c and indexer/derive*.c.
 */
#ifndef TAILFIN_INDEXER_MAPPING_PARTS_H
#define TAILFIN_INDEXER_MAPPING_PARTS_H

#include "indexer/mapping.h"
#include "indexer/node.h"

enum {
    ING_DEPTH_MAX = 8,    /* names of a path */
    ING_SLOTS_MAX = 64,   /* distinct paths of a profile's collection */
    ING_TAILS_MAX = 4,    /* paths of one field */
    ING_DERIVE_PATHS = 8, /* paths of one derivation */
    ING_WANTED_MAX = 256  /* paths to be fetched */
};

struct ing_place { /* gives bson_iter_t a size that its alignment divides */
    bson_iter_t it;
};

/* ---- paths (mapping_paths.c) ---- */

struct ing_path_node { /* of the tree of wanted names; the root is number 0 */
    struct span name;
    int32_t slot;         /* where the value is kept; -1: only on the way */
    uint32_t child, next; /* 0: none */
};

struct ing_paths {
    struct ing_path_node nodes[ING_SLOTS_MAX * 2];
    uint32_t n_nodes;
    uint32_t n_slots;
    struct span wanted[ING_WANTED_MAX]; /* what to fetch, dotted, without "[]" */
    uint32_t n_wanted;
};

/* The slot of a dotted path, made if need be. RC_INVALID if it is too deep or there are too many.
 */
MUST_USE enum rc ing_paths_add(struct ing_paths *p, struct span path, struct arena *arena,
                               int32_t *slot, struct err *err);
/* Notes a path to be fetched; head and tail are joined by a dot unless tail is empty. */
MUST_USE enum rc ing_paths_want(struct ing_paths *p, struct span head, struct span tail,
                                struct arena *arena, struct err *err);
/* The projection that fetches what is wanted: no path that another one covers. bson_destroy frees
 * it. */
bson_t *ing_paths_projection(const struct ing_paths *p);
/*
 * Fills slots (n_slots of them) with iterators at the values of the document
 * that have one; is_set says which. One pass over the document.
 */
void ing_paths_walk(const struct ing_paths *p, const bson_t *doc, struct ing_place *slots,
                    bool *is_set);

/* ---- one field's rule ---- */

enum ing_as {
    ING_AS_COPY,
    ING_AS_TEXT,
    ING_AS_ULID,
    ING_AS_UUID,
    ING_AS_MS,
    ING_AS_NODE,
    ING_AS_KEYS,
    ING_AS_ENUM,
    ING_AS_GRANTS,
    /* The rest have one value whatever they find. */
    ING_AS_ID_MS,
    ING_AS_NOW,
    ING_AS_BIT,
    ING_AS_PRESENT,
    ING_AS_IS_DOCUMENT,
    ING_AS_NONEMPTY,
    ING_AS_COUNT,
    ING_AS_DERIVE,
    ING_AS_N
};

struct ing_condition { /* "where" and "when" */
    bool is_used, is_number;
    struct span text;
    int64_t number;
};

struct ing_tail {     /* what follows "[]" in a path */
    struct span head; /* first name; empty: the element itself */
    const char *rest; /* dotted names below it; NULL: none */
};

struct ing_run;
struct ing_rule;
struct ing_values;

struct ing_derivation {
    const char *name;
    enum sch_type type;
    bool is_array;
    bool has_relations;
    void (*run)(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out);
    const char *paths[ING_DERIVE_PATHS]; /* the rule's slots, in this order */
};

struct ing_rule {
    const struct sch_field *field;
    enum ing_as as;
    bool is_required;  /* a missing value is worth telling */
    bool is_set;       /* sorted, distinct */
    bool has_elements; /* the path goes into an array */
    bool may_pack;     /* ULIDs may be left as 16 bytes: an array that is exact */
    int32_t slot;      /* -1: none */
    uint32_t n_tails;
    struct ing_tail tails[ING_TAILS_MAX];
    struct ing_condition where;
    struct span where_name;
    struct ing_condition when;
    int32_t when_slot;
    unsigned bit;
    const struct json *values; /* of an enum: strings */
    struct span node;          /* of grants: "role" */
    const struct ing_derivation *derivation;
    int32_t slots[ING_DERIVE_PATHS];
    struct span json_name; /* `"name":` */
};

/* Reads a field's "from" (mapping_compile.c). */
MUST_USE enum rc ing_rule_compile(const struct sch_field *field, struct ing_paths *paths,
                                  struct arena *arena, struct ing_rule *out, struct err *err);
/* NULL if there is none of that name. */
const struct ing_derivation *ing_derivation_find(struct span name);

/* ---- ids (mapping_id.c) ---- */

enum ing_id_kind {
    ING_ID_ANY,
    ING_ID_ULID,
    ING_ID_TEXT,
    ING_ID_INT,
    ING_ID_OBJECTID,
    ING_ID_UUID,
    ING_ID_PARTS,
    ING_ID_EDGE
};
enum { ING_ID_PARTS_MAX = 4 };

struct ing_id_rule {
    enum ing_id_kind kind;
    uint32_t n_parts;
    const char *parts[ING_ID_PARTS_MAX]; /* names inside _id, each a UUID */
};

MUST_USE enum rc ing_id_compile(const struct json *source, struct arena *arena,
                                struct ing_id_rule *out, struct err *err);
MUST_USE enum rc ing_id_write(const struct ing_id_rule *rule, const bson_iter_t *id,
                              struct arena *arena, struct span *out, struct err *err);

/* ---- the whole ---- */

struct ing_mapping {
    const struct sch_collection *schema;
    struct arena arena;
    struct tkz_analyzer analyzer;
    const char *source;
    struct ing_id_rule id;
    struct ing_paths paths;
    struct ing_rule *rules; /* one per field, in the schema's order */
    int32_t *order;         /* fields by name, -1 standing for the id: n_fields + 1 */
    int32_t id_slot, updated_slot, search_updated_slot, emotes_changed_slot;
    bson_t *projection;
    bool is_derived, has_relations;
    uint64_t fingerprint;
};

/* What a field was found to be. Elements are borrowed from document and arena. */
struct ing_values {
    uint32_t n;
    bool is_ulids; /* where the rule may pack */
    size_t cap;
    union {
        struct span *text;
        unsigned char *ulids; /* ULID_BYTES_N each */
        int64_t *number;
        double *real;
    };
    union { /* room for the one value of a plain field */
        struct span one_text;
        int64_t one_number;
        double one_real;
    };
};

struct ing_event; /* derive_event.c */

struct ing_run {
    const struct ing_mapping *m;
    struct arena *arena;
    struct ing_relations *relations; /* may be NULL */
    uint64_t now_ms;
    struct span id;
    struct ing_place *slots;
    const bool *is_set;
    struct ing_values *values;     /* one per field */
    struct ing_user_derived *user; /* made when first asked for */
    struct ing_event *event;       /* the same */
    struct ing_mapped *out;
    bool may_elide;       /* packed arrays are left out of the text, */
    struct idx_gap *gaps; /* here */
    uint32_t n_gaps;
};

/* Counts a field whose value is not what it should be; the first one is kept with its reason. */
void ing_run_bad(struct ing_run *run, const struct ing_rule *rule, const char *reason);
/* The slot's iterator; NULL if the document lacks it or it is null. */
bson_iter_t *ing_run_slot(struct ing_run *run, int32_t slot);

/* Appends one element. Of one value's elements all are ULIDs or none. */
void ing_values_ulid(struct ing_run *run, struct ing_values *v, const unsigned char *id);
void ing_values_text(struct ing_run *run, struct ing_values *v, struct span text);
void ing_values_number(struct ing_run *run, struct ing_values *v, int64_t number);
void ing_values_real(struct ing_run *run, struct ing_values *v, double real);
/* Sorted by bytes, distinct. */
void ing_values_sort(struct ing_values *v);

/* Applies a rule (mapping_values.c). */
void ing_rule_run(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out);
/* ---- BSON values (mapping_bson.c) ---- */

/* Whether the value at it is what the condition names. */
bool ing_condition_holds(const struct ing_condition *c, const bson_iter_t *it);
/* A string as it is, perhaps broken; p is NULL if it is none. Borrowed from the document. */
struct span ing_bson_raw(const bson_iter_t *it);
/* A copy in which each byte that starts no valid sequence is U+FFFD. */
struct span ing_text_repair(struct span text, struct arena *arena);
/* A string, repaired if need be; borrowed from the document otherwise. Empty if it is none. */
struct span ing_bson_text(const bson_iter_t *it, struct arena *arena);
/* A UUID as ULID text, or in the form with dashes, in the arena; empty if it is none. */
struct span ing_bson_ulid(const bson_iter_t *it, struct arena *arena);
struct span ing_bson_dashed(const bson_iter_t *it, struct arena *arena);
/* Any BSON number; false for other types. */
bool ing_bson_real(const bson_iter_t *it, double *out);
/* Any BSON number, without its fraction (*is_exact false then, and beyond 64 bits); false for
 * others. */
bool ing_bson_int(const bson_iter_t *it, int64_t *out, bool *is_exact);

/* The search document's text (mapping_json.c); what it leaves out is noted in the run. */
struct span ing_json_write(struct ing_run *run);

#endif
