#include "tests/index/engine_world.h"

#include "tests/support/scratch.h"

int
kit_world_set_up(void **state)
{
    struct kit_world *w = xcalloc(1, sizeof *w);
    w->dir = scratch_new();
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, NULL);
    w->m = xcalloc(1, sizeof *w->m);
    *state = w;
    return 0;
}

int
kit_world_tear_down(void **state)
{
    struct kit_world *w = *state;
    if (w->idx)
        kit_close(w->idx);
    fs_close(w->fs);
    scratch_free(w->dir);
    free(w->m);
    free(w);
    return 0;
}

void
kit_world_close(struct kit_world *w)
{
    kit_close(w->idx);
    w->idx = NULL;
    fs_close(w->fs); /* gives the lock back */
    w->fs = kit_fs(w->dir);
}

void
kit_world_reopen(struct kit_world *w)
{
    kit_world_close(w);
    kit_check(w->fs);
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, NULL);
}

void
kit_world_reopen_with(struct kit_world *w, const struct idx_options *options)
{
    kit_world_close(w);
    w->idx = kit_open(w->fs, options);
}

uint32_t
kit_world_make(struct kit_world *w, uint32_t name)
{
    struct idx_batch *b = idx_batch_new();
    uint32_t uid = idx_new_uid(w->idx);
    kit_create(w->m, b, uid, name);
    kit_name(w->m, b, uid);
    kit_complete(w->m, b, uid);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    return uid;
}

void
kit_world_put(struct kit_world *w, uint32_t uid, uint32_t begin, uint32_t end, uint32_t n,
              enum idx_stage stage)
{
    struct idx_batch *b = idx_batch_new();
    for (uint32_t i = begin; i < end; i++)
        kit_put(w->m, b, uid, i, n + i, ++w->seq);
    kit_submit(w->idx, &b, stage);
}

uint32_t
kit_world_n_views(struct kit_world *w, uint32_t uid)
{
    struct idx_reader *r = idx_reader_new(w->idx);
    uint32_t n = idx_snapshot_find_uid(idx_reader_begin(r), uid)->n_views;
    idx_reader_end(r);
    idx_reader_free(r);
    return n;
}
