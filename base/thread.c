#include "base/thread.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NICE_MAX = 19 };

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
