#include "base/ulid.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void
ulid_write(const unsigned char bytes[ULID_BYTES_N], char text[ULID_TEXT_N])
{
    /* The text is 130 bits wide: two zero bits come first. */
    uint32_t bits = 0;
    unsigned n_bits = 2;
    size_t at = 0;
    for (size_t i = 0; i < ULID_TEXT_N; i++) {
        if (n_bits < 5) {
            bits = bits << 8 | bytes[at++];
            n_bits += 8;
        }
        n_bits -= 5;
        text[i] = alphabet[bits >> n_bits & 31];
    }
}

/* 0..31; 32 for anything else. */
static uint32_t
digit(char c)
{
    const char *hit = c ? memchr(alphabet, c, 32) : NULL;
    return hit ? (uint32_t)(hit - alphabet) : 32;
}

bool
ulid_read(struct span text, unsigned char bytes[ULID_BYTES_N])
{
    unsigned char out[ULID_BYTES_N];
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t at = 0;
    if (text.n != ULID_TEXT_N || text.p[0] > '7')
        return false;
    for (size_t i = 0; i < ULID_TEXT_N; i++) {
        uint32_t d = digit(text.p[i]);
        if (d == 32)
            return false;
        bits = bits << 5 | d;
        n_bits += i == 0 ? 3 : 5;
        if (n_bits >= 8) {
            n_bits -= 8;
            out[at++] = (unsigned char)(bits >> n_bits);
        }
    }
    memcpy(bytes, out, sizeof out);
    return true;
}

uint64_t
ulid_ms(const unsigned char bytes[ULID_BYTES_N])
{
    uint64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | bytes[i];
    return ms;
}
