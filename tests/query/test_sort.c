/* Sort keys, browsing and buckets: search-semantics section 7, against naive orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "query/buckets.h"
#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"default_sorting_field\":\"n\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\",\"sort\":true,\"optional\":true},"
    "{\"name\":\"n\",\"type\":\"int32\",\"order\":true},"
    "{\"name\":\"big\",\"type\":\"int64\",\"optional\":true,\"order\":true},"
    "{\"name\":\"x\",\"type\":\"float\",\"optional\":true},"
    "{\"name\":\"on\",\"type\":\"bool\",\"optional\":true},"
    "{\"name\":\"list\",\"type\":\"int32[]\",\"optional\":true},"
    "{\"name\":\"plain\",\"type\":\"string\",\"optional\":true}]}";

static const char *const documents[] = {
    "{\"id\":\"a\",\"name\":\"beta\",\"n\":1,\"big\":5,\"x\":-1.5,\"on\":true}",
    "{\"id\":\"b\",\"name\":\"Alpha\",\"n\":2,\"x\":0}",
    "{\"id\":\"c\",\"name\":\"alpha\",\"n\":2,\"big\":-9223372036854775806,\"on\":false}",
    "{\"id\":\"d\",\"n\":0,\"big\":7,\"x\":1e10}",
    "{\"id\":\"e\",\"name\":\"\",\"n\":-3,\"big\":5,\"x\":-2}",
    "{\"id\":\"f\",\"name\":\"\xd0\x9f\",\"n\":5,\"big\":6}",
};

static int
setup(void **state)
{
    struct ask *a = ask_new(schema);
    ask_put(a, documents, ARRAY_SIZE(documents));
    *state = a;
    return 0;
}

static void
keys(void **state)
{
    struct ask *a = *state;

    ask_expect(a, "q=*", "f c b a d e");
    ask_expect(a, "q=*&sort_by=n:asc", "e d a c b f");
    ask_expect(a, "q=*&sort_by=n:DESC", "f c b a d e");
    ask_expect(a, "q=*&sort_by=_seq_id:desc", "f e d c b a");
    ask_expect(a, "q=*&sort_by=_seq_id:asc", "a b c d e f");
    /* Missing numbers are last, unless asked for first. */
    ask_expect(a, "q=*&sort_by=big:desc", "d f e a c b");
    ask_expect(a, "q=*&sort_by=big:asc", "c e a f d b");
    ask_expect(a, "q=*&sort_by=big(missing_values: first):asc", "b c e a f d");
    ask_expect(a, "q=*&sort_by=big(missing_values: last):asc", "c e a f d b");
    ask_expect(a, "q=*&sort_by=x:desc", "d b a e f c");
    ask_expect(a, "q=*&sort_by=x:asc", "e a b d f c");
    ask_expect(a, "q=*&sort_by=on:desc,n:asc", "a c e d b f");
    ask_expect(a, "q=*&sort_by=big:desc,n:asc", "d f e a c b");
    /* Strings: missing and empty are the largest; Cyrillic before Latin. */
    ask_expect(a, "q=*&sort_by=name:asc", "f c b a e d");
    ask_expect(a, "q=*&sort_by=name:desc", "e d a c b f");
    ask_expect(a, "q=*&sort_by=name(missing_values: first):asc", "e d f c b a");
    ask_expect(a, "q=*&sort_by=name(missing_values: last):desc", "a c b f e d");
    ask_expect(a, "q=*&sort_by=name(missing_values: normal):asc,n:asc", "f c b a e d");
    ask_expect(a, "q=*&sort_by=_eval(n:2):desc,n:asc", "c b e d a f");
    ask_expect(a, "q=*&sort_by=_eval([(n:5):1,(big:5):3]):desc,n:asc", "e a f d c b");
    /* Without a query all scores are the same. */
    ask_expect(a, "q=*&sort_by=_text_match(buckets: 3):desc,n:asc", "e d a c b f");
    ask_expect(a, "q=*&sort_by=n:asc&per_page=2&page=2", "a c");
    ask_expect(a, "q=*&sort_by=n:asc&limit=2&offset=3", "c b");
    ask_expect(a, "q=*&sort_by=n:asc&filter_by=n:>0", "a c b f");
}

