/*
 * Waiting for the disk, and not for ever: every write ends in bounded time,
 * refused while the disk takes none.
 *
 * What was refused after it had been handed to the index may be visible, and
 * become durable when the disk works again. A change of the catalog like that
 * is `unsettled`: until it is durable no write is acknowledged, because
 * records of a generation that a crash forgets would be forgotten with it.
 */
#include "base/clock.h"
#include "base/json.h"

#include "indexer/group_parts.h"

enum {
    SLICE_US = 100000,
    PATIENCE_US = 500000, /* a failure that happens once is over by then */
    FAILING_US = 3000000, /* a commit that fails is tried again some times by then */
    SLOW_US = 60000000,   /* a disk that does not even fail */
    NOTED_US = 60000000,  /* nobody may write any more: what failed long ago may be well again */
};

/* ---- what is wrong ---- */

static void
note(struct ing_groups *g, const struct err *err)
{
    must(pthread_mutex_lock(&g->trouble_lock) == 0);
    g->trouble = err ? *err : (struct err){0};
    g->trouble_us = clock_us();
    must(pthread_mutex_unlock(&g->trouble_lock) == 0);
}

/* The log's, else the index's; RC_OK: none. */
static enum rc
trouble_of(struct ing_groups *g, struct err *err)
{
    must(pthread_mutex_lock(&g->trouble_lock) == 0);
    enum rc rc = clock_us() - g->trouble_us < NOTED_US ? g->trouble.rc : RC_OK;
    if (rc != RC_OK)
        *err = g->trouble;
    must(pthread_mutex_unlock(&g->trouble_lock) == 0);
    return rc != RC_OK ? rc : idx_commit_trouble(g->idx, err);
}

void
ing_groups_write_health(struct ing_groups *g, struct buf *out)
{
    struct err err = {0};
    if (trouble_of(g, &err) == RC_OK)
        return;
    buf_puts(out, ",\"disk_error\":");
    json_put_str(out, span_str(err.text));
}

static enum rc
refuse(struct ing_groups *g, struct err *err, const char *what)
{
    struct err cause = {0};
    if (idx_commit_trouble(g->idx, &cause) == RC_OK)
        return err_set(err, RC_DISK, "%s: the disk is too slow", what);
    return err_set(err, RC_DISK, "%s: %s", what, cause.text);
}

/* ---- waiting ---- */

/* Is it time to give up what began then? */
static bool
is_hopeless(struct ing_groups *g, uint64_t began_us)
{
    bool is_failing = idx_commit_trouble(g->idx, NULL) != RC_OK;
    return clock_us() - began_us >= (is_failing ? FAILING_US : SLOW_US);
}

static enum rc
wait_for(struct ing_groups *g, uint64_t ticket, enum idx_stage stage)
{
    uint64_t began_us = clock_us();
    enum rc rc;
    do
        rc = idx_wait(g->idx, ticket, stage, SLICE_US);
    while (rc == RC_CUTOFF && !is_hopeless(g, began_us));
    return rc;
}

static enum rc
submit(struct ing_groups *g, struct idx_batch **take, uint64_t *ticket)
{
    uint64_t began_us = clock_us();
    enum rc rc;
    do
        rc = idx_submit_within(g->idx, take, SLICE_US, ticket);
    while (rc == RC_CUTOFF && !is_hopeless(g, began_us));
    if (rc == RC_CUTOFF) {
        idx_batch_free(*take);
        *take = NULL;
    }
    return rc;
}

/* ---- writes ---- */

/* A generation that was given up, while there was no room even for saying so. */
static enum rc
drop_leftover(struct ing_groups *g)
{
    uint64_t ticket;
    if (!g->leftover)
        return RC_OK;
    struct idx_batch *batch = idx_batch_new();
    idx_batch_drop(batch, g->leftover);
    enum rc rc = idx_submit_within(g->idx, &batch, 0, &ticket);
    idx_batch_free(batch);
    if (rc == RC_OK)
        g->leftover = 0;
    return rc;
}

