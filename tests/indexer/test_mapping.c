/*
 * Documents of every collection against search documents written by hand
 * (mapping_cases.txt), and what the mapping does with input that no one wrote
 * on purpose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/ulid.h"

#include "doc_text.h"
#include "mapping_kit.h"
#include "tests/support/rng.h"

enum { CASES_BYTES_MAX = 1 << 20 };
static const uint64_t now_ms = 1700000000123;

static const struct ing_mapping *
mapping(struct mapping_rig *f, const char *name)
{
    return mapping_kit_get(&f->kit, span_str(name));
}

/* ---- the cases of the text file ---- */

struct one_case {
    struct span title, collection, doc, want, bad; /* want: empty if refused; bad: "3: name: ..." */
};

/* Takes a line off; without its end. */
static struct span
take_line(struct span *rest)
{
    return span_split(rest, '\n');
}

/* False at the end of the file. */
static bool
next_case(struct span *rest, struct one_case *out)
{
    *out = (struct one_case){0};
    while (rest->p && !span_starts(*rest, SPAN_LIT("== ")))
        (void)take_line(rest);
    if (!rest->p)
        return false;
    out->title = span_from(take_line(rest), 3);
    out->collection = span_of(out->title.p, span_find(out->title, 0, ','));
    out->doc = take_line(rest);
    assert_true(span_eq_str(take_line(rest), "--"));
    while (rest->p && !span_starts(*rest, SPAN_LIT("== "))) {
        struct span line = take_line(rest);
        if (span_starts(line, SPAN_LIT("bad ")))
            out->bad = span_from(line, 4);
        else if (line.n > 0)
            out->want = line;
    }
    return true;
}

static void
check_json(const struct one_case *c, struct span got)
{
    struct buf want = ids_of_text(c->want);
    if (!span_eq(got, buf_span(&want)))
        fail_msg("%.*s:\n got %.*s\nwant %.*s", SPAN_ARG(c->title), SPAN_ARG(got),
                 SPAN_ARG(buf_span(&want)));
    buf_fini(&want);
}

/*
 * The _id that a search id leads back to has the same text; and it is the one
 * of MongoDB, so that the document is found there, if its keys are in the
 * order that the application writes.
 */
static void
check_way_back(struct mapping_rig *f, const struct one_case *c, const bson_t *doc,
               const struct ing_mapped *mapped)
{
    const struct ing_mapping *m = mapping_kit_get(&f->kit, c->collection);
    bson_t back = BSON_INITIALIZER, want = BSON_INITIALIZER;
    bson_iter_t at, back_at;
    struct span text;
    assert_true(ing_mapping_bson_id(m, mapped->doc.id, &back));
    assert_true(bson_iter_init_find(&at, doc, "_id") && bson_iter_init(&back_at, &back) &&
                bson_iter_next(&back_at));
    assert_int_equal(ing_mapping_id(m, &back_at, &f->arena, &text, &f->err), RC_OK);
    assert_true(span_eq(text, mapped->doc.id));
    bson_append_iter(&want, "_id", -1, &at);
    bool is_same = bson_equal(&back, &want);
    bson_destroy(&want);
    bson_destroy(&back);
    if (!is_same && !span_eq_str(c->title, "user_editors, nulls, the id's keys turned round"))
        fail_msg("%.*s: %.*s leads back to another _id", SPAN_ARG(c->title),
                 SPAN_ARG(mapped->doc.id));
}

