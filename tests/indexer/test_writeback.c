/* What is written back to MongoDB, when, and what is left alone. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

static int
start(void **state)
{
    static struct server server;
    server_start(&server);
    *state = &server;
    return 0;
}

static int
stop(void **state)
{
    server_stop(*state);
    return 0;
}

static const char is_marked[] = "{\"$expr\": {\"$gt\": [\"$search_updated_at\", \"$updated_at\"]}}";

static void
writes_nothing_by_default(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && rig_settle(&r));
    world_emote(&r, 1, "changed", 1);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    clock_sleep_us(500000);
    assert_int_equal(rig_count_stored(&r, "emotes", is_marked), 0);
    assert_int_equal(
        rig_count_stored(&r, "users", "{\"cached.entitlements\": {\"$exists\": true}}"), 0);
    rig_fini(&r);
}

static void
marks_what_is_durable(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_true(rig_await_stored(&r, "emotes", is_marked, 300));
    assert_true(rig_await_stored(&r, "emote_sets", "{\"emotes_changed_since_reindex\": false}", 1));
    assert_true(rig_await_stored(&r, "roles", "{\"applied_rank\": 10}", 1));
    assert_true(rig_await_stored(&r, "users",
                                 "{\"cached.role_rank\": 10, \"cached.role_hoist_rank\": 10,"
                                 " \"cached.entitlements\": {\"$size\": 2},"
                                 " \"cached.entitlements.0.kind\": \"role\","
                                 " \"cached.entitlements.1.kind\": \"badge\","
                                 " \"cached.active_emotes\": {\"$size\": 3}}",
                                 1));
    assert_true(rig_await_stored(&r, "users",
                                 "{\"$expr\": {\"$eq\": [\"$cached.emote_set_id\","
                                 " \"$style.active_emote_set_id\"]}}",
                                 2));
    assert_true(rig_await_stored(&r, "users",
                                 "{\"cached.entitlements.0.role_id\": {\"$exists\": true}}", 1));
    /* No echo: what was written back makes no work. */
    assert_true(rig_settle(&r));
    int64_t applied = rig_status(&r, "applied_keys");
    uint64_t written = metrics_read(r.metrics, M_WRITEBACKS);
    clock_sleep_us(600000);
    assert_true(rig_settle(&r));
    assert_int_equal(rig_status(&r, "applied_keys"), applied);
    assert_int_equal(metrics_read(r.metrics, M_WRITEBACKS), written);
    /* A cascade writes the new values too, without touching updated_at. */
    world_role(&r, 1, 33, false);
    assert_true(rig_await_stored(&r, "users",
                                 "{\"cached.role_rank\": 33, \"cached.role_hoist_rank\": 0}", 1));
    assert_true(rig_await_stored(&r, "roles", "{\"applied_rank\": 33}", 1));
    /* Marked documents are left alone by the next start. */
    rig_close(&r);
    written = metrics_read(r.metrics, M_WRITEBACKS);
    rig_open(&r);
    assert_true(rig_settle(&r));
    assert_int_equal(metrics_read(r.metrics, M_WRITEBACKS), written);
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
marks_are_later_than_a_clock_ahead(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    world_emote(&r, 1, "future", 1);
    rig_command(&r,
                "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"u\": {\"$set\":"
                " {\"updated_at\": {\"$date\": 4000000000000}, \"search_updated_at\": null}}}]}");
    assert_true(
        rig_await_stored(&r, "emotes", "{\"search_updated_at\": {\"$date\": 4000000000001}}", 1));
    rig_fini(&r);
}

/* The mark is guarded: a document that changed after it was read is not marked. */
static void
never_marks_what_changed_meanwhile(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_emotes(&r, 0, 50);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    for (int i = 0; i < 1500; i++) {
        char name[32];
        snprintf(name, sizeof name, "v%d", i);
        world_emote(&r, (unsigned)rng_below(&rng, 50), name, i);
    }
    assert_true(rig_settle(&r));
    compare_assert_equal(&r);
    assert_true(rig_await_stored(&r, "emotes", is_marked, 50));
    rig_fini(&r);
}

static void
sweeps_what_nobody_told_it(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    r.sweep_us = 300000;
    world_emotes(&r, 0, 20);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && rig_await_stored(&r, "emotes", is_marked, 20));
    /* Marked as not indexed while only someone else's write-back was seen: the event is dropped. */
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$set\": {\"search_updated_at\": {\"$date\": 0}}}}]}");
    assert_int_equal(rig_count_stored(&r, "emotes", is_marked), 0);
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$set\": {\"search_updated_at\": null}}}]}");
    assert_true(rig_await_stored(&r, "emotes", is_marked, 20));
    assert_int_equal(rig_count_stored(&r, "emotes", "{\"updated_at\": {\"$gt\": {\"$date\": 0}}}"),
                     20);
    rig_fini(&r);
}

static const char has_rank_33[] = "{\"cached.role_rank\": 33}";

