/*
 * What documents derive from each other, read from a snapshot of the index:
 * grants and users' possessions from the graph of edges, active emotes from
 * the emote sets, and the way back from the postings of the derived fields.
 */
#include "indexer/relations.h"

#include "base/ulid.h"

#include "indexer/graph.h"

struct ing_relations {
    const struct idx_snapshot *snapshot; /* bound last, its version, and with which collections */
    uint64_t version;
    struct ing_relation_uids uids;
    const struct idx_collection *emote_sets, *users;
    int32_t set_emotes, set_origins, user_entitlements, user_set; /* field numbers; -1: none */
    struct graph graph;
    struct graph_list direct, reached;
    uint32_t *ords, *ords_other; /* of a set's emotes */
    size_t cap_ords, cap_other;
    struct buf text;
};

struct ing_relations *
ing_relations_new(void)
{
    return xcalloc(1, sizeof(struct ing_relations));
}

void
ing_relations_free(struct ing_relations *r)
{
    if (!r)
        return;
    ing_graph_fini(&r->graph);
    free(r->direct.v);
    free(r->reached.v);
    free(r->ords);
    free(r->ords_other);
    buf_fini(&r->text);
    free(r);
}

static const struct idx_collection *
find_uid(const struct idx_snapshot *s, uint32_t uid)
{
    return uid ? idx_snapshot_find_uid(s, uid) : NULL;
}

static int32_t
field_of(const struct idx_collection *c, struct span name)
{
    return c ? sch_field_find(c->schema, name) : -1;
}

void
ing_relations_bind(struct ing_relations *r, const struct idx_snapshot *s,
                   const struct ing_relation_uids *uids)
{
    uint64_t version = idx_snapshot_version(s);
    if (r->snapshot == s && r->version == version && memcmp(&r->uids, uids, sizeof *uids) == 0)
        return; /* callers bind before each document */
    r->snapshot = s;
    r->version = version;
    r->uids = *uids;
    r->emote_sets = find_uid(s, uids->emote_sets);
    r->users = find_uid(s, uids->users);
    r->set_emotes = field_of(r->emote_sets, SPAN_LIT("emotes"));
    r->set_origins = field_of(r->emote_sets, SPAN_LIT("origins"));
    r->user_entitlements = field_of(r->users, SPAN_LIT("entitlements"));
    r->user_set = field_of(r->users, SPAN_LIT("active_emote_set_id"));
    ing_graph_bind(&r->graph, find_uid(s, uids->edges), find_uid(s, uids->roles));
}

/* ---- grants ---- */

static int
compare_names(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

/* Copies names of nodes into the arena, all texts in one piece. */
static struct span *
copy_names(const struct graph *g, const struct graph_list *nodes, struct arena *arena)
{
    struct span *out = arena_alloc(arena, nodes->n * sizeof *out);
    size_t n_bytes = 0;
    for (size_t i = 0; i < nodes->n; i++)
        n_bytes += g->nodes[nodes->v[i]].name.n;
    char *at = arena_alloc(arena, n_bytes);
    for (size_t i = 0; i < nodes->n; i++) {
        struct span name = g->nodes[nodes->v[i]].name;
        memcpy(at, name.p, name.n);
        out[i] = span_of(at, name.n);
        at += name.n;
    }
    return out;
}

void
ing_relations_grants(struct ing_relations *r, struct span from, struct arena *arena,
                     struct span **out, uint32_t *n)
{
    ing_graph_edges(&r->graph, from, &r->direct);
    struct span *names = copy_names(&r->graph, &r->direct, arena);
    if (r->direct.n > 1)
        qsort(names, r->direct.n, sizeof *names, compare_names);
    *out = names;
    *n = (uint32_t)r->direct.n;
}

/* ---- a set's emotes ---- */

enum { RADIX_BITS = 8, RADIX_N = 1 << RADIX_BITS, SORT_BY_INSERTION = 48 };

static void
sort_few(uint32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t x = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1] > x; at--)
            v[at] = v[at - 1];
        v[at] = x;
    }
}

/* Numbers below 2^32; the result may lie in other, of the same size. */
static uint32_t *
sort_many(uint32_t *v, uint32_t *other, size_t n)
{
    uint32_t all = 0;
    for (size_t i = 0; i < n; i++)
        all |= v[i];
    for (unsigned shift = 0; shift < 32 && all >> shift > 0; shift += RADIX_BITS) {
        size_t begin[RADIX_N + 1] = {0};
        for (size_t i = 0; i < n; i++)
            begin[(v[i] >> shift & (RADIX_N - 1)) + 1]++;
        for (size_t i = 1; i < RADIX_N; i++)
            begin[i] += begin[i - 1];
        for (size_t i = 0; i < n; i++)
            other[begin[v[i] >> shift & (RADIX_N - 1)]++] = v[i];
        uint32_t *swap = v;
        v = other;
        other = swap;
    }
    return v;
}

