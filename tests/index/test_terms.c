/* Dictionaries against the naive way: lookups, prefixes and walks over random sets of terms. */
#include "index/index.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/arena.h"

#include "index/segment.h"
#include "index/terms.h"
#include "tests/index/corpus.h"

struct set { /* sorted, distinct */
    struct span *terms;
    uint32_t n;
};

static int
compare(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static void
sort_distinct(struct set *s)
{
    uint32_t n = 0;
    qsort(s->terms, s->n, sizeof *s->terms, compare);
    for (uint32_t i = 0; i < s->n; i++)
        if (n == 0 || !span_eq(s->terms[n - 1], s->terms[i]))
            s->terms[n++] = s->terms[i];
    s->n = n;
}

/* ---- terms of many shapes ---- */

enum shape { SHAPE_LETTERS, SHAPE_BYTES, SHAPE_EDGES, SHAPE_LONG, SHAPE_DEEP, SHAPE_N };

static struct span
random_term(struct arena *a, struct rng *rng, enum shape shape)
{
    static const unsigned char edges[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    size_t n = 1 + rng_below(rng, shape == SHAPE_LONG ? IDX_TERM_MAX : 8);
    if (shape == SHAPE_DEEP)
        n = 1 + rng_below(rng, IDX_TERM_MAX);
    char *p = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) {
        if (shape == SHAPE_LETTERS)
            p[i] = (char)('a' + rng_below(rng, 3));
        else if (shape == SHAPE_BYTES)
            p[i] = (char)rng_below(rng, 256);
        else if (shape == SHAPE_DEEP) /* long shared beginnings */
            p[i] = (char)(rng_below(rng, 40) ? 'x' : 'y');
        else
            p[i] = (char)edges[rng_below(rng, sizeof edges)];
    }
    return span_of(p, n);
}

static struct set
random_set(struct arena *a, struct rng *rng, uint32_t n, enum shape shape)
{
    struct set s = {arena_calloc(a, n, sizeof(struct span)), n};
    for (uint32_t i = 0; i < n; i++)
        s.terms[i] = random_term(a, rng, shape);
    sort_distinct(&s);
    return s;
}

/* A segment with one document a term, of which terms are tokens and values. */
static struct idx_segment *
segment_of_terms(const struct set *s)
{
    static struct sch_field field = {
        {"f", 1}, SCH_STRING, SCH_INDEXED | SCH_FACET | SCH_SORT, {0}, NULL};
    static const struct sch_collection schema = {
        .fields = &field, .n_fields = 1, .default_sort = -1, .tie = SCH_TIE_ID};
    struct idx_builder *b = idx_builder_new(&schema, false);
    struct buf bytes = {0};
    char id[16];
    for (uint32_t i = 0; i < s->n; i++) {
        struct span term = s->terms[s->n - 1 - i]; /* last first: sorting is the builder's task */
        struct idx_text text = {&term, term.n <= IDX_TERM_MAX && term.n > 0, term, term};
        struct idx_value value = {.n = 1, .text = &text};
        int n = snprintf(id, sizeof id, "%u", i);
        struct idx_doc doc = {
            .id = span_of(id, (size_t)n), .json = SPAN_LIT("{}"), .values = &value};
        (void)idx_builder_add(b, &doc);
    }
    assert_int_equal(idx_builder_finish(b, &bytes, NULL), RC_OK);
    idx_builder_free(b);
    return segment_of(&bytes, &schema);
}

/* ---- lookups ---- */

static uint32_t
naive_lower(const struct set *s, struct span key)
{
    uint32_t i = 0;
    while (i < s->n && span_cmp(s->terms[i], key) < 0)
        i++;
    return i;
}

static void
check_key(const struct idx_terms *t, const struct set *s, struct span key)
{
    uint32_t lower = naive_lower(s, key), ord = UINT32_MAX, begin, end, last = lower;
    bool is_there = lower < s->n && span_eq(s->terms[lower], key);
    assert_int_equal(idx_terms_find(t, key, &ord), is_there);
    assert_int_equal(ord, is_there ? lower : UINT32_MAX);
    while (last < s->n && span_starts(s->terms[last], key))
        last++;
    idx_terms_prefix(t, key, &begin, &end);
    assert_int_equal(end - begin, last - lower);
    if (begin < end)
        assert_int_equal(begin, lower);
}

static void
check_keys(const struct idx_terms *t, const struct set *s, struct rng *rng)
{
    struct buf key = {0}, got = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        buf_clear(&got);
        idx_terms_get(t, i, &got);
        assert_true(span_eq(buf_span(&got), s->terms[i]));
    }
    check_key(t, s, (struct span){0});
    for (uint32_t round = 0; round < 500; round++) {
        struct span term = s->terms[rng_below(rng, s->n)];
        buf_clear(&key);
        buf_put(&key, term.p, rng_below(rng, 3) ? rng_below(rng, term.n + 1) : term.n);
        if (rng_below(rng, 3) == 0)
            buf_putc(&key, (char)(rng_below(rng, 2) ? 0xff : rng_below(rng, 256)));
        if (key.n && rng_below(rng, 4) == 0)
            key.p[rng_below(rng, key.n)] ^= 1;
        check_key(t, s, buf_span(&key));
    }
    buf_fini(&key);
    buf_fini(&got);
}

