/* The manifest: what is written is read back; what is damaged is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

#include "index/manifest.h"

#include "tests/index/engine_kit.h"
#include "tests/support/rng.h"

static uint64_t *
random_live(struct rng *rng, struct arena *a, uint32_t n_docs, uint64_t one_in)
{
    uint64_t *words = arena_calloc(a, idx_n_words(n_docs), sizeof *words);
    for (uint32_t i = 0; i < n_docs; i++)
        if (rng_below(rng, one_in) != 0)
            words[i / 64] |= (uint64_t)1 << (i % 64);
    return words;
}

static struct span
random_bytes(struct rng *rng, struct arena *a)
{
    size_t n = (size_t)rng_below(rng, 20);
    char *p = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)rng_next(rng);
    return span_of(p, n);
}

static void
fill(struct rng *rng, struct arena *a, struct idx_manifest *m)
{
    *m = (struct idx_manifest){rng_next(rng),
                               rng_next(rng),
                               1000,
                               1 + rng_next(rng) / 2,
                               .n_generations = (size_t)rng_below(rng, 4),
                               .n_entries = (size_t)rng_below(rng, 5),
                               .n_states = (size_t)rng_below(rng, 5)};
    m->generations = arena_calloc(a, m->n_generations, sizeof m->generations[0]);
    for (size_t i = 0; i < m->n_generations; i++) {
        struct idx_manifest_generation *g = &m->generations[i];
        struct sch_collection *schema = arena_calloc(a, 1, sizeof *schema);
        kit_schema("some name", a, schema);
        schema->tie = rng_below(rng, 2) ? SCH_TIE_ID : SCH_TIE_SEQ;
        *g = (struct idx_manifest_generation){.uid = (uint32_t)(i * 7 + 1),
                                              .is_complete = rng_below(rng, 2),
                                              .is_named = rng_below(rng, 2),
                                              .analyzer = rng_next(rng),
                                              .schema = schema,
                                              .n_segments = (size_t)rng_below(rng, 4)};
        g->segments = arena_calloc(a, g->n_segments, sizeof g->segments[0]);
        for (size_t j = 0; j < g->n_segments; j++) {
            uint32_t n_docs = 1 + (uint32_t)rng_below(rng, 3000);
            uint64_t rates[] = {2, 10, 500, 100000, 1};
            g->segments[j] = (struct idx_manifest_segment){rng_next(rng), 100000, n_docs, NULL};
            if (rng_below(rng, 3))
                g->segments[j].live = random_live(rng, a, n_docs, rates[rng_below(rng, 5)]);
        }
    }
    struct idx_entry *entries = arena_calloc(a, m->n_entries, sizeof *entries);
    for (size_t i = 0; i < m->n_entries; i++)
        entries[i] =
            (struct idx_entry){random_bytes(rng, a), random_bytes(rng, a), random_bytes(rng, a)};
    m->entries = entries;
    struct idx_state_part *states = arena_calloc(a, m->n_states, sizeof *states);
    for (size_t i = 0; i < m->n_states; i++)
        states[i] = (struct idx_state_part){random_bytes(rng, a), random_bytes(rng, a)};
    m->states = states;
}

static bool
has_dead(const struct idx_manifest_segment *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; s->live && i < s->n_docs; i++)
        n += !idx_is_alive(s->live, i);
    return n > 0;
}

static void
expect_segment(const struct idx_manifest_segment *a, const struct idx_manifest_segment *b)
{
    assert_true(a->file == b->file && a->n_bytes == b->n_bytes && a->n_docs == b->n_docs);
    assert_int_equal(has_dead(a), has_dead(b));
    if (has_dead(a))
        assert_memory_equal(a->live, b->live, idx_n_words(a->n_docs) * 8);
}

static void
expect_equal(const struct idx_manifest *a, const struct idx_manifest *b)
{
    assert_true(a->number == b->number && a->wall_us == b->wall_us);
    assert_true(a->next_uid == b->next_uid && a->next_file == b->next_file);
    assert_int_equal(a->n_generations, b->n_generations);
    for (size_t i = 0; i < a->n_generations; i++) {
        const struct idx_manifest_generation *x = &a->generations[i], *y = &b->generations[i];
        assert_true(x->uid == y->uid && x->analyzer == y->analyzer);
        assert_true(x->is_named == y->is_named && x->is_complete == y->is_complete);
        assert_true(sch_fingerprint(x->schema) == sch_fingerprint(y->schema));
        assert_true(span_eq(x->schema->name, y->schema->name) && x->schema->tie == y->schema->tie);
        assert_int_equal(x->n_segments, y->n_segments);
        for (size_t j = 0; j < x->n_segments; j++)
            expect_segment(&x->segments[j], &y->segments[j]);
    }
    assert_int_equal(a->n_entries, b->n_entries);
    for (size_t i = 0; i < a->n_entries; i++) {
        assert_true(span_eq(a->entries[i].kind, b->entries[i].kind));
        assert_true(span_eq(a->entries[i].key, b->entries[i].key));
        assert_true(span_eq(a->entries[i].value, b->entries[i].value));
    }
    assert_int_equal(a->n_states, b->n_states);
    for (size_t i = 0; i < a->n_states; i++) {
        assert_true(span_eq(a->states[i].name, b->states[i].name));
        assert_true(span_eq(a->states[i].value, b->states[i].value));
    }
}

static void
test_round_trip(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int round = 0; round < 500; round++) {
        struct arena a = {0};
        struct idx_manifest m, back;
        struct buf bytes = {0};
        struct err err;
        fill(&rng, &a, &m);
        idx_manifest_encode(&m, &bytes);
        if (idx_manifest_decode(buf_span(&bytes), &a, &back, &err) != RC_OK)
            fail_msg("%s", err.text);
        expect_equal(&m, &back);
        buf_fini(&bytes);
        arena_fini(&a);
    }
}

/* Every cut and every flipped bit is told. */
static void
test_damage(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    struct arena a = {0}, b = {0};
    struct idx_manifest m, back;
    struct buf bytes = {0};
    struct err err;
    do
        fill(&rng, &a, &m);
    while (m.n_generations == 0);
    idx_manifest_encode(&m, &bytes);
    size_t step = 1 + bytes.n / 2000;
    for (size_t n = 0; n < bytes.n; n += step) {
        assert_int_equal(idx_manifest_decode(span_of(bytes.p, n), &b, &back, &err), RC_CORRUPT);
        if (n >= 12 && n < 16)
            continue; /* reserved */
        bytes.p[n] ^= 1;
        assert_int_equal(idx_manifest_decode(buf_span(&bytes), &b, &back, &err), RC_CORRUPT);
        bytes.p[n] ^= 1;
        arena_reset(&b);
    }
    buf_fini(&bytes);
    arena_fini(&a);
    arena_fini(&b);
}

