#include "base/bytes.h"

struct bytes
bytes_of(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    return (struct bytes){p, s.n ? p + s.n : p, false};
}

/* Copies n bytes out, or zeroes and turns bad. */
static void
take(struct bytes *r, void *out, size_t n)
{
    if (r->bad || bytes_left(r) < n) {
        r->bad = true;
        memset(out, 0, n);
        return;
    }
    memcpy(out, r->p, n);
    r->p += n;
}

uint8_t
bytes_u8(struct bytes *r)
{
    uint8_t v;
    take(r, &v, sizeof v);
    return v;
}

uint16_t
bytes_u16(struct bytes *r)
{
    uint16_t v;
    take(r, &v, sizeof v);
    return v;
}

uint32_t
bytes_u32(struct bytes *r)
{
    uint32_t v;
    take(r, &v, sizeof v);
    return v;
}

uint64_t
bytes_u64(struct bytes *r)
{
    uint64_t v;
    take(r, &v, sizeof v);
    return v;
}

uint64_t
bytes_varint(struct bytes *r)
{
    uint64_t v = 0;
    const unsigned char *p = r->p;
    for (unsigned shift = 0; !r->bad && p < r->end && shift < 64; shift += 7) {
        unsigned char c = *p++;
        /* The tenth byte has room for one bit. */
        if (shift == 63 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            r->p = p;
            return v;
        }
    }
    r->bad = true;
    return 0;
}

struct span
bytes_take(struct bytes *r, size_t n)
{
    if (r->bad || bytes_left(r) < n) {
        r->bad = true;
        return (struct span){NULL, 0};
    }
    struct span s = {(const char *)r->p, n};
    if (n)
        r->p += n;
    return s;
}

struct span
bytes_span(struct bytes *r)
{
    uint64_t n = bytes_varint(r);
    if (n > bytes_left(r)) {
        r->bad = true;
        return (struct span){NULL, 0};
    }
    return bytes_take(r, (size_t)n);
}
