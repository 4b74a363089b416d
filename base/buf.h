/*
 * A growing run of bytes that its owner frees. All-zero is a valid empty
 * buffer. Growing aborts when memory is out; a caller whose sizes come from
 * input checks its limit first. One thread at a time.
 */
#ifndef TAILFIN_BASE_BUF_H
#define TAILFIN_BASE_BUF_H

#include "base/must.h"
#include "base/span.h"

struct buf {
    char *p;
    size_t n, cap;
};

void buf_fini(struct buf *b);                      /* frees and zeroes; NULL allowed */
void buf_reserve(struct buf *b, size_t n_more);    /* room for n_more further bytes */
void buf_put(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);       /* without the NUL */
void buf_put_span(struct buf *b, struct span s);
PRINTF_LIKE(2, 3) void buf_printf(struct buf *b, const char *format, ...);

static inline void
buf_putc(struct buf *b, char c)
{
    if (b->n == b->cap)
        buf_reserve(b, 1);
    b->p[b->n++] = c;
}

/* Keeps the memory. */
static inline void
buf_clear(struct buf *b)
{
    b->n = 0;
}

/* Borrowed until the next change. */
static inline struct span
buf_span(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

/* Fixed-width little-endian, and LEB128 varints (at most 10 bytes). */
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_varint(struct buf *b, uint64_t v);
/* A varint length, then the bytes. */
void buf_put_bytes(struct buf *b, struct span s);
/* Zero bytes until n is a multiple of alignment (a power of two). */
void buf_align(struct buf *b, size_t alignment);

#endif
