/* Priorities belong to threads, not to the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"

static int
nice_now(void)
{
    return getpriority(PRIO_PROCESS, (id_t)gettid());
}

static void *
step_back(void *arg)
{
    int *at = arg;
    at[0] = nice_now();
    thread_step_back(3);
    at[1] = nice_now();
    thread_step_back(100); /* no further than there is */
    at[2] = nice_now();
    at[3] = sched_getscheduler((pid_t)gettid());
    return NULL;
}

static void
test_steps_back_alone(void **state)
{
    (void)state;
    int before = nice_now(), policy = sched_getscheduler(0), at[4] = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, step_back, at), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(at[0], before);
    assert_int_equal(at[1], before + 3 < 19 ? before + 3 : 19);
    assert_int_equal(at[2], 19);
    assert_int_equal(at[3], policy == SCHED_IDLE ? SCHED_IDLE : SCHED_BATCH);
    assert_int_equal(nice_now(), before);
    assert_int_equal(sched_getscheduler(0), policy);
}

/* Who starts the process for idle processors only means all of its threads. */
static void *
step_back_idly(void *arg)
{
    const struct sched_param none = {0};
    int *policy = arg;
    assert_int_equal(sched_setscheduler((pid_t)gettid(), SCHED_IDLE, &none), 0);
    thread_step_back(3);
    *policy = sched_getscheduler((pid_t)gettid());
    return NULL;
}

static void
test_never_steps_forward(void **state)
{
    (void)state;
    int policy = -1;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, step_back_idly, &policy), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(policy, SCHED_IDLE);
}

/* Shorter turns change neither what a thread is nor how far back it stands. */
static void *
answer(void *arg)
{
    int *at = arg;
    thread_answer();
    at[0] = nice_now();
    at[1] = sched_getscheduler((pid_t)gettid());
    thread_step_back(3);
    thread_answer();
    at[2] = nice_now();
    at[3] = sched_getscheduler((pid_t)gettid());
    return NULL;
}

static void
test_answers_where_it_stands(void **state)
{
    (void)state;
    int before = nice_now(), policy = sched_getscheduler(0), at[4] = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer, at), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(at[0], before);
    assert_int_equal(at[1], policy);
    assert_int_equal(at[2], before + 3 < 19 ? before + 3 : 19);
    assert_int_equal(at[3], policy == SCHED_IDLE ? SCHED_IDLE : SCHED_BATCH);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers_where_it_stands),
                                       cmocka_unit_test(test_steps_back_alone),
                                       cmocka_unit_test(test_never_steps_forward)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