/* Two sidecars on one database: one writes; when it goes, the other one does. */
static void
only_one_sidecar_writes(void **state)
{
    struct rig a, b;
    rig_init(&a, *state);
    a.writeback = ING_WRITEBACK_FULL;
    b = a;
    b.metrics = metrics_new();
    char dir[512];
    snprintf(dir, sizeof dir, "%s.b", a.dir);
    b.dir = dir;
    world_emotes(&a, 0, 100);
    world_role(&a, 1, 10, true);
    world_user(&a, 1, 0, "one");
    world_edge(&a, 'u', 1, 'r', 1);
    rig_open(&a);
    assert_true(rig_wait_ready(&a) && rig_await_stored(&a, "emotes", is_marked, 100));
    rig_open(&b);
    assert_true(rig_wait_ready(&b));
    for (unsigned i = 0; i < 20; i++)
        world_emote(&a, i, "changed", 1);
    assert_true(rig_settle(&a) && rig_settle(&b));
    assert_true(rig_await_stored(&a, "emotes", is_marked, 100));
    assert_int_equal(metrics_read(b.metrics, M_WRITEBACKS), 0);
    /* What the holder has written, and tells, the other one does not owe any more. */
    world_role(&a, 1, 33, true);
    assert_true(rig_settle(&b) && rig_status(&b, "writeback_owed") > 0);
    assert_true(rig_await_stored(&a, "users", has_rank_33, 1));
    for (int i = 0; i < 1500 && rig_status(&b, "writeback_owed") > 0; i++)
        clock_sleep_us(20000);
    assert_int_equal(rig_status(&b, "writeback_owed"), 0);
    assert_int_equal(rig_status(&a, "writeback_owed"), 0);
    assert_int_equal(metrics_read(b.metrics, M_WRITEBACKS), 0);
    rig_close(&a);
    for (unsigned i = 20; i < 40; i++)
        world_emote(&a, i, "changed", 1);
    assert_true(rig_await_stored(&a, "emotes", is_marked, 100));
    /* Counted just after the commit that was seen. */
    for (int i = 0; i < 200 && metrics_read(b.metrics, M_WRITEBACKS) < 20; i++)
        clock_sleep_us(10000);
    assert_true(metrics_read(b.metrics, M_WRITEBACKS) >= 20);
    rig_close(&b);
    metrics_free(b.metrics);
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    must(system(command) == 0);
    rig_fini(&a);
}

/* A holder that lost the lease without noticing writes nothing: the transaction is fenced. */
static void
a_late_holder_is_fenced(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_emotes(&r, 0, 10);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && rig_await_stored(&r, "emotes", is_marked, 10));
    rig_command(&r, "{\"update\": \"tailfin_lease\", \"updates\": [{\"q\": {}, \"u\":"
                    " {\"$set\": {\"holder\": \"someone\"}, \"$inc\": {\"epoch\": 1}}}]}");
    uint64_t written = metrics_read(r.metrics, M_WRITEBACKS);
    world_emote(&r, 3, "changed", 1);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    clock_sleep_us(1000000);
    assert_int_equal(metrics_read(r.metrics, M_WRITEBACKS), written);
    assert_int_equal(rig_count_stored(&r, "emotes", is_marked), 9);
    /* "someone" never moves the beat: after a while the lease is taken back. */
    assert_true(rig_await_stored(&r, "emotes", is_marked, 10) ||
                rig_await_stored(&r, "emotes", is_marked, 10));
    rig_fini(&r);
}

/* A transaction on the lease, in a session of ours, as a holder leaves it that dies. */
static mongoc_client_session_t *
hold_lease(struct rig *r)
{
    bson_error_t error;
    bson_t opts = BSON_INITIALIZER, *all = bson_new(), set;
    bson_t *beat = BCON_NEW("$inc", "{", "beat", BCON_INT64(1), "}"), *take = bson_new();
    mongoc_collection_t *c = mongoc_database_get_collection(r->db, "tailfin_lease");
    mongoc_client_session_t *session = mongoc_client_start_session(r->client, NULL, &error);
    must(session);
    bson_append_document_begin(take, "$set", -1, &set);
    bson_append_utf8(&set, "holder", -1, "someone", -1);
    bson_append_int64(&set, "epoch", -1, 77);
    bson_append_document(&set, "session", -1, mongoc_client_session_get_lsid(session));
    bson_append_document_end(take, &set);
    must(mongoc_collection_update_one(c, all, take, NULL, NULL, &error));
    must(mongoc_client_session_start_transaction(session, NULL, &error));
    must(mongoc_client_session_append(session, &opts, &error));
    must(mongoc_collection_update_one(c, all, beat, &opts, NULL, &error));
    mongoc_collection_destroy(c);
    bson_destroy(&opts);
    bson_destroy(take);
    bson_destroy(beat);
    bson_destroy(all);
    return session;
}

/* Somebody else's lease: what is noted meanwhile is dropped. It dies after a while. */
static void
lose_lease(struct rig *r)
{
    rig_command(r, "{\"update\": \"tailfin_lease\", \"updates\": [{\"q\": {}, \"u\":"
                   " {\"$set\": {\"holder\": \"someone\"}, \"$inc\": {\"epoch\": 1}}}]}");
}

