/* Bodies of requests: chunked, gzipped, announced; gzipped answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/gzip.h"

#include "rig.h"

static int
setup(void **state)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    r->options.body_bytes_max = 1000000;
    rig_start(r);
    *state = r;
    return 0;
}

static struct buf
packed_of(struct span text)
{
    struct buf out = {0};
    struct http_deflate *z = http_deflate_new();
    assert_true(http_deflate_put(z, text, &out));
    http_deflate_free(z);
    return out;
}

static struct buf
text_of(size_t n)
{
    struct buf b = {0};
    while (b.n < n)
        buf_printf(&b, "line %zu\n", b.n);
    b.n = n;
    return b;
}

static void
test_chunked(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 3; i++) {
        wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"
                      "5\r\nhello\r\n00A;name=\"v\"\r\n, chunked \r\n5\r\nworld\r\n0\r\n"
                      "Trailer: is dropped\r\n\r\n");
        assert_string_equal(wire_expect(&w, 200), "hello, chunked world");
    }
    wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "");
    wire_close(&w);
}

static void
test_chunked_torn_at_every_byte(void **state)
{
    static const char text[] =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;x=y\r\nhello\r\nb\r\n, my world!\r\n0\r\nA: b\r\n\r\n";
    struct wire w;
    wire_open(&w, *state);
    for (size_t i = 60; i < sizeof text - 1; i++) {
        wire_send(&w, text, i);
        clock_sleep_us(300);
        wire_send(&w, text + i, sizeof text - 1 - i);
        assert_string_equal(wire_expect(&w, 200), "hello, my world!");
    }
    wire_close(&w);
}

static void
test_get_with_body(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
                  "GET /noop HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "abc");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

static void
test_body_at_its_limit(void **state)
{
    struct buf text = text_of(1000000);
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/echo", "", buf_span(&text));
    wire_expect(&w, 200);
    assert_true(span_eq(buf_span(&w.body), buf_span(&text)));
    wire_close(&w);
    buf_fini(&text);
}

static void
test_continue(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 3; i++) {
        wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n"
                      "Content-Length: 5\r\n\r\n");
        assert_true(wire_read(&w));
        assert_int_equal(w.status, 100);
        wire_puts(&w, "hello");
        assert_string_equal(wire_expect(&w, 200), "hello");
    }
    wire_close(&w);
}

/* The go-ahead comes after the answers to earlier requests. */
static void
test_continue_in_order(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/late?us=20000");
    wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                  "Content-Length: 5\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "late us=20000");
    assert_true(wire_read(&w));
    assert_int_equal(w.status, 100);
    wire_puts(&w, "hello");
    assert_string_equal(wire_expect(&w, 200), "hello");
    wire_close(&w);
}

