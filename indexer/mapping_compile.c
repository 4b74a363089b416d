/*
 * A field's "from" entry, read and checked once: which slot of the document it
 * looks at and what it makes of it. schema/README.md documents the language.
 */
#include "indexer/mapping_parts.h"

struct as_row {
    const char *name;
    unsigned types; /* bits of enum sch_type that it can fill */
    bool has_path;
};

enum {
    ANY = 1u << SCH_STRING | 1u << SCH_INT32 | 1u << SCH_INT64 | 1u << SCH_FLOAT | 1u << SCH_BOOL,
    TEXTS = 1u << SCH_STRING,
    INTS = 1u << SCH_INT32 | 1u << SCH_INT64,
    WIDE = 1u << SCH_INT64,
    BOOLS = 1u << SCH_BOOL,
};

static const struct as_row as_rows[ING_AS_N] = {
    [ING_AS_COPY] = {"copy", ANY, true},
    [ING_AS_TEXT] = {"text", TEXTS, true},
    [ING_AS_ULID] = {"ulid", TEXTS, true},
    [ING_AS_UUID] = {"uuid", TEXTS, true},
    [ING_AS_MS] = {"ms", WIDE, true},
    [ING_AS_NODE] = {"node", TEXTS, true},
    [ING_AS_KEYS] = {"keys", TEXTS, true},
    [ING_AS_ENUM] = {"enum", INTS, true},
    [ING_AS_GRANTS] = {"grants", TEXTS, true},
    [ING_AS_ID_MS] = {"id_ms", WIDE, true},
    [ING_AS_NOW] = {"now", WIDE, false},
    [ING_AS_BIT] = {"bit", BOOLS, true},
    [ING_AS_PRESENT] = {"present", BOOLS, true},
    [ING_AS_IS_DOCUMENT] = {"is_document", BOOLS, true},
    [ING_AS_NONEMPTY] = {"nonempty", BOOLS, true},
    [ING_AS_COUNT] = {"count", INTS, true},
    [ING_AS_DERIVE] = {"", ANY, false},
};

struct compiler {
    struct ing_paths *paths;
    struct arena *arena;
    struct ing_rule *rule;
    struct err *err;
};

/* {"path": "kind", "is": 0}; which of number and text decides what is compared. */
static enum rc
compile_condition(struct compiler *c, const struct json *json, const char *key,
                  struct ing_condition *out, struct span *path)
{
    const struct json *v = json_get(json, key);
    if (!v || v->type == JSON_NULL)
        return RC_OK;
    const struct json *is = json_get(v, "is");
    *path = json_get_str(v, "path", (struct span){0});
    if (path->n == 0 || !is || (is->type != JSON_INT && is->type != JSON_STRING))
        return err_set(c->err, RC_INVALID,
                       "\"%s\" needs a \"path\" and \"is\", a whole number or a string", key);
    out->is_used = true;
    out->is_number = is->type == JSON_INT;
    if (out->is_number)
        out->number = is->i64;
    else
        out->text = is->string;
    return RC_OK;
}

/* "a.b[].c.d": the slot of a.b, a tail of head "c" and rest "d". */
static enum rc
compile_path(struct compiler *c, struct span path)
{
    struct ing_rule *rule = c->rule;
    struct span before = path, after = {0};
    int32_t slot = -1;
    size_t at = span_find(path, 0, '[');
    bool has_elements = at < path.n;
    if (has_elements) {
        before = span_of(path.p, at);
        after = span_from(path, at);
        if (!span_starts(after, SPAN_LIT("[]")) || span_find(after, 2, '[') < after.n ||
            (after.n > 2 && (after.p[2] != '.' || after.n == 3)))
            return err_set(c->err, RC_INVALID,
                           "the path \"%.*s\" may have one \"[]\", followed by nothing or \".\"",
                           SPAN_ARG(path));
        after = after.n > 3 ? span_from(after, 3) : (struct span){0};
    }
    enum rc rc = ing_paths_add(c->paths, before, c->arena, &slot, c->err);
    if (rc != RC_OK)
        return rc;
    if (rule->slot >= 0 && (rule->slot != slot || !has_elements || !rule->has_elements))
        return err_set(c->err, RC_INVALID, "several paths must go into the same array");
    if (rule->n_tails == ING_TAILS_MAX)
        return err_set(c->err, RC_INVALID, "a field may have at most %d paths", ING_TAILS_MAX);
    struct ing_tail *tail = &rule->tails[rule->n_tails++];
    rule->slot = slot;
    rule->has_elements = has_elements;
    /* Asking for a name that no one uses brings the document without its contents. */
    rc = ing_paths_want(c->paths, before, rule->as == ING_AS_IS_DOCUMENT ? SPAN_LIT("_") : after,
                        c->arena, c->err);
    if (rc == RC_OK && after.n > 0 && rule->where.is_used)
        rc = ing_paths_want(c->paths, before, rule->where_name, c->arena, c->err);
    if (rc != RC_OK || after.n == 0)
        return rc;
    tail->head = arena_dup(c->arena, span_split(&after, '.'));
    tail->rest = after.p ? arena_str(c->arena, after) : NULL;
    return RC_OK;
}

