/* The write door, used as its header says; crashes and failures are in test_crash.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/index/engine_kit.h"
#include "tests/index/engine_world.h"
#include "tests/support/scratch.h"

enum { WAIT_US = 20000000 };

static void
test_empty(void **state)
{
    struct kit_world *w = *state;
    kit_expect(w->idx, w->m);
    uint64_t wall_us = 1;
    assert_int_equal(idx_commit_number(w->idx, &wall_us), 0);
    assert_int_equal(kit_durable_pos(w->idx), 0);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_put_upsert_delete(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 100, 1, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
    kit_world_put(w, uid, 50, 120, 1000, IDX_DURABLE); /* sequences of 50..99 stay */
    kit_expect(w->idx, w->m);
    struct idx_batch *b = idx_batch_new();
    kit_delete(w->m, b, uid, 7);
    kit_delete(w->m, b, uid, 7);
    kit_delete(w->m, b, uid, 400); /* never there */
    kit_put(w->m, b, uid, 8, 5, ++w->seq);
    kit_put(w->m, b, uid, 8, 6, ++w->seq); /* twice in a batch */
    kit_put(w->m, b, uid, 9, 6, ++w->seq);
    kit_delete(w->m, b, uid, 9);
    kit_put(w->m, b, uid, 9, 7, ++w->seq); /* a new life: a new sequence */
    kit_submit(w->idx, &b, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
    kit_world_put(w, uid, 0, 120, 7, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
}

static void
test_everything_deleted(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 50, 1, IDX_DURABLE);
    struct idx_batch *b = idx_batch_new();
    for (uint32_t i = 0; i < 50; i++)
        kit_delete(w->m, b, uid, i);
    kit_put(w->m, b, uid, 60, 1, ++w->seq);
    kit_delete(w->m, b, uid, 60); /* fresh documents of which none is alive */
    kit_submit(w->idx, &b, IDX_DURABLE);
    kit_expect(w->idx, w->m);
    assert_int_equal(kit_world_n_views(w, uid), 0);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_generations_and_names(void **state)
{
    struct kit_world *w = *state;
    uint32_t old = kit_world_make(w, 1);
    kit_world_put(w, old, 0, 20, 1, IDX_DURABLE);
    struct idx_batch *b = idx_batch_new();
    uint32_t uid = idx_new_uid(w->idx);
    assert_true(uid > old);
    kit_create(w->m, b, uid, 1); /* aside, of the same name */
    for (uint32_t i = 0; i < 30; i++)
        kit_put(w->m, b, uid, i, 500, ++w->seq);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);

    struct idx_reader *r = idx_reader_new(w->idx);
    assert_int_equal(idx_snapshot_find(idx_reader_begin(r), SPAN_LIT("c1"))->uid, old);
    idx_reader_end(r);
    b = idx_batch_new();
    kit_complete(w->m, b, uid);
    kit_name(w->m, b, uid); /* the switch: old is gone */
    kit_submit(w->idx, &b, IDX_VISIBLE);
    assert_int_equal(idx_snapshot_find(idx_reader_begin(r), SPAN_LIT("c1"))->uid, uid);
    idx_reader_end(r);
    idx_reader_free(r);
    b = idx_batch_new();
    kit_put(NULL, b, old, 1, 1, 1); /* too late: does nothing */
    idx_batch_delete(b, old, SPAN_LIT("d1"));
    kit_put(NULL, b, 9999, 1, 1, 1);
    kit_submit(w->idx, &b, IDX_DURABLE);
    kit_expect(w->idx, w->m);
    b = idx_batch_new();
    kit_drop(w->m, b, uid);
    kit_submit(w->idx, &b, IDX_DURABLE);
    kit_expect(w->idx, w->m);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
    assert_true(idx_new_uid(w->idx) > uid); /* I8, over the reopen too */
}

static void
test_old_snapshot_stays(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 100, 1, IDX_DURABLE);
    struct buf before = {0}, after = {0};
    struct idx_reader *r = idx_reader_new(w->idx);
    const struct idx_snapshot *s = idx_reader_begin(r);
    kit_write_snapshot(s, false, &before);
    for (uint32_t round = 0; round < 10; round++) /* I6: files go, maps stay */
        kit_world_put(w, uid, 0, 100, round * 7, IDX_DURABLE);
    struct err err;
    assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);
    struct idx_batch *b = idx_batch_new();
    kit_drop(w->m, b, uid);
    kit_submit(w->idx, &b, IDX_DURABLE);
    kit_write_snapshot(s, false, &after);
    assert_true(span_eq(buf_span(&before), buf_span(&after)));
    idx_reader_end(r);
    assert_true(idx_snapshot_version(idx_reader_begin(r)) > 1);
    idx_reader_end(r);
    idx_reader_free(r);
    buf_fini(&before);
    buf_fini(&after);
}

