/*
 * Collections and aliases on the Typesense cluster: made from the profile's
 * schemas, looked at, extended, swapped, dropped. What this program adds to the
 * dialect (index "exact", order, tie, metadata, the profile's sources) is
 * translated or left out: Typesense would refuse it.
 */
#include "indexer/sink.h"

/* ---- schemas ---- */

static void
put_true(struct buf *out, const char *name, bool value)
{
    if (!value)
        return;
    json_put_name(out, name);
    buf_puts(out, "true");
}

static void
put_text(struct buf *out, const char *name, struct span value)
{
    json_put_name(out, name);
    json_put_str(out, value);
}

/* Only what differs from Typesense's defaults: older versions do not know every key. */
static void
put_field(const struct sch_field *f, struct buf *out)
{
    bool is_array = f->flags & SCH_ARRAY, is_indexed = f->flags & SCH_INDEXED;
    bool sorts = f->flags & SCH_SORT, sorts_by_default = f->type != SCH_STRING && !is_array;
    json_put_comma(out);
    buf_putc(out, '{');
    put_text(out, "name", f->name);
    put_text(out, "type", span_str(sch_type_name(f->type, is_array)));
    /* What is not indexed must be optional there. */
    put_true(out, "optional", (f->flags & SCH_OPTIONAL) || !is_indexed);
    put_true(out, "facet", f->flags & SCH_FACET);
    put_true(out, "infix", f->flags & SCH_INFIX);
    put_true(out, "stem", f->flags & SCH_STEM);
    if (!is_indexed)
        buf_puts(out, ",\"index\":false");
    if (!(f->flags & SCH_STORED))
        buf_puts(out, ",\"store\":false");
    if (sorts != sorts_by_default && is_indexed)
        buf_puts(out, sorts ? ",\"sort\":true" : ",\"sort\":false");
    if (f->locale.n)
        put_text(out, "locale", f->locale);
    buf_putc(out, '}');
}

static void
put_characters(struct buf *out, const char *name, struct span characters)
{
    if (!characters.n)
        return;
    json_put_name(out, name);
    buf_putc(out, '[');
    for (size_t i = 0; i < characters.n; i++) {
        json_put_comma(out);
        json_put_str(out, span_of(characters.p + i, 1));
    }
    buf_putc(out, ']');
}

void
ing_sink_write_schema(const struct sch_collection *c, const char *name, struct buf *out)
{
    buf_putc(out, '{');
    put_text(out, "name", span_str(name));
    if (c->default_sort >= 0)
        put_text(out, "default_sorting_field", c->fields[c->default_sort].name);
    put_true(out, "enable_nested_fields", c->has_nested);
    put_characters(out, "token_separators", c->separators);
    put_characters(out, "symbols_to_index", c->symbols);
    json_put_name(out, "fields");
    buf_putc(out, '[');
    for (uint32_t i = 0; i < c->n_fields; i++)
        put_field(&c->fields[i], out);
    buf_puts(out, "]}");
}

static const struct json *
shown_field(const struct json *shown, struct span name)
{
    const struct json *fields = json_get(shown, "fields");
    for (uint32_t i = 0; fields && fields->type == JSON_ARRAY && i < fields->n; i++) {
        if (span_eq(json_get_str(&fields->items[i], "name", (struct span){0}), name))
            return &fields->items[i];
    }
    return NULL;
}

bool
ing_sink_write_missing(const struct sch_collection *c, const struct json *shown, struct buf *out,
                       bool *is_other)
{
    bool has_any = false;
    *is_other = false;
    buf_puts(out, "{\"fields\":[");
    for (uint32_t i = 0; i < c->n_fields; i++) {
        const struct sch_field *f = &c->fields[i];
        const struct json *field = shown_field(shown, f->name);
        struct span type = json_get_str(field, "type", (struct span){0});
        *is_other |= field && !span_eq_str(type, sch_type_name(f->type, f->flags & SCH_ARRAY));
        has_any |= !field;
        if (!field)
            put_field(f, out);
    }
    buf_puts(out, "]}");
    return has_any && !*is_other;
}

/* ---- collections ---- */

struct question {
    const char *method, *room; /* "collections" or "aliases" */
    struct span name, body;
};

static enum rc
ask(struct ing_sink *s, const struct question *q, struct ing_sink_answer *out, struct err *err)
{
    struct buf path = {0};
    buf_printf(&path, "/%s", q->room);
    if (q->name.n) {
        buf_putc(&path, '/');
        ing_sink_put_escaped(&path, q->name);
    }
    buf_putc(&path, 0);
    enum rc rc = ing_sink_ask(s, q->method, path.p, q->body, out, err);
    buf_fini(&path);
    return rc;
}

/* An answer that is neither a success nor an outage: Typesense does not want this. */
static enum rc
refused(const struct ing_sink_answer *a, const char *doing, struct err *err)
{
    char reason[160];
    ing_sink_reason(buf_span(&a->body), reason, sizeof reason);
    return err_set(err, RC_INVALID, "%s: Typesense answers %d: %s", doing, a->status, reason);
}

enum rc
ing_sink_create(struct ing_sink *s, const struct ing_sink_feed *f, const char *name, bool *is_new,
                struct err *err)
{
    struct buf body = {0};
    struct ing_sink_answer a;
    ing_sink_write_schema(f->feed->schema, name, &body);
    enum rc rc =
        ask(s, &(struct question){.method = "POST", .room = "collections", .body = buf_span(&body)},
            &a, err);
    if (!rc && a.status != 201 && a.status != 409)
        rc = refused(&a, "making a collection", err);
    if (!rc)
        *is_new = a.status == 201;
    ing_sink_answer_fini(&a);
    buf_fini(&body);
    return rc;
}

