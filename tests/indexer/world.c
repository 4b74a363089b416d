/* A small world of emotes, sets, roles, users and what they are entitled to. */
#include "tests/indexer/world.h"

#include "base/clock.h"
#include "base/ulid.h"

void
world_id(char letter, unsigned number, unsigned char out[WORLD_ID_N])
{
    memset(out, 0, WORLD_ID_N);
    out[0] = 0x01;
    out[1] = 0x85;
    out[6] = (unsigned char)letter;
    for (int i = 0; i < 4; i++)
        out[15 - i] = (unsigned char)(number >> (8 * i));
}

const char *
world_text(char letter, unsigned number, char out[27])
{
    unsigned char id[WORLD_ID_N];
    world_id(letter, number, id);
    ulid_write(id, out);
    out[26] = 0;
    return out;
}

static void
put_id(bson_t *doc, const char *name, char letter, unsigned number)
{
    unsigned char id[WORLD_ID_N];
    world_id(letter, number, id);
    bson_append_binary(doc, name, -1, BSON_SUBTYPE_UUID, id, sizeof id);
}

static void
put_dates(bson_t *doc)
{
    bson_append_date_time(doc, "updated_at", -1, (int64_t)(clock_wall_us() / 1000));
    bson_append_null(doc, "search_updated_at", -1);
}

static void
replace(struct rig *r, const char *collection, bson_t *doc)
{
    bson_error_t error;
    bson_t filter = BSON_INITIALIZER, *opts = BCON_NEW("upsert", BCON_BOOL(true));
    bson_iter_t at;
    must(bson_iter_init_find(&at, doc, "_id"));
    bson_append_iter(&filter, "_id", -1, &at);
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, collection);
    must(mongoc_collection_replace_one(c, &filter, doc, opts, NULL, &error));
    mongoc_collection_destroy(c);
    bson_destroy(opts);
    bson_destroy(&filter);
    bson_destroy(doc);
}

static void
fill_emote(bson_t *doc, unsigned number, const char *name, int score, int n_images)
{
    static const char *const scores[] = {"trending_day", "trending_week", "trending_month",
                                         "top_daily",    "top_weekly",    "top_monthly",
                                         "top_all_time"};
    bson_t part, item;
    put_id(doc, "_id", 'e', number);
    put_id(doc, "owner_id", 'u', number % 7);
    bson_append_utf8(doc, "default_name", -1, name, -1);
    bson_append_array_begin(doc, "tags", -1, &part);
    bson_append_utf8(&part, "0", -1, "tag", -1);
    bson_append_array_end(doc, &part);
    bson_append_array_begin(doc, "image_set", -1, &part);
    for (int i = 0; i < n_images; i++) {
        char index[16];
        snprintf(index, sizeof index, "%d", i);
        bson_append_document_begin(&part, index, -1, &item);
        bson_append_utf8(&item, "path", -1, "emote/01GMFRJA800007JWKSWBEWV3C9/4x.webp", -1);
        bson_append_int64(&item, "size", -1, 12345);
        bson_append_int32(&item, "width", -1, 128);
        bson_append_document_end(&part, &item);
    }
    bson_append_array_end(doc, &part);
    bson_append_int32(doc, "flags", -1, (int)(number % 128));
    bson_append_double(doc, "aspect_ratio", -1, 1.5);
    bson_append_array_begin(doc, "attribution", -1, &part);
    bson_append_array_end(doc, &part);
    bson_append_null(doc, "merged", -1);
    bson_append_document_begin(doc, "scores", -1, &part);
    for (size_t i = 0; i < ARRAY_SIZE(scores); i++)
        bson_append_int32(&part, scores[i], -1, score);
    bson_append_document_end(doc, &part);
    bson_append_bool(doc, "deleted", -1, false);
    put_dates(doc);
}

void
world_emote(struct rig *r, unsigned number, const char *name, int score)
{
    bson_t doc = BSON_INITIALIZER;
    fill_emote(&doc, number, name, score, 2);
    replace(r, "emotes", &doc);
}

void
world_emotes(struct rig *r, unsigned first, unsigned n)
{
    bson_error_t error;
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, "emotes");
    for (unsigned i = 0; i < n;) {
        mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(c, NULL);
        for (unsigned k = 0; k < 1000 && i < n; k++, i++) {
            char name[32];
            bson_t doc = BSON_INITIALIZER;
            snprintf(name, sizeof name, "emote%uName", first + i);
            fill_emote(&doc, first + i, name, (int)(i % 1000), 12);
            mongoc_bulk_operation_insert(bulk, &doc);
            bson_destroy(&doc);
        }
        must(mongoc_bulk_operation_execute(bulk, NULL, &error));
        mongoc_bulk_operation_destroy(bulk);
    }
    mongoc_collection_destroy(c);
}

