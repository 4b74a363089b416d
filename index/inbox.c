/* Queue, tickets and wishes behind one mutex; inbox.h. */
#include "index/inbox.h"

#include "base/clock.h"

enum { BATCHES_MAX = 4096, BYTES_MAX = 64 << 20 };

void
idx_inbox_init(struct idx_inbox *in)
{
    *in = (struct idx_inbox){.last = NULL};
    in->last = &in->first;
    pthread_condattr_t attr;
    must(pthread_mutex_init(&in->lock, NULL) == 0);
    must(pthread_condattr_init(&attr) == 0);
    must(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    must(pthread_cond_init(&in->work, &attr) == 0);
    must(pthread_cond_init(&in->room, &attr) == 0);
    must(pthread_cond_init(&in->progress, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

void
idx_inbox_fini(struct idx_inbox *in)
{
    must(!in->first && !in->jobs);
    pthread_cond_destroy(&in->work);
    pthread_cond_destroy(&in->room);
    pthread_cond_destroy(&in->progress);
    pthread_mutex_destroy(&in->lock);
}

static void
lock(struct idx_inbox *in)
{
    must(pthread_mutex_lock(&in->lock) == 0);
}

static void
unlock(struct idx_inbox *in)
{
    must(pthread_mutex_unlock(&in->lock) == 0);
}

/* False once the deadline (of clock_us) has passed. */
static bool
wait_until(pthread_cond_t *cond, struct idx_inbox *in, uint64_t deadline_us)
{
    if (deadline_us == UINT64_MAX) {
        pthread_cond_wait(cond, &in->lock);
        return true;
    }
    if (clock_us() >= deadline_us)
        return false;
    struct timespec at = {.tv_sec = (time_t)(deadline_us / 1000000),
                          .tv_nsec = (long)(deadline_us % 1000000) * 1000};
    pthread_cond_timedwait(cond, &in->lock, &at);
    return true;
}

/* ---- any thread ---- */

static bool
has_room(const struct idx_inbox *in, const struct idx_batch *b)
{
    if (in->is_full)
        return false;
    if (in->n_batches == 0) /* one batch of any size can pass */
        return true;
    return in->n_batches < BATCHES_MAX && in->n_bytes + b->arena.total_bytes <= BYTES_MAX;
}

static void
refuse(struct idx_batch **take)
{
    struct idx_batch *b = *take;
    *take = NULL;
    idx_callback_call(&b->on_visible, RC_STOPPED);
    idx_callback_call(&b->on_durable, RC_STOPPED);
    idx_batch_free(b);
}

/* The lock is held. */
static uint64_t
append(struct idx_inbox *in, struct idx_batch **take)
{
    struct idx_batch *b = *take;
    *take = NULL;
    b->ticket = ++in->submitted;
    b->next = NULL;
    *in->last = b;
    in->last = &b->next;
    in->n_batches++;
    in->n_bytes += b->arena.total_bytes;
    pthread_cond_signal(&in->work);
    return b->ticket;
}

/* When a wait that begins now is over. */
static uint64_t
deadline_of(uint64_t timeout_us)
{
    uint64_t now = clock_us();
    return timeout_us < UINT64_MAX - now ? now + timeout_us : UINT64_MAX;
}

enum rc
idx_inbox_submit(struct idx_inbox *in, struct idx_batch **take, uint64_t timeout_us,
                 uint64_t *ticket)
{
    uint64_t deadline = deadline_of(timeout_us);
    bool is_in_time = true;
    lock(in);
    while (!in->is_closing && is_in_time && !has_room(in, *take))
        is_in_time = wait_until(&in->room, in, deadline);
    bool is_closing = in->is_closing, is_taken = !is_closing && has_room(in, *take);
    if (is_taken)
        *ticket = append(in, take);
    unlock(in);
    if (is_closing)
        refuse(take);
    return is_taken ? RC_OK : is_closing ? RC_STOPPED : RC_CUTOFF;
}

bool
idx_inbox_has_room(struct idx_inbox *in)
{
    lock(in);
    bool has_room = !in->is_full;
    unlock(in);
    return has_room;
}

static bool
has_reached(const struct idx_tickets *t, enum idx_stage stage, uint64_t ticket)
{
    const uint64_t at[] = {
        [IDX_APPLIED] = t->applied, [IDX_VISIBLE] = t->visible, [IDX_DURABLE] = t->durable};
    return at[stage] >= ticket;
}

static void
wish(struct idx_inbox *in, uint64_t ticket, enum idx_stage stage)
{
    uint64_t *want = stage == IDX_DURABLE ? &in->want_durable : &in->want_visible;
    if (stage == IDX_APPLIED || *want >= ticket)
        return;
    *want = ticket;
    pthread_cond_signal(&in->work);
}

enum rc
idx_inbox_wait(struct idx_inbox *in, uint64_t ticket, enum idx_stage stage, uint64_t timeout_us)
{
    uint64_t deadline = deadline_of(timeout_us);
    enum rc rc = RC_OK;
    lock(in);
    must(ticket <= in->submitted);
    while (!has_reached(&in->tickets, stage, ticket)) {
        wish(in, ticket, stage);
        if (in->is_stopped)
            rc = RC_STOPPED;
        else if (!wait_until(&in->progress, in, deadline))
            rc = RC_CUTOFF;
        if (rc != RC_OK)
            break;
    }
    unlock(in);
    return rc;
}

void
idx_inbox_post(struct idx_inbox *in, struct idx_job *job)
{
    lock(in);
    job->next = in->jobs;
    in->jobs = job;
    pthread_cond_signal(&in->work);
    unlock(in);
}

enum rc
idx_inbox_merge_all(struct idx_inbox *in, struct err *err)
{
    lock(in);
    in->wants_one_segment = true;
    pthread_cond_signal(&in->work);
    while (in->wants_one_segment && !in->is_stopped)
        pthread_cond_wait(&in->progress, &in->lock);
    enum rc rc = in->one_segment_rc;
    if (in->wants_one_segment)
        rc = err_set(err, RC_STOPPED, "the index was closed meanwhile");
    else if (rc != RC_OK && err)
        *err = in->one_segment_err;
    unlock(in);
    return rc;
}

void
idx_inbox_close(struct idx_inbox *in)
{
    lock(in);
    in->is_closing = true;
    pthread_cond_broadcast(&in->work);
    pthread_cond_broadcast(&in->room);
    unlock(in);
}

/* ---- the writer thread ---- */

static bool
has_news(const struct idx_inbox *in, const struct idx_news *before)
{
    return in->first || in->jobs || in->want_visible != before->want_visible ||
           in->want_durable != before->want_durable || in->is_closing != before->is_closing ||
           in->wants_one_segment != before->wants_one_segment;
}

struct idx_news
idx_inbox_look(struct idx_inbox *in, uint64_t deadline_us, const struct idx_news *before)
{
    lock(in);
    while (!has_news(in, before) && wait_until(&in->work, in, deadline_us))
        continue;
    struct idx_news news = {
        in->first,     in->jobs, in->want_visible, in->want_durable, in->wants_one_segment,
        in->is_closing};
    in->first = NULL;
    in->last = &in->first;
    in->jobs = NULL;
    unlock(in);
    return news;
}

void
idx_inbox_applied(struct idx_inbox *in, size_t n_bytes)
{
    lock(in);
    in->n_batches--;
    in->n_bytes -= n_bytes;
    pthread_cond_broadcast(&in->room);
    unlock(in);
}

void
idx_inbox_report(struct idx_inbox *in, struct idx_tickets tickets, bool is_full)
{
    lock(in);
    bool is_moved = memcmp(&in->tickets, &tickets, sizeof tickets) != 0;
    in->tickets = tickets;
    if (in->is_full && !is_full)
        pthread_cond_broadcast(&in->room);
    in->is_full = is_full;
    if (is_moved)
        pthread_cond_broadcast(&in->progress);
    unlock(in);
}

void
idx_inbox_grant(struct idx_inbox *in, enum rc rc, const struct err *err)
{
    lock(in);
    in->one_segment_rc = rc;
    in->one_segment_err = err ? *err : (struct err){.rc = rc};
    in->wants_one_segment = false;
    pthread_cond_broadcast(&in->progress);
    unlock(in);
}

void
idx_inbox_stop(struct idx_inbox *in)
{
    lock(in);
    in->is_stopped = true;
    pthread_cond_broadcast(&in->progress);
    pthread_cond_broadcast(&in->room);
    unlock(in);
}
