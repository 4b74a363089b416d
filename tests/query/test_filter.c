/*
 * filter_by: the grammar and meanings of search-semantics section 9, and the
 * evaluation against a naive one over random documents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "query/filter.h"
#include "tests/query/fixture.h"

static const char schema[] =
    "{\"name\":\"c\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},"
    "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true,\"facet\":true},"
    "{\"name\":\"ref\",\"type\":\"string\",\"optional\":true,\"index\":\"exact\"},"
    "{\"name\":\"n\",\"type\":\"int32\",\"optional\":true},"
    "{\"name\":\"big\",\"type\":\"int64\",\"optional\":true},"
    "{\"name\":\"x\",\"type\":\"float\",\"optional\":true},"
    "{\"name\":\"on\",\"type\":\"bool\",\"optional\":true},"
    "{\"name\":\"nums\",\"type\":\"int32[]\",\"optional\":true},"
    "{\"name\":\"dark\",\"type\":\"string\",\"optional\":true,\"index\":false}]}";

static const char *const documents[] = {
    "{\"id\":\"a\",\"name\":\"Kappa!\",\"tags\":[\"foo\",\"big cat\"],\"n\":1,\"big\":5000000000,"
    "\"x\":0.1,\"on\":true,\"nums\":[1,2],\"ref\":\"emote:1\"}",
    "{\"id\":\"b\",\"name\":\"Kappa Pride\",\"tags\":[\"bar\"],\"n\":2,\"big\":-1,\"x\":1.5,"
    "\"on\":false,\"nums\":[5],\"ref\":\"emote:2\"}",
    "{\"id\":\"c\",\"name\":\"pride of kappa\",\"n\":3,\"x\":-2,\"nums\":[]}",
    "{\"id\":\"d\",\"name\":\"x:y (z)\",\"tags\":[\"a,b\",\"cat\",\"big\"],\"n\":-7,\"big\":0,"
    "\"on\":true,\"nums\":[10,-3,7]}",
    "{\"id\":\"e\",\"name\":\"kappaross\",\"tags\":[]}",
};

static int
setup(void **state)
{
    struct fixture *f = fixture_new(schema);

    fixture_put(f, documents[0]);
    fixture_put(f, "{\"id\":\"c\",\"name\":\"an older version\",\"n\":99}");
    fixture_put(f, documents[1]);
    fixture_flush(f);
    for (size_t i = 2; i < ARRAY_SIZE(documents); i++)
        fixture_put(f, documents[i]);
    fixture_put(f, "{\"id\":\"gone\",\"name\":\"kappa\",\"n\":1,\"on\":true}");
    fixture_flush(f);
    fixture_delete(f, "gone");
    fixture_flush(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* The matching ids, sorted, one letter each; NULL in *out for an error. */
static void
matching(struct fixture *f, const char *expression, char out[64])
{
    const struct idx_collection *c = fixture_begin(f);
    struct arena arena = {0};
    struct err err = {0};
    const struct qry_filter *filter = NULL;
    bool has[128] = {false};
    char id[IDX_ID_MAX];
    size_t n = 0;

    struct qry_filter_parser parser = {c, fixture_analyzer(f), 100, &arena, &err};
    enum rc rc = qry_filter_parse(&parser, span_str(expression), &filter);
    if (rc != RC_OK) {
        assert_int_equal(rc, RC_INVALID);
        assert_true(err.text[0]);
        (void)snprintf(out, 64, "error");
    } else if (!filter) {
        (void)snprintf(out, 64, "none");
    } else {
        for (uint32_t v = 0; v < c->n_views; v++) {
            const struct idx_view *view = &c->views[v];
            uint64_t *words = arena_calloc(&arena, qry_words_n(view->n_docs) + 1, sizeof *words);
            qry_filter_eval(filter, view, NULL, &arena, words);
            for (uint32_t d = 0; d < view->n_docs; d++)
                if (words[d / 64] >> (d % 64) & 1)
                    has[(unsigned char)idx_segment_id(view->segment, d, id).p[0]] = true;
        }
        for (int i = 0; i < 128; i++)
            if (has[i])
                out[n++] = (char)i;
        out[n] = '\0';
    }
    arena_fini(&arena);
    fixture_end(f);
}

struct row {
    const char *expression, *ids;
};

static void
check_rows(void **state, const struct row *rows, size_t n)
{
    char ids[64];

    for (size_t i = 0; i < n; i++) {
        matching(*state, rows[i].expression, ids);
        if (strcmp(ids, rows[i].ids) != 0)
            fail_msg("%s: %s, not %s", rows[i].expression, ids, rows[i].ids);
    }
}

