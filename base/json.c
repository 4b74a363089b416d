/*
 * yajl reports events; this file makes a tree of them. The text is copied into
 * the arena once and strings without escapes stay where they are in it, so
 * that a value costs no allocation of its own. The children of open containers
 * wait on a stack and are copied out in one piece when their container ends.
 *
 * Strings are checked and unescaped here, not by yajl, which accepts overlong
 * UTF-8 and turns an unpaired surrogate into a question mark.
 */
#include "base/json.h"

#include <math.h>

#include <yajl/yajl_parse.h>

#include "base/hash.h"
#include "base/utf8.h"

enum { STACK_LOCAL = 64, DUPLICATES_BY_TABLE = 32 };

struct parser {
    yajl_handle handle;
    struct arena *arena;
    struct span text; /* the arena's copy */
    size_t at;        /* no quote that opens a string is between here and the next value */
    struct err *err;
    enum rc rc;

    struct json root;
    struct json_member *stack, *heap_stack; /* heap_stack: NULL while local is enough */
    size_t n_stack, cap_stack;
    size_t depth;
    size_t begins[JSON_DEPTH_MAX]; /* per open container: its first child on the stack */
    bool is_object[JSON_DEPTH_MAX];
    struct json_member local[STACK_LOCAL];
};

/* Fills the error and stops yajl. */
COLD static int
stop(struct parser *p, size_t offset, const char *reason)
{
    p->rc = err_set(p->err, RC_INVALID, "JSON is not valid at byte %zu: %s", offset, reason);
    return 0;
}

static struct json_member *
push(struct parser *p)
{
    if (p->n_stack == p->cap_stack) {
        size_t cap = p->heap_stack ? p->cap_stack : 0;
        struct json_member *heap =
            xgrow(p->heap_stack, &cap, p->cap_stack * 2, sizeof *p->heap_stack);
        if (!p->heap_stack)
            memcpy(heap, p->local, sizeof p->local);
        p->stack = p->heap_stack = heap;
        p->cap_stack = cap;
    }
    return &p->stack[p->n_stack++];
}

/* Where the next value belongs: the root, behind its name, or a new element. */
static struct json *
slot(struct parser *p)
{
    if (p->depth == 0)
        return &p->root;
    if (p->is_object[p->depth - 1])
        return &p->stack[p->n_stack - 1].value;
    return &push(p)->value;
}

static uint32_t
hex4(const char *s)
{
    uint32_t v = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = s[i];
        uint32_t digit = c <= '9' ? (uint32_t)(c - '0') : ((uint32_t)c & 0xdf) - 'A' + 10;
        v = v << 4 | digit;
    }
    return v;
}

/*
 * Writes the code point of the \uXXXX at s (n bytes left in the string; yajl
 * has checked the digits); returns the bytes read, 0 if a surrogate has no
 * partner.
 */
static size_t
unescape_unicode(const char *s, size_t n, char **out)
{
    if (n < 6)
        return 0;
    uint32_t c = hex4(s + 2);
    size_t taken = 6;
    if (c >= 0xd800 && c <= 0xdfff) {
        if (c >= 0xdc00 || n < 12 || s[6] != '\\' || s[7] != 'u')
            return 0;
        uint32_t low = hex4(s + 8);
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        taken = 12;
    }
    *out += utf8_write(c, *out);
    return taken;
}

/* The string with escapes that follows p->at; false if stopped. */
static bool
unescape(struct parser *p, struct span *out)
{
    size_t begin = span_find(p->text, p->at, '"') + 1;
    size_t end = yajl_get_bytes_consumed(p->handle) - 1;
    must(begin <= end && end < p->text.n);
    static const char from[] = "bfnrt\"\\/";
    static const char to[] = "\b\f\n\r\t\"\\/";
    char *decoded = arena_alloc(p->arena, end - begin);
    char *w = decoded;
    for (size_t i = begin; i < end;) {
        size_t run_end = span_find(span_of(p->text.p, end), i, '\\');
        memcpy(w, p->text.p + i, run_end - i);
        w += run_end - i;
        i = run_end;
        if (i + 1 >= end)
            break;
        const char *simple = strchr(from, p->text.p[i + 1]);
        if (simple && *simple) {
            *w++ = to[simple - from];
            i += 2;
            continue;
        }
        size_t n = unescape_unicode(p->text.p + i, end - i, &w);
        if (n == 0)
            return stop(p, i, "a \\u escape is half of a surrogate pair");
        i += n;
    }
    p->at = end + 1;
    *out = span_of(decoded, (size_t)(w - decoded));
    return true;
}

