/* What http-parser would let pass, and limits: each refused with its status, and closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

static int
setup(void **state)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    r->options.body_bytes_max = 100000;
    rig_start(r);
    *state = r;
    return 0;
}

/* Sends the text; expects the status, then the end of the connection, and a server that lives on.
 */
static void
refuse(void **state, const char *text, int status)
{
    struct rig *r = *state;
    uint64_t handled = atomic_load(&r->n_handled);
    struct wire w;
    wire_open(&w, r);
    wire_puts(&w, text);
    const char *body = wire_expect(&w, status);
    assert_true(strncmp(body, "{\"message\": \"", 13) == 0);
    assert_string_equal(wire_header(&w, "Connection"), "close");
    assert_string_equal(wire_header(&w, "Content-Type"), "application/json; charset=utf-8");
    assert_true(wire_is_closed(&w));
    wire_close(&w);
    assert_int_equal(atomic_load(&r->n_handled), handled);
    wire_open(&w, r);
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
}

static void
test_blank_before_colon(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test : 1\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost : a\r\n\r\n", 400);
    refuse(state, "POST /noop HTTP/1.1\r\nHost: a\r\nContent-Length\t: 5\r\n\r\nhello", 400);
}

static void
test_folded_header(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: 1\r\n 2\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: 1\r\n\t2\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\n Host: a\r\n\r\n", 400);
}

static void
test_bare_lf(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\nHost: a\n\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\n\n", 400);
}

static void
test_bare_cr(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\rX-Test: 1\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\r\nHost: a\r\n\r\n", 400);
}

static void
test_missing_host(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nX-Host: a\r\n\r\n", 400);
}

static void
test_repeated_host(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400);
}

