/* Background merges as users of the index meet them. Which segments: test_choice.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/index/engine_kit.h"
#include "tests/index/engine_world.h"
#include "tests/support/scratch.h"

enum { WAIT_US = 30000000 };

/* Some seconds after the last change there is one segment, without a wish. */
static void
test_rest(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 0);
    for (uint32_t i = 0; i < 4; i++)
        kit_world_put(w, uid, 40 * i, 40 * i + 40, i, IDX_DURABLE);
    uint32_t n = kit_world_n_views(w, uid);
    assert_true(n >= 2 && n <= 4);
    uint64_t end_us = clock_us() + WAIT_US;
    while (kit_world_n_views(w, uid) > 1 && clock_us() < end_us)
        clock_sleep_us(20000);
    assert_int_equal(kit_world_n_views(w, uid), 1);
    kit_expect(w->idx, w->m);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
}

/* ---- a disk with little room ---- */

static _Atomic uint64_t n_free_bytes; /* what the disk of small_ops says */

static enum rc
small_free_bytes(struct fs *fs, uint64_t *out, struct err *err)
{
    (void)fs;
    (void)err;
    *out = n_free_bytes;
    return RC_OK;
}

struct troubles {
    int n;
    char text[ERR_TEXT_MAX];
};

static void
note_trouble(void *arg, const struct err *err)
{
    struct troubles *t = arg;
    t->n++;
    snprintf(t->text, sizeof t->text, "%s", err->text);
}

/* A merge that would fill the disk does not start; that is told once, until there was room. */
static void
test_little_disk(void **state)
{
    struct kit_world *w = *state;
    struct troubles troubles = {0};
    kit_close(w->idx);
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
    const struct fs_ops *host = w->fs->ops;
    struct fs_ops ops = *host;
    ops.free_bytes = small_free_bytes;
    w->fs->ops = &ops;
    n_free_bytes = 1 << 20;
    const struct idx_options options = {
        .fs = w->fs, .on_trouble = note_trouble, .trouble_arg = &troubles};
    w->idx = kit_open(w->fs, &options);

    uint32_t uid = kit_world_make(w, 0);
    for (uint32_t i = 0; i < 3; i++)
        kit_world_put(w, uid, 40 * i, 40 * i + 40, i, IDX_DURABLE);
    struct err err = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(idx_merge_all(w->idx, &err), RC_IO);
    assert_true(kit_world_n_views(w, uid) > 1);
    n_free_bytes = (uint64_t)1 << 40;
    assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);
    assert_int_equal(kit_world_n_views(w, uid), 1);
    kit_expect(w->idx, w->m);
    kit_close(w->idx);
    w->idx = NULL;
    w->fs->ops = host;
    assert_int_equal(troubles.n, 1);
    assert_non_null(strstr(troubles.text, "disk"));
}

/* ---- a damaged file ---- */

/* Flips a bit in the newest segment file, so far from its beginning (in 16ths). */
static void
damage(const char *dir, long sixteenths)
{
    char name[256] = "", path[600];
    DIR *d = opendir(dir);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (strstr(e->d_name, ".seg") && strcmp(e->d_name, name) > 0)
            snprintf(name, sizeof name, "%s", e->d_name);
    closedir(d);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long at = 80 + ftell(f) / 16 * sixteenths;
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    int byte = fgetc(f);
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, f), byte ^ 1);
    assert_int_equal(fclose(f), 0);
}

/* A file that cannot be read is not merged, and commits go on without it. */
static void
test_damaged(void **state)
{
    struct kit_world *w = *state;
    for (long at = 0; at < 12; at++) {
        uint32_t uid = kit_world_make(w, 0);
        kit_world_put(w, uid, 0, 100, 1, IDX_DURABLE);
        kit_world_close(w);
        damage(w->dir, at);
        w->idx = kit_open(w->fs, NULL);
        for (uint32_t i = 1; i < 6; i++) /* the damaged one is as light as the others */
            kit_world_put(w, uid, 100 * i, 100 * i + 100, i, IDX_DURABLE);
        assert_true(kit_world_n_views(w, uid) <= 5);
    }
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_world_set_up, kit_world_tear_down)
    const struct CMUnitTest tests[] = {TEST(test_rest), TEST(test_little_disk), TEST(test_damaged)};
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
