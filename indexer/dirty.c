/* The crossing between the stream thread and the apply thread. */
#include "indexer/dirty.h"

#include "base/clock.h"

#include "indexer/resume.h"

bool
ing_position_is_set(const struct ing_position *p)
{
    return p->token.n > 0 || p->time_s > 0;
}

bool
ing_position_eq(const struct ing_position *a, const struct ing_position *b)
{
    return span_eq(buf_span(&a->token), buf_span(&b->token)) &&
           (a->token.n > 0 || (a->time_s == b->time_s && a->time_i == b->time_i));
}

void
ing_position_copy(struct ing_position *to, const struct ing_position *from)
{
    buf_clear(&to->token);
    buf_put_span(&to->token, buf_span(&from->token));
    to->time_s = from->time_s;
    to->time_i = from->time_i;
}

void
ing_position_fini(struct ing_position *p)
{
    buf_fini(&p->token);
    *p = (struct ing_position){0};
}

static bool
hex_u32(const char *p, uint32_t *out)
{
    uint32_t v = 0;
    for (int i = 0; i < 8; i++) {
        char c = p[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return false;
        v = v << 4 | digit;
    }
    *out = v;
    return true;
}

bool
ing_position_time(const struct ing_position *p, uint32_t *time_s, uint32_t *time_i)
{
    if (p->token.n == 0) {
        *time_s = p->time_s;
        *time_i = p->time_i;
        return p->time_s > 0;
    }
    struct span data = ing_token_data(buf_span(&p->token));
    return data.n >= 18 && memcmp(data.p, "82", 2) == 0 && hex_u32(data.p + 2, time_s) &&
           hex_u32(data.p + 10, time_i);
}

void
ing_dirty_set_fini(struct ing_dirty_set *d)
{
    map_fini(&d->keys);
    map_fini(&d->routes);
    arena_fini(&d->route_bytes);
    ing_position_fini(&d->position);
    *d = (struct ing_dirty_set){0};
}

void
ing_inbox_init(struct ing_inbox *b)
{
    *b = (struct ing_inbox){0};
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &attr);
    pthread_cond_init(&b->taken, &attr);
    pthread_cond_init(&b->closing, &attr);
    pthread_condattr_destroy(&attr);
}

void
ing_inbox_fini(struct ing_inbox *b)
{
    ing_dirty_set_fini(&b->filling);
    pthread_cond_destroy(&b->wake);
    pthread_cond_destroy(&b->taken);
    pthread_cond_destroy(&b->closing);
    pthread_mutex_destroy(&b->lock);
}

void
ing_inbox_close(struct ing_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    b->is_closed = true;
    pthread_cond_broadcast(&b->wake);
    pthread_cond_broadcast(&b->taken);
    pthread_cond_broadcast(&b->closing);
    pthread_mutex_unlock(&b->lock);
}

bool
ing_inbox_is_closed(struct ing_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    bool is_closed = b->is_closed;
    pthread_mutex_unlock(&b->lock);
    return is_closed;
}

void
ing_inbox_wake(struct ing_inbox *b)
{
    pthread_mutex_lock(&b->lock);
    pthread_cond_broadcast(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

size_t
ing_inbox_n(struct ing_inbox *b, uint64_t *n_events)
{
    pthread_mutex_lock(&b->lock);
    size_t n = b->filling.keys.n;
    if (n_events)
        *n_events = b->filling.n_events;
    pthread_mutex_unlock(&b->lock);
    return n;
}

static bool
time_is_after(uint32_t a_s, uint32_t a_i, uint32_t b_s, uint32_t b_i)
{
    return a_s != b_s ? a_s > b_s : a_i > b_i;
}

/* The lock is held. */
static void
put_key(struct ing_inbox *b, const struct ing_note *note)
{
    struct ing_dirty_set *d = &b->filling;
    bool is_new;
    if (d->keys.n == 0) {
        d->first_us = clock_us();
        pthread_cond_signal(&b->wake);
    }
    *map_put(&d->keys, note->key, &is_new) = note->op;
    d->n_events++;
    d->n_merged[note->op] += !is_new;
    if (note->route.n)
        *map_put(&d->routes, note->key, NULL) =
            (uint64_t)(uintptr_t)arena_dup(&d->route_bytes, note->route).p;
}

bool
ing_inbox_put(struct ing_inbox *b, const struct ing_note *note)
{
    pthread_mutex_lock(&b->lock);
    while (!b->is_closed && b->filling.keys.n >= ING_DIRTY_SET_MAX)
        pthread_cond_wait(&b->taken, &b->lock);
    struct ing_dirty_set *d = &b->filling;
    bool is_open = !b->is_closed;
    if (is_open) {
        if (note->key.n)
            put_key(b, note);
        if (note->rebuild) {
            d->rebuild |= note->rebuild;
            pthread_cond_signal(&b->wake);
        }
        if (time_is_after(note->time_s, note->time_i, d->time_s, d->time_i)) {
            d->time_s = note->time_s;
            d->time_i = note->time_i;
        }
        if (note->token.n) {
            buf_clear(&d->position.token);
            buf_put_span(&d->position.token, note->token);
        }
        d->has_idled |= note->is_idle;
    }
    pthread_mutex_unlock(&b->lock);
    return is_open;
}

void
ing_inbox_restart(struct ing_inbox *b, uint32_t time_s, uint32_t time_i, bool is_behind,
                  uint64_t rebuild)
{
    pthread_mutex_lock(&b->lock);
    struct ing_dirty_set *d = &b->filling;
    buf_clear(&d->position.token);
    d->position.time_s = time_s;
    d->position.time_i = time_i + is_behind;
    d->time_s = time_s;
    d->time_i = time_i;
    d->rebuild |= rebuild;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

static void
wait_until(struct ing_inbox *b, pthread_cond_t *cond, uint64_t until_us)
{
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    (void)pthread_cond_timedwait(cond, &b->lock, &at); /* the caller looks again */
}

void
ing_inbox_take(struct ing_inbox *b, uint64_t wait_us, uint64_t coalesce_us, size_t n_enough,
               struct ing_dirty_set *out)
{
    must(out->keys.n == 0);
    pthread_mutex_lock(&b->lock);
    struct ing_dirty_set *d = &b->filling;
    if (d->keys.n == 0)
        coalesce_us /= 5;
    if (wait_us && !b->is_closed && d->keys.n == 0 && !d->rebuild)
        wait_until(b, &b->wake, clock_us() + wait_us);
    while (!b->is_closed && d->keys.n > 0 && d->keys.n < n_enough &&
           clock_us() < d->first_us + coalesce_us)
        wait_until(b, &b->wake, d->first_us + coalesce_us);
    map_clear(&out->routes);
    arena_reset(&out->route_bytes);
    struct ing_dirty_set was = *out;
    *out = *d;
    *d = was;
    buf_clear(&d->position.token);
    d->position.time_s = d->position.time_i = 0;
    d->rebuild = d->first_us = d->n_events = 0;
    memset(d->n_merged, 0, sizeof d->n_merged);
    d->time_s = d->time_i = 0;
    d->has_idled = false;
    pthread_cond_broadcast(&b->taken);
    pthread_mutex_unlock(&b->lock);
}

bool
ing_inbox_sleep(struct ing_inbox *b, uint64_t us)
{
    uint64_t until_us = clock_us() + us;
    pthread_mutex_lock(&b->lock);
    while (!b->is_closed && clock_us() < until_us)
        wait_until(b, &b->closing, until_us);
    bool is_closed = b->is_closed;
    pthread_mutex_unlock(&b->lock);
    return is_closed;
}
