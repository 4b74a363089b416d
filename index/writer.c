/*
 * The writer thread: the spine of everything that changes the index. It alone
 * touches the catalog. One turn:
 *
 *   look      wait for batches, finished jobs, wishes, or the next deadline
 *   take      queue: submitters -> writer
 *   apply     operations change the catalog                     apply.c
 *   finish    results of commits and merges are put in place    commit.c, merger.c
 *   publish   when due: readers see it                          publish.c
 *   commit    when due: captured, written by the committer      commit.c
 *   merge     when due: merge threads                           merger.c
 *   report    tickets, callbacks, room for submitters
 */
#include "index/writer.h"

#include "base/clock.h"
#include "base/thread.h"

#include "index/choice.h"
#include "index/seal.h"

static void look(struct idx *idx);
static void take(struct idx_writer *w);
static void apply(struct idx *idx);
static void finish_jobs(struct idx_writer *w);
static void publish(struct idx *idx);
static void commit(struct idx *idx);
static void report(struct idx *idx);
static bool is_over(struct idx *idx);
static void stop(struct idx *idx);

void *
idx_writer_main(void *arg)
{
    struct idx *idx = arg;
    struct idx_writer *w = &idx->writer;
    thread_step_back(THREAD_STEPS_FEED);
    do {
        look(idx);
        take(w);
        apply(idx);
        finish_jobs(w);
        publish(idx);
        commit(idx);
        idx_merges_start(idx);
        report(idx);
    } while (!is_over(idx));
    stop(idx);
    return NULL;
}

/* ---- look, take ---- */

/* While a reader holds an old snapshot, or a merge could not begin, look again after so long. */
enum { RETIRE_US = 50000, MERGE_US = 1000000 };

/* Builders of quiet generations included or not. */
static uint64_t
ram_bytes(const struct idx_writer *w, bool is_quiet)
{
    const struct idx_catalog *c = &w->catalog;
    uint64_t n = c->ram_bytes + (is_quiet && w->seal ? w->seal->n_bytes : 0);
    for (size_t i = 0; i < c->n; i++)
        if (is_quiet || !idx_generation_is_quiet(c->generations[i]))
            n += idx_fresh_n_bytes(&c->generations[i]->fresh);
    return n;
}

/* Of what is read: segments that no commit has written yet, and fresh documents. */
static uint64_t
read_ram_bytes(const struct idx_catalog *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct idx_generation *g = c->generations[i];
        if (idx_generation_is_quiet(g))
            continue;
        n += idx_fresh_n_bytes(&g->fresh);
        for (size_t k = 0; k < g->n_parts; k++)
            n += g->parts[k].seg->file ? 0 : g->parts[k].seg->n_bytes;
    }
    return n;
}

/*
 * Far more in RAM than is wanted: commits cannot keep up, or fail. Nothing is
 * applied then until one has worked, the inbox fills and submitters wait. Not
 * while closing, which has to come to an end. Bulk loads may have more: they
 * go on while a commit writes what it has captured, and are over soon.
 */
static bool
is_full(const struct idx *idx)
{
    const struct idx_writer *w = &idx->writer;
    uint64_t bytes_max = idx->options.ram_bytes_max;
    return !w->news.is_closing &&
           (read_ram_bytes(&w->catalog) >= 2 * bytes_max || ram_bytes(w, true) >= 4 * bytes_max);
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void
look(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    uint64_t now = clock_us(), deadline = w->publish_at_us;
    if (!w->commit && w->commit_at_us != UINT64_MAX) {
        bool is_later = w->commit_at_us < w->commit_retry_us;
        deadline = earlier(deadline, is_later ? w->commit_retry_us : w->commit_at_us);
    }
    if (w->retired)
        deadline = earlier(deadline, now + RETIRE_US);
    if (w->is_merge_due)
        deadline = earlier(deadline, now + MERGE_US);
    if (!atomic_load(&idx->is_cancelled))
        deadline = earlier(deadline, w->rest_at_us);
    if (w->batches && !is_full(idx))
        deadline = 0;
    bool has_wished = w->news.wants_one_segment;
    w->news = idx_inbox_look(&idx->inbox, deadline, &w->news);
    w->is_merge_due |= w->news.wants_one_segment;
    if (w->news.wants_one_segment && !has_wished)
        w->merge_retry_us = 0; /* whoever asks now is answered now */
    idx_retire(idx);
}

static void
take(struct idx_writer *w)
{
    struct idx_batch **end = &w->batches;
    while (*end)
        end = &(*end)->next;
    *end = w->news.batches;
    w->news.batches = NULL;
}

/* ---- apply ---- */

/*
 * Nobody reads what is loaded in bulk, and a commit cuts its builders short: it
 * may come so many times later, unless somebody waits or memory is full.
 */
enum { BULK_COMMITS = 5 };

static void
wait_for(struct idx_waitings *l, uint64_t ticket, struct idx_callback callback)
{
    if (!callback.done)
        return;
    if (l->first == l->n)
        l->first = l->n = 0;
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof l->items[0]);
    l->items[l->n++] = (struct idx_waiting){ticket, callback};
}

