/* What metrics.c and metrics_write.c share: the rows and the histogram buckets. */
#ifndef TAILFIN_BASE_METRICS_PARTS_H
#define TAILFIN_BASE_METRICS_PARTS_H

#include "base/metrics.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_GAUGE_US, METRIC_HISTOGRAM };

struct metric_row {
    enum metric_kind kind;
    const char *name, *unit, *help;
};

/* One row per enum metric, in its order. */
extern const struct metric_row metric_rows[METRIC_N];

/*
 * Buckets are 1 us wide below 16 us, then 16 to each doubling: a bucket is at
 * most 1/16 of its value wide. Values from 2^40 us (13 days) on count in the
 * last one.
 */
enum { BUCKET_SUB = 16, BUCKET_BITS_MAX = 40, BUCKET_N = BUCKET_SUB * (BUCKET_BITS_MAX - 3) };

/* The first value of bucket i, in microseconds; i may be BUCKET_N (the end). */
uint64_t bucket_begin(size_t i);
/* Sums a histogram over all blocks into counts[BUCKET_N]; returns the count. sum_us may be NULL. */
uint64_t metrics_sum_buckets(struct metrics *m, enum metric id, uint64_t *counts, uint64_t *sum_us);

#endif
