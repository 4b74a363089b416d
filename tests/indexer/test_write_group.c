/*
 * Groups of API writes: what they see of each other, what is left of them
 * after a crash at any operation of the disk, and what a failing disk leaves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "indexer/group.h"

#include "tests/support/fs_record.h"
#include "tests/support/rng.h"
#include "tests/support/scratch.h"

enum { IDS = 12, GROUPS = 60, CRASHES = 120 };

static const char SCHEMA[] = "{\"name\":\"c\",\"fields\":[{\"name\":\"v\",\"type\":\"int32\"},"
                             "{\"name\":\"kept_out\",\"type\":\"int32\",\"store\":false}]}";

/* ---- an index with its groups ---- */

struct side {
    struct fs *fs;
    struct idx *idx;
    struct ing_groups *groups;
    struct ing_group group;
};

static void
side_open(struct side *s, struct fs *fs)
{
    struct err err = {0};
    const struct idx_options options = {.fs = fs, .refresh_us = 2000, .commit_us = 30000};
    s->fs = fs;
    if (idx_open(&options, &s->idx, &err) != RC_OK ||
        ing_groups_open(s->idx, fs, NULL, &s->groups, &err) != RC_OK)
        fail_msg("opening: %s", err.text);
    assert_int_equal(ing_group_init(&s->group, s->groups, NULL), RC_OK);
}

static void
side_close(struct side *s)
{
    ing_group_fini(&s->group);
    ing_groups_close(s->groups);
    (void)idx_close(s->idx, NULL); /* after a failing disk the last commit may fail */
    fs_close(s->fs);
}

/* The collection "c", made anew. */
static enum rc
try_collection(struct side *s)
{
    struct arena arena = {0};
    struct json json;
    struct sch_collection schema;
    struct err err = {0};
    assert_int_equal(json_parse(span_str(SCHEMA), &arena, &json, NULL), RC_OK);
    assert_int_equal(sch_parse(&json, &arena, &schema, &err), RC_OK);
    schema.tie = SCH_TIE_SEQ;
    ing_groups_begin(s->groups);
    struct idx_batch *batch = idx_batch_new();
    uint32_t uid = idx_new_uid(s->idx);
    idx_batch_create(batch, uid, &schema, 0);
    idx_batch_name(batch, uid);
    idx_batch_complete(batch, uid);
    enum rc rc = ing_groups_commit(s->groups, &batch, &err);
    assert_true(rc == RC_OK || err.text[0]);
    ing_groups_end(s->groups);
    arena_fini(&arena);
    return rc;
}

static void
make_collection(struct side *s)
{
    assert_int_equal(try_collection(s), RC_OK);
}

/* json NULL: only the id, to delete. */
static struct ing_write *
add(struct side *s, enum ing_action action, const char *id, const char *json)
{
    struct err err = {0};
    struct ing_write *w = ing_group_add(&s->group);
    w->action = action;
    w->collection = SPAN_LIT("c");
    if (id)
        w->id = arena_dup(&s->group.arena, span_str(id));
    if (json && json_parse(span_str(json), &s->group.arena, &w->object, &err) != RC_OK)
        fail_msg("%s: %s", json, err.text);
    return w;
}

/* The document's "v"; 0 if it is not there. */
static int64_t
value_of(struct side *s, const char *id)
{
    struct arena arena = {0};
    struct json json;
    struct span text;
    uint32_t view = 0, doc = 0;
    double v = 0;
    ing_groups_begin(s->groups);
    const struct idx_collection *c =
        idx_snapshot_find(ing_groups_snapshot(s->groups), SPAN_LIT("c"));
    struct idx_doc_reader *reader = idx_doc_reader_new();
    if (c && idx_collection_find(c, span_str(id), &view, &doc)) {
        assert_int_equal(idx_doc_reader_get(reader, c->views[view].segment, doc, &text, NULL),
                         RC_OK);
        assert_int_equal(json_parse(text, &arena, &json, NULL), RC_OK);
        assert_true(json_number(json_get(&json, "v"), &v));
        assert_null(json_get(&json, "kept_out"));
        /* What is not stored is indexed all the same: it is always v + 1. */
        struct idx_column column;
        assert_true(idx_segment_column(c->views[view].segment, 1, &column));
        assert_int_equal(column.i32[doc], (int32_t)v + 1);
    }
    ing_groups_end(s->groups);
    idx_doc_reader_free(reader);
    arena_fini(&arena);
    return (int64_t)v;
}

