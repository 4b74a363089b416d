/*
 * Aliases, keys, and the service operations.
 */
#include "indexer/api.h"

#include <stdio.h>
#include <sys/random.h>

static const struct span ALIAS = {"alias", 5}, KEY = {"key", 3};

enum { KEY_VALUE_N = 32 };

/* The peer's "never": the last second of a far year. */
#define EXPIRES_AT_DEFAULT INT64_C(64723363199)

/* Sets or removes an entry durably; the caller holds the turn. */
static enum rc
commit_entry(struct ing_api *a, struct span kind, struct span key, struct span value,
             struct err *err)
{
    struct idx_batch *batch = idx_batch_new();
    struct arena *arena = idx_batch_arena(batch);
    struct span copy = value.p ? arena_dup(arena, value) : (struct span){0};
    idx_batch_entry(batch, kind, arena_dup(arena, key), copy);
    return ing_groups_commit(a->groups, &batch, err);
}

/* ---- aliases ---- */

static void
answer_alias(struct http_exchange *x, struct span name, struct span collection)
{
    struct buf body = {0};
    buf_puts(&body, "{\"collection_name\":");
    json_put_str(&body, collection);
    buf_puts(&body, ",\"name\":");
    json_put_str(&body, name);
    buf_putc(&body, '}');
    http_reply(x, 200, "application/json; charset=utf-8", &body);
}

void
ing_api_put_alias(struct ing_api *a, struct http_exchange *x)
{
    struct json body;
    struct err err = {0};
    struct span name = http_exchange_request(x)->parts[1];
    if (!ing_api_read_object(x, &body))
        return;
    struct span target = json_get_str(&body, "collection_name", (struct span){0});
    if (target.n == 0) {
        http_reply_error(x, 400, "`collection_name` is missing");
        return;
    }
    ing_groups_begin(a->groups);
    const struct idx_collection *c = idx_snapshot_find(ing_groups_snapshot(a->groups), name);
    enum rc rc = RC_OK;
    if (c && span_eq(c->schema->name, name))
        rc = err_set(&err, RC_INTERNAL, "a collection has the name %.*s", SPAN_ARG(name));
    if (rc == RC_OK)
        rc = commit_entry(a, ALIAS, name, target, &err);
    ing_groups_end(a->groups);
    if (rc == RC_OK)
        answer_alias(x, name, target);
    else
        ing_api_refuse(x, rc, &err);
}

void
ing_api_drop_alias(struct ing_api *a, struct http_exchange *x)
{
    struct err err = {0};
    struct span name = http_exchange_request(x)->parts[1], target = {0};
    ing_groups_begin(a->groups);
    const struct idx_entry *entry = idx_snapshot_entry(ing_groups_snapshot(a->groups), ALIAS, name);
    enum rc rc = entry ? RC_OK : err_set(&err, RC_ABSENT, "Not Found");
    if (rc == RC_OK) {
        target = arena_dup(http_exchange_arena(x), entry->value);
        rc = commit_entry(a, ALIAS, name, (struct span){0}, &err);
    }
    ing_groups_end(a->groups);
    if (rc == RC_OK)
        answer_alias(x, name, target);
    else
        ing_api_refuse(x, rc, &err);
}

/* ---- keys ---- */

static bool
is_list_of_texts(const struct json *v)
{
    if (!v || v->type != JSON_ARRAY || v->n == 0)
        return false;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i].type != JSON_STRING || v->items[i].string.n == 0)
            return false;
    }
    return true;
}

static enum rc
check_key(const struct json *body, struct err *err)
{
    const struct json *description = json_get(body, "description");
    const struct json *value = json_get(body, "value"), *expires = json_get(body, "expires_at");
    if (!description || description->type != JSON_STRING)
        return err_set(err, RC_INVALID, "a key wants a `description`");
    if (!is_list_of_texts(json_get(body, "actions")))
        return err_set(err, RC_INVALID,
                       "`actions` is to be a list of rights, such as [\"documents:search\"]");
    if (!is_list_of_texts(json_get(body, "collections")))
        return err_set(err, RC_INVALID, "`collections` is to be a list of names, such as [\"*\"]");
    if (value && (value->type != JSON_STRING || value->string.n == 0))
        return err_set(err, RC_INVALID, "`value` is to be a text");
    if (expires && (expires->type != JSON_INT || expires->i64 < 0))
        return err_set(err, RC_INVALID, "`expires_at` is to be a Unix time in seconds");
    return RC_OK;
}

/* 32 letters and digits: 190 random bits. */
static enum rc
random_value(struct arena *arena, struct span *out, struct err *err)
{
    static const char LETTERS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    unsigned char bytes[KEY_VALUE_N * 2];
    char *text = arena_alloc(arena, KEY_VALUE_N);
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_set(err, RC_IO, "the system gave no random bytes");
    /* 16 bits per letter: the remainder's bias is below a thousandth. */
    for (size_t i = 0; i < KEY_VALUE_N; i++)
        text[i] = LETTERS[(unsigned)(bytes[2 * i] << 8 | bytes[2 * i + 1]) % (sizeof LETTERS - 1)];
    *out = span_of(text, KEY_VALUE_N);
    return RC_OK;
}