static enum rc
extend(struct ing_sink *s, const struct ing_sink_feed *f, const char *name, struct span shown_text,
       struct err *err)
{
    struct arena arena = {0};
    struct json shown;
    struct buf body = {0};
    struct ing_sink_answer a = {0};
    bool is_other = false;
    enum rc rc = json_parse(shown_text, &arena, &shown, err);
    if (!rc && ing_sink_write_missing(f->feed->schema, &shown, &body, &is_other)) {
        rc = ask(s,
                 &(struct question){.method = "PATCH",
                                    .room = "collections",
                                    .name = span_str(name),
                                    .body = buf_span(&body)},
                 &a, err);
        if (!rc && a.status != 200)
            rc = refused(&a, "adding fields", err);
        if (!rc)
            log_line(s->m->options.log, LOG_INFO, "indexer", "typesense",
                     "collection=%s added=fields", name);
    }
    if (!rc && is_other)
        rc = err_set(err, RC_INVALID, "a field of %s has another type", name);
    ing_sink_answer_fini(&a);
    buf_fini(&body);
    arena_fini(&arena);
    return rc;
}

enum rc
ing_sink_fit(struct ing_sink *s, const struct ing_sink_feed *f, const char *name, struct err *err)
{
    struct ing_sink_answer a;
    enum rc rc =
        ask(s, &(struct question){.method = "GET", .room = "collections", .name = span_str(name)},
            &a, err);
    if (!rc && a.status == 404)
        rc = err_set(err, RC_ABSENT, "Typesense has no collection %s", name);
    else if (!rc && a.status != 200)
        rc = refused(&a, "looking at a collection", err);
    if (!rc)
        rc = extend(s, f, name, buf_span(&a.body), err);
    ing_sink_answer_fini(&a);
    return rc;
}

enum rc
ing_sink_drop(struct ing_sink *s, const char *name, struct err *err)
{
    struct ing_sink_answer a;
    enum rc rc = ask(
        s, &(struct question){.method = "DELETE", .room = "collections", .name = span_str(name)},
        &a, err);
    if (!rc && a.status != 200 && a.status != 404)
        rc = refused(&a, "dropping a collection", err);
    ing_sink_answer_fini(&a);
    return rc;
}

/* ---- aliases ---- */

/* A member of the answer's object, copied; empty if it has none. */
static void
copy_member(const struct ing_sink_answer *a, const char *member, char out[ING_SINK_NAME_MAX])
{
    struct arena arena = {0};
    struct json json;
    out[0] = 0;
    if (json_parse(buf_span(&a->body), &arena, &json, NULL) == RC_OK) {
        struct span text = json_get_str(&json, member, (struct span){0});
        snprintf(out, ING_SINK_NAME_MAX, "%.*s", SPAN_ARG(text));
    }
    arena_fini(&arena);
}

enum rc
ing_sink_alias(struct ing_sink *s, struct span alias, char out[ING_SINK_NAME_MAX], struct err *err)
{
    struct ing_sink_answer a;
    enum rc rc =
        ask(s, &(struct question){.method = "GET", .room = "aliases", .name = alias}, &a, err);
    out[0] = 0;
    if (!rc && a.status == 200)
        copy_member(&a, "collection_name", out);
    else if (!rc && a.status != 404)
        rc = refused(&a, "looking at an alias", err);
    ing_sink_answer_fini(&a);
    return rc;
}

/* True in *is_plain if a collection, and no alias, answers to the name. */
static enum rc
find_plain(struct ing_sink *s, struct span name, bool *is_plain, struct err *err)
{
    struct ing_sink_answer a;
    char shown[ING_SINK_NAME_MAX] = "";
    enum rc rc =
        ask(s, &(struct question){.method = "GET", .room = "collections", .name = name}, &a, err);
    if (!rc && a.status == 200)
        copy_member(&a, "name", shown);
    else if (!rc && a.status != 404)
        rc = refused(&a, "looking at a collection", err);
    *is_plain = span_eq_str(name, shown);
    ing_sink_answer_fini(&a);
    return rc;
}

enum rc
ing_sink_swap(struct ing_sink *s, struct span alias, const char *name, struct err *err)
{
    struct buf body = {0};
    struct ing_sink_answer a = {0};
    char plain[ING_SINK_NAME_MAX];
    bool is_plain = false;
    buf_putc(&body, '{');
    put_text(&body, "collection_name", span_str(name));
    buf_putc(&body, '}');
    enum rc rc = find_plain(s, alias, &is_plain, err);
    if (!rc && is_plain) {
        snprintf(plain, sizeof plain, "%.*s", SPAN_ARG(alias));
        log_line(s->m->options.log, LOG_WARN, "indexer", "typesense",
                 "collection=%s is plain: dropped, an alias takes its name", plain);
        rc = ing_sink_drop(s, plain, err);
    }
    /* Searches find nothing between these two requests, if the collection was plain. */
    if (!rc)
        rc = ask(s,
                 &(struct question){
                     .method = "PUT", .room = "aliases", .name = alias, .body = buf_span(&body)},
                 &a, err);
    if (!rc && a.status != 200)
        rc = refused(&a, "setting an alias", err);
    ing_sink_answer_fini(&a);
    buf_fini(&body);
    return rc;
}