static void
run(struct side *s)
{
    ing_group_prepare(&s->group);
    ing_group_run(&s->group);
}

/* ---- what writes of one group see of each other ---- */

struct row {
    enum ing_action action;
    const char *id, *json;
    enum rc rc;
    const char *stored;
};

static const struct row ROWS[] = {
    {ING_CREATE, NULL, "{\"id\":\"a\",\"v\":1,\"kept_out\":2,\"x\":true}", RC_OK,
     "{\"id\":\"a\",\"v\":1,\"x\":true}"},
    {ING_CREATE, NULL, "{\"id\":\"a\",\"v\":1,\"kept_out\":2}", RC_CONFLICT, NULL},
    {ING_CREATE, NULL, "{\"id\":\"a\",\"v\":\"bad\",\"kept_out\":2}", RC_CONFLICT, NULL},
    {ING_CREATE, NULL, "{\"id\":\"b\",\"v\":\"bad\",\"kept_out\":2}", RC_INVALID, NULL},
    {ING_UPDATE, "a", "{\"v\":3,\"kept_out\":4}", RC_OK, "{\"id\":\"a\",\"v\":3,\"x\":true}"},
    {ING_UPDATE, "b", "{\"v\":3,\"kept_out\":4}", RC_ABSENT, NULL},
    {ING_EMPLACE, NULL, "{\"id\":\"a\",\"v\":5,\"kept_out\":6,\"x\":null}", RC_OK,
     "{\"id\":\"a\",\"v\":5}"},
    {ING_EMPLACE, NULL, "{\"id\":\"b\",\"v\":7,\"kept_out\":8}", RC_OK, "{\"id\":\"b\",\"v\":7}"},
    {ING_DELETE, "a", NULL, RC_OK, "{\"id\":\"a\",\"v\":5}"},
    {ING_DELETE, "a", NULL, RC_ABSENT, NULL},
    {ING_UPDATE, "a", "{\"v\":9,\"kept_out\":10}", RC_ABSENT, NULL},
    {ING_UPSERT, NULL, "{\"id\":\"a\",\"v\":11,\"kept_out\":12}", RC_OK, "{\"id\":\"a\",\"v\":11}"},
};

static void
check_row(const struct row *row, const struct ing_write *w, size_t i)
{
    if (w->rc != row->rc)
        fail_msg("row %zu: %s in place of %s: %s", i, rc_text(w->rc), rc_text(row->rc),
                 w->err.text);
    if (row->rc == RC_OK)
        assert_true(span_eq_str(w->stored, row->stored));
    else
        assert_true(w->err.text[0]);
}

static void
writes_see_those_before(void **state)
{
    /* In one group, and each in its own, with and without building ahead. */
    (void)state;
    for (int way = 0; way < 3; way++) {
        char *dir = scratch_new();
        struct fs *fs = NULL;
        struct side s;
        assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
        side_open(&s, fs);
        make_collection(&s);
        for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
            (void)add(&s, ROWS[i].action, ROWS[i].id, ROWS[i].json);
            if (way == 0)
                continue;
            if (way == 1)
                ing_group_prepare(&s.group);
            ing_group_run(&s.group);
            check_row(&ROWS[i], &s.group.writes[0], i);
            ing_group_reset(&s.group);
        }
        if (way == 0)
            run(&s);
        for (size_t i = 0; i < s.group.n; i++)
            check_row(&ROWS[i], &s.group.writes[i], i);
        assert_int_equal(value_of(&s, "a"), 11);
        assert_int_equal(value_of(&s, "b"), 7);
        side_close(&s);
        scratch_free(dir);
    }
}

/* Until the document of the id is in a file. */
static void
wait_for_file(struct side *s, const char *id)
{
    for (int i = 0; i < 4000; i++) {
        uint32_t view = 0, doc = 0;
        ing_groups_begin(s->groups);
        const struct idx_collection *c =
            idx_snapshot_find(ing_groups_snapshot(s->groups), SPAN_LIT("c"));
        bool is_there =
            idx_collection_find(c, span_str(id), &view, &doc) && c->views[view].file != 0;
        ing_groups_end(s->groups);
        if (is_there)
            return;
        clock_sleep_us(5000);
    }
    fail_msg("%s is in no file", id);
}

