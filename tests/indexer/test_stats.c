/*
 * Emote statistics: whatever ClickHouse and the sidecar go through, each change
 * of a user's list counts once. What must hold at the end is simple: the sum of
 * an emote is the number of stored lists that have it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"

#include "indexer/stats.h"

#include "tests/indexer/fake_clickhouse.h"
#include "tests/indexer/world.h"

enum { EMOTES = 40, SETS = 6, USERS = 24, PILE = 24 };

struct bench { /* a rig and a ClickHouse beside it */
    struct rig r;
    struct fake_clickhouse clickhouse;
    struct ing_stats_options options;
};

static void
bench_init(struct bench *b, struct server *s)
{
    rig_init(&b->r, s);
    fake_start(&b->clickhouse);
    b->options = (struct ing_stats_options){.url = b->clickhouse.url, .table = "emote_stats"};
    b->r.writeback = ING_WRITEBACK_FULL;
    b->r.stats = &b->options;
}

static void
bench_fini(struct bench *b)
{
    rig_fini(&b->r);
    assert_int_equal(b->clickhouse.n_other_rows, 0);
    assert_int_equal(b->clickhouse.n_denied, 0);
    fake_stop(&b->clickhouse);
}

static void
populate(struct bench *b)
{
    for (unsigned i = 1; i <= SETS; i++)
        world_set(&b->r, i, i, 3);
    for (unsigned i = 0; i < USERS; i++)
        world_user(&b->r, i, i % (SETS + 1), "someone");
}

/* Gives a set other emotes: everyone who has it active changes. */
static void
change_set(struct bench *b, unsigned set, unsigned first, unsigned n)
{
    world_set(&b->r, set, first, n);
}

/* In how many stored lists an emote is. */
static int64_t
listed(struct bench *b, unsigned emote)
{
    unsigned char id[WORLD_ID_N];
    bson_error_t error;
    bson_t filter = BSON_INITIALIZER;
    world_id('e', emote, id);
    bson_append_binary(&filter, "cached.active_emotes", -1, BSON_SUBTYPE_UUID, id, sizeof id);
    mongoc_collection_t *c = mongoc_database_get_collection(b->r.db, "users");
    int64_t n = mongoc_collection_count_documents(c, &filter, NULL, NULL, NULL, &error);
    must(n >= 0);
    mongoc_collection_destroy(c);
    bson_destroy(&filter);
    return n;
}

static bool
is_right(struct bench *b, bool tells)
{
    bool is = true;
    for (unsigned i = 0; i < EMOTES; i++) {
        unsigned char id[WORLD_ID_N];
        world_id('e', i, id);
        int64_t n = listed(b, i);
        long long sum = fake_sum(&b->clickhouse, id);
        if (n != sum && tells)
            printf("emote %u is in %lld lists, and counted %lld times\n", i, (long long)n, sum);
        is &= n == sum;
    }
    return is;
}

/* Until MongoDB has the lists that the index has, and ClickHouse all rows. */
static bool
wait_right(struct bench *b)
{
    unsigned n_good = 0;
    for (uint64_t end_us = clock_us() + 40000000; clock_us() < end_us; clock_sleep_us(100000)) {
        struct buf text = {0};
        rig_commit(&b->r);
        buf_putc(&text, '{');
        ing_mongo_write_status(b->r.m, &text);
        buf_putc(&text, 0);
        bool is_idle = strstr(text.p, "\"pending_batches\":0") &&
                       strstr(text.p, "\"writeback_queue\":0") && is_right(b, false);
        buf_fini(&text);
        n_good = is_idle ? n_good + 1 : 0;
        if (n_good == 5)
            return true;
    }
    return is_right(b, true) && false;
}

static int64_t
n_listed(struct bench *b)
{
    int64_t n = 0;
    for (unsigned i = 0; i < EMOTES; i++)
        n += listed(b, i);
    return n;
}

