/* The worked values of the scoring rules, in documents and as bare formulas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/query/fixture.h"

#include "query/matching.h"

static const char SCHEMA[] =
    "{\"name\":\"c\",\"fields\":[{\"name\":\"name\",\"type\":\"string\",\"optional\":true},"
    "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true}]}";

static void
take_hit(void *arg, uint32_t view, uint32_t doc, uint64_t text_match, uint64_t field_score)
{
    uint64_t *out = arg;

    (void)view, (void)doc, (void)field_score;
    assert_int_equal(out[0], 0);
    out[0] = text_match;
}

struct asked {
    const char *q, *doc;
    bool has_position;
    uint64_t text_match;
};

/* The text_match of one document, alone in its collection; 0 if it is not found. */
static uint64_t
ask(const struct asked *a)
{
    struct fixture *f = fixture_new(SCHEMA);
    struct arena arena = {0};
    struct qry_search_field fields[2] = {{0, 15, true, 2, QRY_INFIX_OFF},
                                         {1, 14, true, 2, QRY_INFIX_OFF}};
    uint64_t text_match = 0;
    const uint64_t *words[1];
    struct qry_docset docs = {words, true};
    struct qry_match_sink sink = {&text_match, take_hit, NULL};
    struct qry_match *match;
    struct err err;

    fixture_put(f, a->doc);
    fixture_flush(f);
    struct qry_search s = {.collection = fixture_begin(f),
                           .analyzer = fixture_analyzer(f),
                           .q = span_str(a->q),
                           .fields = fields,
                           .n_fields = 2,
                           .first_prefix = true,
                           .min_len_1typo = 4,
                           .min_len_2typo = 7,
                           .typo_tokens_threshold = 1,
                           .drop_tokens_threshold = 1,
                           .split_join = QRY_SPLIT_JOIN_FALLBACK,
                           .prioritize_exact_match = true,
                           .prioritize_token_position = a->has_position,
                           .prioritize_num_matching_fields = true,
                           .deadline = QRY_DEADLINE_NONE};
    assert_int_equal(s.collection->n_views, 1);
    words[0] = s.collection->views[0].live;
    assert_int_equal(qry_match_run(&s, &docs, &sink, &arena, &match, &err), RC_OK);
    fixture_end(f);
    fixture_free(f);
    arena_fini(&arena);
    return text_match;
}