static void
check_case(struct mapping_rig *f, const struct one_case *c)
{
    struct ing_mapped mapped;
    const struct ing_mapping *m = mapping_kit_get(&f->kit, c->collection);
    bson_t *doc = doc_of_text(c->doc);
    struct ing_mapping_env env = {.now_ms = now_ms, .arena = &f->arena};
    enum rc rc = ing_mapping_run(m, doc, &env, &mapped, &f->err);
    if (rc == RC_OK)
        check_way_back(f, c, doc, &mapped);
    bson_destroy(doc); /* nothing may be borrowed from it */
    if ((rc != RC_OK) != (c->want.n == 0))
        fail_msg("%.*s: %s", SPAN_ARG(c->title), rc == RC_OK ? "is accepted" : f->err.text);
    if (rc != RC_OK) {
        assert_int_equal(rc, RC_INVALID);
        return;
    }
    check_json(c, mapped.doc.json);
    struct span bad = c->bad.n ? c->bad : SPAN_LIT("0: ");
    struct span got = arena_printf(&f->arena, "%u: %.*s", mapped.n_bad, SPAN_ARG(mapped.bad));
    if (!span_eq(bad, got))
        fail_msg("%.*s: complains \"%.*s\", not \"%.*s\"", SPAN_ARG(c->title), SPAN_ARG(got),
                 SPAN_ARG(bad));
}

static void
test_documents_of_every_collection(void **state)
{
    struct mapping_rig *f = *state;
    struct buf text = {0};
    struct one_case c;
    unsigned n = 0;
    assert_int_equal(
        fs_read_path("tests/indexer/mapping_cases.txt", CASES_BYTES_MAX, &text, &f->err), RC_OK);
    for (struct span rest = buf_span(&text); next_case(&rest, &c); n++)
        check_case(f, &c);
    assert_true(n >= 60); /* the file was read, not skipped */
    buf_fini(&text);
}

/* ---- what goes to the index beside the text ---- */

static struct ing_mapped
run(struct mapping_rig *f, const char *collection, const char *text)
{
    struct ing_mapped mapped;
    bson_t *doc = doc_of_text(span_str(text));
    if (mapping_rig_run(f, collection, doc, now_ms, &mapped) != RC_OK)
        fail_msg("%s", f->err.text);
    bson_destroy(doc);
    return mapped;
}

static const struct idx_value *
value(struct mapping_rig *f, const struct ing_mapped *mapped, const char *collection,
      const char *field)
{
    const struct sch_collection *schema = ing_mapping_schema(mapping(f, collection));
    int32_t at = sch_field_find(schema, span_str(field));
    assert_true(at >= 0);
    return &mapped->doc.values[at];
}

static void
assert_span(struct span got, const char *want)
{
    if (!span_eq_str(got, want))
        fail_msg("got \"%.*s\", want \"%s\"", SPAN_ARG(got), want);
}

static void
test_values_follow_the_schema(void **state)
{
    struct mapping_rig *f = *state;
    struct ing_mapped m =
        run(f, "emotes",
            "{\"_id\":$A,\"owner_id\":$B,\"default_name\":\"Kappa Pride\",\"tags\":[\"A-b\",\"!\"],"
            "\"flags\":2,\"aspect_ratio\":1.5,\"attribution\":[{\"user_id\":$C}],"
            "\"scores\":{\"top_all_time\":-5},\"deleted\":false,\"updated_at\":#9}");
    const struct idx_value *name = value(f, &m, "emotes", "default_name");
    const struct idx_value *tags = value(f, &m, "emotes", "tags");
    const struct idx_value *owner = value(f, &m, "emotes", "owner_id");
    assert_int_equal(name->n, 1);
    assert_int_equal(name->text[0].n_tokens, 2);
    assert_span(name->text[0].tokens[0], "kappa");
    assert_span(name->text[0].tokens[1], "pride");
    assert_int_equal(name->text[0].value.n, 0); /* neither facet nor exact */
    assert_int_equal(tags->n, 2);
    assert_span(tags->text[0].tokens[0], "ab");
    assert_int_equal(tags->text[1].n_tokens, 0);
    assert_int_equal(owner->text[0].n_tokens, 0); /* exact: no tokens */
    assert_span(owner->text[0].value, ulid_of_letter('B'));
    const struct idx_value *attribution = value(f, &m, "emotes", "attribution");
    assert_true(attribution->is_ulids);
    char text[ULID_TEXT_N];
    ulid_write(attribution->ulids, text);
    assert_span(span_of(text, sizeof text), ulid_of_letter('C'));
    assert_int_equal(value(f, &m, "emotes", "merged_into")->n, 0);
    assert_int_equal(value(f, &m, "emotes", "merged_at")->n, 0);
    assert_true(value(f, &m, "emotes", "score_top_all_time")->i64[0] == -5);
    assert_true(value(f, &m, "emotes", "flag_private")->i64[0] == 1);
    assert_true(value(f, &m, "emotes", "flag_public_listed")->i64[0] == 0);
    assert_true(value(f, &m, "emotes", "aspect_ratio")->f64[0] == 1.5);
    assert_true(value(f, &m, "emotes", "search_updated_at")->i64[0] == (int64_t)now_ms);
    assert_true(m.updated_at_ms == 9);
    assert_span(m.doc.id, ulid_of_letter('A'));
    assert_null(m.derived);
    assert_true(ing_mapping_now(mapping(f, "emotes"), m.doc.json) == now_ms);
    assert_true(ing_mapping_now(mapping(f, "emotes"), SPAN_LIT("{\"id\":\"x\"}")) == 0);
}

