#include "tests/support/fs_record.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

static void
put(struct fs *fs, const char *name, const char *text, bool is_synced)
{
    struct fs_file *f;
    assert_int_equal(fs_create(fs, name, &f, NULL), RC_OK);
    assert_int_equal(fs_append(f, span_str(text), NULL), RC_OK);
    if (is_synced)
        assert_int_equal(fs_sync(f, NULL), RC_OK);
    fs_file_close(f);
}

static void
add_file(void *arg, const char *name, uint64_t n_bytes)
{
    struct buf *out = arg;
    if (strcmp(name, "lock") != 0)
        buf_printf(out, "%s:%u ", name, (unsigned)n_bytes);
}

/* What the crash leaves: for one file "name:length ". */
static void
check_crash(struct fs *fs, struct fs_crash crash, const char *wanted)
{
    char *dir = scratch_new();
    struct fs *left;
    struct buf out = {0};
    fs_record_rebuild(fs, crash, dir);
    assert_int_equal(fs_open_host(dir, &left, NULL), RC_OK);
    assert_int_equal(fs_list(left, add_file, &out, NULL), RC_OK);
    buf_putc(&out, '\0');
    assert_string_equal(out.p, wanted);
    buf_fini(&out);
    fs_close(left);
    scratch_free(dir);
}

static void
test_data(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = fs_record_open(dir);
    struct fs_file *f;
    (void)state;
    assert_int_equal(fs_create(fs, "a", &f, NULL), RC_OK);         /* 0 */
    assert_int_equal(fs_append(f, SPAN_LIT("12"), NULL), RC_OK);   /* 1 */
    assert_int_equal(fs_sync(f, NULL), RC_OK);                     /* 2 */
    assert_int_equal(fs_sync_dir(fs, NULL), RC_OK);                /* 3 */
    assert_int_equal(fs_append(f, SPAN_LIT("3456"), NULL), RC_OK); /* 4 */
    assert_int_equal(fs_truncate(f, 3, NULL), RC_OK);              /* 5 */
    fs_file_close(f);
    assert_int_equal(fs_record_n(fs), 6);
    check_crash(fs, (struct fs_crash){0, FS_CRASH_DATA_KEEP, FS_CRASH_NAMES_KEEP}, "");
    check_crash(fs, (struct fs_crash){3, FS_CRASH_DATA_KEEP, FS_CRASH_NAMES_DROP}, "");
    check_crash(fs, (struct fs_crash){2, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_KEEP}, "a:0 ");
    check_crash(fs, (struct fs_crash){3, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_KEEP}, "a:2 ");
    check_crash(fs, (struct fs_crash){5, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_DROP}, "a:2 ");
    check_crash(fs, (struct fs_crash){5, FS_CRASH_DATA_HALF, FS_CRASH_NAMES_DROP}, "a:4 ");
    check_crash(fs, (struct fs_crash){5, FS_CRASH_DATA_ZERO, FS_CRASH_NAMES_DROP}, "a:6 ");
    check_crash(fs, (struct fs_crash){5, FS_CRASH_DATA_KEEP, FS_CRASH_NAMES_DROP}, "a:6 ");
    check_crash(fs, (struct fs_crash){6, FS_CRASH_DATA_KEEP, FS_CRASH_NAMES_DROP}, "a:3 ");
    fs_close(fs);
    scratch_free(dir);
}

static void
test_names(void **state)
{
    char *dir = scratch_new();
    struct fs *fs;
    struct fs_map map;
    (void)state;
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    put(fs, "m", "old", false);
    fs_close(fs);
    fs = fs_record_open(dir);
    put(fs, "tmp", "newer", true);                            /* 0 1 2 */
    assert_int_equal(fs_rename(fs, "tmp", "m", NULL), RC_OK); /* 3 */
    assert_int_equal(fs_sync_dir(fs, NULL), RC_OK);           /* 4 */
    assert_int_equal(fs_unlink(fs, "m", NULL), RC_OK);        /* 5 */
    assert_int_equal(fs_map(fs, "m", &map, NULL), RC_ABSENT); /* 6 */
    assert_false(fs_record_is_change(fs, 6));
    assert_true(fs_record_is_change(fs, 3));
    check_crash(fs, (struct fs_crash){0, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_DROP}, "m:3 ");
    check_crash(fs, (struct fs_crash){4, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_DROP}, "m:3 ");
    check_crash(fs, (struct fs_crash){4, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_KEEP}, "m:5 ");
    check_crash(fs, (struct fs_crash){5, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_DROP}, "m:5 ");
    check_crash(fs, (struct fs_crash){6, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_DROP}, "m:5 ");
    check_crash(fs, (struct fs_crash){6, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_KEEP}, "");
    char text[FS_RECORD_TEXT_MAX];
    assert_string_equal(fs_record_describe(fs, 3, text), "rename tmp to m (0 bytes)");
    fs_close(fs);
    scratch_free(dir);
}

static void
test_failures(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = fs_record_open(dir);
    struct fs_file *f;
    struct err err;
    (void)state;
    fs_record_fail(fs, 1, 2);
    assert_int_equal(fs_create(fs, "a", &f, &err), RC_OK);
    assert_int_equal(fs_append(f, SPAN_LIT("1234"), &err), RC_IO);
    assert_string_equal(err.text, "cannot append a (the test's failure): Input/output error");
    assert_int_equal(fs_sync(f, &err), RC_IO);
    assert_int_equal(fs_append(f, SPAN_LIT("5"), &err), RC_OK);
    fs_file_close(f);
    check_crash(fs, (struct fs_crash){4, FS_CRASH_DATA_KEEP, FS_CRASH_NAMES_KEEP}, "a:3 ");
    check_crash(fs, (struct fs_crash){4, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_KEEP}, "a:0 ");
    fs_record_fail(fs, 4, SIZE_MAX);
    assert_int_equal(fs_write(fs, "b", SPAN_LIT("x"), &err), RC_IO);
    assert_int_equal(fs_rename(fs, "a", "b", &err), RC_IO);
    assert_int_equal(fs_unlink(fs, "a", &err), RC_IO);
    assert_int_equal(fs_sync_dir(fs, &err), RC_IO);
    assert_int_equal(fs_open_append(fs, "a", &f, &err), RC_IO);
    fs_record_fail(fs, 0, 0);
    assert_int_equal(fs_rename(fs, "a", "b", &err), RC_OK);
    fs_close(fs);
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
