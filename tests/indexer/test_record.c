/*
 * Documents of the API: merging, ids, types and dirty values, one case a row.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "indexer/oplog_record.h"
#include "indexer/record.h"

static const char SCHEMA[] = "{\"name\":\"c\",\"fields\":["
                             "{\"name\":\"s\",\"type\":\"string\",\"optional\":true},{\"name\":"
                             "\"i\",\"type\":\"int32\",\"optional\":true},"
                             "{\"name\":\"l\",\"type\":\"int64\",\"optional\":true},{\"name\":"
                             "\"f\",\"type\":\"float\",\"optional\":true},"
                             "{\"name\":\"b\",\"type\":\"bool\",\"optional\":true},{\"name\":"
                             "\"ss\",\"type\":\"string[]\",\"optional\":true},"
                             "{\"name\":\"must\",\"type\":\"string\"}]}";

struct row {
    const char *in;
    enum ing_dirty dirty;
    const char *out; /* the stored text; NULL: refused */
};

static const struct row ROWS[] = {
    {"{\"id\":\"1\",\"must\":\"x\"}", ING_DIRTY_REJECT, "{\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"must\":\"x\",\"id\":\"1\",\"zzz\":{\"a\":1},\"aaa\":2}", ING_DIRTY_REJECT,
     "{\"aaa\":2,\"id\":\"1\",\"must\":\"x\",\"zzz\":{\"a\":1}}"},
    {"{\"id\":\"1\"}", ING_DIRTY_REJECT, NULL},
    {"{\"id\":\"1\",\"must\":null}", ING_DIRTY_REJECT, NULL},
    {"{\"id\":\"1\",\"must\":\"x\",\"s\":null}", ING_DIRTY_REJECT, "{\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":\"12\"}", ING_DIRTY_REJECT, NULL},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":1.0}", ING_DIRTY_REJECT, NULL},
    {"{\"id\":\"1\",\"must\":\"x\",\"f\":1}", ING_DIRTY_REJECT,
     "{\"f\":1,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"f\":1.0}", ING_DIRTY_REJECT,
     "{\"f\":1.0,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":\"12\"}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"i\":12,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":1.9}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"i\":1,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":true}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"i\":1,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"f\":\"1.5\"}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"f\":1.5,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"b\":\"true\"}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"b\":true,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"b\":1}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"b\":true,\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":5}", ING_DIRTY_COERCE_OR_REJECT, "{\"id\":\"1\",\"must\":\"5\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"ss\":\"y\"}", ING_DIRTY_COERCE_OR_REJECT, NULL},
    {"{\"id\":\"1\",\"must\":\"x\",\"ss\":[\"y\",5]}", ING_DIRTY_COERCE_OR_REJECT,
     "{\"id\":\"1\",\"must\":\"x\",\"ss\":[\"y\",\"5\"]}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":\"no\"}", ING_DIRTY_COERCE_OR_REJECT, NULL},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":\"no\"}", ING_DIRTY_COERCE_OR_DROP,
     "{\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"i\":\"12\"}", ING_DIRTY_DROP, "{\"id\":\"1\",\"must\":\"x\"}"},
    {"{\"id\":\"1\",\"must\":\"x\",\"ss\":[\"y\",5]}", ING_DIRTY_DROP,
     "{\"id\":\"1\",\"must\":\"x\",\"ss\":[\"y\"]}"},
    {"{\"id\":\"1\",\"must\":5}", ING_DIRTY_DROP, NULL},
    {"{\"id\":\"1\",\"must\":\"x\",\"l\":9223372036854775807}", ING_DIRTY_REJECT,
     "{\"id\":\"1\",\"l\":9223372036854775807,\"must\":\"x\"}"},
    {"{\"id\":1,\"must\":\"x\"}", ING_DIRTY_REJECT, NULL},
    {"{\"id\":\"\",\"must\":\"x\"}", ING_DIRTY_REJECT, NULL},
};

static void
parse(const char *text, struct arena *arena, struct json *out)
{
    struct err err = {0};
    if (json_parse(span_str(text), arena, out, &err) != RC_OK)
        fail_msg("%s: %s", text, err.text);
}

static void
documents_are_checked_and_coerced(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct json json;
    struct sch_collection schema;
    struct tkz_analyzer analyzer;
    parse(SCHEMA, &arena, &json);
    assert_int_equal(sch_parse(&json, &arena, &schema, NULL), RC_OK);
    tkz_analyzer_init(&analyzer, schema.separators, schema.symbols);
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        struct err err = {0};
        struct ing_record built;
        struct json object;
        parse(ROWS[i].in, &arena, &object);
        const struct ing_record_rules rules = {&schema, &analyzer, ROWS[i].dirty};
        enum rc rc = ing_record_build(&rules, &object, &arena, &built, &err);
        if (!ROWS[i].out) {
            if (rc != RC_INVALID || !err.text[0])
                fail_msg("%s: accepted", ROWS[i].in);
        } else if (rc != RC_OK || !span_eq_str(built.doc.json, ROWS[i].out)) {
            fail_msg("%s: %s, stored %.*s", ROWS[i].in, err.text,
                     rc == RC_OK ? (int)built.doc.json.n : 0, rc == RC_OK ? built.doc.json.p : "");
        }
    }
    arena_fini(&arena);
}

static void
merging_lays_the_patch_over(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct json base, patch, merged;
    struct buf text = {0};
    parse("{\"a\":1,\"b\":2,\"c\":3}", &arena, &base);
    parse("{\"b\":null,\"c\":4,\"d\":5,\"e\":null}", &arena, &patch);
    ing_record_merge(&base, &patch, &arena, &merged);
    json_put(&text, &merged, true);
    assert_true(span_eq_str(buf_span(&text), "{\"a\":1,\"c\":4,\"d\":5}"));
    buf_clear(&text);
    ing_record_merge(NULL, &patch, &arena, &merged);
    ing_record_set_id(&merged, SPAN_LIT("7"), &arena);
    json_put(&text, &merged, true);
    assert_true(span_eq_str(buf_span(&text), "{\"c\":4,\"d\":5,\"id\":\"7\"}"));
    buf_fini(&text);
    arena_fini(&arena);
}

static void
log_records_read_back(void **state)
{
    (void)state;
    const struct ing_oplog_record in = {
        .uid = 300, .seq = 1u << 20, .id = SPAN_LIT("a\0b"), .json = SPAN_LIT("{}")};
    struct ing_oplog_record out;
    struct buf bytes = {0};
    ing_oplog_write(&bytes, &in);
    assert_int_equal(ing_oplog_read(buf_span(&bytes), &out, NULL), RC_OK);
    assert_int_equal(out.uid, in.uid);
    assert_int_equal(out.seq, in.seq);
    assert_true(span_eq(out.id, in.id) && span_eq(out.json, in.json) && !out.is_delete);
    for (size_t n = 0; n < bytes.n; n++)
        assert_int_equal(ing_oplog_read(span_of(bytes.p, n), &out, NULL), RC_CORRUPT);
    buf_fini(&bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_checked_and_coerced),
        cmocka_unit_test(merging_lays_the_patch_over),
        cmocka_unit_test(log_records_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
