/*
 * The commit: how a state of the index becomes durable. The second spine of
 * the room; the crash story is told here and nowhere else.
 *
 *   capture        writer     publish all; this instant is what will be durable:
 *                             segments with their live words, entries, resume state
 *                             what is in RAM will be one file, light files with it
 *   run            committer  1 write each new segment file and sync it
 *                             2 sync the directory: their names are safe
 *                             3 write the manifest to a temporary name and sync it
 *                             4 rename it into place
 *                             5 sync the directory: the rename is safe
 *                             6 delete files that it does not name
 *   finish         writer     put the files in the place of what they were made of
 *
 * A crash before 4: the old manifest is whole, and so is all it names, since
 * nothing of that is deleted before 6; files without a name in it are removed
 * by the next open. A crash after 4 but before 5 is durable leaves either
 * manifest; both are whole. After 5 it is the new one. A file that a manifest
 * names never changes (I1) and was synced before (I2). The resume state is
 * captured with the documents (I3).
 *
 * While the committer works the writer goes on. Its new documents are not part
 * of the capture; captured ones that die meanwhile are alive in the file, and
 * marked dead in RAM when it is installed (fold.h).
 *
 * A failure before 4 undoes itself. After 4 it is not known which manifest the
 * disk has: the new files stay until a later manifest, which does not name
 * them, is safe. In both cases nothing is lost in RAM and the writer tries
 * again, with other file names: what a failed sync left in the page cache is
 * never trusted.
 */
#include "base/clock.h"

#include "index/choice.h"
#include "index/engine.h"
#include "index/fold.h"

/* Of a bulk load: a RAM segment so big is written as it is, merging is left to the merges. */
enum {
    STRAIGHT_DOCS_MIN = 8192,
    STRAIGHT_BYTES_MIN = 2 << 20,
    BACKOFF_US = 100000,
    BACKOFF_MAX_US = 5000000
};

struct idx_commit {
    struct idx_job job;
    /* Captured: */
    struct arena arena;      /* of the manifest */
    struct idx_snapshot *at; /* keeps all that the manifest points to; never seen by readers */
    uint64_t ticket;
    struct idx_manifest manifest;
    struct idx_fold **folds;             /* in the arena */
    struct idx_manifest_segment **slots; /* by fold: its place in the manifest */
    size_t n_folds;
    uint64_t *garbage; /* named by earlier manifests only; taken from the catalog */
    size_t n_garbage;
    uint64_t began_us;
    /* By the committer: */
    enum rc rc;
    struct err err;
    bool may_be_named; /* failed, but the new manifest may be in place */
};

static void capture(struct idx *idx, struct idx_commit *c);
static void run(struct idx_job *job);
static enum rc write_segments(struct idx_commit *c, struct err *err);
static enum rc replace_manifest(struct idx_commit *c, struct err *err);
static void delete_garbage(const struct idx_commit *c);
static void finish(struct idx_job *job);

void
idx_commit_start(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    must(!w->commit);
    struct idx_commit *c = xcalloc(1, sizeof *c);
    c->job = (struct idx_job){.idx = idx, .run = run, .finish = finish};
    c->began_us = clock_us();
    idx_publish(idx, IDX_ALL);
    capture(idx, c);
    w->commit = c;
    w->commit_at_us = UINT64_MAX;
    idx_workers_start(&idx->committer, &c->job);
}

/* ---- capture: the writer thread ---- */

static void
plan_fold(struct idx *idx, struct idx_commit *c, struct idx_generation *g, const size_t *picked,
          size_t n)
{
    if (n > 0)
        c->folds[c->n_folds++] = idx_fold_new(g, picked, n, idx->writer.next_file++);
}

/* Of a generation that nobody reads: big segments one by one, all others together. */
static void
plan_quiet_folds(struct idx *idx, struct idx_commit *c, struct idx_generation *g, size_t *small)
{
    size_t n_small = 0;
    for (size_t i = 0; i < g->n_parts; i++) {
        const struct idx_part *p = &g->parts[i];
        if (p->seg->file)
            continue;
        bool is_big = p->n_docs >= STRAIGHT_DOCS_MIN || p->seg->n_bytes >= STRAIGHT_BYTES_MIN;
        if (!p->seg->is_compressed || !is_big) {
            small[n_small++] = i;
            continue;
        }
        plan_fold(idx, c, g, &i, 1);
        c->folds[c->n_folds - 1]->is_straight = true;
    }
    plan_fold(idx, c, g, small, n_small);
}