static void
test_hints_for_the_pipeline(void **state)
{
    struct mapping_rig *f = *state;
    struct ing_mapped m = run(f, "emote_sets",
                              "{\"_id\":$A,\"name\":\"n\",\"kind\":0,\"updated_at\":#100,"
                              "\"search_updated_at\":#200,\"emotes_changed_since_reindex\":true}");
    assert_true(m.has_search_updated_at && m.search_updated_at_ms == 200);
    assert_true(m.emotes_changed);
    m = run(f, "emote_sets",
            "{\"_id\":$A,\"updated_at\":#-1,\"search_updated_at\":null,"
            "\"emotes_changed_since_reindex\":false}");
    assert_false(m.has_search_updated_at || m.emotes_changed);
    assert_true(m.updated_at_ms == 0);
    m = run(f, "users", "{\"_id\":$A}");
    assert_non_null(m.derived);
    assert_true(ing_mapping_is_derived(mapping(f, "users")));
    assert_false(ing_mapping_is_derived(mapping(f, "roles")));
    assert_true(ing_mapping_has_relations(mapping(f, "roles")));
    assert_true(ing_mapping_has_relations(mapping(f, "subscription_products")));
    assert_false(ing_mapping_has_relations(mapping(f, "emotes")));
    assert_string_equal(ing_mapping_source(mapping(f, "entitlement_edges")), "entitlement_edges");
    assert_span(f->kit.profile.collections[0].name, "entitlement_edges"); /* scanned first */
    assert_span(f->kit.profile.collections[19].name, "users");            /* and last */
}

