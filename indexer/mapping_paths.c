/*
 * The names a mapping reads, as a tree, so that a document is walked once
 * however many fields look into it. What a path finds is an iterator at the
 * value; what follows "[]" is the business of the field's rule.
 */
#include "indexer/mapping_parts.h"

/* The child of that name, or 0. Cost: O(children). */
static uint32_t
find_child(const struct ing_paths *p, uint32_t parent, struct span name)
{
    uint32_t at = p->nodes[parent].child;
    while (at != 0 && !span_eq(p->nodes[at].name, name))
        at = p->nodes[at].next;
    return at;
}

/* Appended behind its siblings: documents mostly have the names in that order. */
static uint32_t
add_child(struct ing_paths *p, uint32_t parent, struct span name)
{
    uint32_t added = p->n_nodes++;
    p->nodes[added] = (struct ing_path_node){.name = name, .slot = -1};
    uint32_t *link = &p->nodes[parent].child;
    while (*link != 0)
        link = &p->nodes[*link].next;
    *link = added;
    return added;
}

enum rc
ing_paths_add(struct ing_paths *p, struct span path, struct arena *arena, int32_t *slot,
              struct err *err)
{
    struct span rest = path;
    uint32_t at = 0;
    unsigned depth = 0;
    if (p->n_nodes == 0)
        p->nodes[p->n_nodes++] = (struct ing_path_node){.slot = -1};
    if (path.n == 0)
        return err_set(err, RC_INVALID, "a path is empty");
    while (rest.p) {
        struct span name = span_split(&rest, '.');
        if (name.n == 0 || ++depth > ING_DEPTH_MAX)
            return err_set(err, RC_INVALID, "the path \"%.*s\" has an empty name or is too deep",
                           SPAN_ARG(path));
        uint32_t child = find_child(p, at, name);
        if (child == 0 && p->n_nodes == ARRAY_SIZE(p->nodes))
            return err_set(err, RC_LIMIT, "too many different paths");
        at = child ? child : add_child(p, at, arena_dup(arena, name));
    }
    if (p->nodes[at].slot < 0 && p->n_slots == ING_SLOTS_MAX)
        return err_set(err, RC_LIMIT, "more than %d different paths", ING_SLOTS_MAX);
    if (p->nodes[at].slot < 0)
        p->nodes[at].slot = (int32_t)p->n_slots++;
    *slot = p->nodes[at].slot;
    return RC_OK;
}

enum rc
ing_paths_want(struct ing_paths *p, struct span head, struct span tail, struct arena *arena,
               struct err *err)
{
    if (p->n_wanted == ING_WANTED_MAX)
        return err_set(err, RC_LIMIT, "more than %d paths", ING_WANTED_MAX);
    p->wanted[p->n_wanted++] =
        tail.n == 0 ? arena_dup(arena, head)
                    : arena_printf(arena, "%.*s.%.*s", SPAN_ARG(head), SPAN_ARG(tail));
    return RC_OK;
}

/* Whether a fetches all that b would; of equal paths the earlier one counts. */
static bool
covers(const struct ing_paths *p, uint32_t a, uint32_t b)
{
    struct span x = p->wanted[a], y = p->wanted[b];
    if (x.n == y.n)
        return a < b && span_eq(x, y);
    return span_starts(y, x) && y.p[x.n] == '.';
}

bson_t *
ing_paths_projection(const struct ing_paths *p)
{
    bson_t *out = bson_new();
    for (uint32_t i = 0; i < p->n_wanted; i++) {
        bool is_covered = false;
        for (uint32_t j = 0; j < p->n_wanted && !is_covered; j++)
            is_covered = covers(p, j, i);
        if (!is_covered)
            bson_append_int32(out, p->wanted[i].p, (int)p->wanted[i].n, 1);
    }
    return out;
}

struct frame { /* a document being walked */
    bson_iter_t it;
    uint32_t parent; /* its node */
    uint32_t hint;   /* where the next name is most likely found */
};

/* As find_child, but begins behind the name found before. */
static uint32_t
match(const struct ing_paths *p, struct frame *f, struct span name)
{
    const struct ing_path_node *nodes = p->nodes;
    for (uint32_t at = f->hint; at != 0; at = nodes[at].next) {
        if (span_eq(nodes[at].name, name)) {
            f->hint = nodes[at].next;
            return at;
        }
    }
    for (uint32_t at = nodes[f->parent].child; at != f->hint; at = nodes[at].next) {
        if (span_eq(nodes[at].name, name)) {
            f->hint = nodes[at].next;
            return at;
        }
    }
    return 0;
}

void
ing_paths_walk(const struct ing_paths *p, const bson_t *doc, struct ing_place *slots, bool *is_set)
{
    struct frame stack[ING_DEPTH_MAX + 1];
    size_t depth = 0;
    memset(is_set, 0, p->n_slots);
    stack[0].parent = 0;
    stack[0].hint = p->nodes[0].child;
    if (!bson_iter_init(&stack[0].it, doc))
        return;
    for (;;) {
        struct frame *f = &stack[depth];
        if (!bson_iter_next(&f->it)) {
            if (depth-- == 0)
                return;
            continue;
        }
        uint32_t at = match(p, f, span_of(bson_iter_key(&f->it), bson_iter_key_len(&f->it)));
        if (at == 0)
            continue;
        const struct ing_path_node *node = &p->nodes[at];
        if (node->slot >= 0) {
            slots[node->slot].it = f->it;
            is_set[node->slot] = true;
        }
        if (node->child == 0 || bson_iter_type(&f->it) != BSON_TYPE_DOCUMENT)
            continue;
        struct frame *below = &stack[depth + 1];
        if (!bson_iter_recurse(&f->it, &below->it))
            continue;
        below->parent = at;
        below->hint = node->child;
        depth++;
    }
}
