/* Changes of every kind reach the index, whatever their order and number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

static void
bootstraps_what_was_there(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 9000);
    world_emote(&r, 42, "KappaPride", 7);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_int_equal(rig_count(&r, "emotes"), 9000);
    struct arena arena = {0};
    char id[27];
    struct span doc = rig_doc(&r, "emotes", span_str(world_text('e', 42, id)), &arena);
    assert_non_null(doc.p);
    assert_non_null(strstr(doc.p, "\"KappaPride\""));
    arena_fini(&arena);
    rig_fini(&r);
}

/* What was written a moment before the first start is not majority-committed yet. */
static void
misses_nothing_written_just_before(void **state)
{
    for (int round = 0; round < 8; round++) {
        struct rig r;
        rig_init(&r, *state);
        world_emotes(&r, 0, 10);
        for (unsigned i = 0; i < 10; i++)
            world_emote(&r, 100 + i, "last", 1);
        rig_open(&r);
        assert_true(rig_wait_ready(&r));
        assert_int_equal(rig_count(&r, "emotes"), 20);
        rig_fini(&r);
    }
}

static void
applies_each_kind_of_change(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 10);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    world_emote(&r, 100, "inserted", 1);
    world_emote(&r, 1, "replaced", 1);
    world_remove(&r, "emotes", 'e', 2);
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$set\": {\"scores.top_daily\": 99}}}]}");
    rig_command(&r,
                "{\"update\": \"emotes\", \"updates\": [{\"q\": {\"default_name\": \"replaced\"},"
                " \"u\": {\"$unset\": {\"tags\": 1}}}]}");
    assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 10);
    struct arena arena = {0};
    char id[27];
    struct span doc = rig_doc(&r, "emotes", span_str(world_text('e', 1, id)), &arena);
    assert_non_null(doc.p);
    assert_non_null(strstr(doc.p, "\"replaced\""));
    assert_non_null(strstr(doc.p, "\"score_top_daily\":99"));
    assert_null(strstr(doc.p, "\"tag\""));
    assert_null(rig_doc(&r, "emotes", span_str(world_text('e', 2, id)), &arena).p);
    arena_fini(&arena);
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
drops_write_backs_and_nothing_else(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 3);
    assert_true(rig_open_settled(&r));
    int64_t before = rig_status(&r, "applied_keys");
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$set\": {\"search_updated_at\": {\"$date\": 1700000000000},"
                    " \"cached.role_rank\": 3, \"applied_rank\": 1}}}]}");
    assert_true(rig_settle(&r));
    assert_int_equal(rig_status(&r, "applied_keys"), before);
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$set\": {\"search_updated_at\": null}}}]}");
    assert_true(rig_settle(&r));
    assert_int_equal(rig_status(&r, "applied_keys"), before + 3);
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$unset\": {\"cached\": 1}}}]}");
    assert_true(rig_settle(&r));
    assert_int_equal(rig_status(&r, "applied_keys"), before + 6);
    rig_fini(&r);
}

static void
rebuilds_a_dropped_or_renamed_collection(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 50);
    world_role(&r, 1, 5, true);
    world_user(&r, 1, 0, "first");
    world_edge(&r, 'u', 1, 'r', 1);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    rig_command(&r, "{\"drop\": \"emotes\"}");
    world_emote(&r, 7, "after", 1);
    assert_true(rig_settle(&r));
    for (int i = 0; i < 1000 && rig_count(&r, "emotes") != 1; i++)
        assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 1);
    char command[256];
    snprintf(command, sizeof command,
             "{\"renameCollection\": \"%s.roles\", \"to\": \"%s.elsewhere\"}", r.name, r.name);
    bson_error_t error;
    bson_t *rename = bson_new_from_json((const uint8_t *)command, -1, &error);
    assert_true(mongoc_client_command_simple(r.client, "admin", rename, NULL, NULL, &error));
    bson_destroy(rename);
    for (int i = 0; i < 1000 && rig_count(&r, "roles") != 0; i++)
        assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "roles"), 0);
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
survives_the_drop_of_the_database(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 50);
    world_user(&r, 1, 0, "one");
    assert_true(rig_open_settled(&r));
    rig_command(&r, "{\"dropDatabase\": 1}");
    world_emote(&r, 7, "after", 1);
    for (int i = 0; i < 300 && (rig_count(&r, "emotes") != 1 || rig_count(&r, "users") != 0); i++)
        assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 1);
    assert_int_equal(rig_count(&r, "users"), 0);
    compare_assert_equal(&r);
    rig_fini(&r);
}

