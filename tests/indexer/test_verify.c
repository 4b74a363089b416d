/*
 * Verifying: what differs is found, exactly, and repaired; what is only in
 * flight is not. The damage is real: changes of MongoDB's whose events never
 * come, because the stored position was moved behind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/map.h"

#include "indexer/source.h"

#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

enum { WAIT_US = 120000000 };

/* ---- helpers ---- */

/* The pipeline is closed. Its next start begins behind everything written until now. */
static void
lose_events(struct rig *r)
{
    struct err err;
    struct ing_client client = {0};
    mongoc_uri_t *uri = NULL;
    uint32_t time_s, time_i;
    must(ing_uri_parse(r->uri, &uri, &err) == RC_OK);
    must(ing_client_open(&client, uri, &err) == RC_OK);
    must(ing_client_now(&client, &time_s, &time_i, &err) == RC_OK);
    rig_set_position(r, time_s, time_i + 1);
    ing_client_close(&client);
    mongoc_uri_destroy(uri);
}

static struct json
report(struct rig *r, struct arena *arena)
{
    struct buf text = {0};
    struct json json;
    struct err err = {0};
    ing_mongo_write_verify(r->m, &text);
    if (json_parse(buf_span(&text), arena, &json, &err))
        fail_msg("%s: %.*s", err.text, SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
    return json;
}

static int64_t
number(const struct json *v, const char *name)
{
    const struct json *n = json_get(v, name);
    assert_non_null(n);
    return n->i64;
}

static void
await_end(struct rig *r, struct arena *arena, struct json *out)
{
    uint64_t until_us = clock_us() + WAIT_US;
    do {
        arena_reset(arena);
        *out = report(r, arena);
        clock_sleep_us(5000);
    } while (json_get(out, "running")->boolean && clock_us() < until_us);
    assert_false(json_get(out, "running")->boolean);
}

static void
order(struct rig *r, const char *collection, bool may_repair)
{
    struct err err = {0};
    struct span name = span_str(collection ? collection : "");
    struct ing_verify_order o = {.may_repair = may_repair};
    if (ing_mongo_verify(r->m, &name, collection ? 1 : 0, &o, &err))
        fail_msg("%s", err.text);
}

static void
assert_counts(const struct json *v, int64_t missing, int64_t stale, int64_t ghosts,
              int64_t repaired)
{
    if (number(v, "missing") != missing || number(v, "stale") != stale ||
        number(v, "ghosts") != ghosts || number(v, "repaired") != repaired)
        fail_msg("%lld missing, %lld stale, %lld ghosts, %lld repaired",
                 (long long)number(v, "missing"), (long long)number(v, "stale"),
                 (long long)number(v, "ghosts"), (long long)number(v, "repaired"));
}

/* A verification that finds nothing. */
static void
assert_clean(struct rig *r)
{
    struct arena arena = {0};
    struct json v;
    order(r, NULL, false);
    await_end(r, &arena, &v);
    assert_counts(&v, 0, 0, 0, 0);
    assert_true(number(&v, "documents") > 0);
    arena_fini(&arena);
}

/* ---- damage ---- */

enum { DAMAGED = 1000 };

static void
set_scores(struct rig *r, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++)
        world_emote(r, i, "other", 7);
}

static void
delete_emotes(struct rig *r, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++)
        world_remove(r, "emotes", 'e', i);
}

static void
assert_finding(const struct json *finding, struct map *seen)
{
    struct span id = json_get_str(finding, "id", (struct span){0});
    struct span found = json_get_str(finding, "found", (struct span){0});
    bool is_new, is_right = false;
    (void)map_put(seen, id, &is_new);
    assert_true(is_new);
    for (unsigned i = 0; i < 3 * DAMAGED && !is_right; i++) {
        static const char *const kinds[] = {"ghost", "stale", "missing"};
        static const unsigned firsts[] = {0, DAMAGED, 5 * DAMAGED};
        unsigned kind = i / DAMAGED;
        char text[27];
        is_right = span_eq_str(found, kinds[kind]) &&
                   span_eq_str(id, world_text('e', firsts[kind] + i % DAMAGED, text));
    }
    if (!is_right)
        fail_msg("%.*s is not %.*s", SPAN_ARG(id), SPAN_ARG(found));
}

