/* Query strings: tokens, exclusions and phrases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/matching.h"

static void
put_words(struct buf *out, const char *before, const struct span *words, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "%s%s%.*s", out->n ? " " : "", before, SPAN_ARG(words[i]));
}

static void
put_phrases(struct buf *out, const char *before, const struct qry_phrase *phrases, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_printf(out, "%s%s[", out->n ? " " : "", before);
        for (uint32_t k = 0; k < phrases[i].n; k++)
            buf_printf(out, "%s%.*s", k ? "," : "", SPAN_ARG(phrases[i].words[k]));
        buf_puts(out, "]");
    }
}

/* In the arena. */
static struct qry_text
parse(const char *separators, const char *symbols, const char *q, struct arena *arena)
{
    struct tkz_analyzer analyzer;
    struct qry_search s = {.q = span_str(q), .analyzer = &analyzer};
    struct qry_text t;
    tkz_analyzer_init(&analyzer, span_str(separators), span_str(symbols));
    qry_text_parse(&s, arena, &t);
    return t;
}

/* "a b -c [d,e] -[f]": include tokens, exclusions, phrases, excluded phrases. */
static void
expect_with(const char *separators, const char *q, const char *want)
{
    struct arena arena = {0};
    struct qry_text t = parse(separators, "", q, &arena);
    struct buf got = {0};
    put_words(&got, "", t.tokens, t.n_tokens);
    put_words(&got, "-", t.excluded, t.n_excluded);
    put_phrases(&got, "", t.phrases, t.n_phrases);
    put_phrases(&got, "-", t.excluded_phrases, t.n_excluded_phrases);
    buf_putc(&got, '\0');
    if (strcmp(got.p, want) != 0)
        fail_msg("%s: want <%s>, got <%s>", q, want, got.p);
    buf_fini(&got);
    arena_fini(&arena);
}

static void
expect(const char *q, const char *want)
{
    expect_with("", q, want);
}

static void
test_plain(void **state)
{
    (void)state;
    expect("Kappa Pride", "kappa pride");
    expect("kappa-pride", "kappapride");
    expect_with("-", "kappa-pride x", "kappa pride x");
    expect("", "");
    expect(" !!! ", "");
    expect("* ", "");
}

static void
test_exclusions(void **state)
{
    (void)state;
    expect("kappa -pride", "kappa -pride");
    expect("-kappa", "-kappa");
    expect(":-D", "-d");
    expect("(-kappa", "-kappa");
    expect("--D", "-d");
    expect("kappa:-D", "kappad");
    expect("kappa - pride", "kappa pride");
    expect_with("_", "x -foo_bar", "x bar -foo");
}

static void
test_symbol_minus(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct qry_text t = parse("", "-", "kappa -pride", &arena);
    assert_int_equal(t.n_tokens, 2);
    assert_int_equal(t.n_excluded, 0);
    arena_fini(&arena);
}

static void
test_phrases(void **state)
{
    (void)state;
    expect("\"kappa pride\"", "[kappa,pride]");
    expect("x \"kappa pride\" y", "x y [kappa,pride]");
    expect("\" kappa pride \"", "[kappa,pride]");
    expect("\"kappa\"", "[kappa]");
    expect("\"kappa pride", "kappa pride");
    expect("x \"kappa pride", "x kappa pride");
    expect("-\"kappa pride\" x", "x -[kappa,pride]");
    expect("-\"kappa pride", "-[kappa,pride]");
    expect("kappa\" pride", "kappa pride");
    expect("\"\"", "[]");
    expect("\"a b\" \"c d\"", "[a,b] [c,d]");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_exclusions),
        cmocka_unit_test(test_symbol_minus),
        cmocka_unit_test(test_phrases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