static void
counts_what_users_take_up_and_let_go(void **state)
{
    struct bench b;
    bench_init(&b, *state);
    populate(&b);
    rig_open(&b.r);
    assert_true(rig_wait_ready(&b.r));
    assert_true(wait_right(&b));
    assert_true(n_listed(&b) > 0);
    change_set(&b, 1, 10, 5);
    change_set(&b, 2, 2, 0);
    assert_true(rig_settle(&b.r) && wait_right(&b));
    /* Nothing changed: nothing is sent. */
    unsigned n_inserts = b.clickhouse.n_inserts;
    change_set(&b, 1, 10, 5);
    assert_true(rig_settle(&b.r) && wait_right(&b));
    assert_int_equal(b.clickhouse.n_inserts, n_inserts);
    /* A user that goes lets everything go. */
    int64_t before = n_listed(&b);
    world_remove(&b.r, "users", 'u', 1);
    assert_true(rig_settle(&b.r) && wait_right(&b));
    assert_int_equal(n_listed(&b), before - 5);
    assert_true(fake_sum(&b.clickhouse, NULL) == before - 5);
    assert_true(b.clickhouse.days.n >= 1 && b.clickhouse.days.n <= 2);
    bench_fini(&b);
}

static void
is_not_shaken_by(struct server *server, enum fake_mood mood)
{
    struct bench b;
    bench_init(&b, server);
    populate(&b);
    rig_open(&b.r);
    assert_true(rig_wait_ready(&b.r) && wait_right(&b));
    atomic_store(&b.clickhouse.mood, (int)mood);
    for (unsigned i = 0; i < 6; i++) {
        change_set(&b, 1 + i % SETS, i, 3 + i % 3);
        assert_true(rig_settle(&b.r));
        clock_sleep_us(150000);
    }
    if (mood == FAKE_SLOW)
        clock_sleep_us(4000000); /* beyond the time limit of a request */
    atomic_store(&b.clickhouse.mood, FAKE_WELL);
    assert_true(wait_right(&b));
    if (mood == FAKE_CUTS || mood == FAKE_SLOW)
        assert_true(b.clickhouse.n_repeats > 0);
    bench_fini(&b);
}

static void
survives_refusals(void **state)
{
    is_not_shaken_by(*state, FAKE_REFUSES);
}

static void
survives_cut_connections(void **state)
{
    is_not_shaken_by(*state, FAKE_CUTS);
}

static void
survives_a_slow_server(void **state)
{
    is_not_shaken_by(*state, FAKE_SLOW);
}

static void
survives_a_server_that_is_away(void **state)
{
    is_not_shaken_by(*state, FAKE_AWAY);
}

/* Until no more than n batches wait. */
static bool
wait_pending(struct bench *b, long n)
{
    long n_pending = -1;
    for (uint64_t end_us = clock_us() + 20000000; clock_us() < end_us; clock_sleep_us(100000)) {
        struct buf text = {0};
        buf_putc(&text, '{');
        ing_mongo_write_status(b->r.m, &text);
        buf_putc(&text, 0);
        n_pending = strtol(strstr(text.p, "\"pending_batches\":") + 18, NULL, 10);
        buf_fini(&text);
        if (n_pending > 0 && n_pending <= n)
            return true;
    }
    printf("%ld batches wait\n", n_pending);
    return false;
}

/* Recorded and not sent when it stopped: sent after the restart. */
static void
sends_after_a_restart_what_was_recorded(void **state)
{
    struct bench b;
    bench_init(&b, *state);
    populate(&b);
    rig_open(&b.r);
    assert_true(rig_wait_ready(&b.r) && wait_right(&b));
    atomic_store(&b.clickhouse.mood, FAKE_REFUSES);
    for (unsigned i = 0; i < PILE; i++) {
        change_set(&b, 1 + i % SETS, i % 30, 1 + i % 4);
        assert_true(rig_settle(&b.r));
        clock_sleep_us(50000);
    }
    assert_false(is_right(&b, false));
    assert_true(wait_pending(&b, PILE / 2)); /* those that cannot have been seen are one by now */
    rig_close(&b.r);
    atomic_store(&b.clickhouse.mood, FAKE_WELL);
    rig_open(&b.r);
    assert_true(wait_right(&b));
    bench_fini(&b);
}

