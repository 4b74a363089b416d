/* Sources of parameters, their checks and defaults: search-semantics sections 11, 13 and 14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/plan.h"
#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\",\"infix\":true},"
    "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true,\"facet\":true},"
    "{\"name\":\"ref\",\"type\":\"string\",\"optional\":true,\"index\":\"exact\"},"
    "{\"name\":\"dark\",\"type\":\"string\",\"optional\":true,\"index\":false},"
    "{\"name\":\"n\",\"type\":\"int32\",\"facet\":true}]}";

static int
setup(void **state)
{
    struct ask *a = ask_new(schema);
    fixture_put(a->fixture, "{\"id\":\"1\",\"name\":\"kappa\",\"n\":1}");
    fixture_flush(a->fixture);
    *state = a;
    return 0;
}

static void
names_are_sorted(void **state)
{
    (void)state;
    for (int i = 1; i < QRY_PARAM_N; i++)
        assert_true(strcmp(qry_param_name((enum qry_param)(i - 1)),
                           qry_param_name((enum qry_param)i)) < 0);
}

static void
sources(void **state)
{
    struct arena arena = {0};
    struct qry_params url = {0}, body = {0};
    struct json json;
    struct err err = {0};
    size_t n;
    const struct http_param *list = http_params(
        span_str("q=a&q=b%20c&page=&filter_by=n:1&filter_by=n:2&nonsense=1"), &arena, &n);

    (void)state;
    qry_params_url(&url, list, n, &arena);
    assert_true(span_eq_str(url.value[QRY_P_Q], "b c"));
    assert_true(span_eq_str(url.value[QRY_P_FILTER_BY], "n:1&&n:2"));
    assert_true(qry_params_has(&url, QRY_P_PAGE));
    assert_int_equal(url.value[QRY_P_PAGE].n, 0);
    assert_false(qry_params_has(&url, QRY_P_PER_PAGE));

    assert_int_equal(json_parse(span_str("{\"q\":\"x\",\"per_page\":7,\"page\":1.5,"
                                         "\"prefix\":false,\"filter_by\":\"n:3\"}"),
                                &arena, &json, &err),
                     RC_OK);
    assert_int_equal(qry_params_json(&body, &json, false, &arena, &err), RC_OK);
    assert_true(span_eq_str(body.value[QRY_P_PER_PAGE], "7"));
    assert_true(span_eq_str(body.value[QRY_P_PAGE], "1.500000"));
    assert_true(span_eq_str(body.value[QRY_P_PREFIX], "false"));
    qry_params_override(&body, &url);
    assert_true(span_eq_str(body.value[QRY_P_Q], "b c"));
    assert_true(span_eq_str(body.value[QRY_P_PER_PAGE], "7"));
    assert_true(span_eq_str(body.value[QRY_P_FILTER_BY], "n:3"));
    assert_int_equal(body.n_and_filters, 1);

    static const char *const bad[] = {"{\"q\":[1]}", "{\"q\":{}}", "{\"q\":null}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(json_parse(span_str(bad[i]), &arena, &json, &err), RC_OK);
        assert_int_equal(qry_params_json(&body, &json, false, &arena, &err), RC_INVALID);
        assert_int_equal(qry_params_json(&body, &json, true, &arena, &err), RC_OK);
    }
    arena_fini(&arena);
}

/* No filter can break out of what it is combined with. */
static void
filters_stay_apart(void **state)
{
    static const char *const tricks[] = {"n:1) || (n:2", "n:2 || name:`", "tags:[x", "n:2 ||"};
    struct ask *a = *state;
    const struct idx_collection *c = fixture_begin(a->fixture);
    struct arena arena = {0};

    for (size_t i = 0; i < ARRAY_SIZE(tricks); i++) {
        struct qry_params params = {0}, embedded = {0};
        struct err err = {0};
        struct qry_plan plan;
        struct qry_parse in = {c, fixture_analyzer(a->fixture), &params, {250, 100, false},
                               &arena, &err};
        params.value[QRY_P_Q] = SPAN_LIT("*");
        params.value[QRY_P_FILTER_BY] = span_str(tricks[i]);
        embedded.value[QRY_P_FILTER_BY] = SPAN_LIT("n:2 || tags:[y]");
        qry_params_override(&params, &embedded);
        enum rc rc = qry_plan_parse(&in, &plan);
        /* A trick that is an expression by itself may stay, and is combined with and. */
        if (rc != RC_OK)
            assert_int_equal(rc, RC_INVALID);
        else
            assert_non_null(plan.search.filter);
        if (i != 1)
            assert_int_equal(rc, RC_INVALID);
    }
    fixture_end(a->fixture);
    arena_fini(&arena);
}

