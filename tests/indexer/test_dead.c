/* The list of dead letters: bounded, durable with the batch, empty when all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"

#include "indexer/dead.h"

#include "tests/indexer/world.h"
#include "tests/support/scratch.h"

struct desk { /* an index with a list in it */
    char *dir;
    struct fs *fs;
    struct metrics *metrics;
    struct idx *idx;
    struct ing_dead *dead;
};

static void
desk_open(struct desk *d)
{
    struct err err;
    d->metrics = metrics_new();
    assert_int_equal(fs_open_host(d->dir, &d->fs, &err), RC_OK);
    struct idx_options options = {.fs = d->fs};
    assert_int_equal(idx_open(&options, &d->idx, &err), RC_OK);
    assert_int_equal(ing_dead_open(d->idx, d->metrics, &d->dead, &err), RC_OK);
}

static void
desk_close(struct desk *d)
{
    ing_dead_close(d->dead);
    assert_int_equal(idx_close(d->idx, NULL), RC_OK);
    fs_close(d->fs);
    metrics_free(d->metrics);
}

static void
reopen(struct desk *d)
{
    desk_close(d);
    desk_open(d);
}

static void
submit(struct desk *d, struct idx_batch *b)
{
    uint64_t ticket = idx_submit(d->idx, &b);
    assert_int_equal(idx_wait(d->idx, ticket, IDX_VISIBLE, 10000000), RC_OK);
}

static void
put(struct desk *d, enum ing_dead_target target, const char *id, const char *reason)
{
    struct idx_batch *b = idx_batch_new();
    ing_dead_put(d->dead, b,
                 &(struct ing_dead_letter){.target = target,
                                           .collection = SPAN_LIT("emotes"),
                                           .id = span_str(id),
                                           .reason = span_str(reason)});
    submit(d, b);
}

static void
clear(struct desk *d, enum ing_dead_target target, const char *id)
{
    struct idx_batch *b = idx_batch_new();
    ing_dead_clear(d->dead, b, target, SPAN_LIT("emotes"), span_str(id));
    submit(d, b);
}

static struct json
shown(struct desk *d, size_t max, struct arena *arena)
{
    struct buf text = {0};
    struct json v;
    ing_dead_write(d->dead, max, &text);
    assert_int_equal(json_parse(buf_span(&text), arena, &v, NULL), RC_OK);
    buf_fini(&text);
    return v;
}

static int64_t
number(const struct json *v, const char *name)
{
    const struct json *n = json_get(v, name);
    assert_non_null(n);
    assert_int_equal(n->type, JSON_INT);
    return n->i64;
}

static int
setup(void **state)
{
    static struct desk desk;
    desk = (struct desk){.dir = scratch_new()};
    desk_open(&desk);
    *state = &desk;
    return 0;
}

static int
teardown(void **state)
{
    struct desk *d = *state;
    desk_close(d);
    scratch_free(d->dir);
    return 0;
}

static void
says_what_why_and_since_when(void **state)
{
    struct desk *d = *state;
    struct arena arena = {0};
    uint64_t before_ms = clock_wall_us() / 1000;
    put(d, ING_DEAD_INDEX, "one", "first \"reason\"");
    put(d, ING_DEAD_INDEX, "one", "second reason");
    struct json all = shown(d, 10, &arena);
    assert_int_equal(number(&all, "count"), 1);
    assert_int_equal(number(&all, "dropped"), 0);
    const struct json *l = &json_get(&all, "letters")->items[0];
    assert_true(span_eq_str(json_get_str(l, "target", (struct span){0}), "index"));
    assert_true(span_eq_str(json_get_str(l, "collection", (struct span){0}), "emotes"));
    assert_true(span_eq_str(json_get_str(l, "id", (struct span){0}), "one"));
    assert_true(span_eq_str(json_get_str(l, "reason", (struct span){0}), "second reason"));
    assert_int_equal(number(l, "attempts"), 2);
    assert_in_range(number(l, "first_ms"), before_ms, number(l, "last_ms"));
    assert_int_equal(metrics_read(d->metrics, M_DEAD_LETTERS), 1);
    arena_fini(&arena);
}

