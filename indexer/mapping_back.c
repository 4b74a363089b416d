/*
 * From search documents back to their sources: the BSON _id of a search id,
 * and which edges show in a collection's documents. For whoever finds documents
 * in the index and must fetch them: cascades, and verifying.
 */
#include "indexer/mapping_parts.h"

#include "base/ulid.h"

static bool
put_ulid(bson_t *out, const char *name, struct span text)
{
    unsigned char bytes[ULID_BYTES_N];
    return ulid_read(text, bytes) &&
           bson_append_binary(out, name, -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
}

static bool
put_int(bson_t *out, struct span text)
{
    int64_t number;
    return span_i64(text, &number) && bson_append_int64(out, "_id", 3, number);
}

static bool
put_oid(bson_t *out, struct span text)
{
    bson_oid_t oid;
    if (!bson_oid_is_valid(text.p, text.n))
        return false;
    bson_oid_init_from_string(&oid, text.p);
    return bson_append_oid(out, "_id", 3, &oid);
}

static bool
put_text(bson_t *out, struct span text)
{
    return bson_append_utf8(out, "_id", 3, text.p, (int)text.n);
}

/* The form with dashes, as ing_bson_dashed writes it. */
static bool
put_dashed(bson_t *out, struct span text)
{
    unsigned char bytes[ULID_BYTES_N] = {0};
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (c == '-')
            continue;
        if (digit < 0 || n >= 2 * sizeof bytes)
            return false;
        bytes[n / 2] = (unsigned char)(bytes[n / 2] << 4 | digit);
        n++;
    }
    return n == 2 * sizeof bytes &&
           bson_append_binary(out, "_id", 3, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
}

static bool
put_parts(bson_t *out, const struct ing_id_rule *rule, struct span text)
{
    bson_t id;
    bool is_ok = true;
    struct span rest = text;
    bson_append_document_begin(out, "_id", 3, &id);
    for (uint32_t i = 0; i < rule->n_parts; i++)
        is_ok = rest.p && put_ulid(&id, rule->parts[i], span_split(&rest, ':')) && is_ok;
    bson_append_document_end(out, &id);
    return is_ok && !rest.p;
}

static bool
put_any(bson_t *out, struct span text)
{
    if (put_ulid(out, "_id", text) || put_oid(out, text) || put_int(out, text))
        return true;
    if (text.n >= 2 && text.p[0] == '"')
        return put_text(out, span_of(text.p + 1, text.n - 2));
    return put_text(out, text);
}

/* ---- edges ---- */

enum manager_value { MANAGER_TEXT, MANAGER_UUID, MANAGER_PAIR };

/* Who manages an edge: the documents that the application writes. */
static const struct manager_row {
    const char *kind;
    uint32_t n;
    struct {
        const char *key;
        enum manager_value value;
    } keys[2];
} managers[] = {
    {"invoice_line_item", 2, {{"invoice_id", MANAGER_TEXT}, {"line_item_id", MANAGER_TEXT}}},
    {"subscription", 1, {{"subscription_id", MANAGER_PAIR}}},
    {"redeem_code", 1, {{"redeem_code_id", MANAGER_UUID}}},
    {"special_event", 1, {{"special_event_id", MANAGER_UUID}}},
    {"all_cosmetics", 0, {{NULL, MANAGER_TEXT}}},
};

static unsigned
hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* What put_escaped of mapping_id.c wrote. */
static bool
put_unescaped(bson_t *out, const char *key, struct span text)
{
    struct buf plain = {0};
    for (size_t i = 0; i < text.n; i++) {
        bool is_escape = text.p[i] == '%' && i + 2 < text.n;
        unsigned char c = (unsigned char)text.p[i];
        if (is_escape)
            c = (unsigned char)(hex_digit(text.p[i + 1]) << 4 | hex_digit(text.p[i + 2]));
        buf_putc(&plain, (char)c);
        i += is_escape ? 2 : 0;
    }
    bool is_ok = bson_append_utf8(out, key, -1, plain.n ? plain.p : "", (int)plain.n);
    buf_fini(&plain);
    return is_ok;
}

/* Takes the value's text from *rest and appends it. */
static bool
put_manager_value(bson_t *out, const char *key, enum manager_value value, struct span *rest)
{
    struct span text = *rest;
    if (value == MANAGER_PAIR) { /* holds a colon itself */
        *rest = (struct span){0};
        return ing_pair_put(out, key, text);
    }
    text = span_split(rest, ':');
    return value == MANAGER_UUID ? put_ulid(out, key, text) : put_unescaped(out, key, text);
}

static bool
put_manager(bson_t *out, struct span text)
{
    struct span rest = text, kind = span_split(&rest, ':');
    bson_t doc;
    for (size_t i = 0; i < ARRAY_SIZE(managers); i++) {
        const struct manager_row *row = &managers[i];
        if (!span_eq_str(kind, row->kind))
            continue;
        bool is_ok = true;
        bson_append_document_begin(out, "managed_by", -1, &doc);
        bson_append_utf8(&doc, "kind", -1, row->kind, -1);
        for (uint32_t k = 0; is_ok && k < row->n; k++)
            is_ok = rest.p && put_manager_value(&doc, row->keys[k].key, row->keys[k].value, &rest);
        bson_append_document_end(out, &doc);
        return is_ok && !rest.p;
    }
    return false;
}

static bool
put_edge(bson_t *out, struct span text)
{
    struct span rest = text, from = span_split(&rest, '|'), to = {0};
    bson_t id;
    if (rest.p)
        to = span_split(&rest, '|');
    bson_append_document_begin(out, "_id", 3, &id);
    bool is_ok = ing_node_put(&id, "from", from) && ing_node_put(&id, "to", to);
    if (is_ok && rest.p)
        is_ok = rest.n ? put_manager(&id, rest) : bson_append_null(&id, "managed_by", -1);
    bson_append_document_end(out, &id);
    return is_ok;
}

bool
ing_mapping_bson_id(const struct ing_mapping *m, struct span id, bson_t *out)
{
    /* The text functions want a NUL behind. */
    char text[IDX_ID_MAX + 1];
    if (id.n == 0 || id.n > IDX_ID_MAX)
        return false;
    memcpy(text, id.p, id.n);
    text[id.n] = 0;
    struct span copy = span_of(text, id.n);
    switch (m->id.kind) {
    case ING_ID_ANY:
        return put_any(out, copy);
    case ING_ID_ULID:
        return put_ulid(out, "_id", copy);
    case ING_ID_TEXT:
        return put_text(out, copy);
    case ING_ID_INT:
        return put_int(out, copy);
    case ING_ID_OBJECTID:
        return put_oid(out, copy);
    case ING_ID_UUID:
        return put_dashed(out, copy);
    case ING_ID_PARTS:
        return put_parts(out, &m->id, copy);
    case ING_ID_EDGE:
        return put_edge(out, copy);
    default:
        return false;
    }
}

static struct span
path_of(const struct sch_field *f)
{
    return json_get_str(f->source, "path", (struct span){0});
}

struct span
ing_mapping_grants(const struct ing_mapping *m, int32_t *by_field)
{
    const struct sch_collection *c = m->schema;
    *by_field = -1;
    for (uint32_t i = 0; i < c->n_fields; i++) {
        if (m->rules[i].as != ING_AS_GRANTS)
            continue;
        struct span path = path_of(&c->fields[i]);
        for (uint32_t k = 0; k < c->n_fields && !span_eq_str(path, "_id"); k++) {
            if (k != i && (c->fields[k].flags & SCH_EXACT) && span_eq(path_of(&c->fields[k]), path))
                *by_field = (int32_t)k;
        }
        return m->rules[i].node;
    }
    return (struct span){0};
}
