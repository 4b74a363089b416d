/*
 * Stored keys are parsed once per change. Their collections may be regular
 * expressions: POSIX extended ones without back references and of bounded
 * length, so that matching a name cannot take long.
 */
#include "query/keys.h"

#include <regex.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

enum { PATTERN_MAX = 256, DIGEST_TEXT_N = 44, PREFIX_N = 4, KEY_MAX = 8192 };

struct pattern {
    struct span name; /* as it was written */
    regex_t regex;
    bool has_regex, is_all;
};

struct key {
    struct span value;
    struct span *actions;
    struct pattern *patterns;
    uint32_t n_actions, n_patterns;
    uint64_t expires_at_s; /* 0: never */
};

struct qry_keyring {
    const struct qry_options *options;
    struct arena arena;
    struct key *keys;
    size_t n;
    uint64_t fingerprint; /* of the entries that were read */
};

struct qry_keyring *
qry_keyring_new(const struct qry_options *options)
{
    struct qry_keyring *r = xcalloc(1, sizeof *r);

    r->options = options;
    return r;
}

static void
clear(struct qry_keyring *r)
{
    for (size_t i = 0; i < r->n; i++)
        for (uint32_t k = 0; k < r->keys[i].n_patterns; k++)
            if (r->keys[i].patterns[k].has_regex)
                regfree(&r->keys[i].patterns[k].regex);
    r->n = 0;
    r->keys = NULL;
    arena_reset(&r->arena);
}

void
qry_keyring_free(struct qry_keyring *r)
{
    if (!r)
        return;
    clear(r);
    arena_fini(&r->arena);
    free(r);
}

/* ---- reading ---- */

/* Only what is surely cheap to match: short, without back references or large repetitions. */
static bool
is_tame(struct span pattern)
{
    if (pattern.n > PATTERN_MAX || memchr(pattern.p, '\0', pattern.n))
        return false;
    for (size_t i = 0; i < pattern.n; i++) {
        if (pattern.p[i] == '{')
            return false;
        if (pattern.p[i] == '\\' && i + 1 < pattern.n && pattern.p[i + 1] >= '0' &&
            pattern.p[i + 1] <= '9')
            return false;
    }
    return true;
}

static void
read_pattern(struct qry_keyring *r, struct span text, struct pattern *out)
{
    out->name = arena_dup(&r->arena, text);
    out->is_all = span_eq_str(text, "*") || span_eq_str(text, ".*");
    if (out->is_all || !is_tame(text))
        return;
    struct span full = arena_printf(&r->arena, "^(%.*s)$", SPAN_ARG(text));
    out->has_regex = regcomp(&out->regex, full.p, REG_EXTENDED | REG_NOSUB) == 0;
}

static void
read_key(struct qry_keyring *r, struct span json, struct key *out)
{
    struct json doc;
    double expires = 0;

    *out = (struct key){0};
    if (json_parse(json, &r->arena, &doc, NULL) != RC_OK)
        return;
    const struct json *actions = json_get(&doc, "actions");
    const struct json *collections = json_get(&doc, "collections");
    out->value = json_get_str(&doc, "value", (struct span){0});
    if (json_number(json_get(&doc, "expires_at"), &expires) && expires > 0)
        out->expires_at_s = (uint64_t)expires;
    uint32_t n = actions && actions->type == JSON_ARRAY ? actions->n : 0;
    out->actions = arena_calloc(&r->arena, n + 1, sizeof *out->actions);
    for (uint32_t i = 0; i < n; i++)
        if (actions->items[i].type == JSON_STRING)
            out->actions[out->n_actions++] = actions->items[i].string;
    n = collections && collections->type == JSON_ARRAY ? collections->n : 0;
    out->patterns = arena_calloc(&r->arena, n + 1, sizeof *out->patterns);
    for (uint32_t i = 0; i < n; i++)
        if (collections->items[i].type == JSON_STRING)
            read_pattern(r, collections->items[i].string, &out->patterns[out->n_patterns++]);
}

void
qry_keyring_refresh(struct qry_keyring *r, const struct idx_snapshot *snapshot)
{
    size_t n;
    const struct idx_entry *entries = idx_snapshot_entries(snapshot, SPAN_LIT("key"), &n);
    uint64_t fingerprint = 0;

    for (size_t i = 0; i < n; i++)
        fingerprint = hash64_more(fingerprint, entries[i].value);
    if (n == r->n && fingerprint == r->fingerprint)
        return;
    clear(r);
    r->keys = arena_calloc(&r->arena, n + 1, sizeof *r->keys);
    for (size_t i = 0; i < n; i++)
        read_key(r, entries[i].value, &r->keys[i]);
    r->n = n;
    r->fingerprint = fingerprint;
}

/* ---- asking ---- */

struct span
qry_key_of(const struct http_exchange *x)
{
    struct span key = http_exchange_header(x, "x-typesense-api-key");
    const struct http_param *param;

    if (key.n > 0)
        return key;
    param = http_request_param(http_exchange_request(x), "x-typesense-api-key");
    return param ? param->value : (struct span){0};
}

bool
qry_keyring_is_admin(const struct qry_keyring *r, struct span key)
{
    if (!r->options->admin_key)
        return true;
    return key.n > 0 && secret_eq(key, span_str(r->options->admin_key));
}

