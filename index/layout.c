#include "index/layout.h"

#include "base/hash.h"

void
idx_layout_begin(struct idx_layout *l, struct buf *out)
{
    static const char zeroes[SEG_HEADER_N];
    *l = (struct idx_layout){.out = out, .start = out->n};
    buf_put(out, zeroes, sizeof zeroes);
}

/* How long the segment is by now. */
static size_t
length(const struct idx_layout *l)
{
    return l->out->n - l->start + l->n_apart;
}

void
idx_aparts_fini(struct idx_aparts *a)
{
    free(a->v);
    *a = (struct idx_aparts){0};
}

void
idx_layout_align(struct idx_layout *l, size_t alignment)
{
    static const char zeroes[SEG_ALIGN];
    size_t over = length(l) % alignment;
    if (over)
        buf_put(l->out, zeroes, alignment - over);
}

void
idx_layout_open(struct idx_layout *l)
{
    idx_layout_align(l, SEG_ALIGN);
    if (l->n_rows == l->cap_rows)
        l->rows = xgrow(l->rows, &l->cap_rows, l->n_rows + 1, sizeof *l->rows);
    l->rows[l->n_rows].offset = length(l);
}

void
idx_layout_put_apart(struct idx_layout *l, struct span bytes, bool is_mapped)
{
    struct idx_aparts *a = l->aparts;
    if (!a) {
        buf_put_span(l->out, bytes);
        return;
    }
    /* Whole units of the alignment only, so that what follows is aligned in out, too. */
    size_t n = bytes.n - bytes.n % SEG_ALIGN;
    a->v = xgrow(a->v, &a->cap, a->n + 1, sizeof a->v[0]);
    a->v[a->n++] = (struct idx_apart){l->out->n, span_of(bytes.p, n), is_mapped};
    l->n_apart += n;
    buf_put_span(l->out, span_from(bytes, n));
}

/* Of a section behind those that have bytes apart. */
static struct span
section_bytes(const struct idx_layout *l, const struct idx_row *r)
{
    must(r->offset >= l->n_apart);
    return span_of(l->out->p + l->start + (r->offset - l->n_apart), r->n_bytes);
}

void
idx_layout_close(struct idx_layout *l, struct idx_row row)
{
    row.offset = l->rows[l->n_rows].offset;
    row.n_bytes = length(l) - row.offset;
    /* Blocks of documents carry their own: see SEG_DOC_BLOCKS. */
    if (row.kind != SEG_DOC_BYTES)
        row.checksum = hash64(section_bytes(l, &row));
    l->rows[l->n_rows++] = row;
}

bool
idx_layout_find(const struct idx_layout *l, struct idx_row key, struct idx_section *view)
{
    for (size_t i = 0; i < l->n_rows; i++) {
        const struct idx_row *r = &l->rows[i];
        if (r->kind != key.kind || r->field != key.field)
            continue;
        if (r->kind >= SEG_DICT && r->sub != key.sub)
            continue;
        memset(view, 0, sizeof *view);
        view->bytes = section_bytes(l, r);
        view->field = r->field;
        view->n = r->n;
        view->extra = r->extra;
        view->flags = r->flags;
        view->kind = r->kind;
        view->sub = r->sub;
        atomic_init(&view->state, IDX_SECTION_GOOD);
        return true;
    }
    return false;
}

static void
put_row(struct buf *out, const struct idx_row *r)
{
    buf_putc(out, (char)r->kind);
    buf_putc(out, (char)r->sub);
    buf_put_u16(out, r->flags);
    buf_put_u32(out, r->field);
    buf_put_u32(out, r->n);
    buf_put_u32(out, r->extra);
    buf_put_u64(out, r->offset);
    buf_put_u64(out, r->n_bytes);
    buf_put_u64(out, r->checksum);
}

void
idx_layout_end(struct idx_layout *l, uint32_t n_docs, uint32_t n_fields, uint32_t flags)
{
    idx_layout_align(l, SEG_ALIGN);
    size_t table = length(l), table_at = l->out->n;
    for (size_t i = 0; i < l->n_rows; i++)
        put_row(l->out, &l->rows[i]);
    size_t n_bytes = length(l);

    struct buf header = {0};
    buf_puts(&header, SEG_MAGIC);
    buf_put_u32(&header, SEG_VERSION);
    buf_put_u32(&header, (uint32_t)l->n_rows);
    buf_put_u64(&header, n_bytes);
    buf_put_u64(&header, table);
    buf_put_u32(&header, n_docs);
    buf_put_u32(&header, n_fields);
    buf_put_u32(&header, flags);
    buf_put_u32(&header, 0);
    buf_put_u64(&header, 0);
    uint64_t sum = hash64(buf_span(&header));
    sum = hash64_more(sum, span_of(l->out->p + table_at, n_bytes - table));
    buf_put_u64(&header, sum);
    must(header.n == SEG_HEADER_N);
    memcpy(l->out->p + l->start, header.p, header.n);
    buf_fini(&header);
}

void
idx_layout_fini(struct idx_layout *l)
{
    free(l->rows);
    *l = (struct idx_layout){0};
}
