#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(struct buf *out, struct span in)
{
    const unsigned char *p = (const unsigned char *)in.p;
    for (size_t i = 0; i < in.n; i += 3) {
        size_t n = in.n - i;
        uint32_t v = (uint32_t)p[i] << 16;
        if (n > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (n > 2)
            v |= p[i + 2];
        buf_putc(out, alphabet[v >> 18]);
        buf_putc(out, alphabet[v >> 12 & 63]);
        buf_putc(out, n > 1 ? alphabet[v >> 6 & 63] : '=');
        buf_putc(out, n > 2 ? alphabet[v & 63] : '=');
    }
}

/* 0..63; 64 for anything else. */
static uint32_t
digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : 64;
}

bool
base64_decode(struct buf *out, struct span in)
{
    if (in.n % 4 != 0)
        return false;
    for (size_t i = 0; i < in.n; i += 4) {
        const char *p = in.p + i;
        bool is_last = i + 4 == in.n;
        size_t n_pad = is_last && p[3] == '=' ? (p[2] == '=' ? 2 : 1) : 0;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            uint32_t d = k + n_pad >= 4 ? 0 : digit(p[k]);
            if (d == 64)
                return false;
            v = v << 6 | d;
        }
        /* Bits that no byte uses must be zero: one text per value. */
        if ((n_pad == 1 && (v & 0xff)) || (n_pad == 2 && (v & 0xffff)))
            return false;
        buf_putc(out, (char)(unsigned char)(v >> 16));
        if (n_pad < 2)
            buf_putc(out, (char)(unsigned char)(v >> 8));
        if (n_pad < 1)
            buf_putc(out, (char)(unsigned char)v);
    }
    return true;
}
