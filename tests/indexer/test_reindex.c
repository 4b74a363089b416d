/* Rebuilding aside: what serves goes on serving, and nothing is lost at the switch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include "indexer/pipeline.h"

#include "tests/indexer/compare.h"
#include "tests/indexer/world.h"

/* A rig that has so many emotes in the index. */
static void
open_emotes(struct rig *r, void **state, unsigned n)
{
    rig_init(r, *state);
    world_emotes(r, 0, n);
    assert_true(rig_open_settled(r));
}

/* Orders one collection; all with NULL. */
static enum rc
order(struct rig *r, const char *name, struct err *err)
{
    struct span one = span_str(name ? name : "");
    return ing_mongo_reindex(r->m, &one, name ? 1 : 0, err);
}

/* What GET /admin/reindex answers, in place of what was in the buffer. */
static const char *
progress(struct rig *r, struct buf *text)
{
    buf_clear(text);
    ing_mongo_write_reindex(r->m, text);
    buf_putc(text, 0);
    return text->p;
}

static bool
is_rebuilding(struct rig *r)
{
    return rig_status_has(r, "\"state\":\"reindexing\"");
}

static uint32_t
uid_of(struct rig *r, const char *name)
{
    struct idx_reader *reader = idx_reader_new(r->idx);
    const struct idx_collection *c = idx_snapshot_find(idx_reader_begin(reader), span_str(name));
    uint32_t uid = c ? c->uid : 0;
    idx_reader_end(reader);
    idx_reader_free(reader);
    return uid;
}

static bool
wait_switch(struct rig *r, const char *name, uint32_t old)
{
    uint64_t until_us = clock_us() + 60000000;
    while ((uid_of(r, name) == old || is_rebuilding(r)) && clock_us() < until_us)
        clock_sleep_us(2000);
    return uid_of(r, name) != old;
}

static void
rebuilds_while_serving_and_changing(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    struct err err;
    rig_init(&r, *state);
    world_emotes(&r, 1000, 20000);
    for (int i = 0; i < 200; i++)
        world_change(&r, &rng);
    assert_true(rig_open_settled(&r));
    uint32_t old_emotes = uid_of(&r, "emotes"), old_users = uid_of(&r, "users");
    assert_int_equal(order(&r, NULL, &err), RC_OK);
    assert_int_equal(order(&r, NULL, &err), RC_CONFLICT);
    for (int i = 0; i < 400; i++) {
        world_change(&r, &rng);
        assert_true(rig_count(&r, "emotes") >= 19900);
    }
    assert_true(wait_switch(&r, "emotes", old_emotes));
    assert_int_not_equal(uid_of(&r, "users"), old_users);
    for (int i = 0; i < 100; i++)
        world_change(&r, &rng);
    assert_true(rig_settle(&r));
    compare_assert_equal(&r);
    rig_fini(&r);
}

/* ---- room ---- */

struct tight_fs { /* a disk with so much left; nothing else can be asked of it */
    struct fs fs;
    uint64_t n_free;
};

static enum rc
tight_free(struct fs *fs, uint64_t *out, struct err *err)
{
    (void)err;
    *out = ((struct tight_fs *)fs)->n_free;
    return RC_OK;
}

static void
begins_only_where_there_is_room(void **state)
{
    static const struct fs_ops ops = {.free_bytes = tight_free};
    struct tight_fs tight = {.fs = {.ops = &ops}, .n_free = 10 << 10};
    struct rig r;
    struct err err;
    open_emotes(&r, state, 3000);
    uint32_t emotes = uid_of(&r, "emotes");
    struct span name = SPAN_LIT("emotes");
    r.m->options.fs = &tight.fs;
    assert_int_equal(order(&r, "emotes", &err), RC_FULL);
    assert_int_equal(rc_http(err.rc), 507);
    assert_non_null(strstr(err.text, "MB of disk"));
    assert_non_null(strstr(err.text, " 0.0 MB are free"));
    assert_true(rig_status_has(&r, "\"disk_free_bytes\":10240"));
    assert_true(rig_status_has(&r, "\"has_room\":false"));
    assert_int_equal(uid_of(&r, "emotes"), emotes);
    assert_int_equal(ing_mongo_reindex_anyway(r.m, &name, 1, &err), RC_OK);
    assert_true(wait_switch(&r, "emotes", emotes));
    tight.n_free = UINT64_C(1) << 40;
    emotes = uid_of(&r, "emotes");
    assert_int_equal(order(&r, "emotes", &err), RC_OK);
    assert_true(wait_switch(&r, "emotes", emotes));
    r.m->options.rebuild_memory_bytes = UINT64_C(1) << 60;
    assert_int_equal(order(&r, "emotes", &err), RC_FULL);
    assert_non_null(strstr(err.text, "MB of memory"));
    rig_fini(&r);
}

