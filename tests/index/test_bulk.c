/*
 * Loads big enough for what small histories never reach: full builders, big
 * segments that go into files as they are, merges of many files; with
 * documents changing while all that goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"

#include "tests/index/engine_kit.h"
#include "tests/support/rng.h"
#include "tests/support/scratch.h"

enum { N_DOCS = 60000, BATCH = 500 };

struct bulk {
    struct rng rng;
    struct idx *idx;
    uint32_t uid;
    uint32_t *values; /* by document; UINT32_MAX: not there */
    uint64_t seq;
};

static void
change(struct bulk *w, struct idx_batch *b, uint32_t doc, bool is_delete)
{
    uint32_t n = (uint32_t)rng_below(&w->rng, 1000000);
    if (is_delete)
        kit_delete(NULL, b, w->uid, doc);
    else
        kit_put(NULL, b, w->uid, doc, n, ++w->seq);
    w->values[doc] = is_delete ? UINT32_MAX : n;
}

/* New documents, one change of an older one for every four of them; commits in between or not. */
static uint64_t
load(struct bulk *w, bool is_cut)
{
    uint64_t ticket = 0;
    for (uint32_t doc = 0; doc < N_DOCS;) {
        struct idx_batch *b = idx_batch_new();
        for (uint32_t i = 0; i < BATCH && doc < N_DOCS; i++) {
            change(w, b, doc++, false);
            if (i % 4 == 0)
                change(w, b, (uint32_t)rng_below(&w->rng, doc), i % 16 == 0);
        }
        ticket = idx_submit(w->idx, &b);
        /* A commit begins, with a big segment to be written, and is not waited for. */
        if (is_cut && doc % 13000 == 0)
            assert_int_equal(idx_wait(w->idx, ticket, IDX_DURABLE, 0), RC_CUTOFF);
    }
    return ticket;
}

static uint64_t
update(struct bulk *w, uint32_t n)
{
    uint64_t ticket = 0;
    for (uint32_t i = 0; i < n; i += 100) {
        struct idx_batch *b = idx_batch_new();
        for (uint32_t j = 0; j < 100; j++)
            change(w, b, (uint32_t)rng_below(&w->rng, N_DOCS), j % 10 == 0);
        ticket = idx_submit(w->idx, &b);
    }
    return ticket;
}

static void
expect_doc(const struct bulk *w, const struct idx_view *view, uint32_t doc, bool *is_seen)
{
    char text[IDX_ID_MAX];
    uint64_t number;
    struct idx_column column;
    struct span id = idx_segment_id(view->segment, doc, text);
    assert_true(span_u64(span_from(id, 1), &number) && number < N_DOCS);
    assert_false(is_seen[number]);
    is_seen[number] = true;
    assert_true(idx_segment_column(view->segment, 1, &column));
    assert_int_equal(column.i32[doc], w->values[number]);
}

/* Every document with its value, once, and no other. Returns the number of segments. */
static uint32_t
expect_all(const struct bulk *w)
{
    bool *is_seen = xcalloc(N_DOCS, sizeof *is_seen);
    struct idx_reader *r = idx_reader_new(w->idx);
    const struct idx_collection *c = idx_snapshot_find_uid(idx_reader_begin(r), w->uid);
    for (uint32_t v = 0; v < c->n_views; v++)
        for (uint32_t doc = 0; doc < c->views[v].n_docs; doc++)
            if (c->views[v].live[doc / 64] >> (doc % 64) & 1)
                expect_doc(w, &c->views[v], doc, is_seen);
    for (uint32_t doc = 0; doc < N_DOCS; doc++)
        assert_int_equal(is_seen[doc], w->values[doc] != UINT32_MAX);
    uint32_t n = c->n_views;
    idx_reader_end(r);
    idx_reader_free(r);
    free(is_seen);
    return n;
}

static void
wait_for(const struct bulk *w, uint64_t ticket, enum idx_stage stage)
{
    assert_int_equal(idx_wait(w->idx, ticket, stage, 60000000), RC_OK);
}

