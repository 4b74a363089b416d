/* The lives of connections: time-outs, clients that leave, limits, draining and stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#include "rig.h"

enum { IDLE_US = 600000, SLOW_US = 300000 };

static int
begin(void **state, uint64_t idle_us, uint64_t slow_us)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    r->options.idle_us = idle_us;
    r->options.slow_us = slow_us;
    r->options.connections_max = 20;
    rig_start(r);
    *state = r;
    return 0;
}

static int
setup(void **state)
{
    return begin(state, IDLE_US, SLOW_US);
}

/* For what counts connections: none may go because the machine is busy. */
static int
setup_patient(void **state)
{
    return begin(state, 60000000, 60000000);
}

/* Waits until the server knows of n connections. */
static void
wait_connections(struct rig *r, uint64_t n)
{
    for (int i = 0; i < 5000 && metrics_read(r->metrics, M_HTTP_CONNECTIONS) != n; i++)
        clock_sleep_us(1000);
    assert_int_equal(metrics_read(r->metrics, M_HTTP_CONNECTIONS), n);
}

static void
test_idle_connection_is_closed(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    uint64_t begin = clock_us();
    assert_true(wire_is_closed(&w));
    uint64_t took = clock_us() - begin;
    assert_true(took >= IDLE_US * 9 / 10 && took < IDLE_US * 3);
    wire_close(&w);
}

