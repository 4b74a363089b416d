/*
 * The writer thread's door: batches that wait, jobs that are done, who waits
 * for which ticket. The only place where other threads meet the writer; one
 * mutex guards all of it. Private to the room.
 */
#ifndef TAILFIN_INDEX_INBOX_H
#define TAILFIN_INDEX_INBOX_H

#include <pthread.h>

#include "index/batch.h"

struct idx;

/* Work for a thread beside the writer (jobs.h): run there, finished by the writer. */
struct idx_job {
    struct idx *idx;
    void (*run)(struct idx_job *job);    /* on the job's thread */
    void (*finish)(struct idx_job *job); /* on the writer thread; frees it */
    struct idx_job *next;
};

struct idx_tickets { /* how far things are; each <= the one before */
    uint64_t applied, visible, durable;
};

struct idx_inbox {
    pthread_mutex_t lock;
    pthread_cond_t work;     /* the writer waits here */
    pthread_cond_t room;     /* submitters */
    pthread_cond_t progress; /* idx_wait */
    /* Guarded by the lock: */
    struct idx_batch *first, **last;
    size_t n_batches, n_bytes; /* submitted and not yet applied */
    struct idx_job *jobs;      /* done */
    uint64_t submitted;
    struct idx_tickets tickets;
    uint64_t want_visible, want_durable; /* highest that someone waits for */
    bool wants_one_segment;              /* idx_merge_all: cleared by the writer when done... */
    enum rc one_segment_rc;              /* ...with this result */
    struct err one_segment_err;
    bool is_full; /* too much in RAM: submitting waits */
    bool is_closing, is_stopped;
};

struct idx_news {              /* what the writer finds when it looks */
    struct idx_batch *batches; /* in order; the writer's from now on */
    struct idx_job *jobs;      /* the same */
    uint64_t want_visible, want_durable;
    bool wants_one_segment, is_closing;
};

void idx_inbox_init(struct idx_inbox *in);
void idx_inbox_fini(struct idx_inbox *in);

/* Any thread; see idx_submit and idx_wait. */
enum rc idx_inbox_submit(struct idx_inbox *in, struct idx_batch **take, uint64_t timeout_us,
                         uint64_t *ticket);
/* False while there is too much in RAM for more to be applied. */
bool idx_inbox_has_room(struct idx_inbox *in);
enum rc idx_inbox_wait(struct idx_inbox *in, uint64_t ticket, enum idx_stage stage,
                       uint64_t timeout_us);
void idx_inbox_post(struct idx_inbox *in, struct idx_job *job);
/* Asks for one segment per collection and waits until that is so, failed, or RC_STOPPED. */
enum rc idx_inbox_merge_all(struct idx_inbox *in, struct err *err);
/* No more submits from now on; the writer finishes and stops. */
void idx_inbox_close(struct idx_inbox *in);

/* Writer thread: waits for batches, jobs, new wishes or closing, at most until deadline_us. */
struct idx_news idx_inbox_look(struct idx_inbox *in, uint64_t deadline_us,
                               const struct idx_news *before);
/* Writer thread: a batch of so many bytes has been applied. */
void idx_inbox_applied(struct idx_inbox *in, size_t n_bytes);
/* Writer thread: tells how far things are. */
void idx_inbox_report(struct idx_inbox *in, struct idx_tickets tickets, bool is_full);
/* Writer thread: answers the wish for one segment, if there is one. err may be NULL. */
void idx_inbox_grant(struct idx_inbox *in, enum rc rc, const struct err *err);
/* Writer thread, at its end. */
void idx_inbox_stop(struct idx_inbox *in);

#endif
