/* The walk over a dictionary against the full distance table, term by term. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/query/fixture.h"
#include "tests/query/oracle.h"

enum { TERMS = 400, TOKENS = 400 };

struct words {
    struct fixture *fixture;
    struct fixture_random random;
    const struct idx_terms *terms;
};

/* Few letters, now and then one of two or three bytes; is_long: up to 90 letters. */
static struct span
random_word(struct words *w, struct arena *arena, bool is_long)
{
    static const char *const LETTERS[] = {"a", "b", "a", "b", "c", "\xd0\xb4", "\xe6\x97\xa5"};
    uint32_t n = 1 + fixture_random_below(&w->random, is_long ? 90 : 9);
    struct span s = {"", 0};

    for (uint32_t i = 0; i < n; i++) {
        uint32_t letter = fixture_random_below(&w->random, is_long ? 2 : ARRAY_SIZE(LETTERS));
        s = arena_printf(arena, "%.*s%s", SPAN_ARG(s), LETTERS[letter]);
    }
    return s;
}

/* A term of the dictionary with up to three changes: near enough to matter. */
static struct span
near_word(struct words *w, struct arena *arena)
{
    struct buf b = {0};

    idx_terms_get(w->terms, fixture_random_below(&w->random, idx_terms_n(w->terms)), &b);
    struct span s = arena_dup(arena, buf_span(&b));
    buf_fini(&b);
    for (uint32_t i = fixture_random_below(&w->random, 4); i > 0 && s.n > 1; i--) {
        int at = (int)fixture_random_below(&w->random, (uint32_t)s.n);
        char c = (char)('a' + fixture_random_below(&w->random, 3));
        switch (fixture_random_below(&w->random, 3)) {
        case 0:
            s = arena_printf(arena, "%.*s%.*s", at, s.p, (int)s.n - at - 1, s.p + at + 1);
            break;
        case 1:
            s = arena_printf(arena, "%.*s%c%.*s", at, s.p, c, (int)s.n - at, s.p + at);
            break;
        default:
            s = arena_printf(arena, "%.*s%c%.*s", at, s.p, c, (int)s.n - at - 1, s.p + at + 1);
            break;
        }
    }
    return span_of(s.p, s.n < IDX_TERM_MAX ? s.n : IDX_TERM_MAX);
}

static void
setup(struct words *w, bool is_long)
{
    struct arena arena = {0};

    fixture_random_init(&w->random);
    w->fixture = fixture_new(
        "{\"name\":\"c\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}");
    for (uint32_t i = 0; i < TERMS; i++) {
        struct span word = random_word(w, &arena, is_long && i % 2);
        fixture_put(w->fixture, arena_printf(&arena, "{\"id\":\"%u\",\"name\":\"%.*s\"}", i,
                                             SPAN_ARG(word)).p);
    }
    fixture_flush(w->fixture);
    const struct idx_collection *c = fixture_begin(w->fixture);
    assert_int_equal(c->n_views, 1);
    w->terms = idx_segment_terms(c->views[0].segment, 0, IDX_TEXT);
    arena_fini(&arena);
}

static void
check_term(const struct words *w, const struct qry_pattern *p, const struct qry_reach *reach,
           uint32_t ord, unsigned cost)
{
    struct buf b = {0};
    bool is_prefix = false;

    idx_terms_get(w->terms, ord, &b);
    struct span term = buf_span(&b);
    const struct qry_stretch *got = qry_reach_find(reach, ord);
    bool want = oracle_reaches(p->text, term, cost, p->may_prefix, p->is_full);
    bool alone = qry_walk_reaches(p, term, cost, &is_prefix);
    bool is_longer =
        qry_walk_length(term, p->is_full) > qry_walk_length(p->text, p->is_full) + cost;
    if ((got != NULL) != want || (want && got->is_prefix != (is_longer && p->may_prefix)))
        fail_msg("%.*s to %.*s at %u (prefix %d, full %d): want %d, got %d %d",
                 SPAN_ARG(p->text), SPAN_ARG(term), cost, p->may_prefix, p->is_full, want,
                 got != NULL, got && got->is_prefix);
    /* For highlights a larger cost than the smallest does no harm in full searches. */
    if (alone != want && !p->is_full)
        fail_msg("%.*s to %.*s at %u (prefix %d) alone: want %d", SPAN_ARG(p->text),
                 SPAN_ARG(term), cost, p->may_prefix, want);
    buf_fini(&b);
}

