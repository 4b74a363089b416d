#include "index/tails.h"

static size_t
n_groups(uint32_t n)
{
    return ((size_t)n + SEG_BLOCK - 1) / SEG_BLOCK;
}

bool
idx_tails_open(struct idx_terms *t, struct idx_section *s)
{
    uint32_t from = s->extra;
    if (s->sub != IDX_TEXT || t->dict.ulids || from < IDX_TAIL_FIRST || from > IDX_TAIL_LAST ||
        t->tails[from - IDX_TAIL_FIRST] || s->n > t->dict.n)
        return false;
    t->tails[from - IDX_TAIL_FIRST] = s;
    return s->bytes.n == n_groups(s->n) * sizeof(uint64_t) + (uint64_t)s->n * sizeof(uint32_t);
}

const uint64_t *
idx_tails_heads(const struct idx_section *s)
{
    return (const void *)s->bytes.p;
}

const uint32_t *
idx_tails_ords(const struct idx_section *s)
{
    return (const void *)(s->bytes.p + n_groups(s->n) * sizeof(uint64_t));
}

/* ---- looking up ---- */

static uint64_t
key_at(const struct idx_terms *t, const struct idx_section *s, uint32_t i, struct buf *term)
{
    buf_clear(term);
    idx_terms_get(t, idx_tails_ords(s)[i], term);
    return idx_tails_key(buf_span(term), s->extra);
}

/* The first place whose key is not below `key`. */
static uint32_t
lower(const struct idx_terms *t, const struct idx_section *s, uint64_t key, struct buf *term)
{
    const uint64_t *heads = idx_tails_heads(s);
    uint32_t begin = 0, end = (uint32_t)n_groups(s->n);
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        if (heads[mid] < key)
            begin = mid + 1;
        else
            end = mid;
    }
    /* It is in the group before, or the first of this one. */
    end = begin < n_groups(s->n) ? begin * SEG_BLOCK : s->n;
    begin = begin ? (begin - 1) * SEG_BLOCK + 1 : 0;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        if (key_at(t, s, mid, term) < key)
            begin = mid + 1;
        else
            end = mid;
    }
    return begin;
}

bool
idx_terms_has_tails(const struct idx_terms *t)
{
    for (uint32_t i = 0; i < IDX_TAIL_N; i++)
        if (!idx_section_good(t->tails[i]))
            return false;
    return true;
}

const uint32_t *
idx_terms_tails(const struct idx_terms *t, uint32_t from, struct span tail, bool is_end,
                uint32_t *n)
{
    must(from >= IDX_TAIL_FIRST && from <= IDX_TAIL_LAST && tail.n >= IDX_TAIL_MIN);
    const struct idx_section *s = t->tails[from - IDX_TAIL_FIRST];
    uint64_t least = idx_head_of(tail), most = least;
    struct buf term = {0};
    if (!is_end && tail.n < sizeof(uint64_t))
        most |= UINT64_MAX >> (8 * tail.n);
    uint32_t begin = lower(t, s, least, &term);
    uint32_t end = most < UINT64_MAX ? lower(t, s, most + 1, &term) : s->n;
    buf_fini(&term);
    *n = end - begin;
    return idx_tails_ords(s) + begin;
}
