/*
 * Users with a few edges written out, what other documents grant, and who
 * depends on what. test_graph.c has the graphs at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "name_list.h"
#include "relation_rig.h"

/* ---- by hand ---- */

static void
put_edge(struct relation_rig *f, const char *from, const char *to)
{
    struct span text =
        arena_printf(&f->arena, "{\"_id\":{\"from\":%s,\"to\":%s,\"managed_by\":null}}", from, to);
    rig_put(f, EDGES, doc_of_text(text));
}

#define USER(x) "{\"kind\":\"user\",\"user_id\":" x "}"
#define ROLE(x) "{\"kind\":\"role\",\"role_id\":" x "}"
#define BADGE(x) "{\"kind\":\"badge\",\"badge_id\":" x "}"
#define PAINT(x) "{\"kind\":\"paint\",\"paint_id\":" x "}"
#define PRODUCT(x) "{\"kind\":\"product\",\"product_id\":" x "}"
#define BENEFIT(x) "{\"kind\":\"subscription_benefit\",\"subscription_benefit_id\":" x "}"
#define SUBSCRIPTION(x, y)                                                                         \
    "{\"kind\":\"subscription\",\"subscription_id\":{\"user_id\":" x ",\"product_id\":" y "}}"
#define EVENT(x) "{\"kind\":\"special_event\",\"special_event_id\":" x "}"
#define EMOTE_SET(x) "{\"kind\":\"emote_set\",\"emote_set_id\":" x "}"
#define GLOBAL "{\"kind\":\"global_default_entitlement_group\"}"

static void
put_role(struct relation_rig *f, const char *id, int rank, bool is_hoisted)
{
    struct span text =
        arena_printf(&f->arena, "{\"_id\":%s,\"name\":\"r\",\"rank\":%d,\"hoist\":%s}", id, rank,
                     is_hoisted ? "true" : "false");
    rig_put(f, ROLES, doc_of_text(text));
}