/* The users that a cascade derived are marked already: no sweep finds what MongoDB lacks. */
static void
a_cascades_values_outlive_a_lost_lease(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) &&
                rig_await_stored(&r, "users", "{\"cached.role_rank\": 10}", 1));
    assert_true(rig_await_stored(&r, "users", is_marked, 2));
    lose_lease(&r);
    world_role(&r, 1, 33, true);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    assert_true(rig_await_stored(&r, "users", has_rank_33, 1));
    rig_fini(&r);
}

static void
a_cascades_values_outlive_a_kill(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) &&
                rig_await_stored(&r, "users", "{\"cached.role_rank\": 10}", 1));
    assert_true(rig_await_stored(&r, "users", is_marked, 2));
    rig_close(&r);
    /* From here on it may not write: what a kill behind the commit leaves. */
    lose_lease(&r);
    rig_open(&r);
    world_role(&r, 1, 33, true);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    assert_int_equal(rig_count_stored(&r, "users", has_rank_33), 0);
    rig_close(&r);
    rig_open(&r);
    assert_true(rig_await_stored(&r, "users", has_rank_33, 1));
    /* Once paid, it is not owed any more. */
    assert_true(rig_settle(&r));
    rig_close(&r);
    uint64_t written = metrics_read(r.metrics, M_WRITEBACKS);
    rig_open(&r);
    assert_true(rig_settle(&r));
    clock_sleep_us(3000000);
    assert_int_equal(metrics_read(r.metrics, M_WRITEBACKS), written);
    rig_fini(&r);
}

/* Who has the directory knows that its process before is dead, and need not wait for the lease. */
static void
a_restart_goes_on_at_once(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_emotes(&r, 0, 10);
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid == 0) {
        rig_open(&r);
        for (;;)
            pause();
    }
    assert_true(rig_await_stored(&r, "emotes", is_marked, 10));
    clock_sleep_us(1000000); /* its name is durable */
    must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    world_emote(&r, 3, "changed", 1);
    rig_open(&r);
    uint64_t began_us = clock_us();
    assert_true(rig_await_stored(&r, "emotes", is_marked, 10));
    assert_true(clock_us() - began_us < 7000000); /* a dead holder's lease lasts for 10 s */
    rig_fini(&r);
}

/*
 * Two rounds derive one value after the other while the first is still on its
 * way: the second sees in MongoDB what it wants already, and yet the first
 * must not be the last word.
 */
static void
the_newest_value_is_written_last(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) &&
                rig_await_stored(&r, "users", "{\"cached.role_rank\": 10}", 1));
    assert_true(rig_await_stored(&r, "users", is_marked, 2));
    lose_lease(&r);
    clock_sleep_us(4500000); /* noticed by now: until the other one is dead, lists wait */
    world_role(&r, 1, 33, true);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    assert_int_equal(rig_count_stored(&r, "users", has_rank_33), 0);
    world_role(&r, 1, 10, true);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    /* The mark of the role comes behind the values of its users. */
    assert_true(rig_await_stored(&r, "roles", "{\"applied_rank\": 10}", 1));
    for (int i = 0; i < 1000 && rig_status(&r, "writeback_queue") > 0; i++)
        clock_sleep_us(20000);
    clock_sleep_us(2000000);
    assert_int_equal(rig_count_stored(&r, "users", "{\"cached.role_rank\": 10}"), 1);
    rig_fini(&r);
}

/* The server would end the transaction after 60 s only; the next holder does it. */
static void
a_dead_holders_transaction_is_ended(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_emotes(&r, 0, 10);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && rig_await_stored(&r, "emotes", is_marked, 10));
    mongoc_client_session_t *dead = hold_lease(&r);
    world_emote(&r, 3, "changed", 1);
    uint64_t began_us = clock_us();
    assert_true(rig_await_stored(&r, "emotes", is_marked, 9));
    assert_true(rig_await_stored(&r, "tailfin_lease", "{\"holder\": {\"$ne\": \"someone\"}}", 1));
    assert_true(clock_us() - began_us < 25000000);
    mongoc_client_session_destroy(dead);
    assert_true(rig_await_stored(&r, "emotes", is_marked, 10));
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_nothing_by_default),
        cmocka_unit_test(marks_what_is_durable),
        cmocka_unit_test(marks_are_later_than_a_clock_ahead),
        cmocka_unit_test(never_marks_what_changed_meanwhile),
        cmocka_unit_test(only_one_sidecar_writes),
        cmocka_unit_test(a_late_holder_is_fenced),
        cmocka_unit_test(a_dead_holders_transaction_is_ended),
        cmocka_unit_test(a_cascades_values_outlive_a_lost_lease),
        cmocka_unit_test(a_cascades_values_outlive_a_kill),
        cmocka_unit_test(a_restart_goes_on_at_once),
        cmocka_unit_test(the_newest_value_is_written_last),
        cmocka_unit_test(sweeps_what_nobody_told_it),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
