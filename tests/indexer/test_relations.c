/*
 * What users have, against a derivation that shares nothing with the one under
 * test but the rules: it works on plain strings and walks every edge until
 * nothing is added. Edges, roles, sets and users lie in a real index, in
 * several segments, with deletes and merges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ulid.h"

#include "doc_text.h"
#include "mapping_kit.h"
#include "tests/support/rng.h"
#include "tests/support/scratch.h"

enum { EDGES, ROLES, SETS, USERS, COLLECTION_N };

static const char *const names[COLLECTION_N] = {"entitlement_edges", "roles", "emote_sets",
                                                "users"};

struct fixture {
    struct mapping_kit kit;
    struct arena arena;
    struct err err;
    char *dir;
    struct fs *fs;
    struct idx *idx;
    struct idx_reader *reader;
    struct idx_batch *batch;
    struct ing_relations *relations;
    uint32_t uids[COLLECTION_N];
};

static struct span
schema_name(unsigned collection)
{
    return span_str(names[collection]);
}

static int
setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    mapping_kit_init(&f->kit, "7tv");
    f->dir = scratch_new();
    must(fs_open_host(f->dir, &f->fs, &f->err) == RC_OK);
    struct idx_options options = {.fs = f->fs, .refresh_us = 1000, .commit_us = 1000000,
                                  .ram_bytes_max = 64 << 20, .n_merge_threads = 1};
    must(idx_open(&options, &f->idx, &f->err) == RC_OK);
    f->reader = idx_reader_new(f->idx);
    f->relations = ing_relations_new();
    f->batch = idx_batch_new();
    for (unsigned i = 0; i < COLLECTION_N; i++) {
        const struct ing_mapping *m = mapping_kit_get(&f->kit, schema_name(i));
        f->uids[i] = idx_new_uid(f->idx);
        idx_batch_create(f->batch, f->uids[i], ing_mapping_schema(m),
                         tkz_fingerprint(ing_mapping_analyzer(m)));
        idx_batch_name(f->batch, f->uids[i]);
    }
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    idx_reader_end(f->reader);
    idx_reader_free(f->reader);
    ing_relations_free(f->relations);
    idx_batch_free(f->batch);
    must(idx_close(f->idx, &f->err) == RC_OK);
    fs_close(f->fs);
    scratch_free(f->dir);
    mapping_kit_fini(&f->kit);
    arena_fini(&f->arena);
    free(f);
    return 0;
}

/* Makes what was put visible and binds the relations to it. */
static void
publish(struct fixture *f)
{
    uint64_t ticket = idx_submit(f->idx, &f->batch);
    assert_int_equal(idx_wait(f->idx, ticket, IDX_VISIBLE, 10000000), RC_OK);
    f->batch = idx_batch_new();
    idx_reader_end(f->reader); /* nothing happens the first time */
    struct ing_relation_uids uids = {f->uids[EDGES], f->uids[ROLES], f->uids[SETS],
                                     f->uids[USERS]};
    ing_relations_bind(f->relations, idx_reader_begin(f->reader), &uids);
}

static void
put(struct fixture *f, unsigned collection, bson_t *take)
{
    struct ing_mapped mapped;
    const struct ing_mapping *m = mapping_kit_get(&f->kit, schema_name(collection));
    if (ing_mapping_run(m, take, f->relations, 1, idx_batch_arena(f->batch), &mapped, &f->err) !=
        RC_OK)
        fail_msg("%s", f->err.text);
    idx_batch_put(f->batch, f->uids[collection], &mapped.doc);
    bson_destroy(take);
}

static void
put_text(struct fixture *f, unsigned collection, const char *text)
{
    put(f, collection, doc_of_text(span_str(text)));
}

/* ---- by hand ---- */

