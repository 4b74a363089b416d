#include "index/column.h"

size_t
idx_column_width(enum sch_type type)
{
    static const uint8_t width[SCH_TYPE_N] = {
        [SCH_INT32] = 4, [SCH_INT64] = 8, [SCH_FLOAT] = 4, [SCH_BOOL] = 1};
    return width[type];
}

/* ---- reading ---- */

/* The place of the next n bytes (rounded up to 8); NULL behind the end. */
static const void *
take(struct span *rest, uint64_t n)
{
    const void *p = rest->p;
    n = (n + 7) / 8 * 8;
    if (n > rest->n)
        return NULL;
    *rest = span_from(*rest, n);
    return p;
}

static const void *
column_values(const struct idx_column *c)
{
    switch (c->type) {
    case SCH_INT32:
        return c->i32;
    case SCH_INT64:
        return c->i64;
    case SCH_FLOAT:
        return c->f32;
    case SCH_BOOL:
        return c->b8;
    case SCH_STRING:
    case SCH_TYPE_N:
        break;
    }
    return NULL;
}

bool
idx_column_open(struct idx_column *c, const struct idx_section *s, uint32_t n_docs)
{
    *c = (struct idx_column){.n_values = s->n};
    size_t width = s->sub < SCH_TYPE_N ? idx_column_width((enum sch_type)s->sub) : 0;
    if (width == 0)
        return false;
    c->type = (enum sch_type)s->sub;
    struct span rest = s->bytes;
    const void *values = take(&rest, (uint64_t)s->n * width);
    c->i32 = c->type == SCH_INT32 ? values : NULL;
    c->i64 = c->type == SCH_INT64 ? values : NULL;
    c->f32 = c->type == SCH_FLOAT ? values : NULL;
    c->b8 = c->type == SCH_BOOL ? values : NULL;
    if (!values)
        return false;
    if (s->flags & SEG_IS_ARRAY) {
        c->offsets = take(&rest, ((uint64_t)n_docs + 1) * sizeof(uint32_t));
        return c->offsets && rest.n == 0;
    }
    if (s->flags & SEG_HAS_MISSING) {
        c->present = take(&rest, ((uint64_t)n_docs + 63) / 64 * sizeof(uint64_t));
        if (!c->present)
            return false;
    }
    return s->n == n_docs && rest.n == 0;
}

/* ---- writing ---- */

static void
put_value(struct idx_column_out *o, const struct idx_value *v, uint32_t i)
{
    if (o->type == SCH_INT64) {
        buf_put(&o->values, &v->i64[i], sizeof v->i64[i]);
    } else if (o->type == SCH_INT32) {
        int32_t x = (int32_t)(uint32_t)(uint64_t)v->i64[i];
        buf_put(&o->values, &x, sizeof x);
    } else if (o->type == SCH_FLOAT) {
        float x = (float)v->f64[i];
        buf_put(&o->values, &x, sizeof x);
    } else {
        buf_putc(&o->values, v->i64[i] != 0);
    }
}

static void
put_zeroes(struct buf *b, size_t n)
{
    static const char zeroes[8];
    buf_put(b, zeroes, n);
}

void
idx_column_put(struct idx_column_out *o, const struct idx_value *v)
{
    size_t width = idx_column_width(o->type);
    o->n_present += v->n > 0;
    if (o->is_array) {
        idx_u32s_put(&o->starts, (uint32_t)(o->values.n / width));
        for (uint32_t i = 0; i < v->n; i++)
            put_value(o, v, i);
        return;
    }
    buf_putc(&o->present, v->n > 0);
    if (v->n)
        put_value(o, v, 0);
    else
        put_zeroes(&o->values, width);
}

void
idx_column_put_from(struct idx_column_out *o, const struct idx_column *c, uint32_t doc)
{
    static const struct idx_value missing;
    size_t width = idx_column_width(o->type);
    if (!c || (c->present && !(c->present[doc / 64] >> (doc % 64) & 1))) {
        idx_column_put(o, &missing);
        return;
    }
    const char *values = column_values(c);
    if (!o->is_array) {
        o->n_present++;
        buf_putc(&o->present, 1);
        buf_put(&o->values, values + doc * width, width);
        return;
    }
    uint32_t begin = c->offsets[doc], end = c->offsets[doc + 1];
    o->n_present += end > begin;
    idx_u32s_put(&o->starts, (uint32_t)(o->values.n / width));
    buf_put(&o->values, values + begin * width, (end - begin) * width);
}

static void
write_present(const struct idx_column_out *o, struct idx_layout *l)
{
    for (size_t i = 0; i < o->present.n; i += 64) {
        uint64_t word = 0;
        for (size_t j = i; j < o->present.n && j < i + 64; j++)
            word |= (uint64_t)(o->present.p[j] != 0) << (j - i);
        buf_put_u64(l->out, word);
    }
}

enum rc
idx_column_write(const struct idx_column_out *o, struct idx_layout *l, uint32_t field,
                 struct err *err)
{
    if (o->n_present == 0)
        return RC_OK;
    size_t n = o->values.n / idx_column_width(o->type);
    if (n > UINT32_MAX)
        return err_set(err, RC_LIMIT, "field %u has more than 4 billion values in one segment",
                       field);
    struct idx_row row = {
        .kind = SEG_COLUMN, .sub = (uint8_t)o->type, .field = field, .n = (uint32_t)n};
    idx_layout_open(l);
    buf_put_span(l->out, buf_span(&o->values));
    idx_layout_align(l, 8);
    if (o->is_array) {
        row.flags = SEG_IS_ARRAY;
        buf_put_span(l->out, idx_u32s_span(&o->starts));
        buf_put_u32(l->out, (uint32_t)n);
        idx_layout_align(l, 8);
    } else if (o->n_present < o->present.n) {
        row.flags = SEG_HAS_MISSING;
        write_present(o, l);
    }
    idx_layout_close(l, row);
    return RC_OK;
}

void
idx_column_clear(struct idx_column_out *o)
{
    buf_clear(&o->values);
    buf_clear(&o->present);
    o->starts.n = 0;
    o->n_present = 0;
}

void
idx_column_fini(struct idx_column_out *o)
{
    buf_fini(&o->values);
    buf_fini(&o->present);
    idx_u32s_fini(&o->starts);
}
