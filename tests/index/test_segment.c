/* What goes into a builder comes out of the segment: every kind of field. */
#include "index/segment.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/hash.h"

#include "tests/index/corpus.h"
#include "tests/support/scratch.h"

static void
check_round_trip(struct rng *rng, uint32_t n, enum corpus_ids ids, enum sch_tie tie)
{
    struct corpus c;
    corpus_init(&c, rng, n, ids, tie);
    uint32_t *all = xmalloc((n + (size_t)1) * sizeof *all);
    for (uint32_t i = 0; i < n; i++)
        all[i] = i;
    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        struct idx_segment *s = corpus_segment(&c, 0, n, is_compressed);
        corpus_check(&c, s, all, n);
        segment_check(s);
        idx_segment_free(s);
    }
    free(all);
    corpus_fini(&c);
}

static void
test_round_trip(void **state)
{
    struct rng rng = rng_new();
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 300, 1500};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        check_round_trip(&rng, sizes[i], CORPUS_ULIDS, i % 2 ? SCH_TIE_SEQ : SCH_TIE_ID);
        check_round_trip(&rng, sizes[i], CORPUS_TEXT_IDS, i % 2 ? SCH_TIE_ID : SCH_TIE_SEQ);
    }
}

/* The builder is used again after finish, and the second segment knows nothing of the first. */
static void
test_builder_again(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct buf bytes[3] = {0};
    (void)state;
    corpus_init(&c, &rng, 200, CORPUS_TEXT_IDS, SCH_TIE_ID);
    struct idx_builder *b = idx_builder_new(&c.schema, true);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 100; i++) {
            struct idx_doc d = corpus_doc(&c, (uint32_t)round * 100 + i, &c.arena);
            (void)idx_builder_add(b, &d);
        }
        assert_true(idx_builder_n_bytes(b) > 1000);
        assert_int_equal(idx_builder_finish(b, &bytes[round], NULL), RC_OK);
        assert_int_equal(idx_builder_n_bytes(b), 0);
    }
    uint32_t which[100];
    for (uint32_t i = 0; i < 100; i++)
        which[i] = 100 + i;
    bytes[2] = corpus_bytes(&c, which, 100, true);
    assert_true(span_eq(buf_span(&bytes[1]), buf_span(&bytes[2])));
    idx_builder_free(b);
    for (int i = 0; i < 3; i++)
        buf_fini(&bytes[i]);
    corpus_fini(&c);
}

static void
test_same_id_twice(void **state)
{
    struct rng rng = rng_new();
    (void)state;
    for (int ids = 0; ids < 2; ids++) {
        struct corpus c;
        uint32_t doc;
        corpus_init(&c, &rng, 50, (enum corpus_ids)ids, SCH_TIE_ID);
        c.docs[40].id = c.docs[7].id;
        c.docs[49].id = c.docs[7].id;
        struct idx_segment *s = corpus_segment(&c, 0, 50, false);
        assert_true(idx_segment_find_id(s, c.docs[7].id, &doc));
        assert_int_equal(doc, 49);
        assert_false(idx_segment_find_id(s, SPAN_LIT("nobody"), &doc));
        assert_false(idx_segment_find_id(s, SPAN_LIT("01GMFRJA800007JWKSWBEWV3C9"), &doc));
        assert_false(idx_segment_find_id(s, (struct span){0}, &doc));
        segment_check(s);
        idx_segment_free(s);
        corpus_fini(&c);
    }
}

