/*
 * From suspects to findings. A suspect may be in flight: its event is not
 * applied yet, or a cascade has not come to it. So it is watched, read once
 * more (both sides), and left alone until the apply thread has ended a round
 * behind the time of that reading, with no cascade open. Whatever explains the
 * difference was then applied in a round that touched it, under our eyes. What
 * differed and was not touched is wrong, and nothing would have put it right.
 */
#include "indexer/verify.h"

#include "base/clock.h"

enum { WAKE_US = 50000, VISIBLE_US = 200000, REPAIRS_MAX = 2, IDLES_NEEDED = 3 };

/* ---- the apply thread's side ---- */

static void
touch(struct ing_verify *v, const struct ing_work *w, struct arena *arena)
{
    for (size_t i = 0; i < w->n; i++) {
        bson_t key;
        bson_iter_t at;
        struct span id;
        if (!bson_init_static(&key, (const uint8_t *)w->ids[i].p, w->ids[i].n) ||
            !bson_iter_init(&at, &key) || !bson_iter_next(&at) ||
            ing_mapping_id(v->watched_feed->mapping, &at, arena, &id, NULL))
            continue;
        const uint64_t *number = map_get(&v->watched->by_id, id);
        if (number && !v->watched->v[*number].is_touched) {
            v->watched->v[*number].is_touched = true;
            v->n_untouched--;
        }
    }
}

static bool
is_behind(const struct ing_mongo *m, uint32_t time_s, uint32_t time_i)
{
    uint32_t at_s, at_i;
    return ing_position_time(&m->resume.position, &at_s, &at_i) &&
           (at_s > time_s || (at_s == time_s && at_i >= time_i));
}

void
ing_verify_round(struct ing_mongo *m, struct ing_round *r)
{
    struct ing_verify *v = m->verify;
    pthread_mutex_lock(&v->lock);
    if (m->client.session)
        mongoc_client_session_get_operation_time(m->client.session, &v->applied_s, &v->applied_i);
    if (v->watched)
        touch(v, &r->work[v->watched_feed->number], &r->arena);
    if (v->watched && v->has_time) {
        if (r->dirty.has_idled && v->n_idles_needed)
            v->n_idles_needed--;
        v->has_passed |= m->resume.n_cascades == 0 &&
                         (v->n_idles_needed == 0 || is_behind(m, v->time_s, v->time_i));
    }
    if (v->watched)
        pthread_cond_broadcast(&v->wake);
    pthread_mutex_unlock(&v->lock);
}

/* ---- watching ---- */

static void
watch_begin(struct ing_verify *v, const struct ing_feed *f, struct ing_suspects *s)
{
    for (size_t i = 0; i < s->n; i++)
        s->v[i].is_touched = false;
    pthread_mutex_lock(&v->lock);
    v->watched = s;
    v->watched_feed = f;
    v->n_untouched = s->n;
    v->has_time = v->has_passed = false;
    pthread_mutex_unlock(&v->lock);
}

static void
watch_end(struct ing_verify *v)
{
    pthread_mutex_lock(&v->lock);
    v->watched = NULL;
    pthread_mutex_unlock(&v->lock);
}

static void
wait_a_little(struct ing_verify *v)
{
    uint64_t until_us = clock_us() + WAKE_US;
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    ing_inbox_wake(&v->m->inbox); /* an idle round ends only if one is made to */
    pthread_mutex_lock(&v->lock);
    if (!v->has_passed)
        (void)pthread_cond_timedwait(&v->wake, &v->lock, &at); /* the caller looks again */
    pthread_mutex_unlock(&v->lock);
}

/* Until the stream has passed the reading just made. */
static enum rc
await_passed(struct ing_verify *v, const struct ing_verify_pass *p, struct err *err)
{
    pthread_mutex_lock(&v->lock);
    mongoc_client_session_get_operation_time(v->client.session, &v->time_s, &v->time_i);
    v->has_time = true;
    v->n_idles_needed = IDLES_NEEDED;
    pthread_mutex_unlock(&v->lock);
    for (bool has_passed = false; !has_passed;) {
        if (ing_verify_is_cut(v, p))
            return err_set(err, RC_CUTOFF, "verifying was interrupted");
        wait_a_little(v);
        pthread_mutex_lock(&v->lock);
        has_passed = v->has_passed;
        pthread_mutex_unlock(&v->lock);
    }
    /* A rebuild may have begun by that very round: then the old generation may be all ghosts. */
    return ing_verify_is_cut(v, p) ? err_set(err, RC_CUTOFF, "verifying was interrupted") : RC_OK;
}

