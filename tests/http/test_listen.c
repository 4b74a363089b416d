/* Addresses, unix sockets and what lies in their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/scratch.h"

#include "rig.h"

static enum rc
try_listen(const char *const *listen, size_t n, struct err *err)
{
    struct rig r;
    rig_init(&r);
    r.options.listen = listen;
    r.options.n_listen = n;
    struct http_server *s = NULL;
    enum rc rc = http_server_start(&r.options, &s, err);
    http_server_stop(s, 0);
    return rc;
}

static void
test_malformed_addresses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",         "127.0.0.1", ":8108", "127.0.0.1:", "127.0.0.1:x",  "127.0.0.1:65536",
        "::1:8108", "[::1]",     "[]:80", "unix:",      "127.0.0.1:-1", "no such host.:80",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct err err = {0};
        assert_int_equal(try_listen(&texts[i], 1, &err), RC_INVALID);
        assert_int_equal(err.rc, RC_INVALID);
        assert_true(strlen(err.text) > 0);
    }
    assert_int_equal(try_listen(NULL, 0, NULL), RC_INVALID);
}

static void
test_address_in_use(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_start(&r);
    char text[32];
    (void)snprintf(text, sizeof text, "127.0.0.1:%d", r.port);
    const char *const listen[] = {"127.0.0.1:0", text};
    struct err err = {0};
    assert_int_equal(try_listen(listen, 2, &err), RC_CONFLICT);
    rig_stop(&r);
    /* And free again: connections that were closed do not keep it. */
    assert_int_equal(try_listen(listen, 2, &err), RC_OK);
}

static void
test_several_addresses(void **state)
{
    (void)state;
    char *dir = scratch_new();
    char path[200], text[210];
    (void)snprintf(path, sizeof path, "%s/http.sock", dir);
    (void)snprintf(text, sizeof text, "unix:%s", path);
    const char *const listen[] = {"127.0.0.1:0", text, "localhost:0", "[::1]:0"};
    struct rig r;
    rig_init(&r);
    r.options.listen = listen;
    r.options.n_listen = 3; /* IPv6 may be missing on the machine */
    rig_start(&r);
    assert_true(http_server_port(r.server, 0) > 0);
    assert_int_equal(http_server_port(r.server, 1), 0);
    struct wire tcp, local;
    wire_open(&tcp, &r);
    wire_open_unix(&local, path);
    for (int i = 0; i < 5; i++) {
        wire_get(&tcp, "/noop");
        wire_get(&local, "/noop");
        assert_string_equal(wire_expect(&tcp, 200), "ok");
        assert_string_equal(wire_expect(&local, 200), "ok");
    }
    wire_close(&tcp);
    wire_close(&local);
    rig_stop(&r);
    /* The socket is gone with the server. */
    assert_int_not_equal(access(path, F_OK), 0);
    scratch_free(dir);
}

static void
test_stale_socket_is_replaced(void **state)
{
    (void)state;
    char *dir = scratch_new();
    char path[200], text[210], kept[220];
    (void)snprintf(path, sizeof path, "%s/http.sock", dir);
    (void)snprintf(text, sizeof text, "unix:%s", path);
    (void)snprintf(kept, sizeof kept, "%s.kept", path);
    const char *const listen[] = {text};
    struct rig r;
    rig_init(&r);
    r.options.listen = listen;
    rig_start(&r);
    /* While somebody listens it is not taken away. */
    assert_int_equal(try_listen(listen, 1, NULL), RC_CONFLICT);
    struct wire w;
    wire_open_unix(&w, path);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
    /* A socket that outlives its server, as after a crash. */
    assert_int_equal(rename(path, kept), 0);
    rig_stop(&r);
    assert_int_equal(rename(kept, path), 0);
    assert_int_equal(try_listen(listen, 1, NULL), RC_OK);
    scratch_free(dir);
}

static void
test_other_files_are_left_alone(void **state)
{
    (void)state;
    char *dir = scratch_new();
    char path[200], text[210], target[210];
    (void)snprintf(path, sizeof path, "%s/file", dir);
    (void)snprintf(target, sizeof target, "%s.target", path);
    (void)snprintf(text, sizeof text, "unix:%s", path);
    const char *const listen[] = {text};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(try_listen(listen, 1, NULL), RC_CONFLICT);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(try_listen(listen, 1, NULL), RC_CONFLICT);
    assert_int_equal(access(path, F_OK), 0);
    scratch_free(dir);
}

static void
test_path_too_long(void **state)
{
    (void)state;
    struct buf text = {0};
    buf_puts(&text, "unix:/tmp/");
    for (int i = 0; i < 200; i++)
        buf_putc(&text, 'x');
    buf_putc(&text, '\0');
    const char *const listen[] = {text.p};
    assert_int_equal(try_listen(listen, 1, NULL), RC_INVALID);
    buf_fini(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_addresses),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_several_addresses),
        cmocka_unit_test(test_stale_socket_is_replaced),
        cmocka_unit_test(test_other_files_are_left_alone),
        cmocka_unit_test(test_path_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