static void
test_no_continue_without_body(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                  "Content-Length: 0\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "");
    wire_puts(&w, "GET /noop HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

static void
test_gzipped_body(void **state)
{
    struct buf text = text_of(500000);
    struct buf packed = packed_of(buf_span(&text));
    assert_true(packed.n < text.n / 2);
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 3; i++) {
        wire_post(&w, "/echo", i ? "Content-Encoding: gzip\r\n" : "content-encoding: X-Gzip\r\n",
                  buf_span(&packed));
        wire_expect(&w, 200);
        assert_true(span_eq(buf_span(&w.body), buf_span(&text)));
    }
    wire_close(&w);
    buf_fini(&text);
    buf_fini(&packed);
}

static void
test_gzipped_body_of_two_members(void **state)
{
    struct buf text = text_of(5000);
    struct buf packed = packed_of(buf_span(&text));
    struct buf twice = {0};
    buf_put_span(&twice, buf_span(&packed));
    buf_put_span(&twice, buf_span(&packed));
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/echo", "Content-Encoding: gzip\r\n", buf_span(&twice));
    wire_expect(&w, 200);
    assert_int_equal(w.body.n, 10000);
    wire_close(&w);
    buf_fini(&text);
    buf_fini(&packed);
    buf_fini(&twice);
}

static void
test_gzipped_bomb(void **state)
{
    struct buf zeroes = {0};
    buf_reserve(&zeroes, 20000000);
    memset(zeroes.p, 0, 20000000);
    zeroes.n = 20000000;
    struct buf packed = packed_of(buf_span(&zeroes));
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/echo", "Content-Encoding: gzip\r\n", buf_span(&packed));
    wire_expect(&w, 413);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
    buf_fini(&zeroes);
    buf_fini(&packed);
}

/* Decoding takes many turns; the other connection gets its answers meanwhile. */
static void
test_gzipped_body_leaves_the_loop_to_others(void **state)
{
    (void)state;
    enum { N = 60000000 };
    struct rig r;
    rig_init(&r);
    r.options.n_threads = 1;
    rig_start(&r);
    struct buf zeroes = {0};
    buf_reserve(&zeroes, N);
    memset(zeroes.p, 0, N);
    zeroes.n = N;
    struct buf packed = packed_of(buf_span(&zeroes));
    struct wire large, small;
    wire_open(&large, &r);
    wire_open(&small, &r);
    wire_get(&small, "/noop");
    wire_expect(&small, 200);
    wire_post(&large, "/echo", "Content-Encoding: gzip\r\n", buf_span(&packed));
    wire_get(&large, "/noop");
    assert_int_equal(shutdown(large.fd, SHUT_WR), 0);
    int n_small = 0;
    char byte;
    while (recv(large.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0) {
        wire_get(&small, "/noop");
        wire_expect(&small, 200);
        n_small++;
    }
    assert_true(n_small >= 10);
    wire_expect(&large, 200);
    assert_true(span_eq(buf_span(&large.body), buf_span(&zeroes)));
    assert_string_equal(wire_expect(&large, 200), "ok");
    wire_close(&large);
    wire_close(&small);
    rig_stop(&r);
    buf_fini(&zeroes);
    buf_fini(&packed);
}

static void
test_broken_gzip(void **state)
{
    struct buf text = text_of(50000);
    struct buf packed = packed_of(buf_span(&text));
    /* Cut short, then a byte of the checksum changed, then no gzip at all. */
    for (int i = 0; i < 3; i++) {
        struct wire w;
        wire_open(&w, *state);
        struct span body = buf_span(&packed);
        if (i == 0)
            body.n -= 10;
        packed.p[packed.n - 8] ^= i == 1 ? 1 : 0;
        if (i == 2)
            body = SPAN_LIT("this is no gzip");
        wire_post(&w, "/echo", "Content-Encoding: gzip\r\n", body);
        wire_expect(&w, 400);
        assert_true(wire_is_closed(&w));
        wire_close(&w);
    }
    buf_fini(&text);
    buf_fini(&packed);
}

static void
test_other_encodings(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/echo", "Content-Encoding: identity\r\n", SPAN_LIT("as it is"));
    assert_string_equal(wire_expect(&w, 200), "as it is");
    wire_post(&w, "/echo", "Content-Encoding: br\r\n", SPAN_LIT("brotli"));
    wire_expect(&w, 415);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
get_accepting(struct wire *w, const char *target, const char *accepted)
{
    struct buf b = {0};
    buf_printf(&b, "GET %s HTTP/1.1\r\nHost: a\r\nAccept-Encoding: %s\r\n\r\n", target, accepted);
    wire_send(w, b.p, b.n);
    buf_fini(&b);
    wire_expect(w, 200);
}

static void
test_gzipped_answer(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    static const char *const accepted[] = {"gzip", "deflate, gzip;q=0.5, br", "GZIP",
                                           "br,gzip ; q=1.0"};
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        get_accepting(&w, "/big?n=50000", accepted[i]);
        assert_string_equal(wire_header(&w, "Content-Encoding"), "gzip");
        assert_string_equal(wire_header(&w, "Vary"), "Accept-Encoding");
        assert_true(w.body.n < 5000);
        struct http_inflate *z = http_inflate_new();
        struct buf plain = {0};
        assert_int_equal(http_inflate_put(z, buf_span(&w.body), 100000, &plain), RC_OK);
        assert_true(http_inflate_is_complete(z));
        assert_int_equal(plain.n, 50000);
        assert_int_equal(plain.p[49999], 'a' + 49999 % 26);
        http_inflate_free(z);
        buf_fini(&plain);
    }
    /* By a worker. */
    get_accepting(&w, "/late?n=100000", "gzip");
    assert_string_equal(wire_header(&w, "Content-Encoding"), "gzip");
    assert_true(w.body.n < 5000);
    /* Too large for a loop to compress. */
    get_accepting(&w, "/big?n=300000", "gzip");
    assert_string_equal(wire_header(&w, "Content-Encoding"), "");
    assert_int_equal(w.body.n, 300000);
    wire_close(&w);
}

static void
test_plain_answer(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    static const char *const accepted[] = {"br",    "gzip;q=0", "gzip;q=0.0",
                                           "xgzip", "identity", "*;q=0"};
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        get_accepting(&w, "/big?n=50000", accepted[i]);
        assert_string_equal(wire_header(&w, "Content-Encoding"), "");
        assert_string_equal(wire_header(&w, "Vary"), "Accept-Encoding");
        assert_int_equal(w.body.n, 50000);
    }
    /* Too small to be worth it. */
    get_accepting(&w, "/big?n=1000", "gzip");
    assert_string_equal(wire_header(&w, "Content-Encoding"), "");
    assert_string_equal(wire_header(&w, "Vary"), "");
    wire_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked),
        cmocka_unit_test(test_chunked_torn_at_every_byte),
        cmocka_unit_test(test_get_with_body),
        cmocka_unit_test(test_body_at_its_limit),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_continue_in_order),
        cmocka_unit_test(test_no_continue_without_body),
        cmocka_unit_test(test_gzipped_body),
        cmocka_unit_test(test_gzipped_body_of_two_members),
        cmocka_unit_test(test_gzipped_bomb),
        cmocka_unit_test(test_gzipped_body_leaves_the_loop_to_others),
        cmocka_unit_test(test_broken_gzip),
        cmocka_unit_test(test_other_encodings),
        cmocka_unit_test(test_gzipped_answer),
        cmocka_unit_test(test_plain_answer),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