/* ---- what a kill leaves ---- */

/* How many batches the closed rig's index has that may count or not. */
static size_t
n_tentative(struct bench *b)
{
    size_t n = 0, n_all = 0;
    rig_open_index(&b->r);
    struct idx_reader *reader = idx_reader_new(b->r.idx);
    const struct idx_entry *all =
        idx_snapshot_entries(idx_reader_begin(reader), SPAN_LIT("emote_stats"), &n_all);
    for (size_t i = 0; i < n_all; i++)
        n += all[i].value.n > 1 && all[i].value.p[0] == 'T';
    idx_reader_end(reader);
    idx_reader_free(reader);
    rig_close(&b->r);
    return n;
}

/*
 * As a kill just behind the commit leaves it: the last recorded batch of the
 * closed rig may count or not. is_committed: MongoDB has its token; else it
 * gets another one.
 */
static void
make_tentative(struct bench *b, bool is_committed)
{
    size_t n = 0;
    rig_open_index(&b->r);
    struct idx_reader *reader = idx_reader_new(b->r.idx);
    struct idx_batch *to = idx_batch_new();
    struct arena *arena = idx_batch_arena(to);
    const struct idx_entry *all =
        idx_snapshot_entries(idx_reader_begin(reader), SPAN_LIT("emote_stats"), &n);
    const struct idx_entry *last = NULL;
    for (size_t i = 0; i < n; i++)
        last = all[i].value.n > 1 && all[i].value.p[0] == 'S' ? &all[i] : last;
    assert_non_null(last);
    struct span key = arena_printf(arena, "%.*s%s", SPAN_ARG(last->key), is_committed ? "" : "x");
    struct span value = arena_printf(arena, "T%.*s", SPAN_ARG(span_from(last->value, 1)));
    idx_batch_entry(to, SPAN_LIT("emote_stats"), key, value);
    idx_reader_end(reader);
    idx_reader_free(reader);
    assert_true(idx_submit(b->r.idx, &to) > 0);
    rig_close(&b->r);
}

/* Nothing else is written back that would tell: it is found out all the same. */
static void
is_settled_at_rest(struct server *s, bool is_committed)
{
    struct bench b;
    bench_init(&b, s);
    populate(&b);
    rig_open(&b.r);
    assert_true(rig_wait_ready(&b.r) && wait_right(&b));
    atomic_store(&b.clickhouse.mood, FAKE_REFUSES);
    change_set(&b, 1, 10, 4);
    assert_true(rig_settle(&b.r));
    for (int i = 0; i < 200 && listed(&b, 10) == 0; i++)
        clock_sleep_us(50000);
    assert_true(listed(&b, 10) > 0);
    rig_close(&b.r);
    make_tentative(&b, is_committed);
    assert_int_equal(n_tentative(&b), 1);
    atomic_store(&b.clickhouse.mood, FAKE_WELL);
    rig_open(&b.r);
    assert_true(rig_settle(&b.r) && wait_right(&b));
    rig_close(&b.r);
    assert_int_equal(n_tentative(&b), 0);
    bench_fini(&b);
}

static void
counts_what_was_committed(void **state)
{
    is_settled_at_rest(*state, true);
}

static void
forgets_what_was_not_committed(void **state)
{
    is_settled_at_rest(*state, false);
}

/*
 * The dead one's lease would be waited for: it is given up in its name. Its
 * open transaction would hold the lease for a minute: it may live for 2 s.
 */
