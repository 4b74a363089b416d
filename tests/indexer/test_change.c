/* Events and what becomes of them on their way to the apply thread; no server. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "indexer/dirty.h"
#include "indexer/event.h"
#include "indexer/source.h"

static bson_t *
parse(const char *json)
{
    bson_error_t error;
    bson_t *doc = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (!doc)
        fail_msg("%s", error.message);
    return doc;
}

static void
reads_every_kind_of_event(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum ing_event_kind kind;
        const char *collection, *other;
    } rows[] = {
        {"{\"operationType\": \"insert\", \"ns\": {\"db\": \"d\", \"coll\": \"emotes\"},"
         " \"documentKey\": {\"_id\": 1}}",
         ING_EVENT_DOCUMENT, "emotes", ""},
        {"{\"operationType\": \"replace\", \"ns\": {\"coll\": \"x\"},"
         " \"documentKey\": {\"_id\": null}}",
         ING_EVENT_DOCUMENT, "x", ""},
        {"{\"operationType\": \"delete\", \"ns\": {\"coll\": \"x\"},"
         " \"documentKey\": {\"_id\": {\"a\": 1}}}",
         ING_EVENT_DOCUMENT, "x", ""},
        {"{\"operationType\": \"update\", \"ns\": {\"coll\": \"x\"}}", ING_EVENT_OTHER, "x", ""},
        {"{\"operationType\": \"drop\", \"ns\": {\"coll\": \"x\"}}", ING_EVENT_COLLECTION, "x", ""},
        {"{\"operationType\": \"rename\", \"ns\": {\"coll\": \"x\"}, \"to\": {\"coll\": \"y\"}}",
         ING_EVENT_COLLECTION, "x", "y"},
        {"{\"operationType\": \"dropDatabase\", \"ns\": {\"db\": \"d\"}}", ING_EVENT_DATABASE, "",
         ""},
        {"{\"operationType\": \"invalidate\"}", ING_EVENT_INVALIDATE, "", ""},
        {"{\"operationType\": \"createIndexes\", \"ns\": {\"coll\": \"x\"}}", ING_EVENT_OTHER, "x",
         ""},
        {"{\"operationType\": 7, \"ns\": 8, \"documentKey\": 9}", ING_EVENT_OTHER, "", ""},
        {"{}", ING_EVENT_OTHER, "", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct ing_change change;
        bson_t *doc = parse(rows[i].json);
        ing_event_read(doc, &change);
        assert_int_equal(change.kind, rows[i].kind);
        assert_true(span_eq_str(change.collection, rows[i].collection));
        assert_true(span_eq_str(change.other, rows[i].other));
        bson_destroy(doc);
    }
}

/* Of a sharded collection the whole key is kept: it is what a fetch has to say. */
static void
keeps_the_whole_key_of_sharded_collections(void **state)
{
    (void)state;
    struct ing_inbox inbox;
    struct ing_dirty_set d = {0};
    struct ing_change change;
    struct buf key = {0}, routed = {0};
    bson_t *plain = parse("{\"operationType\": \"insert\", \"ns\": {\"coll\": \"x\"},"
                          " \"documentKey\": {\"_id\": 1}}");
    ing_event_read(plain, &change);
    assert_int_equal(change.route.n, 0);
    bson_t *doc = parse("{\"operationType\": \"update\", \"ns\": {\"coll\": \"x\"},"
                        " \"documentKey\": {\"city\": \"b\", \"_id\": 1}}");
    ing_event_read(doc, &change);
    assert_int_equal(change.kind, ING_EVENT_DOCUMENT);
    ing_event_key(3, &change.id, &key);
    ing_inbox_init(&inbox);
    struct ing_note note = {.key = buf_span(&key), .op = change.op, .route = change.route};
    assert_true(ing_inbox_put(&inbox, &note));
    ing_inbox_take(&inbox, 0, 0, 1, &d);
    const char *route = map_get_ptr(&d.routes, buf_span(&key));
    assert_non_null(route);
    ing_event_routed(span_from(buf_span(&key), 1), change.route, &routed);
    bson_t *expected = parse("{\"\": 1, \"city\": \"b\"}");
    assert_true(span_eq(buf_span(&routed),
                        span_of((const char *)bson_get_data(expected), expected->len)));
    bson_destroy(expected);
    bson_destroy(plain);
    bson_destroy(doc);
    buf_fini(&key);
    buf_fini(&routed);
    ing_dirty_set_fini(&d);
    ing_inbox_fini(&inbox);
}

