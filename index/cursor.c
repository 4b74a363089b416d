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

bool
idx_cursor_skip(struct idx_cursor *c, uint32_t depth)
{
    const struct idx_dict *d = &c->terms->dict;
    uint32_t i = idx_lcp_scan(d, c->ord, depth);
    if (i >= d->n) {
        c->ord = d->n - 1; /* stays behind everything */
        return false;
    }
    c->at = i == c->ord + 1 ? c->at : idx_runs_offset(&d->runs, i);
    c->ord = i;
    c->shared = d->lcp[i];
    uint32_t n = d->runs.lengths[i];
    set_tail(c, i % SEG_BLOCK ? c->shared : 0, d->runs.bytes + c->at, n);
    c->at += n;
    return true;
}

uint32_t
idx_cursor_end(const struct idx_cursor *c, uint32_t depth)
{
    return idx_lcp_scan(&c->terms->dict, c->ord, depth);
}
