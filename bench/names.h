/*
 * The real names of bench/data, read into memory: what the demo database and
 * the benches make their documents from.
 */
#ifndef TAILFIN_BENCH_NAMES_H
#define TAILFIN_BENCH_NAMES_H

#include "base/arena.h"
#include "base/err.h"

struct bench_name {
    struct span name;        /* of an emote or role; a handle */
    struct span display;     /* of a handle; else empty */
    const struct span *tags; /* of an emote */
    uint32_t n_tags;
    uint32_t popularity; /* 0: not known */
};

struct bench_names {
    struct bench_name *v;
    size_t n;
};

/*
 * Reads a file of JSON lines, gzipped or not: names of 1..100 bytes, each
 * once, in the order of the file. All in the arena. RC_ABSENT, RC_CORRUPT.
 */
MUST_USE enum rc bench_names_read(const char *path, struct arena *arena, struct bench_names *out,
                                  struct err *err);

#endif
