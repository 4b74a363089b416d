/* Stored documents: blocks of every size, read in any order, and what damage to them does. */
#include "index/docs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "index/parts.h"
#include "tests/index/corpus.h"

enum { N_DOCS = 400 };

struct rig {
    struct arena arena;
    struct sch_collection schema;
    struct span docs[N_DOCS];
    struct idx_segment *segment;
    struct idx_doc_reader *reader;
};

/* Documents from nothing to many blocks long; some that no compressor makes smaller. */
static struct span
random_json(struct arena *a, struct rng *rng)
{
    static const size_t sizes[] = {0, 1, 100, 500, 16383, 16384, 16385, 100000};
    size_t n = sizes[rng_below(rng, rng_below(rng, 10) ? 4 : 8)];
    bool is_noise = rng_below(rng, 2);
    char *p = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(is_noise ? rng_below(rng, 256) : 'a' + i % 7);
    return span_of(p, n);
}

static struct buf
rig_bytes(struct rig *r, bool is_compressed)
{
    struct idx_builder *b = idx_builder_new(&r->schema, is_compressed);
    struct buf bytes = {0};
    char id[16];
    for (uint32_t i = 0; i < N_DOCS; i++) {
        int n = snprintf(id, sizeof id, "%u", i);
        struct idx_doc doc = {.id = span_of(id, (size_t)n), .json = r->docs[i]};
        (void)idx_builder_add(b, &doc);
    }
    assert_int_equal(idx_builder_finish(b, &bytes, NULL), RC_OK);
    idx_builder_free(b);
    return bytes;
}

static void
rig_init(struct rig *r, struct rng *rng, bool is_compressed)
{
    *r = (struct rig){.schema = {.tie = SCH_TIE_ID, .default_sort = -1}};
    for (uint32_t i = 0; i < N_DOCS; i++)
        r->docs[i] = random_json(&r->arena, rng);
    struct buf bytes = rig_bytes(r, is_compressed);
    r->segment = segment_of(&bytes, &r->schema);
    r->reader = idx_doc_reader_new();
}

static void
rig_fini(struct rig *r)
{
    idx_doc_reader_free(r->reader);
    idx_segment_free(r->segment);
    arena_fini(&r->arena);
}

static void
check_doc(struct rig *r, uint32_t doc)
{
    struct span json;
    assert_int_equal(idx_doc_reader_get(r->reader, r->segment, doc, &json, NULL), RC_OK);
    assert_true(span_eq(json, r->docs[doc]));
}

static void
test_read(void **state)
{
    struct rng rng = rng_new();
    (void)state;
    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        struct rig r;
        rig_init(&r, &rng, is_compressed);
        for (uint32_t i = 0; i < N_DOCS; i++)
            check_doc(&r, i);
        for (uint32_t i = N_DOCS; i-- > 0;)
            check_doc(&r, i);
        for (uint32_t i = 0; i < 2 * N_DOCS; i++)
            check_doc(&r, (uint32_t)rng_below(&rng, N_DOCS));
        segment_check(r.segment);
        rig_fini(&r);
    }
}

/* One reader over several segments, as a request uses it. */
static void
test_reader_moves(void **state)
{
    struct rng rng = rng_new();
    struct rig a, b;
    struct span json;
    (void)state;
    rig_init(&a, &rng, true);
    rig_init(&b, &rng, true);
    for (uint32_t i = 0; i < N_DOCS; i++) {
        assert_int_equal(idx_doc_reader_get(a.reader, a.segment, i, &json, NULL), RC_OK);
        assert_true(span_eq(json, a.docs[i]));
        assert_int_equal(idx_doc_reader_get(a.reader, b.segment, i, &json, NULL), RC_OK);
        assert_true(span_eq(json, b.docs[i]));
        if (i % 10 == 0)
            idx_doc_reader_reset(a.reader);
    }
    rig_fini(&a);
    rig_fini(&b);
}

/* A damaged block is refused, the others are read. */
static void
test_damaged_block(void **state)
{
    struct rng rng = rng_new();
    (void)state;
    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        struct rig r;
        rig_init(&r, &rng, is_compressed);
        struct idx_docs *d = &r.segment->docs;
        uint32_t block = (uint32_t)rng_below(&rng, d->n_blocks), n_bad = 0;
        struct idx_doc_block b = idx_docs_block(d, block);
        size_t at =
            (size_t)(d->bytes.p - r.segment->owned.p) + b.offset + rng_below(&rng, b.stored_n);
        r.segment->owned.p[at] ^= (char)(1 << rng_below(&rng, 8));
        for (uint32_t i = 0; i < N_DOCS; i++) {
            struct span json;
            struct err err = {0};
            enum rc rc = idx_doc_reader_get(r.reader, r.segment, i, &json, &err);
            bool is_bad = i >= b.first && i < b.first + b.n;
            assert_int_equal(rc, is_bad ? RC_CORRUPT : RC_OK);
            assert_int_equal(idx_segment_is_corrupt(r.segment), n_bad > 0 || is_bad);
            n_bad += is_bad;
            if (!is_bad)
                assert_true(span_eq(json, r.docs[i]));
            else
                assert_true(err.rc == RC_CORRUPT && err.text[0]);
        }
        assert_int_equal(n_bad, b.n);
        assert_int_equal(idx_segment_verify(r.segment, NULL, NULL), RC_CORRUPT);
        rig_fini(&r);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_reader_moves),
        cmocka_unit_test(test_damaged_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
