/* What the fake server has, and what its routes do with it. */
#include "tests/indexer/fake_parts.h"

/* ---- collections; the lock is held ---- */

static struct fake_collection *
find(struct fake *f, struct span name)
{
    const char *target = map_get_ptr(&f->aliases, name);
    struct fake_collection *c = map_get_ptr(&f->collections, name);
    return c ? c : target ? map_get_ptr(&f->collections, span_str(target)) : NULL;
}

static void
free_texts(struct map *m)
{
    uint64_t *value;
    for (size_t at = 0; map_next(m, &at, NULL, &value);)
        free((void *)(uintptr_t)*value);
    map_fini(m);
}

static void
put_text(struct map *m, struct span key, struct span text)
{
    uint64_t *value = map_put(m, key, NULL);
    free((void *)(uintptr_t)*value);
    *value = (uint64_t)(uintptr_t)xmemdup0(text.p, text.n);
}

static bool
remove_text(struct map *m, struct span key)
{
    free(map_get_ptr(m, key));
    return map_remove(m, key);
}

static struct fake_collection *
add(struct fake *f, struct span name)
{
    struct fake_collection *c = xcalloc(1, sizeof *c);
    *map_put(&f->collections, name, NULL) = (uint64_t)(uintptr_t)c;
    return c;
}

static void
drop(struct fake *f, struct span name)
{
    struct fake_collection *c = map_get_ptr(&f->collections, name);
    if (!c)
        return;
    free_texts(&c->documents);
    free_texts(&c->fields);
    free(c);
    map_remove(&f->collections, name);
}

/* ---- schemas ---- */

static bool
is_one_of(struct span name, const char *const *names)
{
    for (; *names; names++) {
        if (span_eq_str(name, *names))
            return true;
    }
    return false;
}

static bool
is_field_fine(const struct json *field)
{
    static const char *const keys[] = {"name",  "type",  "optional", "facet",  "infix", "stem",
                                       "index", "store", "sort",     "locale", NULL};
    const struct json *index = json_get(field, "index");
    bool is_fine = field->type == JSON_OBJECT && (!index || index->type == JSON_BOOL);
    for (uint32_t i = 0; is_fine && i < field->n; i++)
        is_fine = is_one_of(field->members[i].name, keys);
    return is_fine && json_get_str(field, "name", (struct span){0}).n &&
           json_get_str(field, "type", (struct span){0}).n;
}

static bool
take_fields(struct fake_collection *c, const struct json *fields)
{
    if (!fields || fields->type != JSON_ARRAY || fields->n == 0)
        return false;
    for (uint32_t i = 0; i < fields->n; i++) {
        if (!is_field_fine(&fields->items[i]))
            return false;
    }
    for (uint32_t i = 0; i < fields->n; i++)
        put_text(&c->fields, json_get_str(&fields->items[i], "name", (struct span){0}),
                 json_get_str(&fields->items[i], "type", (struct span){0}));
    return true;
}

void
fts_say(struct conn *c, int status, const char *text)
{
    c->status = status;
    buf_clear(&c->out);
    buf_puts(&c->out, text);
}

static void
make_collection(struct conn *c, const struct request *r)
{
    static const char *const keys[] = {"name",
                                       "fields",
                                       "default_sorting_field",
                                       "enable_nested_fields",
                                       "token_separators",
                                       "symbols_to_index",
                                       NULL};
    struct json json;
    bool is_fine = json_parse(r->body, &c->arena, &json, NULL) == RC_OK && json.type == JSON_OBJECT;
    for (uint32_t i = 0; is_fine && i < json.n; i++)
        is_fine = is_one_of(json.members[i].name, keys);
    struct span name = is_fine ? json_get_str(&json, "name", (struct span){0}) : (struct span){0};
    bool is_refused = c->f->refused && span_starts(name, span_str(c->f->refused));
    if (!is_fine || !name.n || is_refused) {
        fts_say(c, 400, "{\"message\":\"this schema will not do\"}");
    } else if (map_get(&c->f->collections, name)) {
        fts_say(c, 409, "{\"message\":\"it is there\"}");
    } else if (!take_fields(add(c->f, name), json_get(&json, "fields"))) {
        drop(c->f, name);
        fts_say(c, 400, "{\"message\":\"these fields will not do\"}");
    } else {
        c->f->n_schemas++;
        fts_say(c, 201, "{}");
    }
}