static void
strings(void **state)
{
    static const struct row rows[] = {
        {"name:kappa", "abc"},
        {"name: KAPPA! ", "abc"},
        {"name:kappa pride", "bc"},
        {"name:pride kappa", "bc"},
        {"name:=kappa", "a"},
        {"name:==kappa", "a"},
        {"name:=Kappa Pride", "b"},
        {"name:=pride kappa", ""},
        {"name:!=kappa", "bcde"},
        {"name:!kappa", "de"},
        {"name:kap*", "abce"},
        {"name:=kappa*", "abe"},
        {"name:=kappa p*", "b"},
        {"name:`kap*`", ""},
        {"name:[kappa pride, `x:y (z)`]", "bcd"},
        {"name:=[kappa, kappaross]", "ae"},
        {"name:!=[kappa, kappaross]", "bcd"},
        {"name:![kappa]", "de"},
        {"name:=x:y `(z)`", "d"},
        {"name:[]", ""},
        {"name:[kappar*,xy]", "de"},
        {"name:(x:y)", "d"}, /* brackets directly behind the colon belong to the value */
        {"name:absent", ""},
        {"tags:cat", "ad"},
        {"tags:big cat", "ad"},
        {"tags:=big cat", "a"},
        {"tags:=big", "d"},
        {"tags:!=foo", "bcde"},
        {"tags:!cat", "bce"},
        {"tags:=a,b", "d"},
        {"tags:=[`a,b`]", "d"},
        {"tags:[(cat)]", "ad"},
        {"tags:=[(cat)]", "error"},
        {"ref:emote:1", "a"},
        {"ref:=emote:2", "b"},
        {"ref:[emote:1, emote:2]", "ab"},
        {"ref:!=emote:1", "bcde"},
        {"ref:emote:*", "ab"},
        {"ref:emote", ""},
    };

    check_rows(state, rows, ARRAY_SIZE(rows));
}

static void
numbers(void **state)
{
    static const struct row rows[] = {
        {"n:1", "a"},
        {"n:=1", "a"},
        {"n:+1", "a"},
        {"n:=-7", "d"},
        {"n:>1", "bc"},
        {"n:>=1", "abc"},
        {"n: < 2 ", "ad"},
        {"n:<=-7", "d"},
        {"n:!=1", "bcde"},
        {"n:[1,3]", "ac"},
        {"n:=[1,3]", "ac"},
        {"n:!=[1,3]", "bde"},
        {"n:[>2, <0]", "cd"},
        {"n:[!=1]", "bcde"},
        {"n:1..2", "ab"},
        {"n:[1..2, -7]", "abd"},
        {"n:[3..1]", ""},
        {"n:[1..]", ""},
        {"n:[..3]", ""},
        {"n:[]", ""},
        {"n:>2147483646", ""},
        {"n:<=2147483647", "abcd"},
        {"n:2147483648", "error"},
        {"n:-2147483649", "error"},
        {"big:5000000000", "a"},
        {"big:<0", "b"},
        {"big:>9223372036854775807", ""},
        {"big:<-9223372036854775808", ""},
        {"big:>=-9223372036854775808", "abd"},
        {"big:9223372036854775808", "error"},
        {"x:0.1", "a"},
        {"x:0.10000000149", "a"},
        {"x:>0", "ab"},
        {"x:>=1.5", "b"},
        {"x:>1.5", ""},
        {"x:<1.5", "ac"},
        {"x:!=1.5", "acde"},
        {"x:[0..1.5]", "ab"},
        {"x:-2", "c"},
        {"on:true", "ad"},
        {"on:=false", "b"},
        {"on:!=true", "bce"},
        {"on:[true,false]", "abd"},
        {"on:!=[true]", "bce"},
        {"nums:5", "b"},
        {"nums:>1", "abd"},
        {"nums:!=5", "acde"},
        {"nums:[1..2]", "a"},
        {"nums:[-3, 5]", "bd"},
    };

    check_rows(state, rows, ARRAY_SIZE(rows));
}

