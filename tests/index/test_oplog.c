/* The operation log: appends, torn tails, damage, failures, trims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/oplog.h"

#include "tests/index/engine_kit.h"
#include "tests/support/fs_record.h"
#include "tests/support/rng.h"
#include "tests/support/scratch.h"

struct seen { /* what a replay gave */
    struct buf text;
    uint64_t end;
    int n;
};

static enum rc
see(void *arg, struct span record, uint64_t end, struct err *err)
{
    struct seen *s = arg;
    (void)err;
    assert_true(end > s->end);
    s->end = end;
    s->n++;
    buf_put_span(&s->text, record);
    buf_putc(&s->text, ' ');
    return RC_OK;
}

static void
expect_replay(struct idx_log *log, uint64_t from, const char *text)
{
    struct seen s = {0};
    struct err err;
    if (idx_log_replay(log, from, see, &s, &err) != RC_OK)
        fail_msg("%s", err.text);
    buf_putc(&s.text, 0);
    assert_string_equal(s.text.p, text);
    buf_fini(&s.text);
}

static struct idx_log *
open_log(struct fs *fs)
{
    struct idx_log *log = NULL;
    struct err err;
    if (idx_log_open(fs, &log, &err) != RC_OK)
        fail_msg("%s", err.text);
    return log;
}

/* ---- a log in a directory of its own ---- */

struct place {
    char *dir;
    struct fs *fs;
    struct idx_log *log; /* NULL while it is closed */
};

static int
setup(void **state)
{
    struct place *p = xcalloc(1, sizeof *p);
    p->dir = scratch_new();
    p->fs = kit_fs(p->dir);
    p->log = open_log(p->fs);
    *state = p;
    return 0;
}

static void
close_log(struct place *p)
{
    idx_log_close(p->log);
    p->log = NULL;
}

static int
teardown(void **state)
{
    struct place *p = *state;
    close_log(p);
    fs_close(p->fs);
    scratch_free(p->dir);
    free(p);
    return 0;
}

static uint64_t
append(struct idx_log *log, const char *text)
{
    uint64_t end = 0;
    struct err err;
    assert_int_equal(idx_log_append(log, span_str(text), &end, &err), RC_OK);
    return end;
}

static void
sync_log(struct idx_log *log)
{
    struct err err;
    if (idx_log_sync(log, &err) != RC_OK)
        fail_msg("%s", err.text);
}

static void
test_append_and_replay(void **state)
{
    struct place *p = *state;
    expect_replay(p->log, 0, "");
    uint64_t a = append(p->log, "a"), b = append(p->log, "");
    assert_true(0 < a && a < b);
    sync_log(p->log);
    sync_log(p->log); /* nothing to do */
    append(p->log, "c");
    sync_log(p->log);
    expect_replay(p->log, 0, "a  c ");
    expect_replay(p->log, a, " c ");
    expect_replay(p->log, b, "c ");
    append(p->log, "never synced");
    close_log(p);
    p->log = open_log(p->fs);
    expect_replay(p->log, 0, "a  c ");
    uint64_t d = append(p->log, "d");
    assert_true(d > b);
    sync_log(p->log);
    expect_replay(p->log, b, "c d ");
    expect_replay(p->log, d, "");
    struct err err;
    assert_int_equal(idx_log_replay(p->log, d + 1, see, &(struct seen){0}, &err), RC_CORRUPT);
    idx_log_close(NULL);
}

static enum rc
refuse(void *arg, struct span record, uint64_t end, struct err *err)
{
    (void)record;
    (void)end;
    ++*(int *)arg;
    return err_set(err, RC_BUSY, "no more");
}

static void
test_replay_stops(void **state)
{
    struct place *p = *state;
    struct err err;
    int n = 0;
    append(p->log, "a");
    append(p->log, "b");
    sync_log(p->log);
    assert_int_equal(idx_log_replay(p->log, 0, refuse, &n, &err), RC_BUSY);
    assert_int_equal(n, 1);
}

