/*
 * Reading postings in place: no heap, no state between calls, so any number of
 * threads share mapped pages. Bitmaps are read as the roaring format's
 * specification lays them out (github.com/RoaringBitmap/RoaringFormatSpec):
 * cookie, container count, (key, cardinality - 1) pairs, offsets, containers;
 * a container of up to 4096 is a sorted array of 16-bit numbers, a larger one
 * 1024 words of bits.
 */
#include "index/set.h"

#include "index/terms.h"

enum { ARRAY_MAX = 4096, CONTAINER_WORDS = 1024 };

bool
idx_postings_open(struct idx_terms *t, struct idx_section *s)
{
    t->postings = s;
    size_t n_entries = (size_t)s->n * sizeof(uint32_t);
    if (s->bytes.n < n_entries + SEG_SLACK)
        return false;
    t->entries = (const void *)s->bytes.p;
    t->records = (const void *)(s->bytes.p + n_entries);
    return true;
}

static inline uint32_t
load_u16(const unsigned char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t
is_set(const uint64_t *words, uint32_t doc)
{
    return (uint32_t)(words[doc / 64] >> (doc % 64)) & 1;
}

/* ---- bitmaps ---- */

struct container {
    uint32_t high; /* bits 16.. of its documents */
    uint32_t n;
    const unsigned char *p;
};

static inline uint32_t
bitmap_n(const unsigned char *bitmap)
{
    return load_u32(bitmap + 4);
}

static inline struct container
bitmap_at(const unsigned char *bitmap, uint32_t i)
{
    const unsigned char *pair = bitmap + 8 + (size_t)4 * i;
    uint32_t offset = load_u32(bitmap + 8 + (size_t)4 * bitmap_n(bitmap) + (size_t)4 * i);
    return (struct container){load_u16(pair) << 16, load_u16(pair + 2) + 1, bitmap + offset};
}

static bool
container_has(struct container c, uint32_t low)
{
    if (c.n > ARRAY_MAX)
        return load_u64(c.p + low / 64 * 8) >> (low % 64) & 1;
    uint32_t begin = 0, end = c.n;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        if (load_u16(c.p + (size_t)2 * mid) < low)
            begin = mid + 1;
        else
            end = mid;
    }
    return begin < c.n && load_u16(c.p + (size_t)2 * begin) == low;
}

static bool
bitmap_has(const unsigned char *bitmap, uint32_t doc)
{
    uint32_t begin = 0, end = bitmap_n(bitmap), high = doc & 0xffff0000u;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        struct container c = bitmap_at(bitmap, mid);
        if (c.high == high)
            return container_has(c, doc & 0xffff);
        if (c.high < high)
            begin = mid + 1;
        else
            end = mid;
    }
    return false;
}

static void
container_or(struct container c, uint64_t *words, uint32_t n_docs)
{
    if (c.n <= ARRAY_MAX) {
        for (uint32_t i = 0; i < c.n; i++) {
            uint32_t doc = c.high | load_u16(c.p + (size_t)2 * i);
            words[doc / 64] |= (uint64_t)1 << (doc % 64);
        }
        return;
    }
    /* The last container's words may go on behind the documents' words. */
    uint32_t first = c.high / 64, n = (n_docs + 63) / 64 - first;
    if (n > CONTAINER_WORDS)
        n = CONTAINER_WORDS;
    for (uint32_t i = 0; i < n; i++)
        words[first + i] |= load_u64(c.p + (size_t)8 * i);
}

static uint32_t
container_count(struct container c, const uint64_t *words, uint32_t n_docs)
{
    uint32_t count = 0;
    if (c.n <= ARRAY_MAX) {
        for (uint32_t i = 0; i < c.n; i++) {
            uint32_t doc = c.high | load_u16(c.p + (size_t)2 * i);
            count += is_set(words, doc);
        }
        return count;
    }
    uint32_t first = c.high / 64, n = (n_docs + 63) / 64 - first;
    if (n > CONTAINER_WORDS)
        n = CONTAINER_WORDS;
    for (uint32_t i = 0; i < n; i++)
        count += (uint32_t)__builtin_popcountll(words[first + i] & load_u64(c.p + (size_t)8 * i));
    return count;
}

/* ---- one term ---- */

uint32_t
idx_terms_df(const struct idx_terms *t, uint32_t ord)
{
    if (!idx_section_good(t->postings))
        return 0;
    uint32_t entry = t->entries[ord];
    if (!(entry & SEG_ENTRY_RECORD))
        return 1;
    const unsigned char *p = t->records + (size_t)4 * (entry & ~SEG_ENTRY_RECORD);
    return idx_varint(&p);
}

/*
 * at: the next varint of a list, or the bitmap; state: the bitmap or NULL;
 * left: documents to come; word: the last document of a list (or the only
 * one), for a bitmap the container in the upper half and where in it below.
 */
