/*
 * Documents as the application writes them (field names, types and order of
 * the 7TV data model), so that what is measured is what is met in production:
 * image sets that search ignores, sets from empty to a thousand entries, long
 * tails of popularity.
 */
#include "bench/corpus.h"

#include <math.h>
#include <stdio.h>

#include "base/hash.h"

enum { ROLES_MAX = 60, EPOCH_S = 1546300800, SPAN_S = 240000000 /* 2019 to 2026 */ };

static const char *const COLLECTIONS[CORPUS_KIND_N] = {"emotes", "users", "emote_sets", "roles",
                                                       "entitlement_edges"};

uint64_t
corpus_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t
below(uint64_t *state, uint64_t n)
{
    return corpus_random(state) % n;
}

/* Many small, few large: n * u^power. */
static uint32_t
skewed(uint64_t *state, uint32_t n, double power)
{
    double u = (double)(corpus_random(state) >> 11) / 9007199254740992.0;
    return (uint32_t)(pow(u, power) * n);
}

static uint64_t
state_of(const struct corpus *c, enum corpus_kind kind, uint32_t i)
{
    uint64_t state = c->options.seed * 1000003u + (uint64_t)kind * 7919u;
    state ^= (uint64_t)i << 20;
    (void)corpus_random(&state); /* neighbouring seeds part ways */
    return state;
}

const char *
corpus_collection(enum corpus_kind kind)
{
    return COLLECTIONS[kind];
}

uint32_t
corpus_n(const struct corpus *c, enum corpus_kind kind)
{
    const uint32_t n[CORPUS_KIND_N] = {c->options.n_emotes, c->options.n_users, c->options.n_sets,
                                       c->n_roles, c->options.n_edges};
    return n[kind];
}

/* The file is grouped by source: the names that people know best come first. */
static int
compare_fame(const void *a, const void *b)
{
    const struct bench_name *x = a, *y = b;
    uint64_t fame_x = x->n_tags ? UINT64_MAX : x->popularity;
    uint64_t fame_y = y->n_tags ? UINT64_MAX : y->popularity;
    if (fame_x != fame_y)
        return fame_x > fame_y ? -1 : 1;
    uint64_t hash_x = hash64(x->name), hash_y = hash64(y->name);
    return hash_x < hash_y ? -1 : hash_x > hash_y;
}

enum rc
corpus_open(const struct corpus_options *options, struct corpus *out, struct err *err)
{
    static const char *const FILES[] = {"emotes_real.jsonl.gz", "handles_real.jsonl.gz",
                                        "roles_real.jsonl"};
    struct corpus c = {.options = *options};
    struct bench_names *const lists[] = {&c.emotes, &c.users, &c.roles};
    for (size_t i = 0; i < ARRAY_SIZE(FILES); i++) {
        struct span path = arena_printf(&c.arena, "%s/%s", options->data_dir, FILES[i]);
        enum rc rc = bench_names_read(path.p, &c.arena, lists[i], err);
        if (rc != RC_OK) {
            arena_fini(&c.arena);
            return rc;
        }
    }
    qsort(c.emotes.v, c.emotes.n, sizeof *c.emotes.v, compare_fame);
    c.n_roles = c.roles.n < ROLES_MAX ? (uint32_t)c.roles.n : ROLES_MAX;
    *out = c;
    return RC_OK;
}

void
corpus_close(struct corpus *c)
{
    arena_fini(&c->arena);
}

/* The time of document i: spread over the years, in the order of i. */
static uint64_t
time_ms(const struct corpus *c, enum corpus_kind kind, uint32_t i)
{
    uint32_t n = corpus_n(c, kind);
    return (EPOCH_S + (uint64_t)((double)i / (n ? n : 1) * SPAN_S)) * 1000 + i % 1000;
}

void
corpus_id(const struct corpus *c, enum corpus_kind kind, uint32_t i, unsigned char out[16])
{
    uint64_t state = state_of(c, kind, i), ms = time_ms(c, kind, i);
    uint64_t a = corpus_random(&state), b = corpus_random(&state);
    for (int k = 0; k < 6; k++)
        out[k] = (unsigned char)(ms >> (8 * (5 - k)));
    memcpy(out + 6, &a, 8);
    memcpy(out + 14, &b, 2);
}

