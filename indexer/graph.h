/*
 * The entitlement graph of one snapshot, read edge by edge as it is asked for
 * and kept for the next question. Nodes are numbers. Private to relations.c
 * and graph.c.
 */
#ifndef TAILFIN_INDEXER_GRAPH_H
#define TAILFIN_INDEXER_GRAPH_H

#include "base/arena.h"
#include "base/map.h"
#include "index/index.h"

#include "indexer/node.h"

struct graph_node {
    struct span name; /* in the graph's arena */
    enum ing_node_kind kind;
    uint32_t mark;    /* of the walk that reached it last */
    bool is_expanded; /* next is known */
    bool is_global;   /* the global default node leads here */
    bool is_role_read, has_role, is_hoisted;
    int32_t rank;
    uint32_t n_next;
    const uint32_t *next; /* each once, in no order */
};

struct graph_list { /* of node numbers; kept between uses */
    uint32_t *v;
    size_t n, cap;
};

struct graph_rank { /* of the roles of some nodes */
    bool has_role, has_hoisted;
    int32_t rank, hoist_rank;
};

struct graph {
    const struct idx_collection *edges, *roles; /* NULL: none */
    int32_t from, to, rank, hoist;              /* field numbers; -1: none */
    uint64_t edges_version, roles_version;
    uint32_t edges_uid, roles_uid;

    struct arena arena; /* names and next lists */
    struct map by_name; /* node number */
    struct graph_node *nodes;
    size_t n_nodes, cap_nodes;
    uint32_t mark;

    struct arena view_arena; /* of the bound snapshot */
    uint32_t **node_of;      /* per view: node + 1 of a `to` value's number, 0: not asked yet */

    struct graph_list scratch;
    struct buf text;

    bool has_global; /* these are known: */
    struct graph_list global;
    struct graph_rank global_rank;
};

void ing_graph_fini(struct graph *g);
/* Keeps what it knows if neither edges nor roles have changed since. */
void ing_graph_bind(struct graph *g, const struct idx_collection *edges,
                    const struct idx_collection *roles);
/* Sets *out to the nodes that `from` has edges to, each once. Cost: O(edges). */
void ing_graph_edges(struct graph *g, struct span from, struct graph_list *out);
/*
 * Sets *out to what is reached from the direct nodes but not from the global
 * default node, in the order of nodes, and *rank to that of everything,
 * global nodes included.
 */
void ing_graph_walk(struct graph *g, const struct graph_list *direct, struct graph_list *out,
                    struct graph_rank *rank);
/* What the global default node leads to, in the order of nodes; borrowed. */
const struct graph_list *ing_graph_global(struct graph *g);

void ing_graph_list_put(struct graph_list *l, uint32_t node);

#endif