void
idx_posting_begin(struct idx_posting *p, const struct idx_terms *t, uint32_t ord)
{
    *p = (struct idx_posting){0};
    if (!idx_section_good(t->postings))
        return;
    uint32_t entry = t->entries[ord];
    if (!(entry & SEG_ENTRY_RECORD)) {
        p->left = 1;
        p->word = entry;
        return;
    }
    const unsigned char *at = t->records + (size_t)4 * (entry & ~SEG_ENTRY_RECORD);
    p->left = idx_varint(&at);
    p->at = at;
    if (p->left >= SEG_LIST_MAX)
        p->state = at;
}

/* Documents of the container from place *at on; at most room. */
static uint32_t
container_read(struct container c, uint32_t *at, uint32_t *out, uint32_t room)
{
    uint32_t n = 0;
    if (c.n <= ARRAY_MAX) {
        for (; n < room && *at < c.n; ++*at)
            out[n++] = c.high | load_u16(c.p + (size_t)2 * *at);
        return n;
    }
    for (uint32_t w = *at / 64; w < CONTAINER_WORDS; w++) {
        uint64_t word = load_u64(c.p + (size_t)8 * w);
        if (w == *at / 64)
            word &= UINT64_MAX << (*at % 64);
        for (; word; word &= word - 1) {
            uint32_t low = w * 64 + (uint32_t)__builtin_ctzll(word);
            if (n == room) {
                *at = low;
                return n;
            }
            out[n++] = c.high | low;
        }
    }
    *at = CONTAINER_WORDS * 64;
    return n;
}

static uint32_t
bitmap_next(struct idx_posting *p, uint32_t *out)
{
    const unsigned char *bitmap = p->state;
    uint32_t i = (uint32_t)(p->word >> 32), at = (uint32_t)p->word, n = 0;
    uint32_t want = p->left < IDX_POSTING_BATCH ? (uint32_t)p->left : IDX_POSTING_BATCH;
    for (;;) {
        n += container_read(bitmap_at(bitmap, i), &at, out + n, want - n);
        if (n == want)
            break;
        i++;
        at = 0;
    }
    p->left -= n;
    p->word = (uint64_t)i << 32 | at;
    return n;
}

uint32_t
idx_posting_next(struct idx_posting *p, uint32_t out[IDX_POSTING_BATCH])
{
    if (p->left == 0)
        return 0;
    if (p->state)
        return bitmap_next(p, out);
    uint32_t n = 0, doc = (uint32_t)p->word;
    if (!p->at) {
        p->left = 0;
        out[0] = doc;
        return 1;
    }
    const unsigned char *at = p->at;
    for (; n < IDX_POSTING_BATCH && p->left; p->left--) {
        doc += idx_varint(&at);
        out[n++] = doc;
    }
    p->at = at;
    p->word = doc;
    return n;
}

bool
idx_terms_has(const struct idx_terms *t, uint32_t ord, uint32_t doc)
{
    if (!idx_section_good(t->postings))
        return false;
    uint32_t entry = t->entries[ord];
    if (!(entry & SEG_ENTRY_RECORD))
        return entry == doc;
    const unsigned char *p = t->records + (size_t)4 * (entry & ~SEG_ENTRY_RECORD);
    uint32_t n = idx_varint(&p);
    if (n >= SEG_LIST_MAX)
        return bitmap_has(p, doc);
    uint32_t at = 0;
    for (; n; n--) {
        at += idx_varint(&p);
        if (at >= doc)
            return at == doc;
    }
    return false;
}

/* ---- against words ---- */

static void
record_or(const struct idx_terms *t, const unsigned char *p, uint64_t *words)
{
    uint32_t n = idx_varint(&p), doc = 0;
    if (n >= SEG_LIST_MAX) {
        for (uint32_t i = 0; i < bitmap_n(p); i++)
            container_or(bitmap_at(p, i), words, t->n_docs);
        return;
    }
    for (; n; n--) {
        doc += idx_varint(&p);
        words[doc / 64] |= (uint64_t)1 << (doc % 64);
    }
}

void
idx_terms_or(const struct idx_terms *t, uint32_t begin, uint32_t end, uint64_t *words)
{
    if (begin >= end || !idx_section_good(t->postings))
        return;
    for (uint32_t ord = begin; ord < end; ord++) {
        uint32_t entry = t->entries[ord];
        if (entry & SEG_ENTRY_RECORD)
            record_or(t, t->records + (size_t)4 * (entry & ~SEG_ENTRY_RECORD), words);
        else
            words[entry / 64] |= (uint64_t)1 << (entry % 64);
    }
}

uint32_t
idx_terms_count(const struct idx_terms *t, uint32_t ord, const uint64_t *words)
{
    if (!idx_section_good(t->postings))
        return 0;
    uint32_t entry = t->entries[ord];
    if (!(entry & SEG_ENTRY_RECORD))
        return is_set(words, entry);
    const unsigned char *p = t->records + (size_t)4 * (entry & ~SEG_ENTRY_RECORD);
    uint32_t n = idx_varint(&p), doc = 0, count = 0;
    if (n >= SEG_LIST_MAX) {
        for (uint32_t i = 0; i < bitmap_n(p); i++)
            count += container_count(bitmap_at(p, i), words, t->n_docs);
        return count;
    }
    for (; n; n--) {
        doc += idx_varint(&p);
        count += is_set(words, doc);
    }
    return count;
}
