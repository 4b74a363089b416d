/*
 * What an indexer of this data model once got wrong, by the numbers of
 * indexer/DEFECTS.md: what no other test shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

static void
update_all(struct rig *r, const char *collection, const char *change)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"update\": \"%s\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\": %s}]}",
             collection, change);
    rig_command(r, json);
}

/* 1 */
static void
deletes_and_edges_while_it_was_stopped(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 10);
    world_role(&r, 1, 10, true);
    world_user(&r, 1, 0, "one");
    assert_true(rig_open_settled(&r));
    rig_close(&r);
    world_remove(&r, "emotes", 'e', 3);
    world_edge(&r, 'u', 1, 'r', 1);
    assert_true(rig_open_settled(&r));
    assert_int_equal(rig_count(&r, "emotes"), 9);
    assert_true(world_has(&r, "users", 'u', 1, "\"role_rank\":10"));
    rig_fini(&r);
}

/* 6 */
static void
an_id_that_goes_and_comes_ends_as_it_is(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    assert_true(rig_open_settled(&r));
    for (int i = 0; i < 200; i++) {
        world_emote(&r, 1, "again", i);
        world_remove(&r, "emotes", 'e', 1);
        world_remove(&r, "emotes", 'e', 2);
        world_emote(&r, 2, "back", i);
    }
    assert_true(rig_settle(&r));
    assert_false(world_has(&r, "emotes", 'e', 1, "again"));
    assert_true(world_has(&r, "emotes", 'e', 2, "\"score_top_all_time\":199"));
    rig_fini(&r);
}

/* 7: the documents say that all is done, and it is not. */
static void
marks_are_no_reason_to_skip(void **state)
{
    struct rig r;
    char id[27], emote[64];
    rig_init(&r, *state);
    world_set(&r, 1, 0, 2);
    world_role(&r, 1, 10, true);
    world_user(&r, 1, 1, "one");
    world_edge(&r, 'u', 1, 'r', 1);
    assert_true(rig_open_settled(&r));
    rig_close(&r);
    world_set(&r, 1, 50, 1);
    world_role(&r, 1, 70, true);
    update_all(&r, "emote_sets",
               "{\"$set\": {\"emotes_changed_since_reindex\": false,"
               " \"search_updated_at\": {\"$date\": 4000000000000}}}");
    update_all(&r, "roles",
               "{\"$set\": {\"applied_rank\": 70,"
               " \"search_updated_at\": {\"$date\": 4000000000000}}}");
    assert_true(rig_open_settled(&r));
    snprintf(emote, sizeof emote, "\"emotes\":[\"%s\"]", world_text('e', 50, id));
    assert_true(world_has(&r, "users", 'u', 1, emote));
    assert_true(world_has(&r, "users", 'u', 1, "\"role_rank\":70"));
    rig_fini(&r);
}

/* 8 */
static void
writes_of_one_millisecond_are_two(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_emote(&r, 1, "first", 1);
    assert_true(rig_open_settled(&r));
    for (int i = 0; i < 20; i++) {
        char change[160];
        snprintf(change, sizeof change,
                 "{\"$set\": {\"default_name\": \"w%d\", \"search_updated_at\": null,"
                 " \"updated_at\": {\"$date\": 1700000000000}}}",
                 i);
        update_all(&r, "emotes", change);
        clock_sleep_us(5000); /* in between, the one before is on its way */
    }
    assert_true(rig_settle(&r));
    assert_true(world_has(&r, "emotes", 'e', 1, "\"default_name\":\"w19\""));
    assert_true(rig_await_stored(&r, "emotes", "{\"search_updated_at\": {\"$ne\": null}}", 1));
    rig_fini(&r);
}

/* 10 */
static void
edges_at_both_ends_at_once(void **state)
{
    struct rig r;
    char id[27], badge[64];
    rig_init(&r, *state);
    for (unsigned i = 0; i < 30; i++) {
        world_role(&r, i, (int)i, true);
        world_user(&r, i, 0, "user");
    }
    assert_true(rig_open_settled(&r));
    for (unsigned i = 0; i < 30; i++) {
        bool is_user_first = i % 2;
        if (is_user_first)
            world_edge(&r, 'u', i, 'r', i);
        world_edge(&r, 'r', i, 'b', i);
        if (!is_user_first)
            world_edge(&r, 'u', i, 'r', i);
    }
    assert_true(rig_settle(&r));
    for (unsigned i = 0; i < 30; i++) {
        snprintf(badge, sizeof badge, "\"badge:%s\"", world_text('b', i, id));
        assert_true(world_has(&r, "users", 'u', i, badge));
    }
    rig_fini(&r);
}

/* 12: neither updated_at nor search_updated_at tell of it. */
static void
changes_without_dates_are_seen(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    rig_command(&r, "{\"insert\": \"emote_moderation_requests\", \"documents\": [{\"_id\":"
                    " {\"$uuid\": \"01851f89-2900-0000-7972-79e2ddcd8d89\"},"
                    " \"status\": 0, \"kind\": 0, \"updated_at\": {\"$date\": 5},"
                    " \"search_updated_at\": {\"$date\": 9}}]}");
    assert_true(rig_open_settled(&r));
    update_all(&r, "emote_moderation_requests", "{\"$set\": {\"status\": 3}}");
    assert_true(rig_settle(&r));
    struct arena arena = {0};
    struct span doc =
        rig_doc(&r, "emote_moderation_requests", SPAN_LIT("01GMFRJA800007JWKSWBEWV3C9"), &arena);
    assert_non_null(doc.p);
    assert_non_null(strstr(doc.p, "\"status\":3"));
    arena_fini(&arena);
    rig_fini(&r);
}