static void
put_edge(struct fixture *f, const char *from, const char *to)
{
    struct span text =
        arena_printf(&f->arena, "{\"_id\":{\"from\":%s,\"to\":%s,\"managed_by\":null}}", from, to);
    put(f, EDGES, doc_of_text(text));
}

#define USER(x) "{\"kind\":\"user\",\"user_id\":" x "}"
#define ROLE(x) "{\"kind\":\"role\",\"role_id\":" x "}"
#define BADGE(x) "{\"kind\":\"badge\",\"badge_id\":" x "}"
#define PAINT(x) "{\"kind\":\"paint\",\"paint_id\":" x "}"
#define PRODUCT(x) "{\"kind\":\"product\",\"product_id\":" x "}"
#define BENEFIT(x) "{\"kind\":\"subscription_benefit\",\"subscription_benefit_id\":" x "}"
#define SUBSCRIPTION(x, y)                                                                         \
    "{\"kind\":\"subscription\",\"subscription_id\":{\"user_id\":" x ",\"product_id\":" y "}}"
#define EVENT(x) "{\"kind\":\"special_event\",\"special_event_id\":" x "}"
#define EMOTE_SET(x) "{\"kind\":\"emote_set\",\"emote_set_id\":" x "}"
#define GLOBAL "{\"kind\":\"global_default_entitlement_group\"}"

static void
put_role(struct fixture *f, const char *id, int rank, bool is_hoisted)
{
    struct span text =
        arena_printf(&f->arena, "{\"_id\":%s,\"name\":\"r\",\"rank\":%d,\"hoist\":%s}", id, rank,
                     is_hoisted ? "true" : "false");
    put(f, ROLES, doc_of_text(text));
}

