#include "index/gaps.h"

#include "base/ulid.h"

#include "index/parts.h"

void
idx_stored_put(const struct idx_doc *doc, struct buf *out)
{
    must(doc->n_gaps <= IDX_GAPS_MAX);
    if (doc->n_gaps > 0)
        buf_put_varint(out, doc->n_gaps);
    for (uint32_t i = 0; i < doc->n_gaps; i++) {
        const struct idx_gap *gap = &doc->gaps[i];
        must(gap->at <= doc->json.n && (i == 0 || gap->at >= gap[-1].at));
        must(doc->values[gap->field].is_ulids && doc->values[gap->field].n > 0);
        buf_put_varint(out, gap->at);
        buf_put_varint(out, gap->field);
    }
    buf_put_span(out, doc->json);
}

/* ---- filling ---- */

/* As ["01...","01..."]: terms that stand in gaps are ULIDs, also where others are not. */
static bool
put_values(const struct idx_terms *t, const uint32_t *ords, uint32_t n, struct buf *out)
{
    const unsigned char *ulids = idx_terms_ulids(t);
    size_t n_before = out->n;
    buf_reserve(out, (size_t)n * (ULID_TEXT_N + 3) + 2);
    for (uint32_t i = 0; i < n; i++) {
        if (ords[i] == IDX_ELEMENT_END)
            continue;
        if (ords[i] >= idx_terms_n(t))
            return false;
        buf_putc(out, out->n == n_before ? '[' : ',');
        buf_putc(out, '"');
        if (ulids) {
            ulid_write(ulids + (size_t)ords[i] * ULID_BYTES_N, out->p + out->n);
            out->n += ULID_TEXT_N;
        } else {
            idx_terms_get(t, ords[i], out);
        }
        buf_putc(out, '"');
    }
    buf_putc(out, ']');
    return out->n > n_before + 1;
}

static bool
fill_gap(const struct idx_segment *s, uint32_t doc, uint32_t field, struct idx_u32s *ords,
         struct buf *out)
{
    const struct idx_terms *t = idx_segment_terms(s, field, IDX_VALUE);
    if (!t)
        return false;
    uint32_t n = idx_forward(t, doc, ords->p, (uint32_t)ords->cap);
    if (n > ords->cap) {
        idx_u32s_reserve(ords, n);
        n = idx_forward(t, doc, ords->p, (uint32_t)ords->cap);
    }
    return put_values(t, ords->p, n, out);
}

bool
idx_stored_fill(const struct idx_segment *s, uint32_t doc, struct span stored,
                struct idx_u32s *ords, struct buf *out)
{
    struct bytes r = bytes_of(stored);
    struct idx_gap gaps[IDX_GAPS_MAX];
    uint64_t n = bytes_varint(&r), at = 0;
    if (n == 0 || n > IDX_GAPS_MAX)
        return false;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t place = bytes_varint(&r), field = bytes_varint(&r);
        if (place > stored.n || field >= s->n_fields)
            return false;
        gaps[i] = (struct idx_gap){(uint32_t)place, (uint32_t)field};
    }
    struct span text = bytes_take(&r, bytes_left(&r));
    for (uint64_t i = 0; i < n; i++) {
        if (r.bad || gaps[i].at < at || gaps[i].at > text.n)
            return false;
        buf_put(out, text.p + at, gaps[i].at - at);
        at = gaps[i].at;
        if (!fill_gap(s, doc, gaps[i].field, ords, out))
            return false;
    }
    buf_put_span(out, span_from(text, at));
    return true;
}