/* ---- small pieces ---- */

static void
put_uuid(bson_t *b, const char *key, const unsigned char id[16])
{
    bson_append_binary(b, key, -1, BSON_SUBTYPE_UUID, id, 16);
}

static void
put_id_of(bson_t *b, const char *key, const struct corpus *c, enum corpus_kind kind, uint32_t i)
{
    unsigned char id[16];
    corpus_id(c, kind, i, id);
    put_uuid(b, key, id);
}

static void
put_name(bson_t *b, const char *key, struct span s)
{
    bson_append_utf8(b, key, -1, s.p, (int)s.n);
}

/* Beyond the real names, numbered variants of them. */
static struct span
nth_name(const struct bench_names *names, uint32_t i, char room[128])
{
    const struct bench_name *name = &names->v[i % names->n];
    if (i < names->n)
        return name->name;
    int n = snprintf(room, 128, "%.*s%u", SPAN_ARG(name->name), (unsigned)(i / names->n));
    return span_of(room, (size_t)n);
}

static void
put_tags(bson_t *b, const struct bench_name *name)
{
    bson_t tags;
    char room[16];
    const char *key;
    BSON_APPEND_ARRAY_BEGIN(b, "tags", &tags);
    for (uint32_t i = 0; i < name->n_tags; i++) {
        bson_uint32_to_string(i, &key, room, sizeof room);
        put_name(&tags, key, name->tags[i]);
    }
    bson_append_array_end(b, &tags);
}

static void
put_timestamps(bson_t *b, uint64_t ms)
{
    BSON_APPEND_DATE_TIME(b, "updated_at", (int64_t)ms);
    BSON_APPEND_NULL(b, "search_updated_at");
}

/* ---- emotes ---- */

static void
put_images(bson_t *b, uint64_t *state, uint32_t n, const unsigned char id[16])
{
    static const char *const MIMES[] = {"image/webp", "image/avif", "image/gif", "image/png"};
    bson_t set, input, outputs;
    BSON_APPEND_DOCUMENT_BEGIN(b, "image_set", &set);
    BSON_APPEND_DOCUMENT_BEGIN(&set, "input", &input);
    BSON_APPEND_UTF8(&input, "type", "image");
    bson_append_document_end(&set, &input);
    BSON_APPEND_ARRAY_BEGIN(&set, "outputs", &outputs);
    for (uint32_t i = 0; i < n; i++) {
        bson_t image;
        char room[16], path[80];
        const char *key;
        uint64_t hash = hash64(span_of((const char *)id, 16));
        bson_uint32_to_string(i, &key, room, sizeof room);
        snprintf(path, sizeof path, "emote/%016llx/%ux.%u", (unsigned long long)hash, i % 4 + 1, i);
        BSON_APPEND_DOCUMENT_BEGIN(&outputs, key, &image);
        BSON_APPEND_UTF8(&image, "path", path);
        BSON_APPEND_UTF8(&image, "mime", MIMES[below(state, ARRAY_SIZE(MIMES))]);
        BSON_APPEND_INT64(&image, "size", (int64_t)below(state, 200000));
        BSON_APPEND_INT32(&image, "width", (int)(32 * (i % 4 + 1)));
        BSON_APPEND_INT32(&image, "height", (int)(32 * (i % 4 + 1)));
        BSON_APPEND_INT32(&image, "scale", (int)(i % 4 + 1));
        BSON_APPEND_INT32(&image, "frame_count", (int)below(state, 60) + 1);
        bson_append_document_end(&outputs, &image);
    }
    bson_append_array_end(&set, &outputs);
    bson_append_document_end(b, &set);
}

