/* The directory: which files are there, what is refused, checking and copying it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>

#include <cmocka.h>

#include "tests/index/engine_kit.h"
#include "tests/index/engine_world.h"
#include "tests/support/scratch.h"

static void
count_segments(void *arg, const char *name, uint64_t n_bytes)
{
    int *n = arg;
    (void)n_bytes;
    *n += strlen(name) == 20 && strcmp(name + 16, ".seg") == 0;
}

static void
find_newest(void *arg, const char *name, uint64_t n_bytes)
{
    uint64_t *newest = arg;
    (void)n_bytes;
    if (strlen(name) == 20 && strcmp(name + 16, ".seg") == 0) {
        uint64_t number = strtoull(name, NULL, 16);
        *newest = number > *newest ? number : *newest;
    }
}

/* I8: the number of a file that a crash left behind is not given to another one. */
static void
test_numbers_are_not_used_again(void **state)
{
    struct kit_world *w = *state;
    struct err err;
    uint64_t newest = 0;
    char name[32];
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 40, 1, IDX_DURABLE);
    kit_world_close(w);
    assert_int_equal(fs_list(w->fs, find_newest, &newest, &err), RC_OK);
    for (uint64_t i = 1; i < 20; i++) {
        snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)(newest + i));
        assert_int_equal(fs_write(w->fs, name, SPAN_LIT("left over"), &err), RC_OK);
    }
    w->idx = kit_open(w->fs, NULL);
    kit_world_put(w, uid, 0, 40, 5, IDX_DURABLE);
    for (uint64_t i = 1; i < 20; i++) {
        struct fs_map map;
        snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)(newest + i));
        assert_int_equal(fs_map(w->fs, name, &map, &err), RC_ABSENT);
    }
}

static void
test_files_go(void **state)
{
    struct kit_world *w = *state;
    struct err err;
    uint32_t uid = kit_world_make(w, 0);
    for (uint32_t i = 0; i < 30; i++)
        kit_world_put(w, uid, 0, 40, i, IDX_DURABLE);
    int n = 0;
    assert_int_equal(fs_list(w->fs, count_segments, &n, &err), RC_OK);
    assert_in_range(n, 1, 10); /* every commit killed the one before */
    kit_world_close(w);
    assert_int_equal(fs_write(w->fs, "00000000ffffff00.seg", SPAN_LIT("left over"), &err), RC_OK);
    assert_int_equal(fs_write(w->fs, "MANIFEST.new", SPAN_LIT("left over"), &err), RC_OK);
    assert_int_equal(fs_write(w->fs, "notes.txt", SPAN_LIT("not ours"), &err), RC_OK);
    w->idx = kit_open(w->fs, NULL);
    struct fs_map map;
    assert_int_equal(fs_map(w->fs, "00000000ffffff00.seg", &map, &err), RC_ABSENT);
    assert_int_equal(fs_map(w->fs, "notes.txt", &map, &err), RC_OK);
    fs_unmap(w->fs, &map);
    kit_expect(w->idx, w->m);
}

/* ---- directories that cannot be opened ---- */

static void
expect_refused(struct kit_world *w, enum rc rc, const char *words)
{
    struct idx_options o = {.fs = w->fs};
    struct err err = {0};
    assert_int_equal(idx_open(&o, &w->idx, &err), rc);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    w->idx = NULL;
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
}

static void
take_file(struct kit_world *w, const char *name, struct buf *out)
{
    struct fs_map map;
    struct err err;
    buf_clear(out);
    assert_int_equal(fs_map(w->fs, name, &map, &err), RC_OK);
    buf_put(out, map.p, map.n);
    fs_unmap(w->fs, &map);
}

static void
find_segment(void *arg, const char *name, uint64_t n_bytes)
{
    (void)n_bytes;
    if (strlen(name) == 20 && strcmp(name + 16, ".seg") == 0)
        snprintf(arg, 32, "%s", name);
}

