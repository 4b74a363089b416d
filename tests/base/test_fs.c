#include "base/fs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <signal.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fs *
open_dir(const char *dir)
{
    struct fs *fs;
    struct err err;
    assert_int_equal(fs_open_host(dir, &fs, &err), RC_OK);
    return fs;
}

/* The whole file as a string in *out. */
static const char *
content(struct fs *fs, const char *name, struct buf *out)
{
    struct fs_map map;
    assert_int_equal(fs_map(fs, name, &map, NULL), RC_OK);
    buf_clear(out);
    buf_put(out, map.p, map.n);
    buf_putc(out, '\0');
    fs_unmap(fs, &map);
    assert_null(map.p);
    return out->p;
}

static void
test_makes_directories(void **state)
{
    char *dir = scratch_new();
    char path[4096];
    struct stat st;
    (void)state;
    snprintf(path, sizeof path, "%s//a/b/c/", dir);
    struct fs *fs = open_dir(path);
    assert_int_equal(fs_write(fs, "f", SPAN_LIT("x"), NULL), RC_OK);
    fs_close(fs);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    fs_close(NULL);
    scratch_free(dir);
}

static void
test_open_errors(void **state)
{
    char *dir = scratch_new();
    char path[4096];
    struct fs *fs = open_dir(dir);
    struct fs *none = NULL;
    struct err err;
    (void)state;
    assert_int_equal(fs_write(fs, "file", SPAN_LIT("x"), &err), RC_OK);
    snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(fs_open_host(path, &none, &err), RC_IO);
    assert_non_null(strstr(err.text, path));
    snprintf(path, sizeof path, "%s/file/below", dir);
    assert_int_equal(fs_open_host(path, &none, &err), RC_IO);
    assert_int_equal(fs_open_host("/proc/none/x", &none, &err), RC_IO);
    assert_null(none);
    fs_close(fs);
    scratch_free(dir);
}

static void
test_lock(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct fs *other = open_dir(dir);
    struct err err = {0};
    (void)state;
    assert_int_equal(fs_lock(fs, "lock", &err), RC_OK);
    assert_int_equal(fs_lock(other, "lock", &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, "in use"));
    assert_int_equal(fs_lock(other, "lock2", &err), RC_OK);
    fs_close(fs);
    assert_int_equal(fs_lock(other, "lock", &err), RC_OK);
    fs_close(other);
    scratch_free(dir);
}

static void
test_append_and_truncate(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct fs_file *f;
    struct buf text = {0};
    (void)state;
    assert_int_equal(fs_open_append(fs, "log", &f, NULL), RC_OK);
    assert_int_equal(fs_append(f, SPAN_LIT("hello "), NULL), RC_OK);
    assert_int_equal(fs_append(f, SPAN_LIT(""), NULL), RC_OK);
    fs_file_close(f);
    assert_int_equal(fs_open_append(fs, "log", &f, NULL), RC_OK);
    assert_int_equal(fs_append(f, SPAN_LIT("world"), NULL), RC_OK);
    assert_int_equal(fs_sync(f, NULL), RC_OK);
    assert_string_equal(content(fs, "log", &text), "hello world");
    assert_int_equal(fs_truncate(f, 3, NULL), RC_OK);
    assert_int_equal(fs_append(f, SPAN_LIT("p"), NULL), RC_OK);
    assert_string_equal(content(fs, "log", &text), "help");
    fs_file_close(f);
    fs_file_close(NULL);
    buf_fini(&text);
    fs_close(fs);
    scratch_free(dir);
}

/* A replaced, renamed-over or removed file stays readable where it is mapped. */
static void
test_maps_survive(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct fs_map first;
    struct fs_map second;
    struct buf text = {0};
    (void)state;
    assert_int_equal(fs_write(fs, "a", SPAN_LIT("first"), NULL), RC_OK);
    assert_int_equal(fs_map(fs, "a", &first, NULL), RC_OK);
    assert_int_equal((uintptr_t)first.p % 4096, 0);
    assert_int_equal(fs_write(fs, "a", SPAN_LIT("2nd"), NULL), RC_OK);
    assert_int_equal(fs_map(fs, "a", &second, NULL), RC_OK);
    assert_int_equal(fs_write(fs, "b", SPAN_LIT("3"), NULL), RC_OK);
    assert_int_equal(fs_rename(fs, "b", "a", NULL), RC_OK);
    assert_int_equal(fs_sync_dir(fs, NULL), RC_OK);
    assert_string_equal(content(fs, "a", &text), "3");
    assert_int_equal(fs_unlink(fs, "a", NULL), RC_OK);
    assert_memory_equal(first.p, "first", 5);
    assert_memory_equal(second.p, "2nd", 3);
    assert_int_equal(second.n, 3);
    fs_unmap(fs, &first);
    fs_unmap(fs, &second);
    assert_int_equal(fs_write(fs, "empty", SPAN_LIT(""), NULL), RC_OK);
    assert_int_equal(fs_map(fs, "empty", &first, NULL), RC_OK);
    assert_null(first.p);
    assert_int_equal(first.n, 0);
    fs_unmap(fs, &first);
    buf_fini(&text);
    fs_close(fs);
    scratch_free(dir);
}

