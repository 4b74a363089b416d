#include "base/conf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/fs.h"
#include "tests/support/scratch.h"

enum { PORT, NAME, KEY, IS_FAST, MODE, CACHE, ROWS_N };

static const struct conf_row rows[] = {
    {"http.port", CONF_U64, "8108", 1, 65535, NULL, "", false, "The port to listen on."},
    {"name", CONF_STRING, NULL, 0, 0, NULL, "", false, "A name."},
    {"api-key", CONF_STRING, "", 0, 0, NULL, "", true, "The secret."},
    {"fast", CONF_BOOL, "false", 0, 0, NULL, "", false, "Be fast."},
    {"write-mode", CONF_ENUM, "none", 0, 0, "none|full", "", false, "How to write."},
    {"cache", CONF_U64, "10", 0, UINT64_MAX, NULL, "bytes", false, "Room."},
};

static enum rc
read_text(struct conf *c, const char *text, struct err *err)
{
    char *dir = scratch_new();
    char path[4096];
    struct fs *fs;
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    assert_int_equal(fs_write(fs, "c", span_str(text), NULL), RC_OK);
    fs_close(fs);
    snprintf(path, sizeof path, "%s/c", dir);
    enum rc rc = conf_read_file(c, path, err);
    scratch_free(dir);
    return rc;
}

static enum rc
read_env(struct conf *c, const char *line, struct err *err)
{
    char *const list[] = {xstrdup("HOME=/root"), xstrdup(line), xstrdup("TAILFINX=1"), NULL};
    enum rc rc = conf_read_env(c, "TAILFIN", list, err);
    for (size_t i = 0; list[i]; i++)
        free(list[i]);
    return rc;
}

static enum rc
read_args(struct conf *c, const char *a, const char *b, int *n, struct err *err)
{
    char *const words[] = {xstrdup(a), b ? xstrdup(b) : NULL, NULL};
    enum rc rc = conf_read_args(c, b ? 2 : 1, words, n, err);
    free(words[0]);
    free(words[1]);
    return rc;
}

static void
test_defaults(void **state)
{
    struct conf *c = conf_new(rows, ROWS_N);
    (void)state;
    assert_int_equal(conf_u64(c, PORT), 8108);
    assert_string_equal(conf_str(c, PORT), "8108");
    assert_null(conf_str(c, NAME));
    assert_string_equal(conf_str(c, KEY), "");
    assert_false(conf_bool(c, IS_FAST));
    assert_string_equal(conf_str(c, MODE), "none");
    for (size_t i = 0; i < ROWS_N; i++)
        assert_false(conf_is_set(c, i));
    conf_free(c);
    conf_free(NULL);
}

/* Whatever the order of reading: a flag wins over the environment over the file. */
static void
test_precedence(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 6; order++) {
        static const unsigned char orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
        struct conf *c = conf_new(rows, ROWS_N);
        int n;
        for (unsigned i = 0; i < 3; i++) {
            enum rc rc = RC_OK;
            if (orders[order][i] == 0)
                rc = read_text(c, "http.port = 1\nname = file\nfast = yes\n", NULL);
            else if (orders[order][i] == 1)
                rc = read_env(c, "TAILFIN_HTTP_PORT=2", NULL);
            else
                rc = read_args(c, "--http.port=3", NULL, &n, NULL);
            assert_int_equal(rc, RC_OK);
        }
        assert_int_equal(conf_u64(c, PORT), 3);
        assert_string_equal(conf_str(c, NAME), "file");
        assert_true(conf_bool(c, IS_FAST));
        assert_true(conf_is_set(c, PORT) && conf_is_set(c, NAME) && !conf_is_set(c, MODE));
        conf_free(c);
    }
}

static void
test_file(void **state)
{
    struct conf *c = conf_new(rows, ROWS_N);
    struct err err;
    char line[3000];
    (void)state;
    assert_int_equal(read_text(c,
                               "; comment\n# comment\n\n[section]\n  http.port=80\r\n"
                               "name = a ; b # c = d\napi-key = \nfast = on\nwrite-mode = full\n",
                               &err),
                     RC_OK);
    assert_int_equal(conf_u64(c, PORT), 80);
    assert_string_equal(conf_str(c, NAME), "a ; b # c = d");
    assert_string_equal(conf_str(c, MODE), "full");
    assert_true(conf_bool(c, IS_FAST));
    /* A long address list is one line. */
    memset(line, 'x', sizeof line);
    memcpy(line, "name = ", 7);
    line[sizeof line - 1] = '\0';
    assert_int_equal(read_text(c, line, &err), RC_OK);
    assert_int_equal(strlen(conf_str(c, NAME)), sizeof line - 8);
    assert_int_equal(read_text(c, "", &err), RC_OK);
    conf_free(c);
}

static void
test_file_errors(void **state)
{
    static const char *const bad[][2] = {
        {"name = x\nhttp.prt = 1\n", "line 2: there is no option \"http.prt\""},
        {"http.port = 0\n", "http.port is \"0\", but takes 1..65535: The port to listen on."},
        {"http.port = 65536\n", "1..65535"},
        {"http.port = 80a\n", "1..65535"},
        {"http.port = -1\n", "1..65535"},
        {"http.port =\n", "1..65535"},
        {"fast = maybe\n", "true | false"},
        {"write-mode = half\n", "none | full"},
        {"cache = x\n", "0 or more bytes: Room."},
        {"name = x\njust words\n", "line 2: not of the form name = value"},
        {"nme = x\nname = y\nfast = maybe\n", "line 1: there is no option \"nme\""},
    };
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct conf *c = conf_new(rows, ROWS_N);
        assert_int_equal(read_text(c, bad[i][0], &err), RC_INVALID);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("%s", err.text);
        assert_int_equal(read_text(c, bad[i][0], NULL), RC_INVALID);
        conf_free(c);
    }
    struct conf *c = conf_new(rows, ROWS_N);
    assert_int_equal(conf_read_file(c, "/nonexistent/file", &err), RC_ABSENT);
    assert_int_equal(conf_read_file(c, "/", &err), RC_IO);
    conf_free(c);
}