static void
plan_folds(struct idx *idx, struct idx_commit *c, struct idx_generation *g)
{
    size_t *picked = xcalloc(g->n_parts, sizeof *picked);
    if (idx_generation_is_quiet(g))
        plan_quiet_folds(idx, c, g, picked);
    else
        plan_fold(idx, c, g, picked, idx_choose_commit(g, picked));
    free(picked);
}

/* True if one of the folds from the first on has the part: its result is named instead. */
static bool
is_folded(const struct idx_commit *c, size_t first, const struct idx_part *p)
{
    for (size_t i = first; i < c->n_folds; i++)
        for (size_t k = 0; k < c->folds[i]->n; k++)
            if (c->folds[i]->from[k].seg == p->seg)
                return true;
    return false;
}

static void
capture_generation(struct idx *idx, struct idx_commit *c, struct idx_generation *g,
                   struct idx_manifest_generation *m)
{
    size_t first = c->n_folds;
    plan_folds(idx, c, g);
    m->uid = g->uid;
    m->is_complete = g->is_complete;
    m->is_named = g->is_named;
    m->analyzer = g->analyzer;
    m->schema = &g->schema->c;
    m->segments = arena_calloc(&c->arena, g->n_parts + 1, sizeof m->segments[0]);
    for (size_t i = 0; i < g->n_parts; i++) {
        const struct idx_part *p = &g->parts[i];
        if (!is_folded(c, first, p))
            m->segments[m->n_segments++] = (struct idx_manifest_segment){
                p->seg->file, p->seg->n_bytes, p->n_docs, p->live->words};
    }
    for (size_t i = first; i < c->n_folds; i++)
        c->slots[i] = &m->segments[m->n_segments++];
}

static void
capture_states(const struct idx_catalog *from, struct idx_commit *c)
{
    struct idx_state_part *states = arena_calloc(&c->arena, from->n_states, sizeof *states);
    for (size_t i = 0; i < from->n_states; i++) {
        states[i].name = arena_dup(&c->arena, from->states[i].name);
        states[i].value = arena_dup(&c->arena, from->states[i].value);
    }
    c->manifest.states = states;
    c->manifest.n_states = from->n_states;
}

static void
capture(struct idx *idx, struct idx_commit *c)
{
    struct idx_writer *w = &idx->writer;
    struct idx_catalog *from = &w->catalog;
    struct idx_published **all = xcalloc(from->n, sizeof(struct idx_published *));
    size_t n_parts = 0;
    for (size_t i = 0; i < from->n; i++) {
        all[i] = from->generations[i]->published;
        n_parts += from->generations[i]->n_parts;
    }
    c->at = idx_snapshot_new(0, all, from->n, idx_catalog_table(from));
    free(all);
    c->ticket = w->tickets.applied;
    c->folds = arena_calloc(&c->arena, n_parts, sizeof(struct idx_fold *));
    c->slots = arena_calloc(&c->arena, n_parts, sizeof(struct idx_manifest_segment *));

    struct idx_manifest *m = &c->manifest;
    m->generations = arena_calloc(&c->arena, from->n, sizeof m->generations[0]);
    m->n_generations = from->n;
    for (size_t i = 0; i < from->n; i++)
        capture_generation(idx, c, from->generations[i], &m->generations[i]);
    m->entries = c->at->table->entries;
    m->n_entries = c->at->table->n;
    capture_states(from, c);
    m->number = ++w->commit_number;
    m->wall_us = clock_wall_us();
    m->next_uid = atomic_load(&idx->next_uid);
    m->next_file = w->next_file;

    c->garbage = from->garbage;
    c->n_garbage = from->n_garbage;
    from->garbage = NULL;
    from->n_garbage = from->cap_garbage = 0;
}

/* ---- run: the committer ---- */

static void
run(struct idx_job *job)
{
    struct idx_commit *c = (struct idx_commit *)job;
    struct idx *idx = job->idx;
    struct fs *fs = idx->fs;
    c->rc = write_segments(c, &c->err);
    if (c->rc == RC_OK) /* also for files that merges wrote */
        c->rc = fs_sync_dir(fs, &c->err);
    if (c->rc == RC_OK) {
        must(pthread_mutex_lock(&idx->commit_lock) == 0);
        c->rc = replace_manifest(c, &c->err);
        if (c->rc == RC_OK)
            delete_garbage(c);
        must(pthread_mutex_unlock(&idx->commit_lock) == 0);
    }
    if (c->rc == RC_OK || c->may_be_named)
        return;
    for (size_t i = 0; i < c->n_folds; i++)
        if (c->folds[i]->result) /* the one that failed removed its own */
            idx_file_remove(fs, c->folds[i]->file);
}

