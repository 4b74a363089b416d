/* The threads beside the writer: one commits, some merge; worker.h. */
#include "index/worker.h"

#include "base/thread.h"

static void *
worker_main(void *arg)
{
    struct idx_workers *w = arg;
    thread_step_back(w->steps_back);
    for (;;) {
        struct idx_job *job = queue_pop(w->jobs, UINT64_MAX);
        if (!job)
            return NULL;
        job->run(job);
        idx_inbox_post(w->inbox, job);
    }
}

void
idx_workers_init(struct idx_workers *w, const char *name)
{
    w->jobs = queue_new(w->n);
    w->threads = xcalloc(w->n, sizeof w->threads[0]);
    for (size_t i = 0; i < w->n; i++)
        must(pthread_create(&w->threads[i], NULL, worker_main, w) == 0);
    for (size_t i = 0; i < w->n; i++)
        (void)pthread_setname_np(w->threads[i], name); /* for top and gdb only */
}

void
idx_workers_start(struct idx_workers *w, struct idx_job *job)
{
    bool is_taken = queue_push(w->jobs, job);
    must(is_taken);
}

void
idx_workers_fini(struct idx_workers *w)
{
    if (!w->jobs)
        return;
    queue_close(w->jobs);
    for (size_t i = 0; i < w->n; i++)
        must(pthread_join(w->threads[i], NULL) == 0);
    queue_free(w->jobs);
    free(w->threads);
}
