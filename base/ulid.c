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

/* By character: its value 0..31 plus one, 0 if it is none. A table, as ids are read per lookup. */
static const unsigned char values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
    ['G'] = 17, ['H'] = 18, ['J'] = 19, ['K'] = 20, ['M'] = 21, ['N'] = 22, ['P'] = 23, ['Q'] = 24,
    ['R'] = 25, ['S'] = 26, ['T'] = 27, ['V'] = 28, ['W'] = 29, ['X'] = 30, ['Y'] = 31, ['Z'] = 32};

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
        uint32_t value = values[(unsigned char)text.p[i]];
        if (value == 0)
            return false;
        bits = bits << 5 | (value - 1);
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
