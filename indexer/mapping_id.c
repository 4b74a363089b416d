/*
 * Search ids of MongoDB ids. Two different _ids never give the same text: a
 * profile names the one form its ids have, and where it names none, a string
 * that looks like another form's text is put in quotes.
 */
#include "indexer/mapping_parts.h"

#include "base/ulid.h"
#include "base/utf8.h"

enum { HEX_OBJECTID = 24 };

struct kind_row {
    const char *name;
    enum ing_id_kind kind;
};

static const struct kind_row kind_rows[] = {
    {"any", ING_ID_ANY},           {"ulid", ING_ID_ULID}, {"text", ING_ID_TEXT},
    {"int", ING_ID_INT},           {"uuid", ING_ID_UUID}, {"edge", ING_ID_EDGE},
    {"objectid", ING_ID_OBJECTID},
};

enum rc
ing_id_compile(const struct json *source, struct arena *arena, struct ing_id_rule *out,
               struct err *err)
{
    const struct json *v = json_get(source, "id");
    *out = (struct ing_id_rule){.kind = ING_ID_ANY};
    if (!v || v->type == JSON_NULL)
        return RC_OK;
    for (size_t i = 0; v->type == JSON_STRING && i < ARRAY_SIZE(kind_rows); i++) {
        if (span_eq_str(v->string, kind_rows[i].name)) {
            out->kind = kind_rows[i].kind;
            return RC_OK;
        }
    }
    if (v->type != JSON_ARRAY || v->n == 0 || v->n > ING_ID_PARTS_MAX)
        return err_set(err, RC_INVALID,
                       "\"id\" must be a known form or an array of at most %d names",
                       ING_ID_PARTS_MAX);
    out->kind = ING_ID_PARTS;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i].type != JSON_STRING || v->items[i].string.n == 0)
            return err_set(err, RC_INVALID, "\"id\" must hold names");
        out->parts[out->n_parts++] = arena_str(arena, v->items[i].string);
    }
    return RC_OK;
}

/* ---- one form each: the text in the arena, or the empty span ---- */

static struct span
write_int(const bson_iter_t *id, struct arena *arena)
{
    int64_t number;
    bool is_exact;
    if (bson_iter_type(id) == BSON_TYPE_DECIMAL128 || !ing_bson_int(id, &number, &is_exact) ||
        !is_exact)
        return (struct span){0};
    return arena_printf(arena, "%lld", (long long)number);
}

static struct span
write_objectid(const bson_iter_t *id, struct arena *arena)
{
    char text[HEX_OBJECTID + 1];
    if (bson_iter_type(id) != BSON_TYPE_OID)
        return (struct span){0};
    bson_oid_to_string(bson_iter_oid(id), text);
    return arena_dup(arena, span_of(text, HEX_OBJECTID));
}

/* Repairing would make different ids equal, so a broken one is refused. */
static struct span
write_text(const bson_iter_t *id, struct arena *arena)
{
    uint32_t n;
    if (bson_iter_type(id) != BSON_TYPE_UTF8)
        return (struct span){0};
    const char *p = bson_iter_utf8(id, &n);
    struct span text = span_of(p, n);
    return utf8_valid_n(text) == text.n ? arena_dup(arena, text) : (struct span){0};
}

/* Whether a string could be taken for the text of another form. */
static bool
is_ambiguous(struct span text)
{
    unsigned char bytes[ULID_BYTES_N];
    int64_t number;
    size_t n_hex = 0;
    while (n_hex < text.n && strchr("0123456789abcdef", text.p[n_hex]) && text.p[n_hex])
        n_hex++;
    return text.p[0] == '"' || ulid_read(text, bytes) || span_i64(text, &number) ||
           (text.n == HEX_OBJECTID && n_hex == HEX_OBJECTID);
}

static struct span
write_any(const bson_iter_t *id, struct arena *arena)
{
    struct span text = ing_bson_ulid(id, arena);
    if (text.n == 0)
        text = write_objectid(id, arena);
    if (text.n == 0)
        text = write_int(id, arena);
    if (text.n > 0)
        return text;
    text = write_text(id, arena);
    if (text.n > 0 && is_ambiguous(text))
        return arena_printf(arena, "\"%.*s\"", SPAN_ARG(text));
    return text;
}