static void
test_documents(void **state)
{
    static const struct asked CASES[] = {
        {"kappa", "{\"name\":\"kappa\"}", false, 578730123365711993u},
        {"kappa", "{\"name\":\"kappa pride\"}", false, 578730123365187705u},
        {"kappa", "{\"name\":\"kappapride\"}", false, 578730089005449337u},
        {"kappa", "{\"name\":\"kapa\"}", false, 578730054645710969u},
        {"kappa", "{\"tags\":[\"kappa\",\"pride\"]}", false, 578730123365711985u},
        {"kappa", "{\"name\":\"kappa\",\"tags\":[\"kappa\"]}", false, 578730123365711994u},
        {"kappa pride", "{\"name\":\"kappa pride\"}", false, 1157451471441625209u},
        {"kappa pride", "{\"name\":\"pride kappa\"}", false, 1157451471441625209u},
        {"kappa pride", "{\"name\":\"Kappa x Pride\"}", false, 1157451471306883193u},
        {"kappa pride", "{\"name\":\"kappa a b c d e f g h i j k l m n o pride\"}", false,
         1155199671761633401u},
        {"kappa pride", "{\"tags\":[\"kappa\",\"pride\"]}", false, 1155190875669135473u},
        {"kappa", "{\"name\":\"kappa\"}", true, 578730123366232185u},
        {"kappa", "{\"name\":\"pride kappa\"}", true, 578730123365705849u},
        /* A swap of the first two letters costs two, and five letters allow one. */
        {"akppa", "{\"name\":\"kappa\"}", false, 0},
        {"kpparide", "{\"name\":\"kappapride\"}", false, 0},
        {"kppa", "{\"name\":\"kappapride\"}", false, 578730020285972601u},
        /* Joined and split; only phrases; nothing but exclusions. */
        {"kap pa", "{\"name\":\"kappa\"}", false, 578730123365711993u},
        {"kappapride", "{\"name\":\"kappa pride\"}", false, 1157451471441625209u},
        {"\"kappa pride\"", "{\"name\":\"my kappa pride\"}", false, 100015},
        {"\"kappa pride\"", "{\"name\":\"kappa my pride\"}", false, 0},
        {"\"kappa pride\"", "{\"tags\":[\"kappa\",\"pride\"]}", false, 0},
        {"\"kappa pride\"", "{\"tags\":[\"x\",\"kappa pride\"]}", false, 100014},
        {"kappa \"\"", "{\"name\":\"kappa\"}", false, 0},
        {"-d", "{\"name\":\"kappa\"}", false, 100},
        {":-D", "{\"name\":\"kappa d\"}", false, 0},
        {"kappa -pride", "{\"name\":\"kappa\",\"tags\":[\"pride\"]}", false, 0},
        {"kappa -\"my pride\"", "{\"name\":\"kappa my pride\"}", false, 0},
        {"kappa -\"my pride\"", "{\"name\":\"kappa pride\"}", false, 578730123365187705u},
        {"", "{\"name\":\"kappa\"}", false, 100},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        uint64_t got = ask(&CASES[i]);
        if (got != CASES[i].text_match)
            fail_msg("%s in %s: want %llu, got %llu", CASES[i].q, CASES[i].doc,
                     (unsigned long long)CASES[i].text_match, (unsigned long long)got);
    }
}

static void
test_formulas(void **state)
{
    struct qry_field_score one = {1108091339008u, 15};
    uint64_t best;

    (void)state;
    assert_int_equal(qry_score_single(0, true, false, 1), 1108091339008u);
    assert_int_equal(qry_score_single(1, false, false, 1), 1108074561536u);
    assert_int_equal(qry_score_field(2, 2, 0, 1, true, 0), 2211897868544u);
    assert_int_equal(qry_score_text_match(QRY_MAX_SCORE, 1, true, &one, 1, &best),
                     578730123365711993u);
    assert_int_equal(best, 1108091339008u);
    /* The byte of position 256 wraps to that of 0. */
    assert_int_equal(qry_score_single(0, true, true, 256) & 255, 255);
    assert_int_equal(qry_score_single(0, true, true, 255) & 255, 0);
    /* More than fifteen tokens count as fifteen, more than seven fields as seven. */
    struct qry_field_score many[9];
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = one;
    uint64_t score = qry_score_text_match(QRY_MAX_SCORE, 16, true, many, 9, &best);
    assert_int_equal(score >> 59, 15);
    assert_int_equal(score & 7, 7);
}

static struct qry_window
window_of(const uint32_t *a, uint32_t n_a, const uint32_t *b, uint32_t n_b)
{
    const struct qry_places places[2] = {{a, n_a}, {b, n_b}};

    return qry_score_window(places, 2);
}

static void
test_window(void **state)
{
    static const uint32_t near[] = {0, 20}, at_ten[] = {10}, at_eleven[] = {11}, far[] = {22};
    struct qry_window w;

    (void)state;
    w = window_of(near, 1, at_ten, 1);
    assert_int_equal(w.words, 2);
    assert_int_equal(w.spread, 10);
    w = window_of(near, 1, at_eleven, 1);
    assert_int_equal(w.words, 1);
    assert_int_equal(w.spread, 0);
    w = window_of(near, 2, far, 1); /* the second place of the first word */
    assert_int_equal(w.words, 2);
    assert_int_equal(w.spread, 2);
    assert_int_equal(w.furthest, 22);
    w = window_of(near, 1, near, 1); /* the same word twice */
    assert_int_equal(w.words, 2);
    assert_int_equal(w.spread, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
