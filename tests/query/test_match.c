/* Random searches against the oracle: the same documents with the same scores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/query/corpus.h"

enum { REQUESTS = 2000, REQUESTS_PER_CORPUS = 100 };

static void
print_doc(const struct oracle_doc *d)
{
    for (uint32_t f = 0; f < CORPUS_FIELDS; f++) {
        (void)fprintf(stderr, f ? " |" : "   ");
        for (uint32_t e = 0; e < d->fields[f].n; e++) {
            (void)fprintf(stderr, e ? " ," : "");
            for (uint32_t i = 0; i < d->fields[f].elements[e].n; i++)
                (void)fprintf(stderr, " %.*s", SPAN_ARG(d->fields[f].elements[e].tokens[i]));
        }
    }
    (void)fprintf(stderr, "  (%d%s)\n", (int)d->popularity, d->passes ? "" : ", filtered");
}

static void
print_request(const struct qry_search *s)
{
    (void)fprintf(stderr,
                  "q=[%.*s] full=%d exhaustive=%d max_candidates=%d typos>=%d/%d thresholds=%d/%d "
                  "drop=%d:%d split=%d type=%d exact=%d position=%d nf=%d group=%d sorts=%d "
                  "rank=%d\n",
                  SPAN_ARG(s->q), s->is_full, s->is_exhaustive, (int)s->max_candidates,
                  (int)s->min_len_1typo, (int)s->min_len_2typo, (int)s->typo_tokens_threshold,
                  (int)s->drop_tokens_threshold, (int)s->drop_mode, (int)s->drop_both_sides_max,
                  (int)s->split_join, (int)s->text_match_type, s->prioritize_exact_match,
                  s->prioritize_token_position, s->prioritize_num_matching_fields, s->has_group,
                  (int)s->n_sorts, (int)s->rank_tokens);
    for (uint32_t f = 0; f < s->n_fields; f++)
        (void)fprintf(stderr, "  field %u weight %u prefix %d typos %u infix %d\n",
                      s->fields[f].field, s->fields[f].weight, s->fields[f].has_prefix,
                      s->fields[f].num_typos, (int)s->fields[f].infix);
}

static uint32_t
compare(const struct corpus *c, const struct qry_search *s, const struct corpus_hit *hits)
{
    uint32_t n_bad = 0;

    for (uint32_t i = 0; i < c->oracle.n_docs; i++) {
        const struct oracle_doc *d = &c->docs[i];
        /* The field score decides only beside a second text match in the sort. */
        if (d->is_hit == hits[i].is_hit &&
            (!d->is_hit ||
             (d->text_match == hits[i].text_match &&
              (s->n_sorts == 1 || d->field_score == hits[i].field_score))))
            continue;
        if (n_bad++ == 0)
            print_request(s);
        (void)fprintf(stderr, "document %u: want %d %llu %llx, got %d %llu %llx\n", i, d->is_hit,
                      (unsigned long long)d->text_match, (unsigned long long)d->field_score,
                      hits[i].is_hit, (unsigned long long)hits[i].text_match,
                      (unsigned long long)hits[i].field_score);
        print_doc(d);
    }
    return n_bad;
}

static uint32_t
n_requests(void)
{
    const char *text = getenv("TAILFIN_REQUESTS");
    uint64_t n = REQUESTS;

    if (text)
        must(span_u64(span_str(text), &n));
    return (uint32_t)n;
}

static void
test_random(void **state)
{
    struct fixture_random random;
    uint32_t n = n_requests(), n_hits = 0;
    struct corpus c;

    (void)state;
    fixture_random_init(&random);
    for (uint32_t i = 0; i < n; i++) {
        struct arena arena = {0};
        struct qry_search s;
        struct qry_match *match;
        struct corpus_hit hits[CORPUS_DOCS_MAX];
        uint64_t begin = random.state;
        if (i % REQUESTS_PER_CORPUS == 0)
            corpus_init(&c, &random, fixture_random_below(&random, CORPUS_DOCS_MAX));
        corpus_request(&c, &arena, &s);
        assert_int_equal(corpus_ask(&c, &s, &arena, hits, &match), RC_OK);
        if (qry_match_n_tokens(match) > 0) {
            oracle_run(&c.oracle, &s, &arena);
            if (compare(&c, &s, hits))
                fail_msg("request %u (state %llu)", i, (unsigned long long)begin);
        }
        for (uint32_t d = 0; d < c.oracle.n_docs; d++)
            n_hits += hits[d].is_hit;
        fixture_end(c.fixture);
        arena_fini(&arena);
        if (i % REQUESTS_PER_CORPUS == REQUESTS_PER_CORPUS - 1 || i == n - 1)
            corpus_fini(&c);
    }
    assert_true(n_hits > n); /* the requests find something */
}

/* However many words a query has, its time limit holds. */
static void
test_deadline(void **state)
{
    enum { WORDS = 50000, LIMIT_US = 100000, SLACK_US = 10000000 };
    struct fixture_random random;
    struct corpus c;
    struct arena arena = {0};
    struct buf q = {0};
    struct qry_search s;
    struct qry_match *match;
    struct corpus_hit hits[CORPUS_DOCS_MAX];

    (void)state;
    fixture_random_init(&random);
    corpus_init(&c, &random, CORPUS_DOCS_MAX);
    corpus_request(&c, &arena, &s);
    for (uint32_t i = 0; i < WORDS; i++)
        buf_printf(&q, "%s%u ", c.words[i % c.n_words], i / 100);
    s.q = buf_span(&q);
    s.is_exhaustive = true;
    uint64_t begin_us = clock_us();
    s.deadline.cutoff_us = begin_us + LIMIT_US;
    assert_int_equal(corpus_ask(&c, &s, &arena, hits, &match), RC_CUTOFF);
    assert_true(clock_us() - begin_us < SLACK_US);
    fixture_end(c.fixture);
    corpus_fini(&c);
    buf_fini(&q);
    arena_fini(&arena);
}

/* Any bytes are a query; what a document was reported for can be explained. */
static void
test_garbage(void **state)
{
    static const char BYTES[] = "ab \"-*:\xd0\xb4\xd8\xb4\xff\xe6\x97";
    struct fixture_random random;
    struct corpus c;

    (void)state;
    fixture_random_init(&random);
    corpus_init(&c, &random, CORPUS_DOCS_MAX);
    for (uint32_t i = 0; i < 500; i++) {
        struct arena arena = {0};
        struct qry_search s;
        struct qry_match *match;
        struct corpus_hit hits[CORPUS_DOCS_MAX];
        char q[40];
        bool is_prefix;
        corpus_request(&c, &arena, &s);
        s.q = span_of(q, fixture_random_below(&random, sizeof q));
        for (size_t k = 0; k < s.q.n; k++)
            q[k] = BYTES[fixture_random_below(&random, sizeof BYTES)];
        assert_int_equal(corpus_ask(&c, &s, &arena, hits, &match), RC_OK);
        for (uint32_t k = 0; k < qry_match_n_tokens(match); k++) {
            struct span token = qry_match_token(match, k);
            assert_true(qry_match_explain(match, s.fields[0].field, token, &is_prefix) >= 0);
            assert_false(is_prefix);
        }
        fixture_end(c.fixture);
        arena_fini(&arena);
    }
    corpus_fini(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
                                       cmocka_unit_test(test_deadline),
                                       cmocka_unit_test(test_garbage)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
