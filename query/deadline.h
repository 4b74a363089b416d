/*
 * When a search must stop: at its request's cutoff, or when the slice that its
 * thread gives it is used up. Private to query/. Values, without pointers; to
 * be looked at in the thread that began the slice.
 */
#ifndef TAILFIN_QUERY_DEADLINE_H
#define TAILFIN_QUERY_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Processor time is what counts: a search that is dropped because the host gave
 * the processor to somebody else would be begun anew, at twice the cost, when
 * the machine is busiest. Waits (for a disk, too) count from a multiple on.
 */
struct qry_slice {
    uint64_t begin_us, begin_cpu_us; /* clock_us, clock_thread_us */
    uint64_t length_us;              /* UINT64_MAX: it never ends */
};

struct qry_deadline {
    uint64_t cutoff_us; /* clock_us; UINT64_MAX: none */
    struct qry_slice slice;
};

#define QRY_SLICE_ENDLESS ((struct qry_slice){.length_us = UINT64_MAX})
#define QRY_DEADLINE_NONE ((struct qry_deadline){UINT64_MAX, QRY_SLICE_ENDLESS})

/* Begins now, in the calling thread. Costs a system call, 0.2 us. */
struct qry_slice qry_slice_begin(uint64_t length_us);
/* Some 30 ns, and 0.2 us more once a slice's length has passed. */
bool qry_deadline_is_over(const struct qry_deadline *d);

#endif
