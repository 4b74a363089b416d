#include "index/runs.h"

static size_t
n_blocks(uint32_t n)
{
    return ((size_t)n + SEG_BLOCK - 1) / SEG_BLOCK;
}

bool
idx_runs_open(struct idx_runs *r, struct span bytes, uint32_t n, bool has_long)
{
    size_t n_lengths = n_blocks(n) * SEG_BLOCK;
    size_t n_offsets = (n_blocks(n) + 1) * sizeof(uint32_t);
    if (bytes.n < n_lengths + n_offsets + SEG_SLACK)
        return false;
    r->lengths = (const void *)bytes.p;
    r->offsets = (const void *)(bytes.p + n_lengths);
    r->bytes = bytes.p + n_lengths + n_offsets;
    r->n = n;
    r->has_long = has_long;
    return true;
}

bool
idx_runs_are_sound(const struct idx_runs *r, struct span bytes)
{
    size_t n_bytes = (size_t)(bytes.p + bytes.n - r->bytes) - SEG_SLACK;
    uint64_t at = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        if (i % SEG_BLOCK == 0 && r->offsets[i / SEG_BLOCK] != at)
            return false;
        uint64_t n = r->lengths[i];
        if (n == SEG_LONG) {
            if (!r->has_long || at + 4 > n_bytes)
                return false;
            n = load_u32(r->bytes + at) + (uint64_t)4;
        }
        at += n;
        if (at > n_bytes)
            return false;
    }
    return at == n_bytes && r->offsets[n_blocks(r->n)] == at;
}

void
idx_runs_put(struct idx_runs_out *o, struct span run)
{
    if (o->n++ % SEG_BLOCK == 0)
        idx_u32s_put(&o->offsets, (uint32_t)o->bytes.n);
    if (run.n < SEG_LONG) {
        buf_putc(&o->lengths, (char)run.n);
    } else {
        buf_putc(&o->lengths, (char)SEG_LONG);
        buf_put_u32(&o->bytes, (uint32_t)run.n);
        o->has_long = true;
    }
    buf_put(&o->bytes, run.p, run.n);
    if (o->bytes.n > UINT32_MAX)
        o->is_over = true;
}

void
idx_runs_write(const struct idx_runs_out *o, struct buf *out)
{
    static const char zeroes[SEG_SLACK];
    buf_put(out, o->lengths.p, o->lengths.n);
    buf_put(out, zeroes, n_blocks(o->n) * SEG_BLOCK - o->n);
    buf_put_span(out, idx_u32s_span(&o->offsets));
    buf_put_u32(out, (uint32_t)o->bytes.n);
    buf_put(out, o->bytes.p, o->bytes.n);
    buf_put(out, zeroes, SEG_SLACK);
}

void
idx_runs_clear(struct idx_runs_out *o)
{
    buf_clear(&o->lengths);
    buf_clear(&o->bytes);
    o->offsets.n = 0;
    o->n = 0;
    o->has_long = o->is_over = false;
}

void
idx_runs_fini(struct idx_runs_out *o)
{
    buf_fini(&o->lengths);
    buf_fini(&o->bytes);
    idx_u32s_fini(&o->offsets);
    *o = (struct idx_runs_out){0};
}
