/* Requests that go out of a server's loop, against a server that misbehaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"

#include "rig.h"
#include "script.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

/* A server whose loop passes GET /any on to the target, and says what became of it. */
struct relay {
    struct rig rig; /* options and life only; the handler is ours */
    char url[100];
    struct http_call call;
    struct buf pieces;
    bool ends_pieces;
    _Atomic uint64_t n_begun;
};

struct passed {
    struct relay *relay;
    struct http_exchange *x;
};

static void
on_answer(void *arg, const struct http_answer *a)
{
    struct passed *p = arg;
    struct buf body = {0};
    buf_printf(&body, "rc=%d status=%d type=%s n=%zu retry=%llu text=%d", (int)a->rc, a->status,
               a->content_type, a->body.n, (unsigned long long)a->retry_after_s, a->text[0] != 0);
    http_reply(p->x, 200, "text/plain", &body);
    free(p);
}

static void
on_request(void *ctx, struct http_exchange *x)
{
    struct relay *r = ctx;
    if (span_eq_str(http_exchange_request(x)->path, "/here")) {
        http_reply(x, 200, NULL, NULL);
        return;
    }
    struct passed *p = xcalloc(1, sizeof *p);
    *p = (struct passed){r, x};
    http_exchange_call(x, &r->call, on_answer, p);
    atomic_fetch_add(&r->n_begun, 1);
}

static void
relay_start(struct relay *r, int port)
{
    memset(r, 0, sizeof *r);
    rig_init(&r->rig);
    r->rig.options.handle = on_request;
    r->rig.options.wants_stream = NULL;
    r->rig.options.ctx = r;
    r->rig.options.n_threads = 1;
    (void)snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d/x", port);
    r->call = (struct http_call){.method = "GET",
                                 .url = r->url,
                                 .timeout_us = 60000000,
                                 .answer_bytes_max = 100000,
                                 .is_identity = true};
    rig_start(&r->rig);
}

static void
expect(struct relay *r, const char *text)
{
    struct wire w;
    wire_open(&w, &r->rig);
    wire_get(&w, "/any");
    assert_string_equal(wire_expect(&w, 200), text);
    wire_close(&w);
}

static void
begin(struct relay *r, struct script *s, const struct script_step *steps, size_t n)
{
    script_start(s, steps, n);
    relay_start(r, s->port);
}

static void
end(struct relay *r, struct script *s)
{
    rig_stop(&r->rig);
    script_stop(s);
    script_fini(s);
    buf_fini(&r->pieces);
}

static char *
failure(char *text, enum rc rc)
{
    (void)snprintf(text, 100, "rc=%d status=0 type= n=0 retry=0 text=1", (int)rc);
    return text;
}

static void
test_connection_is_kept(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {OK_HEAD "Content-Length: 5\r\nRetry-After: 7\r\n\r\n", 5, 0, false}};
    struct script s;
    struct relay r;
    begin(&r, &s, steps, 1);
    for (int i = 0; i < 20; i++)
        expect(&r, "rc=0 status=200 type=application/json n=5 retry=7 text=0");
    assert_int_equal(atomic_load(&s.n_requests), 20);
    assert_int_equal(atomic_load(&s.n_connections), 1);
    end(&r, &s);
}

static void
test_identity_is_asked_for(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{OK_HEAD "Content-Length: 1\r\n\r\n", 1, 0, false}};
    struct script s;
    struct relay r;
    begin(&r, &s, steps, 1);
    expect(&r, "rc=0 status=200 type=application/json n=1 retry=0 text=0");
    rig_stop(&r.rig);
    script_stop(&s);
    buf_putc(&s.last, '\0');
    assert_null(strstr(s.last.p, "Accept-Encoding"));
    script_fini(&s);
}

static void
test_kept_connection_that_ended(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{OK_HEAD "Content-Length: 2\r\n\r\n", 2, 0, true}};
    struct script s;
    struct relay r;
    begin(&r, &s, steps, 1);
    for (int i = 0; i < 5; i++) {
        expect(&r, "rc=0 status=200 type=application/json n=2 retry=0 text=0");
        clock_sleep_us(5000);
    }
    assert_int_equal(atomic_load(&s.n_connections), 5);
    end(&r, &s);
}

