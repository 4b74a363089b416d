#include "base/clock.h"

#include <errno.h>

#include "base/must.h"

static uint64_t
read_clock(clockid_t id)
{
    struct timespec t;
    must(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t
clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t
clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t
clock_boot_us(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

uint64_t
clock_thread_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void
clock_sleep_us(uint64_t us)
{
    struct timespec t = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &t) == EINTR)
        continue;
}