static void
take_file(struct fs *fs, const char *name, struct buf *out)
{
    struct fs_map map;
    struct err err;
    assert_int_equal(fs_map(fs, name, &map, &err), RC_OK);
    buf_put(out, map.p, map.n);
    fs_unmap(fs, &map);
}

static const char first_file[] = "0000000000000000.log";

/* The last group may be cut anywhere; what was durable before it stays, and the log goes on. */
static void
test_torn_tail(void **state)
{
    struct place *p = *state;
    struct buf whole = {0};
    struct err err;
    uint64_t safe = append(p->log, "one");
    sync_log(p->log);
    append(p->log, "two");
    append(p->log, "three");
    sync_log(p->log);
    close_log(p);
    take_file(p->fs, first_file, &whole);
    size_t begin = whole.n - 2 * 24 - 8; /* two record headers, "two", "three" */
    for (size_t n = begin; n <= whole.n; n++) {
        assert_int_equal(fs_write(p->fs, first_file, span_of(whole.p, n), &err), RC_OK);
        p->log = open_log(p->fs);
        bool has_two = n >= begin + 27, has_three = n == whole.n;
        expect_replay(p->log, 0, has_three ? "one two three " : has_two ? "one two " : "one ");
        append(p->log, "four");
        sync_log(p->log);
        const char *tail = has_three ? "two three four " : has_two ? "two four " : "four ";
        expect_replay(p->log, safe, tail);
        close_log(p);
    }
    buf_fini(&whole);
}

/* A flipped bit in what was durable is damage and not a torn tail: no silent loss. */
static void
test_damage(void **state)
{
    struct place *p = *state;
    struct buf whole = {0};
    struct err err;
    append(p->log, "one");
    append(p->log, "two");
    sync_log(p->log);
    size_t acknowledged = 24 + 2 * 27;
    append(p->log, "three");
    sync_log(p->log);
    close_log(p);
    take_file(p->fs, first_file, &whole);
    for (size_t at = 24; at < whole.n; at++) {
        whole.p[at] ^= 8;
        assert_int_equal(fs_write(p->fs, first_file, buf_span(&whole), &err), RC_OK);
        whole.p[at] ^= 8;
        enum rc rc = idx_log_open(p->fs, &p->log, &err);
        assert_int_equal(rc, at < acknowledged ? RC_CORRUPT : RC_OK);
        if (rc == RC_OK)
            close_log(p);
    }
    buf_fini(&whole);
}

static void
count_logs(void *arg, const char *name, uint64_t n_bytes)
{
    int *n = arg;
    (void)n_bytes;
    *n += strlen(name) == 20 && strcmp(name + 16, ".log") == 0;
}

static int
n_logs(struct fs *fs)
{
    int n = 0;
    struct err err;
    assert_int_equal(fs_list(fs, count_logs, &n, &err), RC_OK);
    return n;
}

static void
test_trim(void **state)
{
    struct place *p = *state;
    struct err err;
    char *big = xcalloc(1, (2 << 20) + 1);
    memset(big, 'x', 2 << 20);
    uint64_t a = append(p->log, big);
    sync_log(p->log);
    assert_int_equal(idx_log_trim(p->log, a - 1, &err), RC_OK);
    assert_int_equal(n_logs(p->fs), 1); /* its last record is behind */
    assert_int_equal(idx_log_trim(p->log, a, &err), RC_OK);
    assert_int_equal(n_logs(p->fs), 1); /* a new, empty one */
    uint64_t b = append(p->log, "b");
    assert_true(b > a);
    sync_log(p->log);
    assert_int_equal(idx_log_trim(p->log, b, &err), RC_OK); /* small: not worth a new file */
    expect_replay(p->log, a, "b ");
    assert_int_equal(idx_log_replay(p->log, 0, see, &(struct seen){0}, &err), RC_CORRUPT);
    close_log(p);
    p->log = open_log(p->fs);
    expect_replay(p->log, a, "b "); /* offsets go on over reopening */
    free(big);
}

