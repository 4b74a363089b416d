/*
 * Makes what was applied visible: fresh documents become segments, small
 * segments in RAM are folded so that a query meets few, and a new snapshot
 * takes the place of the old one.
 */
#include "base/clock.h"

#include "index/choice.h"
#include "index/engine.h"
#include "index/fold.h"
#include "index/seal.h"

/* ---- one generation ---- */

static bool
is_touched(const struct idx_generation *g)
{
    return g->is_changed || g->fresh.n > 0;
}

/* While a commit has parts of its own, others come: there must be room for these. */
enum { COMMIT_ROOM = 2 };

static void
fold_ram(struct idx *idx, struct idx_generation *g)
{
    struct idx_catalog *c = &idx->writer.catalog;
    struct err err = {0};
    size_t *picked = xcalloc(g->n_parts, sizeof *picked);
    size_t n = idx_choose_ram(g, idx->writer.commit ? 0 : COMMIT_ROOM, picked);
    if (n >= 2) {
        struct idx_fold *f = idx_fold_new(g, picked, n, 0);
        if (idx_fold_run(f, idx->fs, NULL, &err) == RC_OK)
            idx_fold_install(f, c);
        else /* it stays as it is: more segments, the same answers */
            idx_trouble(idx, &err);
        idx_fold_free(f, c);
    }
    free(picked);
}

/* A lookup may have met bytes that fail their checksum: an older version may show up again. */
static void
tell_corrupt(struct idx *idx, struct idx_generation *g)
{
    for (size_t i = 0; i < g->n_parts; i++) {
        struct idx_part *p = &g->parts[i];
        if (p->is_told || !idx_segment_is_corrupt(p->seg->segment))
            continue;
        struct err err;
        char name[IDX_FILE_NAME_MAX];
        idx_file_name(p->seg->file, name);
        (void)err_set(&err, RC_CORRUPT, "%s fails its checksum", name);
        idx_trouble(idx, &err);
        p->is_told = true;
    }
}

static void
publish_generation(struct idx *idx, struct idx_generation *g)
{
    struct idx_catalog *c = &idx->writer.catalog;
    tell_corrupt(idx, g);
    idx_generation_flush(c, g);
    idx_generation_sweep(c, g);
    fold_ram(idx, g);
    if (!g->is_changed)
        return;
    idx_generation_publish(g);
    c->is_changed = true;
    idx->writer.is_merge_due = true;
}

/* ---- the snapshot ---- */

static void
swap(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    struct idx_catalog *c = &w->catalog;
    struct idx_published **all = xcalloc(c->n, sizeof(struct idx_published *));
    size_t n = 0, n_segments = 0;
    uint64_t n_docs = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct idx_published *p = c->generations[i]->published;
        if (!p)
            continue;
        all[n++] = p;
        n_docs += p->c.n_docs;
        n_segments += p->c.n_views;
    }
    struct idx_snapshot *old = w->newest;
    w->newest = idx_snapshot_new(++w->version, all, n, idx_catalog_table(c));
    free(all);
    old->retired_at = idx_epochs_swap(&idx->epochs, w->newest);
    *w->last_retired = old;
    w->last_retired = &old->next_retired;
    c->is_changed = false;

    metrics_add(w->metrics, M_INDEX_PUBLISHES, 1);
    metrics_set(w->metrics, M_INDEX_DOCS, n_docs);
    metrics_set(w->metrics, M_INDEX_SEGMENTS, n_segments);
    metrics_set(w->metrics, M_INDEX_RAM_BYTES, c->ram_bytes);
    metrics_set(w->metrics, M_INDEX_FILE_BYTES, c->file_bytes);
}

/* Full builders of quiet generations, and those that are not: beside each other. */
static void
settle(struct idx *idx)
{
    struct idx_catalog *c = &idx->writer.catalog;
    for (size_t i = 0; i < c->n && idx->writer.seal; i++)
        if (idx_generation_is_quiet(c->generations[i]))
            idx_generation_flush(c, c->generations[i]);
    idx_seal_settle(idx);
}

void
idx_publish(struct idx *idx, enum idx_scope scope)
{
    struct idx_writer *w = &idx->writer;
    struct idx_catalog *c = &w->catalog;
    uint64_t began = clock_us();
    if (w->is_all_due)
        scope = IDX_ALL;
    if (scope == IDX_ALL)
        settle(idx);
    for (size_t i = 0; i < c->n; i++) {
        struct idx_generation *g = c->generations[i];
        if (!is_touched(g) || (scope == IDX_NAMED && idx_generation_is_quiet(g)))
            continue;
        publish_generation(idx, g);
    }
    if (c->is_changed) {
        swap(idx);
        metrics_observe(w->metrics, M_PUBLISH_TIME, clock_us() - began);
    }
    idx_retire(idx);

    if (scope == IDX_ALL)
        w->quiet_from = 0;
    w->shown = w->tickets.applied;
    w->tickets.visible = w->quiet_from ? w->quiet_from - 1 : w->shown;
    w->publish_at_us = UINT64_MAX;
    w->is_hurried = w->is_all_due = false;
}

void
idx_retire(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    if (!w->retired)
        return;
    uint64_t oldest = idx_epochs_oldest(&idx->epochs);
    while (w->retired && w->retired->retired_at <= oldest) {
        struct idx_snapshot *s = w->retired;
        w->retired = s->next_retired;
        idx_snapshot_free(s);
    }
    if (!w->retired)
        w->last_retired = &w->retired;
}
