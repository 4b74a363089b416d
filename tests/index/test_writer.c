/* The write door, used as its header says; crashes and failures are in test_crash.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "tests/index/engine_kit.h"
#include "tests/support/scratch.h"

enum { WAIT_US = 20000000 };

struct world {
    char *dir;
    struct fs *fs;
    struct idx *idx;
    struct kit_model *m;
    uint64_t seq;
};

static int
set_up(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    w->dir = scratch_new();
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, NULL);
    w->m = xcalloc(1, sizeof *w->m);
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;
    if (w->idx)
        kit_close(w->idx);
    fs_close(w->fs);
    scratch_free(w->dir);
    free(w->m);
    free(w);
    return 0;
}

static void
close_world(struct world *w)
{
    kit_close(w->idx);
    w->idx = NULL;
    fs_close(w->fs); /* gives the lock back */
    w->fs = kit_fs(w->dir);
}

static void
reopen(struct world *w)
{
    close_world(w);
    kit_check(w->fs);
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, NULL);
}

/* A new generation with a name, complete. */
static uint32_t
make(struct world *w, uint32_t name)
{
    struct idx_batch *b = idx_batch_new();
    uint32_t uid = idx_new_uid(w->idx);
    kit_create(w->m, b, uid, name);
    kit_name(w->m, b, uid);
    kit_complete(w->m, b, uid);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    return uid;
}

static void
put_range(struct world *w, uint32_t uid, uint32_t begin, uint32_t end, uint32_t n,
          enum idx_stage stage)
{
    struct idx_batch *b = idx_batch_new();
    for (uint32_t i = begin; i < end; i++)
        kit_put(w->m, b, uid, i, n + i, ++w->seq);
    kit_submit(w->idx, &b, stage);
}

static void
test_empty(void **state)
{
    struct world *w = *state;
    kit_expect(w->idx, w->m);
    uint64_t wall_us = 1;
    assert_int_equal(idx_commit_number(w->idx, &wall_us), 0);
    assert_int_equal(kit_durable_pos(w->idx), 0);
    reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_put_upsert_delete(void **state)
{
    struct world *w = *state;
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 100, 1, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
    put_range(w, uid, 50, 120, 1000, IDX_DURABLE); /* sequences of 50..99 stay */
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
    reopen(w);
    kit_expect(w->idx, w->m);
    put_range(w, uid, 0, 120, 7, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
}

static void
test_everything_deleted(void **state)
{
    struct world *w = *state;
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 50, 1, IDX_DURABLE);
    struct idx_batch *b = idx_batch_new();
    for (uint32_t i = 0; i < 50; i++)
        kit_delete(w->m, b, uid, i);
    kit_put(w->m, b, uid, 60, 1, ++w->seq);
    kit_delete(w->m, b, uid, 60); /* fresh documents of which none is alive */
    kit_submit(w->idx, &b, IDX_DURABLE);
    kit_expect(w->idx, w->m);
    struct idx_reader *r = idx_reader_new(w->idx);
    assert_int_equal(idx_snapshot_find_uid(idx_reader_begin(r), uid)->n_views, 0);
    idx_reader_end(r);
    idx_reader_free(r);
    reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_generations_and_names(void **state)
{
    struct world *w = *state;
    uint32_t old = make(w, 1);
    put_range(w, old, 0, 20, 1, IDX_DURABLE);
    struct idx_batch *b = idx_batch_new();
    uint32_t uid = idx_new_uid(w->idx);
    assert_true(uid > old);
    kit_create(w->m, b, uid, 1); /* aside, of the same name */
    for (uint32_t i = 0; i < 30; i++)
        kit_put(w->m, b, uid, i, 500, ++w->seq);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    kit_expect(w->idx, w->m);
    reopen(w);
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
    reopen(w);
    kit_expect(w->idx, w->m);
    assert_true(idx_new_uid(w->idx) > uid); /* I8, over the reopen too */
}

static void
test_old_snapshot_stays(void **state)
{
    struct world *w = *state;
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 100, 1, IDX_DURABLE);
    struct buf before = {0}, after = {0};
    struct idx_reader *r = idx_reader_new(w->idx);
    const struct idx_snapshot *s = idx_reader_begin(r);
    kit_write_snapshot(s, false, &before);
    for (uint32_t round = 0; round < 10; round++) /* I6: files go, maps stay */
        put_range(w, uid, 0, 100, round * 7, IDX_DURABLE);
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
    struct world *w = *state;
    uint32_t uid = make(w, 2);
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
        reopen(w);
        kit_expect(w->idx, w->m);
    }
}

