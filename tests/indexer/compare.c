/* Comparing indexes, and the naive derivation of users. */
#include "tests/indexer/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/ulid.h"

#include "indexer/node.h"

/* ---- two indexes ---- */

struct side {
    struct idx_reader *reader;
    const struct idx_snapshot *snapshot;
    struct idx_doc_reader *docs;
};

static void
side_begin(struct side *s, struct idx *idx)
{
    s->reader = idx_reader_new(idx);
    s->snapshot = idx_reader_begin(s->reader);
    s->docs = idx_doc_reader_new();
}

static void
side_end(struct side *s)
{
    idx_doc_reader_free(s->docs);
    idx_reader_end(s->reader);
    idx_reader_free(s->reader);
}

/* Keys in order, without the time of mapping. */
static struct span
normal_form(struct span text, struct arena *arena)
{
    struct json json;
    struct buf out = {0};
    must(json_parse(text, arena, &json, NULL) == RC_OK && json.type == JSON_OBJECT);
    uint32_t n = 0;
    for (uint32_t i = 0; i < json.n; i++) {
        if (!span_eq_str(json.members[i].name, "search_updated_at"))
            json.members[n++] = json.members[i];
    }
    json.n = n;
    json_put(&out, &json, true);
    struct span copy = arena_dup(arena, buf_span(&out));
    buf_fini(&out);
    return copy;
}

static void
note(struct compare_result *out, size_t *counter, const char *what, struct span collection,
     struct span id, struct span detail)
{
    (*counter)++;
    if (out->first[0])
        return;
    struct buf text = {0};
    buf_puts(&text, what);
    buf_putc(&text, ' ');
    buf_put_span(&text, collection);
    buf_putc(&text, '/');
    buf_put_span(&text, id);
    buf_puts(&text, ": ");
    buf_put_span(&text, detail);
    buf_putc(&text, 0);
    snprintf(out->first, sizeof out->first, "%s", text.p);
    buf_fini(&text);
}

static void
compare_collection(struct side *expected, struct side *actual, const struct idx_collection *e,
                   struct compare_result *out)
{
    struct span name = e->schema->name;
    const struct idx_collection *a = idx_snapshot_find(actual->snapshot, name);
    struct arena arena = {0};
    uint64_t n_found = 0;
    for (uint32_t v = 0; v < e->n_views; v++) {
        for (uint32_t d = 0; d < e->views[v].n_docs; d++) {
            const struct idx_view *view = &e->views[v];
            char text[IDX_ID_MAX];
            uint32_t a_view, a_doc;
            struct span want, have;
            if (!(view->live[d / 64] >> d % 64 & 1))
                continue;
            out->n_docs++;
            struct span id = idx_segment_id(view->segment, d, text);
            if (!a || !idx_collection_find(a, id, &a_view, &a_doc)) {
                note(out, &out->n_missing, "missing", name, id, (struct span){0});
                continue;
            }
            n_found++;
            must(!idx_doc_reader_get(expected->docs, view->segment, d, &want, NULL));
            must(!idx_doc_reader_get(actual->docs, a->views[a_view].segment, a_doc, &have, NULL));
            want = normal_form(want, &arena);
            have = normal_form(have, &arena);
            if (!span_eq(want, have)) {
                note(out, &out->n_stale, "stale", name, id, have);
                fprintf(stderr, "want %.*s\nhave %.*s\n", SPAN_ARG(want), SPAN_ARG(have));
            }
            arena_reset(&arena);
        }
    }
    if (a && a->n_docs > n_found) {
        note(out, &out->n_ghosts, "ghosts", name, (struct span){0}, (struct span){0});
        out->n_ghosts += a->n_docs - n_found - 1;
    }
    arena_fini(&arena);
}

void
compare_indexes(struct idx *expected, struct idx *actual, struct compare_result *out)
{
    struct side e, a;
    size_t n;
    side_begin(&e, expected);
    side_begin(&a, actual);
    const struct idx_collection *const *all = idx_snapshot_collections(e.snapshot, &n);
    for (size_t i = 0; i < n; i++) {
        /* What the pipeline keeps for itself tells its own story: when, how often. */
        if (!span_starts(all[i]->schema->name, SPAN_LIT("tailfin_")))
            compare_collection(&e, &a, all[i], out);
    }
    side_end(&a);
    side_end(&e);
}