static void
finds_exactly_what_differs_and_repairs_it(void **state)
{
    struct rig r;
    struct arena arena = {0};
    struct map seen = {0};
    struct json v;
    rig_init(&r, *state);
    world_emotes(&r, 0, 4 * DAMAGED);
    assert_true(rig_open_settled(&r));
    assert_clean(&r);
    rig_close(&r);
    delete_emotes(&r, 0, DAMAGED);
    set_scores(&r, DAMAGED, DAMAGED);
    world_emotes(&r, 5 * DAMAGED, DAMAGED);
    lose_events(&r);
    rig_open(&r);
    assert_true(rig_settle(&r));

    order(&r, "emotes", false);
    await_end(&r, &arena, &v);
    assert_counts(&v, DAMAGED, DAMAGED, DAMAGED, 0);
    const struct json *findings = json_get(&v, "findings");
    assert_int_equal(findings->n, 3 * DAMAGED);
    for (uint32_t i = 0; i < findings->n; i++)
        assert_finding(&findings->items[i], &seen);
    assert_int_equal(rig_count(&r, "emotes"), 4 * DAMAGED); /* looked at, not touched */

    order(&r, NULL, true);
    await_end(&r, &arena, &v);
    assert_counts(&v, DAMAGED, DAMAGED, DAMAGED, 3 * DAMAGED);
    assert_int_equal(metrics_read(r.metrics, M_VERIFY_REPAIRED), 3 * DAMAGED);
    assert_clean(&r);
    compare_assert_equal(&r);
    map_fini(&seen);
    arena_fini(&arena);
    rig_fini(&r);
}

/* Relations and what is derived from them, changed at random while nobody looked. */
static void
repairs_what_is_derived(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    struct arena arena = {0};
    struct json v;
    rig_init(&r, *state);
    for (int i = 0; i < 400; i++)
        world_change(&r, &rng);
    assert_true(rig_open_settled(&r));
    for (int round = 0; round < 2; round++) {
        rig_close(&r);
        for (int i = 0; i < 200; i++)
            world_change(&r, &rng);
        lose_events(&r);
        rig_open(&r);
        assert_true(rig_settle(&r));
        order(&r, NULL, true);
        await_end(&r, &arena, &v);
        int64_t n = number(&v, "missing") + number(&v, "stale") + number(&v, "ghosts");
        assert_true(n > 20);
        assert_int_equal(number(&v, "repaired"), n);
        assert_clean(&r);
        compare_assert_equal(&r);
    }
    arena_fini(&arena);
    rig_fini(&r);
}

static void
reports_nothing_that_is_in_flight(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    struct arena arena = {0};
    rig_init(&r, *state);
    for (int i = 0; i < 400; i++)
        world_change(&r, &rng);
    assert_true(rig_open_settled(&r));
    unsigned n_passes = 0;
    uint64_t until_us = clock_us() + 10000000;
    for (; n_passes < 3 || clock_us() < until_us; n_passes++) {
        order(&r, NULL, false);
        struct json v = report(&r, &arena);
        while (json_get(&v, "running")->boolean) {
            for (int i = 0; i < 20; i++)
                world_change(&r, &rng);
            arena_reset(&arena);
            v = report(&r, &arena);
        }
        assert_counts(&v, 0, 0, 0, 0);
    }
    assert_true(rig_settle(&r));
    assert_clean(&r);
    arena_fini(&arena);
    rig_fini(&r);
}

/* A range that is empty in MongoDB and full of ghosts, and one that is the reverse. */
static void
all_of_a_collection_is_gone(void **state)
{
    struct rig r;
    struct arena arena = {0};
    struct json v;
    rig_init(&r, *state);
    for (unsigned i = 0; i < 300; i++)
        world_product(&r, i);
    assert_true(rig_open_settled(&r));
    rig_close(&r);
    rig_command(&r, "{\"delete\": \"products\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}");
    world_emotes(&r, 0, 100);
    lose_events(&r);
    rig_open(&r);
    assert_true(rig_settle(&r));
    order(&r, NULL, true);
    await_end(&r, &arena, &v);
    assert_counts(&v, 100, 0, 300, 400);
    assert_int_equal(rig_count(&r, "products"), 0);
    assert_int_equal(rig_count(&r, "emotes"), 100);
    arena_fini(&arena);
    rig_fini(&r);
}

