/*
 * Requests that are almost right, changed at random: the server answers each
 * with something that is HTTP, or closes; it never dies, and serves afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/support/rng.h"

#include "rig.h"

static int
setup(void **state)
{
    struct rig *r = xmalloc(sizeof *r);
    rig_init(r);
    r->options.slow_us = 300000;
    r->options.idle_us = 300000;
    r->options.body_bytes_max = 100000;
    rig_start(r);
    *state = r;
    return 0;
}

static void
put_random_request(struct rng *rng, struct buf *b)
{
    static const char *const texts[] = {
        "GET /noop HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /params?a=%41&b=c+d HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, br\r\n\r\n",
        "HEAD /big?n=3000 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: v\r\n\r\n",
        "POST /import HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "POST /import HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Encoding: "
        "gzip\r\n\r\nhello",
        "POST /duplex HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /import-refused HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nAccess-Control-Request-Headers: x\r\n\r\n",
        "GET /late?us=100 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /export?n=3000 HTTP/1.0\r\n\r\n",
        "GET /export-cut?n=100 HTTP/1.1\r\nHost: a\r\n\r\n",
        "DELETE http://a/noop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    };
    buf_puts(b, texts[rng_below(rng, ARRAY_SIZE(texts))]);
}

static char
random_byte(struct rng *rng)
{
    static const char likely[] = "\r\n :;,/?%&=0123456789abcdefGETPOSTHost\t\0\x7f\xff";
    if (rng_below(rng, 3) == 0)
        return (char)rng_below(rng, 256);
    return likely[rng_below(rng, sizeof likely - 1)];
}

/* One small change somewhere. */
static void
spoil(struct rng *rng, struct buf *b)
{
    size_t at = (size_t)rng_below(rng, b->n);
    switch (rng_below(rng, 5)) {
    case 0:
        b->p[at] = random_byte(rng);
        break;
    case 1: /* a byte less */
        memmove(b->p + at, b->p + at + 1, b->n - at - 1);
        b->n--;
        break;
    case 2: /* a byte more */
        buf_putc(b, 0);
        memmove(b->p + at + 1, b->p + at, b->n - at - 1);
        b->p[at] = random_byte(rng);
        break;
    case 3: /* the end is missing */
        b->n = at;
        break;
    default: { /* a piece twice */
        size_t n = (size_t)rng_below(rng, b->n - at + 1);
        char *copy = xmemdup0(b->p + at, n);
        buf_put(b, copy, n);
        free(copy);
        break;
    }
    }
}

/* Reads until the server closes; what it says must begin as HTTP does. */
static void
check_answers(struct wire *w)
{
    char text[65536];
    size_t n = 0;
    ssize_t got;
    while ((got = recv(w->fd, text + n, sizeof text - n, 0)) > 0 && n + (size_t)got < sizeof text)
        n += (size_t)got;
    if (n >= 12)
        assert_memory_equal(text, "HTTP/1.1 ", 9);
}

static void
test_spoilt_requests(void **state)
{
    struct rig *r = *state;
    struct rng rng = rng_new();
    for (int i = 0; i < 1500; i++) {
        struct buf b = {0};
        for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--)
            put_random_request(&rng, &b);
        for (uint64_t n = rng_below(&rng, 6); n > 0 && b.n > 0; n--)
            spoil(&rng, &b);
        struct wire w;
        wire_open(&w, r);
        size_t half = b.n ? (size_t)rng_below(&rng, b.n) : 0;
        wire_send(&w, b.p, half);
        if (rng_below(&rng, 10) == 0)
            clock_sleep_us(200);
        wire_send(&w, b.p + half, b.n - half);
        /* Most say that they are done; some just leave, a few wait for the server. */
        uint64_t how = rng_below(&rng, 100);
        if (how < 70)
            (void)shutdown(w.fd, SHUT_WR);
        if (how < 72)
            check_answers(&w);
        wire_close(&w);
        buf_fini(&b);
    }
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/noop");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

static void
test_random_bytes(void **state)
{
    struct rig *r = *state;
    struct rng rng = rng_new();
    for (int i = 0; i < 300; i++) {
        struct wire w;
        wire_open(&w, r);
        char bytes[2000];
        size_t n = (size_t)rng_below(&rng, sizeof bytes);
        for (size_t k = 0; k < n; k++)
            bytes[k] = random_byte(&rng);
        wire_send(&w, bytes, n);
        (void)shutdown(w.fd, SHUT_WR);
        check_answers(&w);
        wire_close(&w);
    }
    struct wire w;
    wire_open(&w, r);
    wire_get(&w, "/noop");
    assert_string_equal(wire_expect(&w, 200), "ok");
    wire_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spoilt_requests),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, setup, rig_teardown);
}