static void
ids_and_grammar(void **state)
{
    static const struct row rows[] = {
        {"id:a", "a"},
        {"id:=a", "a"},
        {"id:A", ""},
        {"id:!=a", "bcde"},
        {"id:[a, `b`, gone]", "ab"},
        {"id:!=[a,b]", "cde"},
        {"id:*", "abcde"},
        {"", "none"},
        {"  ", "none"},
        {"n:1 || n:2 && on:true", "a"},
        {"n:1 && on:true || n:2", "ab"},
        {"n:1 || (n:2 && on:false)", "ab"},
        {"((n:1))", "a"},
        {"(n:1||n:2)&&name:pride", "b"},
        {"name:`a && b` || n:3", "c"},
        {" n : > 1 ", "bc"},
        {"n:1 && n:2", ""},
        /* A value without tokens is refused at the front, and matches nothing later. */
        {"n:1 && name:???", ""},
        {"n:1 && tags:=*", ""},
        {"n:1 || (name:=??? || n:2)", "ab"},
        {"n:1 || tags:[:), cat]", "ad"},
        {"(n:1) || ((n:2))", "ab"},
    };

    check_rows(state, rows, ARRAY_SIZE(rows));
}

static void
errors(void **state)
{
    static const char *const texts[] = {
        "nope:1",       "n",           "name",       "n:",        "n:abc",     "n:1.5",
        "n:==1",        "n:! 1",       "n:[1",       "n:[a]",     "name:",     "name:=",
        "name: ",       "name:!!!",    "name:[a",    "name:``",   "on:1",      "on:TRUE",
        "on:[yes]",     "x:abc",       "id:",        "id:=",      "dark:x",    "&& n:1",
        "n:1 &&",       "n:1 || ",     "|| n:1",     "n:1 && && n:2",          "(n:1",
        "n:1)",         "()",          "(n:1) n:2",  "(n:1) & n:2",            "n:1 (n:2)",
        "!n:1",         "name:foo(bar)",             "n:1 && ()",              "tags:*",
        "(n:1) | n:2",  "(",           ")",          "n:>",       "n:[1,x]",   "n:1..x",
        "n:>1..2",      "name:!!! || n:1",           "n:1 && name:``",         "tags:[foo, :)]",
    };
    char ids[64];

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        matching(*state, texts[i], ids);
        if (strcmp(ids, "error") != 0)
            fail_msg("%s: %s, not an error", texts[i], ids);
    }
}