static void
check_token(const struct words *w, struct span token, bool may_prefix, bool is_full,
            struct arena *arena)
{
    struct qry_pattern p = {token, may_prefix, is_full, NULL, NULL};
    struct qry_reach out[QRY_COSTS] = {0};

    qry_walk(&p, w->terms, 7u, arena, out);
    for (unsigned cost = 0; cost < QRY_COSTS; cost++) {
        for (size_t i = 1; i < out[cost].n; i++)
            assert_true(out[cost].v[i - 1].end <= out[cost].v[i].begin);
        for (uint32_t ord = 0; ord < idx_terms_n(w->terms); ord++)
            check_term(w, &p, &out[cost], ord, cost);
    }
}

static bool
is_text(struct span s)
{
    int32_t unit = 0;

    for (size_t at = 0; at < s.n && unit >= 0;)
        at = tkz_codepoint_next(s, at, &unit);
    return unit >= 0;
}

static void
check_words(bool is_long)
{
    struct words w;

    setup(&w, is_long);
    for (uint32_t i = 0; i < TOKENS / (is_long ? 4 : 1); i++) {
        struct arena arena = {0};
        struct span token = near_word(&w, &arena);
        check_token(&w, token, i % 2, false, &arena);
        if (is_text(token))
            check_token(&w, token, i % 2, true, &arena);
        arena_fini(&arena);
    }
    fixture_end(w.fixture);
    fixture_free(w.fixture);
}

static void
test_short(void **state)
{
    (void)state;
    check_words(false);
}

static void
test_long(void **state)
{
    (void)state;
    check_words(true);
}

/* ---- a dictionary that has tails ---- */

enum { MANY_TERMS = 12000, TERMS_A_DOCUMENT = 50, MANY_TOKENS = 160 };

/* So many letters that few terms have the same tail. */
static struct span
wide_word(struct words *w, struct arena *arena)
{
    static const char *const LETTERS[] = {"a", "b", "c", "d", "e", "f", "g", "\xd0\xb4"};
    uint32_t n = 2 + fixture_random_below(&w->random, 11);
    struct span s = {"", 0};

    for (uint32_t i = 0; i < n; i++) {
        uint32_t letter = fixture_random_below(&w->random, ARRAY_SIZE(LETTERS));
        s = arena_printf(arena, "%.*s%s", SPAN_ARG(s), LETTERS[letter]);
    }
    return s;
}

static void
setup_many(struct words *w)
{
    fixture_random_init(&w->random);
    w->fixture = fixture_new(
        "{\"name\":\"c\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}");
    for (uint32_t i = 0; i < MANY_TERMS; i += TERMS_A_DOCUMENT) {
        struct arena arena = {0};
        struct span text = {"", 0};
        for (uint32_t k = 0; k < TERMS_A_DOCUMENT; k++) {
            struct span word = wide_word(w, &arena);
            text = arena_printf(&arena, "%.*s %.*s", SPAN_ARG(text), SPAN_ARG(word));
        }
        fixture_put(w->fixture, arena_printf(&arena, "{\"id\":\"%u\",\"name\":\"%.*s\"}", i,
                                             SPAN_ARG(text)).p);
        arena_fini(&arena);
    }
    fixture_flush(w->fixture);
    const struct idx_collection *c = fixture_begin(w->fixture);
    assert_int_equal(c->n_views, 1);
    w->terms = idx_segment_terms(c->views[0].segment, 0, IDX_TEXT);
    assert_true(idx_terms_has_tails(w->terms));
}

