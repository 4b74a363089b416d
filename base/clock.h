/* Time, in microseconds everywhere. Any thread; never fails. */
#ifndef TAILFIN_BASE_CLOCK_H
#define TAILFIN_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_us(void);      /* monotonic: for durations and deadlines */
uint64_t clock_wall_us(void); /* since 1970 UTC */
uint64_t clock_boot_us(void); /* monotonic, goes on while the machine sleeps: for leases */
uint64_t clock_thread_us(void); /* processor time of the calling thread; costs a system call */
void clock_sleep_us(uint64_t us);

#endif
