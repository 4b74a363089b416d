/*
 * A map from (segment, clause) to bitmaps, emptied whenever the room is used
 * up (the clauses that matter are soon there again). A segment in a file never
 * changes and its number is never used again, so what was found out about it
 * holds for every later snapshot: updates come many times a second, and a
 * million numbers are not compared again for each. What is gone stays until
 * the room is used up.
 */
#include "query/filter_cache.h"

#include "base/map.h"

enum { KEY_MAX = 512 }; /* bytes; longer clauses are not worth remembering */

struct qry_filter_cache {
    struct map map; /* to words, in the arena */
    struct arena words;
    size_t n_bytes, bytes_max;
    bool is_full; /* emptied at the next request: what it has is borrowed until then */
};

struct qry_filter_cache *
qry_filter_cache_new(size_t bytes_max)
{
    struct qry_filter_cache *c = xcalloc(1, sizeof *c);

    c->bytes_max = bytes_max;
    return c;
}

void
qry_filter_cache_free(struct qry_filter_cache *c)
{
    if (!c)
        return;
    map_fini(&c->map);
    arena_fini(&c->words);
    free(c);
}

void
qry_filter_cache_begin(struct qry_filter_cache *c)
{
    if (!c->is_full)
        return;
    map_clear(&c->map);
    arena_reset(&c->words);
    c->n_bytes = 0;
    c->is_full = false;
}

/* False if there is none: the segment is in RAM, or the clause too long. */
static bool
make_key(uint64_t file, struct span key, char out[KEY_MAX + sizeof(uint64_t)], struct span *full)
{
    if (file == 0 || key.n == 0 || key.n > KEY_MAX)
        return false;
    memcpy(out, &file, sizeof file);
    memcpy(out + sizeof file, key.p, key.n);
    *full = span_of(out, sizeof file + key.n);
    return true;
}

const uint64_t *
qry_filter_cache_get(const struct qry_filter_cache *c, uint64_t file, struct span key)
{
    char bytes[KEY_MAX + sizeof(uint64_t)];
    struct span full;

    if (!make_key(file, key, bytes, &full))
        return NULL;
    return map_get_ptr(&c->map, full);
}

void
qry_filter_cache_put(struct qry_filter_cache *c, uint64_t file, struct span key,
                     const uint64_t *words, size_t n_words)
{
    char bytes[KEY_MAX + sizeof(uint64_t)];
    struct span full;
    size_t n_bytes = n_words * sizeof *words;

    if (!make_key(file, key, bytes, &full))
        return;
    c->is_full = c->is_full || c->n_bytes + n_bytes > c->bytes_max;
    if (c->is_full)
        return;
    uint64_t *copy = arena_alloc(&c->words, n_bytes);
    memcpy(copy, words, n_bytes);
    c->n_bytes += n_bytes;
    *map_put(&c->map, full, NULL) = (uint64_t)(uintptr_t)copy;
}
