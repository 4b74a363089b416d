/*
 * What a client may say in a schema, what it is told otherwise, and that a
 * written collection reads back equal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/map.h"

#include "schema/schema.h"

struct fixture {
    struct arena arena;
    struct err err;
};

static int
setup(void **state)
{
    *state = xcalloc(1, sizeof(struct fixture));
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

static enum rc
parse(struct fixture *f, const char *text, struct sch_collection *out)
{
    struct json *json = arena_alloc(&f->arena, sizeof *json);
    assert_int_equal(json_parse(span_str(text), &f->arena, json, &f->err), RC_OK);
    return sch_parse(json, &f->arena, out, &f->err);
}

static void
assert_text(struct span got, const char *want)
{
    if (!span_eq_str(got, want))
        fail_msg("got  %.*s\nwant %s", SPAN_ARG(got), want);
}

static void
assert_written(const struct sch_collection *c, uint64_t n, bool without_fields, const char *want)
{
    struct buf out = {0};
    sch_write(c, n, without_fields, &out);
    assert_text(buf_span(&out), want);
    buf_fini(&out);
}

/* The summary of a real server for the same request, but for created_at. */
static void
test_defaults_of_every_type(void **state)
{
    struct sch_collection c;
    const char *text =
        "{\"name\":\"mini\",\"default_sorting_field\":\"score\",\"created_at\":1795333549,"
        "\"fields\":["
        "{\"name\":\"id\",\"type\":\"string\"},"
        "{\"name\":\"name\",\"type\":\"string\"},"
        "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true,\"facet\":true},"
        "{\"name\":\"owner\",\"type\":\"string\",\"sort\":true},"
        "{\"name\":\"score\",\"type\":\"int32\"},"
        "{\"name\":\"ratio\",\"type\":\"float\",\"sort\":false},"
        "{\"name\":\"hidden\",\"type\":\"bool\",\"index\":false,\"store\":false},"
        "{\"name\":\"nums\",\"type\":\"int64[]\",\"infix\":true,\"locale\":\"ja\",\"stem\":true}]}";
    assert_int_equal(parse(*state, text, &c), RC_OK);
    assert_int_equal(c.n_fields, 7);
    assert_int_equal(c.default_sort, 3);
    assert_true(c.fields[3].flags & SCH_ORDER); /* implied */
    assert_written(
        &c, 8, false,
        "{\"created_at\":1795333549,\"default_sorting_field\":\"score\","
        "\"enable_nested_fields\":false,\"fields\":["
        "{\"facet\":false,\"index\":true,\"infix\":false,\"locale\":\"\",\"name\":\"name\","
        "\"optional\":false,\"sort\":false,\"stem\":false,\"store\":true,\"type\":\"string\"},"
        "{\"facet\":true,\"index\":true,\"infix\":false,\"locale\":\"\",\"name\":\"tags\","
        "\"optional\":true,\"sort\":false,\"stem\":false,\"store\":true,\"type\":\"string[]\"},"
        "{\"facet\":false,\"index\":true,\"infix\":false,\"locale\":\"\",\"name\":\"owner\","
        "\"optional\":false,\"sort\":true,\"stem\":false,\"store\":true,\"type\":\"string\"},"
        "{\"facet\":false,\"index\":true,\"infix\":false,\"locale\":\"\",\"name\":\"score\","
        "\"optional\":false,\"sort\":true,\"stem\":false,\"store\":true,\"type\":\"int32\"},"
        "{\"facet\":false,\"index\":true,\"infix\":false,\"locale\":\"\",\"name\":\"ratio\","
        "\"optional\":false,\"sort\":false,\"stem\":false,\"store\":true,\"type\":\"float\"},"
        "{\"facet\":false,\"index\":false,\"infix\":false,\"locale\":\"\",\"name\":\"hidden\","
        "\"optional\":false,\"sort\":true,\"stem\":false,\"store\":false,\"type\":\"bool\"},"
        "{\"facet\":false,\"index\":true,\"infix\":true,\"locale\":\"ja\",\"name\":\"nums\","
        "\"optional\":false,\"sort\":false,\"stem\":true,\"store\":true,\"type\":\"int64[]\"}],"
        "\"name\":\"mini\",\"num_documents\":8,\"symbols_to_index\":[],\"token_separators\":[]}");
    assert_written(&c, 0, true,
                   "{\"created_at\":1795333549,\"default_sorting_field\":\"score\","
                   "\"enable_nested_fields\":false,\"name\":\"mini\",\"num_documents\":0,"
                   "\"symbols_to_index\":[],\"token_separators\":[]}");
}