/* Numbers of every type are one order of ids; texts among them have no name in this profile. */
static void
ids_of_several_types(void **state)
{
    struct rig r;
    struct arena arena = {0};
    struct json v;
    struct err err;
    rig_init(&r, *state);
    arena_reset(&r.arena);
    must(sch_profile_load(SPAN_LIT("turms"), &r.arena, &r.profile, &err) == RC_OK);
    rig_command(&r, "{\"insert\": \"user\", \"documents\": ["
                    "{\"_id\": 1, \"n\": \"a\"}, {\"_id\": {\"$numberLong\": \"2\"}, \"n\": \"b\"},"
                    "{\"_id\": 3.0, \"n\": \"c\"}, {\"_id\": \"4\", \"n\": \"text\"},"
                    "{\"_id\": -5, \"n\": \"e\"}, {\"_id\": {\"$numberLong\": "
                    "\"9007199254740993\"}, \"n\": \"f\"}]}");
    assert_true(rig_open_settled(&r));
    assert_int_equal(rig_count(&r, "user"), 5);
    assert_clean(&r);
    rig_close(&r);
    rig_command(&r, "{\"delete\": \"user\", \"deletes\": ["
                    "{\"q\": {\"_id\": 1}, \"limit\": 1}, {\"q\": {\"_id\": 3}, \"limit\": 1}]}");
    rig_command(&r, "{\"update\": \"user\", \"updates\": ["
                    "{\"q\": {\"_id\": -5}, \"u\": {\"$set\": {\"n\": \"other\"}}}]}");
    rig_command(&r, "{\"insert\": \"user\", \"documents\": [{\"_id\": 8.0, \"n\": \"h\"}]}");
    lose_events(&r);
    rig_open(&r);
    assert_true(rig_settle(&r));
    order(&r, NULL, true);
    await_end(&r, &arena, &v);
    assert_counts(&v, 1, 1, 2, 4);
    assert_int_equal(rig_count(&r, "user"), 4);
    assert_clean(&r);
    arena_fini(&arena);
    rig_fini(&r);
}

/* ---- the steady pass ---- */

static bool
await_metric(struct rig *r, enum metric metric, uint64_t want)
{
    uint64_t until_us = clock_us() + WAIT_US;
    while (metrics_read(r->metrics, metric) < want && clock_us() < until_us)
        clock_sleep_us(5000);
    return metrics_read(r->metrics, metric) >= want;
}

static void
the_steady_pass_repairs(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 2000);
    world_user(&r, 1, 0, "one");
    assert_true(rig_open_settled(&r));
    rig_close(&r);
    delete_emotes(&r, 100, 50);
    world_user(&r, 2, 0, "two");
    lose_events(&r);
    r.verify_docs_per_s = 20000;
    rig_open(&r);
    assert_true(await_metric(&r, M_VERIFY_REPAIRED, 51));
    assert_true(rig_settle(&r));
    assert_int_equal(metrics_read(r.metrics, M_VERIFY_GHOSTS), 50);
    assert_int_equal(metrics_read(r.metrics, M_VERIFY_MISSING), 1);
    compare_assert_equal(&r);
    rig_fini(&r);
}

/* The place is kept over restarts, and the rate is kept to. */
static void
the_steady_pass_goes_on_after_a_restart(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 1500);
    r.verify_docs_per_s = 500;
    assert_true(rig_open_settled(&r));
    uint64_t began_us = clock_us();
    uint64_t before = metrics_read(r.metrics, M_VERIFIED);
    assert_true(await_metric(&r, M_VERIFIED, before + 700));
    assert_true(clock_us() - began_us >
                1000000); /* 700 at 500/s: no faster than a second and a bit */
    rig_close(&r);
    delete_emotes(&r, 1400, 50); /* behind the place */
    lose_events(&r);
    rig_open(&r);
    assert_true(await_metric(&r, M_VERIFY_REPAIRED, 50));
    /* Had it begun anew, it would have compared 1,450 more. */
    assert_true(metrics_read(r.metrics, M_VERIFIED) < before + 700 + 1300);
    rig_fini(&r);
}

