/* The Typesense sink, against a server that plays every trouble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <unistd.h>

#include "base/clock.h"

#include "tests/indexer/fake_typesense.h"
#include "tests/indexer/world.h"

struct setting {
    struct server server;
    struct fake fake;
    char url[64];
    struct ing_sink_options options;
};

static int
start(void **state)
{
    static struct setting s;
    server_start(&s.server);
    *state = &s;
    return 0;
}

static int
stop(void **state)
{
    struct setting *s = *state;
    server_stop(&s->server);
    return 0;
}

static void
set_up(struct setting *s, struct rig *r)
{
    fts_start(&s->fake);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->fake.port);
    ing_sink_options_init(&s->options);
    s->options.urls = s->url;
    s->options.api_key = "secret";
    s->options.batch_bytes = 4096;
    s->options.timeout_us = 700000;
    s->options.grace_us = 300000;
    s->options.lease_us = 2000000;
    rig_init(r, &s->server);
    r->sink = &s->options;
}

static void
tear_down(struct setting *s, struct rig *r)
{
    assert_int_equal(s->fake.n_overlaps, 0);
    rig_fini(r);
    fts_stop(&s->fake);
}

/* The member's text in "typesense" of the status, in the arena. */
static struct span
sink_status(struct rig *r, const char *member, struct arena *arena)
{
    struct buf text = {0};
    struct json json;
    buf_putc(&text, '{');
    ing_mongo_write_status(r->m, &text);
    buf_putc(&text, '}');
    must(json_parse(buf_span(&text), arena, &json, NULL) == RC_OK);
    buf_fini(&text);
    const struct json *v = json_get(json_get(&json, "typesense"), member);
    return v && v->type == JSON_STRING ? v->string
           : v && v->type == JSON_INT  ? v->text
                                       : (struct span){0};
}