static void
test_state_is_durable_state(void **state)
{
    struct world *w = *state;
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
    reopen(w);
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
    struct world *w = *state;
    uint32_t uid = make(w, 0);
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
    close_world(w); /* closing commits */
    assert_int_equal(told.n_visible, 1);
    assert_int_equal(told.n_durable, 1);
    assert_int_equal(told.rc, RC_OK);
}

static void
test_quiet_generation_waits(void **state)
{
    struct world *w = *state;
    struct idx_options slow = {.commit_us = 3600000000};
    kit_close(w->idx);
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, &slow);
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

static void
test_alter_appends_fields(void **state)
{
    struct world *w = *state;
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 20, 1, IDX_DURABLE);
    put_range(w, uid, 20, 30, 1, IDX_APPLIED);
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
    struct idx_doc d = {SPAN_LIT("x"), 1, SPAN_LIT("{}"), values};
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
        reopen(w);
    }
}

static void
test_merge_all(void **state)
{
    struct world *w = *state;
    uint32_t a = make(w, 0), b = make(w, 1);
    for (uint32_t i = 0; i < 8; i++) {
        put_range(w, a, i * 10, i * 20 + 10, i, IDX_DURABLE);
        put_range(w, b, i * 5, i * 5 + 5, i, IDX_VISIBLE);
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
        put_range(w, a, 0, 3, 77, IDX_APPLIED);
    }
    reopen(w);
    kit_expect(w->idx, w->m);
}

static void
count_segments(void *arg, const char *name, uint64_t n_bytes)
{
    int *n = arg;
    (void)n_bytes;
    *n += strlen(name) == 20 && strcmp(name + 16, ".seg") == 0;
}

static void
find_newest(void *arg, const char *name, uint64_t n_bytes)
{
    uint64_t *newest = arg;
    (void)n_bytes;
    if (strlen(name) == 20 && strcmp(name + 16, ".seg") == 0) {
        uint64_t number = strtoull(name, NULL, 16);
        *newest = number > *newest ? number : *newest;
    }
}

/* I8: the number of a file that a crash left behind is not given to another one. */
static void
test_numbers_are_not_used_again(void **state)
{
    struct world *w = *state;
    struct err err;
    uint64_t newest = 0;
    char name[32];
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 40, 1, IDX_DURABLE);
    close_world(w);
    assert_int_equal(fs_list(w->fs, find_newest, &newest, &err), RC_OK);
    for (uint64_t i = 1; i < 20; i++) {
        snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)(newest + i));
        assert_int_equal(fs_write(w->fs, name, SPAN_LIT("left over"), &err), RC_OK);
    }
    w->idx = kit_open(w->fs, NULL);
    put_range(w, uid, 0, 40, 5, IDX_DURABLE);
    for (uint64_t i = 1; i < 20; i++) {
        struct fs_map map;
        snprintf(name, sizeof name, "%016llx.seg", (unsigned long long)(newest + i));
        assert_int_equal(fs_map(w->fs, name, &map, &err), RC_ABSENT);
    }
}

static void
test_files_go(void **state)
{
    struct world *w = *state;
    struct err err;
    uint32_t uid = make(w, 0);
    for (uint32_t i = 0; i < 30; i++)
        put_range(w, uid, 0, 40, i, IDX_DURABLE);
    int n = 0;
    assert_int_equal(fs_list(w->fs, count_segments, &n, &err), RC_OK);
    assert_in_range(n, 1, 10); /* every commit killed the one before */
    close_world(w);
    assert_int_equal(fs_write(w->fs, "00000000ffffff00.seg", SPAN_LIT("left over"), &err), RC_OK);
    assert_int_equal(fs_write(w->fs, "MANIFEST.new", SPAN_LIT("left over"), &err), RC_OK);
    assert_int_equal(fs_write(w->fs, "notes.txt", SPAN_LIT("not ours"), &err), RC_OK);
    w->idx = kit_open(w->fs, NULL);
    struct fs_map map;
    assert_int_equal(fs_map(w->fs, "00000000ffffff00.seg", &map, &err), RC_ABSENT);
    assert_int_equal(fs_map(w->fs, "notes.txt", &map, &err), RC_OK);
    fs_unmap(w->fs, &map);
    kit_expect(w->idx, w->m);
}

