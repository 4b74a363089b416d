/*
 * Comparing a column 64 values at a time: the inner loops of filters and of
 * browsing, written so that the compiler makes vectors of them. Private to
 * query/.
 */
#ifndef TAILFIN_QUERY_WORDS_H
#define TAILFIN_QUERY_WORDS_H

#include "base/bytes.h"

/* 64 bytes of 0 or 1 to bits. */
static inline uint64_t
qry_word_pack(const uint8_t m[64])
{
    uint64_t word = 0;

    for (unsigned i = 0; i < 8; i++)
        word |= (load_u64(m + 8 * i) * 0x0102040810204080u >> 56) << (8 * i);
    return word;
}

/* Which of the n (1..64) values lie in [lo, hi]; lo <= hi. */
static inline uint64_t
qry_word_i32(const int32_t *v, size_t n, int32_t lo, int32_t hi)
{
    uint8_t m[64] = {0};
    uint32_t width = (uint32_t)hi - (uint32_t)lo;

    if (n == 64)
        for (size_t i = 0; i < 64; i++) /* a length the compiler knows */
            m[i] = (uint32_t)v[i] - (uint32_t)lo <= width;
    else
        for (size_t i = 0; i < n; i++)
            m[i] = (uint32_t)v[i] - (uint32_t)lo <= width;
    return qry_word_pack(m);
}

static inline uint64_t
qry_word_i64(const int64_t *v, size_t n, int64_t lo, int64_t hi)
{
    uint64_t word = 0;

    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)((v[i] >= lo) & (v[i] <= hi)) << i;
    return word;
}

/* Number of bits set; without the instruction that not every machine has. */
static inline uint64_t
qry_word_count(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return x * 0x0101010101010101u >> 56;
}

#endif