/* The members of a user's document, ids as letters. */
static void
assert_user(struct fixture *f, const char *document, const char *want)
{
    struct ing_mapped mapped;
    bson_t *doc = doc_of_text(span_str(document));
    const struct ing_mapping *m = mapping_kit_get(&f->kit, SPAN_LIT("users"));
    enum rc rc = ing_mapping_run(m, doc, f->relations, 7, &f->arena, &mapped, &f->err);
    struct buf text = ids_of_text(span_str(want));
    bson_destroy(doc);
    assert_int_equal(rc, RC_OK);
    if (!span_eq(mapped.doc.json, buf_span(&text)))
        fail_msg(" got %.*s\nwant %.*s", SPAN_ARG(mapped.doc.json), SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
}

#define NOTHING                                                                                    \
    "\"created_at\":1671271360768,\"discord_names\":[],\"email_verified\":false,"
#define REST_BEFORE "\"google_names\":[],\"has_2fa\":false,\"has_bans\":false,\"id\":\"$A\",\"kick_names\":[],"
#define REST "\"search_updated_at\":7,\"twitch_names\":[],\"updated_at\":1}"
#define PLAIN "\"_id\":$A,\"email_verified\":false,\"has_bans\":false,\"updated_at\":#1"

static void
test_a_user_without_edges(void **state)
{
    struct fixture *f = *state;
    publish(f);
    assert_user(f, "{" PLAIN ",\"style\":{\"active_badge_id\":$B}}",
                "{" NOTHING "\"emotes\":[],\"entitlement_grants\":[],\"entitlements\":[]," REST_BEFORE
                "\"role_hoist_rank\":0,\"role_rank\":0," REST);
}

static void
test_a_user_with_everything(void **state)
{
    struct fixture *f = *state;
    put_edge(f, USER("$A"), ROLE("$B"));
    put_edge(f, USER("$A"), SUBSCRIPTION("$A", "$C"));
    put_edge(f, SUBSCRIPTION("$A", "$C"), BENEFIT("$D"));
    put_edge(f, BENEFIT("$D"), PAINT("$E"));
    put_edge(f, BENEFIT("$D"), PRODUCT("$B"));
    put_edge(f, PRODUCT("$B"), EVENT("$C"));
    put_edge(f, EVENT("$C"), ROLE("$C"));
    put_edge(f, PAINT("$E"), BADGE("$E")); /* a paint does not expand */
    put_edge(f, USER("$B"), BADGE("$C"));  /* another user's */
    put_edge(f, ROLE("$C"), ROLE("$B"));   /* a circle */
    put_edge(f, ROLE("$B"), ROLE("$C"));
    put_edge(f, GLOBAL, EMOTE_SET("$D"));
    put_edge(f, GLOBAL, ROLE("$E")); /* a role that does not exist */
    put_edge(f, GLOBAL, BADGE("$A"));
    put_role(f, "$B", 3, true);
    put_role(f, "$C", 9, false);
    put_text(f, SETS, "{\"_id\":$C,\"name\":\"s\",\"kind\":0,\"emotes\":[{\"id\":$E},{\"id\":$B},"
                      "{\"id\":$E},{\"id\":$D}]}");
    publish(f);
    assert_user(
        f,
        "{" PLAIN ",\"style\":{\"active_badge_id\":$A,\"active_paint_id\":$D,"
        "\"active_emote_set_id\":$C}}",
        "{\"active_badge_id\":\"$A\",\"active_emote_set_id\":\"$C\"," NOTHING
        "\"emotes\":[\"$D\",\"$B\",\"$E\"],"
        "\"entitlement_grants\":[\"role:$B\",\"subscription:$A:$C\"],"
        "\"entitlements\":[\"role:$B\",\"role:$C\",\"role:$E\",\"badge:$A\",\"paint:$E\","
        "\"emote_set:$D\",\"product:$B\",\"subscription_benefit:$D\",\"subscription:$A:$C\","
        "\"special_event:$C\"]," REST_BEFORE "\"role_hoist_rank\":3,\"role_rank\":9," REST);
}

static void
test_start_nodes_count_only_if_something_leads_to_them(void **state)
{
    struct fixture *f = *state;
    put_edge(f, USER("$A"), USER("$B"));
    put_edge(f, USER("$B"), USER("$A"));
    put_edge(f, USER("$B"), GLOBAL);
    put_edge(f, GLOBAL, ROLE("$D"));
    put_role(f, "$D", -4, true); /* below nothing, but a role */
    publish(f);
    assert_user(f, "{" PLAIN "}",
                "{" NOTHING "\"emotes\":[],\"entitlement_grants\":[\"user:$B\"],"
                "\"entitlements\":[\"user:$B\",\"user:$A\",\"role:$D\","
                "\"global_default_entitlement_group\"]," REST_BEFORE
                "\"role_hoist_rank\":-4,\"role_rank\":-4," REST);
}

static void
test_grants_of_other_documents(void **state)
{
    struct fixture *f = *state;
    struct ing_mapped mapped;
    const struct ing_mapping *m =
        mapping_kit_get(&f->kit, SPAN_LIT("subscription_products"));
    put_edge(f, BENEFIT("$B"), BADGE("$C"));
    put_edge(f, BENEFIT("$B"), ROLE("$C"));
    put_edge(f, BENEFIT("$D"), BADGE("$C"));
    put_text(f, EDGES, "{\"_id\":{\"from\":" BENEFIT("$D") ",\"to\":" BADGE("$C")
             ",\"managed_by\":{\"kind\":\"all_cosmetics\"}}}");
    put_edge(f, ROLE("$C"), PAINT("$C")); /* two hops away */
    publish(f);
    bson_t *doc = doc_of_text(SPAN_LIT("{\"_id\":$A,\"name\":\"n\",\"default_currency\":\"usd\","
                                       "\"benefits\":[{\"id\":$B},{\"id\":$D}],\"updated_at\":#1}"));
    assert_int_equal(ing_mapping_run(m, doc, f->relations, 7, &f->arena, &mapped, &f->err), RC_OK);
    bson_destroy(doc);
    struct buf want = ids_of_text(SPAN_LIT("\"entitlement_grants\":[\"badge:$C\",\"role:$C\"]"));
    buf_putc(&want, 0);
    assert_non_null(strstr(arena_str(&f->arena, mapped.doc.json), want.p));
    buf_fini(&want);
}

/* ---- at random, against a derivation on plain strings ---- */

enum {
    N_USERS = 12, N_ROLES = 6, N_SETS = 5, N_EMOTES = 40, N_EACH = 5, EDGES_MAX = 400,
    NAMES_MAX = 200, ROUNDS = 25, STEPS = 6,
};

struct edge {
    struct span from, to, manager; /* names; manager: as the id has it */
    bool is_alive;
};

struct model { /* what was written, as plain text */
    struct edge edges[EDGES_MAX];
    size_t n_edges;
    int rank[N_ROLES];
    bool is_hoisted[N_ROLES], has_role[N_ROLES];
    struct span sets[N_SETS][N_EMOTES];
    size_t n_entries[N_SETS];
    bool has_set[N_SETS];
    unsigned active_set[N_USERS]; /* N_SETS: none */
};

struct list { /* of names, each once */
    struct span v[NAMES_MAX];
    size_t n;
};

static bool
list_has(const struct list *l, struct span name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (span_eq(l->v[i], name))
            return true;
    }
    return false;
}

