#include "tests/support/rng.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/must.h"

struct rng
rng_new(void)
{
    const char *wanted = getenv("TAILFIN_SEED");
    uint64_t seed = wanted ? strtoull(wanted, NULL, 10) : clock_wall_us();
    printf("seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    return (struct rng){seed};
}

uint64_t
rng_next(struct rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t
rng_below(struct rng *r, uint64_t n)
{
    must(n > 0);
    return rng_next(r) % n;
}
