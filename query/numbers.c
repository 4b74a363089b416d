/* A hash table of numbers in an arena: open addressing, at most half full. */
#include "query/matching.h"

static size_t
place_of(const struct qry_numbers *m, uint64_t key)
{
    uint64_t h = (key + 1) * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h >> 20) & (m->cap - 1);

    while (m->keys[i] != 0 && m->keys[i] != key + 1)
        i = (i + 1) & (m->cap - 1);
    return i;
}

static void
make_room(struct qry_numbers *m, struct arena *arena)
{
    struct qry_numbers old = *m;

    m->cap = old.cap ? old.cap * 2 : 32;
    m->keys = arena_calloc(arena, m->cap, sizeof *m->keys);
    m->values = arena_calloc(arena, m->cap, sizeof *m->values);
    for (size_t i = 0; i < old.cap; i++) {
        if (old.keys[i] == 0)
            continue;
        size_t to = place_of(m, old.keys[i] - 1);
        m->keys[to] = old.keys[i];
        m->values[to] = old.values[i];
    }
}

uint32_t *
qry_numbers_put(struct qry_numbers *m, struct arena *arena, uint64_t key, uint32_t fallback)
{
    if (2 * (m->n + 1) > m->cap)
        make_room(m, arena);
    size_t i = place_of(m, key);
    if (m->keys[i] == 0) {
        m->keys[i] = key + 1;
        m->values[i] = fallback;
        m->n++;
    }
    return &m->values[i];
}

const uint32_t *
qry_numbers_get(const struct qry_numbers *m, uint64_t key)
{
    if (m->n == 0)
        return NULL;
    size_t i = place_of(m, key);
    return m->keys[i] ? &m->values[i] : NULL;
}