static void
free_lease(struct rig *r)
{
    bson_error_t error;
    bson_t *command =
        BCON_NEW("setParameter", BCON_INT32(1), "transactionLifetimeLimitSeconds", BCON_INT32(2));
    must(mongoc_client_command_simple(r->client, "admin", command, NULL, NULL, &error));
    bson_destroy(command);
    rig_command(r, "{\"update\": \"tailfin_lease\", \"updates\": [{\"q\": {\"_id\": \"writeback\"},"
                   " \"u\": {\"$set\": {\"holder\": \"\"}}}]}");
}

/* Between any two steps: record, token, commit, sending, answer, forgetting. */
static void
survives_kills(void **state)
{
    struct bench b;
    struct rng rng = rng_new();
    const char *rounds = getenv("TAILFIN_ROUNDS"); /* more, for hunting */
    bench_init(&b, *state);
    populate(&b);
    rig_open(&b.r);
    assert_true(rig_wait_ready(&b.r) && wait_right(&b));
    rig_close(&b.r);
    atomic_store(&b.clickhouse.mood, FAKE_AT_RANDOM);
    for (int round = 0; round < (rounds ? (int)strtol(rounds, NULL, 10) : 8); round++) {
        free_lease(&b.r);
        pid_t pid = rig_fork(&b.r);
        uint64_t until_us = clock_us() + 600000 + rng_below(&rng, 900000);
        while (clock_us() < until_us) {
            change_set(&b, 1 + (unsigned)rng_below(&rng, SETS), (unsigned)rng_below(&rng, 30),
                       (unsigned)rng_below(&rng, 6));
            clock_sleep_us(rng_below(&rng, 30000));
        }
        must(kill(pid, SIGKILL) == 0);
        must(waitpid(pid, NULL, 0) == pid);
    }
    atomic_store(&b.clickhouse.mood, FAKE_WELL);
    free_lease(&b.r);
    rig_open(&b.r);
    assert_true(rig_settle(&b.r) && wait_right(&b));
    printf("%u inserts, %u of them repeated\n", b.clickhouse.n_inserts, b.clickhouse.n_repeats);
    bench_fini(&b);
}

/* ---- tables ---- */

/* What starting says; empty: it starts. */
static const char *
start_error(struct bench *b, struct arena *arena)
{
    struct err err = {0};
    struct ing_mongo_options o;
    struct ing_mongo *m;
    struct idx_options idx_options = {.refresh_us = 20000, .commit_us = 200000};
    must(fs_open_host(b->r.dir, &b->r.fs, &err) == RC_OK);
    idx_options.fs = b->r.fs;
    must(idx_open(&idx_options, &b->r.idx, &err) == RC_OK);
    ing_mongo_options_init(&o);
    o.idx = b->r.idx;
    o.uri = b->r.uri;
    o.profile = &b->r.profile;
    o.writeback = b->r.writeback;
    o.stats = &b->options;
    o.log = b->r.log;
    enum rc rc = ing_mongo_start(&o, &m, &err);
    if (rc == RC_OK)
        ing_mongo_stop(m);
    else
        assert_int_equal(rc, RC_INVALID);
    must(idx_close(b->r.idx, NULL) == RC_OK);
    fs_close(b->r.fs);
    b->r.idx = NULL;
    b->r.fs = NULL;
    return rc == RC_OK ? "" : arena_str(arena, span_str(err.text));
}