static void
put_scores(bson_t *b, uint64_t *state, uint32_t popularity)
{
    bson_t scores;
    int top = (int)(popularity ? popularity % 2000000 : skewed(state, 100000, 9));
    int monthly = (int)below(state, (uint64_t)top + 1),
        weekly = (int)below(state, (uint64_t)monthly + 1);
    BSON_APPEND_DOCUMENT_BEGIN(b, "scores", &scores);
    BSON_APPEND_INT32(&scores, "trending_day", weekly > 100 ? (int)below(state, 1000000) : 0);
    BSON_APPEND_INT32(&scores, "trending_week", monthly > 200 ? (int)below(state, 1000000) : 0);
    BSON_APPEND_INT32(&scores, "trending_month", top > 500 ? (int)below(state, 1000000) : 0);
    BSON_APPEND_INT32(&scores, "top_daily", (int)below(state, (uint64_t)weekly + 1));
    BSON_APPEND_INT32(&scores, "top_weekly", weekly);
    BSON_APPEND_INT32(&scores, "top_monthly", monthly);
    BSON_APPEND_INT32(&scores, "top_all_time", top);
    bson_append_document_end(b, &scores);
}

static void
put_emote(const struct corpus *c, uint32_t i, uint64_t *state, bson_t *b)
{
    const struct bench_name *name = &c->emotes.v[i % c->emotes.n];
    unsigned char id[16];
    char room[128];
    bson_t attribution;
    corpus_id(c, CORPUS_EMOTES, i, id);
    put_uuid(b, "_id", id);
    put_id_of(b, "owner_id", c, CORPUS_USERS, skewed(state, c->options.n_users, 2));
    put_name(b, "default_name", nth_name(&c->emotes, i, room));
    put_tags(b, name);
    put_images(b, state, 1 + skewed(state, c->options.images_max, 1.5), id);
    int flags = (below(state, 100) < 80) | (below(state, 100) < 3) << 1 |
                (below(state, 100) < 4) << 2 | (below(state, 100) < 5) << 3 |
                (below(state, 100) < 40) << 4 | (below(state, 100) < 45) << 6;
    BSON_APPEND_INT32(b, "flags", flags);
    BSON_APPEND_DOUBLE(b, "aspect_ratio",
                       below(state, 3) ? 1.0 : 0.5 + (double)below(state, 300) / 100);
    BSON_APPEND_ARRAY_BEGIN(b, "attribution", &attribution);
    bson_append_array_end(b, &attribution);
    if (below(state, 100) == 0) {
        bson_t merged;
        BSON_APPEND_DOCUMENT_BEGIN(b, "merged", &merged);
        put_id_of(&merged, "target_id", c, CORPUS_EMOTES,
                  (uint32_t)below(state, c->options.n_emotes));
        BSON_APPEND_DATE_TIME(&merged, "at", (int64_t)time_ms(c, CORPUS_EMOTES, i));
        bson_append_document_end(b, &merged);
    } else {
        BSON_APPEND_NULL(b, "merged");
    }
    put_scores(b, state, name->popularity);
    BSON_APPEND_BOOL(b, "deleted", below(state, 100) < 3);
    put_timestamps(b, time_ms(c, CORPUS_EMOTES, i));
}

/* ---- emote sets ---- */

