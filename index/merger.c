/*
 * Background merges of file segments: asks the policy, folds on a merge
 * thread, installs. A merged file is named by the next manifest; only then do
 * the inputs' files go (they are garbage of the catalog until that commit). A
 * generation has at most one merge, all together n_merge_threads.
 */
#include "base/clock.h"

#include "index/engine.h"
#include "index/fold.h"
#include "index/policy.h"

/*
 * While nobody reads a generation its segments may be many: most of a bulk load
 * is then merged once, when it is over, and not while it wants the processor.
 */
enum { QUIET_FILES = 4 * IDX_POLICY_FILES };

/* A segment is rewritten for its dead documents from so many on. */
enum { MIN_DEAD = 1000, BACKOFF_US = 1000000, BACKOFF_MAX_US = 60000000 };

/* No merge takes more: sections have 32-bit offsets, and the result is made in memory. */
static const uint64_t MERGE_BYTES_MAX = (uint64_t)2 << 30;

struct merge {
    struct idx_job job;
    struct idx_fold *fold;
    enum rc rc;
    struct err err;
};

static void
run(struct idx_job *job)
{
    struct merge *m = (struct merge *)job;
    struct idx *idx = job->idx;
    m->rc = idx_fold_run(m->fold, idx->fs, &idx->is_cancelled, &m->err);
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

/* Every file part, if that is more than one or some of it is dead. */
static size_t
pick_all(const struct idx_generation *g, size_t *picked)
{
    size_t n = 0;
    uint64_t n_dead = 0, n_live = 0;
    for (size_t i = 0; i < g->n_parts; i++) {
        if (!g->parts[i].seg->file)
            continue;
        n_dead += g->parts[i].n_docs - g->parts[i].n_live;
        n_live += g->parts[i].n_live;
        picked[n++] = i;
    }
    return n_live > 0 && (n > 1 || n_dead > 0) ? n : 0;
}

/* Only as many of the picked, which are lightest first, as MERGE_BYTES_MAX allows. */
static size_t
bound(const struct idx_policy_item *items, const size_t *picked, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += items[picked[i]].weight;
        if (bytes > MERGE_BYTES_MAX)
            return i < 2 ? 0 : i;
    }
    return n;
}

static size_t
pick(const struct idx_generation *g, size_t *picked)
{
    struct idx_policy_item *items = xcalloc(g->n_parts, sizeof *items);
    size_t *numbers = xcalloc(g->n_parts, sizeof *numbers);
    size_t n = 0;
    for (size_t i = 0; i < g->n_parts; i++) {
        const struct idx_part *p = &g->parts[i];
        if (!p->seg->file || p->n_live == 0)
            continue;
        uint64_t bytes = p->seg->n_bytes / p->n_docs * p->n_live;
        if (bytes > MERGE_BYTES_MAX / 2)
            continue; /* big enough */
        items[n] = (struct idx_policy_item){bytes, p->n_docs, p->n_live};
        numbers[n++] = i;
    }
    size_t max_n = idx_generation_is_quiet(g) ? QUIET_FILES : IDX_POLICY_FILES;
    size_t n_picked = idx_policy_pick(items, n, max_n, MIN_DEAD, picked);
    n_picked = bound(items, picked, n_picked);
    for (size_t i = 0; i < n_picked; i++)
        picked[i] = numbers[picked[i]];
    free(items);
    free(numbers);
    return n_picked;
}

static void
start(struct idx *idx, struct idx_generation *g)
{
    struct idx_writer *w = &idx->writer;
    size_t *picked = xcalloc(g->n_parts, sizeof *picked);
    size_t n = w->news.wants_one_segment ? pick_all(g, picked) : pick(g, picked);
    if (n > 0) {
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
    if (!w->is_merge_due || clock_us() < w->merge_retry_us || atomic_load(&idx->is_cancelled))
        return;
    w->is_merge_due = false;
    for (size_t i = 0; i < w->catalog.n; i++) {
        struct idx_generation *g = w->catalog.generations[i];
        if (w->n_merging >= idx->options.n_merge_threads)
            return; /* the one that finishes makes it due again */
        if (!g->is_merging)
            start(idx, g);
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
