/*
 * Reading dictionaries. A lookup searches the heads of blocks (8 bytes each in
 * a flat array, so that few searches touch the terms), then goes through one
 * block without decoding it: what a term shares with its predecessor tells
 * how it compares to the key. The same heads lead over large subtrees.
 */
#include "index/terms.h"

bool
idx_dict_open(struct idx_dict *d, const struct idx_section *s)
{
    *d = (struct idx_dict){.n = s->n};
    if (s->flags & SEG_PACKED) {
        d->ulids = s->bytes.p;
        return s->bytes.n == (uint64_t)s->n * ULID_BYTES_N + SEG_SLACK;
    }
    size_t n_heads = ((size_t)s->n + SEG_BLOCK - 1) / SEG_BLOCK * sizeof(uint64_t);
    size_t n_lcp = ((size_t)s->n + SEG_SLACK + 7) / 8 * 8;
    if (s->bytes.n < n_heads + n_lcp)
        return false;
    d->heads = (const void *)s->bytes.p;
    d->lcp = (const void *)(s->bytes.p + n_heads);
    return idx_runs_open(&d->runs, span_from(s->bytes, n_heads + n_lcp), s->n,
                         s->flags & SEG_HAS_LONG);
}

uint64_t
idx_head_of(struct span term)
{
    unsigned char b[8] = {0};
    if (term.n)
        memcpy(b, term.p, term.n < 8 ? term.n : 8);
    return __builtin_bswap64(load_u64(b));
}

/* ---- packed ---- */

static uint32_t
seek_packed(const struct idx_dict *d, struct span key, bool *is_equal)
{
    /*
     * A key that is no ULID compares as text. All texts are 26 long, so it is
     * enough to compare with the written-out term.
     */
    unsigned char bytes[ULID_BYTES_N];
    bool is_ulid = ulid_read(key, bytes);
    char text[ULID_TEXT_N];
    uint32_t begin = 0, end = d->n;
    *is_equal = false;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        const char *p = d->ulids + (size_t)mid * ULID_BYTES_N;
        int c;
        if (is_ulid) {
            c = memcmp(p, bytes, sizeof bytes);
        } else {
            ulid_write((const void *)p, text);
            c = span_cmp(span_of(text, sizeof text), key);
        }
        if (c == 0) {
            *is_equal = true;
            return mid;
        }
        if (c < 0)
            begin = mid + 1;
        else
            end = mid;
    }
    return begin;
}

/* ---- front-coded ---- */

/* The last block whose first term is not behind key; 0 if there is none. */
static uint32_t
seek_block(const struct idx_dict *d, struct span key)
{
    uint64_t head = idx_head_of(key);
    uint32_t begin = 0, end = (d->n + SEG_BLOCK - 1) / SEG_BLOCK;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        bool is_behind = d->heads[mid] > head;
        if (d->heads[mid] == head) {
            uint32_t at = d->runs.offsets[mid];
            struct span term = idx_runs_take(&d->runs, mid * SEG_BLOCK, &at);
            is_behind = span_cmp(term, key) > 0;
        }
        if (is_behind)
            end = mid;
        else
            begin = mid + 1;
    }
    return begin ? begin - 1 : 0;
}

/* Leading bytes that a and b have in common. */
static size_t
common(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i])
        i++;
    return i;
}

/*
 * Goes through a block's terms, all but the first of which may be before or
 * behind key. match: leading bytes of key that the last term had, which was
 * before key; capped as lcp is.
 */
static uint32_t
seek_in_block(const struct idx_dict *d, uint32_t block, struct span key, bool *is_equal)
{
    uint32_t begin = block * SEG_BLOCK;
    uint32_t end = d->n - begin < SEG_BLOCK ? d->n : begin + SEG_BLOCK;
    uint32_t at = d->runs.offsets[block];
    size_t match = 0;
    for (uint32_t i = begin; i < end; i++) {
        struct span run = idx_runs_take(&d->runs, i, &at);
        size_t lcp = i == begin ? 0 : d->lcp[i];
        if (lcp > match)
            continue; /* still before key, where its predecessor left it */
        if (lcp < match)
            return i; /* leaves the common path earlier, upwards */
        struct span rest = span_from(key, match);
        size_t n = common(run, rest);
        if (n == rest.n) {
            *is_equal = run.n == n;
            return i;
        }
        if (n < run.n && (unsigned char)run.p[n] > (unsigned char)rest.p[n])
            return i;
        match = match + n < 255 ? match + n : 255;
    }
    return end;
}

uint32_t
idx_dict_seek(const struct idx_dict *d, struct span key, bool *is_equal)
{
    *is_equal = false;
    if (d->n == 0)
        return 0;
    if (d->ulids)
        return seek_packed(d, key, is_equal);
    return seek_in_block(d, seek_block(d, key), key, is_equal);
}

/* The first term from i on whose lcp is below depth, if there is one before `end`. */
static uint32_t
scan_lcp(const struct idx_dict *d, uint32_t i, uint32_t end, uint32_t depth)
{
#ifdef __SSE2__
    const __m128i most = _mm_set1_epi8((char)(depth - 1));
    for (; i < end; i += 16) {
        __m128i v = _mm_loadu_si128((const void *)(d->lcp + i));
        int low = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, most), v));
        if (low)
            return i + (uint32_t)__builtin_ctz((unsigned)low);
    }
#else
    while (i < end && d->lcp[i] >= depth)
        i++;