static struct span
write_parts(const struct ing_id_rule *rule, const bson_iter_t *id, struct arena *arena)
{
    char *text = arena_alloc(arena, rule->n_parts * (ULID_TEXT_N + 1));
    size_t n = 0;
    if (bson_iter_type(id) != BSON_TYPE_DOCUMENT)
        return (struct span){0};
    for (uint32_t i = 0; i < rule->n_parts; i++) {
        bson_iter_t part;
        if (!bson_iter_recurse(id, &part) || !bson_iter_find(&part, rule->parts[i]))
            return (struct span){0};
        const unsigned char *uuid = ing_bson_uuid(&part);
        if (!uuid)
            return (struct span){0};
        if (n > 0)
            text[n++] = ':';
        ulid_write(uuid, text + n);
        n += ULID_TEXT_N;
    }
    return span_of(text, n);
}

/* ---- edges: "<from>|<to>|<managed_by>" ---- */

/* Appends text that may hold the characters that part an edge's name, or be no UTF-8. */
static void
put_escaped(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80 || strchr("%:|", c)) /* strchr finds the NUL too */
            buf_printf(out, "%%%02x", c);
        else
            buf_putc(out, (char)c);
    }
}

/* Appends one value of a managed_by document; false for a type that no one writes there. */
static bool
put_manager_value(struct buf *out, const bson_iter_t *it)
{
    char text[ING_NODE_TEXT_MAX];
    const unsigned char *uuid = ing_bson_uuid(it);
    uint32_t n;
    if (bson_iter_type(it) == BSON_TYPE_UTF8) {
        const char *p = bson_iter_utf8(it, &n);
        put_escaped(out, span_of(p, n));
        return true;
    }
    size_t n_text = uuid ? (size_t)ULID_TEXT_N : ing_pair_write(it, text);
    if (uuid)
        ulid_write(uuid, text);
    buf_put(out, text, n_text);
    return n_text > 0;
}

/* Appends what a managed_by document holds, in the order of its keys. */
static bool
put_manager(struct buf *out, const bson_iter_t *manager)
{
    bson_iter_t at;
    if (bson_iter_type(manager) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(manager, &at))
        return false;
    for (bool is_first = true; bson_iter_next(&at); is_first = false) {
        if (!is_first)
            buf_putc(out, ':');
        if (!put_manager_value(out, &at))
            return false;
    }
    return true;
}

static struct span
write_edge(const bson_iter_t *id, struct arena *arena)
{
    bson_iter_t from, to, manager;
    char text[2 * ING_NODE_TEXT_MAX + 1];
    struct buf name = {0};
    struct span out = {0};
    if (bson_iter_type(id) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(id, &from) ||
        !bson_iter_recurse(id, &to) || !bson_iter_recurse(id, &manager) ||
        !bson_iter_find(&from, "from") || !bson_iter_find(&to, "to"))
        return out;
    size_t n = ing_node_write(&from, text);
    text[n] = '|';
    size_t n_to = ing_node_write(&to, text + n + 1);
    if (n == 0 || n_to == 0)
        return out;
    buf_put(&name, text, n + 1 + n_to);
    /* Absent and null are different ids to MongoDB. */
    bool has_manager = bson_iter_find(&manager, "managed_by");
    if (has_manager)
        buf_putc(&name, '|');
    if (!has_manager || bson_iter_type(&manager) == BSON_TYPE_NULL || put_manager(&name, &manager))
        out = arena_dup(arena, buf_span(&name));
    buf_fini(&name);
    return out;
}

enum rc
ing_id_write(const struct ing_id_rule *rule, const bson_iter_t *id, struct arena *arena,
             struct span *out, struct err *err)
{
    struct span text = {0};
    switch (rule->kind) {
    case ING_ID_ANY:
        text = write_any(id, arena);
        break;
    case ING_ID_ULID:
        text = ing_bson_ulid(id, arena);
        break;
    case ING_ID_TEXT:
        text = write_text(id, arena);
        break;
    case ING_ID_INT:
        text = write_int(id, arena);
        break;
    case ING_ID_OBJECTID:
        text = write_objectid(id, arena);
        break;
    case ING_ID_UUID:
        text = ing_bson_dashed(id, arena);
        break;
    case ING_ID_PARTS:
        text = write_parts(rule, id, arena);
        break;
    case ING_ID_EDGE:
        text = write_edge(id, arena);
        break;
    }
    if (text.n == 0 || text.n > IDX_ID_MAX)
        return err_set(err, RC_INVALID,
                       "an _id of BSON type 0x%02x cannot be named: it is of another form than "
                       "the profile says, empty, or longer than %d bytes",
                       (unsigned)bson_iter_type(id), IDX_ID_MAX);
    *out = text;
    return RC_OK;
}
