/*
 * Reading bytes that came from a disk or a peer: a cursor with bounds. A read
 * past the end sets `bad`, returns zeroes, and every later read does too; the
 * caller checks once at the end. Never aborts, never reads outside.
 */
#ifndef TAILFIN_BASE_BYTES_H
#define TAILFIN_BASE_BYTES_H

#include "base/span.h"

struct bytes {
    const unsigned char *p, *end;
    bool bad;
};

struct bytes bytes_of(struct span s);
uint8_t bytes_u8(struct bytes *r);
uint16_t bytes_u16(struct bytes *r);
uint32_t bytes_u32(struct bytes *r);
uint64_t bytes_u64(struct bytes *r);
uint64_t bytes_varint(struct bytes *r);
/* n bytes, borrowed from the input. */
struct span bytes_take(struct bytes *r, size_t n);
/* What buf_put_bytes wrote. */
struct span bytes_span(struct bytes *r);
static inline size_t
bytes_left(const struct bytes *r)
{
    return (size_t)(r->end - r->p);
}

/* Unaligned little-endian loads for offsets that were checked before. */
static inline uint32_t
load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t
load_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

#endif
