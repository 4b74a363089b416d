#include "base/thread.h"

#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of the system call sched_setattr, which libc has no name for: sched_setattr(2). */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

enum { NICE_MAX = 19, TURN_NS = 100000 };

void
thread_step_back(int steps)
{
    id_t self = (id_t)gettid();
    const struct sched_param none = {0};
    int nice = getpriority(PRIO_PROCESS, self); /* -1 may be its value: no error is possible here */
    nice = nice + steps < NICE_MAX ? nice + steps : NICE_MAX;
    if (sched_getscheduler((pid_t)self) != SCHED_IDLE) /* that is further back already */
        (void)sched_setscheduler((pid_t)self, SCHED_BATCH, &none);
    (void)setpriority(PRIO_PROCESS, self, nice);
}

void
thread_answer(void)
{
    struct attributes a = {.size = sizeof a};
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 || a.policy != SCHED_OTHER)
        return;
    a.runtime = TURN_NS;
    (void)syscall(SYS_sched_setattr, 0, &a, 0);
}