static void
refuses_what_cannot_deduplicate(void **state)
{
    static const struct {
        const char *engine, *statement, *error;
    } rows[] = {
        {"ReplicatedSummingMergeTree", "CREATE TABLE x ENGINE = Replicated...", ""},
        {"SharedSummingMergeTree", "CREATE TABLE x", ""},
        {"ReplicatedSummingMergeTree", "SETTINGS replicated_deduplication_window = 0",
         "would count twice"},
        {"ReplicatedSummingMergeTree", "SETTINGS replicated_deduplication_window = 100", ""},
        {"SummingMergeTree", "SETTINGS non_replicated_deduplication_window = 10", ""},
        {"SummingMergeTree", "SETTINGS non_replicated_deduplication_window=0", "would count twice"},
        {"SummingMergeTree", "SETTINGS replicated_deduplication_window = 5", "would count twice"},
        {"SummingMergeTree", "CREATE TABLE x", "would count twice"},
        {"Distributed", "CREATE TABLE x", "would count twice"},
        {NULL, NULL, "has no table emote_stats"},
    };
    struct arena arena = {0};
    struct bench b;
    bench_init(&b, *state);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        b.clickhouse.engine = rows[i].engine;
        b.clickhouse.statement = rows[i].statement;
        const char *error = start_error(&b, &arena);
        if (*rows[i].error)
            assert_non_null(strstr(error, rows[i].error));
        else
            assert_string_equal(error, "");
    }
    b.options.table = "x; DROP TABLE y";
    assert_non_null(strstr(start_error(&b, &arena), "is to be a name"));
    b.options.table = "emote_stats";
    b.options.url = "clickhouse:8123";
    assert_non_null(strstr(start_error(&b, &arena), "http://"));
    b.options.url = b.clickhouse.url;
    b.r.writeback = ING_WRITEBACK_NONE;
    assert_non_null(strstr(start_error(&b, &arena), "writeback=full"));
    /* One that is away does not keep the program from starting. */
    b.r.writeback = ING_WRITEBACK_FULL;
    atomic_store(&b.clickhouse.mood, FAKE_AWAY);
    assert_string_equal(start_error(&b, &arena), "");
    arena_fini(&arena);
    bench_fini(&b);
}

/* ---- rows ---- */

static void
rows_read_back(void **state)
{
    (void)state;
    struct ing_stats_rows rows = {0}, again = {0};
    struct buf text = {0}, same = {0};
    unsigned char id[WORLD_ID_N] = {0x01, 0x85, 0x1f, 0x89, 0x29, 0,    0,    0,
                                    0x79, 0x72, 0x79, 0xe2, 0xdd, 0xcd, 0x8d, 0x89};
    ing_stats_rows_add(&rows, id, 1671271360, 1);
    ing_stats_rows_add(&rows, id, 1671271360, 1);
    ing_stats_rows_add(&rows, id, 1671271360 + 86400, -1);
    id[0] = 9;
    ing_stats_rows_add(&rows, id, 1671271360, 1);
    ing_stats_rows_add(&rows, id, 1671271360, -1); /* comes to nothing */
    assert_int_equal(ing_stats_rows_write(&rows, &text), 2);
    buf_putc(&text, 0);
    assert_non_null(strstr(text.p, "01851f89-2900-0000-7972-79e2ddcd8d89\t2022-12-17\t2\n"));
    assert_non_null(strstr(text.p, "01851f89-2900-0000-7972-79e2ddcd8d89\t2022-12-18\t-1\n"));
    text.n--;
    ing_stats_rows_read(&again, buf_span(&text));
    ing_stats_rows_read(&again, buf_span(&text));
    assert_int_equal(ing_stats_rows_write(&again, &same), 2);
    buf_putc(&same, 0);
    assert_non_null(strstr(same.p, "\t2022-12-17\t4\n"));
    buf_fini(&text);
    buf_fini(&same);
    ing_stats_rows_fini(&rows);
    ing_stats_rows_fini(&again);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_read_back),
        cmocka_unit_test(counts_what_users_take_up_and_let_go),
        cmocka_unit_test(survives_refusals),
        cmocka_unit_test(survives_cut_connections),
        cmocka_unit_test(survives_a_slow_server),
        cmocka_unit_test(survives_a_server_that_is_away),
        cmocka_unit_test(sends_after_a_restart_what_was_recorded),
        cmocka_unit_test(counts_what_was_committed),
        cmocka_unit_test(forgets_what_was_not_committed),
        cmocka_unit_test(survives_kills),
        cmocka_unit_test(refuses_what_cannot_deduplicate),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
