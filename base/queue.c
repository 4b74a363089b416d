#include "base/queue.h"

#include <pthread.h>

#include "base/clock.h"

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t has_items, has_room;
    void **ring;
    size_t first, n, max;
    bool is_closed;
};

struct queue *
queue_new(size_t max_items)
{
    must(max_items > 0);
    struct queue *q = xcalloc(1, sizeof *q);
    q->ring = xcalloc(max_items, sizeof *q->ring);
    q->max = max_items;
    pthread_condattr_t attr;
    must(pthread_condattr_init(&attr) == 0);
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    must(pthread_mutex_init(&q->mutex, NULL) == 0);
    must(pthread_cond_init(&q->has_items, &attr) == 0);
    must(pthread_cond_init(&q->has_room, &attr) == 0);
    pthread_condattr_destroy(&attr);
    return q;
}

void
queue_free(struct queue *q)
{
    if (!q)
        return;
    must(q->n == 0);
    pthread_cond_destroy(&q->has_room);
    pthread_cond_destroy(&q->has_items);
    pthread_mutex_destroy(&q->mutex);
    free(q->ring);
    free(q);
}

static void
lock(struct queue *q)
{
    must(pthread_mutex_lock(&q->mutex) == 0);
}

static void
unlock(struct queue *q)
{
    must(pthread_mutex_unlock(&q->mutex) == 0);
}

/* The lock is held and there is room. */
static void
put(struct queue *q, void *item)
{
    q->ring[(q->first + q->n) % q->max] = item;
    q->n++;
    pthread_cond_signal(&q->has_items);
}

/* The lock is held; NULL if the queue is empty. */
static void *
take(struct queue *q)
{
    if (q->n == 0)
        return NULL;
    void *item = q->ring[q->first];
    q->first = (q->first + 1) % q->max;
    q->n--;
    pthread_cond_signal(&q->has_room);
    return item;
}

bool
queue_push(struct queue *q, void *item)
{
    must(item != NULL);
    lock(q);
    while (q->n == q->max && !q->is_closed)
        pthread_cond_wait(&q->has_room, &q->mutex);
    bool is_open = !q->is_closed;
    if (is_open)
        put(q, item);
    unlock(q);
    return is_open;
}

bool
queue_try_push(struct queue *q, void *item)
{
    must(item != NULL);
    lock(q);
    bool is_put = !q->is_closed && q->n < q->max;
    if (is_put)
        put(q, item);
    unlock(q);
    return is_put;
}

void *
queue_pop(struct queue *q, uint64_t timeout_us)
{
    uint64_t now = clock_us();
    bool is_endless = timeout_us > UINT64_MAX / 4;
    uint64_t until = is_endless ? 0 : now + timeout_us;
    struct timespec t = {(time_t)(until / 1000000), (long)(until % 1000000) * 1000};
    int waited = 0;
    lock(q);
    while (q->n == 0 && !q->is_closed && waited == 0)
        waited = is_endless ? pthread_cond_wait(&q->has_items, &q->mutex)
                            : pthread_cond_timedwait(&q->has_items, &q->mutex, &t);
    void *item = take(q);
    unlock(q);
    return item;
}

void *
queue_try_pop(struct queue *q)
{
    lock(q);
    void *item = take(q);
    unlock(q);
    return item;
}

size_t
queue_n(struct queue *q)
{
    lock(q);
    size_t n = q->n;
    unlock(q);
    return n;
}

bool
queue_is_closed(struct queue *q)
{
    lock(q);
    bool is_closed = q->is_closed;
    unlock(q);
    return is_closed;
}

void
queue_close(struct queue *q)
{
    lock(q);
    q->is_closed = true;
    pthread_cond_broadcast(&q->has_items);
    pthread_cond_broadcast(&q->has_room);
    unlock(q);
}
