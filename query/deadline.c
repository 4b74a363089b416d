#include "query/deadline.h"

#include "base/clock.h"

enum { WAITS_MAX = 4 }; /* times its length a slice lasts, waits included */

struct qry_slice
qry_slice_begin(uint64_t length_us)
{
    return (struct qry_slice){clock_us(), clock_thread_us(), length_us};
}

static bool
is_used_up(const struct qry_slice *s, uint64_t now_us)
{
    uint64_t passed_us = now_us - s->begin_us;

    if (passed_us < s->length_us)
        return false;
    if (passed_us / WAITS_MAX >= s->length_us)
        return true;
    return clock_thread_us() - s->begin_cpu_us >= s->length_us;
}

bool
qry_deadline_is_over(const struct qry_deadline *d)
{
    uint64_t now_us = clock_us();

    return now_us >= d->cutoff_us || is_used_up(&d->slice, now_us);
}
