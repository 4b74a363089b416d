/* What operators see: events by what became of them, lag, the oplog, queues, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"

#include "tests/indexer/world.h"

enum { USERS = 6000 };

static struct json
status_of(struct rig *r, struct arena *arena)
{
    struct buf text = {0};
    struct json v;
    buf_putc(&text, '{');
    ing_mongo_write_status(r->m, &text);
    buf_putc(&text, '}');
    assert_int_equal(json_parse(buf_span(&text), arena, &v, NULL), RC_OK);
    buf_fini(&text);
    return v;
}

static double
number(const struct json *v, const char *name)
{
    double d = -1;
    assert_true(json_number(json_get(v, name), &d));
    return d;
}

/* The value of a line of /metrics, by everything before the blank. */
static double
metric(struct rig *r, const char *name)
{
    struct buf text = {0};
    char line[256];
    ing_mongo_refresh_metrics(r->m);
    metrics_write(r->metrics, &text);
    buf_putc(&text, 0);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text.p, line);
    if (!at)
        fail_msg("no line %s in /metrics", name);
    double d = strtod(at + strlen(line), NULL);
    buf_fini(&text);
    return d;
}

static double
outcome(struct rig *r, const char *operation, const char *what)
{
    char name[160];
    snprintf(name, sizeof name, "tailfin_event_outcomes_total{operation=\"%s\",outcome=\"%s\"}",
             operation, what);
    return metric(r, name);
}

static void
counts_events_by_operation_and_outcome(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    world_emote(&r, 1, "one", 1); /* inserts */
    world_emote(&r, 2, "two", 1);
    assert_true(rig_settle(&r));
    assert_true(outcome(&r, "insert", "applied") == 2);
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {\"default_name\": \"one\"},"
                    " \"u\": {\"$set\": {\"default_name\": \"changed\"}}}]}");
    assert_true(rig_settle(&r));
    assert_true(outcome(&r, "update", "applied") == 1);
    world_emote(&r, 2, "replaced", 1);
    assert_true(rig_settle(&r));
    assert_true(outcome(&r, "replace", "applied") == 1);
    assert_true(outcome(&r, "update", "unchanged") == 0);
    rig_command(&r,
                "{\"update\": \"emotes\", \"updates\": [{\"q\": {\"default_name\": \"changed\"},"
                " \"u\": {\"$set\": {\"of_no_concern\": 1}}}]}");
    assert_true(rig_settle(&r));
    assert_true(outcome(&r, "update", "unchanged") == 1);
    assert_true(outcome(&r, "update", "applied") == 1);
    rig_command(&r,
                "{\"update\": \"emotes\", \"updates\": [{\"q\": {\"default_name\": \"changed\"},"
                " \"u\": {\"$set\": {\"default_name\": [1]}}}]}");
    rig_command(&r, "{\"insert\": \"emotes\", \"documents\": [{\"_id\": \"bad\"}]}");
    rig_command(&r, "{\"insert\": \"elsewhere\", \"documents\": [{\"_id\": 1}]}");
    assert_true(rig_settle(&r));
    assert_true(outcome(&r, "update", "partial") == 1);
    assert_true(outcome(&r, "insert", "bad") == 1);
    assert_true(outcome(&r, "insert", "ignored") >= 1);
    world_remove(&r, "emotes", 'e', 1);
    rig_command(
        &r, "{\"delete\": \"emotes\", \"deletes\": [{\"q\": {\"_id\": \"bad\"}, \"limit\": 1}]}");
    assert_true(rig_settle(&r));
    assert_true(outcome(&r, "delete", "applied") == 1);
    assert_true(outcome(&r, "delete", "absent") == 1);
    rig_command(&r, "{\"drop\": \"emotes\"}");
    assert_true(rig_settle(&r));
    assert_true(metric(&r, "tailfin_collection_events_total{operation=\"drop\"}") >= 1);
    rig_fini(&r);
}

/* Every event is in exactly one of the counts. */
static void
counts_every_event_once(void **state)
{
    static const char *const operations[] = {"insert", "update", "replace", "delete"};
    static const char *const outcomes[] = {"applied", "unchanged", "absent", "partial",
                                           "bad",     "merged",    "ignored"};
    struct rig r;
    rig_init(&r, *state);
    assert_true(rig_open_settled(&r));
    for (int i = 0; i < 400; i++)
        world_emote(&r, (unsigned)(i % 7), "again and again", i);
    assert_true(rig_settle(&r));
    double sum = metric(&r, "tailfin_collection_events_total{operation=\"other\"}");
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(outcomes); k++)
            sum += outcome(&r, operations[i], outcomes[k]);
    }
    assert_true(sum == metric(&r, "tailfin_events_total"));
    assert_true(sum >= 400);
    assert_true(outcome(&r, "replace", "merged") > 0);
    assert_true(metric(&r, "tailfin_lag_events") == 0);
    rig_fini(&r);
}

