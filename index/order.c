/*
 * Documents are brought into the order of their ties once; a stable radix
 * sort by value then leaves equal values in that order.
 */
#include "index/order.h"

#include "base/bytes.h"

#include "index/column.h"
#include "index/ids.h"
#include "index/keyed.h"

/* ---- ties ---- */

struct ties {
    struct idx_ids ids;
    const char *seq; /* SCH_TIE_SEQ; NULL: by id */
};

/* Negative if a comes before b in rising order: as idx_tie_before, backwards. */
static int
compare_ties(const void *x, const void *y, void *arg)
{
    const struct ties *t = arg;
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    if (t->seq) {
        uint64_t p = load_u64(t->seq + (size_t)a * sizeof p);
        uint64_t q = load_u64(t->seq + (size_t)b * sizeof q);
        if (p != q)
            return p < q ? -1 : 1;
    }
    return idx_ids_compare(&t->ids, a, &t->ids, b);
}

/* All documents by rising tie. The caller frees. */
static uint32_t *
docs_by_tie(const struct idx_layout *l, enum sch_tie tie, uint32_t n_docs)
{
    struct ties ties = {0};
    struct idx_section view;
    bool is_there =
        idx_layout_find(l, (struct idx_row){.kind = SEG_IDS, .field = UINT32_MAX}, &view);
    must(is_there && idx_ids_open(&ties.ids, &view));
    if (tie == SCH_TIE_SEQ &&
        idx_layout_find(l, (struct idx_row){.kind = SEG_SEQ, .field = UINT32_MAX}, &view))
        ties.seq = view.bytes.p;

    uint32_t *docs = xmalloc(n_docs * sizeof *docs);
    bool is_sorted = true;
    for (uint32_t i = 0; i < n_docs; i++) {
        docs[i] = i;
        if (is_sorted && i && compare_ties(&docs[i - 1], &docs[i], &ties) > 0)
            is_sorted = false;
    }
    if (!is_sorted)
        qsort_r(docs, n_docs, sizeof *docs, compare_ties, &ties);
    return docs;
}

/* ---- keys: unsigned numbers that rise as the values do ---- */

static uint64_t
float_key(float v)
{
    uint32_t bits;
    if (v == 0)
        v = 0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static uint64_t
column_key(const struct idx_column *c, uint32_t doc)
{
    switch (c->type) {
    case SCH_INT32:
        return (uint64_t)((int64_t)c->i32[doc] - INT32_MIN);
    case SCH_INT64:
        return (uint64_t)c->i64[doc] ^ (uint64_t)1 << 63;
    case SCH_FLOAT:
        return float_key(c->f32[doc]);
    case SCH_BOOL:
    case SCH_STRING:
    case SCH_TYPE_N:
        break;
    }
    return c->b8[doc];
}

/* The items of the documents that have a value, in the order of docs; how many. */
static uint32_t
column_items(const struct idx_section *s, const uint32_t *docs, uint32_t n_docs,
             struct idx_keyed *items)
{
    struct idx_column c;
    bool is_sound = idx_column_open(&c, s, n_docs);
    must(is_sound);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_docs; i++) {
        uint32_t doc = docs[i];
        if (c.present && !(c.present[doc / 64] >> (doc % 64) & 1))
            continue;
        items[n++] = (struct idx_keyed){column_key(&c, doc), doc};
    }
    return n;
}

static uint32_t
sort_key_items(const struct idx_section *s, const uint32_t *docs, uint32_t n_docs,
               struct idx_keyed *items)
{
    uint32_t n = 0, width = s->extra;
    for (uint32_t i = 0; i < n_docs; i++) {
        uint32_t v = load_u32(s->bytes.p + (size_t)docs[i] * width);
        v &= UINT32_MAX >> (32 - 8 * width);
        if (v)
            items[n++] = (struct idx_keyed){v, docs[i]};
    }
    return n;
}

void
idx_orders_write(struct idx_layout *l, const struct sch_collection *schema, uint32_t n_docs)
{
    uint32_t *docs = NULL;
    struct idx_keyed *items = NULL;
    for (uint32_t field = 0; field < schema->n_fields; field++) {
        const struct sch_field *f = &schema->fields[field];
        struct idx_row column = {.kind = SEG_COLUMN, .field = field};
        struct idx_row lists = {.kind = SEG_FORWARD, .sub = IDX_SORT, .field = field};
        struct idx_section view;
        if (!(f->flags & SCH_ORDER) || f->flags & SCH_ARRAY)
            continue;
        if (!idx_layout_find(l, f->type == SCH_STRING ? lists : column, &view))
            continue;
        if (!docs) {
            docs = docs_by_tie(l, schema->tie, n_docs);
            items = xmalloc((size_t)2 * n_docs * sizeof *items);
        }
        uint32_t n = f->type == SCH_STRING ? sort_key_items(&view, docs, n_docs, items)
                                           : column_items(&view, docs, n_docs, items);
        const struct idx_keyed *sorted = idx_keyed_sort(items, items + n_docs, n);
        idx_layout_open(l);
        for (uint32_t i = 0; i < n; i++)
            buf_put_u32(l->out, sorted[i].number);
        idx_layout_close(l, (struct idx_row){.kind = SEG_ORDER, .field = field, .n = n});
    }
    free(items);
    free(docs);
}