static void
refused(void **state)
{
    struct ask *a = *state;
    static const char *const invalid[] = {
        "n",          "n:up",
        "n:asc,,",    "n:asc,",
        ":asc",       "n:asc,n:asc,n:asc,n:asc",
        "_text_match(buckets: x):desc",
        "_text_match(buckets: -1):desc",
        "_text_match(foobar: 0):desc",
        "n(foo: bar):desc",
        "n(missing_values: bar):desc",
        "_eval():desc",
        "_eval(nope:1):desc",
        "_eval([(n:1):x]):desc",
        "_eval([(n:1)]):desc",
    };
    static const char *const absent[] = {
        "nope:asc", "plain:asc", "list:asc", "):desc,n:desc", "_rank:asc", "_group_found:desc",
    };
    char text[200];

    for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
        (void)snprintf(text, sizeof text, "q=*&sort_by=%s", invalid[i]);
        ask_expect_error(a, text, RC_INVALID);
    }
    for (size_t i = 0; i < ARRAY_SIZE(absent); i++) {
        (void)snprintf(text, sizeof text, "q=*&sort_by=%s", absent[i]);
        ask_expect_error(a, text, RC_ABSENT);
    }
    ask_expect_error(a, "q=*&sort_by=_eval(n:1):desc,_eval(n:2):desc", RC_UNPROCESSABLE);
}

/* ---- browsing against a naive order ---- */

enum { DOCS = 700, BIG_MISSING = -1000000 };

struct doc {
    bool is_live;
    int id, n, big, name; /* name 0: missing */
    uint64_t seq;
};

struct order { /* one random sort_by, for the comparison below */
    int field[2]; /* 0 n, 1 big, 2 name */
    bool is_asc[2], is_first[2];
    int n;
};

static int
compare_field(const struct doc *x, const struct doc *y, const struct order *o, int i)
{
    int a = o->field[i] == 0 ? x->n : o->field[i] == 1 ? x->big : x->name;
    int b = o->field[i] == 0 ? y->n : o->field[i] == 1 ? y->big : y->name;
    int missing = o->field[i] == 0 ? INT32_MIN : o->field[i] == 1 ? BIG_MISSING : 0;

    if (a == b)
        return 0;
    if (a == missing || b == missing)
        return (a == missing) == o->is_first[i] ? -1 : 1;
    return (a < b) == o->is_asc[i] ? -1 : 1;
}

static int
compare_docs(const void *p, const void *q, void *order)
{
    const struct doc *x = p, *y = q;
    const struct order *o = order;

    for (int i = 0; i < o->n; i++) {
        int c = compare_field(x, y, o, i);
        if (c)
            return c;
    }
    return x->seq > y->seq ? -1 : 1;
}

static void
put_random(struct fixture *f, struct fixture_random *r, struct doc *d, uint64_t *seq)
{
    char text[200], big[40] = "", name[40] = "";

    if (!d->is_live)
        d->seq = *seq;
    ++*seq;
    d->is_live = true;
    d->n = (int)fixture_random_below(r, 40);
    d->big = fixture_random_below(r, 5) ? (int)fixture_random_below(r, 1000) : BIG_MISSING;
    d->name = fixture_random_below(r, 5) ? 1 + (int)fixture_random_below(r, 60) : 0;
    if (d->big != BIG_MISSING)
        (void)snprintf(big, sizeof big, ",\"big\":%d", d->big);
    if (d->name)
        (void)snprintf(name, sizeof name, ",\"name\":\"name %03d\"", d->name);
    (void)snprintf(text, sizeof text, "{\"id\":\"%d\",\"n\":%d%s%s}", d->id, d->n, big, name);
    fixture_put(f, text);
}

