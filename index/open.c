/*
 * From a directory to an open index: the manifest is read, the files it names
 * are mapped, leftovers of a crash are removed. Nothing is rebuilt, and the
 * sections of a segment are verified before their first use and not here.
 */
#include "index/engine.h"

/* ---- what lies in the directory ---- */

struct listing {
    uint64_t *files; /* numbers of segment files */
    size_t n, cap;
};

static void
note_file(void *arg, const char *name, uint64_t n_bytes)
{
    struct listing *l = arg;
    uint64_t file;
    (void)n_bytes;
    if (!idx_file_number(name, &file))
        return;
    l->files = xgrow(l->files, &l->cap, l->n + 1, sizeof l->files[0]);
    l->files[l->n++] = file;
}

static bool
is_named(const struct idx_manifest *m, uint64_t file)
{
    for (size_t g = 0; g < m->n_generations; g++)
        for (size_t i = 0; i < m->generations[g].n_segments; i++)
            if (m->generations[g].segments[i].file == file)
                return true;
    return false;
}

/*
 * Files that a crash or a failed commit left behind. Their numbers are not
 * used again all the same (I8).
 */
static void
remove_leftovers(struct idx *idx, const struct idx_manifest *m, const struct listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!is_named(m, l->files[i]))
            idx_file_remove(idx->fs, l->files[i]);
        if (l->files[i] >= idx->writer.next_file)
            idx->writer.next_file = l->files[i] + 1;
    }
}

/* ---- a fresh directory ---- */

/*
 * An empty manifest is written before anything else, so that segment files
 * without a manifest can only mean that the manifest was lost.
 */
static enum rc
make_fit(struct idx *idx, const struct listing *l, struct idx_manifest *m, struct err *err)
{
    if (l->n > 0)
        return err_set(err, RC_CORRUPT, "the manifest is missing beside %zu segment files", l->n);
    *m = (struct idx_manifest){.next_uid = 1, .next_file = 1};
    struct buf bytes = {0};
    idx_manifest_encode(m, &bytes);
    enum rc rc = fs_write(idx->fs, IDX_MANIFEST_TEMP, buf_span(&bytes), err);
    if (rc == RC_OK)
        rc = fs_rename(idx->fs, IDX_MANIFEST_TEMP, IDX_MANIFEST_NAME, err);
    if (rc == RC_OK)
        rc = fs_sync_dir(idx->fs, err);
    buf_fini(&bytes);
    return rc;
}

/* ---- what the manifest names ---- */

enum rc
idx_segment_load(struct fs *fs, const struct idx_manifest_segment *s,
                 const struct sch_collection *schema, struct idx_segment **out, struct err *err)
{
    char name[IDX_FILE_NAME_MAX];
    idx_file_name(s->file, name);
    struct fs_map map;
    enum rc rc = fs_map(fs, name, &map, err);
    if (rc == RC_ABSENT)
        return err_set(err, RC_CORRUPT, "%s is named by the manifest and is not there", name);
    if (rc != RC_OK)
        return rc;
    if (map.n != s->n_bytes) {
        (void)err_set(err, RC_CORRUPT, "%s has %zu bytes, the manifest says %llu", name, map.n,
                      (unsigned long long)s->n_bytes);
        fs_unmap(fs, &map);
        return RC_CORRUPT;
    }
    struct idx_segment *segment;
    rc = idx_segment_open_map(fs, &map, schema, &segment, err);
    if (rc != RC_OK)
        return err_wrap(err, rc, "%s", name);
    if (idx_segment_n_docs(segment) != s->n_docs) {
        (void)err_set(err, RC_CORRUPT, "%s has %u documents, the manifest says %u", name,
                      idx_segment_n_docs(segment), s->n_docs);
        idx_segment_free(segment);
        return RC_CORRUPT;
    }
    *out = segment;
    return RC_OK;
}

static enum rc
load_segment(struct idx *idx, struct idx_generation *g, const struct idx_manifest_segment *s,
             struct err *err)
{
    struct idx_segment *segment;
    enum rc rc = idx_segment_load(idx->fs, s, &g->schema->c, &segment, err);
    if (rc != RC_OK)
        return rc;
    struct idx_live *live = NULL;
    if (s->live) {
        live = idx_live_new(s->n_docs, false);
        memcpy(live->words, s->live, live->n_words * sizeof live->words[0]);
    }
    struct idx_seg *seg = idx_seg_new(&segment, g->schema, s->file);
    idx_generation_add(&idx->writer.catalog, g, idx_part_of(seg, live));
    return RC_OK;
}

static enum rc
load_generation(struct idx *idx, const struct idx_manifest_generation *m, struct err *err)
{
    struct idx_schema *schema = idx_schema_new(m->schema);
    struct idx_generation *g =
        idx_catalog_create(&idx->writer.catalog, m->uid, schema, m->analyzer);
    idx_schema_release(schema);
    if (!g)
        return err_set(err, RC_CORRUPT, "the manifest has generation %u twice", m->uid);
    g->is_complete = m->is_complete;
    g->is_named = m->is_named;
    for (size_t i = 0; i < m->n_segments; i++) {
        enum rc rc = load_segment(idx, g, &m->segments[i], err);
        if (rc != RC_OK)
            return rc;
    }
    idx_generation_publish(g);
    return RC_OK;
}

static void
first_snapshot(struct idx_writer *w)
{
    struct idx_catalog *c = &w->catalog;
    struct idx_published **all = xcalloc(c->n, sizeof(struct idx_published *));
    for (size_t i = 0; i < c->n; i++)
        all[i] = c->generations[i]->published;
    w->newest = idx_snapshot_new(++w->version, all, c->n, idx_catalog_table(c));
    c->is_changed = false;
    free(all);
}

static enum rc
load_manifest(struct idx *idx, const struct idx_manifest *m, struct err *err)
{
    struct idx_writer *w = &idx->writer;
    w->commit_number = m->number;
    w->next_file = m->next_file;
    atomic_store(&idx->next_uid, (unsigned)m->next_uid);
    for (size_t i = 0; i < m->n_generations; i++) {
        enum rc rc = load_generation(idx, &m->generations[i], err);
        if (rc != RC_OK)
            return rc;
    }
    for (size_t i = 0; i < m->n_entries; i++)
        idx_catalog_entry(&w->catalog, m->entries[i].kind, m->entries[i].key, m->entries[i].value);
    for (size_t i = 0; i < m->n_states; i++)
        idx_catalog_state(&w->catalog, m->states[i].name, m->states[i].value);
    first_snapshot(w);
    idx_durable_set(&idx->durable, m);
    return RC_OK;
}

enum rc
idx_load(struct idx *idx, struct err *err)
{
    struct arena arena = {0};
    struct listing l = {0};
    struct idx_manifest m = {0};
    enum rc rc = fs_lock(idx->fs, IDX_LOCK_NAME, err);
    if (rc == RC_OK)
        rc = fs_list(idx->fs, note_file, &l, err);
    if (rc != RC_OK)
        goto out;
    rc = idx_manifest_read(idx->fs, &arena, &m, err);
    if (rc == RC_ABSENT)
        rc = make_fit(idx, &l, &m, err);
    if (rc == RC_OK)
        rc = load_manifest(idx, &m, err);
    if (rc == RC_OK)
        remove_leftovers(idx, &m, &l);
out:
    free(l.files);
    arena_fini(&arena);
    return rc;
}
