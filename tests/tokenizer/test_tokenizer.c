#include "tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/support/rng.h"

/* The tokens joined by '|'. */
static const char *
join(const struct tkz_tokens *t, struct arena *arena)
{
    struct buf out = {0};
    for (size_t i = 0; i < t->n; i++) {
        if (i)
            buf_putc(&out, '|');
        buf_put_span(&out, t->v[i].text);
    }
    const char *joined = arena_str(arena, buf_span(&out));
    buf_fini(&out);
    return joined;
}

static const char *
tokens(const char *separators, const char *symbols, struct span text, struct arena *arena)
{
    struct tkz_analyzer a;
    struct tkz_tokens t;
    tkz_analyzer_init(&a, span_str(separators), span_str(symbols));
    tkz_text(&a, text, arena, &t);
    return join(&t, arena);
}

struct example {
    const char *text, *wanted;
};

/* Every example of the rules. */
static const struct example examples[] = {
    {"kappa-pride", "kappapride"},
    {"kappa_pride", "kappapride"},
    {"KAPPA\tPRIDE", "kappapride"},
    {"D:", "d"},
    {"3.14", "314"},
    {"C++", "c"},
    {":)", ""},
    {"!!!", ""},
    {"", ""},
    {"  a  b \n c ", "a|b|c"},
    {"a\nb\rc", "a|bc"},
    {"caf\u00e9", "cafe"},
    {"na\u00efve \u00dcn\u00efc\u00f6d\u00e9", "naive|unicode"},
    {"\u00df", "ss"},
    {"\u0153", "oe"},
    {"\uff26\uff35\uff2c\uff2c", "full"},
    {"\u2460", "1"},
    {"\u00bd", "12"},
    {"\u20acuro", "eururo"},
    {"\u2122", "tm"},
    {"\u2116", "no"},
    {"\u2163", "iv"},
    {"x\u00b2", "x2"},
    {"a\u2013b", "ab"},
    {"a\u00a0b", "ab"},
    {"a\u3000b", "ab"},
    {"a\u2026b", "ab"},
    {"a\u201cb\u201d", "ab"},
    {"\u01ce", "\u01ce"},
    {"\u1ea1\u1ebf\u1ed9", "\u1ea1\u1ebf\u1ed9"},
    {"\u01a1\u01b0", "\u01a1\u01b0"},
    {"\u2080", "\u2080"},
    {"\u041f\u0440\u0438", "\u041f\u0440\u0438"},
    {"\u041f\u0420\u0418", "\u041f\u0420\u0418"},
    {"e\u0301", "e\u0301"},
    {"a\u2000b\u200bc\u200dd\ufe0f", "a\u2000b\u200bc\u200dd\ufe0f"},
    {"\u65e5\u6728 \u65e5", "\u65e5\u6728|\u65e5"},
    {"smile\U0001f600", "smile\U0001f600"},
    {"\U0001f600 smile", "\U0001f600|smile"},
    {"#1 @user *x*", "1|user|x"},
};

static void
test_examples(void **state)
{
    struct arena arena = {0};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
        assert_string_equal(tokens("", "", span_str(examples[i].text), &arena), examples[i].wanted);
    arena_fini(&arena);
}

static void
test_options(void **state)
{
    struct arena a = {0};
    (void)state;
    assert_string_equal(tokens("_-", "", SPAN_LIT("kappa_pride-x y"), &a), "kappa|pride|x|y");
    assert_string_equal(tokens("_", "", SPAN_LIT("__a___b__"), &a), "a|b");
    assert_string_equal(tokens("", "+#", SPAN_LIT("C++ C# c-"), &a), "c++|c#|c");
    /* A symbol wins over a separator; letters and digits over both. */
    assert_string_equal(tokens("+x1", "+", SPAN_LIT("a+b 1xX"), &a), "a+b|1xx");
    assert_string_equal(tokens("", "X", SPAN_LIT("xX"), &a), "xx");
    assert_string_equal(tokens("", " ", SPAN_LIT("a b\nc"), &a), "a b|c");
    /* Control characters may be either. */
    assert_string_equal(tokens("\t", "\r\x01", SPAN_LIT("a\tb\rc\x01"), &a), "a|b\rc\x01");
    /* Bytes above ASCII are ignored. */
    assert_string_equal(tokens("\u00e9", "\u00e9", SPAN_LIT("caf\u00e9"), &a), "cafe");
    /* Punctuation of a rewritten code point is dropped, though a symbol. */
    assert_string_equal(tokens("", "()!", SPAN_LIT("\u2474x\uff01"), &a), "1x");
    arena_fini(&a);
}

