/*
 * The depth-first walk over a dictionary's terms. Everything between the
 * current term and the one a skip leads to shares its first depth bytes, so
 * the new term's leading lcp bytes are already in the cursor: nothing is
 * decoded on the way, only the place of one run is computed.
 */
#include "index/terms.h"

_Static_assert(sizeof(((struct idx_cursor *)0)->term) >= IDX_TERM_MAX + 16,
               "runs are copied 16 bytes at a time");

void
idx_cursor_init(struct idx_cursor *c, const struct idx_terms *t)
{
    c->terms = t;
    c->ord = UINT32_MAX;
    c->n = c->shared = c->at = 0;
}

/* As idx_head_of, but what stands behind a short term is left from another. */
static inline uint64_t
head_of(const struct idx_cursor *c)
{
    return __builtin_bswap64(load_u64(c->term));
}

/* Puts the run behind the shared bytes. Runs are followed by SEG_SLACK readable bytes. */
static inline void
set_tail(struct idx_cursor *c, uint32_t shared, const char *run, uint32_t n)
{
    must(shared + n <= IDX_TERM_MAX);
    char *to = c->term + shared;
    memcpy(to, run, 16);
    for (uint32_t i = 16; i < n; i += 16)
        memcpy(to + i, run + i, 16);
    c->n = shared + n;
}

bool
idx_cursor_next(struct idx_cursor *c)
{
    const struct idx_dict *d = &c->terms->dict;
    uint32_t i = c->ord + 1;
    if (i >= d->n)
        return false;
    c->ord = i;
    c->shared = d->lcp[i];
    uint32_t n = d->runs.lengths[i];
    set_tail(c, i % SEG_BLOCK ? c->shared : 0, d->runs.bytes + c->at, n);
    c->at += n;
    return true;
}

/* Puts the cursor on term i behind the current one; the leading lcp bytes are in place. */
static void
move_to(struct idx_cursor *c, uint32_t i)
{
    const struct idx_dict *d = &c->terms->dict;
    uint32_t n = d->runs.lengths[i];

    c->at = i == c->ord + 1 ? c->at : idx_runs_offset(&d->runs, i);
    c->ord = i;
    c->shared = d->lcp[i];
    set_tail(c, i % SEG_BLOCK ? c->shared : 0, d->runs.bytes + c->at, n);
    c->at += n;
}

static bool
move_or_end(struct idx_cursor *c, uint32_t i)
{
    uint32_t n = c->terms->dict.n;

    if (i < n)
        move_to(c, i);
    else
        c->ord = n - 1; /* stays behind everything */
    return i < n;
}

bool
idx_cursor_skip(struct idx_cursor *c, uint32_t depth)
{
    return move_or_end(c, idx_cursor_end(c, depth));
}

/*
 * All terms between the current one and the key (its first depth bytes and
 * then byte) begin with those bytes, so only the one behind them is compared.
 */
bool
idx_cursor_seek(struct idx_cursor *c, uint32_t depth, unsigned char byte)
{
    const struct idx_dict *d = &c->terms->dict;
    uint32_t i = c->ord;

    must(byte > 0 && depth <= c->n);
    if (depth < sizeof(uint64_t)) {
        uint64_t rest = depth ? UINT64_MAX >> (8 * depth) : UINT64_MAX;
        uint64_t key = head_of(c) & ~rest;
        key |= (uint64_t)byte << (56 - 8 * depth);
        uint32_t first = (idx_dict_gallop(d, i / SEG_BLOCK, key - 1) - 1) * SEG_BLOCK;
        i = first > i ? first : i;
    }
    for (;;) {
        i = idx_dict_sibling(d, i, depth);
        if (i >= d->n || d->lcp[i] < depth)
            break;
        const char *run = d->runs.bytes + idx_runs_offset(&d->runs, i);
        if ((unsigned char)run[i % SEG_BLOCK ? 0 : depth] >= byte)
            break;
    }
    return move_or_end(c, i);
}

uint32_t
idx_cursor_end(const struct idx_cursor *c, uint32_t depth)
{
    return idx_dict_behind(&c->terms->dict, c->ord, head_of(c), depth);
}