/* The distinct values of an array field of one document, ascending; *n of them. */
static const uint32_t *
distinct_values(struct ing_relations *r, const struct idx_terms *terms, uint32_t doc, size_t *n)
{
    uint32_t need = idx_forward(terms, doc, r->ords, (uint32_t)r->cap_ords);
    if (need > r->cap_ords) {
        r->ords = xgrow(r->ords, &r->cap_ords, need, sizeof *r->ords);
        need = idx_forward(terms, doc, r->ords, (uint32_t)r->cap_ords);
    }
    size_t n_values = 0, n_distinct = 0;
    for (uint32_t i = 0; i < need; i++) {
        if (r->ords[i] != IDX_ELEMENT_END)
            r->ords[n_values++] = r->ords[i];
    }
    if (n_values > r->cap_other)
        r->ords_other = xgrow(r->ords_other, &r->cap_other, n_values, sizeof *r->ords_other);
    uint32_t *sorted = r->ords;
    if (n_values <= SORT_BY_INSERTION)
        sort_few(sorted, n_values);
    else
        sorted = sort_many(r->ords, r->ords_other, n_values);
    for (size_t i = 0; i < n_values; i++) {
        if (n_distinct == 0 || sorted[n_distinct - 1] != sorted[i])
            sorted[n_distinct++] = sorted[i];
    }
    *n = n_distinct;
    return sorted;
}

static unsigned char *
copy_ulids(const unsigned char *all, const uint32_t *ords, size_t n, struct arena *arena)
{
    unsigned char *ulids = arena_alloc(arena, n * ULID_BYTES_N);
    for (size_t i = 0; i < n; i++)
        memcpy(ulids + i * ULID_BYTES_N, all + (size_t)ords[i] * ULID_BYTES_N, ULID_BYTES_N);
    return ulids;
}

/* Numbers of values are in byte order, so sorting them sorts the ids. */
static void
read_emotes(struct ing_relations *r, struct span set, struct arena *arena,
            struct ing_user_derived *out)
{
    uint32_t view, doc;
    size_t n, begin = 0;
    if (set.n == 0 || !r->emote_sets || r->set_emotes < 0 ||
        !idx_collection_find(r->emote_sets, set, &view, &doc))
        return;
    const struct idx_segment *segment = r->emote_sets->views[view].segment;
    const struct idx_terms *terms = idx_segment_terms(segment, (uint32_t)r->set_emotes, IDX_VALUE);
    if (!terms)
        return;
    const uint32_t *ords = distinct_values(r, terms, doc, &n);
    out->n_emotes = (uint32_t)n;
    if (n == 0)
        return;
    if (idx_terms_ulids(terms)) {
        out->ulids = copy_ulids(idx_terms_ulids(terms), ords, n, arena);
        return;
    }
    struct span *emotes = arena_alloc(arena, n * sizeof *emotes);
    buf_clear(&r->text);
    for (size_t i = 0; i < n; i++) {
        idx_terms_get(terms, ords[i], &r->text);
        emotes[i].n = r->text.n - begin;
        begin = r->text.n;
    }
    const char *at = arena_dup(arena, buf_span(&r->text)).p;
    for (size_t i = 0; i < n; i++) {
        emotes[i].p = at;
        at += emotes[i].n;
    }
    out->emotes = emotes;
}

struct span *
ing_user_emotes(const struct ing_user_derived *user, struct arena *arena)
{
    if (!user->ulids)
        return user->emotes;
    struct span *texts = arena_alloc(arena, user->n_emotes * sizeof *texts);
    char *at = arena_alloc(arena, (size_t)user->n_emotes * ULID_TEXT_N);
    for (uint32_t i = 0; i < user->n_emotes; i++, at += ULID_TEXT_N) {
        ulid_write(user->ulids + (size_t)i * ULID_BYTES_N, at);
        texts[i] = span_of(at, ULID_TEXT_N);
    }
    return texts;
}

/* ---- users ---- */