#endif
    return i;
}

uint32_t
idx_dict_gallop(const struct idx_dict *d, uint32_t block, uint64_t head)
{
    uint32_t n = (d->n + SEG_BLOCK - 1) / SEG_BLOCK, step = 1;
    uint32_t begin = block + 1, end = begin;

    while (end < n && d->heads[end] <= head) {
        begin = end + 1;
        end += step;
        step *= 2;
    }
    end = end < n ? end : n;
    while (begin < end) {
        uint32_t mid = begin + (end - begin) / 2;
        if (d->heads[mid] > head)
            end = mid;
        else
            begin = mid + 1;
    }
    return begin;
}

uint32_t
idx_dict_behind(const struct idx_dict *d, uint32_t ord, uint64_t head, uint32_t depth)
{
    uint32_t near = (ord / SEG_BLOCK + 2) * SEG_BLOCK;
    uint32_t i = scan_lcp(d, ord + 1, near < d->n ? near : d->n, depth);

    if (i < near || i >= d->n)
        return i < d->n ? i : d->n;
    if (depth <= sizeof(uint64_t)) {
        uint64_t rest = depth < sizeof(uint64_t) ? UINT64_MAX >> (8 * depth) : 0;
        uint32_t block = idx_dict_gallop(d, near / SEG_BLOCK - 1, head | rest) - 1;
        /* That block's first term still has the prefix. */
        i = block * SEG_BLOCK < near ? near : block * SEG_BLOCK + 1;
    }
    i = scan_lcp(d, i, d->n, depth);
    return i < d->n ? i : d->n;
}

uint32_t
idx_dict_sibling(const struct idx_dict *d, uint32_t ord, uint32_t depth)
{
    uint32_t i = scan_lcp(d, ord + 1, d->n, depth + 1);
    return i < d->n ? i : d->n;
}

/* ---- whole walks ---- */

void
idx_walk_init(struct idx_walk *w, const struct idx_dict *d)
{
    *w = (struct idx_walk){.dict = d, .ord = UINT32_MAX};
}

bool
idx_walk_next(struct idx_walk *w)
{
    const struct idx_dict *d = w->dict;
    uint32_t i = ++w->ord;
    if (i >= d->n)
        return false;
    if (d->ulids) {
        w->term.n = 0;
        buf_reserve(&w->term, ULID_TEXT_N);
        ulid_write((const void *)(d->ulids + (size_t)i * ULID_BYTES_N), w->term.p);
        w->term.n = ULID_TEXT_N;
        return true;
    }
    w->term.n = i % SEG_BLOCK ? d->lcp[i] : 0;
    buf_put_span(&w->term, idx_runs_take(&d->runs, i, &w->at));
    return true;
}

/* ---- public ---- */

uint32_t
idx_terms_n(const struct idx_terms *t)
{
    return t->dict.n;
}

bool
idx_terms_find(const struct idx_terms *t, struct span term, uint32_t *ord)
{
    bool is_equal;
    uint32_t i = idx_dict_seek(&t->dict, term, &is_equal);
    if (is_equal)
        *ord = i;
    return is_equal;
}

void
idx_terms_prefix(const struct idx_terms *t, struct span prefix, uint32_t *begin, uint32_t *end)
{
    bool is_equal;
    *begin = idx_dict_seek(&t->dict, prefix, &is_equal);
    *end = t->dict.n;
    /* The terms end before the least string that is behind all of them. */
    size_t n = prefix.n;
    while (n && (unsigned char)prefix.p[n - 1] == 0xff)
        n--;
    if (n == 0)
        return;
    struct buf next = {0};
    buf_put(&next, prefix.p, n);
    next.p[n - 1] = (char)((unsigned char)next.p[n - 1] + 1);
    *end = idx_dict_seek(&t->dict, buf_span(&next), &is_equal);
    buf_fini(&next);
}

uint32_t
idx_terms_behind(const struct idx_terms *t, uint32_t ord, struct span prefix)
{
    return idx_dict_behind(&t->dict, ord, idx_head_of(prefix),
                           prefix.n < 255 ? (uint32_t)prefix.n : 255);
}

void
idx_terms_get(const struct idx_terms *t, uint32_t ord, struct buf *out)
{
    const struct idx_dict *d = &t->dict;
    must(ord < d->n);
    if (d->ulids) {
        buf_reserve(out, ULID_TEXT_N);
        ulid_write((const void *)(d->ulids + (size_t)ord * ULID_BYTES_N), out->p + out->n);
        out->n += ULID_TEXT_N;
        return;
    }
    /* From the end: the leading bytes come from the nearest terms before that do not share them. */
    struct span run = idx_runs_get(&d->runs, ord);
    size_t need = ord % SEG_BLOCK ? d->lcp[ord] : 0;
    buf_reserve(out, need + run.n + 1); /* an empty term has an address, too */
    char *to = out->p + out->n;
    memcpy(to + need, run.p, run.n);
    out->n += need + run.n;
    while (need > 0) {
        size_t lcp = --ord % SEG_BLOCK ? d->lcp[ord] : 0;
        if (lcp >= need)
            continue;
        memcpy(to + lcp, idx_runs_get(&d->runs, ord).p, need - lcp);
        need = lcp;
    }
}

const unsigned char *
idx_terms_ulids(const struct idx_terms *t)
{
    return (const void *)t->dict.ulids;
}
