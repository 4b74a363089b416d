/* The keys of a sweep: a sorted array of hashes. */
#include "indexer/sink_sweep.h"

#include <stdlib.h>

#include "base/hash.h"

enum { OWED = 1 };

void
ing_sweep_clear(struct ing_sweep *w)
{
    w->n = w->n_left = 0;
}

void
ing_sweep_fini(struct ing_sweep *w)
{
    free(w->marks);
    *w = (struct ing_sweep){0};
}

void
ing_sweep_add(struct ing_sweep *w, struct span key)
{
    w->marks = xgrow(w->marks, &w->cap, w->n + 1, sizeof *w->marks);
    w->marks[w->n++] = hash64(key) | OWED;
}

static int
compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

void
ing_sweep_begin(struct ing_sweep *w)
{
    if (w->n > 1)
        qsort(w->marks, w->n, sizeof *w->marks, compare);
    w->n_left = w->n;
}

static uint64_t *
find(const struct ing_sweep *w, struct span key)
{
    uint64_t mark = hash64(key) | OWED;
    size_t begin = 0, end = w->n;
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if ((w->marks[middle] | OWED) < mark)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin < w->n && (w->marks[begin] | OWED) == mark ? &w->marks[begin] : NULL;
}

bool
ing_sweep_has(const struct ing_sweep *w, struct span key)
{
    const uint64_t *mark = find(w, key);
    return mark && (*mark & OWED);
}

void
ing_sweep_take(struct ing_sweep *w, struct span key)
{
    uint64_t *mark = find(w, key);
    if (!mark || !(*mark & OWED))
        return;
    *mark &= ~(uint64_t)OWED;
    w->n_left--;
}