static void
test_projection_fetches_what_is_read(void **state)
{
    struct mapping_rig *f = *state;
    static const struct {
        const char *collection, *want;
    } rows[] = {
        {"badges", "_id updated_at search_updated_at emotes_changed_since_reindex name "
                   "description tags created_by_id"},
        {"emotes", "_id updated_at search_updated_at emotes_changed_since_reindex owner_id "
                   "default_name tags flags aspect_ratio attribution.user_id "
                   "scores.trending_day scores.trending_week scores.trending_month "
                   "scores.top_daily scores.top_weekly scores.top_monthly scores.top_all_time "
                   "deleted merged"},
        {"tickets", "_id updated_at search_updated_at emotes_changed_since_reindex priority "
                    "members.user_id members.kind title tags country_code kind targets author_id "
                    "open locked"},
        {"users", "_id updated_at search_updated_at emotes_changed_since_reindex "
                  "connections.platform_username connections.platform connections.platform_id "
                  "connections.platform_display_name email email_verified has_bans two_fa._ "
                  "style.active_emote_set_id style.active_badge_id style.active_paint_id"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf got = {0};
        bson_iter_t it;
        assert_true(bson_iter_init(&it, ing_mapping_projection(mapping(f, rows[i].collection))));
        while (bson_iter_next(&it)) {
            if (got.n > 0)
                buf_putc(&got, ' ');
            buf_puts(&got, bson_iter_key(&it));
        }
        assert_span(buf_span(&got), rows[i].want);
        buf_fini(&got);
    }
}

/* ---- documents no one wrote on purpose ---- */

static void
test_broken_text_is_mended(void **state)
{
    struct mapping_rig *f = *state;
    struct ing_mapped m;
    bson_t doc = BSON_INITIALIZER;
    doc_append_ulid(&doc, "_id", span_str(ulid_of_letter('A')));
    bson_append_utf8(&doc, "name", -1, "a\xff\xc3\xa9\xe2\x82", 6);
    bson_append_utf8(&doc, "description", -1, "nul\0in", 6);
    bson_append_utf8(&doc, "created_by_id", -1, "x", 1);
    bson_append_symbol(&doc, "symbol", -1, "x", 1);
    assert_int_equal(mapping_rig_run(f, "badges", &doc, now_ms, &m), RC_OK);
    assert_span(m.doc.json,
                "{\"created_at\":1671271360768,\"created_by_id\":\"\","
                "\"description\":\"nul\\u0000in\",\"id\":\"01GMFRJA800007JWKSWBEWV3C9\","
                "\"name\":\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\","
                "\"search_updated_at\":1700000000123,\"tags\":[],\"updated_at\":0}");
    assert_span(m.bad, "name: is not valid UTF-8");
    bson_destroy(&doc);
}

static void
test_long_names_and_large_documents(void **state)
{
    struct mapping_rig *f = *state;
    enum { NAME_BYTES = 100000, N_EMOTES = 200000 };
    struct ing_mapped m;
    struct buf name = {0};
    bson_t doc = BSON_INITIALIZER, emotes, entry;
    while (name.n < NAME_BYTES)
        buf_puts(&name, "long\"name\n");
    doc_append_ulid(&doc, "_id", span_str(ulid_of_letter('A')));
    bson_append_utf8(&doc, "name", -1, name.p, (int)name.n);
    bson_append_array_begin(&doc, "emotes", -1, &emotes);
    for (uint32_t i = 0; i < N_EMOTES; i++) {
        char key[16];
        const char *p;
        size_t n = bson_uint32_to_string(i, &p, key, sizeof key);
        bson_append_document_begin(&emotes, p, (int)n, &entry);
        doc_append_ulid(&entry, "id", span_str(ulid_of_letter(i % 2 ? 'B' : 'C')));
        bson_append_utf8(&entry, "alias", -1, "some alias", -1);
        bson_append_document_end(&emotes, &entry);
    }
    bson_append_array_end(&doc, &emotes);
    assert_true(doc.len > 10 << 20);
    assert_int_equal(mapping_rig_run(f, "emote_sets", &doc, now_ms, &m), RC_OK);
    assert_int_equal(value(f, &m, "emote_sets", "emotes")->n, N_EMOTES);
    struct json *json = arena_alloc(&f->arena, sizeof *json);
    assert_int_equal(json_parse(m.doc.json, &f->arena, json, &f->err), RC_OK);
    assert_true(span_eq(json_get_str(json, "name", (struct span){0}), buf_span(&name)));
    assert_int_equal(json_get(json, "emotes")->n, N_EMOTES);
    bson_destroy(&doc);
    buf_fini(&name);
}

/* A cut or flipped document may map to anything, but to valid JSON and within its bytes. */
static void
test_damaged_bson_stays_in_bounds(void **state)
{
    struct mapping_rig *f = *state;
    struct rng rng = rng_new();
    bson_t *whole = doc_of_text(span_str(
        "{\"_id\":$A,\"owner_id\":$B,\"default_name\":\"Kappa\",\"tags\":[\"a\",\"b\"],\"flags\":2,"
        "\"aspect_ratio\":1.5,\"attribution\":[{\"user_id\":$C}],\"merged\":{\"target_id\":$D,"
        "\"at\":#5},\"scores\":{\"top_all_time\":5},\"deleted\":false,\"updated_at\":#9}"));
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t *bytes = xmalloc(whole->len);
        struct ing_mapped m;
        struct json json;
        bson_t doc;
        memcpy(bytes, bson_get_data(whole), whole->len);
        for (unsigned i = 0; i < 1 + round % 3; i++) {
            bytes[4 + rng_below(&rng, whole->len - 5)] = (uint8_t)rng_next(&rng);
        }
        if (bson_init_static(&doc, bytes, whole->len) &&
            mapping_rig_run(f, "emotes", &doc, now_ms, &m) == RC_OK &&
            json_parse(m.doc.json, &f->arena, &json, &f->err) != RC_OK)
            fail_msg("round %u: %s: %.*s", round, f->err.text, SPAN_ARG(m.doc.json));
        free(bytes);
        arena_reset(&f->arena);
    }
    bson_destroy(whole);
}