/* ---- users, naively: every edge in a list, walked until nothing new comes ---- */

struct edge {
    char from[ING_NODE_TEXT_MAX], to[ING_NODE_TEXT_MAX];
};

struct naive {
    struct edge *edges;
    size_t n, cap;
    struct rig *rig;
};

static void
load_edges(struct naive *v)
{
    bson_t all = BSON_INITIALIZER;
    const bson_t *doc;
    mongoc_collection_t *c = mongoc_database_get_collection(v->rig->db, "entitlement_edges");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, &all, NULL, NULL);
    while (mongoc_cursor_next(cursor, &doc)) {
        struct edge e = {0};
        bson_iter_t at, node;
        must(bson_iter_init(&at, doc) && bson_iter_find_descendant(&at, "_id.from", &node));
        size_t n = ing_node_write(&node, e.from);
        must(bson_iter_init(&at, doc) && bson_iter_find_descendant(&at, "_id.to", &node));
        if (!n || !ing_node_write(&node, e.to))
            continue;
        v->edges = xgrow(v->edges, &v->cap, v->n + 1, sizeof *v->edges);
        v->edges[v->n++] = e;
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(c);
}

/* Badges, paints and emote sets lead no further. */
static bool
may_expand(const char *node)
{
    return strncmp(node, "badge:", 6) && strncmp(node, "paint:", 6) &&
           strncmp(node, "emote_set:", 10);
}

static void
walk(const struct naive *v, const char *user_node, struct map *reached)
{
    struct map open = {0};
    (void)map_put(&open, span_str(user_node), NULL);
    (void)map_put(&open, SPAN_LIT("global_default_entitlement_group"), NULL);
    for (bool is_new = true; is_new;) {
        is_new = false;
        for (size_t i = 0; i < v->n; i++) {
            bool is_first;
            if (!map_get(&open, span_str(v->edges[i].from)))
                continue;
            (void)map_put(reached, span_str(v->edges[i].to), &is_first);
            is_new |= is_first;
            if (may_expand(v->edges[i].to))
                (void)map_put(&open, span_str(v->edges[i].to), &is_first);
            is_new |= is_first;
        }
    }
    map_fini(&open);
}

static bool
load_by_text(struct naive *v, const char *collection, const char *text, bson_t *out)
{
    unsigned char id[ULID_BYTES_N];
    bson_t filter = BSON_INITIALIZER;
    const bson_t *doc;
    if (!ulid_read(span_str(text), id))
        return false;
    bson_append_binary(&filter, "_id", -1, BSON_SUBTYPE_UUID, id, sizeof id);
    mongoc_collection_t *c = mongoc_database_get_collection(v->rig->db, collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, &filter, NULL, NULL);
    bool is_found = mongoc_cursor_next(cursor, &doc);
    if (is_found)
        bson_copy_to(doc, out);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(c);
    bson_destroy(&filter);
    return is_found;
}

static void
rank_roles(struct naive *v, const struct map *reached, int32_t *rank, int32_t *hoist)
{
    size_t at = 0;
    struct span node;
    bool has_rank = false, has_hoist = false;
    *rank = *hoist = 0;
    while (map_next(reached, &at, &node, NULL)) {
        bson_t role;
        bson_iter_t field;
        char text[ING_NODE_TEXT_MAX] = {0};
        if (!span_starts(node, SPAN_LIT("role:")))
            continue;
        memcpy(text, node.p + 5, node.n - 5);
        if (!load_by_text(v, "roles", text, &role))
            continue;
        must(bson_iter_init_find(&field, &role, "rank"));
        int32_t value = bson_iter_int32(&field);
        must(bson_iter_init_find(&field, &role, "hoist"));
        if (!has_rank || value > *rank)
            *rank = value;
        has_rank = true;
        if (bson_iter_bool(&field) && (!has_hoist || value > *hoist)) {
            *hoist = value;
            has_hoist = true;
        }
        bson_destroy(&role);
    }
}