static void
list_add(struct list *l, struct span name)
{
    if (list_has(l, name))
        return;
    must(l->n < NAMES_MAX);
    l->v[l->n++] = name;
}

/* An id of its own per kind letter and number. */
static struct span
id_text(struct fixture *f, char kind, unsigned number)
{
    unsigned char bytes[ULID_BYTES_N] = {0, 0, 0, 0, 0, (unsigned char)kind};
    char text[ULID_TEXT_N];
    bytes[7] = (unsigned char)(number * 37);
    bytes[15] = (unsigned char)number;
    ulid_write(bytes, text);
    return arena_dup(&f->arena, span_of(text, sizeof text));
}

static struct span
random_node(struct fixture *f, struct rng *r, bool is_target)
{
    unsigned n = (unsigned)rng_below(r, N_EACH);
    switch (rng_below(r, is_target ? 11 : 8)) {
    case 0: case 1:
        return arena_printf(&f->arena, "user:%.*s",
                            SPAN_ARG(id_text(f, 'u', (unsigned)rng_below(r, N_USERS))));
    case 2:
        return arena_printf(&f->arena, "role:%.*s",
                            SPAN_ARG(id_text(f, 'r', (unsigned)rng_below(r, N_ROLES))));
    case 3: return arena_printf(&f->arena, "product:%.*s", SPAN_ARG(id_text(f, 'p', n)));
    case 4:
        return arena_printf(&f->arena, "subscription_benefit:%.*s",
                            SPAN_ARG(id_text(f, 'b', n)));
    case 5:
        return arena_printf(&f->arena, "subscription:%.*s:%.*s", SPAN_ARG(id_text(f, 'u', n)),
                            SPAN_ARG(id_text(f, 'q', n)));
    case 6: return arena_printf(&f->arena, "special_event:%.*s", SPAN_ARG(id_text(f, 'e', n)));
    case 7: return SPAN_LIT("global_default_entitlement_group");
    case 8: return arena_printf(&f->arena, "badge:%.*s", SPAN_ARG(id_text(f, 'd', n)));
    case 9: return arena_printf(&f->arena, "paint:%.*s", SPAN_ARG(id_text(f, 'n', n)));
    default: return arena_printf(&f->arena, "emote_set:%.*s", SPAN_ARG(id_text(f, 's', n)));
    }
}