static void
knows_the_oplog_and_its_own_place_in_it(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, *state);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    world_emote(&r, 1, "one", 1);
    assert_true(rig_settle(&r));
    rig_commit(&r);
    struct json v;
    const struct json *oplog = NULL;
    for (uint64_t end_us = clock_us() + 20000000; clock_us() < end_us; clock_sleep_us(50000)) {
        v = status_of(&r, &arena);
        oplog = json_get(&v, "oplog");
        if (json_get(oplog, "window_s"))
            break;
    }
    assert_non_null(json_get(oplog, "window_s"));
    assert_true(number(oplog, "headroom") > 0 && number(oplog, "headroom") <= 1);
    assert_true(number(oplog, "headroom_s") <= number(oplog, "window_s") + 60);
    assert_true(number(&v, "resume_point_age_s") < 60);
    assert_true(metric(&r, "tailfin_resume_point_age_seconds") < 60);
    assert_true(metric(&r, "tailfin_index_commit_age_seconds") < 60);
    assert_true(metric(&r, "tailfin_oplog_headroom_seconds") >= 0);
    arena_fini(&arena);
    rig_fini(&r);
}

static void
tells_its_state_since_when_and_how_long_things_take(void **state)
{
    struct server *server = *state;
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, server);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    world_emotes(&r, 0, 50);
    assert_true(rig_settle(&r));
    struct json v = status_of(&r, &arena);
    for (uint64_t end_us = clock_us() + 10000000;
         number(json_get(&v, "apply_ms"), "count") < 1 && clock_us() < end_us;
         v = status_of(&r, &arena))
        clock_sleep_us(1000); /* counted by the writer thread, just behind the publication */
    assert_true(span_eq_str(json_get_str(&v, "state", (struct span){0}), "tailing"));
    double since_s = number(&v, "state_since_s");
    assert_true(since_s + 60 > (double)(clock_wall_us() / 1000000));
    assert_true(number(json_get(&v, "fetch_ms"), "count") >= 1);
    assert_true(number(json_get(&v, "fetch_ms"), "max") > 0);
    assert_true(number(json_get(&v, "apply_ms"), "count") >= 1);
    assert_true(number(json_get(&v, "round_ms"), "max") >= number(json_get(&v, "round_ms"), "p50"));
    assert_true(number(&v, "lag_s") < 10);
    assert_true(ing_mongo_lag_us(r.m) < 10000000);

    /* A server that does not answer: the lag grows, though no event comes. */
    server_pause(server);
    double lag_s = 0;
    for (uint64_t end_us = clock_us() + 30000000; clock_us() < end_us; clock_sleep_us(100000)) {
        v = status_of(&r, &arena);
        lag_s = number(&v, "lag_s");
        if (lag_s > 3 && span_eq_str(json_get_str(&v, "state", (struct span){0}), "reconnecting"))
            break;
    }
    server_resume(server);
    assert_true(lag_s > 3);
    assert_true(span_eq_str(json_get_str(&v, "state", (struct span){0}), "reconnecting"));
    assert_true(number(&v, "state_since_s") >= since_s);
    assert_true(json_get_str(&v, "last_error", (struct span){0}).n > 0);
    assert_true(number(&v, "last_error_s") >= since_s);
    assert_true(rig_settle(&r));
    arena_fini(&arena);
    rig_fini(&r);
}

/* The default group's edge concerns all users: its progress can be watched. */
static void
shows_the_progress_of_cascades(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, *state);
    world_role(&r, 1, 5, true);
    for (unsigned i = 0; i < USERS; i++)
        world_user(&r, i, 0, "someone");
    assert_true(rig_open_settled(&r));
    world_edge(&r, 'g', 0, 'r', 1);
    bool was_seen = false;
    for (uint64_t end_us = clock_us() + 60000000; clock_us() < end_us && !was_seen;
         clock_sleep_us(1000)) {
        struct json v = status_of(&r, &arena);
        const struct json *list = json_get(&v, "cascades_running");
        was_seen =
            list->n > 0 && number(&list->items[0], "documents") >= USERS &&
            number(&list->items[0], "documents_done") <= number(&list->items[0], "documents");
        arena_reset(&arena);
    }
    assert_true(was_seen);
    assert_true(rig_settle(&r));
    assert_true(metric(&r, "tailfin_cascades") == 0);
    arena_fini(&arena);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_events_by_operation_and_outcome),
        cmocka_unit_test(counts_every_event_once),
        cmocka_unit_test(knows_the_oplog_and_its_own_place_in_it),
        cmocka_unit_test(tells_its_state_since_when_and_how_long_things_take),
        cmocka_unit_test(shows_the_progress_of_cascades),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
