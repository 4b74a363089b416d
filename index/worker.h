/* Threads that run jobs and post them back to the writer. Private to the room. */
#ifndef TAILFIN_INDEX_WORKER_H
#define TAILFIN_INDEX_WORKER_H

#include "base/queue.h"

#include "index/inbox.h"

struct idx_workers {
    struct queue *jobs;
    struct idx_inbox *inbox; /* where done jobs go */
    pthread_t *threads;
    size_t n;
    int steps_back; /* of their priority: thread.h */
};

/* *w: n, steps_back and inbox are set, all else zero. name: at most 15 characters. */
void idx_workers_init(struct idx_workers *w, const char *name);
/* Writer thread. No more jobs may be under way than idx_workers_init was told threads. */
void idx_workers_start(struct idx_workers *w, struct idx_job *job);
/* Joins the threads; no job may be left. */
void idx_workers_fini(struct idx_workers *w);

#endif
