#include "base/buf.h"

#include <stdarg.h>

void
buf_fini(struct buf *b)
{
    if (!b)
        return;
    free(b->p);
    *b = (struct buf){0};
}

void
buf_reserve(struct buf *b, size_t n_more)
{
    must(n_more <= SIZE_MAX / 4 - b->n);
    if (b->cap - b->n >= n_more)
        return;
    size_t cap = b->cap;
    size_t need = b->n + n_more;
    b->p = xgrow(b->p, &cap, need < 64 ? 64 : need, 1);
    b->cap = cap;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    buf_reserve(b, n);
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void
buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void
buf_put_span(struct buf *b, struct span s)
{
    buf_put(b, s.p, s.n);
}

void
buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    buf_reserve(b, 128);
    int n = vsnprintf(b->p + b->n, b->cap - b->n, format, args);
    must(n >= 0);
    if ((size_t)n >= b->cap - b->n) {
        buf_reserve(b, (size_t)n + 1);
        n = vsnprintf(b->p + b->n, b->cap - b->n, format, again);
        must(n >= 0);
    }
    b->n += (size_t)n;
    va_end(again);
    va_end(args);
}

/* The formats are little-endian, as every machine that this is built for. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines need byte swaps");

void
buf_put_u16(struct buf *b, uint16_t v)
{
    buf_put(b, &v, sizeof v);
}

void
buf_put_u32(struct buf *b, uint32_t v)
{
    buf_put(b, &v, sizeof v);
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
    buf_put(b, &v, sizeof v);
}

void
buf_put_varint(struct buf *b, uint64_t v)
{
    buf_reserve(b, 10);
    while (v >= 0x80) {
        b->p[b->n++] = (char)(unsigned char)(v | 0x80);
        v >>= 7;
    }
    b->p[b->n++] = (char)(unsigned char)v;
}

void
buf_put_bytes(struct buf *b, struct span s)
{
    buf_put_varint(b, s.n);
    buf_put_span(b, s);
}

void
buf_align(struct buf *b, size_t alignment)
{
    must(alignment > 0 && (alignment & (alignment - 1)) == 0);
    size_t n = (alignment - (b->n & (alignment - 1))) & (alignment - 1);
    if (n == 0)
        return;
    buf_reserve(b, n);
    memset(b->p + b->n, 0, n);
    b->n += n;
}
