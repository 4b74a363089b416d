/*
 * Background merges of file segments: asks which (choice.h), folds on a merge
 * thread, installs. A merged file is named by the next manifest; only then do
 * the inputs' files go (they are garbage of the catalog until that commit). A
 * generation has at most one merge, all together n_merge_threads.
 */
#include "base/clock.h"
#include "base/heap.h"

#include "index/choice.h"
#include "index/engine.h"
#include "index/fold.h"

/* DISK: beside the merged file, so much stays free for commits and the log. */
enum { BACKOFF_US = 1000000, BACKOFF_MAX_US = 60000000, DISK_BYTES = 64 << 20 };

/* A merge of so much takes long enough for the allocator to be tidied before and after. */
enum { TIDY_BYTES_MIN = 64 << 20 };

struct merge {
    struct idx_job job;
    struct idx_fold *fold;
    enum rc rc;
    struct err err;
};

/*
 * What commits have freed, and the allocator keeps, would stand in memory
 * beside a large result; what the merge has freed, for ever after.
 */
static void
run(struct idx_job *job)
{
    struct merge *m = (struct merge *)job;
    struct idx *idx = job->idx;
    uint64_t n_bytes = 0;
    for (size_t i = 0; i < m->fold->n; i++)
        n_bytes += m->fold->from[i].seg->n_bytes;
    bool is_large = n_bytes >= TIDY_BYTES_MIN;
    if (is_large)
        heap_trim();
    m->rc = idx_fold_run(m->fold, idx->fs, &idx->is_cancelled, &m->err);
    if (is_large)
        heap_trim();
}

static void
finish(struct idx_job *job)
{
    struct merge *m = (struct merge *)job;
    struct idx *idx = job->idx;
    struct idx_writer *w = &idx->writer;
    uint64_t now = clock_us();
    struct idx_generation *g = idx_catalog_find(&w->catalog, m->fold->uid);
    if (g)
        g->is_merging = false;
    w->n_merging--;
    w->is_merge_due = true;
    if (m->rc == RC_OK) {
        idx_fold_install(m->fold, &w->catalog);
        w->merge_backoff_us = w->merge_retry_us = 0;
        metrics_add(w->metrics, M_INDEX_MERGES, 1);
        if (w->publish_at_us == UINT64_MAX)
            w->publish_at_us = now;
        if (w->commit_at_us == UINT64_MAX)
            w->commit_at_us = now + idx->options.commit_us;
    } else if (m->rc != RC_STOPPED) {
        w->merge_backoff_us = w->merge_backoff_us ? w->merge_backoff_us * 2 : BACKOFF_US;
        if (w->merge_backoff_us > BACKOFF_MAX_US)
            w->merge_backoff_us = BACKOFF_MAX_US;
        w->merge_retry_us = now + w->merge_backoff_us;
        (void)err_wrap(&m->err, m->rc, "merging segments");
        idx_trouble(idx, &m->err);
        idx_grant(idx, m->rc, &m->err);
    }
    idx_fold_free(m->fold, &w->catalog);
    free(m);
}

/* A disk that a merge would fill is no place for it: told once, and looked at again later. */
static bool
has_disk(struct idx *idx, const struct idx_generation *g, const size_t *picked, size_t n)
{
    struct idx_writer *w = &idx->writer;
    struct err err = {0};
    uint64_t n_needed = DISK_BYTES, n_free = 0;
    for (size_t i = 0; i < n; i++)
        n_needed += g->parts[picked[i]].seg->n_bytes;
    if (fs_free_bytes(idx->fs, &n_free, NULL) != RC_OK || n_free >= n_needed) {
        w->is_disk_short = false;
        return true;
    }
    (void)err_set(&err, RC_IO,
                  "segments are not merged: that takes up to %llu bytes and the disk has %llu",
                  (unsigned long long)n_needed, (unsigned long long)n_free);
    if (!w->is_disk_short)
        idx_trouble(idx, &err);
    idx_grant(idx, RC_IO, &err);
    w->is_disk_short = w->is_merge_due = true;
    w->merge_retry_us = clock_us() + BACKOFF_MAX_US;
    return false;
}

static void
start(struct idx *idx, struct idx_generation *g, uint64_t now_us)
{
    struct idx_writer *w = &idx->writer;
    size_t *picked = xcalloc(g->n_parts, sizeof *picked);
    size_t n =
        w->news.wants_one_segment ? idx_choose_all(g, picked) : idx_choose_merge(g, now_us, picked);
    if (n > 0 && has_disk(idx, g, picked, n)) {
        struct merge *m = xcalloc(1, sizeof *m);
        m->job = (struct idx_job){.idx = idx, .run = run, .finish = finish};
        m->fold = idx_fold_new(g, picked, n, w->next_file++);
        g->is_merging = true;
        w->n_merging++;
        idx_workers_start(&idx->mergers, &m->job);
    }
    free(picked);
}

void
idx_merges_start(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    uint64_t now_us = clock_us();
    bool is_due = w->is_merge_due || now_us >= w->rest_at_us;
    if (!is_due || now_us < w->merge_retry_us || atomic_load(&idx->is_cancelled))
        return;
    w->is_merge_due = false;
    w->rest_at_us = UINT64_MAX;
    for (size_t i = 0; i < w->catalog.n; i++) {
        struct idx_generation *g = w->catalog.generations[i];
        uint64_t rest_at_us = g->changed_us + IDX_REST_US;
        if (rest_at_us > now_us && rest_at_us < w->rest_at_us)
            w->rest_at_us = rest_at_us;
        /* With too many merges, one that finishes makes it due again. */
        if (!g->is_merging && w->n_merging < idx->options.n_merge_threads)
            start(idx, g, now_us);
    }
}

bool
idx_is_one_segment(const struct idx *idx)
{
    const struct idx_writer *w = &idx->writer;
    for (size_t i = 0; i < w->catalog.n; i++) {
        const struct idx_generation *g = w->catalog.generations[i];
        if (g->is_merging || g->fresh.n > 0 || g->n_parts > 1)
            return false;
        if (g->n_parts == 1 && (!g->parts[0].seg->file || g->parts[0].n_live < g->parts[0].n_docs))
            return false;
    }
    return true;
}
