#include "index/vocab.h"

#include "base/hash.h"
#include "base/must.h"

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
    uint32_t number;
    if (!idx_vocab_is_packed(v))
        return put_hashed(v, term, (uint32_t)hash64(term));
    idx_vocab_put_group(v, &term, 1, &number);
    return number;
}

/*
 * A large vocabulary does not fit the caches, and a term needs three places of
 * it, each found by the one before: those of a group are fetched side by side.
 */
static void
put_texts(struct idx_vocab *v, const struct span *terms, uint32_t n, uint32_t *numbers)
{
    uint32_t hashes[IDX_VOCAB_GROUP], mask = v->n_slots - 1;
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

/* ---- ULIDs ---- */

/* The first term that is none: what is known becomes text, under the same numbers. */
static void
unpack(struct idx_vocab *v)
{
    uint32_t n = v->n;
    v->has_text = true;
    v->n = 0;
    for (uint32_t i = 0; i < n; i++) {
        unsigned char bytes[ULID_BYTES_N];
        char text[ULID_TEXT_N];
        idx_ulid_bytes(v->ulids.keys[i], bytes);
        ulid_write(bytes, text);
        struct span term = span_of(text, sizeof text);
        uint32_t number = put_hashed(v, term, (uint32_t)hash64(term));
        must(number == i);
    }
    idx_ulids_clear(&v->ulids);
}

void
idx_vocab_put_group(struct idx_vocab *v, const struct span *terms, uint32_t n, uint32_t *numbers)
{
    unsigned char ulids[IDX_VOCAB_GROUP * ULID_BYTES_N];
    uint32_t n_ulids = 0;
    must(n <= IDX_VOCAB_GROUP);
    if (idx_vocab_is_packed(v)) {
        while (n_ulids < n && ulid_read(terms[n_ulids], ulids + n_ulids * (size_t)ULID_BYTES_N))
            n_ulids++;
        if (n_ulids == n) {
            idx_vocab_put_ulids(v, ulids, n, numbers);
            return;
        }
        unpack(v);
    }
    put_texts(v, terms, n, numbers);
}

void
idx_vocab_put_ulids(struct idx_vocab *v, const unsigned char *ulids, uint32_t n, uint32_t *numbers)
{
    char texts[IDX_VOCAB_GROUP][ULID_TEXT_N];
    struct span terms[IDX_VOCAB_GROUP];
    must(n <= IDX_VOCAB_GROUP);
    if (idx_vocab_is_packed(v)) {
        idx_ulids_put_group(&v->ulids, ulids, n, numbers);
        v->n = v->ulids.n;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        ulid_write(ulids + i * (size_t)ULID_BYTES_N, texts[i]);
        terms[i] = span_of(texts[i], ULID_TEXT_N);
    }
    put_texts(v, terms, n, numbers);
}

/* ---- the whole ---- */

size_t
idx_vocab_n_bytes(const struct idx_vocab *v)
{
    enum { ENTRY = 32 }; /* packed or not, its slots included */
    return v->text.n + (size_t)v->n * ENTRY;
}

void
idx_vocab_clear(struct idx_vocab *v)
{
    /* After a large segment come many small ones: they must not each clear a large table. */
    if (v->n_slots > 1024 && v->n < v->n_slots / 16) {
        free(v->slots);
        v->slots = NULL;
        v->n_slots = 0;
    } else if (v->slots && v->n) {
        memset(v->slots, 0, v->n_slots * sizeof *v->slots);
    }
    buf_clear(&v->text);
    idx_ulids_clear(&v->ulids);
    v->n = 0;
    v->has_text = false;
}

void
idx_vocab_fini(struct idx_vocab *v)
{
    free(v->slots);
    free(v->terms);
    buf_fini(&v->text);
    idx_ulids_fini(&v->ulids);
    *v = (struct idx_vocab){0};
}
