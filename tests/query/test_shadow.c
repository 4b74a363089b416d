/* Shadow mode: its log is bounded and holds the worst; a side that stalls disturbs nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "http/client.h"
#include "query/query.h"
#include "query/shadow_log.h"
#include "tests/query/fixture.h"
#include "tests/support/scratch.h"

/* ---- the log ---- */

static void
add(struct qry_shadow_log *l, int number, double badness)
{
    struct qry_outgoing asked = {0};
    struct qry_shadow_finding f = {.asked = &asked, .served_us = 1, .replayed_us = 2};
    char id[20];

    buf_printf(&asked.target, "/collections/c/documents/search?q=%d", number);
    (void)snprintf(id, sizeof id, "d%d", number);
    f.served = (struct qry_top){.has_ids = true, .found = 7, .n = 1, .ids = {span_str(id)}};
    f.replayed = (struct qry_top){.has_ids = true, .found = 8};
    f.agreement = (struct qry_agreement){.has_overlap = true, .overlap = 0, .badness = badness};
    qry_shadow_log_add(l, &f);
    qry_outgoing_fini(&asked);
}

static void
read_file(const char *dir, const char *name, struct buf *out)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(fs_read_path(path, 16 << 20, out, NULL), RC_OK);
}

static void
log_holds_the_worst(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = NULL;
    struct buf text = {0};
    struct arena arena = {0};
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    struct qry_shadow_log *l = qry_shadow_log_new(fs, NULL, "builtin");
    for (int i = 0; i < 1000; i++)
        add(l, i, (double)(i * 7919 % 1000) / 1000); /* each badness once; 0 is none */
    qry_shadow_log_tick(l);                          /* not yet */
    qry_shadow_log_free(l);
    read_file(dir, "shadow.log", &text);
    struct span rest = buf_span(&text);
    for (int n = 0; n < 32; n++) {
        struct json line;
        char expected[100];
        int number = 0;
        while (number * 7919 % 1000 != 999 - n)
            number++;
        assert_int_equal(json_parse(span_split(&rest, '\n'), &arena, &line, NULL), RC_OK);
        (void)snprintf(expected, sizeof expected, "/collections/c/documents/search?q=%d", number);
        assert_true(
            span_eq_str(json_get_str(json_get(&line, "asked"), "target", SPAN_LIT("")), expected));
        assert_true(span_eq_str(json_get_str(json_get(&line, "replayed"), "by", SPAN_LIT("")),
                                "typesense"));
    }
    assert_int_equal(rest.n, 0);
    buf_fini(&text);
    arena_fini(&arena);
    fs_close(fs);
    scratch_free(dir);
}

static void
log_is_bounded(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = NULL;
    struct buf text = {0};
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    for (int i = 0; i < (4 << 20) - 100; i++)
        buf_putc(&text, i % 100 == 99 ? '\n' : 'x');
    assert_int_equal(fs_write(fs, "shadow.log", buf_span(&text), NULL), RC_OK);
    assert_int_equal(fs_write(fs, "shadow.1.log", SPAN_LIT("older"), NULL), RC_OK);
    for (int round = 0; round < 2; round++) { /* the second one adds to the new file */
        struct qry_shadow_log *l = qry_shadow_log_new(fs, NULL, "typesense");
        add(l, round, 1);
        qry_shadow_log_free(l);
    }
    buf_clear(&text);
    read_file(dir, "shadow.log", &text);
    assert_true(text.n < 2000 && memmem(text.p, text.n, "q=0", 3) &&
                memmem(text.p, text.n, "q=1", 3));
    buf_clear(&text);
    read_file(dir, "shadow.1.log", &text);
    assert_true(text.n == (4 << 20) - 100 && text.p[0] == 'x');
    buf_fini(&text);
    fs_close(fs);
    scratch_free(dir);
}

/* ---- a side that stalls ---- */

enum { HELD_MAX = 16 };