static void
test_entries_and_aliases(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 2);
    struct idx_batch *b = idx_batch_new();
    for (uint32_t i = KIT_KEYS; i-- > 0;)
        kit_entry(w->m, b, i, i + 1);
    kit_entry(w->m, b, 3, 0);
    kit_entry(w->m, b, 4, 44);
    idx_batch_entry(b, SPAN_LIT("alias"), SPAN_LIT("other"), SPAN_LIT("c2"));
    idx_batch_entry(b, SPAN_LIT("alias"), SPAN_LIT("twice"), SPAN_LIT("other"));
    idx_batch_entry(b, SPAN_LIT("alias"), SPAN_LIT("c2"), SPAN_LIT("nowhere"));
    kit_submit(w->idx, &b, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
    for (int i = 0; i < 2; i++) {
        struct idx_reader *r = idx_reader_new(w->idx);
        const struct idx_snapshot *s = idx_reader_begin(r);
        assert_int_equal(idx_snapshot_find(s, SPAN_LIT("other"))->uid, uid);
        assert_int_equal(idx_snapshot_find(s, SPAN_LIT("c2"))->uid, uid);
        assert_null(idx_snapshot_find(s, SPAN_LIT("twice"))); /* followed once */
        assert_null(idx_snapshot_find(s, SPAN_LIT("c")));
        assert_null(idx_snapshot_entry(s, SPAN_LIT("alias"), SPAN_LIT("othe")));
        size_t n;
        assert_non_null(idx_snapshot_entries(s, SPAN_LIT("alias"), &n));
        assert_int_equal(n, 3);
        idx_reader_end(r);
        idx_reader_free(r);
        kit_world_reopen(w);
        kit_expect(w->idx, w->m);
    }
}

static void
test_state_is_durable_state(void **state)
{
    struct kit_world *w = *state;
    struct idx_batch *b = idx_batch_new();
    kit_pos(w->m, b, 41);
    kit_submit(w->idx, &b, IDX_DURABLE);
    assert_int_equal(kit_durable_pos(w->idx), 41);
    uint64_t number = idx_commit_number(w->idx, NULL);
    assert_true(number > 0);
    b = idx_batch_new();
    kit_pos(w->m, b, 42);
    idx_batch_state(b, SPAN_LIT("other"), SPAN_LIT("\0\1x"));
    kit_submit(w->idx, &b, IDX_DURABLE);
    assert_int_equal(kit_durable_pos(w->idx), 42);
    assert_true(idx_commit_number(w->idx, NULL) > number);
    kit_world_reopen(w);
    struct arena arena = {0};
    assert_true(span_eq(idx_state(w->idx, SPAN_LIT("other"), &arena), SPAN_LIT("\0\1x")));
    assert_int_equal(idx_state(w->idx, SPAN_LIT("none"), &arena).n, 0);
    arena_fini(&arena);
    assert_int_equal(kit_durable_pos(w->idx), 42);
}

struct told {
    _Atomic int n_visible, n_durable, rc;
};

static void
tell_visible(void *arg, enum rc rc)
{
    struct told *t = arg;
    assert_int_equal(rc, RC_OK);
    assert_int_equal(t->n_durable, 0);
    t->n_visible++;
}

static void
tell_durable(void *arg, enum rc rc)
{
    struct told *t = arg;
    t->rc = rc;
    assert_int_equal(t->n_visible, 1);
    t->n_durable++;
}

static void
test_callbacks(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 0);
    struct told told = {0};
    struct idx_batch *b = idx_batch_new();
    kit_put(w->m, b, uid, 1, 1, ++w->seq);
    assert_int_equal(idx_batch_n(b), 1);
    idx_batch_on_visible(b, tell_visible, &told);
    idx_batch_on_durable(b, tell_durable, &told);
    idx_batch_hurry(b);
    uint64_t ticket = idx_submit(w->idx, &b);
    assert_null(b);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_VISIBLE, WAIT_US), RC_OK);
    kit_expect(w->idx, w->m);
    kit_world_close(w); /* closing commits */
    assert_int_equal(told.n_visible, 1);
    assert_int_equal(told.n_durable, 1);
    assert_int_equal(told.rc, RC_OK);
}

