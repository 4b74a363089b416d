#include "base/utf8.h"

static bool
is_tail(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Bytes of the valid sequence at p, of n bytes; 0 if there is none. p[0] >= 0x80. */
static size_t
sequence_n(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    if (c >= 0xc2 && c <= 0xdf)
        return n >= 2 && is_tail(p[1]) ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        if (n < 3 || !is_tail(p[1]) || !is_tail(p[2]))
            return 0;
        bool is_bad = (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f);
        return is_bad ? 0 : 3;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        if (n < 4 || !is_tail(p[1]) || !is_tail(p[2]) || !is_tail(p[3]))
            return 0;
        bool is_bad = (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f);
        return is_bad ? 0 : 4;
    }
    return 0;
}

size_t
utf8_valid_n(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        uint64_t eight;
        if (i + 8 <= s.n) {
            memcpy(&eight, p + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        if (p[i] < 0x80) {
            i++;
            continue;
        }
        size_t n = sequence_n(p + i, s.n - i);
        if (n == 0)
            return i;
        i += n;
    }
    return s.n;
}

size_t
utf8_write(uint32_t c, char out[4])
{
    unsigned char b[4];
    size_t n;
    if (c < 0x80) {
        b[0] = (unsigned char)c;
        n = 1;
    } else if (c < 0x800) {
        b[0] = (unsigned char)(0xc0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        b[0] = (unsigned char)(0xe0 | c >> 12);
        n = 3;
    } else {
        b[0] = (unsigned char)(0xf0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        b[i] = (unsigned char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
    memcpy(out, b, n);
    return n;
}