/* Marks that a cascade under another holder should have made, and no event asks for. */
static void
notes_what_write_back_owes(void **state)
{
    static const char marked[] = "{\"cached.role_rank\": 10, \"$expr\": {\"$gt\":"
                                 " [\"$search_updated_at\", \"$updated_at\"]}}";
    struct rig r;
    struct arena arena = {0};
    struct json v;
    rig_init(&r, *state);
    r.writeback = ING_WRITEBACK_FULL;
    world_role(&r, 1, 10, true);
    for (unsigned i = 0; i < 20; i++) {
        world_user(&r, i, 0, "name");
        world_edge(&r, 'u', i, 'r', 1);
    }
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && rig_await_stored(&r, "users", marked, 20));
    rig_command(&r, "{\"update\": \"users\", \"updates\": [{\"q\": {}, \"multi\": true, \"u\":"
                    " {\"$set\": {\"cached.role_rank\": 3}}}]}");
    assert_true(rig_settle(&r));
    assert_int_equal(rig_count_stored(&r, "users", marked), 0);
    order(&r, NULL, true);
    await_end(&r, &arena, &v);
    assert_counts(&v, 0, 0, 0, 0);
    assert_int_equal(number(&v, "unmarked"), 20);
    assert_true(rig_await_stored(&r, "users", marked, 20));
    arena_fini(&arena);
    rig_fini(&r);
}

/* ---- commands ---- */

static void
commands_and_their_refusals(void **state)
{
    struct rig r;
    struct err err = {0};
    struct arena arena = {0};
    struct json v;
    struct span name = SPAN_LIT("nothing");
    struct ing_verify_order slow = {.docs_per_s = 100};
    rig_init(&r, *state);
    world_emotes(&r, 0, 3000);
    assert_true(rig_open_settled(&r));
    assert_int_equal(ing_mongo_cancel_verify(r.m, &err), RC_ABSENT);
    assert_int_equal(ing_mongo_verify(r.m, &name, 1, &slow, &err), RC_ABSENT);
    assert_int_equal(ing_mongo_verify(r.m, NULL, 0, &slow, &err), RC_OK);
    assert_int_equal(ing_mongo_verify(r.m, NULL, 0, &slow, &err), RC_CONFLICT);
    assert_int_equal(ing_mongo_cancel_verify(r.m, &err), RC_OK);
    await_end(&r, &arena, &v);
    assert_true(span_eq_str(json_get_str(&v, "state", (struct span){0}), "cancelled"));
    assert_int_equal(ing_mongo_reindex(r.m, NULL, 0, &err), RC_OK);
    assert_int_equal(ing_mongo_verify(r.m, NULL, 0, &slow, &err), RC_CONFLICT);
    uint64_t until_us = clock_us() + WAIT_US;
    struct ing_verify_order fast = {0};
    while (ing_mongo_verify(r.m, NULL, 0, &fast, &err) && clock_us() < until_us)
        clock_sleep_us(5000);
    await_end(&r, &arena, &v);
    assert_counts(&v, 0, 0, 0, 0);
    assert_int_equal(number(&v, "documents"), 3000);
    arena_fini(&arena);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_exactly_what_differs_and_repairs_it),
        cmocka_unit_test(repairs_what_is_derived),
        cmocka_unit_test(reports_nothing_that_is_in_flight),
        cmocka_unit_test(all_of_a_collection_is_gone),
        cmocka_unit_test(ids_of_several_types),
        cmocka_unit_test(the_steady_pass_repairs),
        cmocka_unit_test(the_steady_pass_goes_on_after_a_restart),
        cmocka_unit_test(notes_what_write_back_owes),
        cmocka_unit_test(commands_and_their_refusals),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
