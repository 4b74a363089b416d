/*
 * What is asked of MongoDB: keys of sharded collections go whole, so that the
 * router knows whom to ask. There is no sharded cluster here: the commands
 * that are sent are looked at, and what a replica set makes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/event.h"
#include "indexer/fetch.h"
#include "indexer/pipeline.h"
#include "tests/indexer/mongo_rig.h"
#include "tests/indexer/world.h"

struct watch {
    char filter[1024]; /* of the last find */
    unsigned n_found;
};

static void
see_command(const mongoc_apm_command_started_t *event)
{
    struct watch *w = mongoc_apm_command_started_get_context(event);
    const bson_t *command = mongoc_apm_command_started_get_command(event);
    bson_iter_t at;
    uint32_t n;
    const uint8_t *p;
    bson_t filter;
    if (!bson_iter_init_find(&at, command, "filter"))
        return;
    bson_iter_document(&at, &n, &p);
    must(bson_init_static(&filter, p, n));
    char *text = bson_as_relaxed_extended_json(&filter, NULL);
    snprintf(w->filter, sizeof w->filter, "%s", text);
    bson_free(text);
}

static void
see_document(void *arg, const bson_t *doc)
{
    struct watch *w = arg;
    (void)doc;
    w->n_found++;
}

static struct span
key_of(struct arena *arena, const char *json)
{
    bson_error_t error;
    bson_t *doc = bson_new_from_json((const uint8_t *)json, -1, &error);
    must(doc);
    struct span key = arena_dup(arena, span_of((const char *)bson_get_data(doc), doc->len));
    bson_destroy(doc);
    return key;
}

static void
asks_with_whole_keys(void **state)
{
    struct rig r;
    struct err err;
    struct watch watch = {{0}, 0};
    struct ing_client client = {0};
    struct arena arena = {0};
    mongoc_uri_t *uri;
    bson_t fields = BSON_INITIALIZER;
    rig_init(&r, *state);
    rig_command(&r, "{\"insert\": \"user\", \"documents\": [{\"_id\": 1, \"c\": \"a\"},"
                    " {\"_id\": 2, \"c\": \"b\"}, {\"_id\": 3, \"c\": \"c\"}]}");
    assert_int_equal(ing_uri_parse(r.uri, &uri, &err), RC_OK);
    assert_int_equal(ing_client_open(&client, uri, &err), RC_OK);
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, see_command);
    assert_true(mongoc_client_set_apm_callbacks(client.client, callbacks, &watch));
    struct ing_fetch fetch = {&client, "user", &fields, see_document, &watch};
    struct span ids[] = {key_of(&arena, "{\"\": 1}"), key_of(&arena, "{\"\": 3}")};
    assert_int_equal(ing_fetch_keys(&fetch, ids, 2, &err), RC_OK);
    assert_string_equal(watch.filter, "{ \"_id\" : { \"$in\" : [ 1, 3 ] } }");
    assert_int_equal(watch.n_found, 2);
    struct span routed[] = {key_of(&arena, "{\"\": 1, \"c\": \"a\"}"),
                            key_of(&arena, "{\"\": 2, \"c\": \"elsewhere\"}"),
                            key_of(&arena, "{\"\": 3}")};
    watch.n_found = 0;
    assert_int_equal(ing_fetch_keys(&fetch, routed, 3, &err), RC_OK);
    assert_string_equal(watch.filter,
                        "{ \"$or\" : [ { \"_id\" : 1, \"c\" : \"a\" },"
                        " { \"_id\" : 2, \"c\" : \"elsewhere\" }, { \"_id\" : 3 } ] }");
    assert_int_equal(watch.n_found, 2);
    assert_true(ing_fetch_is_routed(routed[0]) && !ing_fetch_is_routed(routed[2]));
    mongoc_apm_callbacks_destroy(callbacks);
    ing_client_close(&client);
    mongoc_uri_destroy(uri);
    bson_destroy(&fields);
    arena_fini(&arena);
    rig_fini(&r);
}

/* An event that says where a document once was does not delete it. */
static void
a_document_that_moved_is_not_gone(void **state)
{
    struct rig r;
    struct buf key = {0};
    bson_t id = BSON_INITIALIZER, *route = BCON_NEW("default_name", BCON_UTF8("once"));
    bson_iter_t at;
    unsigned char bytes[WORLD_ID_N];
    rig_init(&r, *state);
    world_emote(&r, 1, "now", 1);
    assert_true(rig_open_settled(&r));
    world_id('e', 1, bytes);
    bson_append_binary(&id, "_id", -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
    assert_true(bson_iter_init_find(&at, &id, "_id"));
    unsigned emotes = 0;
    while (strcmp(r.m->feeds[emotes].source, "emotes") != 0)
        emotes++;
    ing_event_key(emotes, &at, &key);
    struct ing_note note = {.key = buf_span(&key),
                            .route = span_of((const char *)bson_get_data(route), route->len)};
    int64_t applied = rig_status(&r, "applied_keys");
    assert_true(ing_inbox_put(&r.m->inbox, &note));
    assert_true(rig_settle(&r));
    assert_true(rig_status(&r, "applied_keys") > applied);
    assert_int_equal(rig_count(&r, "emotes"), 1);
    /* And one that is gone is gone wherever it was. */
    world_remove(&r, "emotes", 'e', 1);
    assert_true(ing_inbox_put(&r.m->inbox, &note));
    assert_true(rig_settle(&r));
    assert_int_equal(rig_count(&r, "emotes"), 0);
    bson_destroy(route);
    bson_destroy(&id);
    buf_fini(&key);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_with_whole_keys),
        cmocka_unit_test(a_document_that_moved_is_not_gone),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