/* Another collection may be rebuilt beside; the same one may not. */
static void
rebuilds_each_collection_once_at_a_time(void **state)
{
    struct rig r;
    struct err err;
    rig_init(&r, *state);
    world_emotes(&r, 0, 40000);
    world_role(&r, 1, 5, true);
    assert_true(rig_open_settled(&r));
    uint32_t emotes = uid_of(&r, "emotes"), badges = uid_of(&r, "badges");
    assert_int_equal(order(&r, "emotes", &err), RC_OK);
    assert_int_equal(order(&r, "emotes", &err), RC_CONFLICT);
    assert_non_null(strstr(err.text, "emotes is being rebuilt already"));
    assert_int_equal(order(&r, "badges", &err), RC_OK);
    assert_true(wait_switch(&r, "emotes", emotes));
    assert_int_not_equal(uid_of(&r, "badges"), badges);
    rig_fini(&r);
}

/* The share that is done does not begin anew with the process. */
static void
shows_its_progress_over_a_restart(void **state)
{
    struct rig r;
    struct err err;
    open_emotes(&r, state, 40000);
    uint32_t emotes = uid_of(&r, "emotes");
    assert_int_equal(order(&r, "emotes", &err), RC_OK);
    unsigned long long n = 0, n_after = 0;
    struct buf text = {0};
    for (uint64_t end_us = clock_us() + 20000000; n < 8000 && clock_us() < end_us;) {
        const char *at = strstr(progress(&r, &text), "\"scanning\",\"documents\":");
        n = at ? strtoull(at + 23, NULL, 10) : 0;
    }
    assert_non_null(strstr(text.p, "{\"running\":true"));
    assert_non_null(strstr(text.p, "\"estimated\":40000"));
    const char *eta = strstr(strstr(text.p, "\"scanning\""), "\"eta_s\":");
    assert_true(eta && eta[8] >= '0' && eta[8] <= '9');
    rig_close(&r);
    rig_open(&r);
    for (uint64_t end_us = clock_us() + 20000000; n_after == 0 && clock_us() < end_us;) {
        const char *at = strstr(progress(&r, &text), "\"name\":\"emotes\"");
        at = at ? strstr(at, "\"documents\":") : NULL;
        n_after = at ? strtoull(at + 12, NULL, 10) : 0;
    }
    assert_true(n_after >= n);
    assert_true(wait_switch(&r, "emotes", emotes));
    assert_non_null(strstr(progress(&r, &text), "\"state\":\"done\",\"documents\":40000"));
    assert_non_null(strstr(text.p, "{\"running\":false"));
    buf_fini(&text);
    assert_int_equal(rig_count(&r, "emotes"), 40000);
    rig_fini(&r);
}