static void
keys_tell_types_and_feeds_apart(void **state)
{
    (void)state;
    struct map keys = {0};
    static const char *const ids[] = {"{\"_id\": 1}", "{\"_id\": {\"$numberLong\": \"1\"}}",
                                      "{\"_id\": \"1\"}", "{\"_id\": {\"a\": 1, \"b\": 2}}",
                                      "{\"_id\": {\"b\": 2, \"a\": 1}}"};
    for (unsigned feed = 0; feed < 2; feed++) {
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
            bson_t *doc = parse(ids[i]);
            bson_iter_t id;
            struct buf key = {0};
            bool is_new;
            assert_true(bson_iter_init_find(&id, doc, "_id"));
            ing_event_key(feed, &id, &key);
            (void)map_put(&keys, buf_span(&key), &is_new);
            assert_true(is_new);
            buf_fini(&key);
            bson_destroy(doc);
        }
    }
    map_fini(&keys);
}

static bool
put(struct ing_inbox *b, const char *key, const char *token)
{
    struct ing_note note = {.key = span_str(key), .token = span_str(token), .time_s = 5};
    return ing_inbox_put(b, &note);
}

static void
position_belongs_to_its_keys(void **state)
{
    (void)state;
    struct ing_inbox b;
    struct ing_dirty_set d = {0};
    ing_inbox_init(&b);
    assert_true(put(&b, "one", "t1") && put(&b, "two", "t2") && put(&b, "one", "t3"));
    ing_inbox_take(&b, 0, 0, 100, &d);
    assert_int_equal(d.keys.n, 2);
    assert_true(span_eq_str(buf_span(&d.position.token), "t3"));
    map_clear(&d.keys);
    ing_inbox_take(&b, 0, 0, 100, &d);
    assert_int_equal(d.keys.n, 0);
    assert_false(ing_position_is_set(&d.position));
    ing_inbox_restart(&b, 77, 3, false, 5);
    ing_inbox_take(&b, 0, 0, 100, &d);
    assert_int_equal(d.position.time_s, 77);
    assert_int_equal(d.rebuild, 5);
    ing_inbox_close(&b);
    assert_false(put(&b, "three", "t4"));
    ing_dirty_set_fini(&d);
    ing_inbox_fini(&b);
}

static void *
put_many(void *arg)
{
    struct ing_inbox *b = arg;
    char key[32];
    for (unsigned i = 0; i < ING_DIRTY_SET_MAX + 1000; i++) {
        snprintf(key, sizeof key, "key %u", i);
        must(put(b, key, key));
    }
    return NULL;
}

static void
waits_when_it_is_full(void **state)
{
    (void)state;
    struct ing_inbox b;
    struct ing_dirty_set d = {0};
    pthread_t thread;
    size_t n = 0;
    ing_inbox_init(&b);
    must(pthread_create(&thread, NULL, put_many, &b) == 0);
    while (ing_inbox_n(&b, NULL) < ING_DIRTY_SET_MAX)
        clock_sleep_us(1000);
    clock_sleep_us(20000);
    assert_int_equal(ing_inbox_n(&b, NULL), ING_DIRTY_SET_MAX);
    while (n < ING_DIRTY_SET_MAX + 1000) {
        ing_inbox_take(&b, 10000, 0, 100, &d);
        n += d.keys.n;
        map_clear(&d.keys);
    }
    pthread_join(thread, NULL);
    assert_int_equal(n, ING_DIRTY_SET_MAX + 1000);
    ing_dirty_set_fini(&d);
    ing_inbox_fini(&b);
}

static void *
sleep_long(void *arg)
{
    (void)ing_inbox_sleep(arg, 60000000);
    return NULL;
}