/* The members of a user's document, ids as letters. */
static void
assert_user(struct relation_rig *f, const char *document, const char *want)
{
    struct ing_mapped mapped;
    bson_t *doc = doc_of_text(span_str(document));
    const struct ing_mapping *m = mapping_kit_get(&f->kit, SPAN_LIT("users"));
    enum rc rc = ing_mapping_run(
        m, doc,
        &(struct ing_mapping_env){.relations = f->relations, .now_ms = 7, .arena = &f->arena},
        &mapped, &f->err);
    struct buf text = ids_of_text(span_str(want));
    bson_destroy(doc);
    assert_int_equal(rc, RC_OK);
    if (!span_eq(mapped.doc.json, buf_span(&text)))
        fail_msg(" got %.*s\nwant %.*s", SPAN_ARG(mapped.doc.json), SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
}

#define NOTHING "\"created_at\":1671271360768,\"discord_names\":[],\"email_verified\":false,"
#define REST_BEFORE                                                                                \
    "\"google_names\":[],\"has_2fa\":false,\"has_bans\":false,\"id\":\"$A\",\"kick_names\":[],"
#define REST "\"search_updated_at\":7,\"twitch_names\":[],\"updated_at\":1}"
#define PLAIN "\"_id\":$A,\"email_verified\":false,\"has_bans\":false,\"updated_at\":#1"

static void
test_a_user_without_edges(void **state)
{
    struct relation_rig *f = *state;
    rig_publish(f);
    assert_user(f, "{" PLAIN ",\"style\":{\"active_badge_id\":$B}}",
                "{" NOTHING
                "\"emotes\":[],\"entitlement_grants\":[],\"entitlements\":[]," REST_BEFORE
                "\"role_hoist_rank\":0,\"role_rank\":0," REST);
}

static void
test_a_user_with_everything(void **state)
{
    struct relation_rig *f = *state;
    put_edge(f, USER("$A"), ROLE("$B"));
    put_edge(f, USER("$A"), SUBSCRIPTION("$A", "$C"));
    put_edge(f, SUBSCRIPTION("$A", "$C"), BENEFIT("$D"));
    put_edge(f, BENEFIT("$D"), PAINT("$E"));
    put_edge(f, BENEFIT("$D"), PRODUCT("$B"));
    put_edge(f, PRODUCT("$B"), EVENT("$C"));
    put_edge(f, EVENT("$C"), ROLE("$C"));
    put_edge(f, PAINT("$E"), BADGE("$E")); /* a paint does not expand */
    put_edge(f, USER("$B"), BADGE("$C"));  /* another user's */
    put_edge(f, ROLE("$C"), ROLE("$B"));   /* a circle */
    put_edge(f, ROLE("$B"), ROLE("$C"));
    put_edge(f, GLOBAL, EMOTE_SET("$D"));
    put_edge(f, GLOBAL, ROLE("$E")); /* a role that does not exist */
    put_edge(f, GLOBAL, BADGE("$A"));
    put_role(f, "$B", 3, true);
    put_role(f, "$C", 9, false);
    rig_put_text(f, SETS,
                 "{\"_id\":$C,\"name\":\"s\",\"kind\":0,\"emotes\":[{\"id\":$E},{\"id\":$B},"
                 "{\"id\":$E},{\"id\":$D}]}");
    rig_publish(f);
    assert_user(
        f,
        "{" PLAIN ",\"style\":{\"active_badge_id\":$A,\"active_paint_id\":$D,"
        "\"active_emote_set_id\":$C}}",
        "{\"active_badge_id\":\"$A\",\"active_emote_set_id\":\"$C\"," NOTHING
        "\"emotes\":[\"$D\",\"$B\",\"$E\"],"
        "\"entitlement_grants\":[\"role:$B\",\"subscription:$A:$C\"],"
        "\"entitlements\":[\"role:$B\",\"role:$C\",\"role:$E\",\"badge:$A\",\"paint:$E\","
        "\"emote_set:$D\",\"product:$B\",\"subscription_benefit:$D\",\"subscription:$A:$C\","
        "\"special_event:$C\"]," REST_BEFORE "\"role_hoist_rank\":3,\"role_rank\":9," REST);
}

static void
test_start_nodes_count_only_if_something_leads_to_them(void **state)
{
    struct relation_rig *f = *state;
    put_edge(f, USER("$A"), USER("$B"));
    put_edge(f, USER("$B"), USER("$A"));
    put_edge(f, USER("$B"), GLOBAL);
    put_edge(f, GLOBAL, ROLE("$D"));
    put_role(f, "$D", -4, true); /* below nothing, but a role */
    rig_publish(f);
    assert_user(f, "{" PLAIN "}",
                "{" NOTHING "\"emotes\":[],\"entitlement_grants\":[\"user:$B\"],"
                "\"entitlements\":[\"user:$B\",\"user:$A\",\"role:$D\","
                "\"global_default_entitlement_group\"]," REST_BEFORE
                "\"role_hoist_rank\":-4,\"role_rank\":-4," REST);
}

static void
test_grants_of_other_documents(void **state)
{
    struct relation_rig *f = *state;
    struct ing_mapped mapped;
    const struct ing_mapping *m = mapping_kit_get(&f->kit, SPAN_LIT("subscription_products"));
    put_edge(f, BENEFIT("$B"), BADGE("$C"));
    put_edge(f, BENEFIT("$B"), ROLE("$C"));
    put_edge(f, BENEFIT("$D"), BADGE("$C"));
    rig_put_text(f, EDGES,
                 "{\"_id\":{\"from\":" BENEFIT("$D") ",\"to\":" BADGE(
                     "$C") ",\"managed_by\":{\"kind\":\"all_cosmetics\"}}}");
    put_edge(f, ROLE("$C"), PAINT("$C")); /* two hops away */
    rig_publish(f);
    bson_t *doc =
        doc_of_text(SPAN_LIT("{\"_id\":$A,\"name\":\"n\",\"default_currency\":\"usd\","
                             "\"benefits\":[{\"id\":$B},{\"id\":$D}],\"updated_at\":#1}"));
    assert_int_equal(
        ing_mapping_run(
            m, doc,
            &(struct ing_mapping_env){.relations = f->relations, .now_ms = 7, .arena = &f->arena},
            &mapped, &f->err),
        RC_OK);
    bson_destroy(doc);
    struct buf want = ids_of_text(SPAN_LIT("\"entitlement_grants\":[\"badge:$C\",\"role:$C\"]"));
    buf_putc(&want, 0);
    assert_non_null(strstr(arena_str(&f->arena, mapped.doc.json), want.p));
    buf_fini(&want);
}

/* ---- the way back ---- */

static void
collect(void *arg, struct span id)
{
    struct list *l = arg;
    must(!list_has(l, id));
    must(l->n < NAMES_MAX);
    char *copy = xmemdup0(id.p, id.n);
    l->v[l->n++] = span_of(copy, id.n);
}

/* Compares with letters and empties the list. */
static void
assert_ids(struct list *got, const char *letters)
{
    struct list want = {0};
    for (; *letters; letters++)
        list_add(&want, span_str(ulid_of_letter(*letters)));
    qsort(got->v, got->n, sizeof *got->v, by_bytes);
    assert_list("id", &want, by_bytes, got->v, (uint32_t)got->n);
    for (size_t i = 0; i < got->n; i++)
        free((void *)(uintptr_t)got->v[i].p);
    got->n = 0;
}

static struct span
node(struct relation_rig *f, const char *text)
{
    struct buf name = ids_of_text(span_str(text));
    struct span copy = arena_dup(&f->arena, buf_span(&name));
    buf_fini(&name);
    return copy;
}

static void
test_who_depends_on_what(void **state)
{
    struct relation_rig *f = *state;
    struct list ids = {0};
    put_edge(f, USER("$A"), ROLE("$D"));
    put_edge(f, ROLE("$D"), BADGE("$E"));
    put_edge(f, USER("$B"), BADGE("$E"));
    put_edge(f, USER("$C"), USER("$A"));
    rig_publish(f);
    rig_put_text(f, USERS, "{\"_id\":$A,\"style\":{\"active_emote_set_id\":$D}}");
    rig_put_text(f, USERS, "{\"_id\":$B,\"style\":{\"active_emote_set_id\":$E}}");
    rig_publish(f);
    rig_put_text(f, USERS, "{\"_id\":$C,\"style\":{\"active_emote_set_id\":$D}}");
    rig_put_text(f, SETS,
                 "{\"_id\":$B,\"name\":\"\",\"origin_config\":{\"origins\":[{\"id\":$A}]}}");
    rig_put_text(f, SETS,
                 "{\"_id\":$C,\"name\":\"\",\"origin_config\":{\"origins\":[{\"id\":$B},"
                 "{\"id\":$A},{\"id\":$A}]}}");
    rig_publish(f);
    ing_relations_users_with(f->relations, node(f, "role:$D"), collect, &ids);
    assert_ids(&ids, "AC");
    ing_relations_users_with(f->relations, node(f, "badge:$E"), collect, &ids);
    assert_ids(&ids, "ABC");
    ing_relations_users_with(f->relations, node(f, "badge:$A"), collect, &ids);
    assert_ids(&ids, "");
    ing_relations_users_with(f->relations, node(f, "user:$A"), collect, &ids);
    assert_ids(&ids, "AC");
    ing_relations_users_with(f->relations, node(f, "global_default_entitlement_group"), collect,
                             &ids);
    assert_ids(&ids, "ABC");
    ing_relations_users_of_set(f->relations, node(f, "$D"), collect, &ids);
    assert_ids(&ids, "AC");
    ing_relations_sets_of_origin(f->relations, node(f, "$A"), collect, &ids);
    assert_ids(&ids, "BC");
    rig_put_text(f, USERS, "{\"_id\":$A,\"style\":{\"active_emote_set_id\":$E}}");
    rig_delete(f, USERS, node(f, "$C"));
    rig_publish(f);
    ing_relations_users_of_set(f->relations, node(f, "$D"), collect, &ids);
    assert_ids(&ids, "");
    ing_relations_users_with(f->relations, node(f, "role:$D"), collect, &ids);
    assert_ids(&ids, "A");
    ing_relations_users_with(f->relations, node(f, "global_default_entitlement_group"), collect,
                             &ids);
    assert_ids(&ids, "AB");
}

static void
test_without_collections_nothing_is_found(void **state)
{
    struct relation_rig *f = *state;
    struct ing_user_derived got;
    struct list ids = {0};
    rig_publish(f);
    idx_reader_end(f->reader);
    ing_relations_bind(f->relations, idx_reader_begin(f->reader), &(struct ing_relation_uids){0});
    ing_relations_user(f->relations, node(f, "$A"), node(f, "$B"), &f->arena, &got);
    assert_int_equal(got.n_entitlements + got.n_grants + got.n_emotes, 0);
    ing_relations_users_with(f->relations, node(f, "user:$A"), collect, &ids);
    ing_relations_users_of_set(f->relations, node(f, "$A"), collect, &ids);
    ing_relations_sets_of_origin(f->relations, node(f, "$A"), collect, &ids);
    assert_int_equal(ids.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_user_without_edges, relation_rig_setup,
                                        relation_rig_teardown),
        cmocka_unit_test_setup_teardown(test_a_user_with_everything, relation_rig_setup,
                                        relation_rig_teardown),
        cmocka_unit_test_setup_teardown(test_start_nodes_count_only_if_something_leads_to_them,
                                        relation_rig_setup, relation_rig_teardown),
        cmocka_unit_test_setup_teardown(test_grants_of_other_documents, relation_rig_setup,
                                        relation_rig_teardown),
        cmocka_unit_test_setup_teardown(test_who_depends_on_what, relation_rig_setup,
                                        relation_rig_teardown),
        cmocka_unit_test_setup_teardown(test_without_collections_nothing_is_found,
                                        relation_rig_setup, relation_rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
