/* Rights: admin, search, stored and scoped keys. search-semantics 15.4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/hash.h"
#include "query/keys.h"
#include "tests/query/ask.h"

static const char schema[] =
    "{\"name\":\"c\",\"fields\":[{\"name\":\"n\",\"type\":\"int32\"}]}";

struct keys {
    struct fixture *fixture;
    struct qry_options options;
    struct qry_keyring *ring;
};

static int
setup(void **state)
{
    struct keys *k = xcalloc(1, sizeof *k);

    k->fixture = fixture_new(schema);
    qry_options_init(&k->options);
    k->options.idx = fixture_idx(k->fixture);
    k->options.admin_key = "the-admin";
    k->options.search_key = "the-searcher";
    k->ring = qry_keyring_new(&k->options);
    *state = k;
    return 0;
}

static int
teardown(void **state)
{
    struct keys *k = *state;

    qry_keyring_free(k->ring);
    fixture_free(k->fixture);
    free(k);
    return 0;
}

static void
store(struct keys *k, const char *id, const char *value)
{
    fixture_entry(k->fixture, "key", id, value);
    fixture_flush(k->fixture);
    qry_keyring_refresh(k->ring, fixture_snapshot(k->fixture));
    fixture_end(k->fixture);
}

static bool
allows(struct keys *k, const char *key, const char *action, const char *collection)
{
    return qry_keyring_allows(k->ring, span_str(key), action, span_str(collection));
}

static void
own_keys(void **state)
{
    struct keys *k = *state;

    assert_true(allows(k, "the-admin", "collections:delete", "c"));
    assert_true(allows(k, "the-admin", "*", ""));
    assert_false(allows(k, "the-admi", "documents:search", "c"));
    assert_false(allows(k, "the-admin ", "documents:search", "c"));
    assert_false(allows(k, "", "documents:search", "c"));
    assert_true(allows(k, "the-searcher", "documents:search", "c"));
    assert_false(allows(k, "the-searcher", "documents:get", "c"));
    assert_false(allows(k, "the-searcher", "collections:list", ""));
    k->options.admin_key = NULL; /* no key, no doors */
    assert_true(allows(k, "", "collections:delete", "c"));
}

static void
stored_keys(void **state)
{
    struct keys *k = *state;

    store(k, "0",
          "{\"id\":0,\"value\":\"k0\",\"actions\":[\"documents:*\"],\"collections\":[\"c\","
          "\"org_.*\"],\"expires_at\":64723363199}");
    assert_true(allows(k, "k0", "documents:search", "c"));
    assert_true(allows(k, "k0", "documents:create", "org_1"));
    assert_false(allows(k, "k0", "documents:create", "my_org_1"));
    assert_false(allows(k, "k0", "documents:create", "d"));
    assert_false(allows(k, "k0", "collections:get", "c"));
    assert_false(allows(k, "k0", "documents:search", ""));
    assert_false(allows(k, "k", "documents:search", "c"));
    store(k, "1",
          "{\"id\":1,\"value\":\"k1\",\"actions\":[\"collections:list\"],\"collections\":[\"*\"]}");
    assert_true(allows(k, "k1", "collections:list", ""));
    assert_true(allows(k, "k0", "documents:search", "c"));
    store(k, "2",
          "{\"id\":2,\"value\":\"k2\",\"actions\":[\"*\"],\"collections\":[\".*\"],"
          "\"expires_at\":1000}");
    assert_false(allows(k, "k2", "documents:search", "c")); /* long expired */
    store(k, "0", NULL);
    assert_false(allows(k, "k0", "documents:search", "c"));
}

/* Expressions that could be slow are no expressions. */
static void
wild_patterns(void **state)
{
    struct keys *k = *state;
    char json[700], pattern[400];

    memset(pattern, 'a', sizeof pattern);
    pattern[399] = '\0';
    (void)snprintf(json, sizeof json,
                   "{\"value\":\"k\",\"actions\":[\"*\"],\"collections\":[\"%s|c\","
                   "\"(a)\\\\1|c\",\"a{1,9}|c\",\"(c\"]}",
                   pattern);
    store(k, "0", json);
    assert_false(allows(k, "k", "documents:search", "c"));
    assert_true(allows(k, "k", "documents:search", "(c")); /* as a name */
}

static void
make_scoped(const char *parent, const char *params, struct buf *out)
{
    unsigned char mac[32];
    struct buf text = {0};

    buf_clear(out);
    hmac_sha256(span_str(parent), span_str(params), mac);
    base64_encode(&text, span_of((const char *)mac, sizeof mac));
    buf_put(&text, parent, 4);
    buf_puts(&text, params);
    base64_encode(out, buf_span(&text));
    buf_fini(&text);
}

static bool
allows_scoped(struct keys *k, const struct buf *key, struct qry_params *embedded,
              struct arena *arena)
{
    *embedded = (struct qry_params){0};
    return qry_keyring_allows_search(k->ring, buf_span(key), SPAN_LIT("c"), arena, embedded);
}

static void
scoped_keys(void **state)
{
    struct keys *k = *state;
    struct arena arena = {0};
    struct qry_params embedded;
    struct buf key = {0};

    store(k, "0",
          "{\"value\":\"parent-key\",\"actions\":[\"documents:search\"],\"collections\":[\"c\"]}");
    store(k, "1",
          "{\"value\":\"strong-key\",\"actions\":[\"*\"],\"collections\":[\"*\"]}");
    make_scoped("parent-key", "{\"filter_by\":\"n:1\",\"per_page\":5}", &key);
    assert_true(allows_scoped(k, &key, &embedded, &arena));
    assert_true(span_eq_str(embedded.value[QRY_P_FILTER_BY], "n:1"));
    assert_true(span_eq_str(embedded.value[QRY_P_PER_PAGE], "5"));
    /* For searching only, and only in the parent's collections. */
    assert_false(qry_keyring_allows(k->ring, buf_span(&key), "documents:get", SPAN_LIT("c")));
    assert_false(qry_keyring_allows_search(k->ring, buf_span(&key), SPAN_LIT("d"), &arena,
                                           &embedded));
    /* A changed byte, an expired key, a parent that may do more. */
    struct buf changed = {0}, text = {0};
    assert_true(base64_decode(&text, buf_span(&key)));
    text.p[text.n - 2] = '6';
    base64_encode(&changed, buf_span(&text));
    assert_false(allows_scoped(k, &changed, &embedded, &arena));
    make_scoped("parent-key", "{\"filter_by\":\"n:1\",\"expires_at\":1000}", &key);
    assert_false(allows_scoped(k, &key, &embedded, &arena));
    make_scoped("parent-key", "{\"filter_by\":\"n:1\",\"expires_at\":64723363199}", &key);
    assert_true(allows_scoped(k, &key, &embedded, &arena));
    make_scoped("strong-key", "{\"filter_by\":\"n:1\"}", &key);
    assert_false(allows_scoped(k, &key, &embedded, &arena));
    make_scoped("the-searcher", "{\"filter_by\":\"n:1\"}", &key);
    assert_true(allows_scoped(k, &key, &embedded, &arena));
    make_scoped("parent-key", "[]", &key);
    assert_false(allows_scoped(k, &key, &embedded, &arena));
    buf_fini(&key);
    buf_fini(&text);
    buf_fini(&changed);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(own_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(stored_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(wild_patterns, setup, teardown),
        cmocka_unit_test_setup_teardown(scoped_keys, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
