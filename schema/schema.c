/*
 * Reads collections from JSON and looks things up in them. Knows what may be
 * said about a field and which combinations make no sense; what an option
 * means for the stored bytes is the index's business. schema_write.c is the
 * way back.
 */
#include "schema/schema.h"

#include "base/map.h"

enum { SEPARATORS_MAX = 64, WORD_SHOWN_MAX = 64 };

struct type_row {
    const char *name, *array_name;
};

static const struct type_row types[SCH_TYPE_N] = {
    [SCH_STRING] = {"string", "string[]"}, [SCH_INT32] = {"int32", "int32[]"},
    [SCH_INT64] = {"int64", "int64[]"},    [SCH_FLOAT] = {"float", "float[]"},
    [SCH_BOOL] = {"bool", "bool[]"},
};

/* An option of a field that is a bool. */
struct option_row {
    const char *key;
    unsigned flag;
};

static const struct option_row options[] = {
    {"facet", SCH_FACET}, {"infix", SCH_INFIX}, {"optional", SCH_OPTIONAL}, {"order", SCH_ORDER},
    {"sort", SCH_SORT},   {"stem", SCH_STEM},   {"store", SCH_STORED},
};

/* Keys that would change what a field means, which we cannot do. */
static const char *const unsupported[] = {"embed", "num_dim", "reference"};

const char *
sch_type_name(enum sch_type type, bool is_array)
{
    must(type < SCH_TYPE_N);
    return is_array ? types[type].array_name : types[type].name;
}

int32_t
sch_field_find(const struct sch_collection *c, struct span name)
{
    for (uint32_t i = 0; i < c->n_fields; i++) {
        if (span_eq(c->fields[i].name, name))
            return (int32_t)i;
    }
    return -1;
}

/* ---- one field ---- */

/* Cuts untrusted text so that the rest of a sentence still fits. */
static struct span
shown(struct span s)
{
    return span_of(s.p, s.n < WORD_SHOWN_MAX ? s.n : WORD_SHOWN_MAX);
}

static enum rc
parse_type(const struct json *json, struct sch_field *f, struct err *err)
{
    const struct json *type = json_get(json, "type");
    if (!type || type->type != JSON_STRING)
        return err_set(err, RC_INVALID, "Field \"%.*s\" needs a \"type\" that is a string",
                       SPAN_ARG(shown(f->name)));
    for (unsigned i = 0; i < SCH_TYPE_N; i++) {
        bool is_array = span_eq_str(type->string, types[i].array_name);
        if (!is_array && !span_eq_str(type->string, types[i].name))
            continue;
        f->type = (enum sch_type)i;
        f->flags = SCH_INDEXED | SCH_STORED;
        if (is_array)
            f->flags |= SCH_ARRAY;
        else if (f->type != SCH_STRING)
            f->flags |= SCH_SORT;
        return RC_OK;
    }
    return err_set(err, RC_INVALID,
                   "Field \"%.*s\" has the type \"%.*s\", which does not exist; there are string, "
                   "int32, int64, float and bool, each also with [] for arrays",
                   SPAN_ARG(shown(f->name)), SPAN_ARG(shown(type->string)));
}

static enum rc
parse_options(const struct json *json, struct sch_field *f, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct json *v = json_get(json, options[i].key);
        if (!v || v->type == JSON_NULL)
            continue;
        if (v->type != JSON_BOOL)
            return err_set(err, RC_INVALID, "\"%s\" of field \"%.*s\" must be true or false",
                           options[i].key, SPAN_ARG(shown(f->name)));
        f->flags = v->boolean ? f->flags | options[i].flag : f->flags & ~options[i].flag;
    }
    for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
        const struct json *v = json_get(json, unsupported[i]);
        if (v && v->type != JSON_NULL)
            return err_set(err, RC_INVALID, "\"%s\" of field \"%.*s\" is not supported",
                           unsupported[i], SPAN_ARG(shown(f->name)));
    }
    return RC_OK;
}

/* "index": true, false or "exact". */
static enum rc
parse_index(const struct json *json, struct sch_field *f, struct err *err)
{
    const struct json *v = json_get(json, "index");
    if (!v || v->type == JSON_NULL)
        return RC_OK;
    if (v->type == JSON_BOOL) {
        f->flags = v->boolean ? f->flags | SCH_INDEXED : f->flags & ~(unsigned)SCH_INDEXED;
        return RC_OK;
    }
    if (v->type == JSON_STRING && span_eq_str(v->string, "exact")) {
        f->flags |= SCH_EXACT;
        return RC_OK;
    }
    return err_set(err, RC_INVALID, "\"index\" of field \"%.*s\" must be true, false or \"exact\"",
                   SPAN_ARG(shown(f->name)));
}

