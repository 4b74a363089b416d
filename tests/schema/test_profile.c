/* Profiles that are built in, profiles in a folder, and what is wrong with bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fs.h"

#include "schema/profile.h"
#include "tests/support/scratch.h"

struct fixture {
    struct arena arena;
    struct err err;
    char *dir;
    struct fs *fs;
};

static int
setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    f->dir = scratch_new();
    must(fs_open_host(f->dir, &f->fs, &f->err) == RC_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    fs_close(f->fs);
    scratch_free(f->dir);
    arena_fini(&f->arena);
    free(f);
    return 0;
}

static const struct sch_collection *
find(const struct sch_profile *p, const char *name)
{
    for (uint32_t i = 0; i < p->n_collections; i++) {
        if (span_eq_str(p->collections[i].name, name))
            return &p->collections[i];
    }
    fail_msg("there is no %s", name);
    return NULL;
}

/* ---- the first customer's ---- */

static void
test_7tv_is_the_data_model(void **state)
{
    /* Name, default sorting field, number of search fields without the id. */
    static const struct {
        const char *name, *sort;
        uint32_t n_fields;
    } rows[] = {
        {"badges", "created_at", 7},
        {"emote_moderation_requests", "priority", 11},
        {"emotes", "score_top_all_time", 25},
        {"emote_sets", "created_at", 11},
        {"invoices", "created_at", 8},
        {"paints", "", 7},
        {"products", "created_at", 9},
        {"redeem_codes", "created_at", 13},
        {"roles", "", 11},
        {"special_events", "created_at", 8},
        {"events", "", 8},
        {"subscription_products", "created_at", 9},
        {"subscriptions", "created_at", 8},
        {"subscription_periods", "created_at", 15},
        {"tickets", "priority", 16},
        {"ticket_messages", "", 4},
        {"user_bans", "created_at", 10},
        {"user_editors", "added_at", 8},
        {"users", "role_rank", 19},
        {"entitlement_edges", "", 2},
    };
    struct fixture *f = *state;
    struct sch_profile p;
    assert_int_equal(sch_profile_load(SPAN_LIT("7tv"), &f->arena, &p, &f->err), RC_OK);
    assert_int_equal(p.n_collections, ARRAY_SIZE(rows));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct sch_collection *c = find(&p, rows[i].name);
        const char *sort = rows[i].sort;
        if (c->n_fields != rows[i].n_fields)
            fail_msg("%s has %u fields", rows[i].name, c->n_fields);
        if (sort[0] == 0)
            assert_int_equal(c->default_sort, -1);
        else
            assert_true(span_eq_str(c->fields[c->default_sort].name, sort));
        assert_int_equal(c->tie, SCH_TIE_ID);
        assert_non_null(c->source);
    }
}

/* Every text field that the API servers search, filter or sort by keeps that ability. */
static void
test_7tv_can_be_searched_as_before(void **state)
{
    static const struct {
        const char *collection, *field;
        unsigned has, has_not;
    } rows[] = {
        {"emotes", "default_name", SCH_INDEXED, SCH_EXACT | SCH_SORT},
        {"emotes", "tags", SCH_INDEXED, SCH_EXACT},
        {"emotes", "score_trending_day", SCH_SORT | SCH_ORDER, 0},
        {"emotes", "score_top_all_time", SCH_SORT | SCH_ORDER, 0},
        {"emotes", "created_at", SCH_SORT | SCH_ORDER, 0},
        {"emotes", "owner_id", SCH_INDEXED | SCH_EXACT, 0},
        {"users", "twitch_names", SCH_INDEXED | SCH_ARRAY, SCH_EXACT},
        {"users", "emotes", SCH_EXACT | SCH_ARRAY, 0},
        {"users", "role_hoist_rank", SCH_SORT | SCH_ORDER, 0},
        {"users", "role_rank", SCH_SORT | SCH_ORDER, 0},
        {"events", "target_id", SCH_EXACT, 0},
        {"events", "created_at", SCH_SORT | SCH_ORDER, 0},
        {"redeem_codes", "code", SCH_INDEXED, SCH_EXACT},
        {"redeem_codes", "name", SCH_INDEXED, SCH_EXACT},
        {"redeem_codes", "tags", SCH_INDEXED, SCH_EXACT},
        {"emote_moderation_requests", "country_code", SCH_INDEXED, SCH_EXACT},
        {"tickets", "priority", SCH_SORT, 0},
    };
    struct fixture *f = *state;
    struct sch_profile p;
    assert_int_equal(sch_profile_load(SPAN_LIT("7tv"), &f->arena, &p, &f->err), RC_OK);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct sch_collection *c = find(&p, rows[i].collection);
        int32_t at = sch_field_find(c, span_str(rows[i].field));
        assert_true(at >= 0);
        unsigned flags = c->fields[at].flags;
        if ((flags & rows[i].has) != rows[i].has || (flags & rows[i].has_not))
            fail_msg("%s.%s has flags %x", rows[i].collection, rows[i].field, flags);
    }
}