static bool
is_search_key(const struct qry_keyring *r, struct span key)
{
    const char *own = r->options->search_key;

    return own && *own && key.n > 0 && secret_eq(key, span_str(own));
}

static bool
has_expired(uint64_t expires_at_s)
{
    return expires_at_s > 0 && expires_at_s <= clock_wall_us() / 1000000;
}

/* "*", "documents:*" and the action itself. */
static bool
may(const struct key *key, const char *action)
{
    for (uint32_t i = 0; i < key->n_actions; i++) {
        struct span a = key->actions[i];
        if (span_eq_str(a, "*") || span_eq_str(a, action))
            return true;
        if (a.n > 2 && a.p[a.n - 1] == '*' && a.p[a.n - 2] == ':' &&
            span_starts(span_str(action), span_of(a.p, a.n - 1)))
            return true;
    }
    return false;
}

static bool
covers(const struct key *key, struct span collection)
{
    char name[SCH_NAME_MAX + 1];
    bool is_all = collection.n == 0 || span_eq_str(collection, "*");

    if (collection.n > SCH_NAME_MAX)
        return false;
    memcpy(name, collection.n ? collection.p : "", collection.n);
    name[collection.n] = '\0';
    for (uint32_t i = 0; i < key->n_patterns; i++) {
        const struct pattern *p = &key->patterns[i];
        if (p->is_all)
            return true;
        if (is_all)
            continue;
        if (span_eq(p->name, collection) ||
            (p->has_regex && regexec(&p->regex, name, 0, NULL, 0) == 0))
            return true;
    }
    return false;
}

bool
qry_keyring_allows(const struct qry_keyring *r, struct span key, const char *action,
                   struct span collection)
{
    bool is_allowed = false;

    if (qry_keyring_is_admin(r, key))
        return true;
    if (key.n == 0)
        return false;
    if (is_search_key(r, key) && strcmp(action, "documents:search") == 0)
        return true;
    for (size_t i = 0; i < r->n; i++) {
        const struct key *k = &r->keys[i];
        if (k->value.n > 0 && secret_eq(key, k->value) && !has_expired(k->expires_at_s) &&
            may(k, action) && covers(k, collection))
            is_allowed = true;
    }
    return is_allowed;
}

/* ---- scoped keys: base64(digest prefix params) ---- */

static bool
is_signed_by(struct span parent, struct span digest, struct span params)
{
    unsigned char mac[32];
    struct buf text = {0};

    hmac_sha256(parent, params, mac);
    base64_encode(&text, span_of((const char *)mac, sizeof mac));
    bool is_equal = secret_eq(buf_span(&text), digest);
    buf_fini(&text);
    return is_equal;
}

static bool
is_parent(const struct key *k, struct span prefix)
{
    return k->value.n >= PREFIX_N && memcmp(k->value.p, prefix.p, PREFIX_N) == 0 &&
           k->n_actions == 1 && span_eq_str(k->actions[0], "documents:search") &&
           !has_expired(k->expires_at_s);
}

static bool
take_params(struct span json, struct arena *arena, struct qry_params *embedded)
{
    struct json doc;
    uint64_t expires;

    if (json_parse(json, arena, &doc, NULL) != RC_OK || doc.type != JSON_OBJECT)
        return false;
    if (qry_params_json(embedded, &doc, true, arena, NULL) != RC_OK)
        return false;
    struct span text = embedded->value[QRY_P_EXPIRES_AT];
    return !text.p || (span_u64(text, &expires) && !has_expired(expires));
}

static bool
allows_scoped(const struct qry_keyring *r, struct span text, struct span collection,
              struct arena *arena, struct qry_params *embedded)
{
    struct span digest = span_of(text.p, DIGEST_TEXT_N);
    struct span prefix = span_of(text.p + DIGEST_TEXT_N, PREFIX_N);
    struct span json = span_from(text, DIGEST_TEXT_N + PREFIX_N);
    struct span own = span_str(r->options->search_key);

    if (own.n >= PREFIX_N && memcmp(own.p, prefix.p, PREFIX_N) == 0 &&
        is_signed_by(own, digest, json))
        return take_params(json, arena, embedded);
    for (size_t i = 0; i < r->n; i++)
        if (is_parent(&r->keys[i], prefix) && covers(&r->keys[i], collection) &&
            is_signed_by(r->keys[i].value, digest, json))
            return take_params(json, arena, embedded);
    return false;
}

bool
qry_keyring_allows_search(const struct qry_keyring *r, struct span key, struct span collection,
                          struct arena *arena, struct qry_params *embedded)
{
    struct buf text = {0};

    if (qry_keyring_allows(r, key, "documents:search", collection))
        return true;
    bool is_allowed = key.n > 0 && key.n <= KEY_MAX && base64_decode(&text, key) &&
                      text.n > DIGEST_TEXT_N + PREFIX_N;
    if (is_allowed) {
        struct span kept = arena_dup(arena, buf_span(&text));
        is_allowed = allows_scoped(r, kept, collection, arena, embedded);
    }
    buf_fini(&text);
    return is_allowed;
}
