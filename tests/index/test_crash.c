/*
 * Crashes and failures at every operation on the disk. A history runs over a
 * recording directory; after each prefix of its operations, with unsynced
 * bytes and names kept or lost, the directory must open, hold exactly the
 * model's state at the position in its manifest, and that position is never
 * before one that was acknowledged as durable.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/index/engine_kit.h"
#include "tests/support/fs_record.h"
#include "tests/support/rng.h"
#include "tests/support/scratch.h"

enum { STATES_MAX = 200, WAIT_US = 20000000 };

struct history {
    struct rng rng;
    struct fs *fs;
    struct idx *idx;
    struct kit_model *m;
    struct buf states[STATES_MAX]; /* by position: what the model held */
    uint64_t n_ops_at[STATES_MAX]; /* by position: operations when it was durable; 0: not */
    uint64_t seq, pos;
    uint32_t uid, next; /* the named generation; the one that is being filled aside */
    _Atomic int n_troubles;
};

static uint32_t
below(struct history *h, uint32_t n)
{
    return (uint32_t)rng_below(&h->rng, n);
}

/* Ends a batch: a new position, whose state is remembered. */
static uint64_t
submit(struct history *h, struct idx_batch *b)
{
    kit_pos(h->m, b, ++h->pos);
    assert_true(h->pos < STATES_MAX);
    kit_write_model(h->m, false, &h->states[h->pos]);
    return idx_submit(h->idx, &b);
}

static bool
make_durable(struct history *h, uint64_t ticket, uint64_t timeout_us)
{
    if (idx_wait(h->idx, ticket, IDX_DURABLE, timeout_us) != RC_OK)
        return false;
    assert_true(kit_durable_pos(h->idx) >= h->pos);
    h->n_ops_at[h->pos] = fs_record_n(h->fs);
    return true;
}

static void
change_docs(struct history *h, struct idx_batch *b, uint32_t uid, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = below(h, 40);
        if (below(h, 4) == 0)
            kit_delete(h->m, b, uid, doc);
        else
            kit_put(h->m, b, uid, doc, below(h, 1000), ++h->seq);
    }
}

static void
begin(struct history *h)
{
    struct idx_batch *b = idx_batch_new();
    h->uid = idx_new_uid(h->idx);
    kit_create(h->m, b, h->uid, 0);
    kit_name(h->m, b, h->uid);
    kit_complete(h->m, b, h->uid);
    submit(h, b);
}

/* One step of the life of an index: updates, a reindex aside, its switch, entries. */
static uint64_t
step(struct history *h, uint32_t i)
{
    struct idx_batch *b = idx_batch_new();
    change_docs(h, b, h->uid, 1 + below(h, 12));
    if (i % 6 == 2) {
        h->next = idx_new_uid(h->idx);
        kit_create(h->m, b, h->next, 0);
    }
    if (i % 6 >= 2 && i % 6 < 5)
        change_docs(h, b, h->next, 8);
    if (i % 6 == 5) {
        kit_complete(h->m, b, h->next);
        kit_name(h->m, b, h->next);
        h->uid = h->next;
    }
    if (below(h, 3) == 0)
        kit_entry(h->m, b, below(h, KIT_KEYS), below(h, 3));
    return submit(h, b);
}

static void
note_trouble(void *arg, const struct err *err)
{
    struct history *h = arg;
    must(err->rc != RC_OK && err->text[0]);
    h->n_troubles++;
}

static void
init_history(struct history *h, const char *dir, uint64_t seed)
{
    *h = (struct history){.rng = {seed}, .fs = fs_record_open(dir), .m = xcalloc(1, sizeof *h->m)};
}

static enum rc
open_index(struct history *h, struct err *err)
{
    struct idx_options o = {
        .fs = h->fs, .commit_us = 3600000000, .on_trouble = note_trouble, .trouble_arg = h};
    return idx_open(&o, &h->idx, err);
}

static void
free_history(struct history *h)
{
    for (size_t i = 0; i < STATES_MAX; i++)
        buf_fini(&h->states[i]);
    fs_close(h->fs);
    free(h->m);
}

/* ---- what a directory must hold ---- */