static void
test_long_tokens_are_cut(void **state)
{
    struct arena arena = {0};
    struct tkz_analyzer a;
    struct tkz_tokens t;
    char text[300];
    (void)state;
    tkz_analyzer_init(&a, SPAN_LIT(""), SPAN_LIT(""));
    memset(text, 'A', sizeof text);
    text[150] = ' ';
    tkz_text(&a, span_of(text, sizeof text), &arena, &t);
    assert_int_equal(t.n, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(t.v[i].text.n, TKZ_TOKEN_MAX);
    assert_int_equal(t.v[0].end, 150);
    assert_int_equal(t.v[1].begin, 151);
    assert_int_equal(t.v[1].end, 300);
    /* The cut is by bytes: half of a character may stay. */
    memset(text, 'a', 99);
    memcpy(text + 99, "\u0416", 2);
    tkz_text(&a, span_of(text, 101), &arena, &t);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.v[0].text.n, 100);
    assert_int_equal((unsigned char)t.v[0].text.p[99], 0xd0);
    tkz_query_raw(&a, span_of(text, 101), &arena, &t);
    assert_int_equal(t.v[0].text.n, 101);
    arena_fini(&arena);
}

static void
test_places(void **state)
{
    struct arena arena = {0};
    struct tkz_analyzer a;
    struct tkz_tokens t;
    static const char text[] = "  (Caf\u00e9!) \u2026\uff26U- :) \U0001f600";
    static const char *const wanted[] = {"Caf\u00e9", "\uff26U", "\U0001f600"};
    (void)state;
    tkz_analyzer_init(&a, SPAN_LIT(""), SPAN_LIT(""));
    tkz_text(&a, SPAN_LIT(text), &arena, &t);
    assert_int_equal(t.n, ARRAY_SIZE(wanted));
    for (size_t i = 0; i < t.n; i++)
        assert_true(
            span_eq_str(span_of(text + t.v[i].begin, t.v[i].end - t.v[i].begin), wanted[i]));
    arena_fini(&arena);
}

static void
test_query(void **state)
{
    static const struct example queries[] = {
        {"kappa -pride", "kappa|-pride"},
        {":-D", "-d"},
        {"_-x (-kappa --D", "-x|-kappa|--d"},
        {"kappa:-D", "kappa-d"},
        {"\"a b\" -\"C d\"", "\"a|b\"|-\"c|d\""},
        {" - \" ", "-|\""},
        {"*", ""},
        {"caf\u00e9-x", "cafe-x"},
    };
    struct arena arena = {0};
    struct tkz_analyzer a;
    struct tkz_tokens t;
    (void)state;
    tkz_analyzer_init(&a, SPAN_LIT("-"), SPAN_LIT(""));
    for (size_t i = 0; i < ARRAY_SIZE(queries); i++) {
        tkz_query_raw(&a, span_str(queries[i].text), &arena, &t);
        assert_string_equal(join(&t, &arena), queries[i].wanted);
    }
    arena_fini(&arena);
}

static void
test_invalid_utf8(void **state)
{
    struct arena a = {0};
    (void)state;
    /* A high byte and up to three continuation bytes are one unit, kept. */
    assert_string_equal(tokens("", "",
                               SPAN_LIT("A\xff"
                                        "B \x80\x80 C"),
                               &a),
                        "a\xff"
                        "b|\x80\x80|c");
    assert_string_equal(tokens("", "", SPAN_LIT("\xc3"), &a), "\xc3");
    assert_string_equal(tokens("", "", SPAN_LIT("\xc3\xa9\x80"), &a), "\xc3\xa9\x80");
    assert_string_equal(tokens("", "", SPAN_LIT("\xc3 \xa9"), &a), "\xc3|\xa9");
    assert_string_equal(tokens("", "", SPAN_LIT("\xed\xa0\x80"), &a), "\xed\xa0\x80");
    assert_string_equal(tokens("", "", SPAN_LIT("a\0B"), &a), "ab");
    arena_fini(&a);
}

static void
check_key(const char *symbols, struct span text, const char *wanted)
{
    struct tkz_analyzer a;
    struct buf key = {0};
    tkz_analyzer_init(&a, SPAN_LIT("_"), span_str(symbols));
    buf_puts(&key, "x");
    tkz_sort_key(&a, text, &key);
    assert_int_equal(key.n, strlen(wanted) + 1);
    for (size_t i = 1; i < key.n; i++)
        assert_int_equal((unsigned char)key.p[i], (unsigned char)wanted[i - 1] ^ 0x80);
    buf_fini(&key);
}

static void
test_sort_key(void **state)
{
    char text[5000];
    char wanted[2001] = {0};
    (void)state;
    check_key("", SPAN_LIT("Hello, World!  2"), "hello world  2");
    check_key("", SPAN_LIT(":)"), "");
    check_key("", SPAN_LIT("A_b\nc\td"), "abcd");
    check_key("!", SPAN_LIT("a!_"), "a!");
    check_key("", SPAN_LIT("\u00c9a\u0416"), "ea\u0416");
    memset(text, 'Q', sizeof text);
    memset(wanted, 'q', 2000);
    check_key("", span_of(text, sizeof text), wanted);
    /* A rewriting at the limit is cut as well. */
    memcpy(text + 1999, "\u20ac", 3);
    wanted[1999] = 'e';
    check_key("", span_of(text, sizeof text), wanted);
}

