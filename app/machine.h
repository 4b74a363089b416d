/*
 * /metrics.json: the machine and the process as the kernel describes them, in
 * the peer's shape.
 */
#ifndef TAILFIN_APP_MACHINE_H
#define TAILFIN_APP_MACHINE_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

enum { APP_CPUS_MAX = 256 };

/* Counters of the last look, so that a percentage is of the time since. All-zero: since the machine
 * started. */
struct app_machine {
    atomic_uint_fast64_t busy[APP_CPUS_MAX + 1], total[APP_CPUS_MAX + 1]; /* 0: all processors */
};

/* Appends the object; every value is a text. Zeroes where the kernel says nothing. Any thread. */
void app_machine_write(struct app_machine *m, const char *data_dir, uint64_t mapped_bytes,
                       struct buf *out);

#endif
