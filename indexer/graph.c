/*
 * Walks the entitlement graph. A user's few edges are read from the snapshot's
 * postings; what they lead to (roles, products, benefits) is shared by many
 * users, so nodes and their edges are remembered. What everyone has through
 * the global default node is worked out once and left out of each user's walk.
 */
#include "indexer/graph.h"

enum { NODES_MAX = 400000 }; /* forgotten beyond: every subscription is a node */

static const struct span global_name = {"global_default_entitlement_group", 32};

void
ing_graph_list_put(struct graph_list *l, uint32_t node)
{
    if (l->n == l->cap)
        l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = node;
}

static void
forget(struct graph *g)
{
    map_clear(&g->by_name);
    arena_reset(&g->arena);
    g->n_nodes = 0;
    g->mark = 0;
    g->has_global = false;
}

static void
forget_views(struct graph *g)
{
    arena_reset(&g->view_arena);
    g->node_of = NULL;
    if (g->edges)
        g->node_of = arena_calloc(&g->view_arena, g->edges->n_views, sizeof *g->node_of);
}

void
ing_graph_fini(struct graph *g)
{
    map_fini(&g->by_name);
    arena_fini(&g->arena);
    arena_fini(&g->view_arena);
    free(g->nodes);
    free(g->scratch.v);
    free(g->global.v);
    buf_fini(&g->text);
    *g = (struct graph){0};
}

static int32_t
field_of(const struct idx_collection *c, struct span name)
{
    return c ? sch_field_find(c->schema, name) : -1;
}

void
ing_graph_bind(struct graph *g, const struct idx_collection *edges,
               const struct idx_collection *roles)
{
    uint64_t edges_version = edges ? edges->version : 0, roles_version = roles ? roles->version : 0;
    uint32_t edges_uid = edges ? edges->uid : 0, roles_uid = roles ? roles->uid : 0;
    bool is_same = edges_uid == g->edges_uid && roles_uid == g->roles_uid &&
                   edges_version == g->edges_version && roles_version == g->roles_version;
    g->edges = edges;
    g->roles = roles;
    g->from = field_of(edges, SPAN_LIT("from"));
    g->to = field_of(edges, SPAN_LIT("to"));
    g->rank = field_of(roles, SPAN_LIT("rank"));
    g->hoist = field_of(roles, SPAN_LIT("hoist"));
    g->edges_uid = edges_uid;
    g->roles_uid = roles_uid;
    g->edges_version = edges_version;
    g->roles_version = roles_version;
    if (!is_same || g->n_nodes > NODES_MAX)
        forget(g);
    forget_views(g); /* a merge may have moved segments without a change of contents */
}

/* ---- nodes ---- */

static uint32_t
intern(struct graph *g, struct span name)
{
    bool is_new;
    uint64_t *number = map_put(&g->by_name, name, &is_new);
    if (!is_new)
        return (uint32_t)*number;
    *number = g->n_nodes;
    if (g->n_nodes == g->cap_nodes)
        g->nodes = xgrow(g->nodes, &g->cap_nodes, g->n_nodes + 1, sizeof *g->nodes);
    g->nodes[g->n_nodes] =
        (struct graph_node){.name = arena_dup(&g->arena, name), .kind = ing_node_kind(name)};
    return (uint32_t)g->n_nodes++;
}

/* The node of a `to` value by its number in the view's dictionary. */
static uint32_t
node_of_value(struct graph *g, uint32_t view, const struct idx_terms *terms, uint32_t ord)
{
    uint32_t **known = &g->node_of[view];
    if (!*known)
        *known = arena_calloc(&g->view_arena, idx_terms_n(terms), sizeof **known);
    if ((*known)[ord] == 0) {
        buf_clear(&g->text);
        idx_terms_get(terms, ord, &g->text);
        (*known)[ord] = intern(g, buf_span(&g->text)) + 1;
    }
    return (*known)[ord] - 1;
}

/* A mark that no node bears. */
static uint32_t
next_mark(struct graph *g)
{
    if (++g->mark == 0) {
        for (size_t i = 0; i < g->n_nodes; i++)
            g->nodes[i].mark = 0;
        g->mark = 1;
    }
    return g->mark;
}

/* ---- edges ---- */

static bool
is_live(const struct idx_view *view, uint32_t doc)
{
    return view->live[doc / 64] >> (doc % 64) & 1;
}

/* Appends the target of every live edge of a view that begins at `from`. */
static void
put_view_edges(struct graph *g, uint32_t view_number, struct span from, struct graph_list *out)
{
    const struct idx_view *view = &g->edges->views[view_number];
    const struct idx_terms *froms = idx_segment_terms(view->segment, (uint32_t)g->from, IDX_VALUE);
    const struct idx_terms *tos = idx_segment_terms(view->segment, (uint32_t)g->to, IDX_VALUE);
    uint32_t docs[IDX_POSTING_BATCH], ord, n;
    struct idx_posting posting;
    if (!froms || !tos || !idx_terms_find(froms, from, &ord))
        return;
    idx_posting_begin(&posting, froms, ord);
    while ((n = idx_posting_next(&posting, docs)) > 0) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t to[2];
            if (!is_live(view, docs[i]) || idx_forward(tos, docs[i], to, 2) == 0 ||
                to[0] == IDX_ELEMENT_END)
                continue;
            ing_graph_list_put(out, node_of_value(g, view_number, tos, to[0]));
        }
    }
}