static void
bounds(void **state)
{
    char text[4096], ids[64];
    size_t n = 0;

    /* 50 clauses and 49 operators are allowed, 51 and 50 are not. */
    for (int i = 0; i < 50; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%sn:%d", i ? "||" : "", i);
    matching(*state, text, ids);
    assert_string_equal(ids, "abc");
    (void)snprintf(text + n, sizeof text - n, "||n:50");
    matching(*state, text, ids);
    assert_string_equal(ids, "error");
    memset(text, '(', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    matching(*state, text, ids);
    assert_string_equal(ids, "error");
}

/* ---- against a naive evaluation ---- */

enum { DOCS = 1500, WORDS = 12, ROUNDS = 300 };

struct doc { /* what the naive evaluation knows of a document */
    bool is_live, has_n, has_x, has_on, on;
    int n;
    float x;
    int nums[4], n_nums;
    int name[4], n_name; /* words */
    int tags[3][2], tag_n[3], n_tags;
};

static const char *const words[WORDS] = {"pepe", "kappa", "cat",  "jam",  "sad", "pep",
                                         "ka",   "pog",   "poggers", "lul", "ez",  "wow"};

static void
put_random(struct fixture *f, struct fixture_random *r, int id, struct doc *d)
{
    struct buf b = {0};

    *d = (struct doc){.is_live = true};
    d->n_name = 1 + (int)fixture_random_below(r, 3);
    buf_printf(&b, "{\"id\":\"%d\",\"name\":\"", id);
    for (int i = 0; i < d->n_name; i++) {
        d->name[i] = (int)fixture_random_below(r, WORDS);
        buf_printf(&b, "%s%s", i ? " " : "", words[d->name[i]]);
    }
    buf_puts(&b, "\",\"tags\":[");
    d->n_tags = (int)fixture_random_below(r, 4);
    for (int i = 0; i < d->n_tags; i++) {
        d->tag_n[i] = 1 + (int)fixture_random_below(r, 2);
        buf_puts(&b, i ? ",\"" : "\"");
        for (int k = 0; k < d->tag_n[i]; k++) {
            d->tags[i][k] = (int)fixture_random_below(r, WORDS);
            buf_printf(&b, "%s%s", k ? " " : "", words[d->tags[i][k]]);
        }
        buf_putc(&b, '"');
    }
    buf_puts(&b, "],\"nums\":[");
    d->n_nums = (int)fixture_random_below(r, 5);
    for (int i = 0; i < d->n_nums; i++) {
        d->nums[i] = (int)fixture_random_below(r, 20) - 10;
        buf_printf(&b, "%s%d", i ? "," : "", d->nums[i]);
    }
    buf_putc(&b, ']');
    d->has_n = fixture_random_below(r, 4) > 0;
    d->n = (int)fixture_random_below(r, 20) - 10;
    if (d->has_n)
        buf_printf(&b, ",\"n\":%d", d->n);
    d->has_x = fixture_random_below(r, 4) > 0;
    d->x = (float)fixture_random_below(r, 20) / 4 - 2;
    if (d->has_x)
        buf_printf(&b, ",\"x\":%.2f", (double)d->x);
    d->has_on = fixture_random_below(r, 4) > 0;
    d->on = fixture_random_below(r, 2);
    if (d->has_on)
        buf_printf(&b, ",\"on\":%s", d->on ? "true" : "false");
    buf_puts(&b, "}");
    buf_putc(&b, '\0');
    fixture_put(f, b.p);
    buf_fini(&b);
}

static bool
has_word(const int *list, int n, int word, bool is_prefix)
{
    for (int i = 0; i < n; i++)
        if (list[i] == word ||
            (is_prefix && strncmp(words[list[i]], words[word], strlen(words[word])) == 0))
            return true;
    return false;
}

/* A random clause as text, and its truth for each document. */
static void
random_clause(struct fixture_random *r, const struct doc *docs, char text[128], bool truth[DOCS])
{
    int kind = (int)fixture_random_below(r, 9), v = (int)fixture_random_below(r, 20) - 10;
    int a = (int)fixture_random_below(r, WORDS), b = (int)fixture_random_below(r, WORDS);
    float x = (float)v / 4;

    switch (kind) {
    case 0:
        (void)snprintf(text, 128, "n:>=%d", v);
        break;
    case 1:
        (void)snprintf(text, 128, "n:!=[%d..%d, %d]", v, v + 3, -v);
        break;
    case 2:
        (void)snprintf(text, 128, "x: < %.2f", (double)x);
        break;
    case 3:
        (void)snprintf(text, 128, "on:!=true");
        break;
    case 4:
        (void)snprintf(text, 128, "nums:[%d, >8]", v);
        break;
    case 5:
        (void)snprintf(text, 128, "name:%s %s", words[a], words[b]);
        break;
    case 6:
        (void)snprintf(text, 128, "name:=%s %s", words[a], words[b]);
        break;
    case 7:
        (void)snprintf(text, 128, "tags:!=%s", words[a]);
        break;
    default:
        (void)snprintf(text, 128, "name:[%s*, %s]", words[a], words[b]);
        break;
    }
    for (int i = 0; i < DOCS; i++) {
        const struct doc *d = &docs[i];
        bool t = false;
        switch (kind) {
        case 0:
            t = d->has_n && d->n >= v;
            break;
        case 1:
            t = !(d->has_n && ((d->n >= v && d->n <= v + 3) || d->n == -v));
            break;
        case 2:
            t = d->has_x && d->x < x;
            break;
        case 3:
            t = !(d->has_on && d->on);
            break;
        case 4:
            for (int k = 0; k < d->n_nums; k++)
                t = t || d->nums[k] == v || d->nums[k] > 8;
            break;
        case 5:
            t = has_word(d->name, d->n_name, a, false) && has_word(d->name, d->n_name, b, false);
            break;
        case 6:
            t = d->n_name == 2 && d->name[0] == a && d->name[1] == b;
            break;
        case 7:
            t = true;
            for (int k = 0; k < d->n_tags; k++)
                t = t && !(d->tag_n[k] == 1 && d->tags[k][0] == a);
            break;
        default:
            t = has_word(d->name, d->n_name, a, true) || has_word(d->name, d->n_name, b, false);
            break;
        }
        truth[i] = t;
    }
}

static void
check_random(struct fixture *f, const char *text, const struct doc *docs, const bool *truth,
             struct qry_filter_cache *cache)
{
    const struct idx_snapshot *s = fixture_snapshot(f);
    size_t n_collections;
    const struct idx_collection *c = idx_snapshot_collections(s, &n_collections)[0];
    struct arena arena = {0};
    struct err err = {0};
    const struct qry_filter *filter = NULL;
    char id[IDX_ID_MAX];
    size_t n_expected = 0, n_found = 0;

    qry_filter_cache_begin(cache);
    struct qry_filter_parser parser = {c, fixture_analyzer(f), 100, &arena, &err};
    if (qry_filter_parse(&parser, span_str(text), &filter) != RC_OK)
        fail_msg("%s: %s", text, err.text);
    for (int i = 0; i < DOCS; i++)
        n_expected += docs[i].is_live && truth[i];
    for (uint32_t v = 0; v < c->n_views; v++) {
        const struct idx_view *view = &c->views[v];
        uint64_t *bits = arena_calloc(&arena, qry_words_n(view->n_docs) + 1, sizeof *bits);
        qry_filter_eval(filter, view, cache, &arena, bits);
        for (uint32_t d = 0; d < view->n_docs; d++) {
            uint64_t number;
            if (!(bits[d / 64] >> (d % 64) & 1))
                continue;
            assert_true(span_u64(idx_segment_id(view->segment, d, id), &number));
            if (!docs[number].is_live || !truth[number])
                fail_msg("%s matches %llu", text, (unsigned long long)number);
            n_found++;
        }
    }
    if (n_found != n_expected)
        fail_msg("%s: %zu documents, not %zu", text, n_found, n_expected);
    arena_fini(&arena);
    fixture_end(f);
}

static void
random_filters(void **state)
{
    struct fixture *f = fixture_new(schema);
    struct doc *docs = xcalloc(DOCS, sizeof *docs);
    bool *truth = xcalloc(DOCS, sizeof *truth), *other = xcalloc(DOCS, sizeof *other);
    struct qry_filter_cache *cache = qry_filter_cache_new(1 << 20);
    struct fixture_random r;
    char text[600], clause[128];

    (void)state;
    fixture_random_init(&r);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < (round ? 20 : 2 * DOCS); i++) {
            int id = (int)fixture_random_below(&r, DOCS);
            if (fixture_random_below(&r, 4)) {
                put_random(f, &r, id, &docs[id]);
            } else {
                char name[16];
                (void)snprintf(name, sizeof name, "%d", id);
                fixture_delete(f, name);
                docs[id].is_live = false;
            }
        }
        if (round % 5)
            continue;
        fixture_flush(f);
        if (round % 50 == 0) /* what is remembered of files holds from snapshot to snapshot */
            must(idx_merge_all(fixture_idx(f), NULL) == RC_OK);
        for (int k = 0; k < 10; k++) {
            random_clause(&r, docs, clause, truth);
            size_t n = (size_t)snprintf(text, sizeof text, "%s", clause);
            for (uint32_t more = fixture_random_below(&r, 3); more > 0; more--) {
                bool is_and = fixture_random_below(&r, 2);
                random_clause(&r, docs, clause, other);
                n += (size_t)snprintf(text + n, sizeof text - n, " %s (%s)", is_and ? "&&" : "||",
                                      clause);
                for (int i = 0; i < DOCS; i++)
                    truth[i] = is_and ? truth[i] && other[i] : truth[i] || other[i];
            }
            check_random(f, text, docs, truth, cache);
            check_random(f, text, docs, truth, cache);
        }
    }
    qry_filter_cache_free(cache);
    fixture_free(f);
    free(docs);
    free(truth);
    free(other);
}

