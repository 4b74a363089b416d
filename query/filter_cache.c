/*
 * A map from (segment, clause) to bitmaps, emptied whenever the snapshot
 * changes or the room is used up (the clauses that matter are soon there
 * again): within one snapshot a segment's address names it for certain, and
 * one evaluation per clause and publication costs next to nothing.
 */
#include "query/filter_cache.h"

#include "base/map.h"

enum { KEY_MAX = 512 }; /* bytes; longer clauses are not worth remembering */

struct qry_filter_cache {
    struct map map; /* to words, in the arena */
    struct arena words;
    uint64_t version;
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
qry_filter_cache_begin(struct qry_filter_cache *c, uint64_t snapshot_version)
{
    if (c->version == snapshot_version && !c->is_full)
        return;
    map_clear(&c->map);
    arena_reset(&c->words);
    c->n_bytes = 0;
    c->is_full = false;
    c->version = snapshot_version;
}

/* False if the key is too long. */
static bool
make_key(const struct idx_segment *segment, struct span key, char out[KEY_MAX + sizeof(void *)],
         struct span *full)
{
    if (key.n == 0 || key.n > KEY_MAX)
        return false;
    memcpy(out, &segment, sizeof segment);
    memcpy(out + sizeof segment, key.p, key.n);
    *full = span_of(out, sizeof segment + key.n);
    return true;
}

const uint64_t *
qry_filter_cache_get(const struct qry_filter_cache *c, const struct idx_segment *segment,
                     struct span key)
{
    char bytes[KEY_MAX + sizeof(void *)];
    struct span full;

    if (!make_key(segment, key, bytes, &full))
        return NULL;
    return map_get_ptr(&c->map, full);
}

void
qry_filter_cache_put(struct qry_filter_cache *c, const struct idx_segment *segment,
                     struct span key, const uint64_t *words, size_t n_words)
{
    char bytes[KEY_MAX + sizeof(void *)];
    struct span full;
    size_t n_bytes = n_words * sizeof *words;

    c->is_full = c->is_full || c->n_bytes + n_bytes > c->bytes_max;
    if (c->is_full || !make_key(segment, key, bytes, &full))
        return;
    uint64_t *copy = arena_alloc(&c->words, n_bytes);
    memcpy(copy, words, n_bytes);
    c->n_bytes += n_bytes;
    *map_put(&c->map, full, NULL) = (uint64_t)(uintptr_t)copy;
}
