/* What a field's flags make of its texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "indexer/document.h"

struct fixture {
    struct arena arena;
    struct tkz_analyzer analyzer;
};

static int
setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    tkz_analyzer_init(&f->analyzer, (struct span){0}, (struct span){0});
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    arena_fini(&f->arena);
    free(f);
    return 0;
}

static struct idx_value
strings(struct fixture *f, unsigned flags, const struct span *v, uint32_t n)
{
    struct sch_field field = {.name = SPAN_LIT("f"), .type = SCH_STRING, .flags = flags};
    struct idx_value value;
    ing_value_strings(&field, &f->analyzer, v, n, &f->arena, &value);
    return value;
}

static void
test_each_flag_adds_its_form(void **state)
{
    static const struct {
        unsigned flags;
        uint32_t n, n_tokens;
        bool has_value, has_key;
    } rows[] = {
        {SCH_INDEXED, 1, 2, false, false},
        {SCH_INDEXED | SCH_FACET, 1, 2, true, false},
        {SCH_INDEXED | SCH_EXACT, 1, 0, true, false},
        {SCH_INDEXED | SCH_EXACT | SCH_SORT, 1, 0, true, true},
        {SCH_INDEXED | SCH_SORT, 1, 2, false, true},
        {SCH_INDEXED | SCH_ARRAY | SCH_FACET, 1, 2, true, false},
        {SCH_STORED, 0, 0, false, false}, /* "index": false */
        {SCH_STORED | SCH_SORT, 0, 0, false, false},
    };
    struct fixture *f = *state;
    struct span text = SPAN_LIT("Forsen E");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct idx_value v = strings(f, rows[i].flags, &text, 1);
        assert_int_equal(v.n, rows[i].n);
        if (v.n == 0)
            continue;
        assert_int_equal(v.text[0].n_tokens, rows[i].n_tokens);
        assert_int_equal(span_eq(v.text[0].value, text), rows[i].has_value);
        assert_int_equal(v.text[0].sort_key.n > 0, rows[i].has_key);
        if (rows[i].n_tokens > 0) {
            assert_true(span_eq_str(v.text[0].tokens[0], "forsen"));
            assert_true(span_eq_str(v.text[0].tokens[1], "e"));
        }
    }
}

static void
test_elements_keep_their_order(void **state)
{
    struct fixture *f = *state;
    struct span v[] = {SPAN_LIT("b"), SPAN_LIT(""), SPAN_LIT("a")};
    struct idx_value got = strings(f, SCH_INDEXED | SCH_ARRAY | SCH_FACET, v, 3);
    assert_int_equal(got.n, 3);
    assert_int_equal(got.text[1].n_tokens, 0);
    assert_true(span_eq_str(got.text[2].tokens[0], "a"));
    assert_int_equal(strings(f, SCH_INDEXED | SCH_ARRAY, v, 0).n, 0);
}

static void
test_a_value_is_cut_where_the_index_ends(void **state)
{
    struct fixture *f = *state;
    enum { BYTES = IDX_VALUE_MAX + 100 };
    char *text = arena_alloc(&f->arena, BYTES);
    memset(text, 'x', BYTES);
    struct span v = span_of(text, BYTES);
    struct idx_value got = strings(f, SCH_INDEXED | SCH_FACET | SCH_SORT, &v, 1);
    assert_int_equal(got.text[0].value.n, IDX_VALUE_MAX);
    assert_int_equal(got.text[0].sort_key.n, TKZ_SORT_KEY_MAX);
    assert_int_equal(got.text[0].tokens[0].n, IDX_TERM_MAX);
}

static void
test_numbers_are_copied(void **state)
{
    struct fixture *f = *state;
    int64_t ints[] = {INT64_MIN, 0, INT64_MAX};
    double floats[] = {-0.5, 1e300};
    struct idx_value v;
    ing_value_ints(ints, 3, &f->arena, &v);
    memset(ints, 1, sizeof ints);
    assert_int_equal(v.n, 3);
    assert_true(v.i64[0] == INT64_MIN && v.i64[1] == 0 && v.i64[2] == INT64_MAX);
    ing_value_floats(floats, 2, &f->arena, &v);
    floats[0] = 0;
    assert_true(v.n == 2 && v.f64[0] == -0.5 && v.f64[1] == 1e300);
    ing_value_ints(ints, 0, &f->arena, &v);
    assert_int_equal(v.n, 0);
    ing_value_floats(floats, 0, &f->arena, &v);
    assert_int_equal(v.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_flag_adds_its_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_elements_keep_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_value_is_cut_where_the_index_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_are_copied, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
