/* Plain requests and answers, keep-alive, pipelining, methods. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"

#include "rig.h"

static int
setup(void **state)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    rig_start(r);
    *state = r;
    return 0;
}

static void
test_get(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/noop");
    assert_string_equal(wire_expect(&w, 200), "ok");
    assert_string_equal(wire_header(&w, "Content-Type"), "text/plain");
    assert_string_equal(wire_header(&w, "Content-Length"), "2");
    assert_string_equal(wire_header(&w, "Access-Control-Allow-Origin"), "*");
    assert_string_equal(wire_header(&w, "Connection"), "");
    assert_int_equal(strlen(wire_header(&w, "Date")), 29);
    wire_close(&w);
}

static void
test_keep_alive(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 100; i++) {
        wire_get(&w, i % 2 ? "/noop" : "/big?n=500");
        wire_expect(&w, 200);
        assert_int_equal(w.body.n, i % 2 ? 2 : 500);
    }
    wire_close(&w);
}

static void
test_post(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/echo", "", SPAN_LIT("hello"));
    assert_string_equal(wire_expect(&w, 200), "hello");
    wire_post(&w, "/echo", "", SPAN_LIT(""));
    assert_string_equal(wire_expect(&w, 200), "");
    wire_close(&w);
}

static void
test_not_found(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/nothing");
    assert_string_equal(wire_expect(&w, 404), "{\"message\": \"Not Found\"}");
    wire_close(&w);
}

static void
test_without_body_or_type(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/twice");
    assert_true(wire_read(&w));
    assert_int_equal(w.status, 204);
    assert_string_equal(wire_header(&w, "Content-Length"), "");
    assert_string_equal(wire_header(&w, "Content-Type"), "");
    assert_string_equal(wire_header(&w, "X-One"), "1");
    /* A line end in a value does not begin another header. */
    assert_string_equal(wire_header(&w, "X-Two"), "2  X-Three: 3");
    assert_string_equal(wire_header(&w, "X-Three"), "");
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
}

static void
test_error_is_escaped(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/error");
    assert_string_equal(wire_expect(&w, 400), "{\"message\": \"a \\\"quoted\\\" text\\n\"}");
    wire_close(&w);
}

