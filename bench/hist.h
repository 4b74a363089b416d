/*
 * A histogram of microseconds with buckets of at most 3 % width: fixed size,
 * however many samples. One thread at a time; all-zero is empty.
 */
#ifndef TAILFIN_BENCH_HIST_H
#define TAILFIN_BENCH_HIST_H

#include <stdint.h>

enum { HIST_EXACT = 64, HIST_PARTS = 32, HIST_N = HIST_EXACT + HIST_PARTS * 58 };

struct hist {
    uint64_t counts[HIST_N];
    uint64_t n, sum_us, max_us;
};

void hist_add(struct hist *h, uint64_t us);
/* Adds all samples of another one. */
void hist_merge(struct hist *to, const struct hist *from);
/* The q-quantile, q in 0..1: the upper end of its bucket; 0 if empty. */
uint64_t hist_quantile(const struct hist *h, double q);
/* "name  n 1000  p50 0.051  p90 0.080  p99 0.210  max 3.100 ms" on one line of stdout. */
void hist_print(const struct hist *h, const char *name);

#endif
