#include "base/metrics.h"

#include <pthread.h>

#include "base/metrics_parts.h"

#define METRIC(kind, id, name, unit, help) {METRIC_##kind, name, unit, help},
const struct metric_row metric_rows[METRIC_N] = {
#include "base/metrics.def"
};
#undef METRIC

struct metrics_block {
    struct metrics_block *next;
    atomic_uint_fast64_t values[METRIC_N];   /* a histogram's is its count */
    atomic_uint_fast64_t sums_us[METRIC_N];  /* of histograms */
    atomic_uint_fast64_t *buckets[METRIC_N]; /* of histograms: BUCKET_N; else NULL */
};

struct metrics {
    pthread_mutex_t mutex;
    struct metrics_block *blocks; /* under the mutex; a block once in stays */
};

struct metrics *
metrics_new(void)
{
    struct metrics *m = xcalloc(1, sizeof *m);
    must(pthread_mutex_init(&m->mutex, NULL) == 0);
    return m;
}

void
metrics_free(struct metrics *m)
{
    if (!m)
        return;
    for (struct metrics_block *b = m->blocks, *next; b; b = next) {
        next = b->next;
        for (size_t i = 0; i < METRIC_N; i++)
            free(b->buckets[i]);
        free(b);
    }
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

struct metrics_block *
metrics_block(struct metrics *m)
{
    struct metrics_block *b = xcalloc(1, sizeof *b);
    for (size_t i = 0; i < METRIC_N; i++)
        if (metric_rows[i].kind == METRIC_HISTOGRAM)
            b->buckets[i] = xcalloc(BUCKET_N, sizeof *b->buckets[i]);
    must(pthread_mutex_lock(&m->mutex) == 0);
    b->next = m->blocks;
    m->blocks = b;
    must(pthread_mutex_unlock(&m->mutex) == 0);
    return b;
}

void
metrics_add(struct metrics_block *b, enum metric id, uint64_t n)
{
    if (b)
        atomic_fetch_add_explicit(&b->values[id], n, memory_order_relaxed);
}

void
metrics_set(struct metrics_block *b, enum metric id, uint64_t value)
{
    if (b)
        atomic_store_explicit(&b->values[id], value, memory_order_relaxed);
}

uint64_t
bucket_begin(size_t i)
{
    if (i < BUCKET_SUB)
        return i;
    size_t doubling = i / BUCKET_SUB - 1;
    return (uint64_t)(BUCKET_SUB + i % BUCKET_SUB) << doubling;
}

static size_t
bucket_of(uint64_t us)
{
    if (us < BUCKET_SUB)
        return us;
    size_t top = 63 - (size_t)__builtin_clzll(us);
    if (top >= BUCKET_BITS_MAX)
        return BUCKET_N - 1;
    size_t doubling = top - 4;
    return (doubling + 1) * BUCKET_SUB + ((us >> doubling) & (BUCKET_SUB - 1));
}

void
metrics_observe(struct metrics_block *b, enum metric id, uint64_t us)
{
    if (!b)
        return;
    must(metric_rows[id].kind == METRIC_HISTOGRAM);
    atomic_fetch_add_explicit(&b->values[id], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->sums_us[id], us, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->buckets[id][bucket_of(us)], 1, memory_order_relaxed);
}

/* The newest block; the list behind it never changes. */
static struct metrics_block *
first_block(struct metrics *m)
{
    must(pthread_mutex_lock(&m->mutex) == 0);
    struct metrics_block *b = m->blocks;
    must(pthread_mutex_unlock(&m->mutex) == 0);
    return b;
}

uint64_t
metrics_read(struct metrics *m, enum metric id)
{
    uint64_t sum = 0;
    for (struct metrics_block *b = first_block(m); b; b = b->next)
        sum += atomic_load_explicit(&b->values[id], memory_order_relaxed);
    return sum;
}

uint64_t
metrics_sum_buckets(struct metrics *m, enum metric id, uint64_t *counts, uint64_t *sum_us)
{
    uint64_t n = 0;
    uint64_t sum = 0;
    memset(counts, 0, BUCKET_N * sizeof *counts);
    for (struct metrics_block *b = first_block(m); b; b = b->next) {
        sum += atomic_load_explicit(&b->sums_us[id], memory_order_relaxed);
        for (size_t i = 0; i < BUCKET_N; i++) {
            uint64_t count = atomic_load_explicit(&b->buckets[id][i], memory_order_relaxed);
            counts[i] += count;
            n += count;
        }
    }
    if (sum_us)
        *sum_us = sum;
    return n;
}

uint64_t
metrics_quantile(struct metrics *m, enum metric id, double q)
{
    must(metric_rows[id].kind == METRIC_HISTOGRAM && q >= 0 && q <= 1);
    uint64_t counts[BUCKET_N];
    uint64_t n = metrics_sum_buckets(m, id, counts, NULL);
    if (n == 0)
        return 0;
    uint64_t rank = (uint64_t)(q * (double)(n - 1) + 0.5);
    size_t i = 0;
    for (uint64_t seen = counts[0]; seen <= rank && i + 1 < BUCKET_N; seen += counts[i])
        i++;
    uint64_t begin = bucket_begin(i);
    return begin + (bucket_begin(i + 1) - 1 - begin) / 2;
}