/* The smallest number above all there are; RC_CONFLICT if a key has the value already. */
static enum rc
next_key_id(struct ing_api *a, struct span value, struct arena *arena, uint64_t *out,
            struct err *err)
{
    size_t n = 0;
    const struct idx_entry *keys = idx_snapshot_entries(ing_groups_snapshot(a->groups), KEY, &n);
    uint64_t next = 0, id = 0;
    for (size_t i = 0; i < n; i++) {
        struct json key;
        if (span_u64(keys[i].key, &id) && id >= next)
            next = id + 1;
        if (json_parse(keys[i].value, arena, &key, NULL) == RC_OK &&
            span_eq(json_get_str(&key, "value", (struct span){0}), value))
            return err_set(err, RC_CONFLICT, "a key with this value exists already");
    }
    *out = next;
    return RC_OK;
}

static void
write_key(const struct json *body, uint64_t id, struct span value, struct buf *out)
{
    const struct json *autodelete = json_get(body, "autodelete"),
                      *expires = json_get(body, "expires_at");
    bool is_autodelete = autodelete && autodelete->type == JSON_BOOL && autodelete->boolean;
    buf_puts(out, "{\"actions\":");
    json_put(out, json_get(body, "actions"), false);
    buf_printf(out, ",\"autodelete\":%s,\"collections\":", is_autodelete ? "true" : "false");
    json_put(out, json_get(body, "collections"), false);
    buf_puts(out, ",\"description\":");
    json_put_str(out, json_get_str(body, "description", (struct span){0}));
    buf_printf(out, ",\"expires_at\":%lld,\"id\":%llu,\"value\":",
               (long long)(expires ? expires->i64 : EXPIRES_AT_DEFAULT), (unsigned long long)id);
    json_put_str(out, value);
    buf_putc(out, '}');
}

void
ing_api_create_key(struct ing_api *a, struct http_exchange *x)
{
    struct json body;
    struct err err = {0};
    struct buf text = {0};
    struct arena *arena = http_exchange_arena(x);
    uint64_t id = 0;
    if (!ing_api_read_object(x, &body))
        return;
    enum rc rc = check_key(&body, &err);
    struct span value =
        rc == RC_OK ? json_get_str(&body, "value", (struct span){0}) : (struct span){0};
    if (rc == RC_OK && value.n == 0)
        rc = random_value(arena, &value, &err);
    if (rc != RC_OK) {
        ing_api_refuse(x, rc, &err);
        return;
    }
    ing_groups_begin(a->groups);
    rc = next_key_id(a, value, arena, &id, &err);
    if (rc == RC_OK) {
        write_key(&body, id, value, &text);
        rc = commit_entry(a, KEY, arena_printf(arena, "%llu", (unsigned long long)id),
                          buf_span(&text), &err);
    }
    ing_groups_end(a->groups);
    if (rc == RC_OK)
        http_reply(x, 201, "application/json; charset=utf-8", &text);
    else
        ing_api_refuse(x, rc, &err);
    buf_fini(&text);
}

void
ing_api_drop_key(struct ing_api *a, struct http_exchange *x)
{
    struct err err = {0};
    struct span id = http_exchange_request(x)->parts[1];
    ing_groups_begin(a->groups);
    const struct idx_entry *entry = idx_snapshot_entry(ing_groups_snapshot(a->groups), KEY, id);
    enum rc rc = entry ? commit_entry(a, KEY, id, (struct span){0}, &err)
                       : err_set(&err, RC_ABSENT, "Not found.");
    ing_groups_end(a->groups);
    if (rc != RC_OK) {
        ing_api_refuse(x, rc, &err);
        return;
    }
    struct buf body = {0};
    buf_printf(&body, "{\"id\":%.*s}", SPAN_ARG(id));
    http_reply(x, 200, "application/json; charset=utf-8", &body);
}

/* ---- operations ---- */

void
ing_api_snapshot(struct ing_api *a, struct http_exchange *x)
{
    struct err err = {0};
    const struct http_param *path = http_request_param(http_exchange_request(x), "snapshot_path");
    if (!path || path->value.n == 0 || path->value.p[0] != '/') {
        http_reply_error(x, 400,
                         "`snapshot_path` is to be an absolute path that does not exist yet");
        return;
    }
    const char *to = arena_str(http_exchange_arena(x), path->value);
    enum rc rc = idx_copy(a->options.idx, to, &err);
    if (rc == RC_OK)
        ing_api_answer(x, 201, SPAN_LIT("{\"success\":true}"));
    else
        ing_api_refuse(x, rc, &err);
}

void
ing_api_succeed(struct ing_api *a, struct http_exchange *x)
{
    (void)a;
    ing_api_answer(x, 200, SPAN_LIT("{\"success\":true}"));
}

void
ing_api_accept_config(struct ing_api *a, struct http_exchange *x)
{
    (void)a;
    ing_api_answer(x, 201, SPAN_LIT("{\"success\":true}"));
}
