/*
 * Runs: n strings of bytes one behind the other, found by number. A length
 * byte each and an offset per SEG_BLOCK of them: 1.1 bytes of overhead, and
 * the place of one is a sum over at most 31 neighbouring bytes. Used for the
 * suffixes of dictionaries, forward lists and ids that are no ULIDs.
 *
 * Bytes: lengths (n, padded with 0 to a multiple of 32), offsets (u32 per
 * block and one for the end), the strings, SEG_SLACK zero bytes. A length byte
 * of SEG_LONG means: a u32 with the real length stands before the bytes.
 */
#ifndef TAILFIN_INDEX_RUNS_H
#define TAILFIN_INDEX_RUNS_H

#include "base/buf.h"
#include "base/bytes.h"

#include "index/format.h"
#include "index/vec.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* ---- reading ---- */

/* Takes an LEB128 number off checked bytes. */
static inline uint32_t
idx_varint(const unsigned char **p)
{
    const unsigned char *at = *p;
    uint32_t v = *at++;
    if (v >= 0x80) {
        v &= 0x7f;
        for (unsigned shift = 7;; shift += 7) {
            uint32_t b = *at++;
            v |= (b & 0x7f) << shift;
            if (b < 0x80)
                break;
        }
    }
    *p = at;
    return v;
}

/* Appends one for which there is room. */
enum { IDX_VARINT_MAX = 5 };
static inline void
idx_varint_put(struct buf *b, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        b->p[b->n++] = (char)(v | 0x80);
    b->p[b->n++] = (char)v;
}

struct idx_runs {
    const uint8_t *lengths;
    const uint32_t *offsets;
    const char *bytes;
    uint32_t n;
    bool has_long;
};

/* Lays n runs over the bytes (aligned to 4); false if they cannot fit. Reads none of them. */
bool idx_runs_open(struct idx_runs *r, struct span bytes, uint32_t n, bool has_long);

/* Every offset and length lies inside and they agree with each other. For verifying. Cost: O(n). */
bool idx_runs_are_sound(const struct idx_runs *r, struct span bytes);

/* Where run i begins (its long length included). O(1) without long runs before it in its block. */
static inline uint32_t
idx_runs_offset(const struct idx_runs *r, uint32_t i)
{
    uint32_t block = i / SEG_BLOCK, k = i % SEG_BLOCK;
    uint32_t at = r->offsets[block];
    const uint8_t *lengths = r->lengths + (size_t)block * SEG_BLOCK;
    if (r->has_long) {
        for (uint32_t j = 0; j < k; j++)
            at += lengths[j] == SEG_LONG ? 4 + load_u32(r->bytes + at) : lengths[j];
        return at;
    }
#ifdef __SSE2__
    /* A window over 32 ones and 32 zeroes keeps the first k lengths. */
    static const uint8_t keep[2 * SEG_BLOCK] = {
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t *window = keep + SEG_BLOCK - k;
    __m128i a = _mm_loadu_si128((const void *)lengths);
    __m128i b = _mm_loadu_si128((const void *)(lengths + 16));
    a = _mm_and_si128(a, _mm_loadu_si128((const void *)window));
    b = _mm_and_si128(b, _mm_loadu_si128((const void *)(window + 16)));
    __m128i sum =
        _mm_add_epi64(_mm_sad_epu8(a, _mm_setzero_si128()), _mm_sad_epu8(b, _mm_setzero_si128()));
    return at + (uint32_t)_mm_cvtsi128_si32(sum) +
           (uint32_t)_mm_cvtsi128_si32(_mm_srli_si128(sum, 8));
#else
    for (uint32_t j = 0; j < k; j++)
        at += lengths[j];
    return at;
#endif
}

/* Takes run i that begins at *at, and moves *at behind it. */
static inline struct span
idx_runs_take(const struct idx_runs *r, uint32_t i, uint32_t *at)
{
    uint32_t n = r->lengths[i];
    if (n == SEG_LONG) {
        n = load_u32(r->bytes + *at);
        *at += 4;
    }
    struct span run = span_of(r->bytes + *at, n);
    *at += n;
    return run;
}

static inline struct span
idx_runs_get(const struct idx_runs *r, uint32_t i)
{
    uint32_t at = idx_runs_offset(r, i);
    return idx_runs_take(r, i, &at);
}

/* ---- writing ---- */

struct idx_runs_out { /* all-zero is empty */
    struct buf lengths, bytes;
    struct idx_u32s offsets;
    uint32_t n;
    bool has_long;
    bool is_over; /* more than 4 GB: the section cannot be written */
};

void idx_runs_put(struct idx_runs_out *o, struct span run);
/* Appends the section's bytes to *out. */
void idx_runs_write(const struct idx_runs_out *o, struct buf *out);
/* Empty again; keeps the memory. */
void idx_runs_clear(struct idx_runs_out *o);
void idx_runs_fini(struct idx_runs_out *o);

#endif
