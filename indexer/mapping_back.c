/*
 * From search documents back to their sources: the BSON _id of a search id,
 * and which edges show in a collection's documents. For cascades, which find
 * documents in the index and must fetch them.
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
    case ING_ID_EDGE: /* several _ids may share a name's parts; edges are never looked up */
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
