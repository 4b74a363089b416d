/*
 * From a checked JSON object to what the index takes.
 */
#include "indexer/record.h"

#include "indexer/document.h"
#include "indexer/record_coerce.h"

enum { TEXT_BYTES = 1024 }; /* what most documents need */

bool
ing_dirty_parse(struct span name, enum ing_dirty *out)
{
    static const char *const NAMES[ING_DIRTY_N] = {"reject", "coerce_or_reject", "coerce_or_drop",
                                                   "drop"};
    for (int i = 0; i < ING_DIRTY_N; i++) {
        if (span_eq_str(name, NAMES[i])) {
            *out = (enum ing_dirty)i;
            return true;
        }
    }
    return false;
}

static struct json_member *
find(struct json *object, struct span name)
{
    for (uint32_t i = 0; i < object->n; i++) {
        if (span_eq(object->members[i].name, name))
            return &object->members[i];
    }
    return NULL;
}

/* Most documents have their members in the schema's order: *hint is where to look first. */
static struct json_member *
find_next(struct json *object, struct span name, uint32_t *hint)
{
    struct json_member *m = NULL;
    if (*hint < object->n && span_eq(object->members[*hint].name, name))
        m = &object->members[*hint];
    else
        m = find(object, name);
    if (m)
        *hint = (uint32_t)(m - object->members) + 1;
    return m;
}

static void
remove_member(struct json *object, struct json_member *m)
{
    size_t behind = object->n - (size_t)(m - object->members) - 1;
    memmove(m, m + 1, behind * sizeof *m);
    object->n--;
}

void
ing_record_merge(const struct json *base, const struct json *patch, struct arena *arena,
                 struct json *out)
{
    uint32_t n_base = base ? base->n : 0;
    struct json result = {.type = JSON_OBJECT};
    result.members = arena_calloc(arena, (size_t)n_base + patch->n + 1, sizeof *result.members);
    for (uint32_t i = 0; i < n_base; i++)
        result.members[result.n++] = base->members[i];
    for (uint32_t i = 0; i < patch->n; i++) {
        const struct json_member *m = &patch->members[i];
        /* The parser gives each name once: only the base can have it already. */
        struct json_member *old = base ? find(&result, m->name) : NULL;
        bool is_null = m->value.type == JSON_NULL;
        if (old && is_null)
            remove_member(&result, old);
        else if (old)
            old->value = m->value;
        else if (!is_null)
            result.members[result.n++] = *m;
    }
    *out = result;
}

enum rc
ing_record_id(const struct json *object, struct span *id, struct err *err)
{
    const struct json *v = json_get(object, "id");
    if (!v)
        return (enum rc)1;
    if (v->type != JSON_STRING)
        return err_set(err, RC_INVALID, "the document's `id` is to be a string");
    if (v->string.n == 0)
        return err_set(err, RC_INVALID, "the document's `id` is empty");
    if (v->string.n > IDX_ID_MAX)
        return err_set(err, RC_INVALID, "the document's `id` is longer than %d bytes", IDX_ID_MAX);
    *id = v->string;
    return RC_OK;
}

void
ing_record_set_id(struct json *object, struct span id, struct arena *arena)
{
    struct json_member *m = find(object, SPAN_LIT("id"));
    if (!m) {
        struct json_member *members = arena_calloc(arena, (size_t)object->n + 1, sizeof *members);
        if (object->n)
            memcpy(members, object->members, object->n * sizeof *members);
        object->members = members;
        m = &members[object->n++];
        m->name = SPAN_LIT("id");
    }
    m->value = (struct json){.type = JSON_STRING, .string = id};
}

/* ---- values ---- */

static int64_t
as_int(const struct json *v)
{
    if (v->type == JSON_BOOL)
        return v->boolean;
    if (v->type == JSON_INT)
        return v->i64;
    /* Integers beyond int64: the peer wraps them, and so do we. */
    return v->number >= 9223372036854775808.0 ? (int64_t)(uint64_t)v->number : (int64_t)v->number;
}

static double
as_double(const struct json *v)
{
    double d = 0;
    (void)json_number(v, &d); /* checked before */
    return d;
}