static void
test_own_options_are_written_only_when_used(void **state)
{
    struct sch_collection c;
    const char *text =
        "{\"created_at\":5,\"default_sorting_field\":\"\",\"enable_nested_fields\":true,"
        "\"fields\":["
        "{\"facet\":false,\"index\":\"exact\",\"infix\":false,\"locale\":\"\",\"name\":\"owner\","
        "\"optional\":true,\"sort\":false,\"stem\":false,\"store\":true,\"type\":\"string\"},"
        "{\"facet\":false,\"index\":true,\"infix\":false,\"locale\":\"\",\"name\":\"at\","
        "\"optional\":false,\"order\":true,\"sort\":true,\"stem\":false,\"store\":true,"
        "\"type\":\"int64\"}],"
        "\"metadata\":{\"a\":[1,2.5],\"z\":\"\\\"\"},\"name\":\"x\",\"num_documents\":0,"
        "\"symbols_to_index\":[\"+\",\"-\"],\"tie\":\"id\",\"token_separators\":[\"_\"]}";
    assert_int_equal(parse(*state, text, &c), RC_OK);
    assert_int_equal(c.tie, SCH_TIE_ID);
    assert_int_equal(c.default_sort, -1);
    assert_true(c.fields[0].flags & SCH_EXACT);
    assert_true(c.fields[0].flags & SCH_INDEXED);
    assert_true(c.fields[1].flags & SCH_ORDER);
    assert_text(c.symbols, "+-");
    assert_written(&c, 0, false, text);
}