static bool
wait_state(struct rig *r, const char *state)
{
    uint64_t until_us = clock_us() + 30000000;
    struct arena arena = {0};
    bool is = false;
    while (!is && clock_us() < until_us) {
        is = span_eq_str(sink_status(r, "state", &arena), state);
        if (!is)
            clock_sleep_us(10000);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return is;
}

/* By the index, not by the status: that is as of the sink's last look. */
static bool
owes_nothing(struct rig *r)
{
    uint64_t until_us = clock_us() + 10000000;
    unsigned n_quiet = 0;
    while (n_quiet < 4 && clock_us() < until_us) {
        clock_sleep_us(50000);
        n_quiet = rig_count(r, "tailfin_pending") == 0 ? n_quiet + 1 : 0;
    }
    return n_quiet == 4;
}

static const char *const names[] = {"emotes", "users", "roles", "emote_sets"};

/* Both ways: nothing missing, nothing stale, no ghosts. */
static bool
is_same(struct setting *s, struct rig *r, const char *name)
{
    struct arena arena = {0};
    struct idx_reader *reader = idx_reader_new(r->idx);
    struct idx_doc_reader *docs = idx_doc_reader_new();
    const struct idx_collection *c = idx_snapshot_find(idx_reader_begin(reader), span_str(name));
    bool is = c && fts_count(&s->fake, name) == (int64_t)c->n_docs;
    for (uint32_t v = 0; is && v < c->n_views; v++) {
        for (uint32_t d = 0; is && d < c->views[v].n_docs; d++) {
            char text[IDX_ID_MAX];
            struct span json;
            if (!(c->views[v].live[d / 64] >> (d % 64) & 1))
                continue;
            must(idx_doc_reader_get(docs, c->views[v].segment, d, &json, NULL) == RC_OK);
            struct span id = idx_segment_id(c->views[v].segment, d, text);
            is = span_eq(fts_doc(&s->fake, name, id, &arena), json);
        }
    }
    idx_doc_reader_free(docs);
    idx_reader_end(reader);
    idx_reader_free(reader);
    arena_fini(&arena);
    return is;
}

static bool
converges(struct setting *s, struct rig *r)
{
    uint64_t until_us = clock_us() + 40000000;
    bool is = false;
    assert_true(rig_settle(r));
    while (!is && clock_us() < until_us) {
        is = true;
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
            is &= is_same(s, r, names[i]);
        if (!is)
            clock_sleep_us(20000);
    }
    for (size_t i = 0; i < ARRAY_SIZE(names) && !is; i++)
        printf("%s: %lld there, %lld here\n", names[i], (long long)fts_count(&s->fake, names[i]),
               (long long)rig_count(r, names[i]));
    return is;
}

/* ---- what it does ---- */

static void
fills_and_follows(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    set_up(s, &r);
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_true(converges(s, &r) && wait_state(&r, "following"));
    assert_int_equal(fts_count(&s->fake, "emotes"), 300);
    assert_true(span_starts(fts_alias(&s->fake, "emotes", &arena), SPAN_LIT("emotes_")));
    assert_int_equal(fts_count(&s->fake, "entitlement_edges"), -1);
    assert_int_equal(fts_count(&s->fake, "tailfin_pending"), -1);
    /* Changes, deletions, and what others derive from a change. */
    world_emote(&r, 1, "changed", 1);
    world_remove(&r, "emotes", 'e', 2);
    world_emote(&r, 1000, "new", 1);
    world_role(&r, 1, 33, false);
    assert_true(converges(s, &r));
    assert_int_equal(fts_count(&s->fake, "emotes"), 300);
    /* More deletions than one request names. */
    rig_command(&r, "{\"delete\": \"emotes\", \"deletes\": [{\"q\": {}, \"limit\": 0}]}");
    assert_true(converges(s, &r));
    assert_int_equal(fts_count(&s->fake, "emotes"), 0);
    /* Nothing is owed any more, and a restart sends nothing again. */
    world_emotes(&r, 0, 50);
    assert_true(converges(s, &r));
    world_remove(&r, "emotes", 'e', 1); /* applied again, it sends no document */
    assert_true(converges(s, &r) && owes_nothing(&r));
    rig_close(&r);
    uint64_t n = s->fake.n_documents;
    rig_open(&r);
    assert_true(wait_state(&r, "following"));
    clock_sleep_us(300000);
    assert_int_equal(s->fake.n_documents, n);
    arena_fini(&arena);
    tear_down(s, &r);
}

static void
rejected_documents_are_dead_letters(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    char text[27];
    set_up(s, &r);
    world_fill(&r);
    world_emote(&r, 7, "REJECT one", 1);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && wait_state(&r, "following"));
    world_emote(&r, 8, "REJECT two", 1);
    assert_true(rig_settle(&r));
    uint64_t until_us = clock_us() + 10000000;
    struct buf letters = {0};
    while (clock_us() < until_us && metrics_read(r.metrics, M_SINK_REJECTED) < 2)
        clock_sleep_us(10000);
    assert_int_equal(metrics_read(r.metrics, M_SINK_REJECTED), 2);
    clock_sleep_us(100000);
    ing_mongo_write_dead_letters(r.m, 10, &letters);
    buf_putc(&letters, 0);
    assert_non_null(strstr(letters.p, "\"count\":2"));
    assert_non_null(strstr(letters.p, "this document will not do"));
    assert_non_null(strstr(letters.p, world_text('e', 7, text)));
    assert_non_null(strstr(letters.p, world_text('e', 8, text)));
    /* Not sent again and again; but when it changes, and then the letter leaves. */
    clock_sleep_us(300000);
    assert_int_equal(metrics_read(r.metrics, M_SINK_REJECTED), 2);
    world_emote(&r, 7, "fine", 1);
    world_remove(&r, "emotes", 'e', 8);
    assert_true(converges(s, &r));
    until_us = clock_us() + 5000000;
    for (bool is_empty = false; !is_empty;) {
        buf_clear(&letters);
        ing_mongo_write_dead_letters(r.m, 10, &letters);
        buf_putc(&letters, 0);
        is_empty = strstr(letters.p, "\"count\":0") != NULL;
        assert_true(clock_us() < until_us);
        clock_sleep_us(10000);
    }
    buf_fini(&letters);
    arena_fini(&arena);
    tear_down(s, &r);
}