void
world_role(struct rig *r, unsigned number, int rank, bool is_hoisted)
{
    bson_t doc = BSON_INITIALIZER, part;
    put_id(&doc, "_id", 'r', number);
    bson_append_utf8(&doc, "name", -1, "role", -1);
    bson_append_null(&doc, "description", -1);
    bson_append_array_begin(&doc, "tags", -1, &part);
    bson_append_array_end(&doc, &part);
    put_id(&doc, "created_by", 'u', 1);
    bson_append_bool(&doc, "hoist", -1, is_hoisted);
    bson_append_int32(&doc, "color", -1, 7);
    bson_append_int32(&doc, "rank", -1, rank);
    bson_append_null(&doc, "applied_rank", -1);
    put_dates(&doc);
    replace(r, "roles", &doc);
}

void
world_set(struct rig *r, unsigned number, unsigned first, unsigned n)
{
    bson_t doc = BSON_INITIALIZER, part, item;
    put_id(&doc, "_id", 's', number);
    bson_append_utf8(&doc, "name", -1, "a set", -1);
    bson_append_array_begin(&doc, "tags", -1, &part);
    bson_append_array_end(&doc, &part);
    bson_append_array_begin(&doc, "emotes", -1, &part);
    for (unsigned i = 0; i < n; i++) {
        char index[16];
        snprintf(index, sizeof index, "%u", i);
        bson_append_document_begin(&part, index, -1, &item);
        put_id(&item, "id", 'e', first + i);
        bson_append_utf8(&item, "alias", -1, "alias", -1);
        bson_append_document_end(&part, &item);
    }
    bson_append_array_end(&doc, &part);
    bson_append_int32(&doc, "capacity", -1, 600);
    put_id(&doc, "owner_id", 'u', number);
    bson_append_null(&doc, "origin_config", -1);
    bson_append_int32(&doc, "kind", -1, 0);
    bson_append_bool(&doc, "emotes_changed_since_reindex", -1, true);
    put_dates(&doc);
    replace(r, "emote_sets", &doc);
}

void
world_user(struct rig *r, unsigned number, unsigned set, const char *twitch_name)
{
    bson_t doc = BSON_INITIALIZER, part, item;
    put_id(&doc, "_id", 'u', number);
    bson_append_utf8(&doc, "email", -1, "user@example.org", -1);
    bson_append_bool(&doc, "email_verified", -1, true);
    bson_append_bool(&doc, "has_bans", -1, false);
    bson_append_null(&doc, "two_fa", -1);
    bson_append_document_begin(&doc, "style", -1, &part);
    if (set)
        put_id(&part, "active_emote_set_id", 's', set);
    else
        bson_append_null(&part, "active_emote_set_id", -1);
    put_id(&part, "active_badge_id", 'b', number % 5);
    bson_append_null(&part, "active_paint_id", -1);
    bson_append_document_end(&doc, &part);
    bson_append_array_begin(&doc, "connections", -1, &part);
    bson_append_document_begin(&part, "0", -1, &item);
    bson_append_int32(&item, "platform", -1, 0);
    bson_append_utf8(&item, "platform_id", -1, "12345", -1);
    bson_append_utf8(&item, "platform_username", -1, twitch_name, -1);
    bson_append_utf8(&item, "platform_display_name", -1, twitch_name, -1);
    bson_append_document_end(&part, &item);
    bson_append_array_end(&doc, &part);
    bson_append_document_begin(&doc, "cached", -1, &part);
    bson_append_int32(&part, "role_rank", -1, 0);
    bson_append_int32(&part, "role_hoist_rank", -1, 0);
    bson_append_document_end(&doc, &part);
    put_dates(&doc);
    replace(r, "users", &doc);
}

void
world_product(struct rig *r, unsigned number)
{
    bson_t doc = BSON_INITIALIZER, part;
    put_id(&doc, "_id", 'p', number);
    bson_append_utf8(&doc, "provider_id", -1, "price_1", -1);
    bson_append_bool(&doc, "active", -1, true);
    bson_append_utf8(&doc, "name", -1, "product", -1);
    bson_append_utf8(&doc, "default_currency", -1, "usd", -1);
    bson_append_document_begin(&doc, "currency_prices", -1, &part);
    bson_append_int64(&part, "usd", -1, 499);
    bson_append_document_end(&doc, &part);
    bson_append_date_time(&doc, "created_at", -1, 1700000000000);
    put_dates(&doc);
    replace(r, "products", &doc);
}

static void
remove_one(struct rig *r, const char *collection, bson_t *filter)
{
    bson_error_t error;
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, collection);
    must(mongoc_collection_delete_one(c, filter, NULL, NULL, &error));
    mongoc_collection_destroy(c);
    bson_destroy(filter);
}

