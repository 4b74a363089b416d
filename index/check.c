/*
 * Checks a directory that no one has open against the invariants of
 * README.md. What one segment can tell about itself, verify.c checks; here is
 * what the manifest, several segments and the log must agree on.
 */
#include "index/engine.h"

#include <stdarg.h>

#include "base/map.h"

#include "index/oplog.h"

struct check {
    struct fs *fs;
    void (*report)(void *arg, const char *finding);
    void *arg;
    char where[IDX_FILE_NAME_MAX + 32]; /* put before the findings of a segment */
    size_t n;                           /* findings */
};

PRINTF_LIKE(2, 3)
static void
find(struct check *c, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->report(c->arg, text);
    c->n++;
}

static void
find_in_segment(void *arg, const char *finding)
{
    struct check *c = arg;
    find(c, "%s: %s", c->where, finding);
}

/* ---- one generation ---- */

struct opened {
    struct idx_segment *segment;
    const uint64_t *live; /* NULL: all */
    uint32_t n_docs;
};

static bool
is_live(const struct opened *o, uint32_t doc)
{
    return !o->live || idx_is_alive(o->live, doc);
}

/* I5: every live id is found by the table of its segment, and is alive in no other. */
static void
check_ids(struct check *c, const struct idx_manifest_generation *g, const struct opened *opened)
{
    char text[IDX_ID_MAX];
    struct map seen = {0};
    for (size_t i = 0; i < g->n_segments; i++) {
        const struct opened *o = &opened[i];
        for (uint32_t doc = 0; o->segment && doc < o->n_docs; doc++) {
            uint32_t at;
            bool is_new;
            if (!is_live(o, doc))
                continue;
            struct span id = idx_segment_id(o->segment, doc, text);
            if (!idx_segment_find_id(o->segment, id, &at) || at != doc)
                find(c, "generation %u: the table of segment %zu does not find \"%.*s\"", g->uid, i,
                     SPAN_ARG(id));
            *map_put(&seen, id, &is_new) = i;
            if (!is_new)
                find(c, "generation %u: \"%.*s\" is alive twice (I5)", g->uid, SPAN_ARG(id));
        }
    }
    map_fini(&seen);
}

/* Opens, verifies. RC_OK also with findings; others: it cannot be read at all. */
static enum rc
check_segment(struct check *c, const struct idx_manifest_generation *g, size_t i,
              struct opened *out, struct err *err)
{
    const struct idx_manifest_segment *m = &g->segments[i];
    struct err e = {0};
    struct idx_segment *segment;
    enum rc rc = idx_segment_load(c->fs, m, g->schema, &segment, &e);
    if (rc == RC_CORRUPT) {
        find(c, "generation %u: %s", g->uid, e.text);
        return RC_OK;
    }
    if (rc != RC_OK) {
        if (err)
            *err = e;
        return rc;
    }
    idx_file_name(m->file, c->where);
    rc = idx_segment_verify(segment, find_in_segment, c);
    if (rc != RC_OK) { /* told already: what it holds cannot be relied on */
        idx_segment_free(segment);
        return RC_OK;
    }
    *out = (struct opened){segment, m->live, m->n_docs};
    return RC_OK;
}

static enum rc
check_generation(struct check *c, const struct idx_manifest_generation *g, struct err *err)
{
    struct opened *opened = xcalloc(g->n_segments, sizeof *opened);
    enum rc rc = RC_OK;
    for (size_t i = 0; i < g->n_segments && rc == RC_OK; i++)
        rc = check_segment(c, g, i, &opened[i], err);
    if (rc == RC_OK)
        check_ids(c, g, opened);
    for (size_t i = 0; i < g->n_segments; i++)
        idx_segment_free(opened[i].segment);
    free(opened);
    return rc;
}

/* ---- the manifest ---- */

static void
check_names(struct check *c, const struct idx_manifest *m)
{
    struct map names = {0}, files = {0};
    for (size_t i = 0; i < m->n_generations; i++) {
        const struct idx_manifest_generation *g = &m->generations[i];
        bool is_new = true;
        if (g->is_named)
            (void)map_put(&names, g->schema->name, &is_new);
        if (!is_new)
            find(c, "two generations have the name \"%.*s\"", SPAN_ARG(g->schema->name));
        if (g->uid >= m->next_uid)
            find(c, "generation %u is not below the next uid (I8)", g->uid);
        for (size_t j = 0; j < g->n_segments; j++) {
            char name[IDX_FILE_NAME_MAX];
            idx_file_name(g->segments[j].file, name);
            (void)map_put(&files, span_str(name), &is_new);
            if (!is_new)
                find(c, "%s is named twice", name);
            if (g->segments[j].file >= m->next_file)
                find(c, "%s is not below the next file number (I8)", name);
        }
    }
    map_fini(&names);
    map_fini(&files);
}

static void
check_entries(struct check *c, const struct idx_manifest *m)
{
    for (size_t i = 1; i < m->n_entries; i++) {
        const struct idx_entry *a = &m->entries[i - 1], *b = &m->entries[i];
        int order = span_cmp(a->kind, b->kind);
        if (order > 0 || (order == 0 && span_cmp(a->key, b->key) >= 0))
            find(c, "entry \"%.*s\" of kind \"%.*s\" is not in order", SPAN_ARG(b->key),
                 SPAN_ARG(b->kind));
    }
}

static enum rc
skip_record(void *arg, struct span record, uint64_t end, struct err *err)
{
    (void)arg;
    (void)record;
    (void)end;
    (void)err;
    return RC_OK;
}

static void
check_log(struct check *c)
{
    struct err err = {0};
    if (idx_log_scan(c->fs, skip_record, NULL, &err) != RC_OK)
        find(c, "the operation log: %s", err.text);
}

enum rc
idx_check(struct fs *fs, void (*report)(void *arg, const char *finding), void *arg, struct err *err)
{
    struct check c = {.fs = fs, .report = report, .arg = arg};
    struct arena arena = {0};
    struct idx_manifest m = {0};
    struct err e = {0};
    enum rc rc = fs_lock(fs, IDX_LOCK_NAME, err);
    if (rc != RC_OK)
        goto out;
    rc = idx_manifest_read(fs, &arena, &m, &e);
    if (rc == RC_CORRUPT || rc == RC_ABSENT)
        find(&c, "%s", e.text);
    if (rc != RC_OK) {
        rc = err_set(err, rc == RC_IO ? RC_IO : RC_CORRUPT, "%s", e.text);
        goto out;
    }
    check_names(&c, &m);
    check_entries(&c, &m);
    for (size_t i = 0; i < m.n_generations && rc == RC_OK; i++)
        rc = check_generation(&c, &m.generations[i], err);
    check_log(&c);
    if (rc == RC_OK && c.n > 0)
        rc = err_set(err, RC_CORRUPT, "%zu findings", c.n);
out:
    arena_fini(&arena);
    return rc;
}