static void
reopen(struct bulk *w, const char *dir, struct fs **fs, const struct idx_options *o)
{
    kit_close(w->idx);
    fs_close(*fs);
    *fs = kit_fs(dir);
    kit_check(*fs);
    fs_close(*fs);
    *fs = kit_fs(dir);
    w->idx = kit_open(*fs, o);
}

static void
test_bulk(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = kit_fs(dir);
    struct metrics *metrics = metrics_new();
    struct idx_options o = {.commit_us = 3600000000, .metrics = metrics};
    struct bulk w = {.rng = rng_new(), .idx = kit_open(fs, &o)};
    struct err err;
    w.values = xmalloc(N_DOCS * sizeof w.values[0]);
    memset(w.values, 0xff, N_DOCS * sizeof w.values[0]);
    struct idx_batch *b = idx_batch_new();
    w.uid = idx_new_uid(w.idx);
    kit_create(NULL, b, w.uid, 0);
    kit_submit(w.idx, &b, IDX_APPLIED);

    wait_for(&w, load(&w, true), IDX_VISIBLE);
    expect_all(&w);
    reopen(&w, dir, &fs, &o);
    expect_all(&w);
    b = idx_batch_new();
    kit_name(NULL, b, w.uid);
    kit_complete(NULL, b, w.uid);
    kit_submit(w.idx, &b, IDX_VISIBLE);
    for (int i = 0; i < 5; i++) {
        wait_for(&w, update(&w, 6000), i % 2 ? IDX_DURABLE : IDX_VISIBLE);
        uint32_t n = expect_all(&w);
        assert_true(n <= 40);
    }
    assert_int_equal(idx_merge_all(w.idx, &err), RC_OK);
    assert_int_equal(expect_all(&w), 1);
    reopen(&w, dir, &fs, &o);
    assert_int_equal(expect_all(&w), 1);
    print_message("%d commits, %d merges\n", (int)metrics_read(metrics, M_INDEX_COMMITS),
                  (int)metrics_read(metrics, M_INDEX_MERGES));
    assert_true(metrics_read(metrics, M_INDEX_MERGES) > 0);
    kit_close(w.idx);
    fs_close(fs);
    metrics_free(metrics);
    free(w.values);
    scratch_free(dir);
}

static void
begin(struct bulk *w)
{
    struct idx_batch *b = idx_batch_new();
    memset(w->values, 0xff, N_DOCS * sizeof w->values[0]);
    w->uid = idx_new_uid(w->idx);
    kit_create(NULL, b, w->uid, 0);
    kit_submit(w->idx, &b, IDX_APPLIED);
}

/*
 * No commit cuts the builders short: full ones become segments beside the
 * writer, while documents in them are replaced and deleted, while their
 * generation is dropped, and while the index is closed.
 */
static void
test_full_builders(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = kit_fs(dir);
    struct idx_options o = {.commit_us = 3600000000};
    struct bulk w = {.rng = rng_new(), .idx = kit_open(fs, &o)};
    w.values = xmalloc(N_DOCS * sizeof w.values[0]);

    begin(&w);
    wait_for(&w, load(&w, false), IDX_VISIBLE);
    assert_in_range(expect_all(&w), 3, 40); /* two full builders and a rest */

    begin(&w);
    (void)load(&w, false);
    struct idx_batch *b = idx_batch_new();
    kit_drop(NULL, b, w.uid);
    kit_submit(w.idx, &b, IDX_VISIBLE);

    begin(&w);
    (void)load(&w, false);
    reopen(&w, dir, &fs, &o);
    expect_all(&w);

    begin(&w);
    (void)load(&w, false);
    b = idx_batch_new();
    kit_name(NULL, b, w.uid);
    kit_complete(NULL, b, w.uid);
    kit_put(NULL, b, w.uid, 7, 1234567, ++w.seq); /* which may lie in a full builder */
    w.values[7] = 1234567;
    kit_submit(w.idx, &b, IDX_VISIBLE);
    expect_all(&w);
    reopen(&w, dir, &fs, &o);
    expect_all(&w);
    kit_close(w.idx);
    fs_close(fs);
    free(w.values);
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bulk),
                                       cmocka_unit_test(test_full_builders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