static enum rc
write_segments(struct idx_commit *c, struct err *err)
{
    for (size_t i = 0; i < c->n_folds; i++) {
        struct idx_fold *f = c->folds[i];
        enum rc rc = idx_fold_run(f, c->job.idx->fs, NULL, err);
        if (rc != RC_OK)
            return rc;
        *c->slots[i] = (struct idx_manifest_segment){
            .file = f->file,
            .n_bytes = idx_segment_n_bytes(f->result),
            .n_docs = idx_segment_n_docs(f->result),
            .live = f->is_straight ? f->inputs[0].live : NULL,
        };
    }
    return RC_OK;
}

static enum rc
replace_manifest(struct idx_commit *c, struct err *err)
{
    struct fs *fs = c->job.idx->fs;
    struct buf bytes = {0};
    idx_manifest_encode(&c->manifest, &bytes);
    enum rc rc = fs_write(fs, IDX_MANIFEST_TEMP, buf_span(&bytes), err); /* syncs it */
    buf_fini(&bytes);
    if (rc != RC_OK)
        return rc;
    c->may_be_named = true;
    rc = fs_rename(fs, IDX_MANIFEST_TEMP, IDX_MANIFEST_NAME, err);
    if (rc == RC_OK)
        rc = fs_sync_dir(fs, err);
    return rc;
}

static void
delete_garbage(const struct idx_commit *c)
{
    for (size_t i = 0; i < c->n_garbage; i++)
        idx_file_remove(c->job.idx->fs, c->garbage[i]);
}

/* ---- finish: the writer thread ---- */

static void
finish_well(struct idx *idx, struct idx_commit *c)
{
    struct idx_writer *w = &idx->writer;
    for (size_t i = 0; i < c->n_folds; i++)
        idx_fold_install(c->folds[i], &w->catalog);
    w->tickets.durable = c->ticket;
    w->commit_backoff_us = w->commit_retry_us = 0;
    w->is_merge_due = true;
    idx_durable_set(&idx->durable, &c->manifest);
    if (c->n_folds > 0 && w->publish_at_us == UINT64_MAX)
        w->publish_at_us = clock_us(); /* lets the RAM segments go */
    metrics_set(w->metrics, M_INDEX_COMMIT_FAILING, 0);
    metrics_add(w->metrics, M_INDEX_COMMITS, 1);
    metrics_observe(w->metrics, M_COMMIT_TIME, clock_us() - c->began_us);
}

static void
finish_badly(struct idx *idx, struct idx_commit *c)
{
    struct idx_writer *w = &idx->writer;
    for (size_t i = 0; i < c->n_garbage; i++)
        idx_catalog_garbage(&w->catalog, c->garbage[i]);
    for (size_t i = 0; c->may_be_named && i < c->n_folds; i++)
        idx_catalog_garbage(&w->catalog, c->folds[i]->file);
    w->commit_backoff_us = w->commit_backoff_us ? w->commit_backoff_us * 2 : BACKOFF_US;
    if (w->commit_backoff_us > BACKOFF_MAX_US)
        w->commit_backoff_us = BACKOFF_MAX_US;
    w->commit_retry_us = w->commit_at_us = clock_us() + w->commit_backoff_us;
    metrics_add(w->metrics, M_INDEX_COMMIT_FAILURES, 1);
    (void)err_wrap(&c->err, c->rc, "commit %llu", (unsigned long long)c->manifest.number);
    idx_durable_fail(&idx->durable, &c->err);
    metrics_set(w->metrics, M_INDEX_COMMIT_FAILING, 1);
    idx_trouble(idx, &c->err);
    idx_grant(idx, c->rc, &c->err);
}

static void
finish(struct idx_job *job)
{
    struct idx_commit *c = (struct idx_commit *)job;
    struct idx *idx = job->idx;
    struct idx_writer *w = &idx->writer;
    must(w->commit == c);
    if (c->rc == RC_OK)
        finish_well(idx, c);
    else
        finish_badly(idx, c);
    w->commit_rc = c->rc;
    w->commit_err = c->err;
    w->commit = NULL;
    for (size_t i = 0; i < c->n_folds; i++)
        idx_fold_free(c->folds[i], &w->catalog);
    idx_snapshot_free(c->at);
    free(c->garbage);
    arena_fini(&c->arena);
    free(c);
}