/* A string as yajl gives it, checked; false if stopped. */
static bool
take_string(struct parser *p, const unsigned char *s, size_t n, struct span *out)
{
    struct span string = {(const char *)s, n};
    size_t begin = (size_t)((uintptr_t)s - (uintptr_t)p->text.p);
    if (begin < p->text.n)
        p->at = begin + n + 1;
    else if (!unescape(p, &string))
        return false;
    size_t valid = utf8_valid_n(string);
    if (valid != string.n)
        return stop(p, p->at - 1, "the string before it is not valid UTF-8");
    *out = string;
    return true;
}

static int
on_null(void *ctx)
{
    slot(ctx)->type = JSON_NULL;
    return 1;
}

static int
on_boolean(void *ctx, int value)
{
    *slot(ctx) = (struct json){.type = JSON_BOOL, .boolean = value != 0};
    return 1;
}

static bool
is_integer(struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '.' || text.p[i] == 'e' || text.p[i] == 'E')
            return false;
    return true;
}

static int
on_number(void *ctx, const char *s, size_t n)
{
    struct parser *p = ctx;
    /* The text ends with a blank of ours, so a number never ends the input
     * and yajl never moves it to a buffer of its own. */
    must((uintptr_t)s - (uintptr_t)p->text.p < p->text.n);
    struct json *v = slot(p);
    int64_t i64;
    v->text = span_of(s, n);
    if (is_integer(v->text) && span_i64(v->text, &i64)) {
        v->type = JSON_INT;
        v->i64 = i64;
        return 1;
    }
    v->type = JSON_DOUBLE;
    v->number = strtod(s, NULL);
    if (!isfinite(v->number))
        return stop(p, (size_t)(s - p->text.p), "the number is too large");
    return 1;
}

static int
on_string(void *ctx, const unsigned char *s, size_t n)
{
    struct json *v = slot(ctx);
    v->type = JSON_STRING;
    return take_string(ctx, s, n, &v->string);
}

static int
on_key(void *ctx, const unsigned char *s, size_t n)
{
    struct json_member *m = push(ctx);
    m->value = (struct json){.type = JSON_NULL};
    return take_string(ctx, s, n, &m->name);
}

static int
on_begin(struct parser *p, bool is_object)
{
    if (p->depth == JSON_DEPTH_MAX) {
        p->rc = err_set(p->err, RC_LIMIT, "JSON is nested deeper than %d", JSON_DEPTH_MAX);
        return 0;
    }
    p->begins[p->depth] = p->n_stack;
    p->is_object[p->depth] = is_object;
    p->depth++;
    return 1;
}

static int
on_begin_object(void *ctx)
{
    return on_begin(ctx, true);
}

static int
on_begin_array(void *ctx)
{
    return on_begin(ctx, false);
}

/* The member among m[0, n) with this name, or n. */
static size_t
find_member(const struct json_member *m, size_t n, struct span name)
{
    size_t i = 0;
    while (i < n && !span_eq(m[i].name, name))
        i++;
    return i;
}

/*
 * Drops repeated names: the value moves to the first place. A filter of 64
 * bits on length and end bytes spares most names the comparison with all
 * others.
 */
static size_t
merge_few(struct json_member *m, size_t n)
{
    uint64_t seen = 0;
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct span name = m[i].name;
        size_t mix = name.n;
        if (name.n)
            mix += (unsigned char)name.p[0] * 7u + (unsigned char)name.p[name.n - 1] * 31u;
        uint64_t bit = (uint64_t)1 << (mix & 63);
        size_t old = seen & bit ? find_member(m, n_kept, name) : n_kept;
        seen |= bit;
        m[old] = m[i];
        n_kept += old == n_kept;
    }
    return n_kept;
}

/* The same for many members, by a hash table. */
static size_t
merge_many(struct json_member *m, size_t n)
{
    size_t cap = 64;
    while (cap < 2 * n)
        cap *= 2;
    uint32_t *table = xcalloc(cap, sizeof *table); /* 1 + index */
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = hash64(m[i].name) & (cap - 1);
        while (table[at] && !span_eq(m[table[at] - 1].name, m[i].name))
            at = (at + 1) & (cap - 1);
        if (!table[at])
            table[at] = (uint32_t)++n_kept;
        m[table[at] - 1] = m[i];
    }
    free(table);
    return n_kept;
}

