/* Making segments of full builders beside the writer; seal.h. */
#include "index/seal.h"

#include <errno.h>

static void
run(struct idx_job *job)
{
    struct idx_seal *s = (struct idx_seal *)job;
    s->segment = idx_fresh_build(&s->fresh);
    must(sem_post(&s->done) == 0);
}

/* The writer settled it, or does so now. */
static void
finish(struct idx_job *job)
{
    struct idx_seal *s = (struct idx_seal *)job;
    struct idx *idx = job->idx;
    if (idx->writer.seal == s)
        idx_seal_settle(idx);
    idx->writer.n_seals--;
    must(sem_destroy(&s->done) == 0);
    free(s);
}

void
idx_seal_start(struct idx *idx, struct idx_generation *g)
{
    struct idx_writer *w = &idx->writer;
    idx_seal_settle(idx);
    struct idx_seal *s = xcalloc(1, sizeof *s);
    s->job = (struct idx_job){.idx = idx, .run = run, .finish = finish};
    s->uid = g->uid;
    s->n_bytes = idx_fresh_n_bytes(&g->fresh);
    s->fresh = g->fresh;
    g->fresh = (struct idx_fresh){0};
    must(sem_init(&s->done, 0, 0) == 0);
    w->seal = s;
    w->n_seals++;
    idx_workers_start(&idx->sealers, &s->job);
}

bool
idx_seal_is_busy(const struct idx *idx)
{
    struct idx_seal *s = idx->writer.seal;
    int n_done = 1;
    if (s)
        must(sem_getvalue(&s->done, &n_done) == 0);
    return n_done == 0;
}

void
idx_seal_settle(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    struct idx_seal *s = w->seal;
    if (!s)
        return;
    while (sem_wait(&s->done) != 0)
        must(errno == EINTR);
    w->seal = NULL;
    struct idx_part part;
    struct idx_generation *g = idx_catalog_find(&w->catalog, s->uid);
    if (!g) { /* dropped meanwhile */
        idx_segment_free(s->segment);
        idx_fresh_fini(&s->fresh);
    } else if (idx_fresh_part(&s->fresh, &s->segment, &part)) {
        idx_generation_add(&w->catalog, g, part);
    }
}
