/*
 * Damaged bytes: a segment is refused when it is opened, or a read says that
 * it is corrupt, or every answer is the right one. Never a crash (the tests
 * run under sanitizers) and never a wrong answer that nobody is told of.
 */
#include "index/segment.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/hash.h"

#include "tests/index/corpus.h"

/* ---- a digest of every answer ---- */

static void
digest_terms(const struct idx_terms *t, uint32_t n_docs, bool has_postings, struct buf *out)
{
    uint32_t list[512], batch[IDX_POSTING_BATCH], n, begin, end;
    uint64_t words[32] = {0};
    struct buf term = {0};
    for (uint32_t ord = 0; ord < idx_terms_n(t); ord++) {
        buf_clear(&term);
        idx_terms_get(t, ord, &term);
        buf_put_bytes(out, buf_span(&term));
        buf_putc(out, idx_terms_find(t, buf_span(&term), &n));
        idx_terms_prefix(t, span_of(term.p, term.n < 2 ? term.n : 2), &begin, &end);
        buf_put_u32(out, end - begin);
        if (!has_postings)
            continue;
        struct idx_posting p;
        buf_put_u32(out, idx_terms_df(t, ord));
        buf_putc(out, idx_terms_has(t, ord, n_docs / 2));
        idx_posting_begin(&p, t, ord);
        while ((n = idx_posting_next(&p, batch)) > 0)
            buf_put(out, batch, n * sizeof *batch);
    }
    if (has_postings) {
        idx_terms_or(t, 0, idx_terms_n(t), words);
        buf_put(out, words, sizeof words);
    }
    for (uint32_t doc = 0; doc < n_docs; doc++) {
        n = idx_forward(t, doc, list, ARRAY_SIZE(list));
        buf_put_u32(out, n);
        buf_put(out, list, (n < ARRAY_SIZE(list) ? n : ARRAY_SIZE(list)) * sizeof *list);
    }
    buf_fini(&term);
}

static void
digest_cursor(const struct idx_terms *t, struct buf *out)
{
    struct idx_cursor c;
    idx_cursor_init(&c, t);
    for (bool more = idx_cursor_next(&c); more;) {
        buf_put_bytes(out, span_of(c.term, c.n));
        more = c.ord % 3 ? idx_cursor_skip(&c, 1 + c.n / 2) : idx_cursor_next(&c);
    }
}

static void
digest_field(const struct idx_segment *s, uint32_t field, struct buf *out)
{
    uint32_t n, n_docs = idx_segment_n_docs(s);
    struct idx_column c;
    for (int kind = 0; kind < IDX_TERMS_KIND_N; kind++) {
        const struct idx_terms *t = idx_segment_terms(s, field, (enum idx_terms_kind)kind);
        if (t)
            digest_terms(t, n_docs, kind != IDX_SORT, out);
        if (t && kind == IDX_TEXT)
            digest_cursor(t, out);
    }
    if (idx_segment_column(s, field, &c)) {
        size_t width = c.type == SCH_INT64 ? 8 : c.type == SCH_BOOL ? 1 : 4;
        const void *values = c.i32   ? (const void *)c.i32
                             : c.i64 ? (const void *)c.i64
                             : c.f32 ? (const void *)c.f32
                                     : (const void *)c.b8;
        buf_put(out, values, c.n_values * width);
        if (c.present)
            buf_put(out, c.present, ((size_t)n_docs + 63) / 64 * 8);
        if (c.offsets)
            buf_put(out, c.offsets, ((size_t)n_docs + 1) * 4);
    }
    const uint32_t *order = idx_segment_order(s, field, &n);
    if (order)
        buf_put(out, order, n * sizeof *order);
}

/* Every answer that the segment gives; is_refused: one was an error. */
static uint64_t
digest(const struct idx_segment *s, const struct corpus *c, bool *is_refused)
{
    struct buf out = {0};
    struct idx_doc_reader *r = idx_doc_reader_new();
    char text[IDX_ID_MAX];
    *is_refused = false;
    for (uint32_t doc = 0; doc < idx_segment_n_docs(s); doc++) {
        struct span json = {0};
        uint32_t found = 0;
        buf_put_bytes(&out, idx_segment_id(s, doc, text));
        buf_putc(&out, idx_segment_find_id(s, c->docs[doc].id, &found));
        buf_put_u32(&out, found);
        buf_put_u64(&out, idx_segment_tie(s, doc).hi);
        if (idx_doc_reader_get(r, s, doc, &json, NULL) != RC_OK)
            *is_refused = true;
        else
            buf_put_bytes(&out, json);
    }
    for (uint32_t field = 0; field < CORPUS_FIELD_N; field++)
        digest_field(s, field, &out);
    uint64_t sum = hash64(buf_span(&out));
    buf_fini(&out);
    idx_doc_reader_free(r);
    return sum;
}

/* ---- damage ---- */

struct tally {
    unsigned refused_open, told, unchanged;
};