/* A term with two edits among its first bytes: what is found on the other side of a cut. */
static struct span
spoilt_word(struct words *w, struct arena *arena)
{
    struct buf b = {0};

    idx_terms_get(w->terms, fixture_random_below(&w->random, idx_terms_n(w->terms)), &b);
    struct span s = arena_dup(arena, buf_span(&b));
    buf_fini(&b);
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t at = fixture_random_below(&w->random, s.n < 7 ? (uint32_t)s.n : 7);
        struct span head = span_of(s.p, at), tail = span_from(s, at);
        struct span rest = span_from(tail, tail.n > 0), last = span_from(rest, rest.n > 0);
        char c = (char)('a' + fixture_random_below(&w->random, 8));
        switch (fixture_random_below(&w->random, 4)) {
        case 0:
            s = arena_printf(arena, "%.*s%c%.*s", SPAN_ARG(head), c, SPAN_ARG(tail));
            break;
        case 1:
            s = arena_printf(arena, "%.*s%c%.*s", SPAN_ARG(head), c, SPAN_ARG(rest));
            break;
        case 2:
            s = arena_printf(arena, "%.*s%.*s", SPAN_ARG(head), SPAN_ARG(rest));
            break;
        default:
            rest.n = rest.n > 0;
            tail.n = tail.n > 0;
            s = arena_printf(arena, "%.*s%.*s%.*s%.*s", SPAN_ARG(head), SPAN_ARG(rest),
                             SPAN_ARG(tail), SPAN_ARG(last));
            break;
        }
    }
    return s.n ? s : span_of("a", 1);
}

/* The walk, with the costs together or each alone, against each term alone. */
static void
check_many(const struct words *w, const struct qry_pattern *p, unsigned costs)
{
    struct arena arena = {0};
    struct qry_reach out[QRY_COSTS] = {0};
    struct buf b = {0};

    qry_walk(p, w->terms, costs, &arena, out);
    for (uint32_t ord = 0; ord < idx_terms_n(w->terms); ord++) {
        buf_clear(&b);
        idx_terms_get(w->terms, ord, &b);
        for (unsigned cost = 1; cost < QRY_COSTS; cost++) {
            bool is_prefix = false;
            if (!(costs & (1u << cost)))
                continue;
            bool want = qry_walk_reaches(p, buf_span(&b), cost, &is_prefix);
            const struct qry_stretch *got = qry_reach_find(&out[cost], ord);
            if ((got != NULL) != want || (want && got->is_prefix != is_prefix))
                fail_msg("%.*s to %.*s at %u (prefix %d, costs %u): want %d", SPAN_ARG(p->text),
                         SPAN_ARG(buf_span(&b)), cost, p->may_prefix, costs, want);
        }
    }
    for (unsigned cost = 1; cost < QRY_COSTS; cost++) {
        for (size_t i = 1; i < out[cost].n; i++)
            assert_true(out[cost].v[i - 1].end <= out[cost].v[i].begin);
    }
    buf_fini(&b);
    arena_fini(&arena);
}

static void
test_many(void **state)
{
    struct words w;

    (void)state;
    setup_many(&w);
    for (uint32_t i = 0; i < MANY_TOKENS; i++) {
        struct arena arena = {0};
        struct span token = i % 4 ? spoilt_word(&w, &arena) : near_word(&w, &arena);
        struct qry_pattern p = {token, i % 2, false, NULL, NULL};
        check_many(&w, &p, i % 3 ? 6u : 4u);
        arena_fini(&arena);
    }
    fixture_end(w.fixture);
    fixture_free(w.fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_short), cmocka_unit_test(test_long),
                                       cmocka_unit_test(test_many)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