static void
refused(void **state)
{
    static const struct {
        const char *text;
        enum rc rc;
    } rows[] = {
        {"query_by=name", RC_INVALID},
        {"q=x", RC_INVALID},
        {"q=", RC_INVALID},
        {"q=x&query_by=", RC_INVALID},
        {"q=x&query_by=id", RC_INVALID},
        {"q=x&query_by=nope", RC_ABSENT},
        {"q=x&query_by=n", RC_INVALID},
        {"q=x&query_by=dark", RC_INVALID},
        {"q=x&query_by=ref", RC_INVALID},
        {"q=x&query_by=name&page=-1", RC_INVALID},
        {"q=x&query_by=name&page=x", RC_INVALID},
        {"q=x&query_by=name&page=4294967296", RC_INVALID},
        {"q=x&query_by=name&per_page=251", RC_UNPROCESSABLE},
        {"q=x&query_by=name&limit=251", RC_UNPROCESSABLE},
        {"q=x&query_by=name&per_page=1.0", RC_INVALID},
        {"q=x&query_by=name&offset=-1", RC_INVALID},
        {"q=x&query_by=name&num_typos=x", RC_INVALID},
        {"q=x&query_by=name&num_typos=1,2", RC_INVALID},
        {"q=x&query_by=name,tags&prefix=true,false,true", RC_INVALID},
        {"q=x&query_by=name&query_by_weights=1,2", RC_INVALID},
        {"q=x&query_by=name&infix=sometimes", RC_INVALID},
        {"q=x&query_by=tags&infix=always", RC_INVALID},
        {"q=x&query_by=name&drop_tokens_mode=all_sides", RC_INVALID},
        {"q=x&query_by=name&drop_tokens_mode=both_sides:x", RC_INVALID},
        {"q=*&group_by=nope", RC_ABSENT},
        {"q=*&group_by=name", RC_INVALID},
        {"q=*&group_by=tags&group_limit=0", RC_INVALID},
        {"q=*&group_by=tags&group_limit=100", RC_INVALID},
        {"q=*&facet_by=name", RC_ABSENT},
        {"q=*&facet_query=tags:x", RC_INVALID},
        {"q=*&facet_by=tags&facet_query=tags", RC_INVALID},
        {"q=*&facet_by=tags&facet_query=nope:x", RC_ABSENT},
        {"q=*&facet_by=tags&facet_query=n:1", RC_INVALID},
        {"q=*&pinned_hits=a", RC_INVALID},
        {"q=*&pinned_hits=a:0", RC_INVALID},
        {"q=*&pinned_hits=a:x", RC_INVALID},
        {"q=*&filter_by=nope:1", RC_INVALID},
        {"q=*&stopwords=en", RC_ABSENT},
        {"q=*&search_cutoff_ms=0", RC_CUTOFF},
        /* What is told first when several things are wrong. */
        {"page=x&query_by=nope", RC_INVALID},
        {"q=x&query_by=nope&filter_by=nope:1", RC_ABSENT},
        {"q=*&filter_by=nope:1&per_page=251", RC_INVALID},
        {"q=*&per_page=251&sort_by=nope:asc", RC_UNPROCESSABLE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ask_expect_error(*state, rows[i].text, rows[i].rc);
}

struct parsed {
    struct arena arena;
    struct qry_plan plan;
};

static void
parse(struct ask *a, const struct idx_collection *c, const char *text, struct parsed *out)
{
    struct qry_params params = {0};
    struct err err = {0};
    size_t n;
    struct qry_parse in = {c, fixture_analyzer(a->fixture), &params, {250, 100, false},
                           &out->arena, &err};

    arena_reset(&out->arena);
    const struct http_param *list = http_params(span_str(text), &out->arena, &n);
    qry_params_url(&params, list, n, &out->arena);
    if (qry_plan_parse(&in, &out->plan) != RC_OK)
        fail_msg("%s: %s", text, err.text);
}

static void
defaults(void **state)
{
    struct ask *a = *state;
    const struct idx_collection *c = fixture_begin(a->fixture);
    struct parsed p = {0};

    parse(a, c, "q=x&query_by=name,tags", &p);
    const struct qry_search *s = &p.plan.search;
    assert_int_equal(p.plan.page, 1);
    assert_int_equal(p.plan.per_page, 10);
    assert_int_equal(s->n_fields, 2);
    assert_int_equal(s->fields[0].weight, 15);
    assert_int_equal(s->fields[1].weight, 14);
    assert_true(s->fields[0].has_prefix && s->first_prefix);
    assert_int_equal(s->fields[1].num_typos, 2);
    assert_int_equal(s->min_len_1typo, 4);
    assert_int_equal(s->min_len_2typo, 7);
    assert_int_equal(s->typo_tokens_threshold, 1);
    assert_int_equal(s->drop_tokens_threshold, 1);
    assert_int_equal(s->max_candidates, 0);
    assert_int_equal(s->split_join, QRY_SPLIT_JOIN_FALLBACK);
    assert_true(s->prioritize_exact_match && s->prioritize_num_matching_fields);
    assert_false(s->prioritize_token_position || s->is_exhaustive || s->is_full);
    assert_int_equal(s->n_sorts, 1);
    assert_int_equal(s->sorts[0].kind, QRY_SORT_TEXT_MATCH);

    parse(a, c,
          "q=x&query_by=name&prefix=1&num_typos=3&exhaustive_search=1&page=0&offset=3&limit=5", &p);
    assert_false(p.plan.search.fields[0].has_prefix);
    assert_int_equal(p.plan.search.fields[0].num_typos, 2);
    assert_false(p.plan.search.is_exhaustive);
    assert_true(p.plan.is_by_offset);
    assert_int_equal(p.plan.offset, 3);
    assert_int_equal(p.plan.per_page, 5);

    parse(a, c, "q=*&facet_by=tags&facet_query=tags:x&match=full&include_fields=id", &p);
    assert_int_equal(p.plan.per_page, 0);
    assert_true(p.plan.search.is_full && p.plan.is_id_only);
    parse(a, c, "q=x&query_by=name&sort_by=n:asc", &p);
    assert_int_equal(p.plan.search.n_sorts, 2);
    assert_int_equal(p.plan.search.sorts[1].kind, QRY_SORT_TEXT_MATCH);
    parse(a, c, "q=x&query_by=name&drop_tokens_mode=both_sides:3", &p);
    assert_int_equal(p.plan.search.drop_mode, QRY_DROP_BOTH_SIDES);
    assert_int_equal(p.plan.search.drop_both_sides_max, 3);
    arena_fini(&p.arena);
    fixture_end(a->fixture);
}

/* 6.2: names in search order with their effective weights. */
static void
weights(void **state)
{
    static const struct {
        const char *text;
        unsigned weight[2];
        bool is_swapped;
    } rows[] = {
        {"5,3", {5, 3}, false},     {"5,5", {5, 5}, false},   {"0,0", {0, 0}, false},
        {"1,5", {15, 14}, true},    {"20,20", {15, 15}, false}, {"128,130", {15, 14}, true},
        {"20,3", {15, 14}, false},  {"x,1", {15, 14}, false}, {"15,15", {15, 15}, false},
    };
    struct ask *a = *state;
    const struct idx_collection *c = fixture_begin(a->fixture);
    struct parsed p = {0};
    char text[100];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        (void)snprintf(text, sizeof text, "q=x&query_by=name,tags&query_by_weights=%s",
                       rows[i].text);
        parse(a, c, text, &p);
        const struct qry_search_field *f = p.plan.search.fields;
        if (f[0].field != rows[i].is_swapped || f[0].weight != rows[i].weight[0] ||
            f[1].weight != rows[i].weight[1])
            fail_msg("%s: field %u, weights %u and %u", rows[i].text, f[0].field, f[0].weight,
                     f[1].weight);
    }
    arena_fini(&p.arena);
    fixture_end(a->fixture);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_sorted),
        cmocka_unit_test(sources),
        cmocka_unit_test_setup_teardown(filters_stay_apart, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(refused, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(defaults, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(weights, setup, ask_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
