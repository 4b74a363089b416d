#include "base/queue.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"

#include <pthread.h>

static void *
item(uintptr_t i)
{
    return (void *)i;
}

static void
test_order_and_limits(void **state)
{
    struct queue *q = queue_new(3);
    (void)state;
    assert_null(queue_try_pop(q));
    for (uintptr_t i = 1; i <= 3; i++)
        assert_true(queue_try_push(q, item(i)));
    assert_false(queue_try_push(q, item(4)));
    assert_int_equal(queue_n(q), 3);
    assert_ptr_equal(queue_try_pop(q), item(1));
    assert_true(queue_push(q, item(4)));
    for (uintptr_t i = 2; i <= 4; i++)
        assert_ptr_equal(queue_pop(q, 0), item(i));
    assert_int_equal(queue_n(q), 0);
    queue_free(q);
    queue_free(NULL);
}

static void
test_timeout(void **state)
{
    struct queue *q = queue_new(1);
    (void)state;
    uint64_t begin = clock_us();
    assert_null(queue_pop(q, 30000));
    uint64_t us = clock_us() - begin;
    assert_true(us >= 30000 && us < 5000000);
    queue_free(q);
}

static void
test_close_drains(void **state)
{
    struct queue *q = queue_new(2);
    (void)state;
    assert_true(queue_push(q, item(1)));
    assert_false(queue_is_closed(q));
    queue_close(q);
    assert_true(queue_is_closed(q));
    assert_false(queue_push(q, item(2)));
    assert_false(queue_try_push(q, item(2)));
    assert_ptr_equal(queue_pop(q, UINT64_MAX), item(1));
    assert_null(queue_pop(q, UINT64_MAX));
    queue_free(q);
}

static void *
push_until_closed(void *arg)
{
    struct queue *q = arg;
    while (queue_push(q, item(1)))
        continue;
    return NULL;
}

static void *
pop_for_ever(void *arg)
{
    return queue_pop(arg, UINT64_MAX);
}

static void
test_close_wakes(void **state)
{
    struct queue *full = queue_new(1);
    struct queue *empty = queue_new(1);
    pthread_t pusher;
    pthread_t popper;
    void *got = item(9);
    (void)state;
    assert_int_equal(pthread_create(&pusher, NULL, push_until_closed, full), 0);
    assert_int_equal(pthread_create(&popper, NULL, pop_for_ever, empty), 0);
    clock_sleep_us(20000);
    queue_close(full);
    queue_close(empty);
    assert_int_equal(pthread_join(pusher, NULL), 0);
    assert_int_equal(pthread_join(popper, &got), 0);
    assert_null(got);
    assert_non_null(queue_try_pop(full));
    queue_free(full);
    queue_free(empty);
}

enum { SENDERS_N = 3, RECEIVERS_N = 3, ITEMS_N = 20000 };

struct sender {
    struct queue *q;
    uintptr_t first;
};

static void *
send_all(void *arg)
{
    struct sender *s = arg;
    for (uintptr_t i = 0; i < ITEMS_N; i++)
        assert_true(queue_push(s->q, item(s->first + i * SENDERS_N)));
    return NULL;
}

struct receiver {
    struct queue *q;
    uint64_t sum, n;
    bool is_in_order; /* of each sender's items */
};

static void *
receive_all(void *arg)
{
    struct receiver *r = arg;
    uintptr_t last[SENDERS_N] = {0};
    void *p;
    while ((p = queue_pop(r->q, UINT64_MAX))) {
        uintptr_t v = (uintptr_t)p;
        r->is_in_order = r->is_in_order && v > last[v % SENDERS_N];
        last[v % SENDERS_N] = v;
        r->sum += v;
        r->n++;
    }
    return NULL;
}

static void
test_many_threads(void **state)
{
    struct queue *q = queue_new(7);
    pthread_t senders[SENDERS_N];
    pthread_t receivers[RECEIVERS_N];
    struct sender s[SENDERS_N];
    struct receiver r[RECEIVERS_N];
    uint64_t sum = 0;
    uint64_t n = 0;
    (void)state;
    for (size_t i = 0; i < RECEIVERS_N; i++) {
        r[i] = (struct receiver){q, 0, 0, true};
        assert_int_equal(pthread_create(&receivers[i], NULL, receive_all, &r[i]), 0);
    }
    for (size_t i = 0; i < SENDERS_N; i++) {
        s[i] = (struct sender){q, i + 1};
        assert_int_equal(pthread_create(&senders[i], NULL, send_all, &s[i]), 0);
    }
    for (size_t i = 0; i < SENDERS_N; i++)
        assert_int_equal(pthread_join(senders[i], NULL), 0);
    queue_close(q);
    for (size_t i = 0; i < RECEIVERS_N; i++) {
        assert_int_equal(pthread_join(receivers[i], NULL), 0);
        assert_true(r[i].is_in_order);
        sum += r[i].sum;
        n += r[i].n;
    }
    uint64_t total = (uint64_t)SENDERS_N * ITEMS_N;
    assert_int_equal(n, total);
    assert_int_equal(sum, total * (total + 1) / 2);
    queue_free(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_limits), cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_close_drains),     cmocka_unit_test(test_close_wakes),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
