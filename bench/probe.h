/*
 * What the MongoDB benches share: asking Tailfin, and percentiles of samples.
 */
#ifndef TAILFIN_BENCH_PROBE_H
#define TAILFIN_BENCH_PROBE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct probe;

/* url: "http://127.0.0.1:8108"; key may be "". */
MUST_USE enum rc probe_open(const char *url, const char *key, struct probe **out, struct err *err);
void probe_close(struct probe *p);
/* GET path; the answer parsed into the arena, which is reset before. False for anything but a 200
 * (printed). */
bool probe_get(struct probe *p, const char *path, struct arena *arena, struct json *out);
/* The member "found" of a search; -1 on failure. */
int64_t probe_found(struct probe *p, const char *path, struct arena *arena);

struct samples { /* of microseconds */
    uint64_t *us;
    size_t n, cap;
};
void samples_add(struct samples *s, uint64_t us);
void samples_fini(struct samples *s);
/* Sorts; q in 0..1; 0 if empty. */
uint64_t samples_quantile(struct samples *s, double q);
/* "name  n=..  p50 .. ms  p90 .. ms  p99 .. ms  max .. ms" */
void samples_print(struct samples *s, const char *name);

#endif