static void
show_collection(struct conn *c, struct span name)
{
    const char *target = map_get_ptr(&c->f->aliases, name);
    struct fake_collection *found = find(c->f, name);
    if (!found) {
        fts_say(c, 404, "{\"message\":\"Not Found\"}");
        return;
    }
    bool is_plain = map_get_ptr(&c->f->collections, name) != NULL;
    fts_say(c, 200, "{\"name\":");
    json_put_str(&c->out, is_plain ? name : span_str(target));
    buf_puts(&c->out, ",\"fields\":[");
    struct span field;
    uint64_t *type;
    for (size_t at = 0; map_next(&found->fields, &at, &field, &type);) {
        json_put_comma(&c->out);
        buf_puts(&c->out, "{\"name\":");
        json_put_str(&c->out, field);
        buf_puts(&c->out, ",\"type\":");
        json_put_str(&c->out, span_str((const char *)(uintptr_t)*type));
        buf_putc(&c->out, '}');
    }
    buf_puts(&c->out, "]}");
}

static void
patch_collection(struct conn *c, const struct request *r, struct span name)
{
    struct json json;
    struct fake_collection *found = find(c->f, name);
    if (!found)
        fts_say(c, 404, "{\"message\":\"Not Found\"}");
    else if (json_parse(r->body, &c->arena, &json, NULL) ||
             !take_fields(found, json_get(&json, "fields")))
        fts_say(c, 400, "{\"message\":\"these fields will not do\"}");
    else
        fts_say(c, 200, "{}");
    c->f->n_patches++;
}

static void
answer_alias(struct conn *c, const struct request *r, struct span name)
{
    struct json json;
    const char *target = map_get_ptr(&c->f->aliases, name);
    if (strcmp(r->method, "PUT") == 0) {
        if (map_get(&c->f->collections, name)) {
            fts_say(c, 500, "{\"message\":\"a collection has this name\"}");
            return;
        }
        must(json_parse(r->body, &c->arena, &json, NULL) == RC_OK);
        put_text(&c->f->aliases, name, json_get_str(&json, "collection_name", (struct span){0}));
        c->f->n_swaps++;
        fts_say(c, 200, "{}");
    } else if (target) {
        fts_say(c, 200, "{\"collection_name\":");
        json_put_str(&c->out, span_str(target));
        buf_putc(&c->out, '}');
    } else {
        fts_say(c, 404, "{\"message\":\"Not Found\"}");
    }
}

/* ---- documents ---- */

static struct span
id_of(struct conn *c, struct span line)
{
    struct json json;
    if (json_parse(line, &c->arena, &json, NULL))
        return (struct span){0};
    return json_get_str(&json, "id", (struct span){0});
}

void
fts_fly(struct conn *c, struct span collection, struct span body, bool is_begin)
{
    struct buf key = {0};
    while (body.p) {
        struct span id = id_of(c, span_split(&body, '\n'));
        if (!id.n)
            continue;
        buf_clear(&key);
        buf_printf(&key, "%.*s/%.*s", SPAN_ARG(collection), SPAN_ARG(id));
        uint64_t *n = map_put(&c->f->in_flight, buf_span(&key), NULL);
        c->f->n_overlaps += is_begin && *n > 0;
        *n = is_begin ? *n + 1 : *n - 1;
    }
    buf_fini(&key);
}

static void
take_line(struct conn *c, struct fake_collection *found, struct span line)
{
    struct span id = id_of(c, line);
    if (c->out.n)
        buf_putc(&c->out, '\n');
    if (c->f->trouble == FAKE_LINE_500) {
        buf_puts(&c->out, "{\"code\":500,\"error\":\"oh\",\"success\":false}");
    } else if (!id.n || memmem(line.p, line.n, "REJECT", 6)) {
        buf_puts(&c->out, "{\"code\":400,\"document\":\"x\",\"error\":\"this document will not "
                          "do\",\"success\":false}");
    } else {
        put_text(&found->documents, id, line);
        c->f->n_documents++;
        buf_puts(&c->out, "{\"success\":true}");
    }
}

static void
import(struct conn *c, const struct request *r, struct span name, bool is_half)
{
    struct fake_collection *found = find(c->f, name);
    struct span rest = r->body;
    c->f->n_imports++;
    if (!found) {
        fts_say(c, 404, "{\"message\":\"Not found.\"}");
        return;
    }
    if (is_half)
        rest.n /= 2;
    fts_say(c, 200, "");
    while (rest.p) {
        struct span line = span_split(&rest, '\n');
        if (line.n && !(is_half && !rest.p))
            take_line(c, found, line);
    }
}

static void
delete_some(struct conn *c, struct fake_collection *found, struct span query)
{
    size_t begin = span_find(query, 0, '[');
    unsigned n = 0;
    struct span ids = span_from(query, begin < query.n ? begin + 1 : query.n);
    ids.n = span_find(ids, 0, ']');
    while (ids.p)
        n += remove_text(&found->documents, span_split(&ids, ','));
    fts_say(c, 200, "");
    buf_printf(&c->out, "{\"num_deleted\":%u}", n);
}