/* One write of a group of its own: prepared, then another group's write (unless NULL), then run. */
static void
check_overtaken(struct side *s, struct side *other, const struct row *row,
                const struct row *in_between)
{
    (void)add(s, row->action, row->id, row->json);
    ing_group_prepare(&s->group);
    if (in_between) {
        (void)add(other, in_between->action, in_between->id, in_between->json);
        run(other);
        check_row(in_between, &other->group.writes[0], 0);
        ing_group_reset(&other->group);
    }
    ing_group_run(&s->group);
    check_row(row, &s->group.writes[0], 0);
    ing_group_reset(&s->group);
}

/* What was laid over a document ahead of the turn counts only if that one is still the newest. */
static void
a_document_may_change_in_between(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = NULL;
    struct side s, other = {0};
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    side_open(&s, fs);
    assert_int_equal(ing_group_init(&other.group, s.groups, NULL), RC_OK);
    make_collection(&s);
    const struct row first = {ING_UPSERT, NULL, "{\"id\":\"a\",\"v\":1,\"kept_out\":2,\"x\":1}",
                              RC_OK, "{\"id\":\"a\",\"v\":1,\"x\":1}"};
    const struct row update = {ING_UPDATE, "a", "{\"v\":3,\"kept_out\":4}", RC_OK,
                               "{\"id\":\"a\",\"v\":3,\"x\":1}"};
    const struct row change = {ING_UPDATE, "a", "{\"v\":5,\"kept_out\":6,\"x\":2}", RC_OK,
                               "{\"id\":\"a\",\"v\":5,\"x\":2}"};
    const struct row changed = {ING_EMPLACE, "a", "{\"v\":7,\"kept_out\":8}", RC_OK,
                                "{\"id\":\"a\",\"v\":7,\"x\":2}"};
    const struct row removal = {ING_DELETE, "a", NULL, RC_OK, "{\"id\":\"a\",\"v\":7,\"x\":2}"};
    const struct row absent = {ING_UPDATE, "a", "{\"v\":9,\"kept_out\":10}", RC_ABSENT, NULL};
    const struct row fresh = {ING_EMPLACE, "a", "{\"v\":9,\"kept_out\":10}", RC_OK,
                              "{\"id\":\"a\",\"v\":9}"};
    const struct row removal_again = {ING_DELETE, "a", NULL, RC_OK,
                                      "{\"id\":\"a\",\"v\":1,\"x\":1}"};

    check_overtaken(&s, &other, &first, NULL);
    wait_for_file(&s, "a");
    check_overtaken(&s, &other, &update, NULL);
    wait_for_file(&s, "a");
    check_overtaken(&s, &other, &changed, &change);
    wait_for_file(&s, "a");
    check_overtaken(&s, &other, &absent, &removal);
    check_overtaken(&s, &other, &first, NULL);
    wait_for_file(&s, "a");
    check_overtaken(&s, &other, &fresh, &removal_again);
    assert_int_equal(value_of(&s, "a"), 9);
    ing_group_fini(&other.group);
    side_close(&s);
    scratch_free(dir);
}

/* A document built for a collection that was replaced meanwhile is built anew. */
static void
a_collection_may_change_in_between(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = NULL;
    struct side s;
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    side_open(&s, fs);
    make_collection(&s);
    (void)add(&s, ING_CREATE, NULL, "{\"id\":\"a\",\"v\":1,\"kept_out\":2}");
    ing_group_prepare(&s.group);
    make_collection(&s);
    ing_group_run(&s.group);
    assert_int_equal(s.group.writes[0].rc, RC_OK);
    assert_int_equal(value_of(&s, "a"), 1);
    ing_group_reset(&s.group);
    side_close(&s);
    scratch_free(dir);
}

static void
numbers_are_given_once(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct side s;
    struct fs *fs = NULL;
    uint64_t last = 0;
    for (int life = 0; life < 3; life++) {
        assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
        side_open(&s, fs);
        if (life == 0)
            make_collection(&s);
        for (int i = 0; i < 5; i++) {
            (void)add(&s, ING_CREATE, NULL, "{\"v\":1,\"kept_out\":2}");
            run(&s);
            uint64_t id = 0;
            assert_int_equal(s.group.writes[0].rc, RC_OK);
            assert_true(span_u64(s.group.writes[0].stored_id, &id));
            assert_true(id > last || (id == 0 && life == 0 && i == 0));
            last = id;
            ing_group_reset(&s.group);
        }
        side_close(&s);
    }
    scratch_free(dir);
}

/* ---- crashes ---- */

