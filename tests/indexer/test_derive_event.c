/*
 * Every kind of stored event (event_cases.txt), and events that no one knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fs.h"

#include "doc_text.h"
#include "mapping_kit.h"

enum { COLUMNS = 8, FILE_BYTES_MAX = 1 << 16 };
enum column { OUTER, KIND, TARGET, SIBLINGS, DATA, ACTION, WANT_TARGET, WANT_RELATED };

/* Maps `{"_id":$A,"updated_at":#1,"data":<data>}`. */
static struct ing_mapped
map_event(struct mapping_rig *f, struct span data)
{
    struct ing_mapped mapped;
    struct span text =
        arena_printf(&f->arena, "{\"_id\":$A,\"updated_at\":#1,\"data\":%.*s}", SPAN_ARG(data));
    bson_t *doc = doc_of_text(text);
    enum rc rc = mapping_rig_run(f, "events", doc, 5, &mapped);
    bson_destroy(doc);
    assert_int_equal(rc, RC_OK);
    return mapped;
}

/* The search document that a row describes. */
static struct buf
want_of(const struct span *column)
{
    struct buf text = {0};
    struct span related = column[WANT_RELATED];
    buf_printf(&text,
               "{\"action\":%.*s,\"created_at\":1671271360768,\"id\":\"$A\",\"related_ids\":[",
               SPAN_ARG(column[ACTION]));
    while (related.p && related.n > 0) {
        json_put_comma(&text);
        json_put_str(&text, span_split(&related, ' '));
    }
    buf_printf(&text, "],\"search_updated_at\":5,\"target_id\":\"%.*s\",\"updated_at\":1}",
               SPAN_ARG(column[WANT_TARGET]));
    struct buf want = ids_of_text(buf_span(&text));
    buf_fini(&text);
    return want;
}

static void
check_row(struct mapping_rig *f, struct span line)
{
    struct span column[COLUMNS], rest = line;
    for (size_t i = 0; i < COLUMNS; i++)
        column[i] = span_split(&rest, '\t');
    bool has_data = column[DATA].n > 0;
    struct span data = arena_printf(
        &f->arena,
        "{\"kind\":\"%.*s\",\"target_id\":%.*s%.*s,\"data\":{\"kind\":\"%.*s\"%s%.*s%s}}",
        SPAN_ARG(column[OUTER]), SPAN_ARG(column[TARGET]), SPAN_ARG(column[SIBLINGS]),
        SPAN_ARG(column[KIND]), has_data ? ",\"data\":{" : "", SPAN_ARG(column[DATA]),
        has_data ? "}" : "");
    struct ing_mapped mapped = map_event(f, data);
    struct buf want = want_of(column);
    if (!span_eq(mapped.doc.json, buf_span(&want)) || mapped.n_bad > 0)
        fail_msg("%.*s\n got %.*s (%.*s)\nwant %.*s", SPAN_ARG(line), SPAN_ARG(mapped.doc.json),
                 SPAN_ARG(mapped.bad), SPAN_ARG(buf_span(&want)));
    buf_fini(&want);
}

static void
test_every_kind_of_event(void **state)
{
    struct mapping_rig *f = *state;
    struct buf text = {0};
    unsigned n = 0;
    assert_int_equal(fs_read_path("tests/indexer/event_cases.txt", FILE_BYTES_MAX, &text, &f->err),
                     RC_OK);
    for (struct span rest = buf_span(&text); rest.p;) {
        struct span line = span_split(&rest, '\n');
        if (line.n == 0 || line.p[0] == '#')
            continue;
        check_row(f, line);
        n++;
    }
    assert_true(n > 100);
    buf_fini(&text);
}

static void
test_unknown_events(void **state)
{
    static const struct {
        const char *data;
        uint32_t n_bad;
        const char *json; /* from related_ids on */
    } rows[] = {
        {"null", 2, "[],\"search_updated_at\":5,\"target_id\":\"\""},
        {"{\"kind\":\"hat\",\"target_id\":$B,\"data\":{\"kind\":\"create\"}}", 2,
         "[],\"search_updated_at\":5,\"target_id\":\"\""},
        {"{\"kind\":\"emote\",\"target_id\":$B,\"data\":{\"kind\":\"paint\"}}", 1,
         "[],\"search_updated_at\":5,\"target_id\":\"emote:01EZPG1FN80001SNAW004HRJVT\""},
        {"{\"kind\":\"emote\",\"target_id\":\"x\",\"data\":{\"kind\":\"upload\"}}", 1,
         "[],\"search_updated_at\":5,\"target_id\":\"\""},
        {"{\"kind\":\"emote\",\"target_id\":$B,\"data\":{\"kind\":\"process\",\"data\":{}}}", 1,
         "[],\"search_updated_at\":5,\"target_id\":\"emote:01EZPG1FN80001SNAW004HRJVT\""},
        {"{\"kind\":\"emote\",\"target_id\":$B,\"data\":{\"kind\":\"merge\",\"data\":"
         "{\"new_emote_id\":7}}}",
         1, "[],\"search_updated_at\":5,\"target_id\":\"emote:01EZPG1FN80001SNAW004HRJVT\""},
        {"{\"kind\":\"user_editor\",\"target_id\":$B,\"data\":{\"kind\":\"add_editor\"}}", 1,
         "[],\"search_updated_at\":5,\"target_id\":\"\""},
    };
    struct mapping_rig *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ing_mapped mapped = map_event(f, span_str(rows[i].data));
        char *text = arena_str(&f->arena, mapped.doc.json);
        const char *related = strstr(text, "\"related_ids\":");
        assert_non_null(related);
        if (mapped.n_bad != rows[i].n_bad ||
            !span_starts(span_str(related + 14), span_str(rows[i].json)))
            fail_msg("%s: %u: %.*s", rows[i].data, mapped.n_bad, SPAN_ARG(mapped.doc.json));
    }
}

static void
test_actor_and_session(void **state)
{
    struct mapping_rig *f = *state;
    struct ing_mapped mapped;
    bson_t *doc = doc_of_text(
        SPAN_LIT("{\"_id\":$A,\"actor_id\":$B,\"session_id\":$C,\"updated_at\":#1,"
                 "\"data\":{\"kind\":\"emote\",\"target_id\":$B,\"data\":{\"kind\":\"upload\"}}}"));
    assert_int_equal(mapping_rig_run(f, "events", doc, 5, &mapped), RC_OK);
    bson_destroy(doc);
    assert_true(span_eq_str(
        mapped.doc.json,
        "{\"action\":0,\"actor_id\":\"01EZPG1FN80001SNAW004HRJVT\",\"created_at\":1671271360768,"
        "\"id\":\"01GMFRJA800007JWKSWBEWV3C9\",\"related_ids\":[],\"search_updated_at\":5,"
        "\"session_id\":\"644JAH244N89EAJGXHMC2W48RY\","
        "\"target_id\":\"emote:01EZPG1FN80001SNAW004HRJVT\",\"updated_at\":1}"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_event),
        cmocka_unit_test(test_unknown_events),
        cmocka_unit_test(test_actor_and_session),
    };
    return cmocka_run_group_tests(tests, mapping_rig_setup, mapping_rig_teardown);
}