/* The kind document of a name, under key. */
static void
append_node(bson_t *doc, const char *key, struct span name)
{
    bson_t node, pair;
    char id_key[64];
    struct span rest = name, kind = span_split(&rest, ':');
    bson_append_document_begin(doc, key, -1, &node);
    bson_append_utf8(&node, "kind", -1, kind.p, (int)kind.n);
    snprintf(id_key, sizeof id_key, "%.*s_id", SPAN_ARG(kind));
    if (span_eq_str(kind, "subscription")) {
        bson_append_document_begin(&node, id_key, -1, &pair);
        doc_append_ulid(&pair, "user_id", span_split(&rest, ':'));
        doc_append_ulid(&pair, "product_id", rest);
        bson_append_document_end(&node, &pair);
    } else if (rest.p) {
        doc_append_ulid(&node, id_key, rest);
    }
    bson_append_document_end(doc, &node);
}

static void
write_edge(struct fixture *f, const struct edge *e)
{
    bson_t *doc = bson_new(), id, manager;
    if (!e->is_alive) {
        struct span text = arena_printf(idx_batch_arena(f->batch), "%.*s|%.*s|%.*s",
                                        SPAN_ARG(e->from), SPAN_ARG(e->to), SPAN_ARG(e->manager));
        idx_batch_delete(f->batch, f->uids[EDGES], text);
        bson_destroy(doc);
        return;
    }
    bson_append_document_begin(doc, "_id", -1, &id);
    append_node(&id, "from", e->from);
    append_node(&id, "to", e->to);
    if (e->manager.n > 0) {
        bson_append_document_begin(&id, "managed_by", -1, &manager);
        bson_append_utf8(&manager, "kind", -1, e->manager.p, (int)e->manager.n);
        bson_append_document_end(&id, &manager);
    } else {
        bson_append_null(&id, "managed_by", -1);
    }
    bson_append_document_end(doc, &id);
    put(f, EDGES, doc);
}

static void
change_edges(struct fixture *f, struct model *m, struct rng *r)
{
    for (uint64_t i = rng_below(r, 25); i > 0; i--) {
        struct edge *e = &m->edges[m->n_edges];
        if (m->n_edges > 0 && rng_below(r, 3) == 0) {
            e = &m->edges[rng_below(r, m->n_edges)];
            if (e->from.n <= 1)
                continue;
            e->is_alive = !e->is_alive;
            write_edge(f, e);
            continue;
        }
        if (m->n_edges == EDGES_MAX)
            return;
        *e = (struct edge){random_node(f, r, false), random_node(f, r, true),
                           rng_below(r, 2) ? SPAN_LIT("all_cosmetics") : (struct span){0}, true};
        for (size_t j = 0; j < m->n_edges; j++) { /* one document, one edge of the model */
            if (span_eq(m->edges[j].from, e->from) && span_eq(m->edges[j].to, e->to) &&
                span_eq(m->edges[j].manager, e->manager))
                m->edges[j].from = m->edges[j].to = m->edges[j].manager = (struct span){"!", 1};
        }
        m->n_edges++;
        write_edge(f, e);
    }
}

static void
change_role(struct fixture *f, struct model *m, struct rng *r)
{
    unsigned role = (unsigned)rng_below(r, N_ROLES);
    struct span id = id_text(f, 'r', role);
    m->has_role[role] = rng_below(r, 4) > 0;
    m->rank[role] = (int)rng_below(r, 20) - 5;
    m->is_hoisted[role] = rng_below(r, 2);
    if (!m->has_role[role]) {
        idx_batch_delete(f->batch, f->uids[ROLES], arena_dup(idx_batch_arena(f->batch), id));
        return;
    }
    bson_t *doc = bson_new();
    doc_append_ulid(doc, "_id", id);
    bson_append_int32(doc, "rank", -1, m->rank[role]);
    bson_append_bool(doc, "hoist", -1, m->is_hoisted[role]);
    put(f, ROLES, doc);
}

