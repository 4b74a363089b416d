#include "tokenizer/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/utf8.h"

enum { CODE_POINTS_N = 0x110000 };

/* Reads translit.tsv: texts[code point] is what it gives, p NULL if it stays. */
static void
read_table(struct span file, struct span *texts, size_t *n)
{
    while (file.n > 0) {
        struct span line = span_split(&file, '\n');
        if (line.n < 8 || line.p[0] != 'U')
            continue;
        char *end;
        unsigned long c = strtoul(line.p + 2, &end, 16);
        assert_true(c < CODE_POINTS_N && *end == '\t');
        /* The character itself may be a blank: the last tab counts. */
        size_t tab = line.n;
        while (line.p[tab - 1] != '\t')
            tab--;
        texts[c] = span_from(line, tab);
        (*n)++;
    }
}

/* Every code point of Unicode gives what was observed. */
static void
test_table(void **state)
{
    struct buf file = {0};
    struct arena arena = {0};
    struct tkz_analyzer a;
    struct span *texts = xcalloc(CODE_POINTS_N, sizeof *texts);
    size_t n_rows = 0;
    (void)state;
    assert_int_equal(fs_read_path("tests/tokenizer/translit.tsv", 1 << 20, &file, NULL), RC_OK);
    read_table(buf_span(&file), texts, &n_rows);
    assert_int_equal(n_rows, 1716);
    tkz_analyzer_init(&a, SPAN_LIT(""), SPAN_LIT(""));
    for (uint32_t c = 0x80; c < CODE_POINTS_N; c++) {
        char text[4];
        struct tkz_tokens t;
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = utf8_write(c, text);
        struct span wanted = texts[c].p ? texts[c] : span_of(text, n);
        tkz_text(&a, span_of(text, n), &arena, &t);
        assert_int_equal(t.n, wanted.n > 0);
        if (t.n > 0 && !span_eq(t.v[0].text, wanted))
            fail_msg("U+%04X gives %.*s", c, SPAN_ARG(t.v[0].text));
        /* The room that the scan reserves. */
        assert_true(2 * wanted.n <= 3 * n);
        arena_reset(&arena);
    }
    free(texts);
    buf_fini(&file);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
