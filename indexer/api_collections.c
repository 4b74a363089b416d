/*
 * Collections made, changed and dropped over the API. A change of fields
 * rebuilds the collection aside from its stored documents and switches names:
 * one way, whatever the change.
 */
#include "indexer/api.h"

#include <stdio.h>

#include "base/clock.h"

enum { REBUILD_DOCS = 2048 };

static void
answer_summary(struct http_exchange *x, int status, const struct sch_collection *c, uint64_t n_docs)
{
    struct buf body = {0};
    sch_write(c, n_docs, false, &body);
    http_reply(x, status, "application/json; charset=utf-8", &body);
}

/* A generation of a schema, in a batch that also names it. */
static void
put_create(struct idx_batch *batch, const struct sch_collection *schema, uint32_t uid)
{
    struct tkz_analyzer analyzer;
    tkz_analyzer_init(&analyzer, schema->separators, schema->symbols);
    idx_batch_create(batch, uid, schema, tkz_fingerprint(&analyzer));
}

/* ---- create ---- */

/* One that its maker could not see again is refused. */
static enum rc
check_metadata(bool is_internal, struct err *err)
{
    return is_internal ? err_set(err, RC_INVALID,
                                 "`metadata.internal` marks collections that no request can see: "
                                 "it is not for collections of the API")
                       : RC_OK;
}

static enum rc
create(struct ing_api *a, const struct sch_collection *schema, struct err *err)
{
    const struct idx_snapshot *s = ing_groups_snapshot(a->groups);
    enum rc rc = ing_groups_check_fed(a->groups, schema->name, err);
    if (rc == RC_OK)
        rc = check_metadata(schema->is_internal, err);
    if (rc != RC_OK)
        return rc;
    const struct idx_collection *old = idx_snapshot_find(s, schema->name);
    if (old && span_eq(old->schema->name, schema->name))
        return err_set(err, RC_CONFLICT, "a collection with the name %.*s exists already",
                       SPAN_ARG(schema->name));
    struct idx_batch *batch = idx_batch_new();
    uint32_t uid = idx_new_uid(a->options.idx);
    put_create(batch, schema, uid);
    idx_batch_name(batch, uid);
    idx_batch_complete(batch, uid);
    return ing_groups_commit(a->groups, &batch, err);
}

/* ?src_name=: the schema of another collection under a new name. */
static enum rc
read_schema(struct ing_api *a, struct http_exchange *x, const struct json *body,
            struct sch_collection *out, struct err *err)
{
    struct arena *arena = http_exchange_arena(x);
    const struct http_param *source = http_request_param(http_exchange_request(x), "src_name");
    if (!source)
        return sch_parse(body, arena, out, err);
    const struct idx_collection *c =
        idx_snapshot_find_public(ing_groups_snapshot(a->groups), source->value);
    struct span name = json_get_str(body, "name", (struct span){0});
    if (!c)
        return err_set(err, RC_ABSENT, "there is no collection %.*s to clone",
                       SPAN_ARG(source->value));
    if (name.n == 0)
        return err_set(err, RC_INVALID, "the new collection's `name` is missing");
    sch_copy(c->schema, arena, out);
    out->name = name;
    return RC_OK;
}

void
ing_api_create_collection(struct ing_api *a, struct http_exchange *x)
{
    struct json body;
    struct sch_collection schema = {0};
    struct err err = {0};
    if (!ing_api_read_object(x, &body))
        return;
    ing_groups_begin(a->groups);
    enum rc rc = read_schema(a, x, &body, &schema, &err);
    if (rc == RC_OK) {
        schema.created_at_s = clock_wall_us() / 1000000;
        schema.tie = SCH_TIE_SEQ;
        rc = create(a, &schema, &err);
    }
    ing_groups_end(a->groups);
    if (rc == RC_OK)
        answer_summary(x, 201, &schema, 0);
    else
        ing_api_refuse(x, rc, &err);
}

/* ---- drop ---- */

