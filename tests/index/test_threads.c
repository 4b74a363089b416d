/*
 * Readers beside a writer that never rests: every snapshot is whole (documents
 * that one batch changes together are seen together), time never goes back,
 * and what was waited for is seen. To be run under ThreadSanitizer too.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "index/engine.h"

#include "tests/index/engine_kit.h"
#include "tests/support/scratch.h"

enum { PAIRS = 200, N_READERS = 3, N_SUBMITTERS = 3, RUN_US = 2500000, WAIT_US = 20000000 };

struct world {
    struct idx *idx;
    atomic_bool is_over;
    atomic_uint_fast64_t n_checked, n_batches;
    uint32_t uid;
};

static uint32_t
value_of(const struct idx_collection *c, uint32_t doc)
{
    char id[16];
    uint32_t view, at;
    struct idx_column column;
    snprintf(id, sizeof id, "d%u", doc);
    must(idx_collection_find(c, span_str(id), &view, &at));
    must(idx_segment_column(c->views[view].segment, 1, &column));
    return (uint32_t)column.i32[at];
}

static void *
read_pairs(void *arg)
{
    struct world *w = arg;
    struct idx_reader *r = idx_reader_new(w->idx);
    uint64_t last = 0, n = 0;
    static const uint32_t n_docs = 2 * PAIRS;
    while (!atomic_load(&w->is_over)) {
        const struct idx_snapshot *s = idx_reader_begin(r);
        const struct idx_collection *c = idx_snapshot_find(s, SPAN_LIT("c0"));
        must(idx_snapshot_version(s) >= last);
        last = idx_snapshot_version(s);
        must(c && c->n_docs == n_docs);
        must(c->n_views <= 24);
        for (uint32_t i = 0; i < PAIRS; i++) {
            /* Odd batches write both halves in the other order: the value is what counts. */
            must(value_of(c, 2 * i) == value_of(c, 2 * i + 1));
            n++;
        }
        idx_reader_end(r);
    }
    idx_reader_free(r);
    atomic_fetch_add(&w->n_checked, n);
    return NULL;
}

struct submitter {
    struct world *w;
    uint32_t number; /* it changes pairs with i % N_SUBMITTERS == number */
};

/* Changes random pairs; now and then waits and reads its own write. */
static void *
submit_pairs(void *arg)
{
    struct submitter *me = arg;
    struct world *w = me->w;
    struct idx_reader *r = idx_reader_new(w->idx);
    for (uint32_t n = 1; !atomic_load(&w->is_over); n++) {
        struct idx_batch *b = idx_batch_new();
        uint32_t pair = 0;
        for (uint32_t i = 0; i < 10; i++) {
            pair = (n * 7 + i * 13) % (PAIRS / N_SUBMITTERS) * N_SUBMITTERS + me->number;
            kit_put(NULL, b, w->uid, 2 * pair + (n & 1), n, n);
            if (i == 5)
                kit_delete(NULL, b, w->uid, 2 * pair);
            kit_put(NULL, b, w->uid, 2 * pair + !(n & 1), n, n);
            if (i == 5)
                kit_put(NULL, b, w->uid, 2 * pair, n, n);
        }
        if (n % 8 == 0)
            idx_batch_hurry(b);
        uint64_t ticket = idx_submit(w->idx, &b);
        must(ticket > 0);
        if (n % 8 == 0) {
            enum rc rc = idx_wait(w->idx, ticket, n % 64 ? IDX_VISIBLE : IDX_DURABLE, WAIT_US);
            must(rc == RC_OK);
            const struct idx_collection *c = idx_snapshot_find(idx_reader_begin(r), SPAN_LIT("c0"));
            must(value_of(c, 2 * pair) == n);
            idx_reader_end(r);
        }
        atomic_fetch_add(&w->n_batches, 1);
    }
    idx_reader_free(r);
    return NULL;
}