/* ---- directories that cannot be opened ---- */

static void
expect_refused(struct world *w, enum rc rc, const char *words)
{
    struct idx_options o = {.fs = w->fs};
    struct err err = {0};
    assert_int_equal(idx_open(&o, &w->idx, &err), rc);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    w->idx = NULL;
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
}

static void
take_file(struct world *w, const char *name, struct buf *out)
{
    struct fs_map map;
    struct err err;
    buf_clear(out);
    assert_int_equal(fs_map(w->fs, name, &map, &err), RC_OK);
    buf_put(out, map.p, map.n);
    fs_unmap(w->fs, &map);
}

static void
find_segment(void *arg, const char *name, uint64_t n_bytes)
{
    (void)n_bytes;
    if (strlen(name) == 20 && strcmp(name + 16, ".seg") == 0)
        snprintf(arg, 32, "%s", name);
}

static void
test_refused(void **state)
{
    struct world *w = *state;
    struct err err;
    struct buf manifest = {0}, segment = {0};
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 40, 1, IDX_DURABLE);

    struct fs *other = kit_fs(w->dir);
    struct idx_options o = {.fs = other};
    struct idx *idx;
    assert_int_equal(idx_open(&o, &idx, &err), RC_CONFLICT);
    fs_close(other);
    close_world(w);

    take_file(w, "MANIFEST", &manifest);
    manifest.p[8] = 2; /* a version to come */
    assert_int_equal(fs_write(w->fs, "MANIFEST", buf_span(&manifest), &err), RC_OK);
    expect_refused(w, RC_CORRUPT, "version 2");
    manifest.p[8] = 1;
    manifest.p[manifest.n - 3] ^= 4;
    assert_int_equal(fs_write(w->fs, "MANIFEST", buf_span(&manifest), &err), RC_OK);
    expect_refused(w, RC_CORRUPT, "checksum");
    manifest.p[manifest.n - 3] ^= 4;
    assert_int_equal(fs_unlink(w->fs, "MANIFEST", &err), RC_OK);
    expect_refused(w, RC_CORRUPT, "missing");
    assert_int_equal(fs_write(w->fs, "MANIFEST", buf_span(&manifest), &err), RC_OK);

    char name[32] = "";
    assert_int_equal(fs_list(w->fs, find_segment, name, &err), RC_OK);
    take_file(w, name, &segment);
    assert_int_equal(fs_unlink(w->fs, name, &err), RC_OK);
    expect_refused(w, RC_CORRUPT, name);
    assert_int_equal(fs_write(w->fs, name, span_of(segment.p, segment.n - 8), &err), RC_OK);
    expect_refused(w, RC_CORRUPT, name);
    assert_int_equal(fs_write(w->fs, name, buf_span(&segment), &err), RC_OK);
    w->idx = kit_open(w->fs, NULL);
    kit_expect(w->idx, w->m);
    buf_fini(&manifest);
    buf_fini(&segment);
}

static void
count_finding(void *arg, const char *finding)
{
    (void)finding;
    ++*(int *)arg;
}

/* Whatever bit flips in a segment, idx_check says so. */
static void
test_check_finds_flips(void **state)
{
    struct world *w = *state;
    struct err err;
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 300, 1, IDX_DURABLE);
    close_world(w);
    struct buf segment = {0};
    char name[32] = "";
    assert_int_equal(fs_list(w->fs, find_segment, name, &err), RC_OK);
    take_file(w, name, &segment);
    for (size_t at = 0; at < segment.n; at += 1 + segment.n / 50) {
        int n = 0;
        segment.p[at] ^= 16;
        assert_int_equal(fs_write(w->fs, name, buf_span(&segment), &err), RC_OK);
        segment.p[at] ^= 16;
        enum rc rc = idx_check(w->fs, count_finding, &n, &err);
        fs_close(w->fs); /* gives the lock back */
        w->fs = kit_fs(w->dir);
        /* A byte of padding belongs to no section. */
        if (rc == RC_OK && segment.p[at] == 0)
            continue;
        assert_int_equal(rc, RC_CORRUPT);
        assert_true(n > 0);
    }
    assert_int_equal(fs_write(w->fs, name, buf_span(&segment), &err), RC_OK);
    buf_fini(&segment);
}