/* ---- walks ---- */

static uint32_t
naive_shared(struct span a, struct span b)
{
    uint32_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

static void
check_cursor(const struct idx_cursor *c, const struct set *s, uint32_t ord, uint32_t from)
{
    assert_int_equal(c->ord, ord);
    assert_true(span_eq(span_of(c->term, c->n), s->terms[ord]));
    assert_int_equal(c->shared,
                     from == UINT32_MAX ? 0 : naive_shared(s->terms[from], s->terms[ord]));
}

static uint32_t
naive_skip(const struct set *s, uint32_t from, uint32_t depth)
{
    uint32_t i = from + 1;
    while (i < s->n && naive_shared(s->terms[from], s->terms[i]) >= depth)
        i++;
    return i;
}

static uint32_t
naive_seek(const struct set *s, uint32_t from, uint32_t depth, unsigned char byte)
{
    struct buf key = {0};
    buf_put(&key, s->terms[from].p, depth);
    buf_putc(&key, (char)byte);
    uint32_t i = naive_lower(s, buf_span(&key));
    buf_fini(&key);
    return i;
}

/* Children of random nodes, by a byte behind the one that is there. */
static void
check_seek(const struct idx_terms *t, const struct set *s, struct rng *rng)
{
    struct idx_cursor c;
    idx_cursor_init(&c, t);
    bool more = idx_cursor_next(&c);
    while (more) {
        uint32_t at = c.ord, depth = (uint32_t)rng_below(rng, c.n + 1);
        unsigned least = depth < c.n ? (unsigned char)c.term[depth] + 1u : 1;
        if (least > 255 || rng_below(rng, 4) == 0) {
            more = idx_cursor_next(&c);
            continue;
        }
        unsigned byte = least + (unsigned)rng_below(rng, rng_below(rng, 2) ? 2 : 256 - least);
        byte = byte < 255 ? byte : 255;
        uint32_t want = naive_seek(s, at, depth, (unsigned char)byte);
        more = idx_cursor_seek(&c, depth, (unsigned char)byte);
        assert_int_equal(more, want < s->n);
        if (more)
            check_cursor(&c, s, want, at);
    }
    assert_false(idx_cursor_next(&c));
}

/* percent: how often a step is a skip. */
static void
check_walk(const struct idx_terms *t, const struct set *s, struct rng *rng, unsigned percent)
{
    struct idx_cursor c;
    idx_cursor_init(&c, t);
    assert_true(idx_cursor_next(&c));
    check_cursor(&c, s, 0, UINT32_MAX);
    for (uint32_t at = 0, next;; at = next) {
        uint32_t depth = 1 + (uint32_t)rng_below(rng, c.n);
        uint32_t behind = naive_skip(s, at, depth);
        assert_int_equal(idx_cursor_end(&c, depth), behind);
        bool is_skip = rng_below(rng, 100) < percent;
        next = is_skip ? behind : at + 1;
        bool more = is_skip ? idx_cursor_skip(&c, depth) : idx_cursor_next(&c);
        assert_int_equal(more, next < s->n);
        if (!more)
            break;
        check_cursor(&c, s, next, at);
    }
    assert_false(idx_cursor_next(&c));
}

/* ---- tails ---- */

/* Those that have the tail there, from the terms themselves; marks them in is_there. */
static uint32_t
naive_tails(const struct set *s, uint32_t from, struct span tail, bool is_end, bool *is_there)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct span term = s->terms[i];
        is_there[i] = term.n >= from + tail.n && span_starts(span_from(term, from), tail) &&
                      (!is_end || term.n == from + tail.n);
        n += is_there[i];
    }
    return n;
}

