#include "tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/fs.h"

/* The tokens of text, joined by '|'. */
static const char *
tokens(const char *separators, const char *symbols, struct span text, struct arena *arena)
{
    struct tkz_analyzer a;
    struct tkz_tokens t;
    struct buf out = {0};
    tkz_analyzer_init(&a, span_str(separators), span_str(symbols));
    tkz_text(&a, text, arena, &t);
    for (size_t i = 0; i < t.n; i++) {
        if (i)
            buf_putc(&out, '|');
        buf_put_span(&out, t.v[i].text);
    }
    const char *joined = arena_str(arena, buf_span(&out));
    buf_fini(&out);
    return joined;
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
        assert_string_equal(tokens("", "", span_str(examples[i].text), &arena),
                            examples[i].wanted);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