struct history {
    int64_t states[GROUPS + 1][IDS]; /* after group g: each id's value, 0 if it is not there */
    size_t acknowledged[GROUPS + 1]; /* operations of the disk by then */
};

static void
id_name(unsigned id, char name[8])
{
    snprintf(name, 8, "d%u", id);
}

static void
play(struct side *s, struct history *h, struct rng *rng)
{
    char id[8], json[96];
    h->acknowledged[0] = fs_record_n(s->fs);
    for (int g = 1; g <= GROUPS; g++) {
        int64_t *now = h->states[g];
        memcpy(now, h->states[g - 1], sizeof h->states[0]);
        unsigned n = 1 + (unsigned)rng_below(rng, 6);
        for (unsigned i = 0; i < n; i++) {
            unsigned number = (unsigned)rng_below(rng, IDS);
            bool is_delete = now[number] && rng_below(rng, 4) == 0;
            now[number] = is_delete ? 0 : g * 10 + (int)i;
            id_name(number, id);
            snprintf(json, sizeof json, "{\"id\":\"%s\",\"v\":%d,\"kept_out\":%d}", id,
                     g * 10 + (int)i, g * 10 + (int)i + 1);
            (void)add(s, is_delete ? ING_DELETE : ING_UPSERT, is_delete ? id : NULL,
                      is_delete ? NULL : json);
        }
        run(s);
        for (size_t i = 0; i < s->group.n; i++)
            assert_int_equal(s->group.writes[i].rc, RC_OK);
        ing_group_reset(&s->group);
        h->acknowledged[g] = fs_record_n(s->fs);
    }
}

static void
check_crash(struct fs *recorded, const struct history *h, struct fs_crash crash)
{
    char *dir = scratch_new();
    char id[8], text[FS_RECORD_TEXT_MAX];
    struct fs *fs = NULL;
    struct side s;
    int g = 0;
    while (g < GROUPS && h->acknowledged[g + 1] <= crash.n_ops)
        g++;
    fs_record_rebuild(recorded, crash, dir);
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    side_open(&s, fs);
    for (unsigned i = 0; i < IDS; i++) {
        id_name(i, id);
        int64_t v = value_of(&s, id);
        bool is_old = v == h->states[g][i];
        /* The group that was under way may be there in part; it was never acknowledged. */
        bool is_new =
            g < GROUPS && (v / 10 == g + 1 || (v == 0 && h->states[g + 1][i] != h->states[g][i]));
        if (!is_old && !is_new)
            fail_msg("%s is %lld after a crash before %s, group %d; it was %lld", id, (long long)v,
                     fs_record_describe(recorded, crash.n_ops, text), g,
                     (long long)h->states[g][i]);
    }
    side_close(&s);
    scratch_free(dir);
}

static void
acknowledged_writes_survive_any_crash(void **state)
{
    (void)state;
    static struct history h;
    struct rng rng = rng_new();
    char *dir = scratch_new();
    struct fs *fs = fs_record_open(dir);
    struct side s;
    side_open(&s, fs);
    make_collection(&s);
    play(&s, &h, &rng);
    size_t first = h.acknowledged[0], n = fs_record_n(fs);
    for (int i = 0; i < CRASHES; i++) {
        struct fs_crash crash = {.n_ops = first + rng_below(&rng, n - first)};
        crash.data = (enum fs_crash_data)rng_below(&rng, FS_CRASH_DATA_N);
        crash.names = (enum fs_crash_names)rng_below(&rng, FS_CRASH_NAMES_N);
        check_crash(fs, &h, crash);
    }
    side_close(&s);
    scratch_free(dir);
}

