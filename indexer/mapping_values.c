/*
 * From BSON values to the values of a field: one function per "as", lenient in
 * what it takes and exact about what it complains of.
 */
#include "indexer/mapping_parts.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "base/ulid.h"
#include "base/utf8.h"

static const char reason_missing[] = "is missing";
static const char reason_type[] = "is of a wrong type";
static const char reason_range[] = "does not fit";
static const char reason_utf8[] = "is not valid UTF-8";
static const char reason_array[] = "is no array";

/* ---- elements ---- */

/* An element of any type is no larger than what there is room for. */
_Static_assert(ULID_BYTES_N <= sizeof(struct span), "the first element fits");

/* The first element lies in the values themselves, so that plain fields allocate nothing. */
static void
reserve(struct ing_run *run, struct ing_values *v, size_t size)
{
    if (v->n == 0) {
        v->text = &v->one_text;
        v->cap = 1;
    } else if (v->n == v->cap && v->cap == 1) {
        struct span *grown = arena_alloc(run->arena, 8 * size);
        memcpy(grown, v->text, size);
        v->text = grown;
        v->cap = 8;
    } else if (v->n == v->cap) {
        v->text = arena_grow(run->arena, v->text, &v->cap, v->cap + 1, size);
    }
}

void
ing_values_text(struct ing_run *run, struct ing_values *v, struct span text)
{
    reserve(run, v, sizeof *v->text);
    v->text[v->n++] = text;
}

void
ing_values_ulid(struct ing_run *run, struct ing_values *v, const unsigned char *id)
{
    reserve(run, v, ULID_BYTES_N);
    v->is_ulids = true;
    memcpy(v->ulids + (size_t)v->n++ * ULID_BYTES_N, id, ULID_BYTES_N);
}

void
ing_values_number(struct ing_run *run, struct ing_values *v, int64_t number)
{
    reserve(run, v, sizeof *v->number);
    v->number[v->n++] = number;
}

void
ing_values_real(struct ing_run *run, struct ing_values *v, double real)
{
    reserve(run, v, sizeof *v->real);
    v->real[v->n++] = real;
}