static void
answer_documents(struct conn *c, const struct request *r, struct span name, struct span rest,
                 bool is_half)
{
    struct fake_collection *found = find(c->f, name);
    if (span_eq_str(rest, "import"))
        import(c, r, name, is_half);
    else if (!found)
        fts_say(c, 404, "{\"message\":\"Not Found\"}");
    else if (!rest.n)
        delete_some(c, found, r->query);
    else if (remove_text(&found->documents, rest))
        fts_say(c, 200, "{}");
    else
        fts_say(c, 404, "{\"message\":\"no such document\"}");
}

void
fts_route(struct conn *c, const struct request *r, bool is_half)
{
    struct span rest = span_from(r->path, 1), room = span_split(&rest, '/');
    struct span name = rest.p ? span_split(&rest, '/') : (struct span){0};
    struct span what = rest.p ? span_split(&rest, '/') : (struct span){0};
    bool is_collection = span_eq_str(room, "collections");
    if (span_eq_str(room, "health"))
        fts_say(c, 200, "{\"ok\":true}");
    else if (!r->has_key)
        fts_say(c, 401, "{\"message\":\"who are you\"}");
    else if (span_eq_str(room, "aliases"))
        answer_alias(c, r, name);
    else if (is_collection && what.n)
        answer_documents(c, r, name, rest.p ? rest : (struct span){0}, is_half);
    else if (is_collection && strcmp(r->method, "POST") == 0)
        make_collection(c, r);
    else if (is_collection && strcmp(r->method, "PATCH") == 0)
        patch_collection(c, r, name);
    else if (is_collection && strcmp(r->method, "DELETE") == 0 &&
             !map_get(&c->f->collections, name))
        fts_say(c, 404, "{\"message\":\"Not Found\"}");
    else if (is_collection && strcmp(r->method, "DELETE") == 0)
        drop(c->f, name), fts_say(c, 200, "{}");
    else
        show_collection(c, name);
}

/* ---- for tests ---- */

void
fts_free_all(struct fake *f)
{
    struct arena arena = {0};
    struct span name;
    for (size_t at = 0; map_next(&f->collections, &at, &name, NULL); at = 0)
        drop(f, arena_dup(&arena, name));
    arena_fini(&arena);
    map_fini(&f->collections);
    free_texts(&f->aliases);
    map_fini(&f->in_flight);
}

void
fts_set(struct fake *f, enum fake_trouble trouble, unsigned n)
{
    pthread_mutex_lock(&f->lock);
    f->trouble = trouble;
    f->n_troubles = n;
    pthread_mutex_unlock(&f->lock);
}

void
fts_add(struct fake *f, const char *collection, const char *id)
{
    char text[100];
    snprintf(text, sizeof text, "{\"id\":\"%s\"}", id);
    pthread_mutex_lock(&f->lock);
    put_text(&add(f, span_str(collection))->documents, span_str(id), span_str(text));
    pthread_mutex_unlock(&f->lock);
}

int64_t
fts_count(struct fake *f, const char *name)
{
    pthread_mutex_lock(&f->lock);
    struct fake_collection *c = find(f, span_str(name));
    int64_t n = c ? (int64_t)c->documents.n : -1;
    pthread_mutex_unlock(&f->lock);
    return n;
}

struct span
fts_doc(struct fake *f, const char *name, struct span id, struct arena *arena)
{
    pthread_mutex_lock(&f->lock);
    struct fake_collection *c = find(f, span_str(name));
    const char *text = c ? map_get_ptr(&c->documents, id) : NULL;
    struct span out = text ? arena_dup(arena, span_str(text)) : (struct span){0};
    pthread_mutex_unlock(&f->lock);
    return out;
}

struct span
fts_alias(struct fake *f, const char *name, struct arena *arena)
{
    pthread_mutex_lock(&f->lock);
    const char *target = map_get_ptr(&f->aliases, span_str(name));
    struct span out = arena_dup(arena, span_str(target ? target : ""));
    pthread_mutex_unlock(&f->lock);
    return out;
}

unsigned
fts_n_collections(struct fake *f)
{
    pthread_mutex_lock(&f->lock);
    unsigned n = (unsigned)f->collections.n;
    pthread_mutex_unlock(&f->lock);
    return n;
}

void
fts_drop(struct fake *f, const char *name)
{
    pthread_mutex_lock(&f->lock);
    drop(f, span_str(name));
    pthread_mutex_unlock(&f->lock);
}

void
fts_forget_field(struct fake *f, const char *name, const char *field)
{
    pthread_mutex_lock(&f->lock);
    struct fake_collection *c = find(f, span_str(name));
    must(c && remove_text(&c->fields, span_str(field)));
    pthread_mutex_unlock(&f->lock);
}
