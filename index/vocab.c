#include "index/vocab.h"

#include "base/hash.h"
#include "base/must.h"

#include "index/terms.h"

struct idx_vocab_slot { /* number + 1 (0: empty) and a part of the hash */
    uint32_t number, hash;
};

struct idx_vocab_term {
    uint64_t at; /* in text */
    uint32_t n, hash;
};

struct span
idx_vocab_get(const struct idx_vocab *v, uint32_t number)
{
    return span_of(v->text.p + v->terms[number].at, v->terms[number].n);
}

static void
vocab_grow(struct idx_vocab *v)
{
    uint32_t n_slots = v->n_slots ? v->n_slots * 2 : 64;
    struct idx_vocab_slot *slots = xcalloc(n_slots, sizeof *slots);
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t at = v->terms[i].hash & (n_slots - 1);
        while (slots[at].number)
            at = (at + 1) & (n_slots - 1);
        slots[at] = (struct idx_vocab_slot){i + 1, v->terms[i].hash};
    }
    free(v->slots);
    v->slots = slots;
    v->n_slots = n_slots;
}

uint32_t
idx_vocab_put(struct idx_vocab *v, struct span term)
{
    if (v->n >= v->n_slots / 4 * 3)
        vocab_grow(v);
    uint32_t hash = (uint32_t)hash64(term);
    uint32_t at = hash & (v->n_slots - 1);
    for (; v->slots[at].number; at = (at + 1) & (v->n_slots - 1))
        if (v->slots[at].hash == hash && span_eq(idx_vocab_get(v, v->slots[at].number - 1), term))
            return v->slots[at].number - 1;
    if (v->n == v->cap)
        v->terms = xgrow(v->terms, &v->cap, v->n + (size_t)1, sizeof *v->terms);
    v->terms[v->n] = (struct idx_vocab_term){v->text.n, (uint32_t)term.n, hash};
    buf_put_span(&v->text, term);
    v->slots[at] = (struct idx_vocab_slot){++v->n, hash};
    return v->n - 1;
}

struct sortee {
    uint64_t head; /* decides nearly always, without touching the text */
    const struct idx_vocab *vocab;
    uint32_t number;
};

static int
compare(const void *x, const void *y)
{
    const struct sortee *a = x, *b = y;
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    return span_cmp(idx_vocab_get(a->vocab, a->number), idx_vocab_get(b->vocab, b->number));
}

void
idx_vocab_sort(const struct idx_vocab *v, uint32_t *order, uint32_t *rank)
{
    struct sortee *all = xmalloc(v->n * sizeof *all);
    for (uint32_t i = 0; i < v->n; i++)
        all[i] = (struct sortee){idx_head_of(idx_vocab_get(v, i)), v, i};
    qsort(all, v->n, sizeof *all, compare);
    for (uint32_t i = 0; i < v->n; i++) {
        order[i] = all[i].number;
        rank[all[i].number] = i;
    }
    free(all);
}

void
idx_vocab_clear(struct idx_vocab *v)
{
    /* After a large segment come many small ones: they must not each clear a large table. */
    if (v->n_slots > 1024 && v->n < v->n_slots / 16) {
        free(v->slots);
        v->slots = NULL;
        v->n_slots = 0;
    } else if (v->n) {
        memset(v->slots, 0, v->n_slots * sizeof *v->slots);
    }
    buf_clear(&v->text);
    v->n = 0;
}

void
idx_vocab_fini(struct idx_vocab *v)
{
    free(v->slots);
    free(v->terms);
    buf_fini(&v->text);
    *v = (struct idx_vocab){0};
}