struct stalled {
    struct http_server *server;
    struct http_exchange *held[HELD_MAX]; /* what is not answered until the end */
    size_t n_held;                        /* of the loop, until the server has stopped */
};

static void
answer(struct http_exchange *x)
{
    struct buf body = {0};
    buf_puts(&body, "{\"found\":1,\"hits\":[]}");
    http_reply(x, 200, "application/json", &body);
}

static void
stalled_handle(void *ctx, struct http_exchange *x)
{
    struct stalled *s = ctx;
    if (span_eq_str(http_exchange_request(x)->path, "/health"))
        answer(x);
    else if (s->n_held < HELD_MAX)
        s->held[s->n_held++] = x;
}

static void
handle(void *ctx, struct http_exchange *x)
{
    if (!qry_handle(ctx, x))
        http_reply_error(x, 404, "Not Found");
}

static struct http_server *
serve(http_handler *handler, void *ctx)
{
    static const char *const loopback[] = {"127.0.0.1:0"};
    struct http_server *server = NULL;
    struct http_options o;
    http_options_init(&o);
    o.listen = loopback;
    o.n_listen = 1;
    o.n_threads = 1;
    o.handle = handler;
    o.ctx = ctx;
    must(http_server_start(&o, &server, NULL) == RC_OK);
    return server;
}

static void
stalled_side_disturbs_nobody(void **state)
{
    (void)state;
    enum { N = 1000 };
    struct stalled other = {0};
    struct fixture *fixture =
        fixture_new("{\"name\":\"c\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}");
    struct metrics *metrics = metrics_new();
    struct http_client *client = NULL;
    struct qry_options o;
    struct qry *q = NULL;
    struct err err = {0};
    char up[100], url[200];

    other.server = serve(stalled_handle, &other);
    (void)snprintf(up, sizeof up, "http://127.0.0.1:%d", http_server_port(other.server, 0));
    fixture_put(fixture, "{\"id\":\"1\",\"name\":\"a\"}");
    fixture_flush(fixture);
    qry_options_init(&o);
    o.idx = fixture_idx(fixture);
    o.metrics = metrics;
    o.upstream_urls = up;
    o.shadow = QRY_SHADOW_TYPESENSE;
    o.shadow_percent = 100;
    o.forward_us = 60000000;
    assert_int_equal(qry_new(&o, &q, &err), RC_OK);
    struct http_server *server = serve(handle, q);
    (void)snprintf(url, sizeof url,
                   "http://127.0.0.1:%d/collections/c/documents/search?q=a&query_by=name",
                   http_server_port(server, 0));
    const struct http_call call = {
        .method = "GET", .url = url, .timeout_us = 10000000, .answer_bytes_max = 1 << 20};
    assert_int_equal(http_client_new(1, &client, NULL), RC_OK);
    for (int i = 0; i < N; i++) {
        struct buf body = {0};
        int status = 0;
        assert_int_equal(http_client_fetch(client, &call, &status, &body, NULL), RC_OK);
        assert_int_equal(status, 200);
        buf_fini(&body);
    }
    /* One is on its way, 256 wait, the others were let go of. */
    assert_int_equal(metrics_read(metrics, M_SEARCHES), N);
    assert_int_equal(metrics_read(metrics, M_SHADOW_SEARCHES), 0);
    uint64_t n_dropped = metrics_read(metrics, M_SHADOW_DROPS);
    assert_true(n_dropped >= N - 256 - 3 && n_dropped < N);
    http_client_free(client);
    http_server_stop(server, 100000);
    uint64_t begin = clock_us();
    qry_free(q); /* waits for nobody */
    assert_true(clock_us() - begin < 2000000);
    http_server_stop(other.server, 0);
    assert_true(other.n_held >= 1 && other.n_held < HELD_MAX);
    while (other.n_held > 0)
        answer(other.held[--other.n_held]);
    metrics_free(metrics);
    fixture_free(fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_holds_the_worst),
        cmocka_unit_test(log_is_bounded),
        cmocka_unit_test(stalled_side_disturbs_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