static void
test_conflicting_lengths(void **state)
{
    refuse(state,
           "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
           400);
    refuse(state,
           "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
           400);
    refuse(state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", 400);
}

static void
test_malformed_length(void **state)
{
    static const char *const values[] = {
        "-1", "+1", "0x1", "", "a", "1a", "1 1", "99999999999999999999", "18446744073709551617"};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct buf b = {0};
        buf_printf(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\n\r\na", values[i]);
        buf_putc(&b, '\0');
        refuse(state, b.p, 400);
        buf_fini(&b);
    }
}

static void
test_length_and_coding(void **state)
{
    refuse(state,
           "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           400);
    refuse(state,
           "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
           "Content-Length: 5\r\n\r\n0\r\n\r\n",
           400);
}

static void
test_unknown_coding(void **state)
{
    static const char *const values[] = {
        "gzip", "gzip, chunked", "chunked, chunked", "identity", "xchunked", "", "chunked;q=1"};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        struct buf b = {0};
        buf_printf(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %s\r\n\r\n0\r\n\r\n",
                   values[i]);
        buf_putc(&b, '\0');
        refuse(state, b.p, 400);
        buf_fini(&b);
    }
    refuse(state,
           "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           400);
    refuse(state, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
}

static void
test_control_bytes(void **state)
{
    refuse(state, "GET /no\x01op HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuse(state, "GET /noop\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuse(state, "GET /no\top HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: a\x01\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX-\x02: a\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: a\x7f\r\n\r\n", 400);
}

static void
test_nul_byte(void **state)
{
    static const char text[] = "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: a\0b\r\n\r\n";
    struct wire w;
    wire_open(&w, *state);
    wire_send(&w, text, sizeof text - 1);
    wire_expect(&w, 400);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_malformed_request_line(void **state)
{
    static const char *const lines[] = {
        "GET",
        "GET /noop",
        "GET  /noop HTTP/1.1",
        "GET /noop  HTTP/1.1",
        "GET /noop HTTP/1.1 ",
        "GET /no op HTTP/1.1",
        "GET /noop HTTP/x.y",
        "GET /noop HTTP/11",
        "GET /noop HTP/1.1",
        "GET noop HTTP/1.1",
        "GET * HTTP/1.1",
        "G(T /noop HTTP/1.1",
        "GET /noop http/1.1",
        "GET ftp://a/noop HTTP/1.1",
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct buf b = {0};
        buf_printf(&b, "%s\r\nHost: a\r\n\r\n", lines[i]);
        buf_putc(&b, '\0');
        refuse(state, b.p, 400);
        buf_fini(&b);
    }
}

static void
test_malformed_header_line(void **state)
{
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n", 400);
    refuse(state, "GET /noop HTTP/1.1\r\nHost: a\r\nX(Y): 1\r\n\r\n", 400);
}

static void
test_no_http_at_all(void **state)
{
    /* The begin of a TLS handshake. */
    refuse(state, "\x16\x03\x01\x02", 400);
    refuse(state, " GET / HTTP/1.1\r\n", 400);
}

static void
test_other_versions(void **state)
{
    refuse(state, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refuse(state, "GET /noop HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    refuse(state, "GET /noop HTTP/0.9\r\nHost: a\r\n\r\n", 505);
    refuse(state, "GET /noop HTTP/3.0\r\nHost: a\r\n\r\n", 505);
}

static void
test_unknown_method(void **state)
{
    refuse(state, "BREW /noop HTTP/1.1\r\nHost: a\r\n\r\n", 404);
    refuse(state, "PROPFIND /noop HTTP/1.1\r\nHost: a\r\n\r\n", 404);
    refuse(state, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 404);
    refuse(state, "get /noop HTTP/1.1\r\nHost: a\r\n\r\n", 404);
}

static void
test_unknown_expectation(void **state)
{
    refuse(state, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na",
           417);
}

static void
test_large_header(void **state)
{
    struct buf b = {0};
    buf_puts(&b, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: ");
    for (int i = 0; i < 17000; i++)
        buf_putc(&b, 'x');
    buf_puts(&b, "\r\n\r\n");
    buf_putc(&b, '\0');
    refuse(state, b.p, 431);
    /* Also one that never ends. */
    b.p[16800] = '\0';
    refuse(state, b.p, 431);
    buf_fini(&b);
}

static void
test_header_at_its_limit(void **state)
{
    struct rig *r = *state;
    size_t max = r->options.header_bytes_max;
    for (size_t n = max - 1; n <= max + 1; n++) {
        struct buf b = {0};
        buf_puts(&b, "GET /noop HTTP/1.1\r\nHost: a\r\nX-Test: ");
        while (b.n < n - 4)
            buf_putc(&b, 'x');
        buf_puts(&b, "\r\n\r\n");
        struct wire w;
        wire_open(&w, r);
        wire_send(&w, b.p, b.n);
        wire_expect(&w, n <= max ? 200 : 431);
        wire_close(&w);
        buf_fini(&b);
    }
}

static void
test_long_query(void **state)
{
    for (int n = 3999; n <= 4001; n++) {
        struct buf b = {0};
        buf_puts(&b, "/noop?");
        for (int i = 0; i < n; i++)
            buf_putc(&b, 'q');
        buf_putc(&b, '\0');
        struct wire w;
        wire_open(&w, *state);
        wire_get(&w, b.p);
        wire_expect(&w, n <= 4000 ? 200 : 400);
        wire_close(&w);
        buf_fini(&b);
    }
}

static void
test_large_body(void **state)
{
    refuse(state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413);
    refuse(state, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n", 413);
    /* No go-ahead for a body that will not be taken. */
    refuse(state,
           "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
           "Content-Length: 100001\r\n\r\n",
           413);
}

/* The client that is still sending gets the answer, not a reset. */
static void
test_large_body_sent_at_once(void **state)
{
    struct buf body = {0};
    for (int i = 0; i < 3000000; i++)
        buf_putc(&body, 'b');
    for (int i = 0; i < 20; i++) {
        struct wire w;
        wire_open(&w, *state);
        wire_post(&w, "/echo", "", buf_span(&body));
        wire_expect(&w, 413);
        wire_close(&w);
    }
    buf_fini(&body);
}

static void
test_large_chunked_body(void **state)
{
    struct buf b = {0};
    buf_puts(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 101; i++) {
        buf_puts(&b, "3e8\r\n");
        for (int k = 0; k < 1000; k++)
            buf_putc(&b, 'c');
        buf_puts(&b, "\r\n");
    }
    struct wire w;
    wire_open(&w, *state);
    wire_send(&w, b.p, b.n);
    wire_expect(&w, 413);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
    buf_fini(&b);
}

static void
test_malformed_chunks(void **state)
{
    static const char *const bodies[] = {
        "x\r\n",
        "-1\r\na\r\n",
        "\r\n",
        "1\na\r\n0\r\n\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0\r\n\r\n",
        "1 \r\na\r\n",
        "0x1\r\na\r\n",
        "1\r\naX\r\n",
        "ffffffffffffffff1\r\n",
        "1;\x01\r\na\r\n",
        "0\r\nX: 1\n\r\n",
        "0\r\n\rX",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct buf b = {0};
        buf_printf(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s",
                   bodies[i]);
        buf_putc(&b, '\0');
        refuse(state, b.p, 400);
        buf_fini(&b);
    }
}

/* A refused request comes after the answers to those before it. */
static void
test_refused_in_order(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /late?us=50000 HTTP/1.1\r\nHost: a\r\n\r\n"
                  "GET /noop HTTP/1.1\r\nHost: a\r\n\r\n"
                  "GET /noop HTTP/1.1\r\nHost : a\r\n\r\n"
                  "GET /noop HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "late us=50000");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_expect(&w, 400);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_refusals_are_counted(void **state)
{
    struct rig *r = *state;
    uint64_t before = metrics_read(r->metrics, M_HTTP_4XX);
    refuse(state, "GET /noop HTTP/1.1\r\n\r\n", 400);
    assert_int_equal(metrics_read(r->metrics, M_HTTP_4XX), before + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blank_before_colon),
        cmocka_unit_test(test_folded_header),
        cmocka_unit_test(test_bare_lf),
        cmocka_unit_test(test_bare_cr),
        cmocka_unit_test(test_missing_host),
        cmocka_unit_test(test_repeated_host),
        cmocka_unit_test(test_conflicting_lengths),
        cmocka_unit_test(test_malformed_length),
        cmocka_unit_test(test_length_and_coding),
        cmocka_unit_test(test_unknown_coding),
        cmocka_unit_test(test_control_bytes),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_malformed_request_line),
        cmocka_unit_test(test_malformed_header_line),
        cmocka_unit_test(test_no_http_at_all),
        cmocka_unit_test(test_other_versions),
        cmocka_unit_test(test_unknown_method),
        cmocka_unit_test(test_unknown_expectation),
        cmocka_unit_test(test_large_header),
        cmocka_unit_test(test_header_at_its_limit),
        cmocka_unit_test(test_long_query),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_large_body_sent_at_once),
        cmocka_unit_test(test_large_chunked_body),
        cmocka_unit_test(test_malformed_chunks),
        cmocka_unit_test(test_refused_in_order),
        cmocka_unit_test(test_refusals_are_counted),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