void
ing_api_drop_collection(struct ing_api *a, struct http_exchange *x)
{
    struct err err = {0};
    struct buf body = {0};
    ing_groups_begin(a->groups);
    const struct idx_snapshot *s = ing_groups_snapshot(a->groups);
    const struct idx_collection *c =
        idx_snapshot_find_public(s, http_exchange_request(x)->parts[1]);
    enum rc rc = c ? ing_groups_check_fed(a->groups, c->schema->name, &err)
                   : err_set(&err, RC_ABSENT, "Not Found");
    if (rc == RC_OK) {
        sch_write(c->schema, c->n_docs, false, &body);
        struct idx_batch *batch = idx_batch_new();
        idx_batch_drop(batch, c->uid);
        rc = ing_groups_commit(a->groups, &batch, &err);
    }
    ing_groups_end(a->groups);
    if (rc == RC_OK)
        http_reply(x, 200, "application/json; charset=utf-8", &body);
    else
        ing_api_refuse(x, rc, &err);
    buf_fini(&body);
}

/* ---- alter ---- */

static bool
is_drop(const struct json *entry)
{
    const struct json *drop = json_get(entry, "drop");
    return drop && drop->type == JSON_BOOL && drop->boolean;
}

static enum rc
drop_field(struct sch_collection *c, struct span name, struct err *err)
{
    int32_t at = sch_field_find(c, name);
    if (at < 0)
        return err_set(err, RC_INVALID, "there is no field `%.*s` to drop", SPAN_ARG(name));
    if (at == c->default_sort)
        return err_set(err, RC_INVALID, "the default sorting field cannot be dropped");
    memmove(&c->fields[at], &c->fields[at + 1],
            (c->n_fields - (uint32_t)at - 1) * sizeof *c->fields);
    c->n_fields--;
    if (at < c->default_sort)
        c->default_sort--;
    return RC_OK;
}

static enum rc
add_field(struct sch_collection *c, const struct json *entry, struct arena *arena, struct err *err)
{
    struct sch_field field;
    enum rc rc = sch_parse_field(entry, arena, &field, err);
    if (rc != RC_OK)
        return rc;
    if (sch_field_find(c, field.name) >= 0)
        return err_set(err, RC_INVALID,
                       "the field `%.*s` is there already: drop it in the same change first",
                       SPAN_ARG(field.name));
    if (c->n_fields >= SCH_FIELDS_MAX)
        return err_set(err, RC_INVALID, "a collection has at most %d fields", SCH_FIELDS_MAX);
    struct sch_field *fields = arena_calloc(arena, (size_t)c->n_fields + 1, sizeof *fields);
    if (c->n_fields)
        memcpy(fields, c->fields, c->n_fields * sizeof *fields);
    fields[c->n_fields++] = field;
    c->fields = fields;
    return RC_OK;
}

static enum rc
change_schema(const struct idx_collection *c, const struct json *body, struct arena *arena,
              struct sch_collection *out, struct err *err)
{
    const struct json *fields = json_get(body, "fields"), *metadata = json_get(body, "metadata");
    enum rc rc = RC_OK;
    if (!metadata && (!fields || fields->type != JSON_ARRAY || fields->n == 0))
        return err_set(err, RC_INVALID, "`fields` is to be a list of fields to add or drop");
    sch_copy(c->schema, arena, out);
    for (uint32_t i = 0; rc == RC_OK && fields && i < fields->n; i++) {
        struct span name = json_get_str(&fields->items[i], "name", (struct span){0});
        rc = is_drop(&fields->items[i]) ? drop_field(out, name, err)
                                        : add_field(out, &fields->items[i], arena, err);
    }
    const struct json *internal = json_get(metadata, "internal");
    if (rc == RC_OK)
        rc = check_metadata(internal && internal->type == JSON_BOOL && internal->boolean, err);
    if (rc == RC_OK && metadata) {
        struct buf text = {0};
        json_put(&text, metadata, false);
        out->metadata = arena_dup(arena, buf_span(&text));
        buf_fini(&text);
    }
    return rc;
}

