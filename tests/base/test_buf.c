#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/bytes.h"

static void
test_append(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_put(&b, NULL, 0);
    assert_int_equal(b.n, 0);
    for (unsigned i = 0; i < 500; i++)
        buf_printf(&b, "%u,", i);
    assert_int_equal(b.n, 10 * 2 + 90 * 3 + 400 * 4);
    buf_clear(&b);
    buf_puts(&b, "abc");
    buf_putc(&b, 'd');
    buf_put_span(&b, SPAN_LIT("ef"));
    assert_true(span_eq_str(buf_span(&b), "abcdef"));
    buf_clear(&b);
    buf_printf(&b, "%0*d", 5000, 7);
    assert_int_equal(b.n, 5000);
    assert_int_equal(b.p[4999], '7');
    buf_fini(&b);
    assert_null(b.p);
    buf_fini(&b);
    buf_fini(NULL);
}

static void
test_align(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_align(&b, 64);
    assert_int_equal(b.n, 0);
    buf_putc(&b, 'x');
    buf_align(&b, 1);
    assert_int_equal(b.n, 1);
    buf_align(&b, 8);
    assert_int_equal(b.n, 8);
    assert_memory_equal(b.p, "x\0\0\0\0\0\0", 8);
    buf_align(&b, 8);
    assert_int_equal(b.n, 8);
    buf_fini(&b);
}

static void
test_round_trip(void **state)
{
    static const uint64_t values[] = {
        0,         1, 127, 128, 300, 16383, 16384, UINT32_MAX, (uint64_t)1 << 62, (uint64_t)1 << 63,
        UINT64_MAX};
    struct buf b = {0};
    (void)state;
    buf_put_u16(&b, 0x1234);
    buf_put_u32(&b, 0x12345678);
    buf_put_u64(&b, 0x123456789abcdef0);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        buf_put_varint(&b, values[i]);
    buf_put_bytes(&b, SPAN_LIT("hello"));
    buf_put_bytes(&b, SPAN_LIT(""));
    assert_memory_equal(b.p, "\x34\x12\x78\x56\x34\x12", 6);
    assert_int_equal(load_u32(b.p + 2), 0x12345678);
    assert_true(load_u64(b.p + 6) == 0x123456789abcdef0);
    struct bytes r = bytes_of(buf_span(&b));
    assert_int_equal(bytes_u16(&r), 0x1234);
    assert_int_equal(bytes_u32(&r), 0x12345678);
    assert_true(bytes_u64(&r) == 0x123456789abcdef0);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        assert_true(bytes_varint(&r) == values[i]);
    assert_true(span_eq_str(bytes_span(&r), "hello"));
    assert_int_equal(bytes_span(&r).n, 0);
    assert_int_equal(bytes_left(&r), 0);
    assert_false(r.bad);
    assert_int_equal(bytes_u8(&r), 0);
    assert_true(r.bad);
    buf_fini(&b);
}

static void
test_reads_past_the_end(void **state)
{
    struct bytes r = bytes_of(SPAN_LIT("\x01\x02\x03"));
    (void)state;
    assert_int_equal(bytes_u32(&r), 0);
    assert_true(r.bad);
    /* Once bad, always bad: also what would fit. */
    assert_int_equal(bytes_u8(&r), 0);
    assert_null(bytes_take(&r, 1).p);
    assert_int_equal(bytes_varint(&r), 0);
    r = bytes_of((struct span){NULL, 0});
    assert_int_equal(bytes_take(&r, 0).n, 0);
    assert_false(r.bad);
    assert_int_equal(bytes_u16(&r), 0);
    assert_true(r.bad);
}

static void
test_bad_varints(void **state)
{
    static const struct span bad[] = {
        {"", 0},
        {"\x80", 1},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct bytes r = bytes_of(bad[i]);
        assert_int_equal(bytes_varint(&r), 0);
        assert_true(r.bad);
        r = bytes_of(bad[i]);
        assert_int_equal(bytes_span(&r).n, 0);
        assert_true(r.bad);
    }
    /* A length far beyond the input. */
    struct bytes r = bytes_of(SPAN_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"));
    assert_null(bytes_span(&r).p);
    assert_true(r.bad);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),      cmocka_unit_test(test_align),
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_reads_past_the_end),
        cmocka_unit_test(test_bad_varints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