static void
build_value(const struct sch_field *field, const struct tkz_analyzer *analyzer,
            const struct json *items, uint32_t n, struct arena *arena, struct idx_value *out)
{
    if (field->type == SCH_STRING) {
        struct span *texts = arena_calloc(arena, (size_t)n + 1, sizeof *texts);
        for (uint32_t i = 0; i < n; i++)
            texts[i] = items[i].string;
        ing_value_strings(field, analyzer, texts, n, arena, out);
    } else if (field->type == SCH_FLOAT) {
        double *numbers = arena_calloc(arena, (size_t)n + 1, sizeof *numbers);
        for (uint32_t i = 0; i < n; i++)
            numbers[i] = as_double(&items[i]);
        ing_value_floats(numbers, n, arena, out);
    } else {
        int64_t *numbers = arena_calloc(arena, (size_t)n + 1, sizeof *numbers);
        for (uint32_t i = 0; i < n; i++)
            numbers[i] = as_int(&items[i]);
        ing_value_ints(numbers, n, arena, out);
    }
}

/* Null members are not stored. */
static void
drop_nulls(struct json *object)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < object->n; i++) {
        if (object->members[i].value.type != JSON_NULL)
            object->members[n++] = object->members[i];
    }
    object->n = n;
}

/* A document being built. */
struct building {
    const struct sch_collection *c;
    const struct tkz_analyzer *analyzer;
    struct json *object;
    enum ing_dirty dirty;
    struct arena *arena;
    uint32_t hint; /* the member behind the one found last */
};

/* One field: present and right (after coercion), or missing and allowed to be. */
static enum rc
build_field(struct building *b, uint32_t f, struct idx_value *out, struct err *err)
{
    const struct sch_field *field = &b->c->fields[f];
    struct json_member *m = find_next(b->object, field->name, &b->hint);
    if (!(field->flags & SCH_INDEXED))
        return RC_OK;
    if (m) {
        enum rc rc = ing_record_coerce(field, &m->value, b->dirty, b->arena, err);
        if (rc < 0)
            return rc;
        if (rc > 0) {
            remove_member(b->object, m);
            m = NULL;
        }
    }
    if (!m && !(field->flags & SCH_OPTIONAL))
        return err_set(err, RC_INVALID, "the field `%.*s` is missing, and the schema wants it",
                       SPAN_ARG(field->name));
    if (!m)
        return RC_OK;
    bool is_array = field->flags & SCH_ARRAY;
    build_value(field, b->analyzer, is_array ? m->value.items : &m->value,
                is_array ? m->value.n : 1, b->arena, out);
    return RC_OK;
}

/* "store": false keeps a value out of the stored document. False: there is none such. */
static bool
drop_unstored(const struct sch_collection *c, struct json *object)
{
    uint32_t n_before = object->n;
    for (uint32_t f = 0; f < c->n_fields; f++) {
        struct json_member *m =
            c->fields[f].flags & SCH_STORED ? NULL : find(object, c->fields[f].name);
        if (m)
            remove_member(object, m);
    }
    return object->n != n_before;
}

static struct span
text_of(const struct json *object, struct arena *arena)
{
    struct buf text = {0};
    buf_reserve(&text, TEXT_BYTES);
    json_put(&text, object, true);
    struct span copy = arena_dup(arena, buf_span(&text));
    buf_fini(&text);
    return copy;
}

enum rc
ing_record_build(const struct ing_record_rules *rules, struct json *object, struct arena *arena,
                 struct ing_record *out, struct err *err)
{
    const struct sch_collection *c = rules->schema;
    struct ing_record result = {0};
    struct idx_value *values = arena_calloc(arena, (size_t)c->n_fields + 1, sizeof *values);
    enum rc rc = ing_record_id(object, &result.doc.id, err);
    must(rc <= 0); /* the caller gives it an id */
    if (rc != RC_OK)
        return rc;
    drop_nulls(object);
    struct building building = {c, rules->analyzer, object, rules->dirty, arena, 0};
    for (uint32_t f = 0; f < c->n_fields; f++) {
        rc = build_field(&building, f, &values[f], err);
        if (rc != RC_OK)
            return rc;
    }
    result.logged = text_of(object, arena);
    result.doc.json = drop_unstored(c, object) ? text_of(object, arena) : result.logged;
    result.doc.values = values;
    *out = result;
    return RC_OK;
}