/* ---- ids and profiles ---- */

static void
compile(struct mapping_rig *f, const char *text, enum rc want, struct ing_mapping **out)
{
    struct json *json = arena_calloc(&f->arena, 1, sizeof *json);
    struct sch_collection *c = arena_calloc(&f->arena, 1, sizeof *c);
    assert_int_equal(json_parse(span_str(text), &f->arena, json, &f->err), RC_OK);
    assert_int_equal(sch_parse(json, &f->arena, c, &f->err), RC_OK);
    c->source = json_get(json, "source");
    for (uint32_t i = 0; i < c->n_fields; i++)
        c->fields[i].source = json_get(&json_get(json, "fields")->items[i], "from");
    f->err.text[0] = 0;
    enum rc rc = ing_mapping_new(c, out, &f->err);
    if (rc != want)
        fail_msg("%s: %s", text, rc == RC_OK ? "is accepted" : f->err.text);
}

static void
test_ids_of_any_form_stay_apart(void **state)
{
    static const struct {
        const char *id, *want; /* NULL: refused */
    } rows[] = {
        {"$A", "$A"},
        {"{\"$oid\":\"603cac391cd55c00091c4b7a\"}", "603cac391cd55c00091c4b7a"},
        {"5", "5"},
        {"{\"$numberLong\":\"-9223372036854775808\"}", "-9223372036854775808"},
        {"5.0", "5"}, /* the same key to MongoDB */
        {"5.5", NULL},
        {"\"abc\"", "abc"},
        {"\"5\"", "\"5\""},
        {"\"01GMFRJA800007JWKSWBEWV3C9\"", "\"$A\""},
        {"\"603cac391cd55c00091c4b7a\"", "\"603cac391cd55c00091c4b7a\""},
        {"\"\\\"5\\\"\"", "\"\"5\"\""},
        {"\"\"", NULL},
        {"null", NULL},
        {"true", NULL},
        {"{\"a\":1}", NULL},
    };
    struct mapping_rig *f = *state;
    struct ing_mapping *m;
    compile(f,
            "{\"name\":\"c\",\"source\":{\"collection\":\"c\"},"
            "\"fields\":[{\"name\":\"a\",\"type\":\"string\",\"from\":\"a\"}]}",
            RC_OK, &m);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct span text = arena_printf(&f->arena, "{\"_id\":%s}", rows[i].id), id;
        bson_t *doc = doc_of_text(text);
        bson_iter_t it;
        assert_true(bson_iter_init_find(&it, doc, "_id"));
        enum rc rc = ing_mapping_id(m, &it, &f->arena, &id, &f->err);
        bson_destroy(doc);
        assert_int_equal(rc, rows[i].want ? RC_OK : RC_INVALID);
        if (!rows[i].want)
            continue;
        struct buf want = ids_of_text(span_str(rows[i].want));
        assert_true(span_eq(id, buf_span(&want)));
        buf_fini(&want);
    }
    ing_mapping_free(m);
}