static void
check_tail(const struct idx_terms *t, const struct set *s, uint32_t from, struct span tail)
{
    bool *is_there = xcalloc(s->n, sizeof *is_there);
    for (int is_end = 0; is_end < 2; is_end++) {
        uint32_t n, n_want = naive_tails(s, from, tail, is_end, is_there);
        const uint32_t *ords = idx_terms_tails(t, from, tail, is_end, &n);
        for (uint32_t i = 0; i < n; i++) {
            n_want -= is_there[ords[i]];
            is_there[ords[i]] = false;
            if (i && tail.n >= 8)
                assert_true(ords[i - 1] < ords[i]);
        }
        assert_int_equal(n_want, 0);
        if (tail.n <= 8 && !memchr(tail.p, 0, tail.n) && !is_end)
            assert_int_equal(n, naive_tails(s, from, tail, is_end, is_there));
    }
    free(is_there);
}

static void
expect_sound(void *arg, const char *finding)
{
    (void)arg;
    fail_msg("%s", finding);
}

static void
test_tails(void **state)
{
    struct rng rng = rng_new();
    (void)state;
    for (int shape = 0; shape < SHAPE_N; shape++) {
        struct arena a = {0};
        struct set s = random_set(&a, &rng, 2 * SEG_TAILS_TERMS_MIN, (enum shape)shape);
        struct idx_segment *segment = segment_of_terms(&s);
        const struct idx_terms *t = idx_segment_terms(segment, 0, IDX_TEXT);
        assert_int_equal(idx_terms_has_tails(t), s.n >= SEG_TAILS_TERMS_MIN);
        assert_false(idx_terms_has_tails(idx_segment_terms(segment, 0, IDX_VALUE)));
        assert_int_equal(idx_segment_verify(segment, expect_sound, NULL), RC_OK);
        for (uint32_t round = 0; s.n >= SEG_TAILS_TERMS_MIN && round < 300; round++) {
            struct span term = s.terms[rng_below(&rng, s.n)];
            uint32_t from = IDX_TAIL_FIRST + (uint32_t)rng_below(&rng, IDX_TAIL_N);
            uint32_t at = rng_below(&rng, 4) ? from : 1;
            struct span tail = span_from(term, at < term.n ? at : term.n);
            if (tail.n > IDX_TAIL_MIN && rng_below(&rng, 2))
                tail.n = IDX_TAIL_MIN + rng_below(&rng, tail.n - IDX_TAIL_MIN);
            if (tail.n >= IDX_TAIL_MIN)
                check_tail(t, &s, from, tail);
        }
        idx_segment_free(segment);
        arena_fini(&a);
    }
}

static void
test_random_sets(void **state)
{
    struct rng rng = rng_new();
    static const uint32_t sizes[] = {1, 2, 31, 32, 33, 64, 65, 100, 700, 2000};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
        for (int shape = 0; shape < SHAPE_N; shape++) {
            struct arena a = {0};
            struct set s = random_set(&a, &rng, sizes[i], (enum shape)shape);
            struct idx_segment *segment = segment_of_terms(&s);
            const struct idx_terms *t = idx_segment_terms(segment, 0, IDX_TEXT);
            assert_int_equal(idx_terms_n(t), s.n);
            check_keys(t, &s, &rng);
            check_keys(idx_segment_terms(segment, 0, IDX_VALUE), &s, &rng);
            check_keys(idx_segment_terms(segment, 0, IDX_SORT), &s, &rng);
            check_walk(t, &s, &rng, 0);
            for (int i_walk = 0; i_walk < 5; i_walk++)
                check_seek(t, &s, &rng);
            check_walk(t, &s, &rng, 50);
            check_walk(t, &s, &rng, 100);
            idx_segment_free(segment);
            arena_fini(&a);
        }
}

