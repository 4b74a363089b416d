#include "bench/hist.h"

#include <stdio.h>

/*
 * Below HIST_EXACT one bucket per number; above, HIST_PARTS buckets per power
 * of two.
 */
static unsigned
bucket_of(uint64_t us)
{
    if (us < HIST_EXACT)
        return (unsigned)us;
    unsigned power = 63 - (unsigned)__builtin_clzll(us); /* at least 6 */
    unsigned part = (unsigned)(us >> (power - 5)) & (HIST_PARTS - 1);
    return HIST_EXACT + (power - 6) * HIST_PARTS + part;
}

/* The largest number of a bucket. */
static uint64_t
bucket_end(unsigned i)
{
    if (i < HIST_EXACT)
        return i;
    unsigned power = 6 + (i - HIST_EXACT) / HIST_PARTS;
    uint64_t part = (i - HIST_EXACT) % HIST_PARTS;
    return ((HIST_PARTS + part + 1) << (power - 5)) - 1;
}

void
hist_add(struct hist *h, uint64_t us)
{
    h->counts[bucket_of(us)]++;
    h->n++;
    h->sum_us += us;
    if (us > h->max_us)
        h->max_us = us;
}

void
hist_merge(struct hist *to, const struct hist *from)
{
    for (unsigned i = 0; i < HIST_N; i++)
        to->counts[i] += from->counts[i];
    to->n += from->n;
    to->sum_us += from->sum_us;
    if (from->max_us > to->max_us)
        to->max_us = from->max_us;
}

uint64_t
hist_quantile(const struct hist *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)h->n);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_N; i++) {
        seen += h->counts[i];
        if (h->counts[i] > 0 && seen > want)
            return bucket_end(i) < h->max_us ? bucket_end(i) : h->max_us;
    }
    return h->max_us;
}

static double
ms(uint64_t us)
{
    return (double)us / 1000;
}

void
hist_print(const struct hist *h, const char *name)
{
    double mean = h->n > 0 ? (double)h->sum_us / (double)h->n / 1000 : 0;
    printf("%-24s n %9llu  mean %8.3f  p50 %8.3f  p90 %8.3f  p99 %8.3f  max %8.3f ms\n", name,
           (unsigned long long)h->n, mean, ms(hist_quantile(h, 0.50)), ms(hist_quantile(h, 0.90)),
           ms(hist_quantile(h, 0.99)), ms(h->max_us));
}