/* A group that cannot be synced is refused as a whole, and the log goes on without it. */
static void
a_failing_disk_refuses_and_recovers(void **state)
{
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = fs_record_open(dir);
    struct side s;
    side_open(&s, fs);
    make_collection(&s);
    (void)add(&s, ING_CREATE, NULL, "{\"id\":\"before\",\"v\":1,\"kept_out\":2}");
    run(&s);
    assert_int_equal(s.group.writes[0].rc, RC_OK);
    ing_group_reset(&s.group);

    fs_record_fail(fs, fs_record_n(fs), SIZE_MAX);
    (void)add(&s, ING_CREATE, NULL, "{\"id\":\"lost\",\"v\":1,\"kept_out\":2}");
    (void)add(&s, ING_DELETE, "before", NULL);
    run(&s);
    assert_int_equal(s.group.writes[0].rc, RC_DISK);
    assert_int_equal(s.group.writes[1].rc, RC_DISK);
    assert_int_equal(value_of(&s, "lost"), 0);
    assert_int_equal(value_of(&s, "before"), 1);
    ing_group_reset(&s.group);
    fs_record_fail(fs, 0, 0);

    /* A change of the catalog in between commits the log's position: it must not lie ahead. */
    make_collection(&s);
    (void)add(&s, ING_CREATE, NULL, "{\"id\":\"a\",\"v\":1,\"kept_out\":2}");
    run(&s);
    assert_int_equal(s.group.writes[0].rc, RC_OK);
    size_t n_ops = fs_record_n(fs);
    ing_group_reset(&s.group);

    char *copy = scratch_new();
    struct fs *again = NULL;
    struct side other;
    fs_record_rebuild(fs, (struct fs_crash){n_ops, FS_CRASH_DATA_DROP, FS_CRASH_NAMES_DROP}, copy);
    assert_int_equal(fs_open_host(copy, &again, NULL), RC_OK);
    side_open(&other, again);
    assert_int_equal(value_of(&other, "a"), 1);
    assert_int_equal(value_of(&other, "lost"), 0);
    side_close(&other);
    side_close(&s);
    scratch_free(copy);
    scratch_free(dir);
}

static enum rc
try_write(struct side *s, const char *id)
{
    char json[96];
    snprintf(json, sizeof json, "{\"id\":\"%s\",\"v\":1,\"kept_out\":2}", id);
    (void)add(s, ING_CREATE, NULL, json);
    run(s);
    enum rc rc = s->group.writes[0].rc;
    assert_true(rc == RC_OK || s->group.writes[0].err.text[0]);
    ing_group_reset(&s->group);
    return rc;
}

/*
 * A change of the catalog whose commit fails ends all the same. It may be
 * visible by then: no write that rests on it is acknowledged before it is
 * durable, and nothing of it is left half after a crash.
 */
static void
a_catalog_change_ends_when_the_disk_fails(void **state)
{
    enum { BOUND_US = 20000000, AT_ONCE_US = 1000000 };
    (void)state;
    char *dir = scratch_new();
    struct fs *fs = fs_record_open(dir);
    struct side s;
    side_open(&s, fs);
    make_collection(&s);
    assert_int_equal(try_write(&s, "before"), RC_OK);

    fs_record_fail(fs, fs_record_n(fs), SIZE_MAX);
    uint64_t began_us = clock_us();
    assert_int_equal(try_collection(&s), RC_DISK);
    assert_true(clock_us() - began_us < BOUND_US);
    struct buf health = {0};
    ing_groups_write_health(s.groups, &health);
    assert_non_null(strstr(health.p, "disk_error"));
    buf_fini(&health);
    began_us = clock_us();
    assert_int_equal(try_collection(&s), RC_DISK);
    assert_int_equal(try_write(&s, "refused"), RC_DISK);
    assert_true(clock_us() - began_us < AT_ONCE_US);
    size_t n_ops = fs_record_n(fs);

    fs_record_fail(fs, 0, 0);
    began_us = clock_us();
    while (try_write(&s, "after") != RC_OK && clock_us() - began_us < BOUND_US)
        clock_sleep_us(20000);
    assert_int_equal(value_of(&s, "after"), 1);
    assert_int_equal(value_of(&s, "refused"), 0);
    ing_groups_write_health(s.groups, &health);
    assert_int_equal(health.n, 0);
    make_collection(&s);

    /* Had it crashed while the disk was gone: the old collection, and its document. */
    char *copy = scratch_new();
    struct fs *again = NULL;
    struct side other;
    fs_record_rebuild(fs, (struct fs_crash){n_ops, FS_CRASH_DATA_KEEP, FS_CRASH_NAMES_KEEP}, copy);
    assert_int_equal(fs_open_host(copy, &again, NULL), RC_OK);
    side_open(&other, again);
    assert_int_equal(value_of(&other, "before"), 1);
    side_close(&other);
    side_close(&s);
    scratch_free(copy);
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_see_those_before),
        cmocka_unit_test(a_document_may_change_in_between),
        cmocka_unit_test(a_collection_may_change_in_between),
        cmocka_unit_test(numbers_are_given_once),
        cmocka_unit_test(acknowledged_writes_survive_any_crash),
        cmocka_unit_test(a_failing_disk_refuses_and_recovers),
        cmocka_unit_test(a_catalog_change_ends_when_the_disk_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
