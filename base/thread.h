/*
 * What a thread asks of the host's scheduler. Threads that answer people run
 * as the process was started; the others step back.
 */
#ifndef TAILFIN_BASE_THREAD_H
#define TAILFIN_BASE_THREAD_H

enum {
    THREAD_STEPS_FEED = 15, /* somebody waits for it, but less than for an answer */
    THREAD_STEPS_TIDY = 19, /* nobody waits: what is idle otherwise, and a small share beside */
};

/*
 * Lowers the calling thread's priority by steps of nice, from where it is, and
 * makes it one that does not push others off a processor when it wakes. Where
 * the host refuses, the thread stays as it is: it is a matter of speed only.
 * Linux: nice values belong to threads.
 */
void thread_step_back(int steps);

/*
 * For the calling thread, if it has an ordinary priority: asks for short turns
 * on a processor, which the host gives sooner when the thread wakes while
 * others, with longer turns, run. Linux 6.12 and later (sched_setattr(2),
 * sched_runtime of SCHED_OTHER); elsewhere nothing changes.
 */
void thread_answer(void);

#endif
