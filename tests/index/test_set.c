/* Postings of every density, against the list of documents they were made of. */
#include "index/set.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "index/terms.h"
#include "tests/support/rng.h"

struct rig {
    struct buf bytes;
    struct idx_section section;
    struct idx_health health;
    struct idx_terms terms;
};

/* One term a set. */
static void
rig_open(struct rig *r, const struct idx_set_out *out, uint32_t n_docs)
{
    struct idx_layout l;
    *r = (struct rig){.terms = {.n_docs = n_docs}};
    idx_layout_begin(&l, &r->bytes);
    struct idx_row row = {.kind = SEG_POSTINGS};
    assert_int_equal(idx_set_write(out, &l, row, NULL), RC_OK);
    assert_true(idx_layout_find(&l, row, &r->section));
    r->section.health = &r->health;
    assert_true(idx_postings_open(&r->terms, &r->section));
    r->terms.dict.n = r->section.n;
    idx_layout_fini(&l);
}

static void
check_iterated(const struct idx_terms *t, uint32_t ord, const uint32_t *docs, uint32_t n)
{
    uint32_t batch[IDX_POSTING_BATCH], got, at = 0;
    struct idx_posting p;
    idx_posting_begin(&p, t, ord);
    while ((got = idx_posting_next(&p, batch)) > 0) {
        assert_in_range(got, 1, IDX_POSTING_BATCH);
        assert_in_range(at + got, 0, n);
        assert_memory_equal(batch, docs + at, got * sizeof *docs);
        at += got;
    }
    assert_int_equal(at, n);
    assert_int_equal(idx_posting_next(&p, batch), 0);
}

static void
check_words(const struct idx_terms *t, uint32_t ord, const uint32_t *docs, uint32_t n,
            struct rng *rng)
{
    size_t n_words = (t->n_docs + (size_t)63) / 64;
    /* Exactly the words that there are: a write beyond is seen by the sanitizer. */
    uint64_t *words = xcalloc(n_words, sizeof *words), *want = xcalloc(n_words, sizeof *want);
    uint32_t count = 0;
    for (size_t i = 0; i < n_words; i++)
        words[i] = want[i] = rng_next(rng) & rng_next(rng);
    for (uint32_t i = 0; i < n; i++)
        count += want[docs[i] / 64] >> (docs[i] % 64) & 1;
    assert_int_equal(idx_terms_count(t, ord, words), count);
    for (uint32_t i = 0; i < n; i++)
        want[docs[i] / 64] |= (uint64_t)1 << (docs[i] % 64);
    idx_terms_or(t, ord, ord + 1, words);
    assert_memory_equal(words, want, n_words * sizeof *words);
    assert_int_equal(idx_terms_count(t, ord, words), n);
    free(words);
    free(want);
}

static void
check_set(const struct idx_terms *t, uint32_t ord, const uint32_t *docs, uint32_t n,
          struct rng *rng)
{
    assert_int_equal(idx_terms_df(t, ord), n);
    check_iterated(t, ord, docs, n);
    check_words(t, ord, docs, n, rng);
    for (uint32_t round = 0; round < 300; round++) {
        uint32_t at = (uint32_t)rng_below(rng, n), doc = docs[at];
        assert_true(idx_terms_has(t, ord, doc));
        if (doc + 1 < t->n_docs)
            assert_int_equal(idx_terms_has(t, ord, doc + 1), at + 1 < n && docs[at + 1] == doc + 1);
        if (doc)
            assert_int_equal(idx_terms_has(t, ord, doc - 1), at && docs[at - 1] == doc - 1);
    }
}

/* About n documents: at random, or in a row from somewhere, or the very last. */
static uint32_t
random_docs(struct rng *rng, uint32_t n, uint32_t n_docs, uint32_t *docs)
{
    uint32_t got = 0, begin = (uint32_t)rng_below(rng, n_docs - n + 1);
    switch (rng_below(rng, 4)) {
    case 0:
        for (; got < n; got++)
            docs[got] = begin + got;
        return n;
    case 1:
        for (; got < n; got++)
            docs[got] = n_docs - n + got;
        return n;
    default:
        for (uint32_t doc = 0; doc < n_docs && got < n; doc++)
            if (rng_below(rng, n_docs - doc) < n - got)
                docs[got++] = doc;
        return got;
    }
}

static void
check_densities(struct rng *rng, uint32_t n_docs)
{
    static const uint32_t sizes[] = {1,     2,     3,     63,     127,  255,  256,
                                     257,   512,   1000,  4095,   4096, 4097, 10000,
                                     65535, 65536, 65537, 150000, 0};
    struct idx_set_out out = {0};
    uint32_t *docs[40], n[40], n_sets = 0;
    for (size_t i = 0; i < ARRAY_SIZE(sizes) * 2; i++) {
        uint32_t size = sizes[i / 2] ? sizes[i / 2] : n_docs;
        if (size > n_docs)
            continue;
        docs[n_sets] = xmalloc(size * sizeof(uint32_t));
        n[n_sets] = random_docs(rng, size, n_docs, docs[n_sets]);
        assert_int_equal(n[n_sets], size);
        idx_set_put(&out, docs[n_sets], n[n_sets]);
        n_sets++;
    }
    struct rig r;
    rig_open(&r, &out, n_docs);
    for (uint32_t i = 0; i < n_sets; i++)
        check_set(&r.terms, i, docs[i], n[i], rng);

    /* Several at once are the union of each. */
    size_t n_words = (n_docs + (size_t)63) / 64;
    uint64_t *words = xcalloc(n_words, sizeof *words), *want = xcalloc(n_words, sizeof *want);
    uint32_t begin = (uint32_t)rng_below(rng, n_sets), end = begin + (n_sets - begin) / 2;
    for (uint32_t i = begin; i < end; i++)
        for (uint32_t j = 0; j < n[i]; j++)
            want[docs[i][j] / 64] |= (uint64_t)1 << (docs[i][j] % 64);
    idx_terms_or(&r.terms, begin, end, words);
    assert_memory_equal(words, want, n_words * sizeof *words);
    for (uint32_t i = 0; i < n_sets; i++)
        free(docs[i]);
    free(words);
    free(want);
    buf_fini(&r.bytes);
    idx_set_fini(&out);
}

static void
test_densities(void **state)
{
    struct rng rng = rng_new();
    static const uint32_t sizes[] = {1, 63, 64, 65, 300, 5000, 65536, 65537, 131072, 200001};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        check_densities(&rng, sizes[i]);
}

/* A bad checksum: as if there were nothing, and remembered. */
static void
test_bad_checksum(void **state)
{
    struct idx_set_out out = {0};
    struct rig r;
    uint32_t doc = 5, batch[IDX_POSTING_BATCH];
    uint64_t word = UINT64_MAX;
    struct idx_posting p;
    (void)state;
    idx_set_put(&out, &doc, 1);
    rig_open(&r, &out, 10);
    atomic_store(&r.section.state, IDX_SECTION_NEW);
    r.section.checksum = 1;
    assert_int_equal(idx_terms_df(&r.terms, 0), 0);
    assert_false(idx_terms_has(&r.terms, 0, 5));
    assert_int_equal(idx_terms_count(&r.terms, 0, &word), 0);
    idx_posting_begin(&p, &r.terms, 0);
    assert_int_equal(idx_posting_next(&p, batch), 0);
    word = 0;
    idx_terms_or(&r.terms, 0, 1, &word);
    assert_true(word == 0);
    assert_int_equal(atomic_load(&r.health.is_corrupt), 1);
    buf_fini(&r.bytes);
    idx_set_fini(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_densities),
        cmocka_unit_test(test_bad_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