static void
test_absent(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct fs_map map = {"x", 9};
    struct err err = {0};
    char path[4096];
    (void)state;
    assert_int_equal(fs_map(fs, "none", &map, &err), RC_ABSENT);
    assert_int_equal(map.n, 9);
    snprintf(path, sizeof path, "cannot open %s/none: No such file or directory", dir);
    assert_string_equal(err.text, path);
    assert_int_equal(fs_unlink(fs, "none", &err), RC_ABSENT);
    assert_int_equal(fs_rename(fs, "none", "b", &err), RC_ABSENT);
    snprintf(path, sizeof path, "%s/copy", dir);
    assert_int_equal(fs_link(fs, "none", path, &err), RC_ABSENT);
    fs_close(fs);
    scratch_free(dir);
}

static void
test_link(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    char path[4096];
    struct buf text = {0};
    struct err err;
    (void)state;
    assert_int_equal(fs_write(fs, "a", SPAN_LIT("abc"), NULL), RC_OK);
    snprintf(path, sizeof path, "%s/copy", dir);
    assert_int_equal(fs_link(fs, "a", path, &err), RC_OK);
    assert_int_equal(fs_link(fs, "a", path, &err), RC_CONFLICT);
    assert_string_equal(content(fs, "copy", &text), "abc");
    /* Another file system: a copy. */
    snprintf(path, sizeof path, "/dev/shm/tailfin-test-%d", (int)getpid());
    struct stat here;
    struct stat there;
    if (stat(dir, &here) == 0 && stat("/dev/shm", &there) == 0 && here.st_dev != there.st_dev) {
        assert_int_equal(fs_link(fs, "a", path, &err), RC_OK);
        assert_int_equal(fs_link(fs, "a", path, &err), RC_CONFLICT);
        buf_clear(&text);
        assert_int_equal(fs_read_path(path, 100, &text, NULL), RC_OK);
        assert_true(span_eq_str(buf_span(&text), "abc"));
        unlink(path);
    }
    buf_fini(&text);
    fs_close(fs);
    scratch_free(dir);
}

static void
count(void *arg, const char *name, uint64_t n_bytes)
{
    uint64_t *sum = arg;
    *sum += n_bytes + (name[0] == 'a' ? 100 : 10000);
}

static void
test_list(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    uint64_t sum = 0;
    uint64_t n_free = 0;
    char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/subdirectory", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(fs_write(fs, "a1", SPAN_LIT("abc"), NULL), RC_OK);
    assert_int_equal(fs_write(fs, "a2", SPAN_LIT("d"), NULL), RC_OK);
    for (unsigned i = 0; i < 2; i++) {
        sum = 0;
        assert_int_equal(fs_list(fs, count, &sum, NULL), RC_OK);
        assert_int_equal(sum, 204);
    }
    assert_int_equal(fs_free_bytes(fs, &n_free, NULL), RC_OK);
    assert_true(n_free > 0);
    fs_close(fs);
    scratch_free(dir);
}

static void
test_map_of_directory(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct fs_map map;
    struct err err;
    char path[4096];
    (void)state;
    snprintf(path, sizeof path, "%s/d", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(fs_map(fs, "d", &map, &err), RC_IO);
    fs_close(fs);
    scratch_free(dir);
}

/* A write that the system refuses: here for the limit of a file's size. */
static void
test_full_disk(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct fs_file *f;
    struct err err = {0};
    struct rlimit before;
    char chunk[4096] = {0};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {10000, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(fs_create(fs, "big", &f, &err), RC_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum rc rc = RC_OK;
    for (unsigned i = 0; i < 5 && rc == RC_OK; i++)
        rc = fs_append(f, span_of(chunk, sizeof chunk), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rc, RC_IO);
    assert_non_null(strstr(err.text, "/big: File too large"));
    fs_file_close(f);
    fs_close(fs);
    scratch_free(dir);
}

static void
test_read_path(void **state)
{
    char *dir = scratch_new();
    struct fs *fs = open_dir(dir);
    struct buf text = {0};
    struct err err;
    char path[4096];
    (void)state;
    assert_int_equal(fs_write(fs, "a", SPAN_LIT("abc"), NULL), RC_OK);
    snprintf(path, sizeof path, "%s/a", dir);
    buf_puts(&text, "x");
    assert_int_equal(fs_read_path(path, 3, &text, &err), RC_OK);
    assert_true(span_eq_str(buf_span(&text), "xabc"));
    assert_int_equal(fs_read_path(path, 2, &text, &err), RC_LIMIT);
    assert_int_equal(text.n, 4);
    assert_int_equal(fs_read_path(dir, 100, &text, &err), RC_IO);
    snprintf(path, sizeof path, "%s/none", dir);
    assert_int_equal(fs_read_path(path, 100, &text, &err), RC_ABSENT);
    buf_fini(&text);
    fs_close(fs);
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_makes_directories),
        cmocka_unit_test(test_open_errors),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_append_and_truncate),
        cmocka_unit_test(test_maps_survive),
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_map_of_directory),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_read_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