static void
leaves_when_cleared(void **state)
{
    struct desk *d = *state;
    put(d, ING_DEAD_INDEX, "one", "x");
    put(d, ING_DEAD_TYPESENSE, "one", "x");
    put(d, ING_DEAD_INDEX, "two", "x");
    assert_int_equal(ing_dead_n(d->dead), 3);
    clear(d, ING_DEAD_INDEX, "one");
    clear(d, ING_DEAD_INDEX, "three"); /* was never in */
    assert_int_equal(ing_dead_n(d->dead), 2);
    reopen(d);
    assert_int_equal(ing_dead_n(d->dead), 2);
    struct idx_batch *b = idx_batch_new();
    ing_dead_clear_collection(d->dead, b, ING_DEAD_INDEX, SPAN_LIT("roles"));
    assert_int_equal(ing_dead_n(d->dead), 2);
    ing_dead_clear_collection(d->dead, b, ING_DEAD_INDEX, SPAN_LIT("emotes"));
    assert_int_equal(ing_dead_n(d->dead), 1);
    submit(d, b);
    reopen(d);
    assert_int_equal(ing_dead_n(d->dead), 1);
    clear(d, ING_DEAD_TYPESENSE, "one");
    reopen(d);
    assert_int_equal(ing_dead_n(d->dead), 0);
}

static void
survives_a_restart_as_it_was(void **state)
{
    struct desk *d = *state;
    struct buf before = {0}, after = {0};
    char long_id[2001];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = 0;
    put(d, ING_DEAD_INDEX, "a|b", "bytes \xff that are no UTF-8");
    put(d, ING_DEAD_TYPESENSE, long_id, "an id beyond what the index takes");
    put(d, ING_DEAD_TYPESENSE, long_id, "again");
    reopen(d);
    ing_dead_write(d->dead, SIZE_MAX, &before);
    reopen(d);
    ing_dead_write(d->dead, SIZE_MAX, &after);
    assert_true(span_eq(buf_span(&before), buf_span(&after)));
    assert_int_equal(ing_dead_n(d->dead), 2);
    assert_non_null(strstr(before.p, "\"attempts\":2"));
    buf_fini(&before);
    buf_fini(&after);
}

/* The batch of a letter that is never submitted leaves nothing behind a restart. */
static void
is_durable_with_its_batch_only(void **state)
{
    struct desk *d = *state;
    struct idx_batch *b = idx_batch_new();
    ing_dead_put(d->dead, b,
                 &(struct ing_dead_letter){.collection = SPAN_LIT("emotes"), .id = SPAN_LIT("x")});
    idx_batch_free(b);
    reopen(d);
    assert_int_equal(ing_dead_n(d->dead), 0);
}

static void
is_bounded_and_counts_the_rest(void **state)
{
    struct desk *d = *state;
    struct arena arena = {0};
    char id[32];
    struct idx_batch *b = idx_batch_new();
    for (int i = 0; i < ING_DEAD_MAX + 7; i++) {
        snprintf(id, sizeof id, "e%d", i);
        ing_dead_put(d->dead, b,
                     &(struct ing_dead_letter){.collection = SPAN_LIT("emotes"),
                                               .id = span_str(id),
                                               .reason = SPAN_LIT("no reason")});
    }
    submit(d, b);
    struct json all = shown(d, 5, &arena);
    assert_int_equal(number(&all, "count"), ING_DEAD_MAX);
    assert_int_equal(number(&all, "dropped"), 7);
    assert_int_equal(json_get(&all, "letters")->n, 5);
    assert_int_equal(metrics_read(d->metrics, M_DEAD_DROPPED), 7);
    put(d, ING_DEAD_INDEX, "e3", "one that is in can be counted again");
    assert_int_equal(ing_dead_n(d->dead), ING_DEAD_MAX);
    clear(d, ING_DEAD_INDEX, "e3");
    put(d, ING_DEAD_INDEX, "new", "there is room again");
    assert_int_equal(ing_dead_n(d->dead), ING_DEAD_MAX);
    reopen(d);
    assert_int_equal(ing_dead_n(d->dead), ING_DEAD_MAX);
    all = shown(d, 1, &arena);
    assert_true(span_eq_str(
        json_get_str(&json_get(&all, "letters")->items[0], "id", (struct span){0}), "new"));
    arena_fini(&arena);
}