#define FIELD(type, from)                                                                          \
    "{\"name\":\"c\",\"source\":{\"collection\":\"c\"},"                                           \
    "\"fields\":[{\"name\":\"f\",\"type\":\"" type "\",\"from\":" from "}]}"

static void
test_profiles_that_make_no_sense(void **state)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"{\"name\":\"c\",\"source\":{},\"fields\":[{\"name\":\"f\",\"type\":\"string\","
         "\"from\":\"f\"}]}",
         "\"collection\""},
        {"{\"name\":\"c\",\"source\":{\"collection\":\"c\",\"id\":\"x\"},"
         "\"fields\":[{\"name\":\"f\",\"type\":\"string\",\"from\":\"f\"}]}",
         "\"id\""},
        {FIELD("string", "\"a[].b[].c\""), "one \"[]\""},
        {FIELD("string", "\"a[].b\""), "array"},
        {FIELD("string", "\"a..b\""), "empty name"},
        {FIELD("string", "\"a.b.c.d.e.f.g.h.i\""), "too deep"},
        {FIELD("string", "{}"), "\"path\""},
        {FIELD("string", "{\"path\":\"a\",\"as\":\"magic\"}"), "\"magic\""},
        {FIELD("string", "{\"path\":\"a\",\"as\":\"ms\"}"), "type string"},
        {FIELD("int32", "{\"path\":\"a\",\"as\":\"ulid\"}"), "type int32"},
        {FIELD("bool", "{\"path\":\"a\",\"as\":\"bit\"}"), "\"bit\""},
        {FIELD("bool", "{\"path\":\"a\",\"as\":\"bit\",\"bit\":64}"), "\"bit\""},
        {FIELD("int32", "{\"path\":\"a\",\"as\":\"enum\"}"), "\"values\""},
        {FIELD("string", "{\"derive\":\"magic\"}"), "\"magic\""},
        {FIELD("string", "{\"derive\":\"user_role_rank\"}"), "int32"},
        {FIELD("string[]", "{\"path\":[\"a[].b\",\"c[].b\"]}"), "same array"},
        {FIELD("string[]", "{\"path\":\"a\",\"where\":{\"path\":\"x\",\"is\":1}}"), "\"where\""},
        {FIELD("string", "{\"path\":\"a\",\"when\":{\"path\":\"x\"}}"), "\"is\""},
        {FIELD("string", "{\"path\":\"a\",\"set\":true}"), "\"set\""},
        {FIELD("string[]", "{\"path\":\"a\",\"as\":\"grants\",\"node\":\"hat\"}"), "\"node\""},
        {FIELD("bool", "{\"path\":\"a[]\",\"as\":\"present\"}"), "without \"[]\""},
    };
    struct mapping_rig *f = *state;
    struct ing_mapping *m = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        compile(f, rows[i].text, RC_INVALID, &m);
        if (!strstr(f->err.text, rows[i].sentence))
            fail_msg("\"%s\" does not say %s", f->err.text, rows[i].sentence);
        assert_null(m);
    }
}

static void
test_fingerprint_follows_the_mapping(void **state)
{
    struct mapping_rig *f = *state;
    static const char *const texts[] = {
        FIELD("string", "\"a\""),
        FIELD("string", "\"b\""),
        FIELD("string", "{\"path\":\"a\",\"as\":\"text\"}"),
        FIELD("string[]", "\"a\""),
    };
    uint64_t seen[ARRAY_SIZE(texts)];
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct ing_mapping *m, *again;
        compile(f, texts[i], RC_OK, &m);
        compile(f, texts[i], RC_OK, &again);
        seen[i] = ing_mapping_fingerprint(m);
        assert_true(seen[i] == ing_mapping_fingerprint(again));
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
        ing_mapping_free(m);
        ing_mapping_free(again);
    }
}

