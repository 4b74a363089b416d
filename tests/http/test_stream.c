/* Streamed bodies and answers: framing, backpressure, failures on either side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/gzip.h"
#include "http/stream.h"

#include "rig.h"

/* Long enough that a busy machine is not taken for a slow client. */
enum { SLOW_US = 3000000 };

static int
setup(void **state)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    r->options.body_bytes_max = 1000; /* does not concern streams */
    r->options.slow_us = SLOW_US;
    rig_start(r);
    *state = r;
    return 0;
}

static struct buf
text_of(size_t n)
{
    struct buf b = {0};
    while (b.n < n)
        buf_printf(&b, "{\"id\":\"%zu\"}\n", b.n);
    b.n = n;
    return b;
}

/* What /import answers for the text. */
static void
expect_import(struct wire *w, struct span text)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < text.n; i++)
        hash = hash * 31 + (unsigned char)text.p[i];
    char want[64];
    (void)snprintf(want, sizeof want, "%llu %llu", (unsigned long long)text.n,
                   (unsigned long long)hash);
    assert_string_equal(wire_expect(w, 200), want);
}

/* In chunks of step bytes. head: further lines of the header. */
static void
post_chunked(struct wire *w, const char *path, const char *head, struct span text, size_t step)
{
    struct buf sent = {0};
    buf_printf(&sent, "POST %s HTTP/1.1\r\nHost: a\r\n%sTransfer-Encoding: chunked\r\n\r\n", path,
               head);
    wire_send(w, sent.p, sent.n);
    buf_clear(&sent);
    while (text.n > 0) {
        size_t n = text.n < step ? text.n : step;
        buf_printf(&sent, "%zx\r\n", n);
        buf_put(&sent, text.p, n);
        buf_puts(&sent, "\r\n");
        text = span_from(text, n);
    }
    buf_puts(&sent, "0\r\n\r\n");
    wire_send(w, sent.p, sent.n);
    buf_fini(&sent);
}

static void
test_import(void **state)
{
    struct buf text = text_of(3000000);
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 3; i++) {
        wire_post(&w, "/import", "", buf_span(&text));
        expect_import(&w, buf_span(&text));
    }
    wire_get(&w, "/noop");
    wire_expect(&w, 200);
    wire_close(&w);
    buf_fini(&text);
}

