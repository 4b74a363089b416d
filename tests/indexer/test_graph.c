/*
 * What users have, against a derivation that shares nothing with the one under
 * test but the rules: it works on plain strings and goes over all edges until
 * nothing is added. Edges, roles and sets lie in a real index, in several
 * segments, with deletes and merges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/ulid.h"

#include "name_list.h"
#include "relation_rig.h"
#include "tests/support/rng.h"

enum {
    N_USERS = 12,
    N_ROLES = 6,
    N_SETS = 5,
    N_EMOTES = 40,
    N_EACH = 5,
    EDGES_MAX = 400,
    ROUNDS = 25,
    STEPS = 6,
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

/* An id of its own per kind letter and number. */
static struct span
id_text(struct relation_rig *f, char kind, unsigned number)
{
    unsigned char bytes[ULID_BYTES_N] = {0, 0, 0, 0, 0, (unsigned char)kind};
    char text[ULID_TEXT_N];
    bytes[7] = (unsigned char)(number * 37);
    bytes[15] = (unsigned char)number;
    ulid_write(bytes, text);
    return arena_dup(&f->arena, span_of(text, sizeof text));
}

static struct span
random_node(struct relation_rig *f, struct rng *r, bool is_target)
{
    unsigned n = (unsigned)rng_below(r, N_EACH);
    switch (rng_below(r, is_target ? 11 : 8)) {
    case 0:
    case 1:
        return arena_printf(&f->arena, "user:%.*s",
                            SPAN_ARG(id_text(f, 'u', (unsigned)rng_below(r, N_USERS))));
    case 2:
        return arena_printf(&f->arena, "role:%.*s",
                            SPAN_ARG(id_text(f, 'r', (unsigned)rng_below(r, N_ROLES))));
    case 3:
        return arena_printf(&f->arena, "product:%.*s", SPAN_ARG(id_text(f, 'p', n)));
    case 4:
        return arena_printf(&f->arena, "subscription_benefit:%.*s", SPAN_ARG(id_text(f, 'b', n)));
    case 5:
        return arena_printf(&f->arena, "subscription:%.*s:%.*s", SPAN_ARG(id_text(f, 'u', n)),
                            SPAN_ARG(id_text(f, 'q', n)));
    case 6:
        return arena_printf(&f->arena, "special_event:%.*s", SPAN_ARG(id_text(f, 'e', n)));
    case 7:
        return SPAN_LIT("global_default_entitlement_group");
    case 8:
        return arena_printf(&f->arena, "badge:%.*s", SPAN_ARG(id_text(f, 'd', n)));
    case 9:
        return arena_printf(&f->arena, "paint:%.*s", SPAN_ARG(id_text(f, 'n', n)));
    default:
        return arena_printf(&f->arena, "emote_set:%.*s", SPAN_ARG(id_text(f, 's', n)));
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
write_edge(struct relation_rig *f, const struct edge *e)
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
    rig_put(f, EDGES, doc);
}

static void
change_edges(struct relation_rig *f, struct model *m, struct rng *r)
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
change_role(struct relation_rig *f, struct model *m, struct rng *r)
{
    unsigned role = (unsigned)rng_below(r, N_ROLES);
    struct span id = id_text(f, 'r', role);
    m->has_role[role] = rng_below(r, 4) > 0;
    m->rank[role] = (int)rng_below(r, 20) - 5;
    m->is_hoisted[role] = rng_below(r, 2);
    if (!m->has_role[role]) {
        rig_delete(f, ROLES, id);
        return;
    }
    bson_t *doc = bson_new();
    doc_append_ulid(doc, "_id", id);
    bson_append_int32(doc, "rank", -1, m->rank[role]);
    bson_append_bool(doc, "hoist", -1, m->is_hoisted[role]);
    rig_put(f, ROLES, doc);
}

static void
change_set(struct relation_rig *f, struct model *m, struct rng *r)
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
        rig_put(f, SETS, doc);
        return;
    }
    rig_delete(f, SETS, id);
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
    static const char *const kinds[] = {"user",
                                        "role",
                                        "badge",
                                        "paint",
                                        "emote_set",
                                        "product",
                                        "subscription_benefit",
                                        "subscription",
                                        "special_event",
                                        "global_default_entitlement_group"};
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

static void
check_user(struct relation_rig *f, const struct model *m, unsigned user)
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
    assert_list("emote", &emotes, by_bytes, ing_user_emotes(&got, &f->arena),
                got.n_emotes);
    assert_int_equal(got.role_rank, rank);
    assert_int_equal(got.role_hoist_rank, hoist);
}

static void
test_random_graphs(void **state)
{
    struct relation_rig *f = *state;
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
            rig_publish(f);
            for (unsigned i = 0; i < N_USERS; i++)
                check_user(f, m, i);
            if (step != STEPS / 2)
                continue;
            /* The same contents in other segments: what is known of them must not mislead. */
            assert_int_equal(idx_merge_all(f->idx, &f->err), RC_OK);
            rig_bind(f);
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
            rig_delete(f, ROLES, id_text(f, 'r', i));
        for (unsigned i = 0; i < N_SETS; i++)
            rig_delete(f, SETS, id_text(f, 's', i));
        rig_publish(f);
        free(m);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_graphs, relation_rig_setup,
                                        relation_rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