/* Room for two bitmaps: the third waits until the cache was emptied for the next request. */
static void
cache_room(void **state)
{
    struct qry_filter_cache *cache = qry_filter_cache_new(2 * sizeof(uint64_t));
    const uint64_t word = 5;

    (void)state;
    qry_filter_cache_begin(cache);
    qry_filter_cache_put(cache, 0, SPAN_LIT("a"), &word, 1); /* takes no room */
    assert_null(qry_filter_cache_get(cache, 0, SPAN_LIT("a")));
    qry_filter_cache_put(cache, 1, SPAN_LIT("a"), &word, 1);
    qry_filter_cache_put(cache, 1, SPAN_LIT("b"), &word, 1);
    qry_filter_cache_put(cache, 1, SPAN_LIT("c"), &word, 1);
    assert_int_equal(*qry_filter_cache_get(cache, 1, SPAN_LIT("b")), 5);
    assert_null(qry_filter_cache_get(cache, 2, SPAN_LIT("b")));
    assert_null(qry_filter_cache_get(cache, 1, SPAN_LIT("c")));
    qry_filter_cache_begin(cache);
    assert_null(qry_filter_cache_get(cache, 1, SPAN_LIT("b")));
    qry_filter_cache_put(cache, 1, SPAN_LIT("c"), &word, 1);
    qry_filter_cache_begin(cache);
    assert_non_null(qry_filter_cache_get(cache, 1, SPAN_LIT("c")));
    qry_filter_cache_free(cache);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(strings, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_and_grammar, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds, setup, teardown),
        cmocka_unit_test(cache_room),
        cmocka_unit_test(random_filters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