/* Bytes that pass the checksum and make no sense are refused without a crash or a huge allocation.
 */
static void
test_nonsense(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int round = 0; round < 20000; round++) {
        struct arena a = {0};
        struct idx_manifest m, back;
        struct buf bytes = {0};
        fill(&rng, &a, &m);
        idx_manifest_encode(&m, &bytes);
        size_t n_body = bytes.n - 32;
        for (uint64_t i = 1 + rng_below(&rng, 4); i-- > 0;)
            bytes.p[32 + rng_below(&rng, n_body)] = (char)rng_next(&rng);
        uint64_t sum = hash64(span_of(bytes.p + 32, n_body));
        memcpy(bytes.p + 24, &sum, sizeof sum);
        size_t before = a.total_bytes;
        enum rc rc = idx_manifest_decode(buf_span(&bytes), &a, &back, NULL);
        assert_true(rc == RC_OK || rc == RC_CORRUPT);
        assert_true(a.total_bytes - before < 64 << 20);
        buf_fini(&bytes);
        arena_fini(&a);
    }
}

static void
test_names(void **state)
{
    (void)state;
    char name[IDX_FILE_NAME_MAX];
    uint64_t file = 0;
    idx_file_name(0x1234abcd, name);
    assert_string_equal(name, "000000001234abcd.seg");
    assert_true(idx_file_number(name, &file));
    assert_int_equal(file, 0x1234abcd);
    const char *others[] = {"",
                            "MANIFEST",
                            "000000001234ABCD.seg",
                            "000000001234abcd.log",
                            "000000001234abcd.segx",
                            "00000001234abcd.seg",
                            "000000001234abcd"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(idx_file_number(others[i], &file));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
