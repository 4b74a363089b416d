#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"

/* Values of the xxHash reference implementation. */
static void
test_xxh3(void **state)
{
    (void)state;
    assert_true(hash64(SPAN_LIT("")) == 0x2d06800538d394c2);
    assert_true(hash64(SPAN_LIT("a")) == 0xe6c632b61e964e1f);
    assert_true(hash64(SPAN_LIT("abc")) == 0x78af5f94892f3950);
    assert_true(hash64_more(0, SPAN_LIT("abc")) == hash64(SPAN_LIT("abc")));
    assert_true(hash64_more(1, SPAN_LIT("abc")) != hash64(SPAN_LIT("abc")));
}

static void
check_hmac(struct span key, struct span message, const char *wanted)
{
    unsigned char out[32];
    struct buf text = {0};
    hmac_sha256(key, message, out);
    for (size_t i = 0; i < sizeof out; i++)
        buf_printf(&text, "%02x", out[i]);
    buf_putc(&text, '\0');
    assert_string_equal(text.p, wanted);
    buf_fini(&text);
}

/* RFC 4231, test cases 1 to 3, 6 and 7; and the empty ones. */
static void
test_hmac(void **state)
{
    char k1[20];
    char k3[20];
    char d3[50];
    char k6[131];
    (void)state;
    memset(k1, 0x0b, sizeof k1);
    memset(k3, 0xaa, sizeof k3);
    memset(d3, 0xdd, sizeof d3);
    memset(k6, 0xaa, sizeof k6);
    check_hmac(span_of(k1, sizeof k1), SPAN_LIT("Hi There"),
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check_hmac(SPAN_LIT("Jefe"), SPAN_LIT("what do ya want for nothing?"),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    check_hmac(span_of(k3, sizeof k3), span_of(d3, sizeof d3),
               "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    check_hmac(span_of(k6, sizeof k6),
               SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First"),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    check_hmac(span_of(k6, sizeof k6),
               SPAN_LIT("This is a test using a larger than block-size key and a larger than "
                        "block-size data. The key needs to be hashed before being used by the "
                        "HMAC algorithm."),
               "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    check_hmac(SPAN_LIT(""), SPAN_LIT(""),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
test_secret_eq(void **state)
{
    (void)state;
    assert_true(secret_eq(SPAN_LIT("abc"), SPAN_LIT("abc")));
    assert_true(secret_eq(SPAN_LIT(""), span_str(NULL)));
    assert_false(secret_eq(SPAN_LIT("abc"), SPAN_LIT("abd")));
    assert_false(secret_eq(SPAN_LIT("abc"), SPAN_LIT("ab")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xxh3),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_secret_eq),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