static void
put_set(const struct corpus *c, uint32_t i, uint64_t *state, bson_t *b)
{
    char room[128], alias_room[128];
    const char *key;
    bson_t entries, entry, tags;
    put_id_of(b, "_id", c, CORPUS_SETS, i);
    struct span owner = nth_name(&c->users, i, room);
    char title[180];
    snprintf(title, sizeof title, "%.*s's Emotes", SPAN_ARG(owner));
    BSON_APPEND_UTF8(b, "name", title);
    BSON_APPEND_NULL(b, "description");
    BSON_APPEND_ARRAY_BEGIN(b, "tags", &tags);
    bson_append_array_end(b, &tags);
    uint32_t n = c->options.n_emotes ? skewed(state, c->options.set_entries_max + 1, 4) : 0;
    BSON_APPEND_ARRAY_BEGIN(b, "emotes", &entries);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t emote = skewed(state, c->options.n_emotes, 3);
        char number[16];
        bson_uint32_to_string(k, &key, number, sizeof number);
        BSON_APPEND_DOCUMENT_BEGIN(&entries, key, &entry);
        put_id_of(&entry, "id", c, CORPUS_EMOTES, emote);
        put_name(&entry, "alias", nth_name(&c->emotes, emote, alias_room));
        BSON_APPEND_DATE_TIME(&entry, "added_at", (int64_t)time_ms(c, CORPUS_SETS, i));
        BSON_APPEND_INT32(&entry, "flags", 0);
        bson_append_document_end(&entries, &entry);
    }
    bson_append_array_end(b, &entries);
    BSON_APPEND_INT32(b, "capacity", (int)(n < 600 ? 600 : 1000));
    put_id_of(b, "owner_id", c, CORPUS_USERS, c->options.n_users ? i % c->options.n_users : 0);
    BSON_APPEND_NULL(b, "origin_config");
    BSON_APPEND_INT32(b, "kind", 0);
    BSON_APPEND_BOOL(b, "emotes_changed_since_reindex", false);
    put_timestamps(b, time_ms(c, CORPUS_SETS, i));
}

/* ---- roles, users, edges ---- */

static void
put_role(const struct corpus *c, uint32_t i, uint64_t *state, bson_t *b)
{
    bson_t tags, permissions;
    put_id_of(b, "_id", c, CORPUS_ROLES, i);
    put_name(b, "name", c->roles.v[i].name);
    BSON_APPEND_NULL(b, "description");
    BSON_APPEND_ARRAY_BEGIN(b, "tags", &tags);
    bson_append_array_end(b, &tags);
    put_id_of(b, "created_by", c, CORPUS_USERS, 0);
    BSON_APPEND_DOCUMENT_BEGIN(b, "permissions", &permissions);
    bson_append_document_end(b, &permissions);
    BSON_APPEND_BOOL(b, "hoist", below(state, 3) == 0);
    BSON_APPEND_INT32(b, "color", (int)below(state, 1 << 24));
    BSON_APPEND_INT32(b, "rank", (int)(10 * (i + 1)));
    BSON_APPEND_NULL(b, "applied_rank");
    put_timestamps(b, time_ms(c, CORPUS_ROLES, i));
}

static void
put_connection(bson_t *connections, uint32_t at, int platform, struct span name,
               struct span display)
{
    bson_t connection;
    char room[16], id[24];
    const char *key;
    bson_uint32_to_string(at, &key, room, sizeof room);
    snprintf(id, sizeof id, "%u", (unsigned)(hash64(name) % 1000000000u));
    BSON_APPEND_DOCUMENT_BEGIN(connections, key, &connection);
    BSON_APPEND_INT32(&connection, "platform", platform);
    BSON_APPEND_UTF8(&connection, "platform_id", id);
    put_name(&connection, "platform_username", name);
    put_name(&connection, "platform_display_name", display.n ? display : name);
    BSON_APPEND_NULL(&connection, "platform_avatar_url");
    BSON_APPEND_DATE_TIME(&connection, "updated_at", (int64_t)EPOCH_S * 1000);
    BSON_APPEND_DATE_TIME(&connection, "linked_at", (int64_t)EPOCH_S * 1000);
    BSON_APPEND_BOOL(&connection, "allow_login", true);
    bson_append_document_end(connections, &connection);
}

static void
put_style(const struct corpus *c, uint32_t i, bson_t *b)
{
    static const char *const EMPTY[] = {"active_badge_id", "active_paint_id",
                                        "active_profile_picture", "pending_profile_picture",
                                        "personal_emote_set_id"};
    bson_t style;
    BSON_APPEND_DOCUMENT_BEGIN(b, "style", &style);
    for (size_t k = 0; k < ARRAY_SIZE(EMPTY); k++)
        BSON_APPEND_NULL(&style, EMPTY[k]);
    if (i < c->options.n_sets)
        put_id_of(&style, "active_emote_set_id", c, CORPUS_SETS, i);
    else
        BSON_APPEND_NULL(&style, "active_emote_set_id");
    bson_append_document_end(b, &style);
}