static void
apply_one(struct idx *idx, struct idx_batch *b)
{
    struct idx_writer *w = &idx->writer;
    uint64_t now = clock_us();
    bool is_bulk = idx_apply(idx, b);
    uint64_t commit_us = idx->options.commit_us * (is_bulk ? BULK_COMMITS : 1);
    w->tickets.applied = b->ticket;
    w->is_hurried |= b->is_hurried;
    w->publish_at_us = earlier(w->publish_at_us, now + idx->options.refresh_us);
    w->commit_at_us = earlier(w->commit_at_us, now + commit_us);
    wait_for(&w->visibles, b->ticket, b->on_visible);
    wait_for(&w->durables, b->ticket, b->on_durable);
    idx_inbox_applied(&idx->inbox, b->arena.total_bytes);
    idx_batch_free(b);
}

/* Applies what is waiting: all, or until the next publication is due or memory is full. */
static void
apply(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    while (w->batches && !is_full(idx)) {
        struct idx_batch *b = w->batches;
        w->batches = b->next;
        apply_one(idx, b);
        if (clock_us() >= w->publish_at_us)
            return;
    }
}

static void
finish_jobs(struct idx_writer *w)
{
    struct idx_job *job = w->news.jobs;
    w->news.jobs = NULL;
    while (job) {
        struct idx_job *next = job->next;
        job->finish(job);
        job = next;
    }
}

/* ---- publish ---- */

static void
publish(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    const struct idx_tickets *t = &w->tickets;
    bool is_wanted = w->news.want_visible > t->visible && w->news.want_visible <= t->applied;
    if (is_wanted) /* everything that waits goes with it, if it is applied by now */
        idx_publish(idx, IDX_ALL);
    else if ((w->is_hurried && !w->batches) || clock_us() >= w->publish_at_us)
        idx_publish(idx, IDX_NAMED);
}

/* ---- commit ---- */

static bool
has_many_parts(const struct idx_catalog *c)
{
    bool has_any = false;
    for (size_t i = 0; i < c->n && !has_any; i++)
        has_any = !idx_generation_is_quiet(c->generations[i]) &&
                  idx_choose_early_commit(c->generations[i]);
    return has_any;
}

static bool
is_commit_due(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    const struct idx_tickets *t = &w->tickets;
    bool is_dirty = w->commit_at_us != UINT64_MAX;
    if (w->news.is_closing && !w->batches)
        return is_dirty && !w->is_last_commit;
    uint64_t now = clock_us();
    if (!is_dirty || now < w->commit_retry_us)
        return false;
    if (now >= w->commit_at_us || w->news.wants_one_segment)
        return true;
    if (w->news.want_durable > t->durable && w->news.want_durable <= t->applied)
        return true;
    if (has_many_parts(&w->catalog))
        return true;
    /* A commit cuts builders of bulk loads short: they may fill up first, within reason. */
    return ram_bytes(w, false) >= idx->options.ram_bytes_max ||
           ram_bytes(w, true) >= 3 * idx->options.ram_bytes_max;
}

static void
commit(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    if (w->commit || !is_commit_due(idx))
        return;
    w->is_last_commit = w->news.is_closing && !w->batches;
    idx_commit_start(idx);
}

/* ---- report ---- */

static void
call_back(struct idx_waitings *l, uint64_t reached, enum rc rc)
{
    while (l->first < l->n && l->items[l->first].ticket <= reached)
        idx_callback_call(&l->items[l->first++].callback, rc);
}

static void
report(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    /* Batches may still wait for the room that a commit has just made. */
    bool is_at_rest = !w->batches && !w->commit && w->commit_at_us == UINT64_MAX &&
                      w->publish_at_us == UINT64_MAX;
    if (w->news.wants_one_segment && is_at_rest && idx_is_one_segment(idx))
        idx_grant(idx, RC_OK, NULL);
    idx_inbox_report(&idx->inbox, w->tickets, is_full(idx));
    call_back(&w->visibles, w->shown, RC_OK);
    call_back(&w->durables, w->tickets.durable, RC_OK);
}

void
idx_grant(struct idx *idx, enum rc rc, const struct err *err)
{
    if (!idx->writer.news.wants_one_segment)
        return;
    idx->writer.news.wants_one_segment = false; /* so that the next wish is news */
    idx_inbox_grant(&idx->inbox, rc, err);
}

void
idx_trouble(const struct idx *idx, const struct err *err)
{
    if (idx->options.on_trouble)
        idx->options.on_trouble(idx->options.trouble_arg, err);
}

/* ---- the end ---- */

/* After the last commit, whether it worked or not. */
static bool
is_over(struct idx *idx)
{
    const struct idx_writer *w = &idx->writer;
    if (!w->news.is_closing || w->batches || w->commit || w->n_merging > 0 || w->n_seals > 0)
        return false;
    return w->is_last_commit || w->commit_at_us == UINT64_MAX;
}

static void
stop(struct idx *idx)
{
    struct idx_writer *w = &idx->writer;
    call_back(&w->visibles, UINT64_MAX, RC_STOPPED);
    call_back(&w->durables, UINT64_MAX, RC_STOPPED);
    free(w->visibles.items);
    free(w->durables.items);
    idx_inbox_stop(&idx->inbox);
}