static int
compare_numbers(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void
ing_graph_edges(struct graph *g, struct span from, struct graph_list *out)
{
    size_t n = 0;
    out->n = 0;
    if (!g->edges || g->from < 0 || g->to < 0)
        return;
    for (uint32_t i = 0; i < g->edges->n_views; i++)
        put_view_edges(g, i, from, out);
    if (out->n < 2)
        return;
    /* The same pair may have edges of several managers. */
    qsort(out->v, out->n, sizeof *out->v, compare_numbers);
    for (size_t i = 0; i < out->n; i++) {
        if (n == 0 || out->v[n - 1] != out->v[i])
            out->v[n++] = out->v[i];
    }
    out->n = n;
}

static void
expand(struct graph *g, uint32_t number)
{
    if (g->nodes[number].is_expanded)
        return;
    ing_graph_edges(g, g->nodes[number].name, &g->scratch);
    struct graph_node *node = &g->nodes[number]; /* reading edges may have moved it */
    uint32_t *next = arena_alloc(&g->arena, g->scratch.n * sizeof *next);
    if (g->scratch.n > 0)
        memcpy(next, g->scratch.v, g->scratch.n * sizeof *next);
    node->next = next;
    node->n_next = (uint32_t)g->scratch.n;
    node->is_expanded = true;
}

/* ---- roles ---- */

static void
read_role(struct graph *g, struct graph_node *node)
{
    struct idx_column rank, hoist;
    uint32_t view, doc;
    node->is_role_read = true;
    if (!g->roles || !idx_collection_find(g->roles, ing_node_id(node->name), &view, &doc))
        return;
    const struct idx_segment *segment = g->roles->views[view].segment;
    node->has_role = true;
    if (g->rank >= 0 && idx_segment_column(segment, (uint32_t)g->rank, &rank) &&
        rank.type == SCH_INT32)
        node->rank = rank.i32[doc];
    if (g->hoist >= 0 && idx_segment_column(segment, (uint32_t)g->hoist, &hoist) &&
        hoist.type == SCH_BOOL)
        node->is_hoisted = hoist.b8[doc];
}

/* 0 stands for "no role" only: a negative rank counts as it is. */
static void
add_rank(struct graph *g, uint32_t number, struct graph_rank *rank)
{
    struct graph_node *node = &g->nodes[number];
    if (node->kind != ING_NODE_ROLE)
        return;
    if (!node->is_role_read)
        read_role(g, node);
    if (!node->has_role)
        return;
    if (!rank->has_role || node->rank > rank->rank)
        rank->rank = node->rank;
    rank->has_role = true;
    if (!node->is_hoisted)
        return;
    if (!rank->has_hoisted || node->rank > rank->hoist_rank)
        rank->hoist_rank = node->rank;
    rank->has_hoisted = true;
}

/* ---- walks ---- */

static int
compare_nodes(const void *a, const void *b, void *arg)
{
    const struct graph_node *nodes = arg;
    const struct graph_node *x = &nodes[*(const uint32_t *)a], *y = &nodes[*(const uint32_t *)b];
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return span_cmp(x->name, y->name);
}

/* Puts nodes that this walk has not met and that not everyone has anyway. */
static void
put_new(struct graph *g, const uint32_t *v, size_t n, uint32_t mark, struct graph_list *out)
{
    for (size_t i = 0; i < n; i++) {
        struct graph_node *node = &g->nodes[v[i]];
        if (node->mark == mark || node->is_global)
            continue;
        node->mark = mark;
        ing_graph_list_put(out, v[i]);
    }
}

/* Breadth first from the nodes in *out on; then sorts them. */
static void
walk(struct graph *g, uint32_t mark, struct graph_list *out, struct graph_rank *rank)
{
    for (size_t i = 0; i < out->n; i++) {
        enum ing_node_kind kind = g->nodes[out->v[i]].kind;
        add_rank(g, out->v[i], rank);
        /* Where the global node leads is in every result already. */
        if (!ing_node_may_expand(kind) || (kind == ING_NODE_GLOBAL_DEFAULT && g->has_global))
            continue;
        expand(g, out->v[i]);
        put_new(g, g->nodes[out->v[i]].next, g->nodes[out->v[i]].n_next, mark, out);
    }
    if (out->n > 1)
        qsort_r(out->v, out->n, sizeof *out->v, compare_nodes, g->nodes);
}

const struct graph_list *
ing_graph_global(struct graph *g)
{
    if (g->has_global)
        return &g->global;
    g->global.n = 0;
    g->global_rank = (struct graph_rank){0};
    uint32_t number = intern(g, global_name);
    uint32_t mark = next_mark(g);
    expand(g, number);
    put_new(g, g->nodes[number].next, g->nodes[number].n_next, mark, &g->global);
    walk(g, mark, &g->global, &g->global_rank);
    for (size_t i = 0; i < g->global.n; i++)
        g->nodes[g->global.v[i]].is_global = true;
    g->has_global = true;
    return &g->global;
}

void
ing_graph_walk(struct graph *g, const struct graph_list *direct, struct graph_list *out,
               struct graph_rank *rank)
{
    must(g->has_global);
    uint32_t mark = next_mark(g);
    *rank = g->global_rank;
    out->n = 0;
    put_new(g, direct->v, direct->n, mark, out);
    walk(g, mark, out, rank);
}
