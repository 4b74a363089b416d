/*
 * search-semantics of dirty_values: scalars are coerced between texts and
 * numbers, never into arrays; integers do for floats, floats never for
 * integers unless coerced.
 */
#include "indexer/record_coerce.h"

#include <math.h>

enum { RC_DROP = 1 };

static bool
is_right(enum sch_type type, const struct json *v)
{
    switch (type) {
    case SCH_STRING:
        return v->type == JSON_STRING;
    case SCH_INT32:
    case SCH_INT64:
        /* An integer beyond int64 comes as a double without a fraction in its text. */
        return v->type == JSON_INT ||
               (v->type == JSON_DOUBLE && span_find(v->text, 0, '.') == v->text.n &&
                span_find(v->text, 0, 'e') == v->text.n && span_find(v->text, 0, 'E') == v->text.n);
    case SCH_FLOAT:
        return v->type == JSON_INT || v->type == JSON_DOUBLE;
    case SCH_BOOL:
        return v->type == JSON_BOOL;
    case SCH_TYPE_N:
    default:
        return false;
    }
}

static struct json
int_value(int64_t n, struct arena *arena)
{
    return (struct json){
        .type = JSON_INT, .text = arena_printf(arena, "%lld", (long long)n), .i64 = n};
}

static bool
coerce_string(struct json *v, struct arena *arena)
{
    struct buf text = {0};
    if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
        return false;
    json_put(&text, v, false);
    *v = (struct json){.type = JSON_STRING, .string = arena_dup(arena, buf_span(&text))};
    buf_fini(&text);
    return true;
}

static bool
coerce_int(struct json *v, struct arena *arena)
{
    int64_t n = 0;
    if (v->type == JSON_BOOL)
        n = v->boolean;
    else if (v->type == JSON_DOUBLE && fabs(v->number) < 9e18)
        n = (int64_t)v->number;
    else if (v->type != JSON_STRING || !span_i64(v->string, &n))
        return false;
    *v = int_value(n, arena);
    return true;
}

static bool
coerce_float(struct json *v, struct arena *arena)
{
    double n = 0;
    if (v->type == JSON_BOOL)
        n = v->boolean;
    else if (v->type != JSON_STRING || !span_double(v->string, &n))
        return false;
    struct buf text = {0};
    json_put_double(&text, n);
    *v = (struct json){.type = JSON_DOUBLE, .text = arena_dup(arena, buf_span(&text)), .number = n};
    buf_fini(&text);
    return true;
}

static bool
coerce_bool(struct json *v)
{
    bool is_true = (v->type == JSON_STRING && span_eq_str(v->string, "true")) ||
                   (v->type == JSON_INT && v->i64 == 1);
    bool is_false = (v->type == JSON_STRING && span_eq_str(v->string, "false")) ||
                    (v->type == JSON_INT && v->i64 == 0);
    if (!is_true && !is_false)
        return false;
    *v = (struct json){.type = JSON_BOOL, .boolean = is_true};
    return true;
}

static bool
coerce(enum sch_type type, struct json *v, struct arena *arena)
{
    switch (type) {
    case SCH_STRING:
        return coerce_string(v, arena);
    case SCH_INT32:
    case SCH_INT64:
        return coerce_int(v, arena);
    case SCH_FLOAT:
        return coerce_float(v, arena);
    case SCH_BOOL:
        return coerce_bool(v);
    case SCH_TYPE_N:
    default:
        return false;
    }
}

static enum rc
fix(const struct sch_field *field, struct json *v, enum ing_dirty dirty, struct arena *arena,
    struct err *err)
{
    if (is_right(field->type, v))
        return RC_OK;
    bool may_coerce = dirty == ING_DIRTY_COERCE_OR_REJECT || dirty == ING_DIRTY_COERCE_OR_DROP;
    bool may_drop = dirty == ING_DIRTY_DROP || dirty == ING_DIRTY_COERCE_OR_DROP;
    if (may_coerce && coerce(field->type, v, arena))
        return RC_OK;
    if (may_drop && (field->flags & SCH_OPTIONAL))
        return (enum rc)RC_DROP;
    return err_set(err, RC_INVALID, "the field `%.*s` is to be of type %s", SPAN_ARG(field->name),
                   sch_type_name(field->type, field->flags & SCH_ARRAY));
}

enum rc
ing_record_coerce(const struct sch_field *field, struct json *value, enum ing_dirty dirty,
                  struct arena *arena, struct err *err)
{
    if (!(field->flags & SCH_ARRAY))
        return fix(field, value, dirty, arena, err);
    if (value->type != JSON_ARRAY) {
        bool may_drop = dirty == ING_DIRTY_DROP || dirty == ING_DIRTY_COERCE_OR_DROP;
        if (may_drop && (field->flags & SCH_OPTIONAL))
            return (enum rc)RC_DROP;
        return err_set(err, RC_INVALID, "the field `%.*s` is to be of type %s",
                       SPAN_ARG(field->name), sch_type_name(field->type, true));
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < value->n; i++) {
        enum rc rc = fix(field, &value->items[i], dirty, arena, err);
        if (rc < 0)
            return rc;
        if (rc == RC_OK)
            value->items[n++] = value->items[i];
    }
    value->n = n;
    return RC_OK;
}