/* Only what is mapped travels: a document at MongoDB's limit is one like the others. */
static void
takes_a_document_of_16_megabytes(void **state)
{
    enum { BYTES = 16 * 1000 * 1000 };
    struct rig r;
    bson_error_t error;
    char *text = xmalloc(BYTES + 1);
    memset(text, 'x', BYTES);
    text[BYTES] = 0;
    rig_init(&r, *state);
    world_emote(&r, 1, "small", 1);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    mongoc_collection_t *c = mongoc_database_get_collection(r.db, "emotes");
    bson_t *update = BCON_NEW("$set", "{", "blob", BCON_UTF8(text), "default_name", "large", "}");
    bson_t all = BSON_INITIALIZER;
    assert_true(mongoc_collection_update_one(c, &all, update, NULL, NULL, &error));
    assert_true(rig_settle(&r));
    struct arena arena = {0};
    char id[27];
    assert_non_null(
        strstr(rig_doc(&r, "emotes", span_str(world_text('e', 1, id)), &arena).p, "\"large\""));
    arena_fini(&arena);
    bson_destroy(update);
    mongoc_collection_destroy(c);
    free(text);
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
takes_bad_documents_in_its_stride(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    rig_command(&r,
                "{\"insert\": \"emotes\", \"documents\": [{\"_id\": {\"odd\": [1, 2]}},"
                " {\"_id\": null}, {\"default_name\": 7, \"tags\": \"none\", \"scores\": []}]}");
    world_emote(&r, 1, "good", 1);
    assert_true(rig_settle(&r));
    assert_true(rig_status(&r, "bad_documents") >= 2);
    char id[27];
    struct arena arena = {0};
    assert_non_null(rig_doc(&r, "emotes", span_str(world_text('e', 1, id)), &arena).p);
    arena_fini(&arena);
    rig_fini(&r);
}

static void
converges_under_random_changes(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    rig_init(&r, *state);
    for (int i = 0; i < 200; i++)
        world_change(&r, &rng);
    rig_open(&r);
    for (int i = 0; i < 600; i++)
        world_change(&r, &rng);
    assert_true(rig_wait_ready(&r) && rig_settle(&r));
    compare_assert_equal(&r);
    const char *rounds = getenv("TAILFIN_ROUNDS"); /* more, for hunting */
    for (int round = 0; round < (rounds ? (int)strtol(rounds, NULL, 10) : 3); round++) {
        for (int i = 0; i < 300; i++)
            world_change(&r, &rng);
        assert_true(rig_settle(&r));
        compare_assert_equal(&r);
    }
    rig_fini(&r);
}

int
main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bootstraps_what_was_there),
        cmocka_unit_test(misses_nothing_written_just_before),
        cmocka_unit_test(applies_each_kind_of_change),
        cmocka_unit_test(drops_write_backs_and_nothing_else),
        cmocka_unit_test(takes_bad_documents_in_its_stride),
        cmocka_unit_test(rebuilds_a_dropped_or_renamed_collection),
        cmocka_unit_test(survives_the_drop_of_the_database),
        cmocka_unit_test(takes_a_document_of_16_megabytes),
        cmocka_unit_test(converges_under_random_changes),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