static void *
put_late(void *arg)
{
    clock_sleep_us(300000); /* by then the taker waits, behind the sleepers */
    must(put(arg, "late", "t"));
    return NULL;
}

/* Others sleep on the same inbox: what comes in wakes the taker, not one of them. */
static void
sleepers_do_not_take_the_wake(void **state)
{
    (void)state;
    struct ing_inbox b;
    struct ing_dirty_set d = {0};
    pthread_t sleepers[3], putter;
    ing_inbox_init(&b);
    for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++)
        must(pthread_create(&sleepers[i], NULL, sleep_long, &b) == 0);
    clock_sleep_us(100000);
    must(pthread_create(&putter, NULL, put_late, &b) == 0);
    uint64_t begin_us = clock_us();
    ing_inbox_take(&b, 20000000, 1000, 100, &d);
    assert_in_range(clock_us() - begin_us, 0, 10000000);
    assert_int_equal(d.keys.n, 1);
    ing_inbox_close(&b);
    pthread_join(putter, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++)
        pthread_join(sleepers[i], NULL);
    ing_dirty_set_fini(&d);
    ing_inbox_fini(&b);
}

static void
tokens_tell_their_time(void **state)
{
    (void)state;
    struct ing_position p = {0};
    uint32_t s, i;
    assert_false(ing_position_time(&p, &s, &i));
    p.time_s = 12;
    p.time_i = 3;
    assert_true(ing_position_time(&p, &s, &i) && s == 12 && i == 3);
    bson_t *token = parse("{\"_data\": \"825F1B2C3D0000000A29295A1004\"}");
    buf_put(&p.token, bson_get_data(token), token->len);
    assert_true(ing_position_time(&p, &s, &i));
    assert_int_equal(s, 0x5f1b2c3d);
    assert_int_equal(i, 10);
    bson_destroy(token);
    token = parse("{\"_data\": {\"$binary\": {\"base64\": \"gl8=\", \"subType\": \"00\"}}}");
    buf_clear(&p.token);
    buf_put(&p.token, bson_get_data(token), token->len);
    assert_false(ing_position_time(&p, &s, &i));
    bson_destroy(token);
    ing_position_fini(&p);
}

static void
errors_are_sorted(void **state)
{
    (void)state;
    bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .code = 286};
    struct err err;
    assert_int_equal(ing_source_error(&error, "x", &err), RC_HISTORY_LOST);
    error.code = 40585;
    assert_int_equal(ing_source_error(&error, "x", &err), RC_HISTORY_LOST);
    error.code = 91;
    assert_int_equal(ing_source_error(&error, "x", &err), RC_UNREACHABLE);
    error.domain = MONGOC_ERROR_STREAM;
    error.code = 286;
    assert_int_equal(ing_source_error(&error, "x", &err), RC_UNREACHABLE);
    for (unsigned n = 0; n < 40; n++) {
        uint64_t us = ing_backoff_us(n);
        assert_in_range(us, 50000, 10000000);
    }
    mongoc_uri_t *uri;
    assert_int_equal(ing_uri_parse("http://x", &uri, &err), RC_INVALID);
    assert_int_equal(ing_uri_parse("mongodb://localhost", &uri, &err), RC_INVALID);
    assert_int_equal(ing_uri_parse("mongodb://localhost/db?connectTimeoutMS=9", &uri, &err), RC_OK);
    assert_int_equal(mongoc_uri_get_option_as_int32(uri, "connecttimeoutms", 0), 9);
    assert_int_equal(mongoc_uri_get_option_as_int32(uri, "serverselectiontimeoutms", 0), 2000);
    mongoc_uri_destroy(uri);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_event),
        cmocka_unit_test(keeps_the_whole_key_of_sharded_collections),
        cmocka_unit_test(keys_tell_types_and_feeds_apart),
        cmocka_unit_test(position_belongs_to_its_keys),
        cmocka_unit_test(waits_when_it_is_full),
        cmocka_unit_test(sleepers_do_not_take_the_wake),
        cmocka_unit_test(tokens_tell_their_time),
        cmocka_unit_test(errors_are_sorted),
    };
    mongoc_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
