#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/rng.h"

static const char *const seeds[] = {
    ("{\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"name\":\"Peepo\\u00e9 "
     "\\ud83d\\ude00\",\"n\":[1,-2.5e3,"
     "true,null,{\"a\":{}}],\"caf\u00e9\":\"\U0001f600\\n\\\\\",\"x\":18446744073709551616}"),
    "[[[[[[[[]]]]]]],\"\\\"\",\"\\\\\\\\\",\"\",{\"\":\"\"},0.1,1e-5]",
    "\"\\ud83d\\ude00\"",
    "{\"a\":1,\"a\":2,\"b\":{\"a\":1,\"a\":[]}}",
};

/* One random edit of the text. */
static void
mutate(struct rng *rng, struct buf *text)
{
    static const char interesting[] = "{}[]\",:\\u0dD8c\x80\xc3\xff\n 1e-.";
    size_t at = text->n ? rng_below(rng, text->n) : 0;
    char c = interesting[rng_below(rng, sizeof interesting)];
    switch (rng_below(rng, 4)) {
    case 0:
        if (text->n)
            text->p[at] = c;
        break;
    case 1:
        buf_putc(text, '\0');
        memmove(text->p + at + 1, text->p + at, text->n - at - 1);
        text->p[at] = c;
        break;
    case 2:
        if (text->n) {
            memmove(text->p + at, text->p + at + 1, text->n - at - 1);
            text->n--;
        }
        break;
    default:
        if (text->n)
            text->p[at] = (char)(text->p[at] ^ (1 << rng_below(rng, 8)));
        break;
    }
}

/*
 * Whatever arrives is refused or understood; what is understood is written so
 * that it reads back the same. The text is a malloc of its exact size, so that
 * AddressSanitizer sees any read behind it.
 */
static void
check(struct span text, struct arena *a)
{
    struct json v;
    struct json again;
    struct err err;
    struct buf first = {0};
    struct buf second = {0};
    char *exact = xmalloc(text.n);
    memcpy(exact, text.p, text.n);
    enum rc rc = json_parse(span_of(exact, text.n), a, &v, &err);
    free(exact);
    assert_true(rc == RC_OK || rc == RC_INVALID || rc == RC_LIMIT);
    if (rc == RC_OK) {
        json_put(&first, &v, true);
        assert_int_equal(json_parse(buf_span(&first), a, &again, &err), RC_OK);
        json_put(&second, &again, true);
        assert_true(span_eq(buf_span(&first), buf_span(&second)));
    }
    buf_fini(&first);
    buf_fini(&second);
}

static void
test_mutations(void **state)
{
    struct rng rng = rng_new();
    struct arena a = {0};
    struct buf text = {0};
    (void)state;
    for (unsigned i = 0; i < 60000; i++) {
        if (i % 8 == 0) {
            buf_clear(&text);
            buf_puts(&text, seeds[rng_below(&rng, ARRAY_SIZE(seeds))]);
        }
        mutate(&rng, &text);
        if (text.n == 0)
            continue;
        check(buf_span(&text), &a);
        arena_reset(&a);
    }
    buf_fini(&text);
    arena_fini(&a);
}

/* Every prefix of a text. */
static void
test_truncations(void **state)
{
    struct arena a = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(seeds); i++)
        for (size_t n = 1; n <= strlen(seeds[i]); n++) {
            check(span_of(seeds[i], n), &a);
            arena_reset(&a);
        }
    arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_truncations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
