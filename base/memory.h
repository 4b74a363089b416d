/* How much memory the machine, or the container, has left. */
#ifndef TAILFIN_BASE_MEMORY_H
#define TAILFIN_BASE_MEMORY_H

#include "base/span.h"

/*
 * Bytes that can be taken without swapping: the kernel's estimate, or what the
 * control group's limit leaves if that is less. 0: not known. Any thread.
 * Source: proc(5), /proc/meminfo; kernel.org, cgroup-v2, memory.max.
 */
uint64_t memory_available(void);

/* The bytes of a "Name:  n kB" line of meminfo's text; 0 if it has none. */
uint64_t memory_line(struct span meminfo, const char *name);

#endif
