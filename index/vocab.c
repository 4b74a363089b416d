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

static uint32_t
put_hashed(struct idx_vocab *v, struct span term, uint32_t hash)
{
    if (v->n >= v->n_slots / 4 * 3)
        vocab_grow(v);
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

uint32_t
idx_vocab_put(struct idx_vocab *v, struct span term)
{
    return put_hashed(v, term, (uint32_t)hash64(term));
}

/*
 * A large vocabulary does not fit the caches, and a term needs three places of
 * it, each found by the one before: those of a group are fetched side by side.
 */
void
idx_vocab_put_group(struct idx_vocab *v, const struct span *terms, uint32_t n, uint32_t *numbers)
{
    uint32_t hashes[IDX_VOCAB_GROUP], mask = v->n_slots - 1;
    must(n <= IDX_VOCAB_GROUP);
    for (uint32_t i = 0; i < n; i++) {
        hashes[i] = (uint32_t)hash64(terms[i]);
        if (v->slots)
            __builtin_prefetch(&v->slots[hashes[i] & mask]);
    }
    for (uint32_t i = 0; v->n > 0 && i < n; i++) {
        uint32_t number = v->slots[hashes[i] & mask].number;
        numbers[i] = number ? number - 1 : 0;
        __builtin_prefetch(&v->terms[numbers[i]]);
    }
    for (uint32_t i = 0; v->n > 0 && i < n; i++)
        __builtin_prefetch(v->text.p + v->terms[numbers[i]].at);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = put_hashed(v, terms[i], hashes[i]);
}

/* ---- sorting ---- */

struct sortee {
    uint64_t head; /* bytes behind what all terms begin with: decide nearly always */
    uint32_t number;
};

/* How many leading bytes all terms have in common. */
static size_t
common_prefix(const struct idx_vocab *v)
{
    struct span first = v->n ? idx_vocab_get(v, 0) : (struct span){0};
    for (uint32_t i = 1; first.n > 0 && i < v->n; i++) {
        struct span term = idx_vocab_get(v, i);
        if (term.n < first.n)
            first.n = term.n;
        while (memcmp(term.p, first.p, first.n) != 0)
            first.n--;
    }
    return first.n;
}

/* By head, least significant byte first; bytes that are the same everywhere are skipped. */
static struct sortee *
sort_heads(struct sortee *from, struct sortee *to, uint32_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t starts[257] = {0};
        for (uint32_t i = 0; i < n; i++)
            starts[(from[i].head >> shift & 0xff) + 1]++;
        if (n == 0 || starts[(from[0].head >> shift & 0xff) + 1] == n)
            continue;
        for (unsigned b = 0; b < 256; b++)
            starts[b + 1] += starts[b];
        for (uint32_t i = 0; i < n; i++)
            to[starts[from[i].head >> shift & 0xff]++] = from[i];
        struct sortee *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static int
compare(const void *x, const void *y, void *vocab)
{
    const struct sortee *a = x, *b = y;
    return span_cmp(idx_vocab_get(vocab, a->number), idx_vocab_get(vocab, b->number));
}

void
idx_vocab_sort(struct idx_vocab *v, uint32_t *order, uint32_t *rank)
{
    struct sortee *both = xmalloc((size_t)2 * v->n * sizeof *both);
    size_t prefix = common_prefix(v);
    for (uint32_t i = 0; i < v->n; i++)
        both[i] = (struct sortee){idx_head_of(span_from(idx_vocab_get(v, i), prefix)), i};
    struct sortee *all = sort_heads(both, both + v->n, v->n);
    for (uint32_t begin = 0, end; begin < v->n; begin = end) {
        for (end = begin + 1; end < v->n && all[end].head == all[begin].head;)
            end++;
        if (end - begin > 1)
            qsort_r(all + begin, end - begin, sizeof *all, compare, v);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        order[i] = all[i].number;
        rank[all[i].number] = i;
    }
    free(both);
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
