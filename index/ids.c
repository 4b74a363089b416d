/*
 * The table is open addressing with linear probing at a load of two thirds.
 * A slot has the document and, in the bits that are left, a part of the hash:
 * a lookup that fails reads one cache line and no id.
 */
#include "index/ids.h"

#include "base/hash.h"

/* ---- reading ---- */

bool
idx_ids_open(struct idx_ids *ids, const struct idx_section *s)
{
    ids->n = s->n;
    if (!(s->flags & SEG_PACKED))
        return idx_runs_open(&ids->runs, s->bytes, s->n, s->flags & SEG_HAS_LONG);
    ids->ulids = s->bytes.p;
    return s->bytes.n == (uint64_t)s->n * ULID_BYTES_N;
}

bool
idx_ids_open_table(struct idx_ids *ids, const struct idx_section *s)
{
    ids->slots = (const void *)s->bytes.p;
    ids->n_slots = s->n;
    ids->n_doc_bits = s->extra;
    return s->bytes.n == (uint64_t)s->n * sizeof(uint32_t) && s->extra < 32;
}

struct span
idx_ids_get(const struct idx_ids *ids, uint32_t doc, char *text)
{
    if (!ids->ulids)
        return idx_runs_get(&ids->runs, doc);
    ulid_write((const void *)(ids->ulids + (size_t)doc * ULID_BYTES_N), text);
    return span_of(text, ULID_TEXT_N);
}

/*
 * The same number for the same text in every segment, packed or not: ties are
 * compared between segments.
 */
struct idx_tie
idx_ids_tie(const struct idx_ids *ids, uint32_t doc)
{
    unsigned char b[16] = {0};
    char text[ULID_TEXT_N];
    struct span id = idx_ids_get(ids, doc, text);
    memcpy(b, id.p, id.n < sizeof b ? id.n : sizeof b);
    return (struct idx_tie){__builtin_bswap64(load_u64(b)), __builtin_bswap64(load_u64(b + 8))};
}

int
idx_ids_compare(const struct idx_ids *a, uint32_t a_doc, const struct idx_ids *b, uint32_t b_doc)
{
    char a_text[ULID_TEXT_N], b_text[ULID_TEXT_N];
    if (a->ulids && b->ulids)
        return memcmp(a->ulids + (size_t)a_doc * ULID_BYTES_N,
                      b->ulids + (size_t)b_doc * ULID_BYTES_N, ULID_BYTES_N);
    return span_cmp(idx_ids_get(a, a_doc, a_text), idx_ids_get(b, b_doc, b_text));
}

/* An id as it is stored. */
static struct span
stored(const struct idx_ids *ids, uint32_t doc)
{
    if (!ids->ulids)
        return idx_runs_get(&ids->runs, doc);
    return span_of(ids->ulids + (size_t)doc * ULID_BYTES_N, ULID_BYTES_N);
}

/* The slot of a stored id, or the empty one where it belongs. */
static uint32_t
find_slot(const struct idx_ids *ids, struct span id)
{
    uint64_t hash = hash64(id);
    uint32_t slot = (uint32_t)((hash >> 32) * ids->n_slots >> 32);
    uint32_t print = (uint32_t)hash >> ids->n_doc_bits;
    uint32_t mask = ((uint32_t)1 << ids->n_doc_bits) - 1;
    for (;; slot = slot + 1 < ids->n_slots ? slot + 1 : 0) {
        uint32_t v = ids->slots[slot];
        if (v == 0)
            return slot;
        if (v >> ids->n_doc_bits == print && span_eq(stored(ids, (v & mask) - 1), id))
            return slot;
    }
}

bool
idx_ids_find(const struct idx_ids *ids, struct span id, uint32_t *doc)
{
    unsigned char ulid[ULID_BYTES_N];
    if (ids->ulids) {
        if (!ulid_read(id, ulid))
            return false;
        id = span_of((const char *)ulid, sizeof ulid);
    }
    uint32_t v = ids->slots[find_slot(ids, id)];
    if (v == 0)
        return false;
    *doc = (v & (((uint32_t)1 << ids->n_doc_bits) - 1)) - 1;
    return true;
}

/* ---- writing ---- */

/* The first id that is no ULID: from here on all are kept as text. */
static void
unpack(struct idx_ids_out *o)
{
    char text[ULID_TEXT_N];
    o->has_other = true;
    for (size_t at = 0; at < o->ulids.n; at += ULID_BYTES_N) {
        ulid_write((const void *)(o->ulids.p + at), text);
        idx_runs_put(&o->runs, span_of(text, sizeof text));
    }
    buf_clear(&o->ulids);
}

void
idx_ids_put(struct idx_ids_out *o, struct span id)
{
    unsigned char ulid[ULID_BYTES_N];
    must(id.n > 0 && id.n <= IDX_ID_MAX);
    o->n++;
    if (!o->has_other && ulid_read(id, ulid)) {
        buf_put(&o->ulids, ulid, sizeof ulid);
        return;
    }
    if (!o->has_other)
        unpack(o);
    idx_runs_put(&o->runs, id);
}

static void
write_table(struct idx_layout *l, struct idx_ids *ids)
{
    ids->n_doc_bits = 1;
    while (ids->n >> ids->n_doc_bits)
        ids->n_doc_bits++;
    ids->n_slots = ids->n + ids->n / 2 + 1;
    uint32_t mask = ((uint32_t)1 << ids->n_doc_bits) - 1;
    uint32_t *slots = xcalloc(ids->n_slots, sizeof *slots);
    ids->slots = slots;
    for (uint32_t doc = 0; doc < ids->n; doc++) {
        struct span id = stored(ids, doc);
        uint32_t slot = find_slot(ids, id); /* of an older one of that id: the newer replaces it */
        slots[slot] = ((uint32_t)hash64(id) & ~mask) | (doc + 1);
    }
    struct idx_row row = {
        .kind = SEG_ID_TABLE, .field = UINT32_MAX, .n = ids->n_slots, .extra = ids->n_doc_bits};
    idx_layout_open(l);
    buf_put(l->out, slots, ids->n_slots * sizeof *slots);
    idx_layout_close(l, row);
    free(slots);
}

enum rc
idx_ids_write(const struct idx_ids_out *o, struct idx_layout *l, struct err *err)
{
    if (o->runs.is_over)
        return err_set(err, RC_LIMIT, "the ids take more than 4 GB in one segment");
    struct idx_row row = {.kind = SEG_IDS, .field = UINT32_MAX, .n = o->n};
    idx_layout_open(l);
    if (o->has_other) {
        row.flags = o->runs.has_long ? SEG_HAS_LONG : 0;
        idx_runs_write(&o->runs, l->out);
    } else {
        row.flags = SEG_PACKED;
        buf_put_span(l->out, buf_span(&o->ulids));
    }
    idx_layout_close(l, row);

    /* The table is made over the bytes just written, before more is appended. */
    struct idx_section view;
    struct idx_ids ids = {0};
    bool is_there = idx_layout_find(l, row, &view);
    must(is_there && idx_ids_open(&ids, &view));
    write_table(l, &ids);
    return RC_OK;
}

void
idx_ids_clear(struct idx_ids_out *o)
{
    buf_clear(&o->ulids);
    idx_runs_clear(&o->runs);
    o->n = 0;
    o->has_other = false;
}

void
idx_ids_fini(struct idx_ids_out *o)
{
    buf_fini(&o->ulids);
    idx_runs_fini(&o->runs);
    *o = (struct idx_ids_out){0};
}