/* Every trouble, during the first filling and while following. */
static void
survives_every_trouble(void **state)
{
    struct setting *s = *state;
    for (int t = FAKE_SLOW; t < FAKE_TROUBLE_N; t++) {
        struct rig r;
        bool lasts = t == FAKE_HANG || t == FAKE_DOWN;
        set_up(s, &r);
        s->fake.wait_us = 200000;
        world_fill(&r);
        fts_set(&s->fake, (enum fake_trouble)t, lasts ? UINT_MAX : 2);
        rig_open(&r);
        assert_true(rig_wait_ready(&r));
        if (lasts) {
            assert_true(wait_state(&r, "retrying"));
            fts_set(&s->fake, FAKE_FINE, 0);
        }
        assert_true(converges(s, &r));
        for (unsigned i = 0; i < 3; i++) {
            fts_set(&s->fake, (enum fake_trouble)t, lasts ? UINT_MAX : 1);
            world_emote(&r, i, "changed", (int)i);
            world_remove(&r, "emotes", 'e', 100 + i);
            assert_true(rig_settle(&r));
            if (lasts)
                clock_sleep_us(300000);
            if (lasts)
                fts_set(&s->fake, FAKE_FINE, 0);
        }
        if (!converges(s, &r))
            fail_msg("trouble %d", t);
        assert_true(wait_state(&r, "following"));
        assert_true(t == FAKE_SLOW || metrics_read(r.metrics, M_SINK_RETRIES) > 0);
        tear_down(s, &r);
    }
}

static void
waits_as_long_as_it_is_asked_to(void **state)
{
    struct setting *s = *state;
    struct rig r;
    set_up(s, &r);
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r));
    fts_set(&s->fake, FAKE_503, 1);
    world_emote(&r, 1, "changed", 1);
    assert_true(converges(s, &r));
    assert_true(s->fake.after_us - s->fake.trouble_us >= 900000);
    tear_down(s, &r);
}

static void
a_plain_collection_gives_way(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    set_up(s, &r);
    fts_add(&s->fake, "emotes", "ghost");
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r));
    assert_true(span_starts(fts_alias(&s->fake, "emotes", &arena), SPAN_LIT("emotes_")));
    assert_int_equal(fts_count(&s->fake, "emotes"), 300);
    arena_fini(&arena);
    tear_down(s, &r);
}

static void
a_reindex_swaps_and_drops(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    struct err err;
    set_up(s, &r);
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r) && wait_state(&r, "following"));
    unsigned n_collections = fts_n_collections(&s->fake);
    struct span before = fts_alias(&s->fake, "emotes", &arena), after;
    const char *old = arena_str(&arena, before);
    assert_int_equal(ing_mongo_reindex(r.m, &(struct span){"emotes", 6}, 1, &err), RC_OK);
    uint64_t until_us = clock_us() + 20000000;
    do {
        /* The alias names a complete collection at every moment. */
        assert_true(fts_count(&s->fake, "emotes") >= 300);
        after = fts_alias(&s->fake, "emotes", &arena);
        assert_true(clock_us() < until_us);
    } while (span_eq(after, before));
    world_emote(&r, 1, "changed", 1);
    assert_true(converges(s, &r));
    while (fts_count(&s->fake, old) >= 0 && clock_us() < until_us)
        clock_sleep_us(10000);
    assert_int_equal(fts_count(&s->fake, old), -1);
    assert_int_equal(fts_n_collections(&s->fake), n_collections);
    arena_fini(&arena);
    tear_down(s, &r);
}

/* Killed between a swap and the next beat: the lease's document names what was swapped out. */
static void
a_restart_trusts_its_own_state(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    struct err err;
    set_up(s, &r);
    s->options.grace_us = 60000000;
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r) && wait_state(&r, "following"));
    struct span before = fts_alias(&s->fake, "emotes", &arena), after = before;
    assert_int_equal(ing_mongo_reindex(r.m, &(struct span){"emotes", 6}, 1, &err), RC_OK);
    uint64_t until_us = clock_us() + 20000000;
    for (; span_eq(after, before); after = fts_alias(&s->fake, "emotes", &arena))
        assert_true(clock_us() < until_us);
    assert_true(wait_state(&r, "following"));
    clock_sleep_us(1000000); /* more than a beat, and a commit */
    rig_close(&r);
    struct buf command = {0};
    buf_printf(&command,
               "{\"update\": \"tailfin_lease\", \"updates\": [{\"q\": {\"_id\": \"typesense\", "
               "\"told.feeds.name\": \"emotes\"}, "
               "\"u\": {\"$set\": {\"told.feeds.$.target\": \"%.*s\"}}}]}",
               SPAN_ARG(before));
    buf_putc(&command, 0);
    rig_command(&r, command.p);
    buf_fini(&command);
    rig_open(&r);
    assert_true(wait_state(&r, "following"));
    world_emote(&r, 1, "changed", 1);
    assert_true(converges(s, &r));
    assert_true(span_eq(fts_alias(&s->fake, "emotes", &arena), after));
    arena_fini(&arena);
    tear_down(s, &r);
}