static void
rebuilds_one_collection(void **state)
{
    struct rig r;
    struct err err;
    open_emotes(&r, state, 3000);
    uint32_t emotes = uid_of(&r, "emotes"), users = uid_of(&r, "users");
    assert_int_equal(order(&r, "nothing", &err), RC_ABSENT);
    assert_int_equal(order(&r, "emotes", &err), RC_OK);
    assert_true(wait_switch(&r, "emotes", emotes));
    assert_int_equal(uid_of(&r, "users"), users);
    struct buf text = {0};
    assert_non_null(
        strstr(progress(&r, &text),
               "{\"name\":\"emotes\",\"state\":\"done\",\"documents\":3000,\"estimated\":3000"));
    buf_fini(&text);
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
may_be_cancelled(void **state)
{
    struct rig r;
    struct err err;
    open_emotes(&r, state, 20000);
    assert_int_equal(ing_mongo_cancel_reindex(r.m, &err), RC_ABSENT);
    uint32_t emotes = uid_of(&r, "emotes");
    assert_int_equal(order(&r, NULL, &err), RC_OK);
    uint64_t until_us = clock_us() + 10000000;
    while (!is_rebuilding(&r) && clock_us() < until_us)
        clock_sleep_us(200);
    assert_int_equal(ing_mongo_cancel_reindex(r.m, &err), RC_OK);
    while (is_rebuilding(&r) && clock_us() < until_us)
        clock_sleep_us(1000);
    assert_int_equal(uid_of(&r, "emotes"), emotes);
    world_emote(&r, 5, "later", 1);
    assert_true(rig_settle(&r));
    compare_assert_equal(&r);
    rig_fini(&r);
}

static void
goes_on_after_a_restart(void **state)
{
    struct rig r;
    struct rng rng = rng_new();
    struct err err;
    rig_init(&r, *state);
    world_emotes(&r, 1000, 20000);
    for (int i = 0; i < 100; i++)
        world_change(&r, &rng);
    assert_true(rig_open_settled(&r));
    uint32_t emotes = uid_of(&r, "emotes");
    assert_int_equal(order(&r, NULL, &err), RC_OK);
    uint64_t scanned = metrics_read(r.metrics, M_SCANNED), until_us = clock_us() + 10000000;
    while (metrics_read(r.metrics, M_SCANNED) < scanned + 9000 && clock_us() < until_us)
        clock_sleep_us(200);
    rig_close(&r);
    for (int i = 0; i < 100; i++)
        world_change(&r, &rng);
    rig_open(&r);
    assert_int_equal(uid_of(&r, "emotes"), emotes);
    assert_true(wait_switch(&r, "emotes", emotes));
    /* Not from the beginning: less than two scans in all. */
    assert_true(metrics_read(r.metrics, M_SCANNED) < scanned + 36000);
    assert_true(rig_settle(&r));
    compare_assert_equal(&r);
    rig_fini(&r);
}

/* Another mapping than the index was made with: rebuilt aside, the old one serves. */
static void
rebuilds_after_a_change_of_profile(void **state)
{
    struct rig r;
    open_emotes(&r, state, 5000);
    uint32_t emotes = uid_of(&r, "emotes"), roles = uid_of(&r, "roles");
    rig_close(&r);
    struct sch_collection *c = NULL;
    for (uint32_t i = 0; i < r.profile.n_collections; i++) {
        if (span_eq_str(r.profile.collections[i].name, "emotes"))
            c = &r.profile.collections[i];
    }
    must(c && c->n_fields > 1);
    c->n_fields--; /* a field less */
    if (c->default_sort == (int32_t)c->n_fields)
        c->default_sort = -1;
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_int_equal(rig_count(&r, "emotes"), 5000);
    world_emote(&r, 3, "meanwhile", 1);
    assert_true(wait_switch(&r, "emotes", emotes));
    assert_int_equal(uid_of(&r, "roles"), roles);
    assert_true(rig_settle(&r));
    compare_assert_equal(&r);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rebuilds_while_serving_and_changing),
        cmocka_unit_test(rebuilds_one_collection),
        cmocka_unit_test(begins_only_where_there_is_room),
        cmocka_unit_test(rebuilds_each_collection_once_at_a_time),
        cmocka_unit_test(shows_its_progress_over_a_restart),
        cmocka_unit_test(may_be_cancelled),
        cmocka_unit_test(goes_on_after_a_restart),
        cmocka_unit_test(rebuilds_after_a_change_of_profile),
    };
    return cmocka_run_group_tests(tests, server_setup, server_teardown);
}