static void
test_refused(void **state)
{
    struct kit_world *w = *state;
    struct err err;
    struct buf manifest = {0}, segment = {0};
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 40, 1, IDX_DURABLE);

    struct fs *other = kit_fs(w->dir);
    struct idx_options o = {.fs = other};
    struct idx *idx;
    assert_int_equal(idx_open(&o, &idx, &err), RC_CONFLICT);
    fs_close(other);
    kit_world_close(w);

    take_file(w, "MANIFEST", &manifest);
    manifest.p[8] = 2; /* a version to come */
    assert_int_equal(fs_write(w->fs, "MANIFEST", buf_span(&manifest), &err), RC_OK);
    expect_refused(w, RC_CORRUPT, "version 2");
    manifest.p[8] = 1;
    manifest.p[manifest.n - 3] ^= 4;
    assert_int_equal(fs_write(w->fs, "MANIFEST", buf_span(&manifest), &err), RC_OK);
    expect_refused(w, RC_CORRUPT, "checksum");
    manifest.p[manifest.n - 3] ^= 4;
    assert_int_equal(fs_unlink(w->fs, "MANIFEST", &err), RC_OK);
    expect_refused(w, RC_CORRUPT, "missing");
    assert_int_equal(fs_write(w->fs, "MANIFEST", buf_span(&manifest), &err), RC_OK);

    char name[32] = "";
    assert_int_equal(fs_list(w->fs, find_segment, name, &err), RC_OK);
    take_file(w, name, &segment);
    assert_int_equal(fs_unlink(w->fs, name, &err), RC_OK);
    expect_refused(w, RC_CORRUPT, name);
    assert_int_equal(fs_write(w->fs, name, span_of(segment.p, segment.n - 8), &err), RC_OK);
    expect_refused(w, RC_CORRUPT, name);
    assert_int_equal(fs_write(w->fs, name, buf_span(&segment), &err), RC_OK);
    w->idx = kit_open(w->fs, NULL);
    kit_expect(w->idx, w->m);
    buf_fini(&manifest);
    buf_fini(&segment);
}

static void
count_finding(void *arg, const char *finding)
{
    (void)finding;
    ++*(int *)arg;
}

/* Whatever bit flips in a segment, idx_check says so. */
static void
test_check_finds_flips(void **state)
{
    struct kit_world *w = *state;
    struct err err;
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 300, 1, IDX_DURABLE);
    kit_world_close(w);
    struct buf segment = {0};
    char name[32] = "";
    assert_int_equal(fs_list(w->fs, find_segment, name, &err), RC_OK);
    take_file(w, name, &segment);
    for (size_t at = 0; at < segment.n; at += 1 + segment.n / 50) {
        int n = 0;
        segment.p[at] ^= 16;
        assert_int_equal(fs_write(w->fs, name, buf_span(&segment), &err), RC_OK);
        segment.p[at] ^= 16;
        enum rc rc = idx_check(w->fs, count_finding, &n, &err);
        fs_close(w->fs); /* gives the lock back */
        w->fs = kit_fs(w->dir);
        /* A byte of padding belongs to no section. */
        if (rc == RC_OK && segment.p[at] == 0)
            continue;
        assert_int_equal(rc, RC_CORRUPT);
        assert_true(n > 0);
    }
    assert_int_equal(fs_write(w->fs, name, buf_span(&segment), &err), RC_OK);
    buf_fini(&segment);
}

/* ---- copying ---- */

static enum rc
add_record(void *arg, struct span record, uint64_t end, struct err *err)
{
    (void)end;
    (void)err;
    buf_put_span(arg, record);
    return RC_OK;
}

/* The disk of a copy is full when the manifest's turn comes. */
static enum rc
full_link(struct fs *fs, const char *from, const char *to_path, struct err *err)
{
    (void)fs;
    (void)to_path;
    return err_sys(err, RC_IO, ENOSPC, "cannot link %s", from);
}

static void
test_copy(void **state)
{
    struct kit_world *w = *state;
    struct err err;
    struct idx_log *log;
    uint64_t end;
    uint32_t uid = kit_world_make(w, 0);
    assert_int_equal(idx_log_open(w->fs, &log, &err), RC_OK);
    assert_int_equal(idx_log_append(log, SPAN_LIT("record"), &end, &err), RC_OK);
    assert_int_equal(idx_log_sync(log, &err), RC_OK);
    kit_world_put(w, uid, 0, 40, 1, IDX_DURABLE);
    char *dir = scratch_new();
    struct buf path = {0}, got = {0};
    buf_printf(&path, "%s/copy", dir);
    buf_putc(&path, 0);
    const struct fs_ops *host = w->fs->ops;
    struct fs_ops full = *host;
    full.link = full_link;
    w->fs->ops = &full;
    assert_int_equal(idx_copy(w->idx, path.p, &err), RC_IO);
    w->fs->ops = host;
    /* It has left nothing behind that would be in the way. */
    assert_int_equal(idx_copy(w->idx, path.p, &err), RC_OK);
    assert_int_equal(idx_copy(w->idx, path.p, &err), RC_CONFLICT);
    assert_int_equal(idx_copy(w->idx, "relative", &err), RC_INVALID);
    struct kit_model *then = xcalloc(1, sizeof *then);
    *then = *w->m;
    kit_world_put(w, uid, 0, 40, 2, IDX_DURABLE); /* the original goes its way */
    assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);

    struct fs *fs = kit_fs(path.p);
    kit_check(fs);
    fs_close(fs);
    fs = kit_fs(path.p);
    struct idx *copy = kit_open(fs, NULL);
    struct idx_log *log_copy;
    kit_expect(copy, then);
    assert_int_equal(idx_log_open(fs, &log_copy, &err), RC_OK);
    assert_int_equal(idx_log_replay(log_copy, 0, add_record, &got, &err), RC_OK);
    assert_true(span_eq_str(buf_span(&got), "record"));
    idx_log_close(log_copy);
    idx_log_close(log);
    kit_close(copy);
    fs_close(fs);
    kit_expect(w->idx, w->m);
    scratch_free(dir);
    buf_fini(&path);
    buf_fini(&got);
    free(then);
}