static void
test_connection_without_request_is_closed(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_slow_header(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    uint64_t begin = clock_us();
    /* Every byte in time, but not the whole. */
    for (int i = 0; i < 20; i++) {
        wire_puts(&w, i == 0 ? "GET /" : "a");
        clock_sleep_us(SLOW_US / 10);
    }
    wire_expect(&w, 408);
    assert_true(clock_us() - begin < SLOW_US * 5);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_slow_body(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    wire_expect(&w, 408);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

/* Each piece in time: a large body over a slow line is no offence. */
static void
test_steady_body(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) {
        clock_sleep_us(SLOW_US / 3);
        wire_puts(&w, "b");
    }
    assert_string_equal(wire_expect(&w, 200), "bbbbbbbbbb");
    wire_close(&w);
}

static void
test_slow_reader(void **state)
{
    struct rig *r = *state;
    uint64_t before = metrics_read(r->metrics, M_HTTP_TIMEOUTS);
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/big?n=50000000");
    for (int i = 0; i < 5000 && metrics_read(r->metrics, M_HTTP_TIMEOUTS) == before; i++)
        clock_sleep_us(1000);
    assert_int_equal(metrics_read(r->metrics, M_HTTP_TIMEOUTS), before + 1);
    assert_true(wire_read(&w));
    assert_true(w.is_cut);
    wire_close(&w);
}

static void
test_steady_reader(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/big?n=12000000");
    char piece[1000000];
    size_t got = 0;
    for (int i = 0; i < 8; i++) {
        clock_sleep_us(SLOW_US / 3);
        ssize_t n = recv(w.fd, piece, sizeof piece, MSG_WAITALL);
        assert_true(n > 0);
        got += (size_t)n;
    }
    while (got < 12000000) {
        ssize_t n = recv(w.fd, piece, sizeof piece, 0);
        assert_true(n > 0);
        got += (size_t)n;
    }
    wire_close(&w);
}

/* The time a handler takes is nobody's slowness. */
static void
test_slow_handler_is_waited_for(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/late?us=1500000");
    assert_string_equal(wire_expect(&w, 200), "late us=1500000");
    /* Nor does it make the connection an idle one. */
    clock_sleep_us(IDLE_US / 3);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
}

static void
test_client_leaves_while_exchange_is_held(void **state)
{
    struct rig *r = *state;
    uint64_t handled = atomic_load(&r->n_handled);
    for (int i = 0; i < 10; i++) {
        struct wire w;
        wire_open(&w, r);
        wire_get(&w, "/held");
        rig_wait(&r->n_handled, ++handled);
        /* A reset, so that the server notices at once. */
        const struct linger now = {.l_onoff = 1};
        assert_int_equal(setsockopt(w.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        wire_close(&w);
        wait_connections(r, 0);
        rig_release(r);
    }
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
}

static void
test_client_leaves_in_the_middle(void **state)
{
    static const char *const texts[] = {
        "",
        "GET /no",
        "GET /noop HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        "GET /big?n=10000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /late HTTP/1.1\r\nHost: a\r\n\r\nGET /late HTTP/1.1\r\nHost: a\r\n\r\nGET",
    };
    struct rig *r = *state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        for (int k = 0; k < 10; k++) {
            struct wire w;
            wire_open(&w, r);
            wire_puts(&w, texts[i]);
            clock_sleep_us(k % 2 ? 2000 : 0);
            wire_close(&w);
        }
    }
    wait_connections(r, 0);
}

static void
test_too_many_connections(void **state)
{
    enum { N = 20 };
    struct rig *r = *state;
    wait_connections(r, 0);
    struct wire open[N];
    for (int i = 0; i < N; i++) {
        wire_open(&open[i], r);
        wire_get(&open[i], "/noop");
        wire_expect(&open[i], 200);
    }
    for (int i = 0; i < 5; i++) {
        struct wire w;
        wire_open(&w, r);
        wire_get(&w, "/noop");
        wire_expect(&w, 503);
        assert_true(wire_is_closed(&w));
        wire_close(&w);
    }
    assert_int_equal(metrics_read(r->metrics, M_HTTP_REFUSED), 5);
    for (int i = 0; i < N; i++) {
        wire_get(&open[i], "/noop");
        wire_expect(&open[i], 200);
        wire_close(&open[i]);
    }
    wait_connections(r, 0);
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
}

/* Out of descriptors: new clients wait, old ones are served, and then all is well again. */
static void
test_out_of_descriptors(void **state)
{
    struct rig *r = *state;
    struct wire old, waiting;
    wire_open(&old, r);
    wire_get(&old, "/noop");
    wire_expect(&old, 200);
    /* The client's own descriptor must exist before they run out. */
    int spare = dup(old.fd);
    struct rlimit limit, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    low.rlim_cur = (rlim_t)spare + 1;
    close(spare);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    wire_open(&waiting, r); /* takes the last one */
    wire_get(&waiting, "/noop");
    for (int i = 0; i < 5; i++) {
        wire_get(&old, "/noop");
        wire_expect(&old, 200);
        clock_sleep_us(30000);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_string_equal(wire_expect(&waiting, 200), "ok");
    wire_close(&old);
    wire_close(&waiting);
}

static void
start(struct rig *r)
{
    rig_init(r);
    rig_start(r);
}

static void
test_drain(void **state)
{
    (void)state;
    struct rig r;
    start(&r);
    struct wire idle, busy, half;
    wire_open(&idle, &r);
    wire_get(&idle, "/noop");
    wire_expect(&idle, 200);
    wire_open(&half, &r);
    wire_puts(&half, "GET /noop HTTP/1.1\r\n");
    wire_open(&busy, &r);
    wire_get(&busy, "/held");
    rig_wait(&r.n_handled, 2);
    http_server_drain(r.server);
    assert_true(wire_is_closed(&idle));
    assert_true(wire_is_closed(&half));
    rig_release(&r);
    assert_string_equal(wire_expect(&busy, 200), "released");
    assert_string_equal(wire_header(&busy, "Connection"), "close");
    assert_true(wire_is_closed(&busy));
    uint64_t begin = clock_us();
    rig_stop(&r);
    assert_true(clock_us() - begin < 500000);
    wire_close(&idle);
    wire_close(&busy);
    wire_close(&half);
}

static void
test_stop_waits_for_answers(void **state)
{
    (void)state;
    struct rig r;
    start(&r);
    struct wire w;
    wire_open(&w, &r);
    wire_get(&w, "/late?us=300000");
    rig_wait(&r.n_handled, 1);
    rig_stop(&r);
    assert_string_equal(wire_expect(&w, 200), "late us=300000");
    wire_close(&w);
}

/* Held for longer than stopping waits: the exchange stays valid, its answer goes nowhere. */
static void
test_stop_before_the_answer(void **state)
{
    (void)state;
    struct rig r;
    start(&r);
    struct wire w[4];
    for (int i = 0; i < 4; i++) {
        wire_open(&w[i], &r);
        wire_get(&w[i], "/late?us=800000");
    }
    rig_wait(&r.n_handled, 4);
    http_server_stop(r.server, 50000);
    r.server = NULL;
    rig_stop(&r);
    for (int i = 0; i < 4; i++) {
        assert_true(wire_is_closed(&w[i]));
        wire_close(&w[i]);
    }
}

static void
test_stop_at_once_many_times(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct rig r;
        start(&r);
        struct wire w[3];
        for (int k = 0; k < 3; k++) {
            wire_open(&w[k], &r);
            wire_get(&w[k], k ? "/late?us=500" : "/noop");
        }
        clock_sleep_us((uint64_t)i * 50);
        http_server_stop(r.server, (uint64_t)i % 2 * 1000);
        r.server = NULL;
        rig_stop(&r);
        for (int k = 0; k < 3; k++)
            wire_close(&w[k]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_connection_is_closed),
        cmocka_unit_test(test_connection_without_request_is_closed),
        cmocka_unit_test(test_slow_header),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_steady_body),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_steady_reader),
        cmocka_unit_test(test_slow_handler_is_waited_for),
        cmocka_unit_test(test_client_leaves_while_exchange_is_held),
        cmocka_unit_test(test_client_leaves_in_the_middle),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_stop_waits_for_answers),
        cmocka_unit_test(test_stop_before_the_answer),
        cmocka_unit_test(test_stop_at_once_many_times),
    };
    const struct CMUnitTest patient[] = {
        cmocka_unit_test(test_too_many_connections),
        cmocka_unit_test(test_out_of_descriptors),
    };
    int n_failed = cmocka_run_group_tests(tests, setup, rig_teardown);
    return n_failed + cmocka_run_group_tests(patient, setup_patient, rig_teardown);
}