struct rebuild {
    struct ing_api *a;
    const struct sch_collection *schema;
    struct tkz_analyzer analyzer;
    struct idx_doc_reader *docs;
    struct idx_batch *batch;
    uint32_t uid;
    bool has_parts; /* that were submitted */
};

static enum rc
rebuild_document(struct rebuild *r, const struct idx_view *view, uint32_t d, struct err *err)
{
    struct arena *arena = idx_batch_arena(r->batch);
    struct span json;
    struct json object;
    struct ing_record built;
    const struct ing_record_rules rules = {r->schema, &r->analyzer, ING_DIRTY_REJECT};
    enum rc rc = idx_doc_reader_get(r->docs, view->segment, d, &json, err);
    if (rc == RC_OK)
        rc = json_parse(arena_dup(arena, json), arena, &object, err);
    if (rc == RC_OK)
        rc = ing_record_build(&rules, &object, arena, &built, err);
    if (rc != RC_OK)
        return rc;
    built.doc.seq = idx_segment_tie(view->segment, d).hi;
    idx_batch_put(r->batch, r->uid, &built.doc);
    if (idx_batch_n(r->batch) < REBUILD_DOCS)
        return RC_OK;
    rc = ing_groups_submit(r->a->groups, &r->batch, err);
    r->has_parts |= rc == RC_OK;
    r->batch = idx_batch_new();
    return rc;
}

static enum rc
rebuild_all(struct rebuild *r, const struct idx_collection *c, struct err *err)
{
    put_create(r->batch, r->schema, r->uid);
    for (uint32_t v = 0; v < c->n_views; v++) {
        for (uint32_t d = 0; d < c->views[v].n_docs; d++) {
            bool is_live = c->views[v].live[d / 64] >> (d % 64) & 1;
            enum rc rc = is_live ? rebuild_document(r, &c->views[v], d, err) : RC_OK;
            if (rc != RC_OK)
                return rc;
        }
    }
    return RC_OK;
}

/* Aside, then the name; a document that the new schema refuses ends it, and nothing has changed. */
static enum rc
rebuild(struct ing_api *a, const struct idx_collection *c, const struct sch_collection *schema,
        struct err *err)
{
    struct rebuild r = {.a = a, .schema = schema, .uid = idx_new_uid(a->options.idx)};
    tkz_analyzer_init(&r.analyzer, schema->separators, schema->symbols);
    r.docs = idx_doc_reader_new();
    r.batch = idx_batch_new();
    enum rc rc = rebuild_all(&r, c, err);
    if (rc == RC_OK) {
        ing_groups_hand_on(a->groups, c->uid, r.uid);
        idx_batch_complete(r.batch, r.uid);
        idx_batch_name(r.batch, r.uid);
        rc = ing_groups_commit(a->groups, &r.batch, err);
    }
    if (rc != RC_OK && r.has_parts)
        ing_groups_discard(a->groups, r.uid);
    idx_batch_free(r.batch);
    idx_doc_reader_free(r.docs);
    return rc;
}

void
ing_api_alter_collection(struct ing_api *a, struct http_exchange *x)
{
    struct json body;
    struct err err = {0};
    struct sch_collection schema;
    if (!ing_api_read_object(x, &body))
        return;
    ing_groups_begin(a->groups);
    const struct idx_snapshot *s = ing_groups_snapshot(a->groups);
    const struct idx_collection *c =
        idx_snapshot_find_public(s, http_exchange_request(x)->parts[1]);
    enum rc rc = c ? ing_groups_check_fed(a->groups, c->schema->name, &err)
                   : err_set(&err, RC_ABSENT, "Not Found");
    if (rc == RC_OK)
        rc = change_schema(c, &body, http_exchange_arena(x), &schema, &err);
    if (rc == RC_OK)
        rc = rebuild(a, c, &schema, &err);
    ing_groups_end(a->groups);
    if (rc == RC_OK)
        ing_api_answer(x, 200, span_trim(http_exchange_request(x)->body));
    else
        ing_api_refuse(x, rc, &err);
}
