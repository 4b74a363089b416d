/* How far two answers agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/compare.h"

struct pair {
    struct arena arena;
    struct qry_top a, b;
};

static struct qry_agreement
agree(struct pair *p, const char *a, const char *b)
{
    struct json left, right;
    assert_int_equal(json_parse(span_str(a), &p->arena, &left, NULL), RC_OK);
    assert_int_equal(json_parse(span_str(b), &p->arena, &right, NULL), RC_OK);
    qry_top_read(&left, &p->a);
    qry_top_read(&right, &p->b);
    return qry_top_compare(&p->a, &p->b);
}

#define HIT(id) "{\"document\":{\"id\":\"" id "\"}}"

static void
equal_answers(void **state)
{
    (void)state;
    struct pair p = {0};
    static const char one[] = "{\"found\":2,\"hits\":[" HIT("1") "," HIT("2") "]}";
    struct qry_agreement g = agree(&p, one, "{\"hits\":[" HIT("2") "," HIT("1") "],\"found\":2}");
    assert_true(g.is_found_equal && g.has_overlap);
    assert_true(g.overlap == 1 && g.badness == 0);
    g = agree(&p, "{\"found\":0,\"hits\":[]}", "{\"found\":0,\"hits\":[]}");
    assert_true(g.is_found_equal && g.overlap == 1 && g.badness == 0);
    arena_fini(&p.arena);
}

static void
different_answers(void **state)
{
    (void)state;
    struct pair p = {0};
    static const char four[] =
        "{\"found\":4,\"hits\":[" HIT("1") "," HIT("2") "," HIT("3") "," HIT("4") "]}";
    struct qry_agreement g = agree(&p, four, "{\"found\":2,\"hits\":[" HIT("2") "," HIT("9") "]}");
    assert_false(g.is_found_equal);
    assert_true(g.overlap == 0.25 && g.badness == 0.75 + 0.5);
    g = agree(&p, four, "{\"found\":0,\"hits\":[]}");
    assert_true(g.overlap == 0 && g.badness == 2);
    arena_fini(&p.arena);
}

static void
only_the_first_ten_count(void **state)
{
    (void)state;
    struct pair p = {0};
    struct buf a = {0}, b = {0};
    buf_puts(&a, "{\"found\":20,\"hits\":[");
    buf_puts(&b, "{\"found\":20,\"hits\":[");
    for (int i = 0; i < 20; i++) {
        buf_printf(&a, "%s{\"document\":{\"id\":\"%d\"}}", i ? "," : "", i);
        buf_printf(&b, "%s{\"document\":{\"id\":\"%d\"}}", i ? "," : "", i < 10 ? i : i + 100);
    }
    buf_puts(&a, "]}");
    buf_puts(&b, "]}");
    buf_putc(&a, '\0');
    buf_putc(&b, '\0');
    struct qry_agreement g = agree(&p, a.p, b.p);
    assert_true(g.overlap == 1 && p.a.n == QRY_TOP_N);
    buf_fini(&a);
    buf_fini(&b);
    arena_fini(&p.arena);
}

static void
groups_and_documents_without_ids(void **state)
{
    (void)state;
    struct pair p = {0};
    static const char groups[] = "{\"found\":2,\"grouped_hits\":[{\"hits\":[" HIT(
        "1") "]},{\"hits\":[" HIT("2") "," HIT("3") "]}]}";
    struct qry_agreement g = agree(&p, groups, groups);
    assert_true(g.has_overlap && p.a.n == 3 && span_eq_str(p.a.ids[2], "3"));
    static const char bare[] = "{\"found\":1,\"hits\":[{\"document\":{\"name\":\"x\"}}]}";
    g = agree(&p, bare, bare);
    assert_false(g.has_overlap);
    assert_true(g.is_found_equal && g.badness == 0);
    arena_fini(&p.arena);
}

static void
errors_and_nonsense(void **state)
{
    (void)state;
    struct pair p = {0};
    static const char error[] = "{\"message\":\"no\"}", good[] = "{\"found\":0,\"hits\":[]}";
    assert_true(agree(&p, error, "{\"code\":404,\"error\":\"no\"}").badness == 0);
    assert_true(agree(&p, error, good).badness == 2);
    static const char *const nonsense[] = {"[]",
                                           "1",
                                           "{\"found\":\"x\"}",
                                           "{\"found\":1,\"hits\":7}",
                                           "{\"found\":-1,\"hits\":[1,null,{\"document\":3}]}",
                                           "{\"found\":1,\"grouped_hits\":[1,{\"hits\":null}]}"};
    for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++)
        (void)agree(&p, nonsense[i], good);
    qry_top_read(NULL, &p.a);
    assert_true(p.a.is_error);
    arena_fini(&p.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_answers),
        cmocka_unit_test(different_answers),
        cmocka_unit_test(only_the_first_ten_count),
        cmocka_unit_test(groups_and_documents_without_ids),
        cmocka_unit_test(errors_and_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
