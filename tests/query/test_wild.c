/*
 * Parameters that no one would send: random texts made of the pieces of each
 * small language, and random combinations. Nothing may crash, no answer may be
 * anything but JSON, and every failure has a sentence and a status below 500.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"default_sorting_field\":\"n\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\",\"sort\":true,\"facet\":true,\"infix\":true},"
    "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true,\"facet\":true},"
    "{\"name\":\"n\",\"type\":\"int32\",\"facet\":true},"
    "{\"name\":\"x\",\"type\":\"float\",\"optional\":true,\"facet\":true},"
    "{\"name\":\"on\",\"type\":\"bool\",\"optional\":true},"
    "{\"name\":\"nums\",\"type\":\"int64[]\",\"optional\":true,\"facet\":true}]}";

static const char *const pieces[] = {
    "name", "tags", "n", "x", "on", "nums", "id", "_text_match", "_eval", "_seq_id", "_group_found",
    "buckets", "missing_values", "first", "sort_by", "_alpha", "(", ")", "[", "]", "{", "}", ":",
    ":", ":", ",", ",", "&&", "||", "&", "|", "!", "=", "!=", ">", "<=", "..", "*", "`", "\\`",
    " ", " ", "-", "+", ".", "\"", "1", "10", "-3", "0.5", "99999999999999999999", "true", "false",
    "asc", "desc", "always", "fallback", "both_sides", "kappa", "pepe", "cat", "\xc3\xa9", "\xff",
    "\xf0\x9f\x98\x80", "\t",
};

static const char *const names[] = {
    "filter_by", "filter_by", "sort_by", "facet_by", "facet_query", "group_by", "group_limit",
    "pinned_hits", "hidden_hits", "query_by", "query_by_weights", "prefix", "num_typos", "infix",
    "drop_tokens_mode", "drop_tokens_threshold", "typo_tokens_threshold", "page", "per_page",
    "offset", "limit", "limit_hits", "include_fields", "exclude_fields", "highlight_fields",
    "highlight_full_fields", "snippet_threshold", "highlight_affix_num_tokens", "max_candidates",
    "max_facet_values", "exhaustive_search", "split_join_tokens", "text_match_type", "match",
    "min_len_1typo", "search_cutoff_ms", "facet_query_num_typos", "filter_curated_hits",
    "group_missing_values", "highlight_start_tag", "max_extra_prefix", "rank_tokens_by",
};

static void
add_text(struct buf *out, struct fixture_random *r, uint32_t n_max)
{
    for (uint32_t n = fixture_random_below(r, n_max); n > 0; n--) {
        struct span piece = span_str(pieces[fixture_random_below(r, ARRAY_SIZE(pieces))]);
        http_encode(out, piece);
    }
}

static void
add_good(struct buf *out, struct fixture_random *r, const char *name)
{
    static const char *const values[] = {
        "n:>1", "name:=kappa", "tags:[cat,pepe*]", "n:asc", "name:desc,n:asc",
        "_text_match(buckets:3):desc,n:asc", "name", "tags,name", "n", "nums", "1", "2", "true",
        "both_sides:2", "n(a:[,1],b:[1,])", "tags:ca", "1:1,2:1", "_eval(n:1):desc",
    };

    (void)name;
    http_encode(out, span_str(values[fixture_random_below(r, ARRAY_SIZE(values))]));
}

static void
fill(struct ask *a, struct fixture_random *r)
{
    static const char *const words[] = {"kappa", "Pepe", "cat", "big", "jam", "happy"};
    char text[300];

    for (int i = 0; i < 60; i++) {
        const char *w = words[fixture_random_below(r, 6)], *v = words[fixture_random_below(r, 6)];
        (void)snprintf(text, sizeof text,
                       "{\"id\":\"%d\",\"name\":\"%s%s %s\",\"tags\":[\"%s\",\"\",\"%s %s\"],"
                       "\"n\":%u,\"x\":%u.5,\"on\":%s,\"nums\":[%d,%d]}",
                       i, w, i % 3 ? "" : v, v, v, w, v, fixture_random_below(r, 10),
                       fixture_random_below(r, 5), i % 2 ? "true" : "false", i % 5, i % 5);
        fixture_put(a->fixture, text);
        if (i % 20 == 19)
            fixture_flush(a->fixture);
    }
    fixture_delete(a->fixture, "7");
    fixture_flush(a->fixture);
}

static void
wild(void **state)
{
    struct ask a;
    struct fixture_random r;
    struct buf query = {0};
    int n_answered = 0;

    (void)state;
    fixture_random_init(&r);
    ask_init(&a, schema);
    fill(&a, &r);
    for (int i = 0; i < 6000; i++) {
        buf_clear(&query);
        buf_puts(&query, "q=");
        if (fixture_random_below(&r, 3))
            buf_puts(&query, fixture_random_below(&r, 2) ? "*" : "kapa%20cat");
        else
            add_text(&query, &r, 6);
        if (fixture_random_below(&r, 4))
            buf_puts(&query, "&query_by=name,tags");
        for (uint32_t n = fixture_random_below(&r, 4); n > 0; n--) {
            const char *name = names[fixture_random_below(&r, ARRAY_SIZE(names))];
            buf_printf(&query, "&%s=", name);
            if (fixture_random_below(&r, 2))
                add_good(&query, &r, name);
            else
                add_text(&query, &r, 10);
        }
        buf_putc(&query, '\0');
        enum rc rc = ask(&a, query.p); /* parses the answer */
        n_answered += rc == RC_OK;
        if (rc != RC_OK && (rc_http(rc) >= 500 || !a.err.text[0]))
            fail_msg("%s: %d %s", query.p, rc_http(rc), a.err.text);
    }
    assert_in_range(n_answered, 600, 5400); /* else it tests only one side */
    buf_fini(&query);
    ask_fini(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wild),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
