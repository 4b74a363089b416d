/*
 * The kinds of nodes as one table. Whatever reads or writes a node's name goes
 * through here, because names are compared as bytes everywhere else.
 */
#include "indexer/node.h"

#include "base/must.h"
#include "base/ulid.h"

struct kind_row {
    const char *name;
    const char *id_key; /* of the BSON document; NULL: no id */
    bool may_expand;
};

static const struct kind_row kinds[ING_NODE_KIND_N] = {
    [ING_NODE_USER] = {"user", "user_id", true},
    [ING_NODE_ROLE] = {"role", "role_id", true},
    [ING_NODE_BADGE] = {"badge", "badge_id", false},
    [ING_NODE_PAINT] = {"paint", "paint_id", false},
    [ING_NODE_EMOTE_SET] = {"emote_set", "emote_set_id", false},
    [ING_NODE_PRODUCT] = {"product", "product_id", true},
    [ING_NODE_SUBSCRIPTION_BENEFIT] = {"subscription_benefit", "subscription_benefit_id", true},
    [ING_NODE_SUBSCRIPTION] = {"subscription", "subscription_id", true},
    [ING_NODE_SPECIAL_EVENT] = {"special_event", "special_event_id", true},
    [ING_NODE_GLOBAL_DEFAULT] = {"global_default_entitlement_group", NULL, true},
};

enum ing_node_kind
ing_node_kind(struct span name)
{
    size_t n = span_find(name, 0, ':');
    for (unsigned i = 0; i < ING_NODE_KIND_N; i++) {
        if (span_eq_str(span_of(name.p, n), kinds[i].name))
            return (enum ing_node_kind)i;
    }
    return ING_NODE_KIND_N;
}

struct span
ing_node_id(struct span name)
{
    size_t n = span_find(name, 0, ':');
    return n < name.n ? span_from(name, n + 1) : (struct span){0};
}

bool
ing_node_may_expand(enum ing_node_kind kind)
{
    return kind < ING_NODE_KIND_N && kinds[kind].may_expand;
}

int
ing_node_compare(struct span a, struct span b)
{
    enum ing_node_kind x = ing_node_kind(a), y = ing_node_kind(b);
    if (x != y)
        return x < y ? -1 : 1;
    return span_cmp(a, b);
}

const unsigned char *
ing_bson_uuid(const bson_iter_t *it)
{
    bson_subtype_t subtype;
    uint32_t n;
    const uint8_t *p = NULL;
    if (bson_iter_type(it) != BSON_TYPE_BINARY)
        return NULL;
    bson_iter_binary(it, &subtype, &n, &p);
    return subtype == BSON_SUBTYPE_UUID && n == ULID_BYTES_N ? p : NULL;
}

/* Appends a UUID as ULID text; 0 if it is none, else the new length. */
static size_t
put_ulid(const bson_iter_t *it, char *text, size_t n)
{
    const unsigned char *id = ing_bson_uuid(it);
    if (!id)
        return 0;
    ulid_write(id, text + n);
    return n + ULID_TEXT_N;
}

/* A subscription's id is a document of two ids. */
static size_t
put_pair(const bson_iter_t *it, char *text, size_t n)
{
    bson_iter_t user, product;
    if (bson_iter_type(it) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(it, &user) ||
        !bson_iter_recurse(it, &product) || !bson_iter_find(&user, "user_id") ||
        !bson_iter_find(&product, "product_id"))
        return 0;
    n = put_ulid(&user, text, n);
    if (n == 0)
        return 0;
    text[n++] = ':';
    return put_ulid(&product, text, n);
}

size_t
ing_pair_write(const bson_iter_t *it, char text[ING_NODE_TEXT_MAX])
{
    return put_pair(it, text, 0);
}

size_t
ing_node_write(const bson_iter_t *it, char text[ING_NODE_TEXT_MAX])
{
    bson_iter_t at, id;
    uint32_t length;
    if (bson_iter_type(it) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(it, &at) ||
        !bson_iter_recurse(it, &id) || !bson_iter_find(&at, "kind") ||
        bson_iter_type(&at) != BSON_TYPE_UTF8)
        return 0;
    const char *kind_text = bson_iter_utf8(&at, &length);
    enum ing_node_kind kind = ing_node_kind(span_of(kind_text, length));
    /* With a colon it would be a name already, not a kind. */
    if (kind == ING_NODE_KIND_N || strlen(kinds[kind].name) != length)
        return 0;
    memcpy(text, kind_text, length);
    if (!kinds[kind].id_key)
        return length;
    if (!bson_iter_find(&id, kinds[kind].id_key))
        return 0;
    text[length] = ':';
    size_t n = (size_t)length + 1;
    return kind == ING_NODE_SUBSCRIPTION ? put_pair(&id, text, n) : put_ulid(&id, text, n);
}

bool
ing_pair_put(bson_t *out, const char *key, struct span text)
{
    unsigned char user[ULID_BYTES_N], product[ULID_BYTES_N];
    bson_t pair;
    if (text.n != 2 * ULID_TEXT_N + 1 || text.p[ULID_TEXT_N] != ':' ||
        !ulid_read(span_of(text.p, ULID_TEXT_N), user) ||
        !ulid_read(span_from(text, ULID_TEXT_N + 1), product))
        return false;
    bson_append_document_begin(out, key, -1, &pair);
    bson_append_binary(&pair, "user_id", -1, BSON_SUBTYPE_UUID, user, sizeof user);
    bson_append_binary(&pair, "product_id", -1, BSON_SUBTYPE_UUID, product, sizeof product);
    bson_append_document_end(out, &pair);
    return true;
}

bool
ing_node_put(bson_t *out, const char *key, struct span name)
{
    enum ing_node_kind kind = ing_node_kind(name);
    struct span id = ing_node_id(name);
    unsigned char bytes[ULID_BYTES_N];
    bson_t doc;
    if (kind == ING_NODE_KIND_N)
        return false;
    const char *id_key = kinds[kind].id_key;
    bson_append_document_begin(out, key, -1, &doc);
    bson_append_utf8(&doc, "kind", -1, kinds[kind].name, -1);
    bool is_known = id.n == 0;
    if (kind == ING_NODE_SUBSCRIPTION)
        is_known = ing_pair_put(&doc, id_key, id);
    else if (id_key)
        is_known = ulid_read(id, bytes) &&
                   bson_append_binary(&doc, id_key, -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
    bson_append_document_end(out, &doc);
    return is_known;
}