static enum rc
await_touched(struct ing_verify *v, const struct ing_verify_pass *p, struct err *err)
{
    for (size_t n_untouched = 1; n_untouched > 0;) {
        if (ing_verify_is_cut(v, p))
            return err_set(err, RC_CUTOFF, "verifying was interrupted");
        wait_a_little(v);
        pthread_mutex_lock(&v->lock);
        n_untouched = v->n_untouched;
        pthread_mutex_unlock(&v->lock);
    }
    return RC_OK;
}

/* Everything submitted before now. */
static enum rc
await_visible(struct ing_verify *v, const struct ing_verify_pass *p, struct err *err)
{
    struct idx_batch *b = idx_batch_new();
    uint64_t ticket = idx_submit(v->m->options.idx, &b);
    enum rc rc = ticket ? RC_CUTOFF : RC_STOPPED;
    while (rc == RC_CUTOFF && !ing_verify_is_cut(v, p))
        rc = idx_wait(v->m->options.idx, ticket, IDX_VISIBLE, VISIBLE_US);
    return rc ? err_set(err, RC_CUTOFF, "verifying was interrupted") : RC_OK;
}

/* ---- settling ---- */

/* Sets the kinds: what differs though nothing is in flight; else ING_SAME. */
static enum rc
confirm(struct ing_verify *v, const struct ing_verify_pass *p, const struct ing_feed *f,
        struct ing_suspects *s, struct err *err)
{
    watch_begin(v, f, s);
    enum rc rc = await_visible(v, p, err);
    if (!rc)
        rc = ing_verify_look(v, s, f, err);
    if (!rc)
        rc = await_passed(v, p, err);
    watch_end(v);
    for (size_t i = 0; i < s->n && !rc; i++) {
        if (s->v[i].is_touched)
            s->v[i].kind = ING_SAME;
    }
    return rc;
}

static bool
make_dirty(struct ing_verify *v, const struct ing_feed *f, const struct ing_suspect *s)
{
    struct buf key = {0};
    buf_putc(&key, (char)f->number);
    buf_put_span(&key, s->key);
    /* The stream has passed that time, and the apply thread is not to read anything older. */
    struct ing_note note = {.key = buf_span(&key), .time_s = v->time_s, .time_i = v->time_i};
    bool is_open = ing_inbox_put(&v->m->inbox, &note);
    buf_fini(&key);
    return is_open;
}

/* Keeps those that differ; counts new ones, and those that were found and differ no more. */
static void
sort_out(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f)
{
    struct ing_suspects *s = &p->suspects;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct ing_suspect *one = &s->v[i];
        bool differs = one->kind != ING_SAME && one->kind != ING_UNMARKED;
        if (one->kind == ING_UNMARKED && p->may_repair)
            (void)make_dirty(v, f, one); /* false only while stopping */
        if (one->kind == ING_UNMARKED || (differs && !one->is_counted))
            ing_verify_found(v, p, f, one);
        if (!differs && one->is_counted)
            ing_verify_repaired(v, p, f, one);
        if (differs)
            s->v[n++] = *one;
    }
    s->n = n;
    map_clear(&s->by_id);
    for (size_t i = 0; i < n; i++)
        *map_put(&s->by_id, s->v[i].id, NULL) = i;
}

static enum rc
repair(struct ing_verify *v, const struct ing_verify_pass *p, const struct ing_feed *f,
       struct ing_suspects *s, struct err *err)
{
    size_t n_hopeless = 0;
    watch_begin(v, f, s);
    for (size_t i = 0; i < s->n; i++) {
        if (s->v[i].key.n == 0)
            n_hopeless++; /* no _id has this text, so no event can name it */
        else if (!make_dirty(v, f, &s->v[i]))
            break; /* stopping: the next wait tells */
    }
    pthread_mutex_lock(&v->lock);
    v->n_untouched -= n_hopeless;
    pthread_mutex_unlock(&v->lock);
    enum rc rc = await_touched(v, p, err);
    watch_end(v);
    return rc;
}

enum rc
ing_verify_settle(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                  struct err *err)
{
    struct ing_suspects *s = &p->suspects;
    enum rc rc = RC_OK;
    for (unsigned n_repairs = 0; s->n > 0; n_repairs++) {
        rc = confirm(v, p, f, s, err);
        if (rc)
            return rc;
        sort_out(v, p, f);
        if (s->n == 0 || !p->may_repair || n_repairs == REPAIRS_MAX)
            break;
        rc = repair(v, p, f, s, err);
        if (rc)
            return rc;
    }
    ing_suspects_clear(s);
    return RC_OK;
}
