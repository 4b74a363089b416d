/*
 * Reading ahead, against a real mongod: everything once and in order, nothing
 * older than what was fetched in the meantime, errors behind what was read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/scan.h"
#include "tests/indexer/mongo_rig.h"

enum { MANY = 6000, REPLY = 50 };

/* Documents {_id: i, v: n} of the collection "many", and what a reader holds of them. */
struct shelf {
    struct rig rig;
    mongoc_uri_t *uri;
    bson_t fields;
    atomic_bool is_hung;
    struct ing_scan *scan;
    struct ing_client client; /* for fetches */
    int32_t held[MANY];
    unsigned n_given, n_out_of_order;
    int32_t last;
};

static void
shelf_init(struct shelf *s, const struct server *server)
{
    struct err err;
    memset(s, 0, sizeof *s);
    rig_init(&s->rig, server);
    assert_int_equal(ing_uri_parse(s->rig.uri, &s->uri, &err), RC_OK);
    assert_int_equal(ing_client_open(&s->client, s->uri, &err), RC_OK);
    bson_init(&s->fields);
    bson_append_int32(&s->fields, "v", -1, 1);
    s->last = -1;
    mongoc_collection_t *many = mongoc_database_get_collection(s->rig.db, "many");
    bson_t *majority = BCON_NEW("writeConcern", "{", "w", BCON_UTF8("majority"), "}");
    mongoc_bulk_operation_t *bulk =
        mongoc_collection_create_bulk_operation_with_opts(many, majority);
    for (int32_t i = 0; i < MANY; i++) {
        bson_t *doc = BCON_NEW("_id", BCON_INT32(i), "v", BCON_INT32(0));
        mongoc_bulk_operation_insert(bulk, doc);
        bson_destroy(doc);
        s->held[i] = -1;
    }
    bson_error_t error;
    must(mongoc_bulk_operation_execute(bulk, NULL, &error));
    mongoc_bulk_operation_destroy(bulk);
    bson_destroy(majority);
    mongoc_collection_destroy(many);
}

static void
shelf_fini(struct shelf *s)
{
    ing_scan_close(s->scan);
    ing_client_close(&s->client);
    bson_destroy(&s->fields);
    mongoc_uri_destroy(s->uri);
    rig_fini(&s->rig);
}

static void
shelf_scan(struct shelf *s, struct span after)
{
    struct ing_scan_from from = {.uri = s->uri,
                                 .socket_ms = 1500,
                                 .collection = "many",
                                 .fields = &s->fields,
                                 .after = after,
                                 .reply_docs = REPLY,
                                 .is_hung = &s->is_hung};
    s->scan = ing_scan_open(&from);
}

static int32_t
member(const bson_t *doc, const char *name)
{
    bson_iter_t at;
    must(bson_iter_init_find(&at, doc, name));
    return (int32_t)bson_iter_as_int64(&at);
}

static void
hold(void *arg, const bson_t *doc)
{
    struct shelf *s = arg;
    s->held[member(doc, "_id")] = member(doc, "v");
}

static void
hold_scanned(void *arg, const bson_t *doc)
{
    struct shelf *s = arg;
    int32_t id = member(doc, "_id");
    s->n_out_of_order += id <= s->last;
    s->last = id;
    s->n_given++;
    hold(arg, doc);
}

/* False at the end. */
static bool
shelf_take(struct shelf *s, size_t max_docs)
{
    struct err err;
    struct ing_scan_taken taken;
    struct ing_scan_share share = {max_docs, SIZE_MAX, 20000};
    assert_int_equal(ing_scan_take(s->scan, &share, hold_scanned, s, &taken, &err), RC_OK);
    return !taken.is_end;
}

/* As an event does: the document is changed, then fetched, then the scan is told. */
static void
shelf_change(struct shelf *s, int32_t id)
{
    struct err err;
    char command[160];
    snprintf(command, sizeof command,
             "{\"update\": \"many\", \"updates\":"
             " [{\"q\": {\"_id\": %d}, \"u\": {\"$inc\": {\"v\": 1}}}],"
             " \"writeConcern\": {\"w\": \"majority\"}}",
             (int)id);
    rig_command(&s->rig, command);
    bson_t *key = BCON_NEW("", BCON_INT32(id));
    struct span bytes = span_of((const char *)bson_get_data(key), key->len);
    struct ing_fetch fetch = {&s->client, "many", &s->fields, hold, s};
    assert_int_equal(ing_fetch_keys(&fetch, &bytes, 1, &err), RC_OK);
    ing_scan_touch(s->scan, &bytes, 1);
    bson_destroy(key);
}