static enum rc
parse_locale(const struct json *json, struct arena *arena, struct sch_field *f, struct err *err)
{
    const struct json *v = json_get(json, "locale");
    if (!v || v->type == JSON_NULL)
        return RC_OK;
    if (v->type != JSON_STRING || v->string.n > SCH_NAME_MAX)
        return err_set(err, RC_INVALID, "\"locale\" of field \"%.*s\" must be a short string",
                       SPAN_ARG(shown(f->name)));
    f->locale = arena_dup(arena, v->string);
    return RC_OK;
}

static enum rc
check_combination(const struct sch_field *f, struct err *err)
{
    bool is_plain_number = f->type != SCH_STRING && !(f->flags & SCH_ARRAY);
    const char *reason = NULL;
    if ((f->flags & SCH_EXACT) && f->type != SCH_STRING)
        reason = "\"index\": \"exact\" is for string fields";
    else if ((f->flags & SCH_SORT) && f->type == SCH_STRING && (f->flags & SCH_ARRAY))
        reason = "an array of strings cannot be sorted by";
    else if ((f->flags & SCH_ORDER) && !(is_plain_number && (f->flags & SCH_SORT)))
        reason = "\"order\" is for sortable numbers and bools that are no arrays";
    else if ((f->flags & SCH_FACET) && !(f->flags & SCH_INDEXED))
        reason = "a facet must be indexed";
    if (reason)
        return err_set(err, RC_INVALID, "Field \"%.*s\": %s", SPAN_ARG(shown(f->name)), reason);
    return RC_OK;
}

static enum rc
parse_name(const struct json *json, const char *whose, struct arena *arena, struct span *out,
           struct err *err)
{
    const struct json *v = json_get(json, "name");
    if (!v || v->type != JSON_STRING || v->string.n == 0)
        return err_set(err, RC_INVALID, "%s needs a \"name\" that is a string", whose);
    if (v->string.n > SCH_NAME_MAX)
        return err_set(err, RC_INVALID, "The name of %s is longer than %d bytes", whose,
                       SCH_NAME_MAX);
    *out = arena_dup(arena, v->string);
    return RC_OK;
}

enum rc
sch_parse_field(const struct json *json, struct arena *arena, struct sch_field *out,
                struct err *err)
{
    struct sch_field f = {0};
    if (json->type != JSON_OBJECT)
        return err_set(err, RC_INVALID, "Each entry of \"fields\" must be an object");
    enum rc rc = parse_name(json, "Each field", arena, &f.name, err);
    if (rc == RC_OK && span_find(f.name, 0, '*') < f.name.n)
        rc = err_set(err, RC_INVALID, "Field \"%.*s\": patterns as field names are not supported",
                     SPAN_ARG(shown(f.name)));
    if (rc == RC_OK)
        rc = parse_type(json, &f, err);
    if (rc == RC_OK)
        rc = parse_options(json, &f, err);
    if (rc == RC_OK)
        rc = parse_index(json, &f, err);
    if (rc == RC_OK)
        rc = parse_locale(json, arena, &f, err);
    if (rc == RC_OK)
        rc = check_combination(&f, err);
    if (rc == RC_OK)
        *out = f;
    return rc;
}

/* ---- a collection ---- */

/* Whether this entry is the document id, which every collection has anyway. */
static bool
is_id(const struct json *field)
{
    return span_eq_str(json_get_str(field, "name", (struct span){0}), "id");
}

static enum rc
parse_fields(const struct json *json, struct arena *arena, struct sch_collection *c,
             struct err *err)
{
    const struct json *list = json_get(json, "fields");
    if (!list || list->type != JSON_ARRAY || list->n == 0)
        return err_set(err, RC_INVALID, "\"fields\" must be an array with at least one field");
    if (list->n > SCH_FIELDS_MAX)
        return err_set(err, RC_INVALID, "A collection may have at most %d fields", SCH_FIELDS_MAX);
    struct map seen = {0};
    enum rc rc = RC_OK;
    c->fields = arena_calloc(arena, list->n, sizeof *c->fields);
    for (uint32_t i = 0; i < list->n && rc == RC_OK; i++) {
        if (is_id(&list->items[i]))
            continue;
        struct sch_field *f = &c->fields[c->n_fields];
        bool is_new = true;
        rc = sch_parse_field(&list->items[i], arena, f, err);
        if (rc == RC_OK)
            (void)map_put(&seen, f->name, &is_new);
        if (!is_new)
            rc = err_set(err, RC_INVALID, "There are two fields with the name \"%.*s\"",
                         SPAN_ARG(shown(f->name)));
        c->n_fields++;
    }
    map_fini(&seen);
    return rc;
}