static int
compare_texts(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static int
compare_ulids(const void *a, const void *b)
{
    return memcmp(a, b, ULID_BYTES_N);
}

static void
sort_ulids(struct ing_values *v)
{
    uint32_t n = 0;
    qsort(v->ulids, v->n, ULID_BYTES_N, compare_ulids);
    for (uint32_t i = 0; i < v->n; i++) {
        const unsigned char *id = v->ulids + (size_t)i * ULID_BYTES_N;
        unsigned char *to = v->ulids + (size_t)n * ULID_BYTES_N;
        if (n > 0 && memcmp(to - ULID_BYTES_N, id, ULID_BYTES_N) == 0)
            continue;
        memmove(to, id, ULID_BYTES_N);
        n++;
    }
    v->n = n;
}

void
ing_values_sort(struct ing_values *v)
{
    uint32_t n = 0;
    if (v->n < 2)
        return;
    if (v->is_ulids) {
        sort_ulids(v);
        return;
    }
    qsort(v->text, v->n, sizeof *v->text, compare_texts);
    for (uint32_t i = 0; i < v->n; i++) {
        if (n == 0 || !span_eq(v->text[n - 1], v->text[i]))
            v->text[n++] = v->text[i];
    }
    v->n = n;
}

bson_iter_t *
ing_run_slot(struct ing_run *run, int32_t slot)
{
    if (slot < 0 || !run->is_set[slot])
        return NULL;
    bson_iter_t *it = &run->slots[slot].it;
    int type = (int)bson_iter_type(it);
    return type == BSON_TYPE_NULL || type == BSON_TYPE_UNDEFINED ? NULL : it;
}

void
ing_run_bad(struct ing_run *run, const struct ing_rule *rule, const char *reason)
{
    if (run->out->n_bad++ == 0)
        run->out->bad = arena_printf(run->arena, "%.*s: %s", SPAN_ARG(rule->field->name), reason);
}

/* ---- strings ---- */

/* Exact values are kept beyond the document's life; of others only tokens are. */
static const char *
convert_copy(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
             struct ing_values *out)
{
    struct span raw = ing_bson_raw(it), text = raw;
    if (!raw.p)
        return reason_type;
    bool is_valid = utf8_valid_n(raw) == raw.n;
    if (!is_valid)
        text = ing_text_repair(raw, run->arena);
    else if (rule->field->flags & (SCH_FACET | SCH_EXACT))
        text = arena_dup(run->arena, raw);
    ing_values_text(run, out, text);
    return is_valid ? NULL : reason_utf8;
}

/* Anything with an obvious text: strings, ids, numbers, bools. */
static const char *
convert_text(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
             struct ing_values *out)
{
    struct span text = ing_bson_dashed(it, run->arena);
    char oid[25];
    double real;
    if (text.n > 0) {
        ing_values_text(run, out, text);
        return NULL;
    }
    switch ((int)bson_iter_type(it)) {
    case BSON_TYPE_OID:
        bson_oid_to_string(bson_iter_oid(it), oid);
        text = arena_dup(run->arena, span_str(oid));
        break;
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
        text = arena_printf(run->arena, "%" PRId64, bson_iter_as_int64(it));
        break;
    case BSON_TYPE_BOOL:
        text = bson_iter_bool(it) ? SPAN_LIT("true") : SPAN_LIT("false");
        break;
    default:
        if (!ing_bson_real(it, &real))
            return convert_copy(run, rule, it, out);
        text = arena_printf(run->arena, "%.15g", real);
        break;
    }
    ing_values_text(run, out, text);
    return NULL;
}

static const char *
convert_string(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
               struct ing_values *out)
{
    char node[ING_NODE_TEXT_MAX];
    struct span text;
    if (rule->as == ING_AS_ULID && rule->may_pack) {
        const unsigned char *id = ing_bson_uuid(it);
        if (id)
            ing_values_ulid(run, out, id);
        return id ? NULL : reason_type;
    }
    if (rule->as == ING_AS_COPY)
        return convert_copy(run, rule, it, out);
    if (rule->as == ING_AS_TEXT)
        return convert_text(run, rule, it, out);
    if (rule->as == ING_AS_NODE)
        text = arena_dup(run->arena, span_of(node, ing_node_write(it, node)));
    else if (rule->as == ING_AS_UUID)
        text = ing_bson_dashed(it, run->arena);
    else
        text = ing_bson_ulid(it, run->arena);
    if (text.n == 0)
        return reason_type;
    ing_values_text(run, out, text);
    return NULL;
}

/* The names of a document's members. */
static const char *
convert_keys(struct ing_run *run, const bson_iter_t *it, struct ing_values *out)
{
    bson_iter_t at;
    if (bson_iter_type(it) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(it, &at))
        return reason_type;
    while (bson_iter_next(&at)) {
        struct span key = span_of(bson_iter_key(&at), bson_iter_key_len(&at));
        bool is_valid = utf8_valid_n(key) == key.n;
        ing_values_text(run, out,
                        is_valid ? arena_dup(run->arena, key) : ing_text_repair(key, run->arena));
    }
    return NULL;
}

/* What the node of an id grants. */
static const char *
convert_grants(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
               struct ing_values *out)
{
    bool is_own_id = strcmp(bson_iter_key(it), "_id") == 0;
    struct span id = is_own_id ? run->id : ing_bson_ulid(it, run->arena);
    struct span *grants;
    uint32_t n = 0;
    if (id.n == 0)
        return reason_type;
    if (!run->relations)
        return NULL;
    struct span node = arena_printf(run->arena, "%.*s:%.*s", SPAN_ARG(rule->node), SPAN_ARG(id));
    ing_relations_grants(run->relations, node, run->arena, &grants, &n);
    for (uint32_t i = 0; i < n; i++)
        ing_values_text(run, out, grants[i]);
    return NULL;
}

/* ---- numbers ---- */

static const char *
convert_int(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
            struct ing_values *out)
{
    int64_t number = 0;
    bool is_exact = true;
    if (rule->as == ING_AS_MS && bson_iter_type(it) == BSON_TYPE_DATE_TIME)
        number = bson_iter_date_time(it);
    else if (!ing_bson_int(it, &number, &is_exact))
        return reason_type;
    bool is_narrow = rule->field->type == SCH_INT32;
    if (is_narrow && (number < INT32_MIN || number > INT32_MAX)) {
        number = 0;
        is_exact = false;
    }
    ing_values_number(run, out, number);
    return is_exact ? NULL : reason_range;
}

static const char *
convert_real(struct ing_run *run, const bson_iter_t *it, struct ing_values *out)
{
    double real;
    if (!ing_bson_real(it, &real))
        return reason_type;
    bool is_fit = isfinite(real) && fabs(real) <= (double)FLT_MAX;
    ing_values_real(run, out, is_fit ? real : 0);
    return is_fit ? NULL : reason_range;
}

static const char *
convert_enum(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
             struct ing_values *out)
{
    struct span text = ing_bson_raw(it);
    for (uint32_t i = 0; text.p && i < rule->values->n; i++) {
        const struct json *value = &rule->values->items[i];
        if (value->type == JSON_STRING && span_eq(value->string, text)) {
            ing_values_number(run, out, i);
            return NULL;
        }
    }
    return text.p ? "is none of the known words" : reason_type;
}

/* Converts one value; NULL, or what is wrong with it. */
static const char *
convert(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
        struct ing_values *out)
{
    if (rule->as == ING_AS_KEYS)
        return convert_keys(run, it, out);
    if (rule->as == ING_AS_GRANTS)
        return convert_grants(run, rule, it, out);
    if (rule->as == ING_AS_ENUM)
        return convert_enum(run, rule, it, out);
    if (rule->field->type == SCH_STRING)
        return convert_string(run, rule, it, out);
    if (rule->field->type == SCH_FLOAT)
        return convert_real(run, it, out);
    if (rule->field->type != SCH_BOOL)
        return convert_int(run, rule, it, out);
    if (bson_iter_type(it) != BSON_TYPE_BOOL)
        return reason_type;
    ing_values_number(run, out, bson_iter_bool(it));
    return NULL;
}

/* ---- arrays ---- */

/* One pass over an element: where each tail begins, and whether the condition holds. */
static bool
scan_element(const struct ing_rule *rule, const bson_iter_t *element, struct ing_place *found,
             bool *is_found)
{
    bson_iter_t at;
    bool may_stay = !rule->where.is_used;
    if (!bson_iter_recurse(element, &at))
        return false;
    while (bson_iter_next(&at)) {
        struct span key = span_of(bson_iter_key(&at), bson_iter_key_len(&at));
        if (rule->where.is_used && span_eq(key, rule->where_name))
            may_stay = ing_condition_holds(&rule->where, &at);
        for (uint32_t i = 0; i < rule->n_tails; i++) {
            if (!span_eq(key, rule->tails[i].head))
                continue;
            found[i].it = at;
            is_found[i] = true;
        }
    }
    return may_stay;
}

/* What a document as element holds at the rule's tails. */
static void
run_element(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *element,
            struct ing_values *out)
{
    struct ing_place found[ING_TAILS_MAX];
    bool is_found[ING_TAILS_MAX] = {0};
    if (!scan_element(rule, element, found, is_found))
        return;
    for (uint32_t i = 0; i < rule->n_tails; i++) {
        bson_iter_t below, inner;
        if (is_found[i])
            below = found[i].it;
        bool has_value = is_found[i];
        if (has_value && rule->tails[i].rest) {
            has_value = bson_iter_recurse(&below, &inner) &&
                        bson_iter_find_descendant(&inner, rule->tails[i].rest, &below);
        }
        const char *reason = has_value ? convert(run, rule, &below, out) : reason_missing;
        if (reason)
            ing_run_bad(run, rule, reason);
    }
}

static void
run_array(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *array,
          struct ing_values *out)
{
    bson_iter_t at;
    if (bson_iter_type(array) != BSON_TYPE_ARRAY || !bson_iter_recurse(array, &at)) {
        ing_run_bad(run, rule, reason_array);
        return;
    }
    bool is_whole = rule->tails[0].head.n == 0;
    while (bson_iter_next(&at)) {
        const char *reason = NULL;
        if (is_whole)
            reason = convert(run, rule, &at, out);
        else if (bson_iter_type(&at) == BSON_TYPE_DOCUMENT)
            run_element(run, rule, &at, out);
        else
            reason = reason_type;
        if (reason)
            ing_run_bad(run, rule, reason);
    }
}

/* ---- rules that always have an answer ---- */

static int64_t
count_elements(const bson_iter_t *it)
{
    bson_iter_t at;
    int64_t n = 0;
    int type = (int)bson_iter_type(it);
    if ((type != BSON_TYPE_ARRAY && type != BSON_TYPE_DOCUMENT) || !bson_iter_recurse(it, &at))
        return 0;
    while (bson_iter_next(&at))
        n++;
    return n;
}

/* The bit, counting what is no number as 0. */
static int64_t
read_bit(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it)
{
    int64_t mask = 0;
    bool is_exact = true;
    if (!it)
        ing_run_bad(run, rule, reason_missing);
    else if (!ing_bson_int(it, &mask, &is_exact) || !is_exact)
        ing_run_bad(run, rule, reason_type);
    return (int64_t)((uint64_t)mask >> rule->bit & 1);
}

static int64_t
read_id_ms(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it)
{
    const unsigned char *id = it ? ing_bson_uuid(it) : NULL;
    if (id)
        return (int64_t)ulid_ms(id);
    if (it && bson_iter_type(it) == BSON_TYPE_OID)
        return (int64_t)bson_oid_get_time_t(bson_iter_oid(it)) * 1000;
    ing_run_bad(run, rule, it ? reason_type : reason_missing);
    return 0;
}

/* True if the rule is one of these; its number is in out then. */
static bool
run_fixed(struct ing_run *run, const struct ing_rule *rule, const bson_iter_t *it,
          struct ing_values *out)
{
    int64_t number;
    switch ((int)rule->as) {
    case ING_AS_NOW:
        number = (int64_t)run->now_ms;
        break;
    case ING_AS_ID_MS:
        number = read_id_ms(run, rule, it);
        break;
    case ING_AS_BIT:
        number = read_bit(run, rule, it);
        break;
    case ING_AS_PRESENT:
        number = it != NULL;
        break;
    case ING_AS_IS_DOCUMENT:
        number = it && bson_iter_type(it) == BSON_TYPE_DOCUMENT;
        break;
    case ING_AS_NONEMPTY:
        number = it && count_elements(it) > 0;
        break;
    case ING_AS_COUNT:
        number = it ? count_elements(it) : 0;
        break;
    default:
        return false;
    }
    ing_values_number(run, out, number);
    return true;
}

/* ---- the whole ---- */

/* What stands in for a value that a plain required field must have. */
static void
put_empty(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    if (rule->field->type == SCH_STRING)
        ing_values_text(run, out, SPAN_LIT(""));
    else if (rule->field->type == SCH_FLOAT)
        ing_values_real(run, out, 0);
    else
        ing_values_number(run, out, 0);
}

void
ing_rule_run(struct ing_run *run, const struct ing_rule *rule, struct ing_values *out)
{
    const bson_iter_t *it = ing_run_slot(run, rule->slot);
    const char *reason = NULL;
    if (rule->when.is_used) {
        const bson_iter_t *when = ing_run_slot(run, rule->when_slot);
        if (!when || !ing_condition_holds(&rule->when, when))
            it = NULL;
    }
    if (rule->as == ING_AS_DERIVE)
        rule->derivation->run(run, rule, out);
    else if (run_fixed(run, rule, it, out))
        return;
    else if (it && rule->has_elements)
        run_array(run, rule, it, out);
    else if (it)
        reason = convert(run, rule, it, out);
    else if (rule->is_required)
        reason = reason_missing;
    if (reason)
        ing_run_bad(run, rule, reason);
    if (rule->is_set || rule->as == ING_AS_GRANTS)
        ing_values_sort(out);
    if (out->n == 0 && rule->is_required)
        put_empty(run, rule, out);
}