static void
change_set(struct fixture *f, struct model *m, struct rng *r)
{
    unsigned set = (unsigned)rng_below(r, N_SETS);
    struct span id = id_text(f, 's', set);
    bson_t *doc = bson_new(), emotes, entry;
    m->has_set[set] = rng_below(r, 4) > 0;
    m->n_entries[set] = (size_t)rng_below(r, N_EMOTES);
    doc_append_ulid(doc, "_id", id);
    bson_append_array_begin(doc, "emotes", -1, &emotes);
    for (size_t i = 0; i < m->n_entries[set]; i++) {
        m->sets[set][i] = id_text(f, 'm', (unsigned)rng_below(r, N_EMOTES));
        bson_append_document_begin(&emotes, "0", -1, &entry);
        doc_append_ulid(&entry, "id", m->sets[set][i]);
        bson_append_document_end(&emotes, &entry);
    }
    bson_append_array_end(doc, &emotes);
    if (m->has_set[set]) {
        put(f, SETS, doc);
        return;
    }
    idx_batch_delete(f->batch, f->uids[SETS], arena_dup(idx_batch_arena(f->batch), id));
    bson_destroy(doc);
}

static bool
is_expandable(struct span name)
{
    return !span_starts(name, SPAN_LIT("badge:")) && !span_starts(name, SPAN_LIT("paint:")) &&
           !span_starts(name, SPAN_LIT("emote_set:"));
}

/* Goes over all edges until nothing new is reached. */
static void
naive_reach(const struct model *m, struct span user, struct list *reached)
{
    struct list open = {0};
    list_add(&open, user);
    list_add(&open, SPAN_LIT("global_default_entitlement_group"));
    for (size_t before = SIZE_MAX; before != reached->n + open.n;) {
        before = reached->n + open.n;
        for (size_t i = 0; i < m->n_edges; i++) {
            const struct edge *e = &m->edges[i];
            if (!e->is_alive || !list_has(&open, e->from))
                continue;
            list_add(reached, e->to);
            if (is_expandable(e->to))
                list_add(&open, e->to);
        }
    }
}

static int
kind_rank(struct span name)
{
    static const char *const kinds[] = {
        "user", "role", "badge", "paint", "emote_set", "product", "subscription_benefit",
        "subscription", "special_event", "global_default_entitlement_group"};
    struct span rest = name, kind = span_split(&rest, ':');
    for (int i = 0; i < (int)ARRAY_SIZE(kinds); i++) {
        if (span_eq_str(kind, kinds[i]))
            return i;
    }
    return -1;
}

static int
by_kind(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    int difference = kind_rank(*x) - kind_rank(*y);
    return difference ? difference : span_cmp(*x, *y);
}