static void
test_ties(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    (void)state;
    corpus_init(&c, &rng, 4, CORPUS_TEXT_IDS, SCH_TIE_ID);
    c.docs[0].id = SPAN_LIT("a");
    c.docs[1].id = SPAN_LIT("abcdefghijklmnopq-1"); /* alike in the first 16 bytes */
    c.docs[2].id = SPAN_LIT("abcdefghijklmnopq-2");
    c.docs[3].id = SPAN_LIT("b");
    struct idx_segment *s = corpus_segment(&c, 0, 4, false);
    for (uint32_t a = 0; a < 4; a++)
        for (uint32_t b = 0; b < 4; b++)
            assert_int_equal(idx_tie_before(s, a, s, b), a > b);
    assert_true(idx_segment_tie(s, 0).hi == (uint64_t)'a' << 56);
    idx_segment_free(s);

    /* ULIDs are packed in one segment and texts in another: ties compare all the same. */
    c.docs[0].id = SPAN_LIT("01GMFRJA800007JWKSWBEWV3C8");
    c.docs[1].id = SPAN_LIT("01GMFRJA800007JWKSWBEWV3C9");
    struct idx_segment *packed = corpus_segment(&c, 0, 2, false);
    c.docs[0].id = SPAN_LIT("01GMFRJA800007JWKSWBEWV3C9x");
    c.docs[1].id = SPAN_LIT("01GMFRJA800007JWKSWBEWV3C90");
    struct idx_segment *mixed = corpus_segment(&c, 0, 2, false);
    for (uint32_t doc = 0; doc < 2; doc++) {
        assert_true(idx_tie_before(mixed, doc, packed, 0));
        assert_true(idx_tie_before(mixed, doc, packed, 1));
        assert_false(idx_tie_before(packed, 1, mixed, doc));
        assert_true(idx_segment_tie(packed, doc).hi == idx_segment_tie(mixed, doc).hi);
    }
    assert_true(idx_tie_before(packed, 1, packed, 0));
    assert_false(idx_tie_before(packed, 0, packed, 0));
    idx_segment_free(packed);
    idx_segment_free(mixed);

    c.schema.tie = SCH_TIE_SEQ;
    for (uint32_t i = 0; i < 4; i++)
        c.docs[i].seq = 10 - i;
    s = corpus_segment(&c, 0, 4, false);
    assert_true(idx_tie_before(s, 0, s, 1));
    assert_true(idx_segment_tie(s, 3).hi == 7 && idx_segment_tie(s, 3).lo == 0);
    idx_segment_free(s);
    corpus_fini(&c);
}

/* A schema that grew: old segments answer for the new fields as missing. */
static void
test_appended_field(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct idx_column column;
    uint32_t n;
    (void)state;
    corpus_init(&c, &rng, 20, CORPUS_ULIDS, SCH_TIE_ID);
    c.schema.n_fields = CORPUS_AT;
    struct buf bytes = {0}, copy = {0};
    struct idx_segment *old = corpus_segment(&c, 0, 20, false);
    buf_put_span(&bytes, idx_segment_bytes(old));
    buf_put_span(&copy, idx_segment_bytes(old));
    idx_segment_free(old);

    c.schema.n_fields = CORPUS_FIELD_N;
    struct idx_segment *s = segment_of(&bytes, &c.schema);
    assert_false(idx_segment_column(s, CORPUS_AT, &column));
    assert_null(idx_segment_terms(s, CORPUS_LONG, IDX_VALUE));
    assert_null(idx_segment_order(s, CORPUS_AT, &n));
    assert_true(idx_segment_column(s, CORPUS_SCORE, &column));
    segment_check(s);
    idx_segment_free(s);

    /* A segment of more fields than the schema is refused. */
    c.schema.n_fields = 2;
    assert_int_equal(idx_segment_open_ram(&copy, &c.schema, &s, NULL), RC_CORRUPT);
    assert_null(copy.p);
    corpus_fini(&c);
}

struct racer {
    const struct corpus *c;
    const struct idx_segment *s;
    const uint32_t *which;
    pthread_t thread;
};

static void *
race(void *arg)
{
    struct racer *r = arg;
    corpus_check(r->c, r->s, r->which, 200);
    return NULL;
}

/* Sections are checked on first use, by whoever comes: several threads at once. */
static void
test_first_use_by_many(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct racer racers[4];
    uint32_t which[200];
    (void)state;
    for (uint32_t i = 0; i < ARRAY_SIZE(which); i++)
        which[i] = i;
    corpus_init(&c, &rng, 200, CORPUS_ULIDS, SCH_TIE_ID);
    struct idx_segment *s = corpus_segment(&c, 0, 200, true);
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++) {
        racers[i] = (struct racer){.c = &c, .s = s, .which = which};
        assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(racers); i++)
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
    assert_false(idx_segment_is_corrupt(s));
    idx_segment_free(s);
    corpus_fini(&c);
}