/* Opens it, compares, goes on a little. Returns the position it held. */
static uint64_t
expect_state(const struct history *h, const char *dir, uint64_t least, const char *when)
{
    struct fs *fs = kit_fs(dir);
    struct idx_options o = {.fs = fs};
    struct idx *idx;
    struct err err;
    struct buf got = {0};
    struct fs_map map;
    if (fs_map(fs, "MANIFEST", &map, &err) == RC_OK) { /* else it was never opened */
        fs_unmap(fs, &map);
        kit_check(fs);
    }
    fs_close(fs);
    o.fs = fs = kit_fs(dir);
    if (idx_open(&o, &idx, &err) != RC_OK)
        fail_msg("%s: %s", when, err.text);
    uint64_t pos = kit_durable_pos(idx);
    kit_write_index(idx, false, &got);
    if (pos < least)
        fail_msg("%s: position %d is before %d, which was durable", when, (int)pos, (int)least);
    if (!span_eq(buf_span(&got), buf_span(&h->states[pos])))
        fail_msg("%s: position %d holds\n%.*s\nand should hold\n%.*s", when, (int)pos,
                 SPAN_ARG(buf_span(&got)), SPAN_ARG(buf_span(&h->states[pos])));
    struct idx_batch *b = idx_batch_new(); /* it can go on */
    kit_put(NULL, b, 1, 1, 1, 1);
    if (pos % 4 == 0) /* else closing has nothing to write, which saves the test half its time */
        kit_submit(idx, &b, IDX_DURABLE);
    idx_batch_free(b);
    kit_close(idx);
    buf_fini(&got);
    fs_close(fs);
    return pos;
}

static void
expect_crash(struct history *h, struct fs_crash crash)
{
    char *dir = scratch_new();
    char op[FS_RECORD_TEXT_MAX] = "nothing", when[FS_RECORD_TEXT_MAX + 64];
    uint64_t least = 0;
    for (uint64_t pos = 1; pos <= h->pos; pos++)
        if (h->n_ops_at[pos] && h->n_ops_at[pos] <= crash.n_ops)
            least = pos;
    if (crash.n_ops > 0)
        (void)fs_record_describe(h->fs, crash.n_ops - 1, op);
    snprintf(when, sizeof when, "crash after %zu (%s), data %d, names %d", crash.n_ops, op,
             (int)crash.data, (int)crash.names);
    fs_record_rebuild(h->fs, crash, dir);
    (void)expect_state(h, dir, least, when);
    scratch_free(dir);
}

/* ---- the tests ---- */

static void
test_crash_everywhere(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    struct history h;
    struct err err;
    char *dir = scratch_new();
    init_history(&h, dir, rng_next(&rng));
    assert_int_equal(open_index(&h, &err), RC_OK);
    begin(&h);
    for (uint32_t i = 0; i < 12; i++) {
        uint64_t ticket = step(&h, i);
        if (below(&h, 4) != 0)
            assert_true(make_durable(&h, ticket, WAIT_US));
        if (i % 7 == 6)
            assert_int_equal(idx_merge_all(h.idx, &err), RC_OK);
    }
    assert_int_equal(idx_close(h.idx, &err), RC_OK);
    h.n_ops_at[h.pos] = fs_record_n(h.fs);
    size_t n_crashes = 0;
    for (size_t k = 0; k <= fs_record_n(h.fs); k++) {
        if (k > 0 && !fs_record_is_change(h.fs, k - 1))
            continue;
        for (int data = 0; data < FS_CRASH_DATA_N; data++)
            for (int names = 0; names < FS_CRASH_NAMES_N; names++, n_crashes++)
                expect_crash(
                    &h, (struct fs_crash){k, (enum fs_crash_data)data, (enum fs_crash_names)names});
    }
    print_message("%zu operations, %zu crashes\n", fs_record_n(h.fs), n_crashes);
    fs_close(h.fs);
    h.fs = NULL;
    assert_true(expect_state(&h, dir, h.pos, "after closing") == h.pos);
    free_history(&h);
    scratch_free(dir);
}

/* Crashes shortly after a failure: what was done about it must not make it worse. */
static void
crash_after_failure(struct history *h, size_t k)
{
    size_t end = k + 12 < fs_record_n(h->fs) ? k + 12 : fs_record_n(h->fs);
    for (size_t at = k + 1; at <= end; at++) {
        if (!fs_record_is_change(h->fs, at - 1))
            continue;
        for (int names = 0; names < FS_CRASH_NAMES_N; names++)
            expect_crash(h, (struct fs_crash){at, FS_CRASH_DATA_DROP, (enum fs_crash_names)names});
    }
}