static void
test_refusals_say_why(void **state)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"[]", "object"},
        {"{\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}", "needs a \"name\""},
        {"{\"name\":7,\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}", "needs a \"name\""},
        {"{\"name\":\"\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}", "needs a \"name\""},
        {"{\"name\":\"c\"}", "\"fields\" must be an array"},
        {"{\"name\":\"c\",\"fields\":[]}", "at least one field"},
        {"{\"name\":\"c\",\"fields\":[5]}", "must be an object"},
        {"{\"name\":\"c\",\"fields\":[{\"type\":\"string\"}]}", "Each field needs a \"name\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\"}]}", "needs a \"type\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"nope\"}]}", "\"nope\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\".*\",\"type\":\"string\"}]}", "patterns"},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"},"
         "{\"name\":\"a\",\"type\":\"int32\"}]}",
         "two fields with the name \"a\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"facet\":1}]}",
         "\"facet\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"index\":\"x\"}]}",
         "\"exact\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"int32\",\"index\":\"exact\"}]}",
         "string fields"},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"order\":true}]}",
         "\"order\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string[]\",\"sort\":true}]}",
         "cannot be sorted"},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"index\":false,"
         "\"facet\":true}]}",
         "facet"},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"locale\":1}]}",
         "\"locale\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"float[]\",\"num_dim\":4}]}",
         "\"num_dim\""},
        {"{\"name\":\"c\",\"default_sorting_field\":\"zz\","
         "\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "\"zz\""},
        {"{\"name\":\"c\",\"default_sorting_field\":\"a\","
         "\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "must be a number"},
        {"{\"name\":\"c\",\"default_sorting_field\":\"a\","
         "\"fields\":[{\"name\":\"a\",\"type\":\"int32[]\"}]}",
         "no array"},
        {"{\"name\":\"c\",\"default_sorting_field\":\"a\","
         "\"fields\":[{\"name\":\"a\",\"type\":\"int32\",\"optional\":true}]}",
         "must not be optional"},
        {"{\"name\":\"c\",\"token_separators\":[\"ab\"],"
         "\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "one ASCII character"},
        {"{\"name\":\"c\",\"symbols_to_index\":\"+\","
         "\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "\"symbols_to_index\""},
        {"{\"name\":\"c\",\"tie\":\"x\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "\"tie\""},
        {"{\"name\":\"c\",\"metadata\":1,\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "\"metadata\""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sch_collection c = {.n_fields = 4711};
        f->err.text[0] = 0;
        if (parse(f, rows[i].text, &c) != RC_INVALID || !strstr(f->err.text, rows[i].sentence))
            fail_msg("%s: \"%s\" does not say %s", rows[i].text, f->err.text, rows[i].sentence);
        assert_int_equal(c.n_fields, 4711); /* written only on success */
    }
}

static void
test_limits(void **state)
{
    struct fixture *f = *state;
    struct sch_collection c;
    struct buf text = {0};
    buf_puts(&text, "{\"name\":\"c\",\"fields\":[");
    for (int i = 0; i <= SCH_FIELDS_MAX; i++)
        buf_printf(&text, "%s{\"name\":\"f%d\",\"type\":\"string\"}", i ? "," : "", i);
    buf_puts(&text, "]}");
    buf_putc(&text, 0);
    assert_int_equal(parse(f, text.p, &c), RC_INVALID);
    assert_non_null(strstr(f->err.text, "1024"));
    buf_clear(&text);
    buf_puts(&text, "{\"name\":\"");
    for (int i = 0; i <= SCH_NAME_MAX; i++)
        buf_putc(&text, 'n');
    buf_puts(&text, "\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}");
    buf_putc(&text, 0);
    assert_int_equal(parse(f, text.p, &c), RC_INVALID);
    buf_fini(&text);
}

static void
test_copy_stands_alone(void **state)
{
    struct fixture *f = *state;
    struct arena other = {0};
    struct sch_collection c, copy;
    const char *text = "{\"name\":\"c\",\"default_sorting_field\":\"b\",\"metadata\":{\"k\":1},"
                       "\"token_separators\":[\"-\"],\"fields\":["
                       "{\"name\":\"a\",\"type\":\"string\",\"locale\":\"el\"},"
                       "{\"name\":\"b\",\"type\":\"float\"}]}";
    assert_int_equal(parse(f, text, &c), RC_OK);
    struct buf before = {0}, after = {0};
    sch_write(&c, 1, false, &before);
    sch_copy(&c, &other, &copy);
    arena_fini(&f->arena);
    sch_write(&copy, 1, false, &after);
    assert_true(span_eq(buf_span(&before), buf_span(&after)));
    assert_int_equal(sch_field_find(&copy, SPAN_LIT("b")), 1);
    assert_int_equal(sch_field_find(&copy, SPAN_LIT("c")), -1);
    buf_fini(&before);
    buf_fini(&after);
    arena_fini(&other);
}

#define WITH(options)                                                                              \
    "{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"" options "}]}"

static void
test_fingerprint_follows_storage(void **state)
{
    static const char *const different[] = {
        WITH(""),
        WITH(",\"facet\":true"),
        WITH(",\"index\":false"),
        WITH(",\"index\":\"exact\""),
        WITH(",\"sort\":true"),
        WITH(",\"locale\":\"th\""),
        WITH(",\"store\":false"),
        "{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string[]\"}]}",
        "{\"name\":\"c\",\"fields\":[{\"name\":\"b\",\"type\":\"string\"}]}",
        "{\"name\":\"c\",\"tie\":\"id\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
        "{\"name\":\"c\",\"token_separators\":[\"-\"],"
        "\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
        "{\"name\":\"c\",\"symbols_to_index\":[\"-\"],"
        "\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
    };
    static const char *const same[] = {
        WITH(",\"optional\":true"),
        WITH(",\"stem\":true"),
        "{\"name\":\"other\",\"metadata\":{},\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
    };
    uint64_t seen[ARRAY_SIZE(different)];
    struct sch_collection c;
    for (size_t i = 0; i < ARRAY_SIZE(different); i++) {
        assert_int_equal(parse(*state, different[i], &c), RC_OK);
        seen[i] = sch_fingerprint(&c);
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        assert_int_equal(parse(*state, same[i], &c), RC_OK);
        assert_true(sch_fingerprint(&c) == seen[0]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults_of_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_options_are_written_only_when_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_refusals_say_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copy_stands_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fingerprint_follows_storage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
