/* Writing tails: a radix sort by eight bytes, once for each byte that they begin at. */
#include "index/tails.h"

struct entry {
    uint64_t key;
    uint32_t ord;
};

/* All terms of the dictionary that are long enough; into entries, which has room for them. */
static uint32_t
collect(const struct idx_dict *d, uint32_t from, struct entry *entries)
{
    struct idx_walk w;
    uint32_t n = 0;
    idx_walk_init(&w, d);
    while (idx_walk_next(&w))
        if (w.term.n >= idx_tails_length(from))
            entries[n++] = (struct entry){idx_tails_key(buf_span(&w.term), from), w.ord};
    buf_fini(&w.term);
    return n;
}

/* Least significant byte first, so that equal keys stay in the order of the terms. */
static const struct entry *
sort(struct entry *from, struct entry *to, uint32_t n)
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
        struct entry *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static void
write_one(struct idx_layout *l, struct idx_row row, const struct entry *v)
{
    idx_layout_open(l);
    for (uint32_t i = 0; i < row.n; i += SEG_BLOCK)
        buf_put_u64(l->out, v[i].key);
    buf_reserve(l->out, (size_t)row.n * sizeof(uint32_t));
    for (uint32_t i = 0; i < row.n; i++)
        buf_put_u32(l->out, v[i].ord);
    idx_layout_close(l, row);
}

void
idx_tails_write(struct idx_layout *l, uint32_t field)
{
    struct idx_row row = {.kind = SEG_DICT, .sub = IDX_TEXT, .field = field};
    struct idx_section dict;
    struct idx_dict d;
    if (!idx_layout_find(l, row, &dict) || dict.n < SEG_TAILS_TERMS_MIN)
        return;
    struct entry *entries = xmalloc((size_t)2 * dict.n * sizeof *entries);
    row.kind = SEG_TAILS;
    for (row.extra = IDX_TAIL_FIRST; row.extra <= IDX_TAIL_LAST; row.extra++) {
        /* What was written since may have moved it. */
        must(idx_layout_find(l, (struct idx_row){.kind = SEG_DICT, .sub = IDX_TEXT, .field = field},
                             &dict) &&
             idx_dict_open(&d, &dict));
        row.n = collect(&d, row.extra, entries);
        write_one(l, row, sort(entries, entries + dict.n, row.n));
    }
    free(entries);
}
