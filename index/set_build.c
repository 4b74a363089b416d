/* The only file that knows the roaring library: it writes bitmaps; set.c reads them in place. */
#include "index/set.h"

#include <roaring/roaring.h>

#include "index/runs.h"

/*
 * Without run containers: every container then has an offset and is an array
 * or a bitset, which is all that set.c reads.
 */
static void
put_bitmap(struct buf *out, const uint32_t *docs, size_t n)
{
    roaring_bitmap_t *r = roaring_bitmap_of_ptr(n, docs);
    must(r != NULL);
    size_t n_bytes = roaring_bitmap_portable_size_in_bytes(r);
    buf_reserve(out, n_bytes);
    out->n += roaring_bitmap_portable_serialize(r, out->p + out->n);
    roaring_bitmap_free(r);
}

void
idx_set_put(struct idx_set_out *o, const uint32_t *docs, size_t n)
{
    must(n > 0);
    if (n == 1) {
        idx_u32s_put(&o->entries, docs[0]);
        return;
    }
    buf_align(&o->records, 4);
    idx_u32s_put(&o->entries, SEG_ENTRY_RECORD | (uint32_t)(o->records.n / 4));
    buf_put_varint(&o->records, n);
    if (n >= SEG_LIST_MAX) {
        put_bitmap(&o->records, docs, n);
        return;
    }
    uint32_t last = 0;
    buf_reserve(&o->records, n * IDX_VARINT_MAX);
    for (size_t i = 0; i < n; i++) {
        idx_varint_put(&o->records, docs[i] - last);
        last = docs[i];
    }
}

enum rc
idx_set_write(const struct idx_set_out *o, struct idx_layout *l, struct idx_row row,
              struct err *err)
{
    static const char zeroes[SEG_SLACK];
    if (o->records.n / 4 >= SEG_ENTRY_RECORD)
        return err_set(err, RC_LIMIT, "the postings of field %u take more than 8 GB in one segment",
                       row.field);
    row.n = (uint32_t)o->entries.n;
    idx_layout_open(l);
    buf_put_span(l->out, idx_u32s_span(&o->entries));
    buf_put_span(l->out, buf_span(&o->records));
    buf_put(l->out, zeroes, SEG_SLACK);
    idx_layout_close(l, row);
    return RC_OK;
}

void
idx_set_clear(struct idx_set_out *o)
{
    o->entries.n = 0;
    buf_clear(&o->records);
}

void
idx_set_fini(struct idx_set_out *o)
{
    idx_u32s_fini(&o->entries);
    buf_fini(&o->records);
    *o = (struct idx_set_out){0};
}

bool
idx_set_bitmap_is_sound(struct span bytes, uint32_t n, uint32_t n_docs)
{
    roaring_bitmap_t *r = roaring_bitmap_portable_deserialize_safe(bytes.p, bytes.n);
    if (!r)
        return false;
    bool is_sound =
        roaring_bitmap_get_cardinality(r) == n && n > 0 && roaring_bitmap_maximum(r) < n_docs;
    roaring_bitmap_free(r);
    return is_sound;
}
