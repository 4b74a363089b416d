/* The chunked coding: random bodies, framed at random and torn at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/chunk.h"
#include "tests/support/rng.h"

/* Feeds the text in pieces of at most step bytes. */
static enum http_chunk
decode(struct span text, struct rng *rng, uint64_t step, struct buf *out, size_t *n_left)
{
    struct http_chunks c = {0};
    enum http_chunk what = HTTP_CHUNK_MORE;
    while (text.n > 0 && (what == HTTP_CHUNK_MORE || what == HTTP_CHUNK_DATA)) {
        size_t n = 1 + (size_t)rng_below(rng, step);
        struct span in = span_of(text.p, n < text.n ? n : text.n);
        size_t before = in.n;
        do {
            struct span piece = {0};
            what = http_chunks_next(&c, &in, &piece);
            if (what == HTTP_CHUNK_DATA) {
                assert_true(piece.n > 0);
                buf_put_span(out, piece);
            }
        } while (what == HTTP_CHUNK_DATA);
        text = span_from(text, before - in.n);
    }
    *n_left = text.n;
    return what;
}

static void
put_chunked(struct rng *rng, struct span body, struct buf *out)
{
    while (body.n > 0) {
        size_t n = 1 + (size_t)rng_below(rng, body.n);
        buf_printf(out, rng_below(rng, 2) ? "%zx" : "%04zX", n);
        if (rng_below(rng, 3) == 0)
            buf_puts(out, ";name=\"va;lue\"");
        buf_puts(out, "\r\n");
        buf_put(out, body.p, n);
        buf_puts(out, "\r\n");
        body = span_from(body, n);
    }
    buf_puts(out, "0\r\n");
    if (rng_below(rng, 3) == 0)
        buf_puts(out, "Trailer: value\r\nOther:\r\n");
    buf_puts(out, "\r\n");
}

static void
test_random_bodies(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int i = 0; i < 2000; i++) {
        struct buf body = {0}, coded = {0}, back = {0};
        for (uint64_t n = rng_below(&rng, 300); n > 0; n--)
            buf_putc(&body, (char)rng_below(&rng, 256));
        put_chunked(&rng, buf_span(&body), &coded);
        buf_puts(&coded, "next");
        size_t n_left = 0;
        enum http_chunk what =
            decode(buf_span(&coded), &rng, 1 + rng_below(&rng, 50), &back, &n_left);
        assert_int_equal(what, HTTP_CHUNK_END);
        assert_int_equal(n_left, 4);
        assert_true(span_eq(buf_span(&back), buf_span(&body)));
        buf_fini(&body);
        buf_fini(&coded);
        buf_fini(&back);
    }
}

/* Every prefix wants more; none is taken for the end. */
static void
test_prefixes_are_not_complete(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    static const char text[] = "5;a=b\r\nhello\r\n0a\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        struct buf back = {0};
        size_t n_left = 0;
        assert_int_equal(decode(span_of(text, n), &rng, 5, &back, &n_left), HTTP_CHUNK_MORE);
        buf_fini(&back);
    }
}

static void
test_endless_overhead(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    static const char *const begins[] = {"1;", "0\r\nTrailer: "};
    for (size_t i = 0; i < 2; i++) {
        struct buf text = {0}, back = {0};
        buf_puts(&text, begins[i]);
        for (int k = 0; k < 20000; k++)
            buf_putc(&text, 'x');
        size_t n_left = 0;
        assert_int_equal(decode(buf_span(&text), &rng, 1000, &back, &n_left), HTTP_CHUNK_BAD);
        buf_fini(&text);
        buf_fini(&back);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_bodies),
        cmocka_unit_test(test_prefixes_are_not_complete),
        cmocka_unit_test(test_endless_overhead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
