#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/must.h"

static void
check(struct span message, size_t piece, const char *wanted)
{
    struct sha256 h;
    unsigned char out[SHA256_BYTES_N];
    char text[2 * SHA256_BYTES_N + 1];
    sha256_init(&h);
    while (message.n > 0) {
        size_t n = message.n < piece ? message.n : piece;
        sha256_put(&h, message.p, n);
        message = span_from(message, n);
    }
    sha256_end(&h, out);
    for (size_t i = 0; i < sizeof out; i++)
        snprintf(text + 2 * i, 3, "%02x", out[i]);
    assert_string_equal(text, wanted);
}

/* FIPS 180-4's examples, and a million times "a". */
static void
test_digests(void **state)
{
    static const size_t pieces[] = {1, 3, 55, 63, 64, 65, 1000};
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    (void)state;
    check(SPAN_LIT(""), 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        check(SPAN_LIT("abc"), pieces[i],
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(span_str(two_blocks), pieces[i],
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    char *million = xmalloc(1000000);
    memset(million, 'a', 1000000);
    check(span_of(million, 1000000), 777,
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
