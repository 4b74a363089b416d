#include "base/map.h"

#include "base/hash.h"

struct map_entry {
    uint64_t hash; /* FREE, GONE or the key's hash, moved out of their way */
    struct span key;
    uint64_t value;
};

enum { FREE, GONE, HASH_MIN, CAP_MIN = 16 };

static uint64_t
key_hash(struct span key)
{
    uint64_t h = hash64(key);
    return h < HASH_MIN ? h + HASH_MIN : h;
}

/* The entry of key, or NULL. */
static struct map_entry *
find(const struct map *m, struct span key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_entry *e = &m->entries[i];
        if (e->hash == FREE)
            return NULL;
        if (e->hash == hash && span_eq(e->key, key))
            return e;
    }
}

/* A free slot for a key that is not in the table. */
static struct map_entry *
free_slot(struct map_entry *entries, size_t cap, uint64_t hash)
{
    size_t i = hash & (cap - 1);
    while (entries[i].hash != FREE)
        i = (i + 1) & (cap - 1);
    return &entries[i];
}

/* Rebuilds the table with room, without tombstones and without their keys. */
static void
rehash(struct map *m)
{
    size_t cap = m->cap ? m->cap : CAP_MIN;
    while (m->n + 1 > cap / 2)
        cap *= 2;
    struct map_entry *entries = xcalloc(cap, sizeof *entries);
    struct arena keys = {0};
    bool is_copying = m->n_used > m->n;
    for (size_t i = 0; i < m->cap; i++) {
        if (m->entries[i].hash < HASH_MIN)
            continue;
        struct map_entry *e = free_slot(entries, cap, m->entries[i].hash);
        *e = m->entries[i];
        if (is_copying)
            e->key = arena_dup(&keys, e->key);
    }
    if (is_copying) {
        arena_fini(&m->keys);
        m->keys = keys;
    }
    free(m->entries);
    m->entries = entries;
    m->cap = cap;
    m->n_used = m->n;
}

uint64_t *
map_get(const struct map *m, struct span key)
{
    struct map_entry *e = find(m, key, key_hash(key));
    return e ? &e->value : NULL;
}

uint64_t *
map_put(struct map *m, struct span key, bool *is_new)
{
    uint64_t hash = key_hash(key);
    struct map_entry *e = find(m, key, hash);
    if (is_new)
        *is_new = !e;
    if (e)
        return &e->value;
    if (m->n_used + 1 > m->cap / 4 * 3)
        rehash(m);
    e = free_slot(m->entries, m->cap, hash);
    *e = (struct map_entry){.hash = hash, .key = arena_dup(&m->keys, key)};
    m->n++;
    m->n_used++;
    return &e->value;
}

bool
map_remove(struct map *m, struct span key)
{
    struct map_entry *e = find(m, key, key_hash(key));
    if (!e)
        return false;
    *e = (struct map_entry){.hash = GONE};
    m->n--;
    return true;
}

bool
map_next(const struct map *m, size_t *at, struct span *key, uint64_t **value)
{
    while (*at < m->cap && m->entries[*at].hash < HASH_MIN)
        (*at)++;
    if (*at >= m->cap)
        return false;
    struct map_entry *e = &m->entries[(*at)++];
    if (key)
        *key = e->key;
    if (value)
        *value = &e->value;
    return true;
}

void
map_clear(struct map *m)
{
    if (m->cap)
        memset(m->entries, 0, m->cap * sizeof *m->entries);
    m->n = m->n_used = 0;
    arena_reset(&m->keys);
}

void
map_fini(struct map *m)
{
    if (!m)
        return;
    free(m->entries);
    arena_fini(&m->keys);
    *m = (struct map){0};
}