static enum rc
parse_default_sort(const struct json *json, struct sch_collection *c, struct err *err)
{
    const struct json *v = json_get(json, "default_sorting_field");
    c->default_sort = -1;
    if (!v || v->type == JSON_NULL)
        return RC_OK;
    if (v->type != JSON_STRING)
        return err_set(err, RC_INVALID, "\"default_sorting_field\" must be a string");
    if (v->string.n == 0)
        return RC_OK;
    int32_t at = sch_field_find(c, v->string);
    if (at < 0)
        return err_set(err, RC_INVALID,
                       "The default sorting field \"%.*s\" is not among the fields",
                       SPAN_ARG(shown(v->string)));
    struct sch_field *f = &c->fields[at];
    if (f->type == SCH_BOOL || (f->flags & SCH_ARRAY) || !(f->flags & SCH_SORT) ||
        !(f->flags & SCH_INDEXED))
        return err_set(err, RC_INVALID,
                       "The default sorting field \"%.*s\" must be a number or a sortable string, "
                       "and no array",
                       SPAN_ARG(shown(v->string)));
    if (f->flags & SCH_OPTIONAL)
        return err_set(err, RC_INVALID, "The default sorting field \"%.*s\" must not be optional",
                       SPAN_ARG(shown(v->string)));
    /* Browsing by it is what everybody does; a permutation makes that independent of the size. */
    if (f->type != SCH_STRING)
        f->flags |= SCH_ORDER;
    c->default_sort = at;
    return RC_OK;
}

/* An array of one-character strings, concatenated. */
static enum rc
parse_characters(const struct json *json, const char *key, struct arena *arena, struct span *out,
                 struct err *err)
{
    const struct json *v = json_get(json, key);
    *out = (struct span){0};
    if (!v || v->type == JSON_NULL)
        return RC_OK;
    if (v->type != JSON_ARRAY || v->n > SEPARATORS_MAX)
        return err_set(err, RC_INVALID, "\"%s\" must be an array of at most %d strings", key,
                       SEPARATORS_MAX);
    char *text = arena_alloc(arena, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct json *item = &v->items[i];
        if (item->type != JSON_STRING || item->string.n != 1)
            return err_set(err, RC_INVALID, "\"%s\" must hold strings of one ASCII character", key);
        text[i] = item->string.p[0];
    }
    *out = span_of(text, v->n);
    return RC_OK;
}

/* What this program adds to the schemas of its dialect, and what is only kept to be shown. */
static enum rc
parse_rest(const struct json *json, struct arena *arena, struct sch_collection *c, struct err *err)
{
    const struct json *nested = json_get(json, "enable_nested_fields");
    c->has_nested = nested && nested->type == JSON_BOOL && nested->boolean;
    struct span tie = json_get_str(json, "tie", SPAN_LIT("seq"));
    if (!span_eq_str(tie, "id") && !span_eq_str(tie, "seq"))
        return err_set(err, RC_INVALID, "\"tie\" must be \"id\" or \"seq\"");
    c->tie = span_eq_str(tie, "id") ? SCH_TIE_ID : SCH_TIE_SEQ;
    const struct json *created = json_get(json, "created_at");
    if (created && created->type == JSON_INT && created->i64 > 0)
        c->created_at_s = (uint64_t)created->i64;
    const struct json *metadata = json_get(json, "metadata");
    if (!metadata || metadata->type == JSON_NULL)
        return RC_OK;
    if (metadata->type != JSON_OBJECT)
        return err_set(err, RC_INVALID, "\"metadata\" must be an object");
    struct buf text = {0};
    json_put(&text, metadata, true);
    c->metadata = arena_dup(arena, buf_span(&text));
    const struct json *internal = json_get(metadata, "internal");
    c->is_internal = internal && internal->type == JSON_BOOL && internal->boolean;
    buf_fini(&text);
    return RC_OK;
}

enum rc
sch_parse(const struct json *json, struct arena *arena, struct sch_collection *out, struct err *err)
{
    struct sch_collection c = {.default_sort = -1};
    if (json->type != JSON_OBJECT)
        return err_set(err, RC_INVALID, "A collection is described by a JSON object");
    enum rc rc = parse_name(json, "A collection", arena, &c.name, err);
    if (rc == RC_OK)
        rc = parse_fields(json, arena, &c, err);
    if (rc == RC_OK)
        rc = parse_default_sort(json, &c, err);
    if (rc == RC_OK)
        rc = parse_characters(json, "token_separators", arena, &c.separators, err);
    if (rc == RC_OK)
        rc = parse_characters(json, "symbols_to_index", arena, &c.symbols, err);
    if (rc == RC_OK)
        rc = parse_rest(json, arena, &c, err);
    if (rc == RC_OK)
        *out = c;
    return rc;
}

void
sch_copy(const struct sch_collection *c, struct arena *arena, struct sch_collection *out)
{
    struct sch_collection copy = *c;
    copy.name = arena_dup(arena, c->name);
    copy.separators = arena_dup(arena, c->separators);
    copy.symbols = arena_dup(arena, c->symbols);
    copy.metadata = arena_dup(arena, c->metadata);
    copy.fields = arena_calloc(arena, c->n_fields, sizeof *copy.fields);
    for (uint32_t i = 0; i < c->n_fields; i++) {
        copy.fields[i] = c->fields[i];
        copy.fields[i].name = arena_dup(arena, c->fields[i].name);
        copy.fields[i].locale = arena_dup(arena, c->fields[i].locale);
    }
    *out = copy;
}
