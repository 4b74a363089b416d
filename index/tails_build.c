/* Writing tails: a radix sort by eight bytes, once for each byte that they begin at. */
#include "index/tails.h"

#include "index/keyed.h"

struct start { /* of a term: what the keys are made of */
    uint64_t high, low; /* 16 bytes as two big-endian numbers, missing ones 0 */
    uint32_t n;         /* bytes of the term */
};
_Static_assert(IDX_TAIL_LAST + sizeof(uint64_t) <= 16, "all keys lie in the first 16 bytes");

static void
read_starts(const struct idx_dict *d, struct start *out)
{
    struct idx_walk w;
    idx_walk_init(&w, d);
    buf_reserve(&w.term, IDX_TERM_MAX + 16);
    while (idx_walk_next(&w)) {
        uint32_t n = (uint32_t)w.term.n;
        memset(w.term.p + n, 0, 16); /* behind a term of text there is room */
        out[w.ord] = (struct start){__builtin_bswap64(load_u64(w.term.p)),
                                    __builtin_bswap64(load_u64(w.term.p + 8)), n};
    }
    buf_fini(&w.term);
}

/* All terms that are long enough; into entries, which has room for them. */
static uint32_t
collect(const struct start *starts, uint32_t n_terms, uint32_t from, struct idx_keyed *entries)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_terms; i++) {
        const struct start *s = &starts[i];
        if (s->n >= idx_tails_length(from))
            entries[n++] = (struct idx_keyed){s->high << 8 * from | s->low >> (64 - 8 * from), i};
    }
    return n;
}

static void
write_one(struct idx_layout *l, struct idx_row row, const struct idx_keyed *v)
{
    idx_layout_open(l);
    for (uint32_t i = 0; i < row.n; i += SEG_BLOCK)
        buf_put_u64(l->out, v[i].key);
    buf_reserve(l->out, (size_t)row.n * sizeof(uint32_t));
    for (uint32_t i = 0; i < row.n; i++)
        buf_put_u32(l->out, v[i].number);
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
    must(idx_dict_open(&d, &dict));
    struct start *starts = xmalloc(d.n * sizeof *starts);
    struct idx_keyed *entries = xmalloc((size_t)2 * d.n * sizeof *entries);
    read_starts(&d, starts);
    row.kind = SEG_TAILS;
    for (row.extra = IDX_TAIL_FIRST; row.extra <= IDX_TAIL_LAST; row.extra++) {
        row.n = collect(starts, dict.n, row.extra, entries);
        write_one(l, row, idx_keyed_sort(entries, entries + dict.n, row.n));
    }
    free(entries);
    free(starts);
}
