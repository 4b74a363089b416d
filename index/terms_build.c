/* Writing dictionaries: terms come in order, from a sorted vocabulary or from a merge. */
#include "index/terms.h"

/* A term with the one before it in o->last. */
static void
put_coded(struct idx_dict_out *o, struct span term)
{
    size_t n = term.n < o->last.n ? term.n : o->last.n, lcp = 0;
    if (n > SEG_LONG)
        n = SEG_LONG;
    while (lcp < n && term.p[lcp] == o->last.p[lcp])
        lcp++;
    buf_putc(&o->lcp, (char)lcp);
    if (o->runs.n % SEG_BLOCK == 0) {
        buf_put_u64(&o->heads, idx_head_of(term));
        idx_runs_put(&o->runs, term);
    } else {
        idx_runs_put(&o->runs, span_from(term, lcp));
    }
    o->last.n = lcp;
    buf_put(&o->last, term.p + lcp, term.n - lcp);
}

/* The first term that is no ULID, or the dictionary is not to be packed. */
static void
unpack(struct idx_dict_out *o)
{
    char text[ULID_TEXT_N];
    o->has_other = true;
    for (size_t at = 0; at < o->ulids.n; at += ULID_BYTES_N) {
        ulid_write((const void *)(o->ulids.p + at), text);
        put_coded(o, span_of(text, sizeof text));
    }
    buf_clear(&o->ulids);
}

void
idx_dict_put(struct idx_dict_out *o, struct span term)
{
    unsigned char ulid[ULID_BYTES_N];
    o->n++;
    if (!o->has_other && ulid_read(term, ulid)) {
        buf_put(&o->ulids, ulid, sizeof ulid);
        return;
    }
    if (!o->has_other)
        unpack(o);
    put_coded(o, term);
}

void
idx_dict_put_ulid(struct idx_dict_out *o, const unsigned char ulid[ULID_BYTES_N])
{
    char text[ULID_TEXT_N];
    o->n++;
    if (!o->has_other) {
        buf_put(&o->ulids, ulid, ULID_BYTES_N);
        return;
    }
    ulid_write(ulid, text);
    put_coded(o, span_of(text, sizeof text));
}

enum rc
idx_dict_write(struct idx_dict_out *o, struct idx_layout *l, struct idx_row row, bool may_pack,
               struct err *err)
{
    static const char zeroes[SEG_SLACK + 8];
    row.n = o->n;
    row.flags = 0;
    idx_layout_open(l);
    if (may_pack && !o->has_other) {
        row.flags = SEG_PACKED;
        buf_put_span(l->out, buf_span(&o->ulids));
        buf_put(l->out, zeroes, SEG_SLACK);
        idx_layout_close(l, row);
        return RC_OK;
    }
    if (!o->has_other)
        unpack(o);
    if (o->runs.is_over)
        return err_set(err, RC_LIMIT, "the terms of field %u take more than 4 GB in one segment",
                       row.field);
    if (o->runs.has_long)
        row.flags |= SEG_HAS_LONG;
    buf_put_span(l->out, buf_span(&o->heads));
    buf_put_span(l->out, buf_span(&o->lcp));
    size_t n_lcp = ((size_t)o->n + SEG_SLACK + 7) / 8 * 8;
    buf_put(l->out, zeroes, n_lcp - o->n);
    idx_runs_write(&o->runs, l->out);
    idx_layout_close(l, row);
    return RC_OK;
}

void
idx_dict_clear(struct idx_dict_out *o)
{
    buf_clear(&o->heads);
    buf_clear(&o->lcp);
    buf_clear(&o->last);
    buf_clear(&o->ulids);
    idx_runs_clear(&o->runs);
    o->n = 0;
    o->has_other = false;
}

void
idx_dict_fini(struct idx_dict_out *o)
{
    buf_fini(&o->heads);
    buf_fini(&o->lcp);
    buf_fini(&o->last);
    buf_fini(&o->ulids);
    idx_runs_fini(&o->runs);
    *o = (struct idx_dict_out){0};
}
