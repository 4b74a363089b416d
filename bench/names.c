#include "bench/names.h"

#include <zlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"

enum { LINE_MAX_BYTES = 1 << 16, NAME_MAX_BYTES = 100, TAGS_MAX = 6 };

static void
read_tags(const struct json *tags, struct arena *arena, struct bench_name *out)
{
    if (!tags || tags->type != JSON_ARRAY || tags->n == 0)
        return;
    struct span *v = arena_calloc(arena, TAGS_MAX, sizeof *v);
    for (uint32_t i = 0; i < tags->n && out->n_tags < TAGS_MAX; i++) {
        const struct json *tag = &tags->items[i];
        if (tag->type == JSON_STRING && tag->string.n > 2 && tag->string.n <= 30)
            v[out->n_tags++] = arena_dup(arena, tag->string);
    }
    out->tags = v;
}

/* Whether the line gave a name that was not there before. */
static bool
read_line(struct span line, struct arena *scratch, struct arena *arena, struct map *seen,
          struct bench_name *out)
{
    struct json v;
    if (json_parse(line, scratch, &v, NULL) != RC_OK)
        return false;
    struct span name =
        span_trim(json_get_str(&v, "name", json_get_str(&v, "handle", SPAN_LIT(""))));
    bool is_new = false;
    if (name.n == 0 || name.n > NAME_MAX_BYTES)
        return false;
    (void)map_put(seen, name, &is_new);
    if (!is_new)
        return false;
    *out = (struct bench_name){.name = arena_dup(arena, name)};
    out->display = arena_dup(arena, json_get_str(&v, "display", SPAN_LIT("")));
    double popularity = 0;
    if (json_number(json_get(&v, "popularity"), &popularity) && popularity > 0)
        out->popularity = popularity > 4e9 ? 4000000000u : (uint32_t)popularity;
    read_tags(json_get(&v, "tags"), arena, out);
    return true;
}

enum rc
bench_names_read(const char *path, struct arena *arena, struct bench_names *out, struct err *err)
{
    gzFile file = gzopen(path, "rb");
    if (!file)
        return err_set(err, RC_ABSENT, "%s cannot be opened", path);
    struct arena scratch = {0};
    struct map seen = {0};
    struct bench_names names = {0};
    size_t cap = 0;
    char *line = xmalloc(LINE_MAX_BYTES);
    while (gzgets(file, line, LINE_MAX_BYTES)) {
        arena_reset(&scratch);
        names.v = arena_grow(arena, names.v, &cap, names.n + 1, sizeof *names.v);
        names.n += read_line(span_str(line), &scratch, arena, &seen, &names.v[names.n]);
    }
    enum rc rc =
        gzeof(file) ? RC_OK : err_set(err, RC_CORRUPT, "%s cannot be read to its end", path);
    if (rc == RC_OK && names.n == 0)
        rc = err_set(err, RC_CORRUPT, "%s holds no names", path);
    gzclose(file);
    free(line);
    map_fini(&seen);
    arena_fini(&scratch);
    if (rc == RC_OK)
        *out = names;
    return rc;
}