static void
test_other_profiles(void **state)
{
    static const struct {
        const char *profile, *collection, *doc, *want;
    } rows[] = {
        {"turms", "user",
         "{\"_id\":{\"$numberLong\":\"9007199254740993\"},\"n\":\"Bob\",\"pw\":\"x\",\"act\":true,"
         "\"pgid\":0,\"rd\":#5,\"dd\":null,\"lud\":#7}",
         "{\"id\":\"9007199254740993\",\"is_active\":true,\"name\":\"Bob\","
         "\"permission_group_id\":0,\"registered_at\":5,\"updated_at\":7}"},
        {"turms", "group",
         "{\"_id\":1,\"tid\":2,\"cid\":3,\"oid\":4,\"n\":\"G\",\"intro\":\"i\",\"annt\":\"a\","
         "\"ms\":9,\"cd\":#5,\"dd\":#6,\"ac\":false}",
         "{\"announcement\":\"a\",\"created_at\":5,\"creator_id\":3,\"deleted_at\":6,\"id\":\"1\","
         "\"intro\":\"i\",\"is_active\":false,\"minimum_score\":9,\"name\":\"G\",\"owner_id\":4,"
         "\"type_id\":2}"},
        {"emote-usage", "emotes",
         "{\"_id\":{\"$oid\":\"603cac391cd55c00091c4b7a\"},\"name\":\"KEKW\",\"tags\":[\"t\"],"
         "\"provider_name\":\"7tv\",\"provider_id\":\"p\",\"channel\":\"forsen\","
         "\"usage_count\":{\"$numberLong\":\"5000000000\"},\"updated_at\":#1}",
         "{\"added_at\":1614588985000,\"channel\":\"forsen\",\"id\":\"603cac391cd55c00091c4b7a\","
         "\"name\":\"KEKW\",\"provider_id\":\"p\",\"provider_name\":\"7tv\",\"provider_priority\":"
         "3,"
         "\"tags\":[\"t\"],\"updated_at\":1,\"usage_count\":5000000000}"},
    };
    struct mapping_rig *f = *state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mapping_kit kit;
        struct ing_mapped mapped;
        struct ing_mapping_env env = {.relations = NULL, .now_ms = now_ms, .arena = &f->arena};
        bson_t *doc = doc_of_text(span_str(rows[i].doc));
        mapping_kit_init(&kit, rows[i].profile);
        const struct ing_mapping *m = mapping_kit_get(&kit, span_str(rows[i].collection));
        assert_int_equal(ing_mapping_run(m, doc, &env, &mapped, &f->err), RC_OK);
        assert_span(mapped.doc.json, rows[i].want);
        assert_int_equal(mapped.n_bad, 0);
        mapping_kit_fini(&kit);
        bson_destroy(doc);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_of_every_collection),
        cmocka_unit_test(test_values_follow_the_schema),
        cmocka_unit_test(test_hints_for_the_pipeline),
        cmocka_unit_test(test_projection_fetches_what_is_read),
        cmocka_unit_test(test_broken_text_is_mended),
        cmocka_unit_test(test_long_names_and_large_documents),
        cmocka_unit_test(test_damaged_bson_stays_in_bounds),
        cmocka_unit_test(test_ids_of_any_form_stay_apart),
        cmocka_unit_test(test_profiles_that_make_no_sense),
        cmocka_unit_test(test_other_profiles),
        cmocka_unit_test(test_fingerprint_follows_the_mapping),
    };
    return cmocka_run_group_tests(tests, mapping_rig_setup, mapping_rig_teardown);
}