static void
try_bytes(const struct corpus *c, struct span bytes, uint64_t want, struct tally *tally)
{
    struct buf copy = {0};
    struct idx_segment *s = NULL;
    struct err err = {0};
    bool is_refused;
    buf_put_span(&copy, bytes);
    enum rc rc = idx_segment_open_ram(&copy, &c->schema, &s, &err);
    assert_null(copy.p);
    if (rc != RC_OK) {
        assert_int_equal(rc, RC_CORRUPT);
        assert_true(err.text[0] != '\0');
        tally->refused_open++;
        return;
    }
    uint64_t got = digest(s, c, &is_refused);
    if (is_refused || idx_segment_is_corrupt(s)) {
        assert_true(idx_segment_is_corrupt(s));
        assert_int_equal(idx_segment_verify(s, NULL, NULL), RC_CORRUPT);
        tally->told++;
    } else {
        assert_true(got == want);
        tally->unchanged++;
    }
    idx_segment_free(s);
}

static void
check_damage(struct rng *rng, enum corpus_ids ids, enum sch_tie tie, bool is_compressed)
{
    struct corpus c;
    struct tally tally = {0};
    bool is_refused;
    uint32_t which[40];
    for (uint32_t i = 0; i < 40; i++)
        which[i] = i;
    corpus_init(&c, rng, 40, ids, tie);
    struct buf bytes = corpus_bytes(&c, which, 40, is_compressed);
    struct idx_segment *s = corpus_segment(&c, 0, 40, is_compressed);
    uint64_t want = digest(s, &c, &is_refused);
    assert_false(is_refused);
    idx_segment_free(s);

    /* Every bit of the header, others here and there: about 1500 in all. */
    size_t step = bytes.n / 1000 + 1;
    for (size_t i = 0; i < bytes.n; i += i < 64 ? 1 : 1 + rng_below(rng, 2 * step)) {
        for (int bit = i < 64 ? 0 : 7; bit < 8; bit++) {
            char flip = (char)(1 << (i < 64 ? (unsigned)bit : rng_below(rng, 8)));
            bytes.p[i] ^= flip;
            try_bytes(&c, buf_span(&bytes), want, &tally);
            bytes.p[i] ^= flip;
        }
    }
    assert_true(tally.refused_open >= 64 * 8);
    assert_true(tally.told > 100);
    /* Only padding between sections may change without being noticed. */
    assert_true(tally.unchanged < tally.told);

    struct tally cut = {0};
    for (size_t n = 0; n < bytes.n; n += 1 + rng_below(rng, bytes.n / 200 + 1))
        try_bytes(&c, span_of(bytes.p, n), want, &cut);
    try_bytes(&c, span_of(bytes.p, bytes.n - 1), want, &cut);
    buf_putc(&bytes, 0);
    try_bytes(&c, buf_span(&bytes), want, &cut);
    assert_int_equal(cut.told + cut.unchanged, 0);
    buf_fini(&bytes);
    corpus_fini(&c);
}

static void
test_flips_and_cuts(void **state)
{
    struct rng rng = rng_new();
    (void)state;
    check_damage(&rng, CORPUS_ULIDS, SCH_TIE_ID, true);
    check_damage(&rng, CORPUS_TEXT_IDS, SCH_TIE_SEQ, false);
}

/* A merge of damaged input is refused and leaves the output alone. */
static void
test_merge_refuses(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    uint32_t which[40], new_doc[40], n_refused = 0;
    uint64_t live = ((uint64_t)1 << 40) - 1;
    (void)state;
    for (uint32_t i = 0; i < 40; i++)
        which[i] = i;
    corpus_init(&c, &rng, 40, CORPUS_ULIDS, SCH_TIE_ID);
    struct buf good = corpus_bytes(&c, which, 40, true), want = {0};
    for (int round = 0; round < 100; round++) {
        struct buf bytes = {0}, out = {0};
        struct idx_segment *s;
        buf_put_span(&bytes, buf_span(&good));
        if (round)
            bytes.p[rng_below(&rng, bytes.n)] ^= 16;
        if (idx_segment_open_ram(&bytes, &c.schema, &s, NULL) != RC_OK)
            continue;
        struct idx_merge_input in = {s, &live, 40, new_doc};
        enum rc rc = idx_segment_merge(&in, 1, &c.schema, NULL, &out, NULL);
        if (round == 0)
            buf_put_span(&want, buf_span(&out));
        assert_true(rc == RC_OK || rc == RC_CORRUPT);
        n_refused += rc != RC_OK;
        assert_true(span_eq(buf_span(&out), rc == RC_OK ? buf_span(&want) : (struct span){0}));
        buf_fini(&out);
        idx_segment_free(s);
    }
    assert_true(n_refused > 20);
    buf_fini(&good);
    buf_fini(&want);
    corpus_fini(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips_and_cuts),
        cmocka_unit_test(test_merge_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