static void
test_mapped(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct fs *fs;
    struct fs_map map;
    struct idx_segment *s;
    char *dir = scratch_new();
    (void)state;
    uint32_t all[100];
    for (uint32_t i = 0; i < 100; i++)
        all[i] = i;
    corpus_init(&c, &rng, 100, CORPUS_ULIDS, SCH_TIE_ID);
    struct buf bytes = corpus_bytes(&c, all, 100, true);
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    assert_int_equal(fs_write(fs, "a.seg", buf_span(&bytes), NULL), RC_OK);
    assert_int_equal(fs_map(fs, "a.seg", &map, NULL), RC_OK);
    assert_int_equal(idx_segment_open_map(fs, &map, &c.schema, &s, NULL), RC_OK);
    assert_null(map.p);
    assert_true(idx_segment_is_mapped(s));
    assert_int_equal(idx_segment_n_bytes(s), bytes.n);
    corpus_check(&c, s, all, 100);
    segment_check(s);
    idx_segment_free(s);
    fs_close(fs);
    buf_fini(&bytes);
    corpus_fini(&c);
    scratch_free(dir);
}

/*
 * The bytes of some fixed documents. If this fails and the change was meant,
 * the format changed: raise SEG_VERSION, say so in FORMAT.md, then put the new
 * number here. Raw documents, as the compressor's bytes are not ours.
 */
static void
test_format_is_stable(void **state)
{
    struct sch_field fields[] = {
        {{"name", 4}, SCH_STRING, SCH_INDEXED | SCH_FACET | SCH_SORT | SCH_ORDER, {0}, NULL},
        {{"tags", 4}, SCH_STRING, SCH_INDEXED | SCH_FACET | SCH_ARRAY, {0}, NULL},
        {{"owner", 5}, SCH_STRING, SCH_EXACT, {0}, NULL},
        {{"score", 5}, SCH_INT32, SCH_INDEXED | SCH_SORT | SCH_ORDER, {0}, NULL},
        {{"times", 5}, SCH_INT64, SCH_INDEXED | SCH_ARRAY, {0}, NULL},
    };
    const struct sch_collection schema = {
        .fields = fields, .n_fields = ARRAY_SIZE(fields), .default_sort = -1, .tie = SCH_TIE_SEQ};
    struct idx_builder *b = idx_builder_new(&schema, false);
    struct buf bytes = {0};
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        char name[16], id[16];
        struct span word =
            span_of(name, (size_t)snprintf(name, sizeof name, "n%u", i * 7919 % 600));
        struct span tokens[] = {word, SPAN_LIT("all")};
        struct idx_text text = {tokens, 1 + (i % 3 != 0), word, word};
        struct idx_text tags[] = {text, {tokens + 1, 1, SPAN_LIT("tag"), {0}}, text};
        struct idx_text owner = {NULL, 0, SPAN_LIT("01GMFRJA800007JWKSWBEWV3C9"), {0}};
        int64_t numbers[] = {(int64_t)i * 31 % 100 - 50, INT64_MIN, i};
        struct idx_value values[] = {{.n = 1, .text = &text},
                                     {.n = i % 4, .text = tags},
                                     {.n = i % 2, .text = &owner},
                                     {.n = i % 5 != 0, .i64 = numbers},
                                     {.n = i % 3, .i64 = numbers}};
        struct span text_id = span_of(id, (size_t)snprintf(id, sizeof id, "id-%u", i));
        struct idx_doc doc = {
            .id = text_id, .seq = 5000 - i, .json = SPAN_LIT("{\"a\":1}"), .values = values};
        (void)idx_builder_add(b, &doc);
    }
    assert_int_equal(idx_builder_finish(b, &bytes, NULL), RC_OK);
    uint64_t sum = hash64(buf_span(&bytes));
    if (sum != 0x9e53780e8eb66837u)
        fail_msg("the bytes are %llx", (unsigned long long)sum);
    struct idx_segment *s = segment_of(&bytes, &schema);
    segment_check(s);
    idx_segment_free(s);
    idx_builder_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_builder_again),
        cmocka_unit_test(test_same_id_twice),  cmocka_unit_test(test_ties),
        cmocka_unit_test(test_appended_field), cmocka_unit_test(test_first_use_by_many),
        cmocka_unit_test(test_mapped),         cmocka_unit_test(test_format_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