/* Signed bytes: non-ASCII first, then by byte, a prefix before the longer. */
static void
test_sort_order(void **state)
{
    static const char *const sorted[] = {"\u0416", "\u0436", "\U0001f600", "1",      "10",
                                         "2",      "zeta",   "zetA a",     "zeta b", "Zeta zoo"};
    struct tkz_analyzer a;
    struct buf last = {0};
    (void)state;
    tkz_analyzer_init(&a, SPAN_LIT(""), SPAN_LIT(""));
    for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
        struct buf key = {0};
        tkz_sort_key(&a, span_str(sorted[i]), &key);
        assert_true(i == 0 || span_cmp(buf_span(&last), buf_span(&key)) < 0);
        buf_fini(&last);
        last = key;
    }
    buf_fini(&last);
}

static void
test_fingerprint(void **state)
{
    static const char *const settings[][2] = {
        {"", ""}, {"_", ""}, {"", "_"}, {"-", ""}, {"_-", ""}};
    uint64_t prints[ARRAY_SIZE(settings)];
    struct tkz_analyzer a;
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        tkz_analyzer_init(&a, span_str(settings[i][0]), span_str(settings[i][1]));
        prints[i] = tkz_fingerprint(&a);
        for (size_t k = 0; k < i; k++)
            assert_true(prints[k] != prints[i]);
    }
    /* The order of the options, repetitions and what has no effect do not matter. */
    tkz_analyzer_init(&a, SPAN_LIT("-_-a "), SPAN_LIT("b"));
    assert_true(tkz_fingerprint(&a) == prints[4]);
}

static void
test_codepoints(void **state)
{
    static const char text[] = "a\u00e9\u20ac\U0001f600\xff\xc3z";
    static const int32_t wanted[] = {'a', 0xe9, 0x20ac, 0x1f600, -1, -1, 'z'};
    size_t at = 0;
    size_t n = 0;
    (void)state;
    while (at < sizeof text - 1) {
        int32_t cp;
        at = tkz_codepoint_next(SPAN_LIT(text), at, &cp);
        assert_int_equal(cp, wanted[n++]);
    }
    assert_int_equal(n, ARRAY_SIZE(wanted));
    assert_int_equal(tkz_codepoints(SPAN_LIT(text)), n);
    assert_int_equal(tkz_codepoints(SPAN_LIT("")), 0);
    assert_int_equal(tkz_codepoints(SPAN_LIT("e\u0301")), 2);
}

/* A random text of ASCII, accents, other scripts and, if wanted, stray bytes. */
static struct span
random_text(struct rng *rng, bool is_valid, char out[256])
{
    static const char *const parts[] = {
        "a",      "Z",      "9",      " ",      "\n",     "_",          "-",          ":",
        "\u00e9", "\u20ac", "\u2026", "\u0416", "\u65e5", "\U0001f600", "\U0001d4da", "\uff21"};
    size_t n = 0;
    size_t wanted = rng_below(rng, 240);
    while (n < wanted) {
        if (!is_valid && rng_below(rng, 4) == 0) {
            out[n++] = (char)rng_next(rng);
            continue;
        }
        const char *part = parts[rng_below(rng, ARRAY_SIZE(parts))];
        memcpy(out + n, part, strlen(part));
        n += strlen(part);
    }
    return span_of(out, n);
}

static void
check_tokens(const struct tkz_analyzer *a, const struct tkz_tokens *t, struct span text,
             bool is_valid, struct arena *arena)
{
    uint32_t end = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct tkz_token *token = &t->v[i];
        struct tkz_tokens again;
        assert_in_range(token->text.n, 1, TKZ_TOKEN_MAX);
        assert_true(token->begin >= end && token->begin < token->end && token->end <= text.n);
        end = token->end;
        if (!is_valid || token->text.n == TKZ_TOKEN_MAX)
            continue;
        /* A token is its own only token, and so is its place in the text. */
        tkz_text(a, token->text, arena, &again);
        assert_true(again.n == 1 && span_eq(again.v[0].text, token->text));
        tkz_text(a, span_of(text.p + token->begin, token->end - token->begin), arena, &again);
        assert_true(again.n == 1 && span_eq(again.v[0].text, token->text));
    }
}

static void
test_properties(void **state)
{
    struct rng rng = rng_new();
    struct arena arena = {0};
    struct tkz_analyzer a;
    (void)state;
    tkz_analyzer_init(&a, SPAN_LIT("_"), SPAN_LIT(":"));
    for (unsigned i = 0; i < 20000; i++) {
        char bytes[256];
        struct tkz_tokens t;
        bool is_valid = i % 2 == 0;
        struct span text = random_text(&rng, is_valid, bytes);
        /* The exact size, so that AddressSanitizer sees reads behind it. */
        char *exact = xmalloc(text.n);
        if (text.n)
            memcpy(exact, text.p, text.n);
        tkz_text(&a, span_of(exact, text.n), &arena, &t);
        free(exact);
        check_tokens(&a, &t, text, is_valid, &arena);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_long_tokens_are_cut),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_sort_key),
        cmocka_unit_test(test_sort_order),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_codepoints),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