static int
by_bytes(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static void
assert_list(const char *what, struct list *want, int (*order)(const void *, const void *),
            const struct span *got, uint32_t n)
{
    qsort(want->v, want->n, sizeof *want->v, order);
    for (uint32_t i = 0; i < n && i < want->n; i++) {
        if (!span_eq(want->v[i], got[i]))
            fail_msg("%s %u: got %.*s, want %.*s", what, i, SPAN_ARG(got[i]),
                     SPAN_ARG(want->v[i]));
    }
    if (n != want->n)
        fail_msg("%s: got %u, want %zu", what, n, want->n);
}

static void
check_user(struct fixture *f, const struct model *m, unsigned user)
{
    struct span id = id_text(f, 'u', user), set = {0};
    struct span name = arena_printf(&f->arena, "user:%.*s", SPAN_ARG(id));
    struct list reached = {0}, grants = {0}, emotes = {0};
    struct ing_user_derived got;
    int rank = 0, hoist = 0;
    bool has_rank = false, has_hoist = false;
    if (m->active_set[user] < N_SETS)
        set = id_text(f, 's', m->active_set[user]);
    ing_relations_user(f->relations, id, set, &f->arena, &got);
    naive_reach(m, name, &reached);
    for (size_t i = 0; i < m->n_edges; i++) {
        if (m->edges[i].is_alive && span_eq(m->edges[i].from, name))
            list_add(&grants, m->edges[i].to);
    }
    for (unsigned i = 0; i < N_ROLES; i++) {
        struct span role = arena_printf(&f->arena, "role:%.*s", SPAN_ARG(id_text(f, 'r', i)));
        if (!m->has_role[i] || !list_has(&reached, role))
            continue;
        rank = !has_rank || m->rank[i] > rank ? m->rank[i] : rank;
        has_rank = true;
        if (!m->is_hoisted[i])
            continue;
        hoist = !has_hoist || m->rank[i] > hoist ? m->rank[i] : hoist;
        has_hoist = true;
    }
    if (set.n > 0 && m->has_set[m->active_set[user]]) {
        for (size_t i = 0; i < m->n_entries[m->active_set[user]]; i++)
            list_add(&emotes, m->sets[m->active_set[user]][i]);
    }
    assert_list("entitlement", &reached, by_kind, got.entitlements, got.n_entitlements);
    assert_list("grant", &grants, by_bytes, got.grants, got.n_grants);
    assert_list("emote", &emotes, by_bytes, got.emotes, got.n_emotes);
    assert_int_equal(got.role_rank, rank);
    assert_int_equal(got.role_hoist_rank, hoist);
}

static void
test_random_graphs(void **state)
{
    struct fixture *f = *state;
    struct rng r = rng_new();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct model *m = xcalloc(1, sizeof *m);
        for (unsigned i = 0; i < N_USERS; i++)
            m->active_set[i] = (unsigned)rng_below(&r, N_SETS + 1);
        for (unsigned step = 0; step < STEPS; step++) {
            change_edges(f, m, &r);
            for (uint64_t i = rng_below(&r, 4); i > 0; i--)
                change_role(f, m, &r);
            for (uint64_t i = rng_below(&r, 4); i > 0; i--)
                change_set(f, m, &r);
            publish(f);
            for (unsigned i = 0; i < N_USERS; i++)
                check_user(f, m, i);
        }
        for (size_t i = 0; i < m->n_edges; i++) { /* an empty graph for the next round */
            if (m->edges[i].is_alive && m->edges[i].from.n > 1) {
                m->edges[i].is_alive = false;
                write_edge(f, &m->edges[i]);
            }
        }
        for (unsigned i = 0; i < N_ROLES; i++)
            idx_batch_delete(f->batch, f->uids[ROLES],
                             arena_dup(idx_batch_arena(f->batch), id_text(f, 'r', i)));
        for (unsigned i = 0; i < N_SETS; i++)
            idx_batch_delete(f->batch, f->uids[SETS],
                             arena_dup(idx_batch_arena(f->batch), id_text(f, 's', i)));
        publish(f);
        if (round % 8 == 0)
            assert_int_equal(idx_merge_all(f->idx, &f->err), RC_OK);
        free(m);
    }
}

/* ---- the way back ---- */

static void
collect(void *arg, struct span id)
{
    struct list *l = arg;
    must(!list_has(l, id));
    must(l->n < NAMES_MAX);
    char *copy = xmemdup0(id.p, id.n);
    l->v[l->n++] = span_of(copy, id.n);
}

/* Compares with letters and empties the list. */
static void
assert_ids(struct list *got, const char *letters)
{
    struct list want = {0};
    for (; *letters; letters++)
        list_add(&want, span_str(ulid_of_letter(*letters)));
    qsort(got->v, got->n, sizeof *got->v, by_bytes);
    assert_list("id", &want, by_bytes, got->v, (uint32_t)got->n);
    for (size_t i = 0; i < got->n; i++)
        free((void *)(uintptr_t)got->v[i].p);
    got->n = 0;
}

static struct span
node(struct fixture *f, const char *text)
{
    struct buf name = ids_of_text(span_str(text));
    struct span copy = arena_dup(&f->arena, buf_span(&name));
    buf_fini(&name);
    return copy;
}

