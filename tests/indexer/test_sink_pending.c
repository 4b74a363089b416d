/* What is owed to Typesense, and that nothing that changed meanwhile leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/sink_pending.h"

#include "base/json.h"

#include "tests/support/scratch.h"

static void
put_emote(struct idx_batch *b, uint32_t uid, const char *id)
{
    struct idx_doc doc = {.id = arena_dup(idx_batch_arena(b), span_str(id)),
                          .json = SPAN_LIT("{}"),
                          .values = arena_calloc(idx_batch_arena(b), 1, sizeof(struct idx_value))};
    idx_batch_put(b, uid, &doc);
}

static uint64_t
change(struct ing_pending *p, uint32_t uid, const char *id, uint32_t time_s)
{
    struct idx_batch *b = idx_batch_new();
    put_emote(b, uid, id);
    uint64_t ticket = ing_pending_submit(p, &b, time_s);
    assert_int_equal(idx_wait(p->idx, ticket, IDX_VISIBLE, 5000000), RC_OK);
    return ticket;
}

static size_t
list_of(struct ing_pending *p, const struct ing_pending_filter *filter, struct arena *arena,
        struct ing_pending_item *out)
{
    struct idx_reader *reader = idx_reader_new(p->idx);
    size_t n = ing_pending_list(p, idx_reader_begin(reader), filter, arena, out);
    idx_reader_end(reader);
    idx_reader_free(reader);
    return n;
}

static size_t
list(struct ing_pending *p, uint32_t before_s, struct arena *arena, struct ing_pending_item *out)
{
    return list_of(p, &(struct ing_pending_filter){.before_s = before_s, .max = 10}, arena, out);
}

static size_t
begin_sweep(struct ing_pending *p, struct ing_sweep *sweep)
{
    struct idx_reader *reader = idx_reader_new(p->idx);
    ing_pending_sweep(p, idx_reader_begin(reader), sweep);
    idx_reader_end(reader);
    idx_reader_free(reader);
    return sweep->n_left;
}

static size_t
settle(struct ing_pending *p, struct span key)
{
    size_t n_left;
    struct idx_batch *b = idx_batch_new();
    uint64_t ticket = ing_pending_settle(p, &b, &key, 1, &n_left);
    assert_int_equal(idx_wait(p->idx, ticket, IDX_VISIBLE, 5000000), RC_OK);
    return n_left;
}

static void
what_changes_behind_the_sample_stays_owed(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs;
    struct idx *idx;
    struct arena arena = {0};
    struct ing_pending p;
    struct ing_pending_item items[10];
    struct err err;
    struct idx_options options = {
        .refresh_us = 1000, .commit_us = 100000, .n_merge_threads = 1, .ram_bytes_max = 1 << 20};
    assert_int_equal(fs_open_host(dir, &fs, &err), RC_OK);
    options.fs = fs;
    assert_int_equal(idx_open(&options, &idx, &err), RC_OK);
    assert_int_equal(ing_pending_open(&p, idx, &err), RC_OK);
    struct json json;
    struct sch_collection schema;
    assert_int_equal(json_parse(SPAN_LIT("{\"name\":\"x\",\"fields\":[{\"name\":\"n\","
                                         "\"type\":\"int32\",\"optional\":true}]}"),
                                &arena, &json, NULL),
                     RC_OK);
    assert_int_equal(sch_parse(&json, &arena, &schema, NULL), RC_OK);
    uint32_t uid = idx_new_uid(idx);
    struct idx_batch *b = idx_batch_new();
    idx_batch_create(b, uid, &schema, 0);
    idx_batch_name(b, uid);
    assert_true(idx_submit(idx, &b) > 0);
    /* Nothing is owed before it is followed. */
    (void)change(&p, uid, "a", 5);
    assert_int_equal(list(&p, 0, &arena, items), 0);
    (void)ing_pending_follow(&p, SPAN_LIT("x"), uid, NULL);
    (void)change(&p, uid, "a", 7);
    (void)change(&p, uid, "b/c", 9);
    (void)change(&p, uid, "b/c", 9);
    assert_int_equal(list(&p, 0, &arena, items), 2);
    /* A sweep is what there was when it began, less what was acknowledged since. */
    struct ing_sweep sweep = {0};
    assert_int_equal(begin_sweep(&p, &sweep), 2);
    (void)change(&p, uid, "c", 9);
    (void)change(&p, uid, "a", 7);
    assert_int_equal(list_of(&p, &(struct ing_pending_filter){.sweep = &sweep, .max = 10}, &arena,
                             items),
                     2);
    ing_sweep_take(&sweep, SPAN_LIT("x/b/c"));
    ing_sweep_take(&sweep, SPAN_LIT("x/b/c"));
    ing_sweep_take(&sweep, SPAN_LIT("x/c"));
    assert_int_equal(sweep.n_left, 1);
    assert_int_equal(list_of(&p, &(struct ing_pending_filter){.sweep = &sweep, .max = 10}, &arena,
                             items),
                     1);
    assert_true(span_eq_str(items[0].id, "a"));
    ing_sweep_take(&sweep, SPAN_LIT("x/a"));
    assert_int_equal(sweep.n_left, 0);
    ing_sweep_fini(&sweep);
    (void)ing_pending_sample(&p);
    assert_int_equal(settle(&p, SPAN_LIT("x/c")), 0);
    /* By age. */
    assert_int_equal(list(&p, 8, &arena, items), 1);
    assert_true(span_eq_str(items[0].id, "a") && span_eq_str(items[0].collection, "x"));
    /* A change between the sample and the settling keeps the entry. */
    struct span key = items[0].key;
    (void)ing_pending_sample(&p);
    (void)change(&p, uid, "a", 10);
    assert_int_equal(settle(&p, key), 1);
    assert_int_equal(list(&p, 0, &arena, items), 2);
    (void)ing_pending_sample(&p);
    assert_int_equal(settle(&p, key), 0);
    assert_int_equal(list(&p, 0, &arena, items), 1);
    assert_true(span_eq_str(items[0].id, "b/c"));
    /* Ids that leave no room for a name are told apart all the same. */
    char id[2][IDX_ID_MAX + 1];
    for (int i = 0; i < 2; i++) {
        memset(id[i], 'i', IDX_ID_MAX);
        id[i][IDX_ID_MAX - 1] = (char)('0' + i);
        id[i][IDX_ID_MAX] = 0;
        (void)change(&p, uid, id[i], 11);
    }
    assert_int_equal(list(&p, 0, &arena, items), 3);
    unsigned n_found = 0;
    for (int i = 0; i < 3; i++)
        n_found += span_eq_str(items[i].id, id[0]) || span_eq_str(items[i].id, id[1]);
    assert_int_equal(n_found, 2);
    ing_pending_close(&p);
    assert_int_equal(idx_close(idx, &err), RC_OK);
    fs_close(fs);
    scratch_free(dir);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_behind_the_sample_stays_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