/*
 * Random groups of appends over a disk of which any operation may fail, then
 * a crash anywhere: every group that was acknowledged is there, in order, and
 * nothing but prefixes of groups that failed or never ended.
 */
static void
run_groups(struct rng *rng, struct fs *fs, struct buf *acked, uint64_t *n_ops_at)
{
    struct err err;
    struct idx_log *log = NULL;
    fs_record_fail(fs, 0, 0);
    if (idx_log_open(fs, &log, &err) != RC_OK)
        return;
    size_t n_ok = 0;
    for (int group = 0; group < 12; group++) {
        struct buf text = {0};
        for (uint64_t i = 1 + rng_below(rng, 3); i-- > 0;) {
            struct buf record = {0};
            uint64_t end;
            buf_printf(&record, "%d.%llu", group, (unsigned long long)i);
            assert_int_equal(idx_log_append(log, buf_span(&record), &end, &err), RC_OK);
            buf_printf(&text, "%.*s ", SPAN_ARG(buf_span(&record)));
            buf_fini(&record);
        }
        if (rng_below(rng, 4) == 0)
            fs_record_fail(fs, fs_record_n(fs) + (size_t)rng_below(rng, 5), 1);
        if (idx_log_sync(log, &err) == RC_OK) {
            buf_put_span(&acked[n_ok + 1], buf_span(&acked[n_ok]));
            buf_put_span(&acked[n_ok + 1], buf_span(&text));
            n_ok++;
            n_ops_at[n_ok] = fs_record_n(fs);
        }
        buf_fini(&text);
    }
    n_ops_at[n_ok + 1] = UINT64_MAX;
    idx_log_close(log);
}

static void
expect_after_crash(struct fs *fs, struct fs_crash crash, const struct buf *acked,
                   const uint64_t *n_ops_at)
{
    size_t n_ok = 0;
    while (n_ops_at[n_ok + 1] <= crash.n_ops)
        n_ok++;
    char *dir = scratch_new();
    fs_record_rebuild(fs, crash, dir);
    struct fs *after = kit_fs(dir);
    struct idx_log *log = open_log(after);
    struct seen s = {0};
    struct err err;
    assert_int_equal(idx_log_replay(log, 0, see, &s, &err), RC_OK);
    /* Records that were not acknowledged may follow. */
    if (!span_starts(buf_span(&s.text), buf_span(&acked[n_ok])))
        fail_msg("after %zu operations: \"%.*s\" does not begin with \"%.*s\"", crash.n_ops,
                 SPAN_ARG(buf_span(&s.text)), SPAN_ARG(buf_span(&acked[n_ok])));
    buf_fini(&s.text);
    append(log, "more");
    sync_log(log);
    idx_log_close(log);
    fs_close(after);
    scratch_free(dir);
}

static void
test_crashes(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int round = 0; round < 6; round++) {
        struct buf acked[16] = {{0}};
        uint64_t n_ops_at[16] = {0, UINT64_MAX};
        char *dir = scratch_new();
        struct fs *fs = fs_record_open(dir);
        run_groups(&rng, fs, acked, n_ops_at);
        fs_record_fail(fs, 0, 0);
        for (size_t k = 0; k <= fs_record_n(fs); k++) {
            if (k > 0 && !fs_record_is_change(fs, k - 1))
                continue;
            for (int data = 0; data < FS_CRASH_DATA_N; data++)
                for (int names = 0; names < FS_CRASH_NAMES_N; names++)
                    expect_after_crash(
                        fs,
                        (struct fs_crash){k, (enum fs_crash_data)data, (enum fs_crash_names)names},
                        acked, n_ops_at);
        }
        for (size_t i = 0; i < ARRAY_SIZE(acked); i++)
            buf_fini(&acked[i]);
        fs_close(fs);
        scratch_free(dir);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append_and_replay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replay_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
        cmocka_unit_test(test_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