/* ---- met by the pipeline ---- */

/* "id: reason" of each letter, one a line. */
static const char *
letters_of(struct rig *r, struct arena *arena)
{
    struct buf text = {0}, lines = {0};
    struct json v;
    ing_mongo_write_dead_letters(r->m, SIZE_MAX, &text);
    assert_int_equal(json_parse(buf_span(&text), arena, &v, NULL), RC_OK);
    const struct json *letters = json_get(&v, "letters");
    for (uint32_t i = 0; i < letters->n; i++) {
        struct span id = json_get_str(&letters->items[i], "id", (struct span){0});
        struct span reason = json_get_str(&letters->items[i], "reason", (struct span){0});
        bool is_partial = json_get(&letters->items[i], "partial")->boolean;
        buf_printf(&lines, "%.*s: %.*s%s\n", SPAN_ARG(id), SPAN_ARG(reason),
                   is_partial ? " (partial)" : "");
    }
    const char *result = arena_str(arena, buf_span(&lines));
    buf_fini(&text);
    buf_fini(&lines);
    return result;
}

static void
lists_what_cannot_be_indexed_until_it_can(void **state)
{
    struct rig r;
    struct arena arena = {0};
    rig_init(&r, *state);
    rig_command(&r, "{\"insert\": \"roles\", \"documents\": [{\"_id\": \"scanned\"}]}");
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    rig_command(&r, "{\"insert\": \"emotes\", \"documents\": [{\"_id\": {\"odd\": [1, 2]}}]}");
    world_emote(&r, 1, "good", 1);
    world_emote(&r, 2, "to be spoilt", 1);
    assert_true(rig_settle(&r));
    const char *text = letters_of(&r, &arena);
    assert_non_null(strstr(text, "{ \"_id\" : \"scanned\" }: "));
    assert_non_null(strstr(text, "{ \"_id\" : { \"odd\" : [ 1, 2 ] } }: "));
    assert_null(strstr(text, "partial"));

    rig_command(
        &r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {\"default_name\": \"to be spoilt\"},"
            " \"u\": {\"$set\": {\"default_name\": [1]}}}]}");
    assert_true(rig_settle(&r));
    char id[27], line[64];
    snprintf(line, sizeof line, "%s: default_name: ", world_text('e', 2, id));
    text = letters_of(&r, &arena);
    assert_non_null(strstr(text, line));
    assert_non_null(strstr(text, "(partial)"));

    rig_close(&r);
    rig_open(&r);
    assert_true(rig_wait_ready(&r));
    assert_non_null(strstr(letters_of(&r, &arena), line));

    /* A change of the document is another try; a deletion settles the matter. */
    rig_command(&r, "{\"update\": \"emotes\", \"updates\": [{\"q\": {\"default_name\": [1]},"
                    " \"u\": {\"$set\": {\"default_name\": \"sound\"}}}]}");
    assert_true(rig_settle(&r));
    assert_null(strstr(letters_of(&r, &arena), line));
    rig_command(&r, "{\"delete\": \"emotes\", \"deletes\": [{\"q\": {\"_id\": {\"odd\": [1, 2]}}, "
                    "\"limit\": 1}]}");
    assert_true(rig_settle(&r));
    text = letters_of(&r, &arena);
    assert_null(strstr(text, "odd"));
    assert_non_null(strstr(text, "scanned"));

    /* What is gone without an event leaves with a scan. */
    rig_command(&r, "{\"drop\": \"roles\"}");
    assert_true(rig_settle(&r));
    assert_string_equal(letters_of(&r, &arena), "");
    arena_fini(&arena);
    rig_fini(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_why_and_since_when, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_when_cleared, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_a_restart_as_it_was, setup, teardown),
        cmocka_unit_test_setup_teardown(is_durable_with_its_batch_only, setup, teardown),
        cmocka_unit_test_setup_teardown(is_bounded_and_counts_the_rest, setup, teardown),
    };
    const struct CMUnitTest fed_tests[] = {
        cmocka_unit_test(lists_what_cannot_be_indexed_until_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) +
           cmocka_run_group_tests(fed_tests, server_setup, server_teardown);
}