static void
everything_once_and_in_order(void **state)
{
    struct shelf s;
    uint32_t time_s, time_i;
    shelf_init(&s, *state);
    shelf_scan(&s, (struct span){0});
    while (shelf_take(&s, 1000))
        ;
    assert_int_equal(s.n_given, MANY);
    assert_int_equal(s.n_out_of_order, 0);
    ing_scan_time(s.scan, &time_s, &time_i);
    assert_true(time_s > 0);
    /* And from a place on, which is given once more. */
    bson_t *after = BCON_NEW("_id", BCON_INT32(MANY - 10));
    ing_scan_close(s.scan);
    s.n_given = 0;
    s.last = -1;
    shelf_scan(&s, span_of((const char *)bson_get_data(after), after->len));
    while (shelf_take(&s, 1000))
        ;
    assert_int_equal(s.n_given, 10);
    bson_destroy(after);
    shelf_fini(&s);
}

/* Until the queue is full. */
static void
let_it_read_ahead(void)
{
    struct timespec half_second = {.tv_nsec = 500000000};
    nanosleep(&half_second, NULL);
}

/* What waits in the queue was read before the change; what is read later shows it. */
static void
what_was_read_before_a_change_is_left_out(void **state)
{
    struct shelf s;
    shelf_init(&s, *state);
    shelf_scan(&s, (struct span){0});
    assert_true(shelf_take(&s, 100));
    let_it_read_ahead();
    shelf_change(&s, 300);
    shelf_change(&s, MANY - 1);
    s.held[300] = s.held[MANY - 1] = -7; /* the scan must leave the first as it is */
    while (shelf_take(&s, 1000))
        ;
    assert_int_equal(s.held[300], -7);
    assert_int_equal(s.held[301], 0);
    assert_int_equal(s.held[MANY - 1], 1);
    shelf_fini(&s);
}

static void
the_newest_version_wins(void **state)
{
    struct shelf s;
    unsigned random = 4711;
    int32_t *changes = xcalloc(MANY, sizeof *changes);
    shelf_init(&s, *state);
    shelf_scan(&s, (struct span){0});
    do {
        for (int i = 0; i < 8; i++) {
            random = random * 1664525 + 1013904223;
            int32_t id = (int32_t)((unsigned)(s.last + 1) + (random >> 8) % 800) % MANY;
            shelf_change(&s, id); /* most are those about to come */
            changes[id]++;
        }
    } while (shelf_take(&s, 100));
    for (int32_t i = 0; i < MANY; i++)
        assert_int_equal(s.held[i], changes[i]);
    free(changes);
    shelf_fini(&s);
}

/* The first parcels come, then the error; a scan that is not read to its end is closed. */
static void
an_error_comes_behind_what_was_read(void **state)
{
    struct shelf s;
    struct err err = {0};
    struct ing_scan_taken taken;
    struct ing_scan_share share = {100, SIZE_MAX, 10000000};
    shelf_init(&s, *state);
    shelf_scan(&s, (struct span){0});
    assert_true(shelf_take(&s, 100));
    ing_scan_close(s.scan);
    shelf_scan(&s, (struct span){0});
    assert_true(shelf_take(&s, 100));
    let_it_read_ahead();
    server_pause(*state);
    s.n_given = 0;
    enum rc rc;
    while ((rc = ing_scan_take(s.scan, &share, hold_scanned, &s, &taken, &err)) == RC_OK)
        assert_false(taken.is_end);
    assert_int_equal(rc, RC_UNREACHABLE);
    assert_true(s.n_given > 0 && s.n_given < MANY);
    assert_true(strlen(err.text) > 0);
    assert_int_equal(taken.n, 0);
    server_resume(*state);
    shelf_fini(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_once_and_in_order),
        cmocka_unit_test(what_was_read_before_a_change_is_left_out),
        cmocka_unit_test(the_newest_version_wins),
        cmocka_unit_test(an_error_comes_behind_what_was_read),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