/* The longest token, and every length on the way to it. */
static void
test_ladder(void **state)
{
    struct rng rng = rng_new();
    struct span terms[IDX_TERM_MAX];
    char text[IDX_TERM_MAX];
    (void)state;
    for (int c = 0; c < 2; c++) {
        memset(text, c ? 0xff : 0x00, sizeof text);
        for (uint32_t i = 0; i < IDX_TERM_MAX; i++)
            terms[i] = span_of(text, i + 1);
        struct set s = {terms, IDX_TERM_MAX};
        struct idx_segment *segment = segment_of_terms(&s);
        const struct idx_terms *t = idx_segment_terms(segment, 0, IDX_TEXT);
        check_keys(t, &s, &rng);
        check_walk(t, &s, &rng, 0);
        check_walk(t, &s, &rng, 40);
        idx_segment_free(segment);
    }
}

/* Values and sort keys up to the limit, with shared beginnings longer than a length byte can say.
 */
static void
test_long_values(void **state)
{
    struct rng rng = rng_new();
    struct arena a = {0};
    static const size_t sizes[] = {0,   1,   253, 254, 255,  256,   257,  258,
                                   300, 509, 510, 511, 1000, 65534, 65535};
    (void)state;
    struct set s = {arena_calloc(&a, 300, sizeof(struct span)), 300};
    for (uint32_t i = 0; i < s.n; i++) {
        size_t n = sizes[i < ARRAY_SIZE(sizes) ? i : rng_below(&rng, 13)];
        char *p = arena_alloc(&a, n);
        memset(p, 'm', n);
        if (n && i >= ARRAY_SIZE(sizes))
            p[n - 1 - rng_below(&rng, n < 5 ? n : 5)] = (char)rng_below(&rng, 256);
        s.terms[i] = span_of(p, n);
    }
    sort_distinct(&s);
    struct idx_segment *segment = segment_of_terms(&s);
    const struct idx_terms *t = idx_segment_terms(segment, 0, IDX_VALUE);
    assert_int_equal(idx_terms_n(t), s.n);
    check_keys(t, &s, &rng);
    s.terms++; /* the empty sort key counts as missing */
    s.n--;
    check_keys(idx_segment_terms(segment, 0, IDX_SORT), &s, &rng);
    segment_check(segment);
    idx_segment_free(segment);
    arena_fini(&a);
}

/* All ULIDs: kept in 16 bytes, and found by any text. */
static void
test_packed(void **state)
{
    struct rng rng = rng_new();
    struct arena a = {0};
    (void)state;
    struct set s = {arena_calloc(&a, 500, sizeof(struct span)), 500};
    for (uint32_t i = 0; i < s.n; i++) {
        unsigned char bytes[ULID_BYTES_N];
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (unsigned char)(j < 6 ? rng_below(&rng, 2) * 255 : rng_below(&rng, 256));
        char *text = arena_alloc(&a, ULID_TEXT_N);
        ulid_write(bytes, text);
        s.terms[i] = span_of(text, ULID_TEXT_N);
    }
    sort_distinct(&s);
    struct idx_segment *segment = segment_of_terms(&s);
    const struct idx_terms *t = idx_segment_terms(segment, 0, IDX_VALUE);
    assert_non_null(t->dict.ulids);
    check_keys(t, &s, &rng);
    check_key(t, &s, SPAN_LIT("0"));
    check_key(t, &s, SPAN_LIT("7ZZZZZZZZZZZZZZZZZZZZZZZZZZ"));
    check_key(t, &s, SPAN_LIT("zzz"));
    segment_check(segment);
    idx_segment_free(segment);

    /* One lower-case letter, and they are texts. */
    s.terms[0] = SPAN_LIT("01gmfrja800007jwkswbewv3c9");
    sort_distinct(&s);
    segment = segment_of_terms(&s);
    t = idx_segment_terms(segment, 0, IDX_VALUE);
    assert_null(t->dict.ulids);
    check_keys(t, &s, &rng);
    idx_segment_free(segment);
    arena_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_sets), cmocka_unit_test(test_tails),
        cmocka_unit_test(test_ladder),
        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
