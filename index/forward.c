/*
 * Forward lists: the terms of a document in reading order. Fields that have
 * at most one term a document are flat arrays of the narrowest width; others
 * are varints in runs, with the element ends left out where they are implied.
 */
#include "index/terms.h"

enum seg_mode
idx_forward_mode(enum idx_terms_kind kind, bool is_array)
{
    if (kind == IDX_TEXT)
        return is_array ? SEG_MANY : SEG_ONE;
    return is_array ? SEG_EACH : SEG_FIXED;
}

bool
idx_forward_open(struct idx_terms *t, struct idx_section *s)
{
    t->forward = s;
    t->mode = (enum seg_mode)(s->flags >> SEG_MODE_SHIFT);
    if (s->n != t->n_docs || t->mode > SEG_MANY)
        return false;
    if (t->mode != SEG_FIXED)
        return idx_runs_open(&t->lists, s->bytes, s->n, s->flags & SEG_HAS_LONG);
    t->width = s->extra;
    t->fixed = s->bytes.p;
    return t->width >= 1 && t->width <= 4 && s->bytes.n == (uint64_t)s->n * t->width + SEG_SLACK;
}

/* ---- reading ---- */

struct list { /* being read: counts all, writes the first cap */
    uint32_t *out;
    uint32_t n, cap;
};

static inline void
list_put(struct list *l, uint32_t x)
{
    if (l->n < l->cap)
        l->out[l->n] = x;
    l->n++;
}

static uint32_t
forward_fixed(const struct idx_terms *t, uint32_t doc, struct list *l)
{
    uint32_t v = load_u32(t->fixed + (size_t)doc * t->width);
    v &= UINT32_MAX >> (32 - 8 * t->width);
    if (v == 0)
        return 0;
    list_put(l, v - 1);
    list_put(l, IDX_ELEMENT_END);
    return l->n;
}

uint32_t
idx_forward(const struct idx_terms *t, uint32_t doc, uint32_t *out, uint32_t cap)
{
    if (!idx_section_good(t->forward))
        return 0;
    struct list l = {out, 0, cap};
    if (t->mode == SEG_FIXED)
        return forward_fixed(t, doc, &l);
    struct span run = idx_runs_get(&t->lists, doc);
    if (run.n == 0)
        return 0;
    const unsigned char *p = (const void *)run.p, *end = p + run.n;
    bool is_each = t->mode == SEG_EACH;
    while (p < end) {
        uint32_t v = idx_varint(&p);
        if (v)
            list_put(&l, v - 1);
        if ((v == 0 && t->mode == SEG_MANY) || is_each)
            list_put(&l, IDX_ELEMENT_END);
    }
    if (t->mode == SEG_ONE)
        list_put(&l, IDX_ELEMENT_END);
    return l.n;
}

/* ---- writing ---- */

static void
put_list(struct idx_forward_out *o, const uint32_t *list, size_t n)
{
    buf_clear(&o->scratch);
    buf_reserve(&o->scratch, n * IDX_VARINT_MAX);
    for (size_t i = 0; i < n; i++) {
        if (list[i] != IDX_ELEMENT_END) {
            o->max = list[i] + 1 > o->max ? list[i] + 1 : o->max;
            idx_varint_put(&o->scratch, list[i] + 1);
        } else if (o->mode == SEG_MANY || (o->mode == SEG_ONE && n == 1)) {
            buf_putc(&o->scratch, 0);
        }
    }
    idx_runs_put(&o->lists, buf_span(&o->scratch));
}

void
idx_forward_put(struct idx_forward_out *o, const uint32_t *list, size_t n)
{
    o->n_docs++;
    o->n_present += n > 0;
    if (o->mode != SEG_FIXED) {
        put_list(o, list, n);
        return;
    }
    uint32_t v = n && list[0] != IDX_ELEMENT_END ? list[0] + 1 : 0;
    o->max = v > o->max ? v : o->max;
    idx_u32s_put(&o->fixed, v);
}

static void
write_fixed(const struct idx_forward_out *o, uint32_t width, struct buf *out)
{
    static const char zeroes[SEG_SLACK];
    buf_reserve(out, o->fixed.n * width + SEG_SLACK);
    for (size_t i = 0; i < o->fixed.n; i++) {
        memcpy(out->p + out->n, &o->fixed.p[i], sizeof(uint32_t));
        out->n += width;
    }
    buf_put(out, zeroes, SEG_SLACK);
}

enum rc
idx_forward_write(const struct idx_forward_out *o, struct idx_layout *l, struct idx_row row,
                  struct err *err)
{
    if (o->lists.is_over)
        return err_set(err, RC_LIMIT, "the lists of field %u take more than 4 GB in one segment",
                       row.field);
    row.n = o->n_docs;
    row.flags = (uint16_t)((unsigned)o->mode << SEG_MODE_SHIFT);
    idx_layout_open(l);
    if (o->mode == SEG_FIXED) {
        row.extra = 1;
        while (row.extra < 4 && o->max >> (8 * row.extra))
            row.extra++;
        write_fixed(o, row.extra, l->out);
    } else {
        row.flags |= o->lists.has_long ? SEG_HAS_LONG : 0;
        idx_runs_write(&o->lists, l->out);
    }
    idx_layout_close(l, row);
    return RC_OK;
}

void
idx_forward_clear(struct idx_forward_out *o)
{
    o->n_docs = o->n_present = o->max = 0;
    o->fixed.n = 0;
    idx_runs_clear(&o->lists);
    buf_clear(&o->scratch);
}

void
idx_forward_fini(struct idx_forward_out *o)
{
    idx_u32s_fini(&o->fixed);
    idx_runs_fini(&o->lists);
    buf_fini(&o->scratch);
    *o = (struct idx_forward_out){0};
}
