/*
 * A hash table from byte strings to 64-bit values (or pointers). Keys are
 * copied in. One thread at a time. All-zero is a valid empty map. XXH3 hashes,
 * open addressing, linear probing; no removal but map_remove's tombstones.
 */
#ifndef TAILFIN_BASE_MAP_H
#define TAILFIN_BASE_MAP_H

#include "base/arena.h"
#include "base/span.h"

struct map_entry;

struct map {
    struct map_entry *entries;
    size_t n, n_used, cap; /* live, live + tombstones, slots */
    struct arena keys;
};

/* Pointer to the value of key; NULL if absent. Valid until the next map_put. */
uint64_t *map_get(const struct map *m, struct span key);
/* Pointer to the value of key, inserted as 0 if absent (*is_new tells; may be NULL). */
uint64_t *map_put(struct map *m, struct span key, bool *is_new);
/* False if it was absent. */
bool map_remove(struct map *m, struct span key);
/* Iterates in no order: *at starts at 0; false at the end. key and value may be NULL. */
bool map_next(const struct map *m, size_t *at, struct span *key, uint64_t **value);
void map_clear(struct map *m);
void map_fini(struct map *m);

static inline void *
map_get_ptr(const struct map *m, struct span key)
{
    uint64_t *v = map_get(m, key);
    return v ? (void *)(uintptr_t)*v : NULL;
}

#endif