enum rc
ing_groups_may_write(struct ing_groups *g, struct err *err)
{
    static const char what[] = "nothing is written";
    if (g->unsettled && idx_wait(g->idx, g->unsettled, IDX_DURABLE, 0) == RC_OK)
        g->unsettled = 0;
    if (g->unsettled || drop_leftover(g) != RC_OK)
        return refuse(g, err, what);
    bool is_stuck = idx_commit_trouble(g->idx, NULL) != RC_OK && !idx_has_room(g->idx);
    return is_stuck ? refuse(g, err, what) : RC_OK;
}

enum rc
ing_groups_sync(struct ing_groups *g, uint64_t log_end, struct err *err)
{
    struct err cause = {0};
    /* After a failure the log gives these offsets out again: log_end stays where it was. */
    enum rc rc = idx_log_sync(g->log, &cause);
    note(g, rc == RC_OK ? NULL : &cause);
    if (rc != RC_OK)
        return err_set(err, RC_DISK, "nothing is written: %s", cause.text);
    g->log_end = log_end;
    return RC_OK;
}

enum rc
ing_groups_submit(struct ing_groups *g, struct idx_batch **take, struct err *err)
{
    uint64_t ticket;
    enum rc rc = ing_groups_may_write(g, err);
    if (rc != RC_OK) {
        idx_batch_free(*take);
        *take = NULL;
        return rc;
    }
    rc = submit(g, take, &ticket);
    if (rc == RC_CUTOFF)
        return refuse(g, err, "there is no room for more");
    return rc == RC_OK ? RC_OK : err_set(err, rc, "%s", rc_text(rc));
}

enum rc
ing_groups_show(struct ing_groups *g, struct idx_batch **take, struct err *err)
{
    uint64_t ticket;
    ing_groups_put_state(g, *take);
    idx_batch_hurry(*take);
    enum rc rc = submit(g, take, &ticket);
    if (rc == RC_OK)
        rc = wait_for(g, ticket, IDX_VISIBLE);
    if (rc == RC_CUTOFF)
        return refuse(g, err, "the write is not visible yet and may become so later");
    return rc == RC_OK ? RC_OK : err_set(err, rc, "%s", rc_text(rc));
}

/* ---- the catalog ---- */

/* What would only be seen, and could be forgotten, is not begun. */
static enum rc
may_commit(struct ing_groups *g, struct err *err)
{
    uint64_t began_us = clock_us();
    while (idx_commit_trouble(g->idx, NULL) != RC_OK && clock_us() - began_us < PATIENCE_US)
        clock_sleep_us(SLICE_US / 10);
    if (idx_commit_trouble(g->idx, NULL) != RC_OK)
        return refuse(g, err, "nothing is changed");
    return ing_groups_may_write(g, err);
}

enum rc
ing_groups_commit(struct ing_groups *g, struct idx_batch **take, struct err *err)
{
    uint64_t ticket = 0;
    enum rc rc = may_commit(g, err);
    if (rc != RC_OK) {
        idx_batch_free(*take);
        *take = NULL;
        return rc;
    }
    ing_groups_put_state(g, *take);
    idx_batch_hurry(*take);
    rc = submit(g, take, &ticket);
    if (rc == RC_OK)
        rc = wait_for(g, ticket, IDX_DURABLE);
    if (rc == RC_OK)
        return RC_OK;
    g->unsettled = ticket;
    if (rc != RC_CUTOFF)
        return err_set(err, rc, "the change could not be made durable: %s", rc_text(rc));
    return refuse(g, err, ticket ? "the change is visible, but not durable until the disk works"
                                 : "nothing is changed");
}

void
ing_groups_discard(struct ing_groups *g, uint32_t uid)
{
    if (g->unsettled) /* it has its name, or will have */
        return;
    must(!g->leftover); /* ing_groups_submit has seen to it */
    g->leftover = uid;
    (void)drop_leftover(g); /* if there is no room, the next write tries again */
}
