#include "base/ulid.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/must.h"
#include "tests/support/rng.h"

static void
test_known(void **state)
{
    unsigned char b[ULID_BYTES_N];
    char text[ULID_TEXT_N];
    (void)state;
    assert_true(ulid_read(SPAN_LIT("01ARZ3NDEKTSV4RRFFQ69G5FAV"), b));
    static const unsigned char wanted[] = {0x01, 0x56, 0x3e, 0x3a, 0xb5, 0xd3, 0xd6, 0x76,
                                           0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b};
    assert_memory_equal(b, wanted, sizeof wanted);
    assert_true(ulid_ms(b) == 0x01563e3ab5d3);
    assert_true(ulid_read(SPAN_LIT("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), b));
    for (size_t i = 0; i < sizeof b; i++)
        assert_int_equal(b[i], 0xff);
    ulid_write(b, text);
    assert_memory_equal(text, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", ULID_TEXT_N);
}

static void
test_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FA",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAVX",
                                      "81ARZ3NDEKTSV4RRFFQ69G5FAV",
                                      "01arz3ndektsv4rrffq69g5fav",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAI",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAL",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAO",
                                      "01ARZ3NDEKTSV4RRFFQ69G5FAU",
                                      "-1ARZ3NDEKTSV4RRFFQ69G5FAV"};
    unsigned char b[ULID_BYTES_N] = {9};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(ulid_read(span_str(bad[i]), b));
    assert_false(ulid_read(SPAN_LIT("01ARZ3NDEKTSV4RRFFQ69G5FA\0"), b));
    assert_int_equal(b[0], 9);
}

static void
test_round_trip_keeps_order(void **state)
{
    struct rng rng = rng_new();
    unsigned char last[ULID_BYTES_N] = {0};
    char last_text[ULID_TEXT_N];
    (void)state;
    ulid_write(last, last_text);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned char b[ULID_BYTES_N];
        unsigned char again[ULID_BYTES_N];
        char text[ULID_TEXT_N];
        for (size_t k = 0; k < sizeof b; k++)
            b[k] = (unsigned char)rng_next(&rng);
        ulid_write(b, text);
        assert_true(ulid_read(span_of(text, sizeof text), again));
        assert_memory_equal(b, again, sizeof b);
        int bytes = memcmp(b, last, sizeof b);
        int texts = memcmp(text, last_text, sizeof text);
        assert_int_equal((bytes > 0) - (bytes < 0), (texts > 0) - (texts < 0));
        memcpy(last, b, sizeof b);
        memcpy(last_text, text, sizeof text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_round_trip_keeps_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
