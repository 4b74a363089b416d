/* A radix sort, least significant byte first; bytes that are the same everywhere are skipped. */
#include "index/keyed.h"

struct idx_keyed *
idx_keyed_sort(struct idx_keyed *from, struct idx_keyed *to, uint32_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t starts[257] = {0};
        for (uint32_t i = 0; i < n; i++)
            starts[(from[i].key >> shift & 0xff) + 1]++;
        if (n == 0 || starts[(from[0].key >> shift & 0xff) + 1] == n)
            continue;
        for (unsigned b = 0; b < 256; b++)
            starts[b + 1] += starts[b];
        for (uint32_t i = 0; i < n; i++)
            to[starts[from[i].key >> shift & 0xff]++] = from[i];
        struct idx_keyed *swap = from;
        from = to;
        to = swap;
    }
    return from;
}