/* 16, 32: neither an error nor a reason to be unwell. */
static void
deletes_of_what_was_never_there(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    assert_true(rig_open_settled(&r));
    rig_command(&r, "{\"insert\": \"emotes\", \"documents\": [{\"_id\": 7}, {\"_id\": \"x\"}]}");
    rig_command(&r, "{\"delete\": \"emotes\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}");
    world_emote(&r, 1, "short", 1);
    world_remove(&r, "emotes", 'e', 1);
    assert_true(rig_settle(&r));
    assert_int_equal(rig_status(&r, "errors"), 0);
    assert_int_equal(rig_count(&r, "emotes"), 0);
    struct buf health = {0};
    ing_mongo_write_health(r.m, &health);
    buf_putc(&health, 0);
    assert_non_null(strstr(health.p, "\"tailing\""));
    buf_fini(&health);
    rig_fini(&r);
}

/* 5: what was refused says so in MongoDB, too: it stays unmarked. */
static void
never_marks_what_it_left_out(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    assert_true(rig_open_settled(&r));
    rig_command(&r, "{\"insert\": \"emotes\", \"documents\": [{\"_id\": \"no ULID\","
                    " \"updated_at\": {\"$date\": 5}, \"search_updated_at\": null}]}");
    world_emote(&r, 1, "good", 1);
    assert_true(rig_await_stored(&r, "emotes", "{\"search_updated_at\": {\"$ne\": null}}", 1));
    assert_int_equal(
        rig_count_stored(&r, "emotes", "{\"_id\": \"no ULID\", \"search_updated_at\": null}"), 1);
    rig_fini(&r);
}

/* 25: sets that stem from one that changed are the application's business. */
static void
sets_of_the_same_origin_are_left_alone(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_set(&r, 1, 0, 2);
    world_set(&r, 2, 5, 2);
    update_all(&r, "emote_sets",
               "{\"$set\": {\"origin_config\": {\"origins\": [],"
               " \"needs_resync\": true}}}");
    assert_true(rig_open_settled(&r));
    world_set(&r, 1, 9, 1); /* without origin_config: the other one keeps it */
    assert_true(rig_settle(&r));
    static const char changed[] = "{\"emotes_changed_since_reindex\": true}";
    assert_true(rig_await_stored(&r, "emote_sets", changed, 0));
    assert_int_equal(rig_count_stored(&r, "emote_sets", "{\"origin_config.needs_resync\": true}"),
                     1);
    rig_fini(&r);
}

/* 33: more updates than a reply of the server holds. */
static void
thousands_are_marked_at_once(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_emotes(&r, 0, 6000);
    assert_true(rig_open_settled(&r));
    assert_true(rig_await_stored(&r, "emotes", "{\"search_updated_at\": null}", 0));
    rig_fini(&r);
}

/* 35 */
static void
other_databases_are_others(void **state)
{
    struct rig r, other;
    rig_init(&r, *state);
    clock_sleep_us(2000); /* names are made of the time */
    rig_init(&other, *state);
    assert_true(rig_open_settled(&r));
    world_emotes(&other, 0, 20);
    rig_command(&other, "{\"drop\": \"emotes\"}");
    world_emote(&r, 1, "ours", 1);
    assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 1);
    assert_int_equal(rig_status(&r, "applied_keys"), 1);
    rig_fini(&other);
    rig_fini(&r);
}

/* 36, kept: a set shows what is in it, whatever became of that. */
static void
merged_emotes_stay_in_lists(void **state)
{
    struct rig r;
    char id[27], emote[64];
    rig_init(&r, *state);
    world_emotes(&r, 0, 3);
    world_set(&r, 1, 1, 1);
    world_user(&r, 1, 1, "one");
    assert_true(rig_open_settled(&r));
    update_all(&r, "emotes",
               "{\"$set\": {\"merged\": {\"target_id\": {\"$uuid\":"
               " \"01851f89-2900-0000-7972-79e2ddcd8d89\"}, \"at\": {\"$date\": 1}}}}");
    world_remove(&r, "emotes", 'e', 1);
    assert_true(rig_settle(&r));
    snprintf(emote, sizeof emote, "\"emotes\":[\"%s\"]", world_text('e', 1, id));
    assert_true(world_has(&r, "users", 'u', 1, emote));
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deletes_and_edges_while_it_was_stopped),
        cmocka_unit_test(never_marks_what_it_left_out),
        cmocka_unit_test(an_id_that_goes_and_comes_ends_as_it_is),
        cmocka_unit_test(marks_are_no_reason_to_skip),
        cmocka_unit_test(writes_of_one_millisecond_are_two),
        cmocka_unit_test(edges_at_both_ends_at_once),
        cmocka_unit_test(changes_without_dates_are_seen),
        cmocka_unit_test(deletes_of_what_was_never_there),
        cmocka_unit_test(sets_of_the_same_origin_are_left_alone),
        cmocka_unit_test(thousands_are_marked_at_once),
        cmocka_unit_test(other_databases_are_others),
        cmocka_unit_test(merged_emotes_stay_in_lists),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