static enum rc
compile_paths(struct compiler *c, const struct json *path)
{
    enum rc rc = RC_OK;
    if (path && path->type == JSON_STRING)
        return compile_path(c, path->string);
    if (!path || path->type != JSON_ARRAY || path->n == 0)
        return err_set(c->err, RC_INVALID, "\"path\" must be a string or an array of strings");
    for (uint32_t i = 0; i < path->n && rc == RC_OK; i++) {
        if (path->items[i].type != JSON_STRING)
            return err_set(c->err, RC_INVALID, "\"path\" must hold strings");
        rc = compile_path(c, path->items[i].string);
    }
    return rc;
}

static enum rc
compile_derivation(struct compiler *c, struct span name)
{
    struct ing_rule *rule = c->rule;
    const struct ing_derivation *d = ing_derivation_find(name);
    if (!d)
        return err_set(c->err, RC_INVALID, "there is no derivation \"%.*s\"", SPAN_ARG(name));
    if (d->type != rule->field->type || d->is_array != ((rule->field->flags & SCH_ARRAY) != 0))
        return err_set(c->err, RC_INVALID, "the derivation \"%s\" makes values of type %s", d->name,
                       sch_type_name(d->type, d->is_array));
    rule->as = ING_AS_DERIVE;
    rule->derivation = d;
    for (size_t i = 0; i < ING_DERIVE_PATHS && d->paths[i]; i++) {
        struct span path = span_str(d->paths[i]);
        enum rc rc = ing_paths_add(c->paths, path, c->arena, &rule->slots[i], c->err);
        if (rc == RC_OK)
            rc = ing_paths_want(c->paths, path, (struct span){0}, c->arena, c->err);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* What some kinds of "as" need besides. */
static enum rc
compile_details(struct compiler *c, const struct json *from)
{
    struct ing_rule *rule = c->rule;
    const struct json *bit = json_get(from, "bit");
    const struct json *values = json_get(from, "values");
    const struct json *set = json_get(from, "set");
    rule->is_set = set && set->type == JSON_BOOL && set->boolean;
    rule->node = json_get_str(from, "node", (struct span){0});
    rule->values = values;
    if (rule->as == ING_AS_BIT && (!bit || bit->type != JSON_INT || bit->i64 < 0 || bit->i64 > 63))
        return err_set(c->err, RC_INVALID, "\"bit\" must be a number from 0 to 63");
    rule->bit = rule->as == ING_AS_BIT ? (unsigned)bit->i64 : 0;
    if (rule->as == ING_AS_GRANTS && ing_node_kind(rule->node) == ING_NODE_KIND_N)
        return err_set(c->err, RC_INVALID, "\"node\" must be a kind of node");
    if (rule->as == ING_AS_ENUM && (!values || values->type != JSON_ARRAY))
        return err_set(c->err, RC_INVALID, "\"values\" must be an array of strings");
    bool is_array = rule->field->flags & SCH_ARRAY;
    if (rule->is_set && !(is_array && rule->field->type == SCH_STRING))
        return err_set(c->err, RC_INVALID, "\"set\" is for arrays of strings");
    if (!is_array && (rule->as == ING_AS_KEYS || rule->as == ING_AS_GRANTS))
        return err_set(c->err, RC_INVALID, "several values need a field that is an array");
    if (rule->where.is_used && !rule->has_elements)
        return err_set(c->err, RC_INVALID, "\"where\" is for paths with \"[]\"");
    if (rule->has_elements && rule->as > ING_AS_GRANTS)
        return err_set(c->err, RC_INVALID, "\"as\": \"%s\" takes a path without \"[]\"",
                       as_rows[rule->as].name);
    return RC_OK;
}

static enum rc
compile_as(struct compiler *c, const struct json *from)
{
    struct ing_rule *rule = c->rule;
    struct span name = json_get_str(from, "as", SPAN_LIT("copy"));
    unsigned as = 0;
    while (as < ING_AS_DERIVE && !span_eq_str(name, as_rows[as].name))
        as++;
    if (as == ING_AS_DERIVE)
        return err_set(c->err, RC_INVALID, "\"as\" knows no \"%.*s\"", SPAN_ARG(name));
    if (!(as_rows[as].types & 1u << rule->field->type))
        return err_set(c->err, RC_INVALID, "\"as\": \"%s\" cannot make values of type %s",
                       as_rows[as].name, sch_type_name(rule->field->type, false));
    rule->as = (enum ing_as)as;
    return as_rows[as].has_path ? compile_paths(c, json_get(from, "path")) : RC_OK;
}

static enum rc
compile_object(struct compiler *c, const struct json *from)
{
    struct ing_rule *rule = c->rule;
    struct span derive = json_get_str(from, "derive", (struct span){0});
    struct span when_path = {0};
    enum rc rc;
    if (derive.n > 0)
        return compile_derivation(c, derive);
    rc = compile_condition(c, from, "where", &rule->where, &rule->where_name);
    if (rc == RC_OK)
        rc = compile_condition(c, from, "when", &rule->when, &when_path);
    if (rc == RC_OK && rule->when.is_used)
        rc = ing_paths_add(c->paths, when_path, c->arena, &rule->when_slot, c->err);
    if (rc == RC_OK && rule->when.is_used)
        rc = ing_paths_want(c->paths, when_path, (struct span){0}, c->arena, c->err);
    if (rc == RC_OK)
        rc = compile_as(c, from);
    if (rc == RC_OK)
        rc = compile_details(c, from);
    return rc;
}

/* The JSON text of the field's name, made once. */
static struct span
json_name(struct span name, struct arena *arena)
{
    struct buf text = {0};
    json_put_str(&text, name);
    buf_putc(&text, ':');
    struct span copy = arena_dup(arena, buf_span(&text));
    buf_fini(&text);
    return copy;
}

enum rc
ing_rule_compile(const struct sch_field *field, struct ing_paths *paths, struct arena *arena,
                 struct ing_rule *out, struct err *err)
{
    struct compiler c = {.paths = paths, .arena = arena, .rule = out, .err = err};
    *out = (struct ing_rule){.field = field, .slot = -1, .when_slot = -1};
    out->is_required = !(field->flags & (SCH_OPTIONAL | SCH_ARRAY));
    out->json_name = json_name(field->name, arena);
    out->may_pack = field->type == SCH_STRING && (field->flags & SCH_ARRAY) &&
                    (field->flags & SCH_INDEXED) && (field->flags & SCH_EXACT);
    for (size_t i = 0; i < ING_DERIVE_PATHS; i++)
        out->slots[i] = -1;
    enum rc rc;
    if (!field->source)
        rc = err_set(err, RC_INVALID, "\"from\" is missing");
    else if (field->source->type == JSON_STRING)
        rc = compile_path(&c, field->source->string);
    else
        rc = compile_object(&c, field->source);
    if (rc == RC_OK && out->has_elements && !(field->flags & SCH_ARRAY))
        rc = err_set(err, RC_INVALID, "several values need a field that is an array");
    return rc == RC_OK ? RC_OK : err_wrap(err, rc, "field \"%.*s\"", SPAN_ARG(field->name));
}
