/* Comma lists of parameters: search-semantics section 11. */
#include "query/plan.h"

struct qry_names
qry_names_of(struct span text, struct arena *arena)
{
    struct span *v = NULL;
    size_t n = 0, cap = 0;

    for (struct span rest = text; rest.p;) {
        struct span item = span_trim(span_split(&rest, ','));
        if (item.n == 0)
            continue;
        v = arena_grow(arena, v, &cap, n + 1, sizeof *v);
        v[n++] = item;
    }
    return (struct qry_names){v, (uint32_t)n};
}

bool
qry_names_has(const struct qry_names *names, struct span name)
{
    for (uint32_t i = 0; i < names->n; i++)
        if (span_eq(names->v[i], name))
            return true;
    return false;
}
