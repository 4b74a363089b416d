/*
 * Loads profiles: built in ones from the table that the build makes of
 * schema/profiles, others from a folder. Checks what every reader of a profile
 * relies on; what "from" entries mean is the indexer's business.
 */
#include "schema/profile.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "base/map.h"

enum { FILE_BYTES_MAX = 1 << 20, FILES_MAX = 512, SCAN_DEFAULT = 50, PATH_BYTES_MAX = 4096 };

struct loaded {
    struct span file;
    int64_t scan; /* smaller is scanned earlier */
    struct sch_collection collection;
};

struct loader {
    struct arena *arena;
    struct loaded *v;
    uint32_t n;
    struct err *err;
};

/* ---- one file ---- */

/* Gives each field its "from", and the collection its "source". */
static enum rc
attach_sources(const struct json *json, struct loaded *l, struct err *err)
{
    struct sch_collection *c = &l->collection;
    c->source = json_get(json, "source");
    if (!c->source || c->source->type != JSON_OBJECT)
        return err_set(err, RC_INVALID, "a profile's collection needs a \"source\" object");
    const struct json *scan = json_get(c->source, "scan");
    l->scan = scan && scan->type == JSON_INT ? scan->i64 : SCAN_DEFAULT;
    const struct json *fields = json_get(json, "fields");
    for (uint32_t i = 0; i < fields->n; i++) {
        int32_t at = sch_field_find(c, json_get_str(&fields->items[i], "name", (struct span){0}));
        if (at < 0)
            continue; /* the id: the source says how it is made */
        struct sch_field *f = &c->fields[at];
        f->source = json_get(&fields->items[i], "from");
        if (!f->source || (f->source->type != JSON_STRING && f->source->type != JSON_OBJECT))
            return err_set(err, RC_INVALID, "field \"%.*s\" needs \"from\": a path or an object",
                           SPAN_ARG(f->name));
    }
    return RC_OK;
}

static enum rc
load_file(struct loader *loader, struct span file, struct span bytes)
{
    if (loader->n == FILES_MAX)
        return err_set(loader->err, RC_LIMIT, "a profile may have at most %d files", FILES_MAX);
    struct loaded *l = &loader->v[loader->n];
    struct json *json = arena_alloc(loader->arena, sizeof *json);
    *l = (struct loaded){.file = arena_dup(loader->arena, file)};
    enum rc rc = json_parse(bytes, loader->arena, json, loader->err);
    if (rc == RC_OK)
        rc = sch_parse(json, loader->arena, &l->collection, loader->err);
    if (rc == RC_OK)
        rc = attach_sources(json, l, loader->err);
    if (rc != RC_OK)
        return err_wrap(loader->err, RC_INVALID, "profile file %.*s", SPAN_ARG(file));
    loader->n++;
    return RC_OK;
}

/* ---- where files come from ---- */

static enum rc
load_builtin(struct loader *loader, struct span name)
{
    enum rc rc = RC_OK;
    for (const struct sch_profile_file *f = sch_profile_files; f->name && rc == RC_OK; f++) {
        struct span file = span_str(f->name);
        if (span_starts(file, name) && file.n > name.n && file.p[name.n] == '/')
            rc = load_file(loader, file, span_of(f->bytes, f->n));
    }
    if (rc == RC_OK && loader->n == 0)
        rc = err_set(loader->err, RC_ABSENT,
                     "there is no built-in profile \"%.*s\" (a folder's name needs a '/')",
                     SPAN_ARG(name));
    return rc;
}

struct names {
    struct arena *arena;
    struct span v[FILES_MAX];
    size_t n;
};

static void
collect_name(void *arg, const char *name, uint64_t n_bytes)
{
    struct names *names = arg;
    struct span s = span_str(name);
    (void)n_bytes;
    if (names->n < FILES_MAX && s.n > 5 && span_eq_str(span_from(s, s.n - 5), ".json"))
        names->v[names->n++] = arena_dup(names->arena, s);
}

static int
compare_names(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static enum rc
load_path(struct loader *loader, struct span dir, struct span name)
{
    struct buf bytes = {0};
    struct span path = arena_printf(loader->arena, "%.*s/%.*s", SPAN_ARG(dir), SPAN_ARG(name));
    enum rc rc = fs_read_path(arena_str(loader->arena, path), FILE_BYTES_MAX, &bytes, loader->err);
    if (rc == RC_OK)
        rc = load_file(loader, name, buf_span(&bytes));
    buf_fini(&bytes);
    return rc;
}

static enum rc
load_folder(struct loader *loader, struct span dir)
{
    const char *path = arena_str(loader->arena, dir);
    struct names *names = arena_calloc(loader->arena, 1, sizeof *names);
    struct fs *fs = NULL;
    struct stat st;
    names->arena = loader->arena;
    /* Asked first, because opening would make the folder. */
    if (dir.n > PATH_BYTES_MAX || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(loader->err, RC_ABSENT, "there is no profile folder %.*s", SPAN_ARG(dir));
    enum rc rc = fs_open_host(path, &fs, loader->err);
    if (rc == RC_OK)
        rc = fs_list(fs, collect_name, names, loader->err);
    fs_close(fs);
    qsort(names->v, names->n, sizeof names->v[0], compare_names);
    for (size_t i = 0; i < names->n && rc == RC_OK; i++)
        rc = load_path(loader, dir, names->v[i]);
    if (rc == RC_OK && loader->n == 0)
        rc = err_set(loader->err, RC_ABSENT, "the profile folder %.*s has no .json files",
                     SPAN_ARG(dir));
    return rc;
}

/* ---- the whole ---- */

static int
compare_loaded(const void *a, const void *b)
{
    const struct loaded *l = a, *r = b;
    if (l->scan != r->scan)
        return l->scan < r->scan ? -1 : 1;
    return span_cmp(l->file, r->file);
}

static enum rc
check_names(const struct loader *loader)
{
    struct map seen = {0};
    bool is_new = true;
    enum rc rc = RC_OK;
    for (uint32_t i = 0; i < loader->n && rc == RC_OK; i++) {
        (void)map_put(&seen, loader->v[i].collection.name, &is_new);
        if (!is_new)
            rc = err_set(loader->err, RC_INVALID,
                         "profile file %.*s: another file describes \"%.*s\" too",
                         SPAN_ARG(loader->v[i].file), SPAN_ARG(loader->v[i].collection.name));
    }
    map_fini(&seen);
    return rc;
}

enum rc
sch_profile_load(struct span name, struct arena *arena, struct sch_profile *out, struct err *err)
{
    struct loader loader = {.arena = arena, .err = err};
    loader.v = arena_calloc(arena, FILES_MAX, sizeof *loader.v);
    bool is_folder = span_find(name, 0, '/') < name.n;
    enum rc rc = is_folder ? load_folder(&loader, name) : load_builtin(&loader, name);
    if (rc != RC_OK)
        return rc;
    qsort(loader.v, loader.n, sizeof *loader.v, compare_loaded);
    rc = check_names(&loader);
    if (rc != RC_OK)
        return rc;
    out->name = arena_dup(arena, name);
    out->n_collections = loader.n;
    out->collections = arena_calloc(arena, loader.n, sizeof *out->collections);
    for (uint32_t i = 0; i < loader.n; i++)
        out->collections[i] = loader.v[i].collection;
    return RC_OK;
}
