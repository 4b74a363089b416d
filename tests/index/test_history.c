/*
 * Random histories of batches, waits, merges and reopenings against the naive
 * model: every snapshot that is asked for equals the model, and idx_check
 * finds nothing between two openings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/index/engine_kit.h"
#include "tests/support/rng.h"
#include "tests/support/scratch.h"

enum { ROUNDS = 12, STEPS = 250 };

struct world {
    struct rng rng;
    char *dir;
    struct fs *fs;
    struct idx *idx;
    struct kit_model *m;
    uint64_t seq, pos;
    uint32_t uids[KIT_GENERATIONS]; /* that were made */
    size_t n_uids;
    uint32_t n_docs; /* documents [0, n_docs) are used */
};

static uint32_t
below(struct world *w, uint32_t n)
{
    return (uint32_t)rng_below(&w->rng, n);
}

static void
open_world(struct world *w)
{
    /* Every pace: publications and commits with every batch, or hardly ever. */
    static const uint64_t refresh_us[] = {1, 2000, 3600000000};
    static const uint64_t commit_us[] = {1, 5000, 3600000000};
    static const uint64_t ram_bytes[] = {1, 100000, 64 << 20};
    struct idx_options o = {.refresh_us = refresh_us[below(w, 3)],
                            .commit_us = commit_us[below(w, 3)],
                            .ram_bytes_max = ram_bytes[below(w, 3)],
                            .n_merge_threads = 1 + below(w, 2)};
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, &o);
}

static void
close_world(struct world *w)
{
    kit_close(w->idx);
    fs_close(w->fs);
}

static void
change_generation(struct world *w, struct idx_batch *b)
{
    uint32_t what = below(w, 12);
    if (w->n_uids == 0 || (what == 0 && w->n_uids + 1 < KIT_GENERATIONS)) {
        uint32_t uid = idx_new_uid(w->idx);
        assert_true(uid < KIT_GENERATIONS);
        w->uids[w->n_uids++] = uid;
        kit_create(w->m, b, uid, below(w, KIT_NAMES));
        return;
    }
    uint32_t uid = w->uids[below(w, (uint32_t)w->n_uids)];
    if (what < 6)
        kit_name(w->m, b, uid);
    else if (what < 11)
        kit_complete(w->m, b, uid);
    else if (below(w, 4) == 0)
        kit_drop(w->m, b, uid);
}

static void
change_docs(struct world *w, struct idx_batch *b)
{
    if (w->n_uids == 0)
        return;
    uint32_t uid = w->uids[w->n_uids - 1 - below(w, (uint32_t)(w->n_uids < 3 ? w->n_uids : 3))];
    uint32_t n = 1 + below(w, below(w, 4) == 0 ? 200 : 6);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = below(w, w->n_docs);
        if (below(w, 4) == 0)
            kit_delete(w->m, b, uid, doc);
        else
            kit_put(w->m, b, uid, doc, below(w, 100000), ++w->seq);
    }
}

static void
submit_batch(struct world *w)
{
    struct idx_batch *b = idx_batch_new();
    if (w->n_uids == 0 || below(w, 8) == 0)
        change_generation(w, b);
    for (uint32_t i = below(w, 3); i-- > 0;)
        change_docs(w, b);
    if (below(w, 6) == 0)
        kit_entry(w->m, b, below(w, KIT_KEYS), below(w, 3));
    kit_pos(w->m, b, ++w->pos);
    if (below(w, 3) == 0)
        idx_batch_hurry(b);
    if (below(w, 3) == 0) {
        (void)idx_submit(w->idx, &b);
        return;
    }
    enum idx_stage stage = (enum idx_stage)below(w, 3);
    kit_submit(w->idx, &b, stage);
    if (stage != IDX_APPLIED)
        kit_expect(w->idx, w->m);
    if (stage == IDX_DURABLE)
        assert_true(kit_durable_pos(w->idx) == w->pos);
}

static void
step(struct world *w)
{
    struct err err;
    uint32_t what = below(w, 60);
    if (what == 0) {
        assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);
        kit_expect(w->idx, w->m);
    } else if (what == 1) {
        close_world(w);
        w->fs = kit_fs(w->dir);
        kit_check(w->fs);
        fs_close(w->fs);
        open_world(w);
        kit_expect(w->idx, w->m);
        assert_true(kit_durable_pos(w->idx) == w->pos);
    } else {
        submit_batch(w);
    }
}

static void
test_histories(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int round = 0; round < ROUNDS; round++) {
        struct world w = {.rng = rng, .dir = scratch_new(), .m = xcalloc(1, sizeof *w.m)};
        w.n_docs = below(&w, 2) ? KIT_DOCS : 20;
        open_world(&w);
        for (int i = 0; i < STEPS; i++)
            step(&w);
        close_world(&w);
        w.fs = kit_fs(w.dir);
        kit_check(w.fs);
        fs_close(w.fs);
        scratch_free(w.dir);
        free(w.m);
        rng = w.rng;
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
