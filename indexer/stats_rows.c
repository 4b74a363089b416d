/* Rows of emote statistics: sums by emote and day, and their text. */
#include "indexer/stats.h"

#include <time.h>

void
ing_stats_rows_fini(struct ing_stats_rows *r)
{
    map_fini(&r->counts);
}

static void
add(struct ing_stats_rows *r, struct span key, int64_t count)
{
    uint64_t *sum = map_put(&r->counts, key, NULL);
    *sum = (uint64_t)((int64_t)*sum + count);
}

void
ing_stats_rows_add(struct ing_stats_rows *r, const unsigned char emote[16], int64_t at_s, int count)
{
    char key[64];
    struct tm day;
    time_t at = (time_t)at_s;
    size_t n = 0;
    for (size_t i = 0; i < 16; i++) {
        const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
        n += (size_t)snprintf(key + n, sizeof key - n, "%s%02x", dash, emote[i]);
    }
    key[n++] = '\t';
    if (!gmtime_r(&at, &day))
        return; /* no such year */
    n += strftime(key + n, sizeof key - n, "%Y-%m-%d", &day);
    add(r, span_of(key, n), count);
}

/* The distinct UUIDs of an array, as a set. */
static void
read_uuids(const bson_iter_t *array, struct map *out)
{
    bson_iter_t item;
    if (!array || !BSON_ITER_HOLDS_ARRAY(array) || !bson_iter_recurse(array, &item))
        return;
    while (bson_iter_next(&item)) {
        const uint8_t *p;
        uint32_t n;
        bson_subtype_t subtype;
        if (!BSON_ITER_HOLDS_BINARY(&item))
            continue;
        bson_iter_binary(&item, &subtype, &n, &p);
        if (subtype == BSON_SUBTYPE_UUID && n == 16)
            (void)map_put(out, span_of((const char *)p, n), NULL); /* a set */
    }
}

static void
add_without(struct ing_stats_rows *r, const struct map *these, const struct map *others,
            int64_t at_s, int count)
{
    struct span id;
    for (size_t at = 0; map_next(these, &at, &id, NULL);) {
        unsigned char bytes[16];
        memcpy(bytes, id.p, sizeof bytes);
        if (!map_get(others, id))
            ing_stats_rows_add(r, bytes, at_s, count);
    }
}

void
ing_stats_rows_diff(struct ing_stats_rows *r, const bson_iter_t *before, const bson_iter_t *after,
                    int64_t at_s)
{
    struct map was = {0}, is = {0};
    read_uuids(before, &was);
    read_uuids(after, &is);
    add_without(r, &is, &was, at_s, 1);
    add_without(r, &was, &is, at_s, -1);
    map_fini(&was);
    map_fini(&is);
}

size_t
ing_stats_rows_write(const struct ing_stats_rows *r, struct buf *out)
{
    struct span key;
    uint64_t *sum;
    size_t n = 0;
    for (size_t at = 0; map_next(&r->counts, &at, &key, &sum);) {
        if (*sum == 0)
            continue;
        buf_put_span(out, key);
        buf_printf(out, "\t%lld\n", (long long)(int64_t)*sum);
        n++;
    }
    return n;
}

void
ing_stats_rows_read(struct ing_stats_rows *r, struct span lines)
{
    while (lines.n) {
        struct span line = span_split(&lines, '\n');
        size_t day = span_find(line, 0, '\t') + 1;
        size_t tab = span_find(line, day, '\t');
        int64_t count;
        if (tab < line.n && span_i64(span_from(line, tab + 1), &count))
            add(r, span_of(line.p, tab), count);
    }
}