/* What libinih would cut in two without a word. */
static void
test_long_lines(void **state)
{
    struct conf *c = conf_new(rows, ROWS_N);
    struct buf text = {0};
    struct err err;
    (void)state;
    buf_printf(&text, "name = %0*d\n", 20000, 1);
    buf_putc(&text, '\0');
    assert_int_equal(read_text(c, text.p, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "has a line above"));
    buf_clear(&text);
    for (unsigned i = 0; i < 200000; i++)
        buf_puts(&text, "; text\n");
    buf_putc(&text, '\0');
    assert_int_equal(read_text(c, text.p, &err), RC_INVALID);
    assert_non_null(strstr(err.text, "is larger than"));
    assert_null(conf_str(c, NAME));
    buf_fini(&text);
    conf_free(c);
}

static void
test_env(void **state)
{
    struct conf *c = conf_new(rows, ROWS_N);
    struct err err;
    (void)state;
    assert_int_equal(read_env(c, "TAILFIN_WRITE_MODE=full", &err), RC_OK);
    assert_string_equal(conf_str(c, MODE), "full");
    assert_int_equal(read_env(c, "TAILFIN_NAME=a=b", &err), RC_OK);
    assert_string_equal(conf_str(c, NAME), "a=b");
    assert_int_equal(read_env(c, "TAILFIN_HTTP_PORT=x", &err), RC_INVALID);
    assert_non_null(strstr(err.text, "TAILFIN_HTTP_PORT: http.port is \"x\""));
    assert_int_equal(read_env(c, "TAILFIN_NAMES=x", &err), RC_INVALID);
    assert_non_null(strstr(err.text, "TAILFIN_NAMES"));
    assert_int_equal(read_env(c, "TAILFIN_name=x", &err), RC_INVALID);
    /* What a cluster's service of our name puts there. */
    assert_int_equal(read_env(c, "TAILFIN_SERVICE_HOST=10.0.0.1", &err), RC_OK);
    assert_int_equal(read_env(c, "TAILFIN_PORT=tcp://10.0.0.1:8108", &err), RC_OK);
    assert_int_equal(read_env(c, "TAILFIN_PORT_8108_TCP_ADDR=10.0.0.1", &err), RC_OK);
    assert_int_equal(read_env(c, "TAILFIN_PORT=80", &err), RC_INVALID);
    conf_free(c);
}

static void
test_args(void **state)
{
    struct conf *c = conf_new(rows, ROWS_N);
    struct err err;
    int n = 0;
    (void)state;
    assert_int_equal(read_args(c, "--name", "x", &n, &err), RC_OK);
    assert_int_equal(n, 2);
    assert_string_equal(conf_str(c, NAME), "x");
    assert_int_equal(read_args(c, "--fast", "word", &n, &err), RC_OK);
    assert_int_equal(n, 1);
    assert_true(conf_bool(c, IS_FAST));
    assert_int_equal(read_args(c, "--fast=no", NULL, &n, &err), RC_OK);
    assert_false(conf_bool(c, IS_FAST));
    assert_int_equal(read_args(c, "--name=", "--fast", &n, &err), RC_OK);
    assert_int_equal(n, 2);
    assert_string_equal(conf_str(c, NAME), "");
    assert_int_equal(read_args(c, "word", "--fast", &n, &err), RC_OK);
    assert_int_equal(n, 0);
    assert_int_equal(read_args(c, "--", "--fast", &n, &err), RC_OK);
    assert_int_equal(n, 1);
    assert_int_equal(read_args(c, "--name", NULL, &n, &err), RC_INVALID);
    assert_string_equal(err.text, "--name needs a value: A name.");
    assert_int_equal(read_args(c, "--nme=1", NULL, &n, &err), RC_INVALID);
    assert_string_equal(err.text, "there is no option --nme");
    assert_int_equal(read_args(c, "--http.port", "99999", &n, &err), RC_INVALID);
    conf_free(c);
}

static void
test_texts(void **state)
{
    struct conf *c = conf_new(rows, ROWS_N);
    struct buf out = {0};
    int n;
    (void)state;
    assert_int_equal(read_args(c, "--api-key", "hunter2", &n, NULL), RC_OK);
    assert_int_equal(read_env(c, "TAILFIN_HTTP_PORT=90", NULL), RC_OK);
    conf_write(c, &out);
    buf_putc(&out, '\0');
    assert_null(strstr(out.p, "hunter2"));
    assert_non_null(strstr(out.p, "api-key = ***\n"));
    assert_non_null(strstr(out.p, "; The port to listen on.\n; takes 1..65535; default 8108; from "
                                  "environment\nhttp.port = 90\n"));
    assert_non_null(strstr(out.p, "; name = \n"));
    assert_non_null(
        strstr(out.p, "; takes 0 or more bytes; default 10; from default\ncache = 10\n"));
    buf_clear(&out);
    conf_write_help(c, &out);
    buf_putc(&out, '\0');
    assert_non_null(
        strstr(out.p, "  --http.port <1..65535>\n      The port to listen on. (default 8108)\n"));
    assert_non_null(strstr(out.p, "  --fast\n      Be fast. (default false)\n"));
    assert_null(strstr(out.p, "hunter2"));
    buf_fini(&out);
    conf_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_file),       cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_env),
        cmocka_unit_test(test_args),       cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