static void
test_head(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "HEAD /big?n=5000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(wire_read_as(&w, true));
    assert_int_equal(w.status, 200);
    assert_string_equal(wire_header(&w, "Content-Length"), "5000");
    wire_puts(&w, "HEAD /export HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(wire_read_as(&w, true));
    assert_int_equal(w.status, 200);
    wire_get(&w, "/noop");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

static void
test_options(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "OPTIONS /multi_search HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n"
                  "Access-Control-Request-Method: POST\r\n"
                  "Access-Control-Request-Headers: content-type,x-key\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "");
    assert_string_equal(wire_header(&w, "Access-Control-Allow-Origin"), "*");
    assert_non_null(strstr(wire_header(&w, "Access-Control-Allow-Methods"), "DELETE"));
    assert_string_equal(wire_header(&w, "Access-Control-Allow-Headers"), "content-type,x-key");
    assert_string_equal(wire_header(&w, "Access-Control-Max-Age"), "86400");
    wire_puts(&w, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    wire_expect(&w, 200);
    wire_close(&w);
}

static void
test_cors_off(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    r.options.cors_origin = "";
    rig_start(&r);
    struct wire w;
    wire_open(&w, &r);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    assert_string_equal(wire_header(&w, "Access-Control-Allow-Origin"), "");
    wire_puts(&w, "OPTIONS /noop HTTP/1.1\r\nHost: a\r\n\r\n");
    wire_expect(&w, 200);
    assert_string_equal(wire_header(&w, "Access-Control-Allow-Methods"), "");
    wire_close(&w);
    rig_stop(&r);
}

static void
test_http10(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /noop HTTP/1.0\r\n\r\n");
    wire_expect(&w, 200);
    assert_string_equal(wire_header(&w, "Connection"), "close");
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_http10_keep_alive(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 3; i++) {
        wire_puts(&w, "GET /noop HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        wire_expect(&w, 200);
        assert_string_equal(wire_header(&w, "Connection"), "keep-alive");
    }
    wire_close(&w);
}

static void
test_connection_close(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /noop HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n");
    wire_expect(&w, 200);
    assert_string_equal(wire_header(&w, "Connection"), "close");
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_half_closed_client(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/late?us=50000");
    wire_get(&w, "/noop");
    assert_int_equal(shutdown(w.fd, SHUT_WR), 0);
    assert_string_equal(wire_expect(&w, 200), "late us=50000");
    assert_string_equal(wire_expect(&w, 200), "ok");
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

/* More requests than may be open at once were sent before the end. */
static void
test_half_closed_client_with_many_requests(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 100; i++)
        wire_get(&w, i % 10 ? "/noop" : "/late?us=1000");
    assert_int_equal(shutdown(w.fd, SHUT_WR), 0);
    for (int i = 0; i < 100; i++)
        assert_string_equal(wire_expect(&w, 200), i % 10 ? "ok" : "late us=1000");
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_absolute_target(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET http://example.org:80/params?a=b HTTP/1.1\r\nHost: example.org\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "[a=b]");
    wire_puts(&w, "GET http://example.org?a=b HTTP/1.1\r\nHost: example.org\r\n\r\n");
    wire_expect(&w, 404);
    wire_close(&w);
}

static void
test_higher_minor_version(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /noop HTTP/1.2\r\nHost: a\r\n\r\n");
    wire_expect(&w, 200);
    wire_close(&w);
}

static void
test_path_is_decoded_by_parts(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/parts/a%2Fb//c%20d/e+f/%zz/%4");
    assert_string_equal(wire_expect(&w, 200), "[parts][a/b][c d][e+f][%zz][%4]");
    wire_get(&w, "/parts/");
    assert_string_equal(wire_expect(&w, 200), "[parts]");
    wire_close(&w);
}

static void
test_params_are_decoded(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/params?q=a+b%26c&empty=&none&&x=1=2&%71=%C3%A9");
    assert_string_equal(wire_expect(&w, 200), "[q=a b&c][empty=][none=][x=1=2][q=\xc3\xa9]");
    wire_get(&w, "/params?q=\xc3\xa9");
    assert_string_equal(wire_expect(&w, 200), "[q=\xc3\xa9]");
    wire_close(&w);
}

static void
test_header_lookup(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /header?name=x-test HTTP/1.1\r\nHost: a\r\nX-TEST:  \t a b \t\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "a b");
    wire_puts(&w, "GET /header?name=x-none HTTP/1.1\r\nHost: a\r\nX-Test: a\r\nX-Empty:\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "");
    wire_close(&w);
}

static void
test_empty_lines_before_a_request(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "\r\n\r\nGET /noop HTTP/1.1\r\nHost: a\r\n\r\n\r\n");
    wire_expect(&w, 200);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
}

/* Every place where the request can be torn by the network. */
static void
test_torn_at_every_byte(void **state)
{
    static const char text[] =
        "POST /echo?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    struct wire w;
    wire_open(&w, *state);
    for (size_t i = 1; i < sizeof text - 1; i++) {
        wire_send(&w, text, i);
        clock_sleep_us(300);
        wire_send(&w, text + i, sizeof text - 1 - i);
        assert_string_equal(wire_expect(&w, 200), "hello");
    }
    for (size_t i = 0; i < sizeof text - 1; i++) {
        wire_send(&w, text + i, 1);
        clock_sleep_us(300);
    }
    assert_string_equal(wire_expect(&w, 200), "hello");
    wire_close(&w);
}

static void
test_pipelining(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    struct buf b = {0};
    for (int i = 0; i < 500; i++)
        buf_printf(&b, "GET /params?i=%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    wire_send(&w, b.p, b.n);
    for (int i = 0; i < 500; i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "[i=%d]", i);
        assert_string_equal(wire_expect(&w, 200), want);
    }
    buf_fini(&b);
    wire_close(&w);
}

/* Workers finish in any order; answers come in the order of the requests. */
static void
test_pipelining_of_late_answers(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    struct buf b = {0};
    for (int i = 0; i < 60; i++)
        buf_printf(&b, "GET /late?us=%d HTTP/1.1\r\nHost: a\r\n\r\n", i % 4 ? 0 : 5000 - 10 * i);
    wire_send(&w, b.p, b.n);
    for (int i = 0; i < 60; i++) {
        char want[32];
        (void)snprintf(want, sizeof want, "late us=%d", i % 4 ? 0 : 5000 - 10 * i);
        assert_string_equal(wire_expect(&w, 200), want);
    }
    buf_fini(&b);
    wire_close(&w);
}

/* A handler may answer another exchange of its own loop, also of the same connection. */
static void
test_answered_by_another_handler(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    r.options.n_threads = 1;
    rig_start(&r);
    struct wire w, other;
    wire_open(&w, &r);
    wire_open(&other, &r);
    wire_get(&w, "/swap");
    rig_wait(&r.n_handled, 1);
    wire_get(&other, "/swap");
    assert_string_equal(wire_expect(&w, 200), "swapped");
    rig_release(&r);
    assert_string_equal(wire_expect(&other, 200), "released");
    wire_puts(&w, "GET /swap HTTP/1.1\r\nHost: a\r\n\r\nGET /swap HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "swapped");
    rig_release(&r);
    assert_string_equal(wire_expect(&w, 200), "released");
    wire_close(&w);
    wire_close(&other);
    rig_stop(&r);
}

/* A request that changes something is not begun beside others. */
static void
test_pipelined_posts_take_turns(void **state)
{
    struct rig *r = *state;
    struct wire w;
    wire_open(&w, r);
    uint64_t before = atomic_load(&r->n_handled);
    wire_get(&w, "/held");
    wire_post(&w, "/echo", "", SPAN_LIT("one"));
    wire_get(&w, "/noop");
    rig_wait(&r->n_handled, before + 1);
    clock_sleep_us(50000);
    assert_int_equal(atomic_load(&r->n_handled), before + 1);
    rig_release(r);
    assert_string_equal(wire_expect(&w, 200), "released");
    assert_string_equal(wire_expect(&w, 200), "one");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

/* No more than HTTP_PIPELINE_MAX are begun; the rest waits in the socket. */
static void
test_pipelining_is_bounded(void **state)
{
    struct rig *r = *state;
    struct wire w;
    wire_open(&w, r);
    uint64_t before = atomic_load(&r->n_handled);
    wire_get(&w, "/held");
    for (int i = 0; i < 100; i++)
        wire_get(&w, "/noop");
    rig_wait(&r->n_handled, before + 16);
    clock_sleep_us(50000);
    assert_int_equal(atomic_load(&r->n_handled), before + 16);
    rig_release(r);
    assert_string_equal(wire_expect(&w, 200), "released");
    for (int i = 0; i < 100; i++)
        assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

static void
test_answer_larger_than_the_socket(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/big?n=20000000");
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    assert_int_equal(w.body.n, 20000000);
    for (size_t i = 0; i < w.body.n; i++)
        assert_int_equal(w.body.p[i], 'a' + (char)(i % 26));
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

static void
test_requests_are_counted(void **state)
{
    struct rig *r = *state;
    struct wire w;
    wire_open(&w, r);
    uint64_t before = metrics_read(r->metrics, M_HTTP_REQUESTS);
    for (int i = 0; i < 10; i++) {
        wire_get(&w, "/noop");
        wire_expect(&w, 200);
    }
    assert_int_equal(metrics_read(r->metrics, M_HTTP_REQUESTS), before + 10);
    wire_close(&w);
}

struct client {
    pthread_t thread;
    const struct rig *rig;
    int number;
};

static void *
run_client(void *arg)
{
    const struct client *c = arg;
    struct wire w;
    wire_open(&w, c->rig);
    for (int i = 0; i < 20; i++) {
        char target[64], want[64];
        (void)snprintf(target, sizeof target, "/late?us=%d&client=%d-%d", i * 37 % 300, c->number,
                       i);
        (void)snprintf(want, sizeof want, "late us=%d&client=%d-%d", i * 37 % 300, c->number, i);
        wire_get(&w, target);
        must(wire_read(&w) && w.status == 200 && span_eq_str(buf_span(&w.body), want));
    }
    wire_close(&w);
    return NULL;
}

static void
test_200_connections_answered_by_workers(void **state)
{
    enum { N = 200 };
    struct client *clients = xcalloc(N, sizeof *clients);
    for (int i = 0; i < N; i++) {
        clients[i] = (struct client){.rig = *state, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
    free(clients);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_post),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_without_body_or_type),
        cmocka_unit_test(test_error_is_escaped),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_cors_off),
        cmocka_unit_test(test_http10),
        cmocka_unit_test(test_http10_keep_alive),
        cmocka_unit_test(test_connection_close),
        cmocka_unit_test(test_half_closed_client),
        cmocka_unit_test(test_half_closed_client_with_many_requests),
        cmocka_unit_test(test_absolute_target),
        cmocka_unit_test(test_higher_minor_version),
        cmocka_unit_test(test_path_is_decoded_by_parts),
        cmocka_unit_test(test_params_are_decoded),
        cmocka_unit_test(test_header_lookup),
        cmocka_unit_test(test_empty_lines_before_a_request),
        cmocka_unit_test(test_torn_at_every_byte),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_of_late_answers),
        cmocka_unit_test(test_answered_by_another_handler),
        cmocka_unit_test(test_pipelined_posts_take_turns),
        cmocka_unit_test(test_pipelining_is_bounded),
        cmocka_unit_test(test_answer_larger_than_the_socket),
        cmocka_unit_test(test_requests_are_counted),
        cmocka_unit_test(test_200_connections_answered_by_workers),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