static size_t
count_emotes(struct naive *v, const bson_t *user)
{
    bson_iter_t at, value, item;
    bson_t set;
    char text[27] = {0};
    struct map distinct = {0};
    if (!bson_iter_init(&at, user) ||
        !bson_iter_find_descendant(&at, "style.active_emote_set_id", &value) ||
        !ing_bson_uuid(&value))
        return 0;
    ulid_write(ing_bson_uuid(&value), text);
    if (!load_by_text(v, "emote_sets", text, &set))
        return 0;
    must(bson_iter_init_find(&at, &set, "emotes") && bson_iter_recurse(&at, &item));
    while (bson_iter_next(&item)) {
        must(bson_iter_recurse(&item, &value) && bson_iter_find(&value, "id"));
        (void)map_put(&distinct, span_of((const char *)ing_bson_uuid(&value), 16), NULL);
    }
    size_t n = distinct.n;
    map_fini(&distinct);
    bson_destroy(&set);
    return n;
}

static void
check_user(struct naive *v, const bson_t *user, struct compare_result *out)
{
    bson_iter_t at;
    char text[27] = {0}, node[40];
    int32_t rank, hoist;
    struct arena arena = {0};
    struct json json;
    must(bson_iter_init_find(&at, user, "_id") && ing_bson_uuid(&at));
    ulid_write(ing_bson_uuid(&at), text);
    snprintf(node, sizeof node, "user:%s", text);
    struct map reached = {0};
    walk(v, node, &reached);
    rank_roles(v, &reached, &rank, &hoist);
    struct span doc = rig_doc(v->rig, "users", span_str(text), &arena);
    if (doc.p && json_parse(doc, &arena, &json, NULL) == RC_OK) {
        const struct json *r = json_get(&json, "role_rank"),
                          *h = json_get(&json, "role_hoist_rank");
        const struct json *n = json_get(&json, "entitlements"), *e = json_get(&json, "emotes");
        bool is_right = r && h && n && e && r->i64 == rank && h->i64 == hoist &&
                        n->n == reached.n && e->n == count_emotes(v, user);
        for (uint32_t i = 0; is_right && i < n->n; i++)
            is_right = map_get(&reached, n->items[i].string) != NULL;
        if (!is_right)
            note(out, &out->n_wrong, "wrong", SPAN_LIT("users"), span_str(text), doc);
    } else {
        note(out, &out->n_wrong, "absent", SPAN_LIT("users"), span_str(text), (struct span){0});
    }
    map_fini(&reached);
    arena_fini(&arena);
}

static void
check_users(struct rig *r, struct compare_result *out)
{
    struct naive v = {.rig = r};
    bson_t all = BSON_INITIALIZER;
    const bson_t *doc;
    load_edges(&v);
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, "users");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, &all, NULL, NULL);
    while (mongoc_cursor_next(cursor, &doc))
        check_user(&v, doc, out);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(c);
    free(v.edges);
}

/* ---- together ---- */

void
compare_rig(struct rig *r, struct compare_result *out)
{
    *out = (struct compare_result){0};
    struct rig fresh = *r;
    char dir[512];
    snprintf(dir, sizeof dir, "%s.fresh", r->dir);
    fresh.dir = dir;
    fresh.writeback = ING_WRITEBACK_NONE;
    rig_open(&fresh);
    must(rig_wait_ready(&fresh) && rig_settle(&fresh));
    compare_indexes(fresh.idx, r->idx, out);
    rig_close(&fresh);
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    must(system(command) == 0);
    check_users(r, out);
}

void
compare_assert_equal(struct rig *r)
{
    struct compare_result result;
    compare_rig(r, &result);
    if (result.n_missing || result.n_stale || result.n_ghosts || result.n_wrong)
        fail_msg("of %zu documents %zu missing, %zu stale, %zu ghosts, %zu wrong users; %s",
                 result.n_docs, result.n_missing, result.n_stale, result.n_ghosts, result.n_wrong,
                 result.first);
}
