#include "indexer/sequence.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/bytes.h"

struct sequence {
    uint64_t next, saved;
};

void
ing_sequences_init(struct ing_sequences *s, struct idx *idx)
{
    *s = (struct ing_sequences){.idx = idx};
    must(pthread_mutex_init(&s->lock, NULL) == 0);
}

void
ing_sequences_fini(struct ing_sequences *s)
{
    map_fini(&s->all);
    arena_fini(&s->memory);
    pthread_mutex_destroy(&s->lock);
}

/* The lock is held. A generation that is met for the first time goes on where the index left off.
 */
static struct sequence *
of(struct ing_sequences *s, uint32_t uid)
{
    char room[32];
    int n = snprintf(room, sizeof room, "seq:%" PRIu32, uid);
    struct span name = span_of(room, (size_t)n);
    struct sequence *sequence = map_get_ptr(&s->all, name);
    if (sequence)
        return sequence;
    struct arena arena = {0};
    struct span state = idx_state(s->idx, name, &arena);
    sequence = arena_calloc(&s->memory, 1, sizeof *sequence);
    if (state.n == 8)
        sequence->next = load_u64(state.p);
    sequence->saved = sequence->next;
    arena_fini(&arena);
    *map_put(&s->all, name, NULL) = (uint64_t)(uintptr_t)sequence;
    return sequence;
}

uint64_t
ing_sequences_take(struct ing_sequences *s, uint32_t uid)
{
    must(pthread_mutex_lock(&s->lock) == 0);
    uint64_t number = of(s, uid)->next++;
    must(pthread_mutex_unlock(&s->lock) == 0);
    return number;
}

uint64_t
ing_sequences_peek(struct ing_sequences *s, uint32_t uid)
{
    must(pthread_mutex_lock(&s->lock) == 0);
    uint64_t number = of(s, uid)->next;
    must(pthread_mutex_unlock(&s->lock) == 0);
    return number;
}

void
ing_sequences_raise(struct ing_sequences *s, uint32_t uid, uint64_t next)
{
    must(pthread_mutex_lock(&s->lock) == 0);
    struct sequence *sequence = of(s, uid);
    if (sequence->next < next)
        sequence->next = next;
    must(pthread_mutex_unlock(&s->lock) == 0);
}

void
ing_sequences_save(struct ing_sequences *s, struct idx_batch *batch)
{
    struct arena *arena = idx_batch_arena(batch);
    struct buf number = {0};
    struct span name;
    uint64_t *value;
    must(pthread_mutex_lock(&s->lock) == 0);
    for (size_t at = 0; map_next(&s->all, &at, &name, &value);) {
        struct sequence *sequence = (struct sequence *)(uintptr_t)*value;
        if (sequence->next == sequence->saved)
            continue;
        buf_clear(&number);
        buf_put_u64(&number, sequence->next);
        idx_batch_state(batch, arena_dup(arena, name), arena_dup(arena, buf_span(&number)));
        sequence->saved = sequence->next;
    }
    must(pthread_mutex_unlock(&s->lock) == 0);
    buf_fini(&number);
}