static void
what_operators_break_is_mended(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    set_up(s, &r);
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r) && wait_state(&r, "following"));
    /* A field is gone: it is added again at the next start. */
    rig_close(&r);
    fts_forget_field(&s->fake, "emotes", "default_name");
    rig_open(&r);
    assert_true(wait_state(&r, "following"));
    assert_int_equal(s->fake.n_patches, 1);
    /* A collection is gone: it is built anew. */
    fts_drop(&s->fake, arena_str(&arena, fts_alias(&s->fake, "emotes", &arena)));
    world_emote(&r, 1, "changed", 1);
    assert_true(converges(s, &r));
    arena_fini(&arena);
    tear_down(s, &r);
}

static void
a_refused_collection_holds_up_no_other(void **state)
{
    struct setting *s = *state;
    struct rig r;
    set_up(s, &r);
    s->fake.refused = "emotes_";
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && wait_state(&r, "following"));
    assert_true(is_same(s, &r, "users") && is_same(s, &r, "roles"));
    assert_int_equal(fts_count(&s->fake, "emotes"), -1);
    world_role(&r, 1, 77, false);
    world_emote(&r, 1, "changed", 1);
    assert_true(rig_settle(&r));
    uint64_t until_us = clock_us() + 10000000;
    while (!is_same(s, &r, "roles") && clock_us() < until_us)
        clock_sleep_us(10000);
    assert_true(is_same(s, &r, "roles"));
    tear_down(s, &r);
}

static void
a_wrong_key_is_told(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct arena arena = {0};
    set_up(s, &r);
    s->options.api_key = "wrong";
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && wait_state(&r, "retrying"));
    struct span text = sink_status(&r, "last_error", &arena);
    assert_non_null(memmem(text.p, text.n, "key", 3));
    arena_fini(&arena);
    tear_down(s, &r);
}

static void
goes_to_the_node_that_is_up(void **state)
{
    struct setting *s = *state;
    struct rig r;
    char urls[200];
    set_up(s, &r);
    snprintf(urls, sizeof urls, "http://127.0.0.1:1, %s/", s->url);
    s->options.urls = urls;
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r) && wait_state(&r, "following"));
    assert_int_equal(metrics_read(r.metrics, M_SINK_NODES_UP), 1);
    tear_down(s, &r);
}

/* ---- a crash: the index directory as of some commit, the server as of now ---- */

static void
a_lost_commit_is_sent_again(void **state)
{
    struct setting *s = *state;
    struct rig r;
    struct err err;
    char copy[300];
    set_up(s, &r);
    world_fill(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r) && converges(s, &r));
    rig_commit(&r);
    snprintf(copy, sizeof copy, "%s-copy", r.dir);
    assert_int_equal(idx_copy(r.idx, copy, &err), RC_OK);
    /* Behind that commit: sent and acknowledged, but the index forgets it. */
    world_emote(&r, 1, "changed", 1);
    world_remove(&r, "emotes", 'e', 2);
    assert_true(converges(s, &r));
    rig_close(&r);
    char *dir = r.dir;
    r.dir = copy;
    world_emote(&r, 1, "changed again", 1);
    world_remove(&r, "emotes", 'e', 3);
    rig_open(&r);
    assert_true(converges(s, &r));
    rig_close(&r);
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", copy);
    assert_int_equal(system(command), 0);
    r.dir = dir;
    tear_down(s, &r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_and_follows),
        cmocka_unit_test(rejected_documents_are_dead_letters),
        cmocka_unit_test(survives_every_trouble),
        cmocka_unit_test(waits_as_long_as_it_is_asked_to),
        cmocka_unit_test(a_plain_collection_gives_way),
        cmocka_unit_test(a_reindex_swaps_and_drops),
        cmocka_unit_test(a_restart_trusts_its_own_state),
        cmocka_unit_test(what_operators_break_is_mended),
        cmocka_unit_test(a_refused_collection_holds_up_no_other),
        cmocka_unit_test(a_wrong_key_is_told),
        cmocka_unit_test(goes_to_the_node_that_is_up),
        cmocka_unit_test(a_lost_commit_is_sent_again),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