/* ---- folders ---- */

static enum rc
load_folder(struct fixture *f, struct sch_profile *out)
{
    struct span path = arena_printf(&f->arena, "%s/", f->dir);
    return sch_profile_load(path, &f->arena, out, &f->err);
}

static void
write_file(struct fixture *f, const char *name, const char *text)
{
    assert_int_equal(fs_write(f->fs, name, span_str(text), &f->err), RC_OK);
}

#define COLLECTION(name, source)                                                                   \
    "{\"name\":\"" name "\",\"source\":" source                                                    \
    ",\"fields\":[{\"name\":\"id\",\"type\":\"string\"},"                                          \
    "{\"name\":\"a\",\"type\":\"string\",\"from\":\"x.y\"}]}"

static void
test_a_folder_is_scanned_in_the_order_asked_for(void **state)
{
    struct fixture *f = *state;
    struct sch_profile p;
    write_file(f, "c.json", COLLECTION("third", "{\"collection\":\"c\"}"));
    write_file(f, "b.json", COLLECTION("second", "{\"collection\":\"b\"}"));
    write_file(f, "z.json", COLLECTION("first", "{\"collection\":\"z\",\"scan\":1}"));
    write_file(f, "a.json", COLLECTION("last", "{\"collection\":\"a\",\"scan\":99}"));
    write_file(f, "notes.txt", "no JSON, and not read");
    assert_int_equal(load_folder(f, &p), RC_OK);
    assert_int_equal(p.n_collections, 4);
    assert_true(span_eq_str(p.collections[0].name, "first"));
    assert_true(span_eq_str(p.collections[1].name, "second"));
    assert_true(span_eq_str(p.collections[2].name, "third"));
    assert_true(span_eq_str(p.collections[3].name, "last"));
    assert_int_equal(p.collections[0].n_fields, 1);
    assert_true(span_eq_str(p.collections[0].fields[0].source->string, "x.y"));
}

static void
test_bad_profiles_name_the_file(void **state)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"{", "JSON"},
        {"{\"name\":\"c\"}", "\"fields\""},
        {"{\"name\":\"c\",\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"from\":\"a\"}]}",
         "\"source\""},
        {"{\"name\":\"c\",\"source\":{},\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}",
         "\"from\""},
        {"{\"name\":\"c\",\"source\":{},\"fields\":[{\"name\":\"a\",\"type\":\"string\","
         "\"from\":5}]}",
         "\"from\""},
        {COLLECTION("good", "{}"), "good"}, /* the name of the other file's collection */
    };
    struct fixture *f = *state;
    struct sch_profile p;
    write_file(f, "a.json", COLLECTION("good", "{}"));
    assert_int_equal(load_folder(f, &p), RC_OK);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        write_file(f, "b.json", rows[i].text);
        f->err.text[0] = 0;
        assert_int_equal(load_folder(f, &p), RC_INVALID);
        if (!strstr(f->err.text, "b.json") || !strstr(f->err.text, rows[i].sentence))
            fail_msg("\"%s\" does not say %s", f->err.text, rows[i].sentence);
    }
}

static void
test_profiles_that_are_not_there(void **state)
{
    struct fixture *f = *state;
    struct sch_profile p;
    assert_int_equal(sch_profile_load(SPAN_LIT("7t"), &f->arena, &p, &f->err), RC_ABSENT);
    assert_int_equal(sch_profile_load(SPAN_LIT(""), &f->arena, &p, &f->err), RC_ABSENT);
    assert_int_equal(load_folder(f, &p), RC_ABSENT); /* empty */
    struct span path = arena_printf(&f->arena, "%s/none", f->dir);
    assert_int_equal(sch_profile_load(path, &f->arena, &p, &f->err), RC_ABSENT);
    assert_int_equal(fs_read_path(arena_str(&f->arena, path), 1, &(struct buf){0}, NULL),
                     RC_ABSENT); /* looking made no folder */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_7tv_is_the_data_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_7tv_can_be_searched_as_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_is_scanned_in_the_order_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bad_profiles_name_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_profiles_that_are_not_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