/* Doors that other threads of the program use meanwhile. */
static void *
look_around(void *arg)
{
    struct world *w = arg;
    struct arena arena = {0};
    struct err err;
    uint64_t last = 0, wall_us;
    while (!atomic_load(&w->is_over)) {
        uint64_t number = idx_commit_number(w->idx, &wall_us);
        must(number >= last);
        last = number;
        (void)idx_state(w->idx, SPAN_LIT("pos"), &arena);
        arena_reset(&arena);
        must(idx_new_uid(w->idx) > 0);
        char *dir = scratch_new();
        must(idx_copy(w->idx, dir, &err) == RC_OK);
        struct fs *fs = kit_fs(dir);
        kit_check(fs); /* whole, whatever commit it fell into */
        fs_close(fs);
        scratch_free(dir);
        clock_sleep_us(20000);
    }
    arena_fini(&arena);
    return NULL;
}

static void
test_readers_and_writers(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = kit_fs(dir);
    struct idx_options o = {.refresh_us = 1000, .commit_us = 20000, .n_merge_threads = 2};
    struct world w = {.idx = kit_open(fs, &o)};
    w.uid = idx_new_uid(w.idx);
    struct idx_batch *b = idx_batch_new();
    kit_create(NULL, b, w.uid, 0);
    kit_name(NULL, b, w.uid);
    kit_complete(NULL, b, w.uid);
    for (uint32_t i = 0; i < 2 * PAIRS; i++)
        kit_put(NULL, b, w.uid, i, 0, i);
    kit_submit(w.idx, &b, IDX_VISIBLE);

    pthread_t readers[N_READERS], submitters[N_SUBMITTERS], other;
    struct submitter args[N_SUBMITTERS];
    for (uint32_t i = 0; i < N_READERS; i++)
        must(pthread_create(&readers[i], NULL, read_pairs, &w) == 0);
    for (uint32_t i = 0; i < N_SUBMITTERS; i++) {
        args[i] = (struct submitter){&w, i};
        must(pthread_create(&submitters[i], NULL, submit_pairs, &args[i]) == 0);
    }
    must(pthread_create(&other, NULL, look_around, &w) == 0);
    clock_sleep_us(RUN_US);
    atomic_store(&w.is_over, true);
    for (uint32_t i = 0; i < N_READERS; i++)
        pthread_join(readers[i], NULL);
    for (uint32_t i = 0; i < N_SUBMITTERS; i++)
        pthread_join(submitters[i], NULL);
    pthread_join(other, NULL);
    print_message("%llu pairs checked beside %llu batches, %llu commits\n",
                  (unsigned long long)w.n_checked, (unsigned long long)w.n_batches,
                  (unsigned long long)idx_commit_number(w.idx, NULL));
    assert_true(w.n_checked > 0 && w.n_batches > 0);

    uint64_t began = clock_us();
    kit_close(w.idx);
    assert_true(clock_us() - began < 2000000);
    fs_close(fs);
    fs = kit_fs(dir);
    kit_check(fs);
    fs_close(fs);
    scratch_free(dir);
}

/* Closing while others submit and wait: they are told, nothing hangs. */
static void *
submit_until_refused(void *arg)
{
    struct world *w = arg;
    for (uint32_t n = 1;; n++) {
        struct idx_batch *b = idx_batch_new();
        kit_put(NULL, b, w->uid, n % KIT_DOCS, n, n);
        if (idx_submit(w->idx, &b) == 0)
            return NULL;
        atomic_fetch_add(&w->n_batches, 1);
    }
}

static void
test_submit_while_closing(void **state)
{
    (void)state;
    char *dir = scratch_new();
    for (int round = 0; round < 5; round++) {
        struct fs *fs = kit_fs(dir);
        struct world w = {.idx = kit_open(fs, NULL)};
        struct idx_batch *b = idx_batch_new();
        w.uid = idx_new_uid(w.idx);
        kit_create(NULL, b, w.uid, 0);
        kit_submit(w.idx, &b, IDX_APPLIED);
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            must(pthread_create(&threads[i], NULL, submit_until_refused, &w) == 0);
        clock_sleep_us(50000);
        /* The handle goes away at the end of closing: submitters have to be done by then. */
        idx_inbox_close(&w.idx->inbox);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        assert_true(w.n_batches > 0);
        kit_close(w.idx);
        fs_close(fs);
    }
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readers_and_writers),
        cmocka_unit_test(test_submit_while_closing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
