/*
 * A stop, a kill, a lost history: whatever happens in between, the index ends
 * as if nothing had.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#include "indexer/resume.h"
#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

static void
goes_on_where_it_stopped(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    rig_init(&r, *state);
    world_emotes(&r, 1000, 500);
    for (int i = 0; i < 100; i++)
        world_change(&r, &rng);
    assert_true(rig_open_settled(&r));
    for (int round = 0; round < 3; round++) {
        rig_close(&r);
        for (int i = 0; i < 150; i++)
            world_change(&r, &rng);
        world_remove(&r, "emotes", 'e', 1000 + (unsigned)round);
        uint64_t n_scanned = metrics_read(r.metrics, M_SCANNED);
        rig_open(&r);
        assert_true(rig_settle(&r));
        assert_int_equal(metrics_read(r.metrics, M_SCANNED), n_scanned);
        compare_assert_equal(&r);
    }
    rig_fini(&r);
}

static void
survives_kills(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    rig_init(&r, *state);
    world_emotes(&r, 1000, 20000);
    for (int round = 0; round < 8; round++) {
        pid_t pid = rig_fork(&r);
        uint64_t until_us = clock_us() + 50000 + rng_below(&rng, 900000);
        while (clock_us() < until_us) {
            world_change(&r, &rng);
            if (rng_below(&rng, 50) == 0)
                world_emotes(&r, 100000 + (unsigned)rng_below(&rng, 1u << 30) / 100 * 100, 50);
        }
        must(kill(pid, SIGKILL) == 0);
        must(waitpid(pid, NULL, 0) == pid);
    }
    assert_true(rig_open_settled(&r));
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
rebuilds_when_history_is_lost(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    rig_init(&r, *state);
    world_emotes(&r, 1000, 3000);
    for (int i = 0; i < 200; i++)
        world_change(&r, &rng);
    assert_true(rig_open_settled(&r));
    rig_close(&r);
    rig_set_position(&r, 1000000, 0); /* the oplog has moved on since */
    for (int i = 0; i < 300; i++)
        world_change(&r, &rng);
    world_remove(&r, "emotes", 'e', 1001);
    rig_open(&r);
    /* The old generation serves meanwhile. */
    assert_true(rig_count(&r, "emotes") >= 2900);
    uint64_t until_us = clock_us() + 30000000;
    while (metrics_read(r.metrics, M_SCANNED) < 5900 && clock_us() < until_us) {
        assert_true(rig_count(&r, "emotes") >= 2900);
        clock_sleep_us(1000);
    }
    while (!rig_status_has(&r, "\"state\":\"tailing\"") && clock_us() < until_us)
        clock_sleep_us(5000);
    assert_true(rig_settle(&r));
    compare_assert_equal(&r);
    rig_fini(&r);
}

/* A process of its own: what it leaves open is the process's end to clean. */
static pid_t
fork_until_term(struct rig *r, int *ready_fd)
{
    int fds[2];
    sigset_t set;
    int number;
    must(pipe(fds) == 0);
    fflush(NULL);
    pid_t pid = fork();
    must(pid >= 0);
    if (pid > 0) {
        close(fds[1]);
        *ready_fd = fds[0];
        return pid;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    must(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    rig_open(r);
    must(rig_wait_ready(r));
    must(write(fds[1], "r", 1) == 1);
    must(sigwait(&set, &number) == 0);
    rig_close(r);
    _exit(0);
}

static void
stops_quickly_while_the_server_hangs(void **state)
{
    struct rig r;
    int fd, status;
    char byte;
    rig_init(&r, *state);
    world_emotes(&r, 0, 100);
    pid_t pid = fork_until_term(&r, &fd);
    assert_int_equal(read(fd, &byte, 1), 1);
    close(fd);
    server_pause(*state);
    clock_sleep_us(300000);
    uint64_t began_us = clock_us();
    must(kill(pid, SIGTERM) == 0);
    must(waitpid(pid, &status, 0) == pid);
    uint64_t took_us = clock_us() - began_us;
    server_resume(*state);
    assert_int_equal(status, 0);
    assert_in_range(took_us, 0, 4500000);
    world_remove(&r, "emotes", 'e', 3);
    rig_open(&r);
    assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 99);
    rig_fini(&r);
}

static void
comes_back_after_an_outage(void **state)
{
    struct rig r;
    rig_init(&r, *state);
    world_emotes(&r, 0, 100);
    assert_true(rig_open_settled(&r));
    server_pause(*state);
    clock_sleep_us(6000000); /* longer than the socket's limit */
    assert_int_equal(rig_count(&r, "emotes"), 100);
    assert_true(rig_status(&r, "errors") >= 1);
    server_resume(*state);
    world_emote(&r, 500, "later", 1);
    assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 101);
    rig_fini(&r);
}

