#include "base/ulid.h"

#include "base/bytes.h"

/* Two characters for every ten bits: ids are written by the million. */
#define ROW(c)                                                                                     \
    {c, '0'}, {c, '1'}, {c, '2'}, {c, '3'}, {c, '4'}, {c, '5'}, {c, '6'}, {c, '7'}, {c, '8'},      \
        {c, '9'}, {c, 'A'}, {c, 'B'}, {c, 'C'}, {c, 'D'}, {c, 'E'}, {c, 'F'}, {c, 'G'}, {c, 'H'},  \
        {c, 'J'}, {c, 'K'}, {c, 'M'}, {c, 'N'}, {c, 'P'}, {c, 'Q'}, {c, 'R'}, {c, 'S'}, {c, 'T'},  \
        {c, 'V'}, {c, 'W'}, {c, 'X'}, {c, 'Y'},                                                    \
    {                                                                                              \
        c, 'Z'                                                                                     \
    }
static const char pairs[1024][2] = {
    ROW('0'), ROW('1'), ROW('2'), ROW('3'), ROW('4'), ROW('5'), ROW('6'), ROW('7'),
    ROW('8'), ROW('9'), ROW('A'), ROW('B'), ROW('C'), ROW('D'), ROW('E'), ROW('F'),
    ROW('G'), ROW('H'), ROW('J'), ROW('K'), ROW('M'), ROW('N'), ROW('P'), ROW('Q'),
    ROW('R'), ROW('S'), ROW('T'), ROW('V'), ROW('W'), ROW('X'), ROW('Y'), ROW('Z')};

/* The text is 130 bits wide, two zero bits and the id: two halves of 13 characters. */
enum { HALF = ULID_TEXT_N / 2 };

/* first: the 5 bits of the first character; rest: 60 bits, more above them. */
static void
write_half(unsigned first, uint64_t rest, char *text)
{
    text[0] = pairs[first][1];
    for (unsigned i = 1, shift = 50; i < HALF; i += 2, shift -= 10)
        memcpy(text + i, pairs[rest >> shift & 1023], 2);
}

void
ulid_write(const unsigned char bytes[ULID_BYTES_N], char text[ULID_TEXT_N])
{
    uint64_t high = __builtin_bswap64(load_u64((const char *)bytes));
    uint64_t low = __builtin_bswap64(load_u64((const char *)bytes + 8));
    write_half((unsigned)(high >> 61), high >> 1, text);
    write_half((unsigned)(high << 4 & 16) | (unsigned)(low >> 60), low, text + HALF);
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
    if (text.n != ULID_TEXT_N || text.p[0] > '7')
        return false;
    const unsigned char *p = (const void *)text.p;
    uint64_t high = 0, low = 0, bad = 0; /* two halves, neither of which waits for the other */
    for (size_t i = 0; i < HALF; i++) {
        uint64_t a = (uint64_t)values[p[i]] - 1, b = (uint64_t)values[p[HALF + i]] - 1;
        bad |= a | b; /* all ones if it is none */
        high = high << 5 | a;
        low = low << 5 | b;
    }
    if (bad >> 5)
        return false;
    /* The lower half's 65th bit, which fell out above, is the upper one's last. */
    high = high << 1 | (values[p[HALF]] - 1u) >> 4;
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);
    memcpy(bytes, &high, sizeof high);
    memcpy(bytes + sizeof high, &low, sizeof low);
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
