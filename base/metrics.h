/*
 * Counters, gauges and histograms: the rows of metrics.def. A thread counts in
 * a block of its own with relaxed atomics; readers sum the blocks.
 */
#ifndef TAILFIN_BASE_METRICS_H
#define TAILFIN_BASE_METRICS_H

#include <stdatomic.h>

#include "base/buf.h"

#define METRIC(kind, id, name, unit, help) M_##id,
enum metric {
#include "base/metrics.def"
    METRIC_N
};
#undef METRIC

struct metrics;
struct metrics_block;

MUST_USE struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* frees the blocks too */
/* A block for one thread; borrowed from m until metrics_free. Any thread. */
struct metrics_block *metrics_block(struct metrics *m);

/* The block may be NULL: nothing is counted. Owner thread (or any, at the cost of sharing). */
void metrics_add(struct metrics_block *b, enum metric id, uint64_t n);
/* A gauge; readers sum it over the blocks. */
void metrics_set(struct metrics_block *b, enum metric id, uint64_t value);
void metrics_observe(struct metrics_block *b, enum metric id, uint64_t us);

/* The sum over all blocks (a histogram's count). Any thread. */
uint64_t metrics_read(struct metrics *m, enum metric id);
/* A histogram's quantile in microseconds, within 10 %; 0 if it is empty. q in 0..1. */
uint64_t metrics_quantile(struct metrics *m, enum metric id, double q);
/* Appends all in the Prometheus text format 0.0.4. */
void metrics_write(struct metrics *m, struct buf *out);

#endif