static void
test_who_depends_on_what(void **state)
{
    struct fixture *f = *state;
    struct list ids = {0};
    put_edge(f, USER("$A"), ROLE("$D"));
    put_edge(f, ROLE("$D"), BADGE("$E"));
    put_edge(f, USER("$B"), BADGE("$E"));
    put_edge(f, USER("$C"), USER("$A"));
    publish(f);
    put_text(f, USERS, "{\"_id\":$A,\"style\":{\"active_emote_set_id\":$D}}");
    put_text(f, USERS, "{\"_id\":$B,\"style\":{\"active_emote_set_id\":$E}}");
    publish(f);
    put_text(f, USERS, "{\"_id\":$C,\"style\":{\"active_emote_set_id\":$D}}");
    put_text(f, SETS, "{\"_id\":$B,\"name\":\"\",\"origin_config\":{\"origins\":[{\"id\":$A}]}}");
    put_text(f, SETS, "{\"_id\":$C,\"name\":\"\",\"origin_config\":{\"origins\":[{\"id\":$B},"
                      "{\"id\":$A},{\"id\":$A}]}}");
    publish(f);
    ing_relations_users_with(f->relations, node(f, "role:$D"), collect, &ids);
    assert_ids(&ids, "AC");
    ing_relations_users_with(f->relations, node(f, "badge:$E"), collect, &ids);
    assert_ids(&ids, "ABC");
    ing_relations_users_with(f->relations, node(f, "badge:$A"), collect, &ids);
    assert_ids(&ids, "");
    ing_relations_users_with(f->relations, node(f, "user:$A"), collect, &ids);
    assert_ids(&ids, "AC");
    ing_relations_users_with(f->relations, node(f, "global_default_entitlement_group"), collect,
                             &ids);
    assert_ids(&ids, "ABC");
    ing_relations_users_of_set(f->relations, node(f, "$D"), collect, &ids);
    assert_ids(&ids, "AC");
    ing_relations_sets_of_origin(f->relations, node(f, "$A"), collect, &ids);
    assert_ids(&ids, "BC");
    put_text(f, USERS, "{\"_id\":$A,\"style\":{\"active_emote_set_id\":$E}}");
    idx_batch_delete(f->batch, f->uids[USERS],
                     arena_dup(idx_batch_arena(f->batch), node(f, "$C")));
    publish(f);
    ing_relations_users_of_set(f->relations, node(f, "$D"), collect, &ids);
    assert_ids(&ids, "");
    ing_relations_users_with(f->relations, node(f, "role:$D"), collect, &ids);
    assert_ids(&ids, "A");
    ing_relations_users_with(f->relations, node(f, "global_default_entitlement_group"), collect,
                             &ids);
    assert_ids(&ids, "AB");
}

static void
test_without_collections_nothing_is_found(void **state)
{
    struct fixture *f = *state;
    struct ing_user_derived got;
    struct list ids = {0};
    publish(f);
    idx_reader_end(f->reader);
    ing_relations_bind(f->relations, idx_reader_begin(f->reader), &(struct ing_relation_uids){0});
    ing_relations_user(f->relations, node(f, "$A"), node(f, "$B"), &f->arena, &got);
    assert_int_equal(got.n_entitlements + got.n_grants + got.n_emotes, 0);
    ing_relations_users_with(f->relations, node(f, "user:$A"), collect, &ids);
    ing_relations_users_of_set(f->relations, node(f, "$A"), collect, &ids);
    ing_relations_sets_of_origin(f->relations, node(f, "$A"), collect, &ids);
    assert_int_equal(ids.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_user_without_edges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_user_with_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_nodes_count_only_if_something_leads_to_them,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants_of_other_documents, setup, teardown),
        cmocka_unit_test_setup_teardown(test_random_graphs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_depends_on_what, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_collections_nothing_is_found, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