static void
check_order(struct ask *a, struct fixture_random *r, const struct doc *docs)
{
    static const char *const fields[] = {"n", "big", "name"};
    struct doc *sorted = xcalloc(DOCS, sizeof *sorted);
    struct order o = {.n = 1 + (int)fixture_random_below(r, 2)};
    char text[400], expected[4096] = "";
    size_t n = 0, n_text = 0, n_expected = 0;
    int least = fixture_random_below(r, 3) ? 0 : (int)fixture_random_below(r, 40);
    size_t per_page = 1 + fixture_random_below(r, 50), page = 1 + fixture_random_below(r, 5);

    n_text = (size_t)snprintf(text, sizeof text, "q=*&include_fields=id&per_page=%zu&page=%zu",
                              per_page, page);
    if (least)
        n_text += (size_t)snprintf(text + n_text, sizeof text - n_text, "&filter_by=n:>=%d", least);
    for (int i = 0; i < o.n; i++) {
        o.field[i] = (int)fixture_random_below(r, 3);
        o.is_asc[i] = fixture_random_below(r, 2);
        o.is_first[i] = fixture_random_below(r, 2);
        n_text += (size_t)snprintf(text + n_text, sizeof text - n_text,
                                   "%s%s(missing_values:%s):%s", i ? "," : "&sort_by=",
                                   fields[o.field[i]], o.is_first[i] ? "first" : "last",
                                   o.is_asc[i] ? "asc" : "desc");
    }
    for (int i = 0; i < DOCS; i++)
        if (docs[i].is_live && docs[i].n >= least)
            sorted[n++] = docs[i];
    qsort_r(sorted, n, sizeof *sorted, compare_docs, &o);
    for (size_t i = (page - 1) * per_page; i < page * per_page && i < n; i++)
        n_expected += (size_t)snprintf(expected + n_expected, sizeof expected - n_expected, "%s%d",
                                       n_expected ? " " : "", sorted[i].id);
    ask_expect(a, text, expected);
    assert_int_equal(a->found, n);
    free(sorted);
}

static void
random_orders(void **state)
{
    struct ask a;
    struct fixture_random r;
    struct doc *docs = xcalloc(DOCS, sizeof *docs);
    uint64_t seq = 0;

    (void)state;
    ask_init(&a, schema);
    fixture_random_init(&r);
    for (int i = 0; i < DOCS; i++)
        docs[i].id = i;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < (round == 0 ? 2000 : 30); i++) {
            struct doc *d = &docs[fixture_random_below(&r, DOCS)];
            if (fixture_random_below(&r, 5)) {
                put_random(a.fixture, &r, d, &seq);
                continue;
            }
            char id[16];
            (void)snprintf(id, sizeof id, "%d", d->id);
            fixture_delete(a.fixture, id);
            d->is_live = false;
        }
        fixture_flush(a.fixture);
        for (int i = 0; i < 20; i++)
            check_order(&a, &r, docs);
    }
    free(docs);
    ask_fini(&a);
}

/* ---- buckets against section 7.3 word by word ---- */

enum { HITS = 600 };

static int
plain_order(const void *a, const void *b)
{
    const struct qry_hit *x = a, *y = b;

    if (x->keys[0] != y->keys[0])
        return x->keys[0] > y->keys[0] ? -1 : 1;
    if (x->keys[1] != y->keys[1])
        return x->keys[1] > y->keys[1] ? -1 : 1;
    return x->doc > y->doc ? -1 : x->doc < y->doc;
}