static void
put_cached(bson_t *b)
{
    bson_t cached, empty;
    BSON_APPEND_DOCUMENT_BEGIN(b, "cached", &cached);
    BSON_APPEND_ARRAY_BEGIN(&cached, "entitlements", &empty);
    bson_append_array_end(&cached, &empty);
    BSON_APPEND_ARRAY_BEGIN(&cached, "active_emotes", &empty);
    bson_append_array_end(&cached, &empty);
    BSON_APPEND_NULL(&cached, "emote_set_id");
    BSON_APPEND_INT32(&cached, "role_rank", 0);
    BSON_APPEND_INT32(&cached, "role_hoist_rank", 0);
    bson_append_document_end(b, &cached);
}

static void
put_user(const struct corpus *c, uint32_t i, uint64_t *state, bson_t *b)
{
    char room[128];
    bson_t connections, settings;
    struct span name = nth_name(&c->users, i, room), display = c->users.v[i % c->users.n].display;
    put_id_of(b, "_id", c, CORPUS_USERS, i);
    BSON_APPEND_NULL(b, "email");
    BSON_APPEND_BOOL(b, "email_verified", below(state, 2));
    BSON_APPEND_BOOL(b, "has_bans", below(state, 200) == 0);
    BSON_APPEND_DOCUMENT_BEGIN(b, "settings", &settings);
    bson_append_document_end(b, &settings);
    BSON_APPEND_NULL(b, "two_fa");
    put_style(c, i, b);
    BSON_APPEND_ARRAY_BEGIN(b, "connections", &connections);
    put_connection(&connections, 0, 0, name, display);
    if (below(state, 4) == 0)
        put_connection(&connections, 1, 1 + (int)below(state, 3), name, (struct span){0});
    bson_append_array_end(b, &connections);
    BSON_APPEND_NULL(b, "stripe_customer_id");
    put_cached(b);
    BSON_APPEND_NULL(b, "merged_into_id");
    put_timestamps(b, time_ms(c, CORPUS_USERS, i));
}

static void
put_node(bson_t *id, const char *key, const char *kind, const char *id_key,
         const unsigned char node[16])
{
    bson_t doc;
    BSON_APPEND_DOCUMENT_BEGIN(id, key, &doc);
    BSON_APPEND_UTF8(&doc, "kind", kind);
    put_uuid(&doc, id_key, node);
    bson_append_document_end(id, &doc);
}

/* Mostly users who have a role; some roles that grant a badge. Edge i is distinct from all others.
 */
static void
put_edge(const struct corpus *c, uint32_t i, uint64_t *state, bson_t *b)
{
    bson_t id;
    unsigned char from[16], to[16];
    BSON_APPEND_DOCUMENT_BEGIN(b, "_id", &id);
    if (i % 50 == 0 || c->options.n_users == 0) {
        corpus_id(c, CORPUS_ROLES, i / 50 % c->n_roles, from);
        corpus_id(c, CORPUS_ROLES, i, to); /* no badges are made: any id will do */
        put_node(&id, "from", "role", "role_id", from);
        put_node(&id, "to", "badge", "badge_id", to);
    } else {
        corpus_id(c, CORPUS_USERS, (uint32_t)((uint64_t)i * 7919 % c->options.n_users), from);
        corpus_id(c, CORPUS_ROLES, skewed(state, c->n_roles, 2), to);
        put_node(&id, "from", "user", "user_id", from);
        put_node(&id, "to", "role", "role_id", to);
    }
    BSON_APPEND_NULL(&id, "managed_by");
    bson_append_document_end(b, &id);
}

void
corpus_document(const struct corpus *c, enum corpus_kind kind, uint32_t i, bson_t *out)
{
    typedef void put_function(const struct corpus *, uint32_t, uint64_t *, bson_t *);
    static put_function *const PUT[CORPUS_KIND_N] = {put_emote, put_user, put_set, put_role,
                                                     put_edge};
    uint64_t state = state_of(c, kind, i);
    PUT[kind](c, i, &state, out);
}
