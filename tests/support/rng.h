/*
 * Random numbers for property tests (splitmix64): the same on every machine.
 * The seed is printed, so that a failure can be run again.
 */
#ifndef TAILFIN_TESTS_RNG_H
#define TAILFIN_TESTS_RNG_H

#include <stdint.h>

struct rng {
    uint64_t state;
};

/* From $TAILFIN_SEED if set, else from the clock; prints `seed N` to stdout. */
struct rng rng_new(void);
uint64_t rng_next(struct rng *r);
/* A number in [0, n); n > 0. */
uint64_t rng_below(struct rng *r, uint64_t n);

#endif