static void
naive_buckets(struct qry_hit *hits, size_t n, size_t n_buckets)
{
    int64_t scores[250], original[250];
    size_t n_top = n < 250 ? n : 250, n_done = 0;

    if (n_top < n_buckets || n_buckets == 0)
        return;
    while (n_done < n_top) {
        int64_t anchor = hits[n_done].keys[0];
        for (size_t i = 0; i < n_top / n_buckets && n_done < n_top; i++)
            scores[n_done++] = anchor;
    }
    for (size_t i = 0; i < n_top; i++) {
        original[i] = hits[i].keys[0];
        hits[i].keys[0] = scores[i];
        hits[i].text_match = (uint64_t)original[i];
    }
    qsort(hits, n, sizeof *hits, plain_order);
}

static void
buckets(void **state)
{
    static const uint32_t sizes[] = {0, 1, 3, 7, 10, 249, 250, 251};
    struct ask a;
    struct fixture_random r;
    struct arena arena = {0};
    struct qry_hit *hits = xcalloc(HITS, sizeof *hits), *naive = xcalloc(HITS, sizeof *naive);

    (void)state;
    ask_init(&a, schema);
    fixture_random_init(&r);
    for (int i = 0; i < HITS; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "{\"id\":\"%d\",\"n\":%u}", i,
                       fixture_random_below(&r, 50));
        fixture_put(a.fixture, text);
    }
    fixture_flush(a.fixture);
    const struct idx_collection *c = fixture_begin(a.fixture);
    assert_int_equal(c->n_views, 1); /* so that document numbers are the order of insertion */
    for (size_t k = 0; k < ARRAY_SIZE(sizes) * 5; k++) {
        size_t n = k % 5 == 0 ? HITS : 1 + fixture_random_below(&r, HITS);
        struct qry_plan plan = {.search = {.collection = c, .n_sorts = 2}};
        plan.search.sorts[0] =
            (struct qry_sort){.kind = QRY_SORT_TEXT_MATCH, .buckets = sizes[k / 5]};
        plan.search.sorts[1] = (struct qry_sort){.kind = QRY_SORT_FIELD, .field = 1};
        struct qry_keys *key = qry_keys_new(&plan, NULL, &arena);
        for (size_t i = 0; i < n; i++) {
            hits[i] = (struct qry_hit){.doc = (uint32_t)i};
            qry_keys_fill(key, &hits[i], 1000 + fixture_random_below(&r, 30), 0);
        }
        qry_keys_sort(key, hits, n);
        memcpy(naive, hits, n * sizeof *hits);
        qry_buckets_apply(key, &plan.search, hits, n);
        naive_buckets(naive, n, sizes[k / 5]);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(hits[i].doc, naive[i].doc);
        qry_keys_fini(key);
    }
    fixture_end(a.fixture);
    arena_fini(&arena);
    free(hits);
    free(naive);
    ask_fini(&a);
}

/* Two entries (7.4): the first is the bare field score, the last the whole one. */
static void
two_text_matches(void **state)
{
    struct ask *a = *state;
    const struct idx_collection *c = fixture_begin(a->fixture);
    struct qry_plan plan = {.search = {.collection = c, .n_sorts = 3}};
    struct arena arena = {0};
    struct qry_hit hit = {0};

    plan.search.sorts[0] = (struct qry_sort){.kind = QRY_SORT_TEXT_MATCH, .buckets = 3};
    plan.search.sorts[1] = (struct qry_sort){.kind = QRY_SORT_SEQ};
    plan.search.sorts[2] = (struct qry_sort){.kind = QRY_SORT_TEXT_MATCH, .buckets = 10};
    struct qry_keys *k = qry_keys_new(&plan, NULL, &arena);
    qry_keys_fill(k, &hit, 77, 5);
    assert_int_equal(hit.keys[0], 5);
    assert_int_equal(hit.keys[2], 77);
    assert_int_equal(qry_buckets_of(&plan.search), 3);
    qry_keys_fini(k);
    fixture_end(a->fixture);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys, setup, ask_teardown),
        cmocka_unit_test_setup_teardown(refused, setup, ask_teardown),
        cmocka_unit_test(random_orders),
        cmocka_unit_test(buckets),
        cmocka_unit_test_setup_teardown(two_text_matches, setup, ask_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
