/* What users derive follows every change of what it is derived from. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

static bool
user_has(struct rig *r, unsigned number, const char *text)
{
    return world_has(r, "users", 'u', number, text);
}

static void
follows_roles(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_role(&r, 1, 10, true);
    world_user(&r, 1, 0, "one");
    world_edge(&r, 'u', 1, 'r', 1);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_true(user_has(&r, 1, "\"role_rank\":10") && user_has(&r, 1, "\"role_hoist_rank\":10"));
    world_role(&r, 1, 25, true);
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 1, "\"role_rank\":25") && user_has(&r, 1, "\"role_hoist_rank\":25"));
    world_role(&r, 1, 25, false); /* only hoist */
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 1, "\"role_rank\":25") && user_has(&r, 1, "\"role_hoist_rank\":0"));
    world_remove(&r, "roles", 'r', 1);
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 1, "\"role_rank\":0"));
    world_role(&r, 1, 7, true);
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 1, "\"role_rank\":7"));
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
follows_sets(void **state)
{
    struct rig r;
    char id[27], text[64];
    rig_init(&r, *state);
    world_user(&r, 1, 1, "one");
    world_user(&r, 2, 0, "two");
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_true(user_has(&r, 1, "\"emotes\":[]"));
    world_set(&r, 1, 5, 2);
    assert_true(rig_settle(&r));
    snprintf(text, sizeof text, "\"%s\"", world_text('e', 6, id));
    assert_true(user_has(&r, 1, text));
    rig_command(&r, "{\"update\": \"emote_sets\", \"updates\": [{\"q\": {}, \"u\":"
                    " {\"$pop\": {\"emotes\": 1}}}]}"); /* marks nothing */
    assert_true(rig_settle(&r));
    assert_false(user_has(&r, 1, text));
    world_remove(&r, "emote_sets", 's', 1);
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 1, "\"emotes\":[]"));
    assert_true(user_has(&r, 2, "\"emotes\":[]"));
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
follows_edges(void **state)
{
    struct rig r;
    char id[27], badge[64], role[64];
    rig_init(&r, *state);
    snprintf(badge, sizeof badge, "\"badge:%s\"", world_text('b', 1, id));
    snprintf(role, sizeof role, "\"role:%s\"", world_text('r', 1, id));
    world_role(&r, 1, 10, true);
    world_product(&r, 3);
    for (unsigned i = 0; i < 20; i++)
        world_user(&r, i, 0, "name");
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    world_edge(&r, 'r', 1, 'b', 1); /* before anyone has the role */
    world_edge(&r, 'u', 4, 'r', 1);
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 4, role) && user_has(&r, 4, badge));
    assert_true(world_has(&r, "roles", 'r', 1, badge));
    assert_false(user_has(&r, 5, role));
    world_unedge(&r, 'r', 1, 'b', 1);
    assert_true(rig_settle(&r));
    assert_false(user_has(&r, 4, badge));
    assert_false(world_has(&r, "roles", 'r', 1, badge));
    world_edge(&r, 'p', 3, 'b', 1);
    world_edge(&r, 'g', 0, 'p', 3); /* everyone */
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 0, badge) && user_has(&r, 19, badge));
    assert_true(world_has(&r, "products", 'p', 3, badge));
    world_unedge(&r, 'g', 0, 'p', 3);
    assert_true(rig_settle(&r));
    assert_false(user_has(&r, 0, badge));
    compare_assert_equal(&r);
    rig_fini(&r);
}

/* Thousands of users behind one edge, and a kill in the middle of it. */
static void
finishes_large_cascades_after_a_kill(void **state)
{
    enum { USERS = 12000 };
    struct rig r;
    struct rng rng = rng_new();
    rig_init(&r, *state);
    world_role(&r, 1, 10, true);
    bson_error_t error;
    mongoc_collection_t *c = mongoc_database_get_collection(r.db, "users");
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(c, NULL);
    for (unsigned i = 0; i < USERS; i++) {
        unsigned char id[WORLD_ID_N];
        bson_t doc = BSON_INITIALIZER;
        world_id('u', i, id);
        bson_append_binary(&doc, "_id", -1, BSON_SUBTYPE_UUID, id, sizeof id);
        mongoc_bulk_operation_insert(bulk, &doc);
        bson_destroy(&doc);
    }
    must(mongoc_bulk_operation_execute(bulk, NULL, &error));
    mongoc_bulk_operation_destroy(bulk);
    mongoc_collection_destroy(c);
    assert_true(rig_open_settled(&r));
    rig_close(&r);
    for (int round = 0; round < 4; round++) {
        pid_t pid = rig_fork(&r);
        clock_sleep_us(300000);
        if (round % 2)
            world_unedge(&r, 'g', 0, 'r', 1);
        else
            world_edge(&r, 'g', 0, 'r', 1);
        clock_sleep_us(50000 + rng_below(&rng, 1000000));
        must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    }
    world_edge(&r, 'g', 0, 'r', 1);
    rig_open(&r);
    assert_true(rig_settle(&r));
    assert_true(user_has(&r, 0, "\"role_rank\":10") && user_has(&r, USERS - 1, "\"role_rank\":10"));
    compare_assert_equal(&r);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_roles),
        cmocka_unit_test(follows_sets),
        cmocka_unit_test(follows_edges),
        cmocka_unit_test(finishes_large_cascades_after_a_kill),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