static void
test_quiet_generation_waits(void **state)
{
    struct kit_world *w = *state;
    struct idx_options slow = {.commit_us = 3600000000};
    kit_world_reopen_with(w, &slow);
    struct idx_batch *b = idx_batch_new();
    uint32_t uid = idx_new_uid(w->idx);
    kit_create(w->m, b, uid, 0);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    b = idx_batch_new();
    kit_put(w->m, b, uid, 1, 1, ++w->seq);
    uint64_t ticket = idx_submit(w->idx, &b);
    clock_sleep_us(100000); /* five times refresh_us: nobody reads it, nothing is published */
    struct idx_reader *r = idx_reader_new(w->idx);
    assert_int_equal(idx_snapshot_find_uid(idx_reader_begin(r), uid)->n_docs, 0);
    idx_reader_end(r);
    idx_reader_free(r);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_VISIBLE, WAIT_US), RC_OK); /* who asks sees it */
    kit_expect(w->idx, w->m);
}

/* Changes beside a bulk load are shown at once, and do not cut what is loaded into small pieces. */
static void
test_hurry_leaves_the_quiet_alone(void **state)
{
    struct kit_world *w = *state;
    struct idx_options slow = {.commit_us = 3600000000};
    kit_world_reopen_with(w, &slow);
    uint32_t live = kit_world_make(w, 1), aside = idx_new_uid(w->idx);
    struct idx_batch *b = idx_batch_new();
    kit_create(w->m, b, aside, 0);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    struct told told = {0};
    struct idx_reader *r = idx_reader_new(w->idx);
    uint64_t ticket = 0;
    for (uint32_t i = 0; i < 5; i++) {
        b = idx_batch_new();
        kit_put(w->m, b, aside, i, 1, ++w->seq);
        kit_put(w->m, b, live, i, 1, ++w->seq);
        idx_batch_on_visible(b, tell_visible, &told);
        idx_batch_hurry(b);
        ticket = idx_submit(w->idx, &b);
        assert_int_equal(idx_wait(w->idx, ticket, IDX_APPLIED, WAIT_US), RC_OK);
        clock_sleep_us(20000);
    }
    const struct idx_snapshot *s = idx_reader_begin(r);
    assert_int_equal(idx_snapshot_find_uid(s, live)->n_docs, 5);
    assert_int_equal(idx_snapshot_find_uid(s, aside)->n_docs, 0);
    assert_int_equal(told.n_visible, 5);
    idx_reader_end(r);
    idx_reader_free(r);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_VISIBLE, WAIT_US), RC_OK); /* on demand */
    assert_int_equal(kit_world_n_views(w, aside), 1);
    kit_expect(w->idx, w->m);
}

static void
test_alter_appends_fields(void **state)
{
    struct kit_world *w = *state;
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 20, 1, IDX_DURABLE);
    kit_world_put(w, uid, 20, 30, 1, IDX_APPLIED);
    struct idx_batch *b = idx_batch_new();
    struct sch_collection schema, more;
    struct arena *a = idx_batch_arena(b);
    kit_schema("c0", a, &schema);
    more = schema;
    more.fields = arena_calloc(a, schema.n_fields + 1, sizeof more.fields[0]);
    memcpy(more.fields, schema.fields, schema.n_fields * sizeof more.fields[0]);
    more.fields[schema.n_fields] = schema.fields[1];
    more.fields[schema.n_fields].name = SPAN_LIT("m");
    more.fields[schema.n_fields].flags |= SCH_OPTIONAL;
    more.n_fields++;
    idx_batch_alter(b, uid, &more);
    struct idx_value *values = arena_calloc(a, more.n_fields, sizeof *values);
    int64_t *m = arena_alloc(a, sizeof *m);
    *m = 99;
    values[3] = (struct idx_value){.n = 1, .i64 = m};
    struct idx_doc d = {.id = SPAN_LIT("x"), .seq = 1, .json = SPAN_LIT("{}"), .values = values};
    idx_batch_put(b, uid, &d); /* at once, beside fresh documents of the old schema */
    kit_submit(w->idx, &b, IDX_DURABLE);
    struct err err;
    for (int i = 0; i < 2; i++) {
        struct idx_reader *r = idx_reader_new(w->idx);
        const struct idx_collection *c = idx_snapshot_find_uid(idx_reader_begin(r), uid);
        uint32_t view, doc;
        struct idx_column column;
        assert_int_equal(c->schema->n_fields, 4);
        assert_int_equal(c->n_docs, 31);
        assert_true(idx_collection_find(c, SPAN_LIT("x"), &view, &doc));
        assert_true(idx_segment_column(c->views[view].segment, 3, &column));
        assert_int_equal(column.i32[doc], 99);
        assert_true(idx_collection_find(c, SPAN_LIT("d25"), &view, &doc));
        if (idx_segment_column(c->views[view].segment, 3, &column)) /* else none has the field */
            assert_false(column.present[doc / 64] >> (doc % 64) & 1);
        idx_reader_end(r);
        idx_reader_free(r);
        assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);
        kit_world_reopen(w);
    }
}