/* The same history with the k-th operation failing. Returns how many operations there were. */
static size_t
run_with_failure(uint64_t seed, size_t k, size_t n_failing)
{
    struct history h;
    bool is_reopened = false;
    struct err err;
    bool is_gone = n_failing == SIZE_MAX;
    char *dir = scratch_new();
    init_history(&h, dir, seed);
    fs_record_fail(h.fs, k, n_failing);
    if (open_index(&h, &err) != RC_OK) {
        assert_int_equal(err.rc, RC_IO);
        fs_close(h.fs); /* as if the program were started again */
        h.fs = fs_record_open(dir);
        assert_int_equal(open_index(&h, &err), RC_OK);
        is_reopened = true; /* another record: k is not in it */
    }
    begin(&h);
    uint64_t ticket = 0;
    for (uint32_t i = 0; i < 8; i++) {
        ticket = step(&h, i);
        assert_int_equal(idx_wait(h.idx, ticket, IDX_VISIBLE, WAIT_US), RC_OK);
        kit_expect(h.idx, h.m); /* nothing is lost in memory */
        if (i % 2)
            (void)make_durable(&h, ticket, is_gone ? 1000 : WAIT_US);
        if (i == 5 && idx_merge_all(h.idx, &err) != RC_OK)
            assert_true(h.n_troubles > 0);
    }
    bool is_durable = make_durable(&h, ticket, is_gone ? 1000 : WAIT_US);
    size_t n = fs_record_n(h.fs);
    if (n_failing == 1)
        assert_true(is_durable);
    enum rc rc = idx_close(h.idx, &err);
    assert_true(is_durable ? rc == RC_OK : rc == RC_IO);
    assert_true(rc == RC_OK || h.n_troubles > 0);
    uint64_t least = 0;
    for (uint64_t pos = 1; pos <= h.pos; pos++)
        if (h.n_ops_at[pos])
            least = pos;
    fs_record_fail(h.fs, 0, 0);
    if (n_failing == 1 && k < n && !is_reopened)
        crash_after_failure(&h, k);
    char when[64];
    snprintf(when, sizeof when, "failure of operation %zu", k);
    fs_close(h.fs);
    h.fs = NULL;
    uint64_t pos = expect_state(&h, dir, least, when);
    assert_true(rc != RC_OK || pos == h.pos);
    free_history(&h);
    scratch_free(dir);
    return n;
}

static void
test_each_operation_fails_once(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    uint64_t seed = rng_next(&rng);
    size_t n = run_with_failure(seed, SIZE_MAX / 2, 1);
    for (size_t k = 0; k < n; k++)
        (void)run_with_failure(seed, k, 1);
    print_message("%zu operations\n", n);
}

static void
test_the_disk_is_gone(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    uint64_t seed = rng_next(&rng);
    size_t n = run_with_failure(seed, SIZE_MAX / 2, 1);
    for (size_t k = 12; k < n; k += 5) /* opening needs a few of them */
        (void)run_with_failure(seed, k, SIZE_MAX);
}

struct pusher {
    struct history *h;
    _Atomic uint32_t n_submitted;
};

/* More than the inbox (4,096) and the memory hold, however late the writer thread is scheduled. */
enum { N_PUSHED = 12000, STALLED_US = 300000, STALL_LIMIT_US = 30000000 };

static void *
push(void *arg)
{
    struct pusher *p = arg;
    for (uint32_t i = 0; i < N_PUSHED; i++) {
        struct idx_batch *b = idx_batch_new();
        kit_put(NULL, b, p->h->uid, i % KIT_DOCS, i, i);
        must(idx_submit(p->h->idx, &b) > 0);
        p->n_submitted++;
    }
    return NULL;
}

/* How many had been pushed when nothing moved any more, or all of them. */
static uint32_t
pushed_when_stalled(const struct pusher *p)
{
    uint32_t n = 0;
    for (uint64_t since = clock_us(), begun = since; clock_us() < since + STALLED_US;) {
        must(clock_us() < begun + STALL_LIMIT_US);
        clock_sleep_us(5000);
        if (p->n_submitted != n)
            since = clock_us();
        n = p->n_submitted;
    }
    return n;
}

/* While nothing can be written, memory is bounded: submitting waits, and goes on with the disk. */
static void
test_memory_is_bounded_without_a_disk(void **state)
{
    (void)state;
    struct history h;
    struct err err;
    char *dir = scratch_new();
    pthread_t thread;
    init_history(&h, dir, 1);
    struct pusher p = {.h = &h};
    struct idx_options o = {.fs = h.fs, .ram_bytes_max = 4096};
    assert_int_equal(idx_open(&o, &h.idx, &err), RC_OK);
    begin(&h);
    fs_record_fail(h.fs, fs_record_n(h.fs), SIZE_MAX);
    must(pthread_create(&thread, NULL, push, &p) == 0);
    assert_in_range(pushed_when_stalled(&p), 1, N_PUSHED - 1);
    fs_record_fail(h.fs, 0, 0);
    pthread_join(thread, NULL);
    assert_int_equal(p.n_submitted, N_PUSHED);
    assert_int_equal(idx_close(h.idx, &err), RC_OK);
    free_history(&h);
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_everywhere),
        cmocka_unit_test(test_each_operation_fails_once),
        cmocka_unit_test(test_the_disk_is_gone),
        cmocka_unit_test(test_memory_is_bounded_without_a_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