static int
on_end_object(void *ctx)
{
    struct parser *p = ctx;
    size_t begin = p->begins[--p->depth];
    struct json_member *m = p->stack + begin;
    size_t n = p->n_stack - begin;
    n = n <= DUPLICATES_BY_TABLE ? merge_few(m, n) : merge_many(m, n);
    struct json_member *members = NULL;
    if (n) {
        members = arena_alloc(p->arena, n * sizeof *members);
        memcpy(members, m, n * sizeof *members);
    }
    p->n_stack = begin;
    *slot(p) = (struct json){.type = JSON_OBJECT, .n = (uint32_t)n, .members = members};
    return 1;
}

static int
on_end_array(void *ctx)
{
    struct parser *p = ctx;
    size_t begin = p->begins[--p->depth];
    size_t n = p->n_stack - begin;
    struct json *items = n ? arena_alloc(p->arena, n * sizeof *items) : NULL;
    for (size_t i = 0; i < n; i++)
        items[i] = p->stack[begin + i].value;
    p->n_stack = begin;
    *slot(p) = (struct json){.type = JSON_ARRAY, .n = (uint32_t)n, .items = items};
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_begin_object,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end_object,
    .yajl_start_array = on_begin_array,
    .yajl_end_array = on_end_array,
};

/* yajl does not look at what malloc returns. */
static void *
lib_malloc(void *ctx, size_t n)
{
    (void)ctx;
    return xmalloc(n);
}

static void *
lib_realloc(void *ctx, void *p, size_t n)
{
    (void)ctx;
    return xrealloc(p, n);
}

static void
lib_free(void *ctx, void *p)
{
    (void)ctx;
    free(p);
}

/* Turns yajl's message into an error of ours. */
COLD static void
explain(struct parser *p)
{
    size_t offset = yajl_get_bytes_consumed(p->handle);
    unsigned char *message = yajl_get_error(p->handle, 0, NULL, 0);
    struct span reason = span_trim(span_str((const char *)message));
    char text[128];
    snprintf(text, sizeof text, "%.*s", SPAN_ARG(reason));
    yajl_free_error(p->handle, message);
    (void)stop(p, offset, text);
}

enum rc
json_parse(struct span text, struct arena *arena, struct json *out, struct err *err)
{
    if (text.n >= UINT32_MAX)
        return err_set(err, RC_LIMIT, "JSON is longer than 4 GiB");
    struct parser p;
    p.arena = arena;
    p.at = 0;
    p.err = err;
    p.rc = RC_OK;
    p.root = (struct json){.type = JSON_NULL};
    p.stack = p.local;
    p.heap_stack = NULL;
    p.n_stack = p.depth = 0;
    p.cap_stack = STACK_LOCAL;

    char *copy = arena_alloc(arena, text.n + 2);
    if (text.n)
        memcpy(copy, text.p, text.n);
    copy[text.n] = '\n';
    copy[text.n + 1] = '\0';
    p.text = span_of(copy, text.n + 1);

    yajl_alloc_funcs memory = {lib_malloc, lib_realloc, lib_free, NULL};
    p.handle = yajl_alloc(&callbacks, &memory, &p);
    yajl_config(p.handle, yajl_dont_validate_strings, 1);
    yajl_status status = yajl_parse(p.handle, (const unsigned char *)copy, p.text.n);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(p.handle);
    if (status != yajl_status_ok && p.rc == RC_OK)
        explain(&p);
    yajl_free(p.handle);
    free(p.heap_stack);
    if (p.rc == RC_OK)
        *out = p.root;
    return p.rc;
}

const struct json *
json_get_span(const struct json *v, struct span name)
{
    if (!v || v->type != JSON_OBJECT)
        return NULL;
    size_t i = find_member(v->members, v->n, name);
    return i < v->n ? &v->members[i].value : NULL;
}

const struct json *
json_get(const struct json *v, const char *name)
{
    return json_get_span(v, span_str(name));
}

struct span
json_get_str(const struct json *v, const char *name, struct span fallback)
{
    const struct json *member = json_get(v, name);
    return member && member->type == JSON_STRING ? member->string : fallback;
}

bool
json_number(const struct json *v, double *out)
{
    if (!v || (v->type != JSON_INT && v->type != JSON_DOUBLE))
        return false;
    *out = v->type == JSON_INT ? (double)v->i64 : v->number;
    return true;
}