static void
test_merge_all(void **state)
{
    struct kit_world *w = *state;
    uint32_t a = kit_world_make(w, 0), b = kit_world_make(w, 1);
    for (uint32_t i = 0; i < 8; i++) {
        kit_world_put(w, a, i * 10, i * 20 + 10, i, IDX_DURABLE);
        kit_world_put(w, b, i * 5, i * 5 + 5, i, IDX_VISIBLE);
    }
    struct err err;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);
        struct idx_reader *r = idx_reader_new(w->idx);
        const struct idx_snapshot *s = idx_reader_begin(r);
        size_t n;
        const struct idx_collection *const *c = idx_snapshot_collections(s, &n);
        assert_int_equal(n, 2);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(c[i]->n_views, 1);
            assert_true(idx_segment_is_mapped(c[i]->views[0].segment));
            assert_int_equal(c[i]->views[0].n_live, c[i]->views[0].n_docs);
        }
        idx_reader_end(r);
        idx_reader_free(r);
        kit_expect(w->idx, w->m);
        kit_world_put(w, a, 0, 3, 77, IDX_APPLIED);
    }
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_wait(void **state)
{
    struct kit_world *w = *state;
    struct idx_batch *b = idx_batch_new();
    uint64_t ticket = idx_submit(w->idx, &b);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_APPLIED, WAIT_US), RC_OK);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_VISIBLE, WAIT_US), RC_OK);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_DURABLE, WAIT_US), RC_OK);
    assert_int_equal(idx_wait(w->idx, 0, IDX_DURABLE, 0), RC_OK);
    b = idx_batch_new();
    uint32_t uid = idx_new_uid(w->idx);
    kit_create(w->m, b, uid, 0);
    for (uint32_t i = 0; i < 500; i++)
        kit_put(w->m, b, uid, i, 1, ++w->seq);
    ticket = idx_submit(w->idx, &b);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_DURABLE, 0), RC_CUTOFF);
    assert_int_equal(idx_wait(w->idx, ticket, IDX_DURABLE, WAIT_US), RC_OK);
}

/* With hardly any memory every batch is written at once, and submitting waits instead of growing.
 */
static void
test_little_memory(void **state)
{
    struct kit_world *w = *state;
    struct idx_options little = {.ram_bytes_max = 4096, .commit_us = 3600000000};
    kit_world_reopen_with(w, &little);
    uint32_t uid = kit_world_make(w, 0);
    uint64_t ticket = 0;
    for (uint32_t round = 0; round < 60; round++) {
        struct idx_batch *b = idx_batch_new();
        for (uint32_t i = 0; i < 50; i++)
            kit_put(w->m, b, uid, (round * 37 + i) % KIT_DOCS, round, ++w->seq);
        ticket = idx_submit(w->idx, &b);
    }
    assert_int_equal(idx_wait(w->idx, ticket, IDX_VISIBLE, WAIT_US), RC_OK);
    assert_true(idx_commit_number(w->idx, NULL) > 2);
    kit_expect(w->idx, w->m);
    kit_world_reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_metrics(void **state)
{
    struct kit_world *w = *state;
    struct metrics *metrics = metrics_new();
    struct idx_options o = {.metrics = metrics};
    kit_world_reopen_with(w, &o);
    uint32_t uid = kit_world_make(w, 0);
    kit_world_put(w, uid, 0, 40, 1, IDX_DURABLE);
    struct idx_batch *b = idx_batch_new();
    kit_delete(w->m, b, uid, 3);
    kit_delete(w->m, b, uid, 300);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    assert_int_equal(metrics_read(metrics, M_INDEX_DOCS), 39);
    kit_world_close(w);
    assert_int_equal(metrics_read(metrics, M_INDEX_PUTS), 40);
    assert_int_equal(metrics_read(metrics, M_INDEX_DELETES), 1);
    assert_int_equal(metrics_read(metrics, M_INDEX_DOCS), 0); /* it is closed */
    assert_true(metrics_read(metrics, M_INDEX_COMMITS) >= 1);
    assert_int_equal(metrics_read(metrics, M_INDEX_COMMIT_FAILURES), 0);
    metrics_free(metrics);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_world_set_up, kit_world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_put_upsert_delete),
        TEST(test_everything_deleted),
        TEST(test_generations_and_names),
        TEST(test_old_snapshot_stays),
        TEST(test_entries_and_aliases),
        TEST(test_state_is_durable_state),
        TEST(test_callbacks),
        TEST(test_quiet_generation_waits),
        TEST(test_hurry_leaves_the_quiet_alone),
        TEST(test_alter_appends_fields),
        TEST(test_merge_all),
        TEST(test_wait),
        TEST(test_little_memory),
        TEST(test_metrics),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