/* ---- old directories ---- */

/*
 * Every version of the format that was ever released has a directory in
 * tests/index/golden; each must open and hold this. TAILFIN_GOLDEN_NEW=DIR
 * writes one, for a new version.
 */
static void
golden_history(struct kit_world *w, bool is_written)
{
    for (uint32_t round = 0; round < 4; round++) {
        struct idx_batch *b = is_written ? idx_batch_new() : NULL;
        uint32_t uid = 1 + round / 2;
        if (round % 2 == 0)
            kit_create(w->m, b, uid, round / 2);
        for (uint32_t i = 0; i < 60; i++)
            kit_put(w->m, b, uid, (i * 7 + round * 40) % 97, i + round, 1000 * round + i);
        kit_delete(w->m, b, uid, 7);
        if (round == 1) {
            kit_name(w->m, b, uid);
            kit_complete(w->m, b, uid);
        }
        kit_entry(w->m, b, round, round + 5);
        kit_pos(w->m, b, round + 1);
        if (b)
            kit_submit(w->idx, &b, IDX_DURABLE);
    }
}

static enum rc
expect_record(void *arg, struct span record, uint64_t end, struct err *err)
{
    (void)end;
    (void)err;
    assert_true(span_eq_str(record, "a record"));
    ++*(int *)arg;
    return RC_OK;
}

static void
write_golden(struct kit_world *w, const char *to)
{
    struct err err;
    struct idx_log *log;
    uint64_t end;
    assert_int_equal(idx_new_uid(w->idx), 1);
    assert_int_equal(idx_new_uid(w->idx), 2);
    golden_history(w, true);
    assert_int_equal(idx_log_open(w->fs, &log, &err), RC_OK);
    assert_int_equal(idx_log_append(log, SPAN_LIT("a record"), &end, &err), RC_OK);
    assert_int_equal(idx_log_sync(log, &err), RC_OK);
    idx_log_close(log);
    assert_int_equal(idx_copy(w->idx, to, &err), RC_OK);
}

struct copying {
    struct fs *from, *to;
};

static void
copy_file(void *arg, const char *name, uint64_t n_bytes)
{
    struct copying *c = arg;
    struct fs_map map;
    struct err err;
    (void)n_bytes;
    assert_int_equal(fs_map(c->from, name, &map, &err), RC_OK);
    assert_int_equal(fs_write(c->to, name, span_of(map.p, map.n), &err), RC_OK);
    fs_unmap(c->from, &map);
}

static void
expect_golden(const char *path)
{
    struct kit_world w = {.dir = scratch_new(), .m = xcalloc(1, sizeof *w.m)};
    struct err err;
    struct idx_log *log;
    int n_records = 0;
    w.fs = kit_fs(w.dir);
    struct copying c = {kit_fs(path), w.fs};
    assert_int_equal(fs_list(c.from, copy_file, &c, &err), RC_OK);
    fs_close(c.from);
    golden_history(&w, false);
    w.idx = kit_open(w.fs, NULL);
    kit_world_reopen(&w);
    kit_expect(w.idx, w.m);
    assert_int_equal(kit_durable_pos(w.idx), 4);
    assert_int_equal(idx_log_open(w.fs, &log, &err), RC_OK);
    assert_int_equal(idx_log_replay(log, 0, expect_record, &n_records, &err), RC_OK);
    assert_int_equal(n_records, 1);
    idx_log_close(log);
    kit_world_put(&w, 1, 0, 97, 5, IDX_DURABLE); /* and it goes on */
    assert_int_equal(idx_merge_all(w.idx, &err), RC_OK);
    kit_expect(w.idx, w.m);
    kit_close(w.idx);
    fs_close(w.fs);
    scratch_free(w.dir);
    free(w.m);
}

static void
test_golden(void **state)
{
    const char *to = getenv("TAILFIN_GOLDEN_NEW");
    if (to)
        write_golden(*state, to);
    expect_golden("tests/index/golden/v1");
    expect_golden("tests/index/golden/v2");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_world_set_up, kit_world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_files_go), TEST(test_numbers_are_not_used_again),
        TEST(test_refused),  TEST(test_check_finds_flips),
        TEST(test_copy),     TEST(test_golden),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
