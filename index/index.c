/*
 * An open index as its users hold it: opening and closing, and the doors that
 * lead to the inbox (writers) and to the epochs (readers).
 */
#include "index/index.h"

#include "base/thread.h"

#include "index/engine.h"

/* ---- opening and closing ---- */

static void
set_defaults(struct idx_options *o)
{
    if (o->refresh_us == 0)
        o->refresh_us = 20000;
    if (o->commit_us == 0)
        o->commit_us = 1000000;
    if (o->ram_bytes_max == 0)
        o->ram_bytes_max = 64 << 20;
    if (o->n_merge_threads == 0)
        o->n_merge_threads = 1;
}

/* Without threads: also of one that was opened in part. */
static void
destroy(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    idx_epochs_fini(&idx->epochs);
    while (w->retired) {
        struct idx_snapshot *s = w->retired;
        w->retired = s->next_retired;
        idx_snapshot_free(s);
    }
    idx_snapshot_free(w->newest);
    idx_catalog_fini(&w->catalog);
    idx_inbox_fini(&idx->inbox);
    arena_fini(&idx->durable.arena);
    pthread_mutex_destroy(&idx->durable.lock);
    pthread_mutex_destroy(&idx->commit_lock);
    free(idx);
}

static void
start_workers(struct idx *idx)
{
    struct idx_inbox *inbox = &idx->inbox;
    idx->committer = (struct idx_workers){.n = 1, .steps_back = THREAD_STEPS_FEED, .inbox = inbox};
    idx->sealers = idx->committer;
    idx->mergers = (struct idx_workers){
        .n = idx->options.n_merge_threads, .steps_back = THREAD_STEPS_TIDY, .inbox = inbox};
    idx_workers_init(&idx->committer, "index-commit");
    idx_workers_init(&idx->sealers, "index-seal");
    idx_workers_init(&idx->mergers, "index-merge");
}

enum rc
idx_open(const struct idx_options *options, struct idx **out, struct err *err)
{
    struct idx *idx = xcalloc(1, sizeof *idx);
    struct idx_writer *w = &idx->writer;
    idx->options = *options;
    idx->fs = options->fs;
    set_defaults(&idx->options);
    idx_inbox_init(&idx->inbox);
    must(pthread_mutex_init(&idx->durable.lock, NULL) == 0);
    must(pthread_mutex_init(&idx->commit_lock, NULL) == 0);
    w->last_retired = &w->retired;
    w->publish_at_us = w->commit_at_us = w->rest_at_us = UINT64_MAX;
    w->is_merge_due = true;

    enum rc rc = idx_load(idx, err);
    if (rc != RC_OK) {
        destroy(idx);
        return err_wrap(err, rc, "opening the index");
    }
    if (options->metrics)
        w->metrics = metrics_block(options->metrics);
    idx_epochs_init(&idx->epochs, w->newest);
    start_workers(idx);
    must(pthread_create(&idx->thread, NULL, idx_writer_main, idx) == 0);
    (void)pthread_setname_np(idx->thread, "index-writer"); /* for top and gdb only */
    *out = idx;
    return RC_OK;
}

enum rc
idx_close(struct idx *idx, struct err *err)
{
    if (!idx)
        return RC_OK;
    struct idx_writer *w = &idx->writer;
    atomic_store(&idx->is_cancelled, true);
    idx_inbox_close(&idx->inbox);
    must(pthread_join(idx->thread, NULL) == 0);
    idx_workers_fini(&idx->committer);
    idx_workers_fini(&idx->sealers);
    idx_workers_fini(&idx->mergers);
    static const enum metric gauges[] = {M_INDEX_DOCS, M_INDEX_SEGMENTS, M_INDEX_RAM_BYTES,
                                         M_INDEX_FILE_BYTES};
    for (size_t i = 0; i < ARRAY_SIZE(gauges); i++) /* the block stays, the index goes */
        metrics_set(w->metrics, gauges[i], 0);
    enum rc rc = w->commit_at_us == UINT64_MAX ? RC_OK : w->commit_rc;
    if (rc != RC_OK && err)
        *err = w->commit_err;
    destroy(idx);
    return rc;
}

/* ---- writers ---- */

uint32_t
idx_new_uid(struct idx *idx)
{
    return atomic_fetch_add(&idx->next_uid, 1);
}

uint64_t
idx_submit(struct idx *idx, struct idx_batch **take)
{
    uint64_t ticket = 0;
    enum rc rc = idx_submit_within(idx, take, UINT64_MAX, &ticket);
    return rc == RC_OK ? ticket : 0;
}

enum rc
idx_submit_within(struct idx *idx, struct idx_batch **take, uint64_t timeout_us, uint64_t *ticket)
{
    return idx_inbox_submit(&idx->inbox, take, timeout_us, ticket);
}

bool
idx_has_room(struct idx *idx)
{
    return idx_inbox_has_room(&idx->inbox);
}

enum rc
idx_wait(struct idx *idx, uint64_t ticket, enum idx_stage stage, uint64_t timeout_us)
{
    return idx_inbox_wait(&idx->inbox, ticket, stage, timeout_us);
}

enum rc
idx_merge_all(struct idx *idx, struct err *err)
{
    return idx_inbox_merge_all(&idx->inbox, err);
}

/* ---- readers ---- */

struct idx_reader *
idx_reader_new(struct idx *idx)
{
    return idx_epochs_join(&idx->epochs);
}

/* ---- what is durable ---- */

static void
lock(struct idx_durable *d)
{
    must(pthread_mutex_lock(&d->lock) == 0);
}

static void
unlock(struct idx_durable *d)
{
    must(pthread_mutex_unlock(&d->lock) == 0);
}

void
idx_durable_set(struct idx_durable *d, const struct idx_manifest *m)
{
    lock(d);
    d->trouble = (struct err){0};
    arena_reset(&d->arena);
    d->number = m->number;
    d->wall_us = m->wall_us;
    d->n_states = m->n_states;
    d->states = arena_calloc(&d->arena, m->n_states, sizeof d->states[0]);
    for (size_t i = 0; i < m->n_states; i++) {
        d->states[i].name = arena_dup(&d->arena, m->states[i].name);
        d->states[i].value = arena_dup(&d->arena, m->states[i].value);
    }
    unlock(d);
}

void
idx_durable_fail(struct idx_durable *d, const struct err *err)
{
    lock(d);
    d->trouble = *err;
    unlock(d);
}

enum rc
idx_commit_trouble(struct idx *idx, struct err *err)
{
    struct idx_durable *d = &idx->durable;
    lock(d);
    enum rc rc = d->trouble.rc;
    if (rc != RC_OK && err)
        *err = d->trouble;
    unlock(d);
    return rc;
}

struct span
idx_state(struct idx *idx, struct span name, struct arena *arena)
{
    struct idx_durable *d = &idx->durable;
    struct span value = {0};
    lock(d);
    for (size_t i = 0; i < d->n_states; i++)
        if (span_eq(d->states[i].name, name))
            value = arena_dup(arena, d->states[i].value);
    unlock(d);
    return value;
}

uint64_t
idx_commit_number(struct idx *idx, uint64_t *wall_us)
{
    struct idx_durable *d = &idx->durable;
    lock(d);
    uint64_t number = d->number;
    if (wall_us)
        *wall_us = d->wall_us;
    unlock(d);
    return number;
}