/* Merges two lists that are in the order of nodes and have nothing in common. */
static void
merge_nodes(const struct graph *g, const struct graph_list *a, const struct graph_list *b,
            struct graph_list *out)
{
    size_t i = 0, j = 0;
    out->n = 0;
    while (i < a->n && j < b->n) {
        const struct graph_node *x = &g->nodes[a->v[i]], *y = &g->nodes[b->v[j]];
        bool is_x = x->kind != y->kind ? x->kind < y->kind : span_cmp(x->name, y->name) < 0;
        ing_graph_list_put(out, is_x ? a->v[i++] : b->v[j++]);
    }
    while (i < a->n)
        ing_graph_list_put(out, a->v[i++]);
    while (j < b->n)
        ing_graph_list_put(out, b->v[j++]);
}

void
ing_relations_user(struct ing_relations *r, struct span user_id, struct span set,
                   struct arena *arena, struct ing_user_derived *out)
{
    struct graph *g = &r->graph;
    struct graph_rank rank;
    char name[sizeof "user:" + IDX_ID_MAX];
    *out = (struct ing_user_derived){0};
    must(user_id.n <= IDX_ID_MAX);
    memcpy(name, "user:", 5);
    memcpy(name + 5, user_id.p, user_id.n);
    const struct graph_list *global = ing_graph_global(g);
    ing_relations_grants(r, span_of(name, user_id.n + 5), arena, &out->grants, &out->n_grants);
    ing_graph_walk(g, &r->direct, &r->reached, &rank);
    merge_nodes(g, &r->reached, global, &r->direct);
    out->entitlements = copy_names(g, &r->direct, arena);
    out->n_entitlements = (uint32_t)r->direct.n;
    out->role_rank = rank.has_role ? rank.rank : 0;
    out->role_hoist_rank = rank.has_hoisted ? rank.hoist_rank : 0;
    read_emotes(r, set, arena, out);
}

/* ---- the way back ---- */

struct visit {
    const struct idx_collection *collection;
    uint32_t field;
    struct span value, except; /* an id that was called for already */
    void (*each)(void *arg, struct span id);
    void *arg;
};

static void
call_for(const struct visit *v, const struct idx_view *view, uint32_t doc)
{
    char text[IDX_ID_MAX];
    if (!(view->live[doc / 64] >> (doc % 64) & 1))
        return;
    struct span id = idx_segment_id(view->segment, doc, text);
    if (!span_eq(id, v->except))
        v->each(v->arg, id);
}

/* Every live document that has the value. */
static void
visit_value(const struct visit *v)
{
    uint32_t docs[IDX_POSTING_BATCH], ord, n;
    struct idx_posting posting;
    for (uint32_t i = 0; i < v->collection->n_views; i++) {
        const struct idx_view *view = &v->collection->views[i];
        const struct idx_terms *terms = idx_segment_terms(view->segment, v->field, IDX_VALUE);
        if (!terms || !idx_terms_find(terms, v->value, &ord))
            continue;
        idx_posting_begin(&posting, terms, ord);
        while ((n = idx_posting_next(&posting, docs)) > 0) {
            for (uint32_t j = 0; j < n; j++)
                call_for(v, view, docs[j]);
        }
    }
}

static void
visit_all(const struct visit *v)
{
    for (uint32_t i = 0; i < v->collection->n_views; i++) {
        const struct idx_view *view = &v->collection->views[i];
        for (uint32_t doc = 0; doc < view->n_docs; doc++)
            call_for(v, view, doc);
    }
}

void
ing_relations_users_with(struct ing_relations *r, struct span node,
                         void (*each)(void *arg, struct span id), void *arg)
{
    enum ing_node_kind kind = ing_node_kind(node);
    struct visit v = {.collection = r->users, .value = node, .each = each, .arg = arg};
    if (!r->users)
        return;
    if (kind == ING_NODE_GLOBAL_DEFAULT) {
        visit_all(&v);
        return;
    }
    if (kind == ING_NODE_USER) {
        v.except = ing_node_id(node);
        each(arg, v.except);
    }
    if (r->user_entitlements < 0)
        return;
    v.field = (uint32_t)r->user_entitlements;
    visit_value(&v);
}

void
ing_relations_users_of_set(struct ing_relations *r, struct span set,
                           void (*each)(void *arg, struct span id), void *arg)
{
    struct visit v = {.collection = r->users, .value = set, .each = each, .arg = arg};
    if (!r->users || r->user_set < 0)
        return;
    v.field = (uint32_t)r->user_set;
    visit_value(&v);
}

void
ing_relations_sets_of_origin(struct ing_relations *r, struct span set,
                             void (*each)(void *arg, struct span id), void *arg)
{
    struct visit v = {.collection = r->emote_sets, .value = set, .each = each, .arg = arg};
    if (!r->emote_sets || r->set_origins < 0)
        return;
    v.field = (uint32_t)r->set_origins;
    visit_value(&v);
}