static void
test_slow_answer_stops_no_one(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {OK_HEAD "Content-Length: 2\r\n\r\n", 2, 2500, true}};
    struct script s;
    struct relay r;
    char text[100];
    begin(&r, &s, steps, 1);
    r.call.timeout_us = 1500000;
    struct wire slow, quick;
    wire_open(&slow, &r.rig);
    wire_open(&quick, &r.rig);
    uint64_t begin = clock_us();
    wire_get(&slow, "/any");
    rig_wait(&r.n_begun, 1);
    for (int i = 0; i < 50; i++) {
        wire_get(&quick, "/here");
        wire_expect(&quick, 200);
    }
    assert_true(clock_us() - begin < 1450000);
    assert_string_equal(wire_expect(&slow, 200), failure(text, RC_CUTOFF));
    assert_true(clock_us() - begin >= 1490000);
    wire_close(&slow);
    wire_close(&quick);
    end(&r, &s);
}

static void
test_cut_wrong_and_huge_answers(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {OK_HEAD "Content-Length: 100\r\n\r\n", 10, 0, true},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", 0, 0, true},
        {"SSH-2.0-something\r\n\r\n", 0, 0, true},
        {OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 0, 0, true},
        {NULL, 0, 0, true},
        {OK_HEAD "Content-Length: 100001\r\n\r\n", 100001, 0, true},
        {OK_HEAD "Content-Length: 100000\r\n\r\n", 100000, 0, true},
    };
    struct script s;
    struct relay r;
    char text[100];
    begin(&r, &s, steps, ARRAY_SIZE(steps));
    for (int i = 0; i < 5; i++)
        expect(&r, failure(text, RC_UNREACHABLE));
    expect(&r, failure(text, RC_TOO_LARGE));
    expect(&r, "rc=0 status=200 type=application/json n=100000 retry=0 text=0");
    end(&r, &s);
}

static void
test_no_server(void **state)
{
    (void)state;
    static const struct script_step steps[] = {{OK_HEAD "Content-Length: 2\r\n\r\n", 2, 0, true}};
    struct script s;
    struct relay r;
    char text[100];
    begin(&r, &s, steps, 1);
    script_stop(&s);
    script_fini(&s);
    expect(&r, failure(text, RC_UNREACHABLE));
    rig_stop(&r.rig);
}

static bool
on_piece(void *arg, int status, struct span bytes)
{
    struct passed *p = arg;
    assert_int_equal(status, 200);
    buf_put_span(&p->relay->pieces, bytes);
    return !p->relay->ends_pieces;
}

static void
test_pieces(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {OK_HEAD "Content-Length: 500000\r\n\r\n", 500000, 0, true}};
    struct script s;
    struct relay r;
    char text[100];
    begin(&r, &s, steps, 1);
    r.call.piece = on_piece;
    expect(&r, "rc=0 status=200 type=application/json n=0 retry=0 text=0");
    assert_int_equal(r.pieces.n, 500000);
    r.ends_pieces = true;
    expect(&r, failure(text, RC_STOPPED));
    assert_true(r.pieces.n < 600000);
    end(&r, &s);
}

static void
test_many_at_once(void **state)
{
    (void)state;
    enum { N = 200 };
    struct rig target;
    struct relay r;
    struct wire w[N];
    rig_init(&target);
    rig_start(&target);
    relay_start(&r, target.port);
    (void)snprintf(r.url, sizeof r.url, "http://127.0.0.1:%d/late?us=2000&n=100", target.port);
    for (size_t i = 0; i < N; i++) {
        wire_open(&w[i], &r.rig);
        wire_get(&w[i], "/any");
    }
    for (size_t i = 0; i < N; i++) {
        const char *text = wire_expect(&w[i], 200);
        if (!strstr(text, "rc=0 status=200"))
            fail_msg("%s", text);
        wire_close(&w[i]);
    }
    rig_stop(&r.rig);
    rig_stop(&target);
}

static void
test_loop_ends_meanwhile(void **state)
{
    (void)state;
    static const struct script_step steps[] = {
        {OK_HEAD "Content-Length: 2\r\n\r\n", 2, 6000, true}};
    struct script s;
    struct relay r;
    struct wire w;
    begin(&r, &s, steps, 1);
    wire_open(&w, &r.rig);
    wire_get(&w, "/any");
    rig_wait(&r.n_begun, 1);
    uint64_t begin = clock_us();
    rig_stop(&r.rig); /* drains for a second, then ends the request and answers */
    assert_true(clock_us() - begin < 5500000);
    wire_close(&w);
    script_stop(&s);
    script_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_is_kept),
        cmocka_unit_test(test_identity_is_asked_for),
        cmocka_unit_test(test_kept_connection_that_ended),
        cmocka_unit_test(test_slow_answer_stops_no_one),
        cmocka_unit_test(test_cut_wrong_and_huge_answers),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_loop_ends_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