static void
state_survives_its_encoding(void **state)
{
    (void)state;
    struct ing_resume a = {0}, b = {0};
    struct buf text = {0}, again = {0};
    struct err err;
    buf_puts(&a.position.token, "\x05\0\0\0");
    a.position.time_s = 7;
    struct ing_resume_feed *f = ing_resume_feed(&a, SPAN_LIT("emotes"));
    f->live = 3;
    f->aside = 4;
    f->live_print = UINT64_MAX;
    f->is_scanning = true;
    buf_puts(&f->at, "place");
    f->origin.is_known = true;
    memset(f->origin.uuid, 7, sizeof f->origin.uuid);
    (void)ing_resume_feed(&a, SPAN_LIT("users"));
    ing_resume_cascade(&a, ING_CASCADE_EDGE, SPAN_LIT("role:1"));
    ing_resume_cascade(&a, ING_CASCADE_SET, SPAN_LIT("set"));
    assert_int_equal(ing_resume_whole_s(&a), 0); /* the token tells no time */
    buf_puts(&a.cascades[1].at, "user");
    ing_resume_cascade(&a, ING_CASCADE_EDGE, SPAN_LIT("role:1")); /* twice is once */
    assert_int_equal(a.n_cascades, 2);
    ing_resume_write(&a, &text);
    assert_int_equal(ing_resume_read(buf_span(&text), &b, &err), RC_OK);
    ing_resume_write(&b, &again);
    assert_true(span_eq(buf_span(&text), buf_span(&again)));
    assert_int_equal(b.feeds[0].aside, 4);
    assert_true(b.feeds[0].origin.is_known && b.feeds[0].origin.uuid[15] == 7);
    assert_false(b.feeds[1].origin.is_known);
    assert_true(span_eq_str(buf_span(&b.cascades[1].at), "user"));
    ing_resume_fini(&b);
    for (size_t n = 1; n < text.n; n++)
        assert_int_equal(ing_resume_read(span_of(text.p, n), &b, &err), RC_CORRUPT);
    assert_int_equal(ing_resume_read((struct span){0}, &b, &err), RC_OK);
    assert_int_equal(b.n_feeds, 0);
    ing_resume_fini(&a);
    buf_fini(&text);
    buf_fini(&again);
}

static void
unfinished_cascades_hold_back_what_is_whole(void **state)
{
    (void)state;
    struct ing_resume a = {.position.time_s = 7}, b = {0};
    struct buf text = {0};
    struct err err;
    assert_int_equal(ing_resume_whole_s(&a), 7);
    ing_resume_cascade(&a, ING_CASCADE_SET, SPAN_LIT("one"));
    a.position.time_s = 9;
    ing_resume_cascade(&a, ING_CASCADE_SET, SPAN_LIT("two"));
    ing_resume_cascade(&a, ING_CASCADE_SET, SPAN_LIT("one")); /* starts over */
    a.position.time_s = 12;
    assert_int_equal(ing_resume_whole_s(&a), 7);
    /* After a restart the change is somewhere before the position. */
    ing_resume_write(&a, &text);
    assert_int_equal(ing_resume_read(buf_span(&text), &b, &err), RC_OK);
    assert_int_equal(ing_resume_whole_s(&b), 0);
    ing_resume_cascade_remove(&a, 0);
    assert_int_equal(ing_resume_whole_s(&a), 9);
    ing_resume_cascade_remove(&a, 0);
    assert_int_equal(ing_resume_whole_s(&a), 12);
    buf_fini(&text);
    ing_resume_fini(&a);
    ing_resume_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_survives_its_encoding),
        cmocka_unit_test(unfinished_cascades_hold_back_what_is_whole),
        cmocka_unit_test(goes_on_where_it_stopped),
        cmocka_unit_test(survives_kills),
        cmocka_unit_test(rebuilds_when_history_is_lost),
        cmocka_unit_test(stops_quickly_while_the_server_hangs),
        cmocka_unit_test(comes_back_after_an_outage),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