static void
test_import_of_nothing(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/import", "", SPAN_LIT(""));
    expect_import(&w, SPAN_LIT(""));
    wire_puts(&w, "POST /import HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_import(&w, SPAN_LIT(""));
    wire_close(&w);
}

static void
test_import_chunked(void **state)
{
    struct buf text = text_of(1000000);
    struct wire w;
    wire_open(&w, *state);
    post_chunked(&w, "/import", "", buf_span(&text), 777);
    expect_import(&w, buf_span(&text));
    wire_close(&w);
    buf_fini(&text);
}

static void
test_import_gzipped(void **state)
{
    struct buf text = text_of(3000000), packed = {0};
    struct http_deflate *z = http_deflate_new();
    assert_true(http_deflate_put(z, buf_span(&text), &packed));
    http_deflate_free(z);
    struct wire w;
    wire_open(&w, *state);
    wire_post(&w, "/import", "Content-Encoding: gzip\r\n", buf_span(&packed));
    expect_import(&w, buf_span(&text));
    post_chunked(&w, "/import", "Content-Encoding: gzip\r\n", buf_span(&packed), 100);
    expect_import(&w, buf_span(&text));
    wire_close(&w);
    buf_fini(&text);
    buf_fini(&packed);
}

static void
test_import_of_broken_gzip(void **state)
{
    struct rig *r = *state;
    struct wire w;
    wire_open(&w, r);
    wire_post(&w, "/import", "Content-Encoding: gzip\r\n", SPAN_LIT("this is no gzip"));
    wire_expect(&w, 400);
    assert_int_equal(atomic_load(&r->last_rc), RC_INVALID);
    wire_close(&w);
}

static void
test_import_of_broken_chunks(void **state)
{
    struct rig *r = *state;
    struct wire w;
    atomic_store(&r->last_rc, 0);
    wire_open(&w, r);
    wire_puts(&w, "POST /import HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nhelloX\r\n0\r\n\r\n");
    wire_expect(&w, 400);
    assert_int_equal(atomic_load(&r->last_rc), RC_INVALID);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_import_with_continue(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "POST /import HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                  "Content-Length: 5\r\n\r\n");
    assert_true(wire_read(&w));
    assert_int_equal(w.status, 100);
    wire_puts(&w, "hello");
    expect_import(&w, SPAN_LIT("hello"));
    wire_close(&w);
}

static void
begin_import_held(struct wire *w, size_t n)
{
    char head[200];
    (void)snprintf(head, sizeof head,
                   "POST /import-held HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", n);
    wire_puts(w, head);
}

/* While the reader does not read, the server takes its buffers' worth and no more. */
static void
test_import_backpressure(void **state)
{
    struct rig *r = *state;
    struct buf text = text_of(30000000);
    struct wire w;
    wire_open(&w, r);
    atomic_store(&r->may_read, false);
    begin_import_held(&w, text.n);
    size_t sent = 0;
    for (int idle = 0; idle < 20;) {
        ssize_t n = send(w.fd, text.p + sent, text.n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        idle = n > 0 ? 0 : idle + 1;
        sent += n > 0 ? (size_t)n : 0;
        clock_sleep_us(n > 0 ? 0 : 10000);
    }
    assert_true(sent < 20000000);
    /* Waiting for our own reader is not the client's slowness. */
    clock_sleep_us(SLOW_US * 3 / 2);
    atomic_store(&r->may_read, true);
    wire_send(&w, text.p + sent, text.n - sent);
    expect_import(&w, buf_span(&text));
    wire_close(&w);
    buf_fini(&text);
}

/* A pause that the server made is not counted as the client's silence once it is over. */
static void
test_import_goes_on_after_pause(void **state)
{
    struct rig *r = *state;
    struct buf text = text_of(2 * HTTP_STREAM_MAX);
    struct wire w;
    wire_open(&w, r);
    atomic_store(&r->may_read, false);
    begin_import_held(&w, text.n);
    wire_send(&w, text.p, HTTP_STREAM_MAX);
    clock_sleep_us(SLOW_US * 3 / 2);
    atomic_store(&r->may_read, true);
    clock_sleep_us(SLOW_US / 2);
    wire_send(&w, text.p + HTTP_STREAM_MAX, text.n - HTTP_STREAM_MAX);
    expect_import(&w, buf_span(&text));
    wire_close(&w);
    buf_fini(&text);
}

static void
test_import_refused_unread(void **state)
{
    struct buf text = text_of(3000000);
    for (int i = 0; i < 10; i++) {
        struct wire w;
        wire_open(&w, *state);
        wire_post(&w, "/import-refused", "", buf_span(&text));
        wire_expect(&w, 401);
        assert_string_equal(wire_header(&w, "Connection"), "close");
        wire_close(&w);
    }
    buf_fini(&text);
}

static void
test_import_from_client_that_leaves(void **state)
{
    struct rig *r = *state;
    atomic_store(&r->last_rc, 0);
    struct wire w;
    wire_open(&w, r);
    wire_puts(&w, "POST /import HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello");
    wire_close(&w);
    for (int i = 0; i < 3000 && atomic_load(&r->last_rc) == 0; i++)
        clock_sleep_us(1000);
    assert_int_equal(atomic_load(&r->last_rc), RC_IO);
}

static void
test_import_from_slow_client(void **state)
{
    struct rig *r = *state;
    atomic_store(&r->last_rc, 0);
    struct wire w;
    wire_open(&w, r);
    wire_puts(&w, "POST /import HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello");
    wire_expect(&w, 400);
    assert_int_equal(atomic_load(&r->last_rc), RC_IO);
    assert_true(wire_is_closed(&w));
    wire_close(&w);
}

static void
test_export(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    static const size_t sizes[] = {0, 1, 1000, 1001, 300000, 5000000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char target[64];
        (void)snprintf(target, sizeof target, "/export?n=%zu", sizes[i]);
        wire_get(&w, target);
        wire_expect(&w, 200);
        assert_string_equal(wire_header(&w, "Transfer-Encoding"), "chunked");
        assert_string_equal(wire_header(&w, "Content-Length"), "");
        assert_int_equal(w.body.n, sizes[i]);
    }
    wire_close(&w);
}

static void
test_export_pipelined(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    for (int i = 0; i < 5; i++) {
        wire_get(&w, "/export?n=500000");
        wire_get(&w, "/noop");
    }
    for (int i = 0; i < 5; i++) {
        wire_expect(&w, 200);
        assert_int_equal(w.body.n, 500000);
        assert_string_equal(wire_expect(&w, 200), "ok");
    }
    wire_close(&w);
}

static void
test_export_http10(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_puts(&w, "GET /export?n=300000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    wire_expect(&w, 200);
    assert_string_equal(wire_header(&w, "Transfer-Encoding"), "");
    assert_string_equal(wire_header(&w, "Connection"), "close");
    assert_int_equal(w.body.n, 300000);
    wire_close(&w);
}

static void
test_export_cut(void **state)
{
    struct wire w;
    wire_open(&w, *state);
    wire_get(&w, "/export-cut?n=5000");
    assert_true(wire_read(&w));
    assert_int_equal(w.status, 200);
    assert_int_equal(w.body.n, 5000);
    assert_true(w.is_cut);
    wire_close(&w);
}

/* A reader that stops stops the writer, and both go on later. */
static void
test_export_backpressure(void **state)
{
    struct rig *r = *state;
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/export?n=30000000");
    int before = -1, now = 0;
    while (before != now) {
        before = now;
        clock_sleep_us(100000);
        assert_int_equal(ioctl(w.fd, FIONREAD, &now), 0);
    }
    assert_true(now < 20000000);
    wire_expect(&w, 200);
    assert_int_equal(w.body.n, 30000000);
    wire_close(&w);
}

static void
test_export_to_client_that_leaves(void **state)
{
    struct rig *r = *state;
    atomic_store(&r->last_rc, 0);
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/export?n=100000000");
    clock_sleep_us(20000);
    wire_close(&w);
    for (int i = 0; i < 3000 && atomic_load(&r->last_rc) == 0; i++)
        clock_sleep_us(1000);
    assert_int_equal(atomic_load(&r->last_rc), RC_IO);
}

static void
test_export_to_slow_reader(void **state)
{
    struct rig *r = *state;
    uint64_t before = metrics_read(r->metrics, M_HTTP_TIMEOUTS);
    atomic_store(&r->last_rc, 0);
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/export?n=100000000");
    for (int i = 0; i < 4 * SLOW_US / 1000 && atomic_load(&r->last_rc) == 0; i++)
        clock_sleep_us(1000);
    assert_int_equal(atomic_load(&r->last_rc), RC_IO);
    assert_int_equal(metrics_read(r->metrics, M_HTTP_TIMEOUTS), before + 1);
    wire_close(&w);
}

static void
test_duplex(void **state)
{
    struct buf text = text_of(200000);
    struct wire w;
    wire_open(&w, *state);
    post_chunked(&w, "/duplex", "", buf_span(&text), 5000);
    wire_expect(&w, 200);
    assert_true(span_eq(buf_span(&w.body), buf_span(&text)));
    wire_close(&w);
    buf_fini(&text);
}

/* Stopping does not wait for ever for those who stream, and frees them. */
static void
test_stop_while_streaming(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r);
    rig_start(&r);
    struct wire in, out;
    wire_open(&in, &r);
    wire_puts(&in, "POST /import HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello");
    wire_open(&out, &r);
    wire_get(&out, "/export?n=100000000");
    rig_wait(&r.n_handled, 2);
    uint64_t begin = clock_us();
    rig_stop(&r);
    assert_true(clock_us() - begin < 5000000);
    assert_int_equal(atomic_load(&r.last_rc), RC_IO);
    wire_close(&in);
    wire_close(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_import_of_nothing),
        cmocka_unit_test(test_import_chunked),
        cmocka_unit_test(test_import_gzipped),
        cmocka_unit_test(test_import_of_broken_gzip),
        cmocka_unit_test(test_import_of_broken_chunks),
        cmocka_unit_test(test_import_with_continue),
        cmocka_unit_test(test_import_backpressure),
        cmocka_unit_test(test_import_goes_on_after_pause),
        cmocka_unit_test(test_import_refused_unread),
        cmocka_unit_test(test_import_from_client_that_leaves),
        cmocka_unit_test(test_import_from_slow_client),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_export_pipelined),
        cmocka_unit_test(test_export_http10),
        cmocka_unit_test(test_export_cut),
        cmocka_unit_test(test_export_backpressure),
        cmocka_unit_test(test_export_to_client_that_leaves),
        cmocka_unit_test(test_export_to_slow_reader),
        cmocka_unit_test(test_duplex),
        cmocka_unit_test(test_stop_while_streaming),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
