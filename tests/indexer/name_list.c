#include "name_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/must.h"

bool
list_has(const struct list *l, struct span name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (span_eq(l->v[i], name))
            return true;
    }
    return false;
}

void
list_add(struct list *l, struct span name)
{
    if (list_has(l, name))
        return;
    must(l->n < NAMES_MAX);
    l->v[l->n++] = name;
}

int
by_bytes(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

void
assert_list(const char *what, struct list *want, int (*order)(const void *, const void *),
            const struct span *got, uint32_t n)
{
    qsort(want->v, want->n, sizeof *want->v, order);
    for (uint32_t i = 0; i < n && i < want->n; i++) {
        if (!span_eq(want->v[i], got[i]))
            fail_msg("%s %u: got %.*s, want %.*s", what, i, SPAN_ARG(got[i]), SPAN_ARG(want->v[i]));
    }
    if (n != want->n)
        fail_msg("%s: got %u, want %zu", what, n, want->n);
}