void
world_remove(struct rig *r, const char *collection, char letter, unsigned number)
{
    bson_t filter = BSON_INITIALIZER;
    put_id(&filter, "_id", letter, number);
    remove_one(r, collection, &filter);
}

bool
world_has(struct rig *r, const char *collection, char letter, unsigned number, const char *text)
{
    struct arena arena = {0};
    char id[27];
    struct span doc = rig_doc(r, collection, span_str(world_text(letter, number, id)), &arena);
    bool has = doc.p && strstr(doc.p, text);
    if (!has)
        printf("(no %s in %.*s)\n", text, SPAN_ARG(doc));
    arena_fini(&arena);
    return has;
}

static void
put_node(bson_t *doc, const char *name, char letter, unsigned number)
{
    static const struct {
        char letter;
        const char *kind, *id_name;
    } rows[] = {
        {'u', "user", "user_id"},           {'r', "role", "role_id"},
        {'b', "badge", "badge_id"},         {'p', "product", "product_id"},
        {'s', "emote_set", "emote_set_id"}, {'g', "global_default_entitlement_group", NULL}};
    bson_t node;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].letter != letter)
            continue;
        bson_append_document_begin(doc, name, -1, &node);
        bson_append_utf8(&node, "kind", -1, rows[i].kind, -1);
        if (rows[i].id_name)
            put_id(&node, rows[i].id_name, letter, number);
        bson_append_document_end(doc, &node);
        return;
    }
    must(letter == 0); /* no such letter */
}

static void
fill_edge(bson_t *doc, char from, unsigned from_number, char to, unsigned to_number)
{
    bson_t id;
    bson_append_document_begin(doc, "_id", -1, &id);
    put_node(&id, "from", from, from_number);
    put_node(&id, "to", to, to_number);
    bson_append_null(&id, "managed_by", -1);
    bson_append_document_end(doc, &id);
}

void
world_edge(struct rig *r, char from, unsigned from_number, char to, unsigned to_number)
{
    bson_t doc = BSON_INITIALIZER;
    fill_edge(&doc, from, from_number, to, to_number);
    replace(r, "entitlement_edges", &doc);
}

void
world_unedge(struct rig *r, char from, unsigned from_number, char to, unsigned to_number)
{
    bson_t filter = BSON_INITIALIZER;
    fill_edge(&filter, from, from_number, to, to_number);
    remove_one(r, "entitlement_edges", &filter);
}

static void
change_edge(struct rig *r, struct rng *rng)
{
    static const char froms[] = "uurpg", tos[] = "rbps";
    char from = froms[rng_below(rng, 5)], to = tos[rng_below(rng, 4)];
    unsigned a = from == 'g' ? 0 : (unsigned)rng_below(rng, from == 'u' ? 30 : 4);
    unsigned b = (unsigned)rng_below(rng, 4);
    if (rng_below(rng, 3))
        world_edge(r, from, a, to, b);
    else
        world_unedge(r, from, a, to, b);
}

void
world_change(struct rig *r, struct rng *rng)
{
    unsigned n = (unsigned)rng_below(rng, 30);
    char name[32];
    snprintf(name, sizeof name, "name%u", (unsigned)rng_below(rng, 100));
    switch (rng_below(rng, 12)) {
    case 0:
    case 1:
        world_emote(r, n, name, (int)n);
        break;
    case 2:
        world_remove(r, "emotes", 'e', n);
        break;
    case 3:
        world_role(r, n % 4, (int)(n % 4 * 10 + rng_below(rng, 10)), rng_below(rng, 2));
        break;
    case 4:
        world_remove(r, "roles", 'r', n % 4);
        break;
    case 5:
        world_set(r, n % 4 + 1, (unsigned)rng_below(rng, 10), (unsigned)rng_below(rng, 20));
        break;
    case 6:
        world_remove(r, "emote_sets", 's', n % 4 + 1);
        break;
    case 7:
    case 8:
        world_user(r, n, (unsigned)rng_below(rng, 5), name);
        break;
    case 9:
        if (rng_below(rng, 2))
            world_remove(r, "users", 'u', n);
        else
            world_product(r, n % 4);
        break;
    default:
        change_edge(r, rng);
        break;
    }
}

void
world_fill(struct rig *r)
{
    world_emotes(r, 0, 300);
    world_role(r, 1, 10, true);
    world_set(r, 1, 5, 3);
    world_user(r, 1, 1, "one");
    world_user(r, 2, 0, "two");
    world_edge(r, 'u', 1, 'r', 1);
    world_edge(r, 'r', 1, 'b', 1);
}