/* ---- others ---- */

static enum rc
add_record(void *arg, struct span record, uint64_t end, struct err *err)
{
    (void)end;
    (void)err;
    buf_put_span(arg, record);
    return RC_OK;
}

static void
test_copy(void **state)
{
    struct world *w = *state;
    struct err err;
    struct idx_log *log;
    uint64_t end;
    uint32_t uid = make(w, 0);
    assert_int_equal(idx_log_open(w->fs, &log, &err), RC_OK);
    assert_int_equal(idx_log_append(log, SPAN_LIT("record"), &end, &err), RC_OK);
    assert_int_equal(idx_log_sync(log, &err), RC_OK);
    put_range(w, uid, 0, 40, 1, IDX_DURABLE);
    char *dir = scratch_new();
    struct buf path = {0}, got = {0};
    buf_printf(&path, "%s/copy", dir);
    buf_putc(&path, 0);
    assert_int_equal(idx_copy(w->idx, path.p, &err), RC_OK);
    assert_int_equal(idx_copy(w->idx, path.p, &err), RC_CONFLICT);
    assert_int_equal(idx_copy(w->idx, "relative", &err), RC_INVALID);
    struct kit_model *then = xcalloc(1, sizeof *then);
    *then = *w->m;
    put_range(w, uid, 0, 40, 2, IDX_DURABLE); /* the original goes its way */
    assert_int_equal(idx_merge_all(w->idx, &err), RC_OK);

    struct fs *fs = kit_fs(path.p);
    kit_check(fs);
    fs_close(fs);
    fs = kit_fs(path.p);
    struct idx *copy = kit_open(fs, NULL);
    struct idx_log *log_copy;
    kit_expect(copy, then);
    assert_int_equal(idx_log_open(fs, &log_copy, &err), RC_OK);
    assert_int_equal(idx_log_replay(log_copy, 0, add_record, &got, &err), RC_OK);
    assert_true(span_eq_str(buf_span(&got), "record"));
    idx_log_close(log_copy);
    idx_log_close(log);
    kit_close(copy);
    fs_close(fs);
    kit_expect(w->idx, w->m);
    scratch_free(dir);
    buf_fini(&path);
    buf_fini(&got);
    free(then);
}

static void
test_wait(void **state)
{
    struct world *w = *state;
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

/* With hardly any memory every batch is written at once, and submitting waits instead of growing. */
static void
test_little_memory(void **state)
{
    struct world *w = *state;
    struct idx_options little = {.ram_bytes_max = 4096, .commit_us = 3600000000};
    kit_close(w->idx);
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, &little);
    uint32_t uid = make(w, 0);
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
    reopen(w);
    kit_expect(w->idx, w->m);
}

static void
test_metrics(void **state)
{
    struct world *w = *state;
    struct metrics *metrics = metrics_new();
    struct idx_options o = {.metrics = metrics};
    kit_close(w->idx);
    fs_close(w->fs);
    w->fs = kit_fs(w->dir);
    w->idx = kit_open(w->fs, &o);
    uint32_t uid = make(w, 0);
    put_range(w, uid, 0, 40, 1, IDX_DURABLE);
    struct idx_batch *b = idx_batch_new();
    kit_delete(w->m, b, uid, 3);
    kit_delete(w->m, b, uid, 300);
    kit_submit(w->idx, &b, IDX_VISIBLE);
    assert_int_equal(metrics_read(metrics, M_INDEX_DOCS), 39);
    close_world(w);
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
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
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
        TEST(test_alter_appends_fields),
        TEST(test_merge_all),
        TEST(test_files_go),
        TEST(test_numbers_are_not_used_again),
        TEST(test_refused),
        TEST(test_check_finds_flips),
        TEST(test_copy),
        TEST(test_wait),
        TEST(test_little_memory),
        TEST(test_metrics),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
