#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What f writes to a log of this level. */
static char *
written(enum log_level least, void (*f)(struct log *log))
{
    char *text = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&text, &n);
    assert_non_null(stream);
    struct log *log = log_new(stream, least);
    f(log);
    log_free(log);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void
say(struct log *log)
{
    log_line(log, LOG_DEBUG, "app", "start", "never=%d", 1);
    log_line(log, LOG_INFO, "app", "start", "port=%d name=%s", 80, "x\ny");
    log_line(log, LOG_WARN, "indexer", "source", "%s", "");
    log_line(NULL, LOG_ERROR, "app", "stop", "x=%d", 1);
}

static void
test_lines(void **state)
{
    char *text = written(LOG_INFO, say);
    (void)state;
    struct span rest = span_str(text);
    struct span line = span_split(&rest, '\n');
    /* 2024-05-01T12:00:00.123456Z */
    assert_int_equal(span_find(line, 0, ' '), 27);
    assert_int_equal(line.p[10], 'T');
    assert_int_equal(line.p[26], 'Z');
    assert_true(span_eq_str(span_from(line, 28), "INFO app start port=80 name=x y"));
    line = span_split(&rest, '\n');
    assert_true(span_eq_str(span_from(line, 28), "WARN indexer source"));
    assert_int_equal(rest.n, 0);
    free(text);
    log_free(NULL);
}

static void
test_levels(void **state)
{
    enum log_level level = LOG_ERROR;
    (void)state;
    assert_true(log_level_parse(SPAN_LIT("debug"), &level) && level == LOG_DEBUG);
    assert_true(log_level_parse(SPAN_LIT("Info"), &level) && level == LOG_INFO);
    assert_true(log_level_parse(SPAN_LIT("WARN"), &level) && level == LOG_WARN);
    assert_true(log_level_parse(SPAN_LIT("error"), &level) && level == LOG_ERROR);
    assert_false(log_level_parse(SPAN_LIT("warning"), &level));
    assert_false(log_level_parse(SPAN_LIT(""), &level));
    assert_int_equal(level, LOG_ERROR);
}

static void
test_quote(void **state)
{
    char out[LOG_QUOTE_MAX];
    char text[1000];
    (void)state;
    assert_string_equal(log_quote(SPAN_LIT("a b"), out), "\"a b\"");
    assert_string_equal(log_quote(SPAN_LIT(""), out), "\"\"");
    assert_string_equal(log_quote(SPAN_LIT("\"\\\n\x01\x7f"), out), "\"\\\"\\\\\\x0a\\x01\\x7f\"");
    for (unsigned c = 0; c < 256; c++) {
        memset(text, (int)c, sizeof text);
        for (size_t n = 0; n < sizeof text; n += 7) {
            log_quote(span_of(text, n), out);
            assert_true(strlen(out) < LOG_QUOTE_MAX);
        }
    }
    assert_string_equal(out + strlen(out) - 4, "\"...");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_quote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
