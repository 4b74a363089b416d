#include "http/exchange.h"

#include <strings.h>

#include "http/hex.h"

struct span
http_decode(struct span s, bool is_form, struct arena *arena)
{
    size_t at = 0;
    while (at < s.n && s.p[at] != '%' && !(is_form && s.p[at] == '+'))
        at++;
    if (at == s.n)
        return s;
    char *to = arena_alloc(arena, s.n);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && i + 2 < s.n && http_hex_digit(s.p[i + 1]) >= 0 &&
            http_hex_digit(s.p[i + 2]) >= 0) {
            c = (char)(http_hex_digit(s.p[i + 1]) * 16 + http_hex_digit(s.p[i + 2]));
            i += 2;
        } else if (c == '+' && is_form) {
            c = ' ';
        }
        to[n++] = c;
    }
    return span_of(to, n);
}

const struct http_param *
http_params(struct span query, struct arena *arena, size_t *n)
{
    *n = 0;
    if (query.n == 0)
        return NULL;
    size_t cap = 1;
    for (size_t i = 0; i < query.n; i++)
        cap += query.p[i] == '&';
    struct http_param *params = arena_calloc(arena, cap, sizeof *params);
    struct span rest = query;
    while (rest.p) {
        struct span part = span_split(&rest, '&');
        if (part.n == 0)
            continue;
        size_t name_n = span_find(part, 0, '=');
        struct http_param *p = &params[(*n)++];
        p->name = http_decode(span_of(part.p, name_n), true, arena);
        p->value = span_of(part.p + name_n, 0);
        if (name_n < part.n)
            p->value = http_decode(span_from(part, name_n + 1), true, arena);
    }
    return params;
}

void
http_encode(struct buf *out, struct span s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (is_plain) {
            buf_putc(out, (char)c);
            continue;
        }
        buf_putc(out, '%');
        buf_putc(out, digits[c >> 4]);
        buf_putc(out, digits[c & 15]);
    }
}

const struct http_param *
http_request_param(const struct http_request *r, const char *name)
{
    for (size_t i = r->n_params; i > 0; i--) {
        if (span_eq_str(r->params[i - 1].name, name))
            return &r->params[i - 1];
    }
    return NULL;
}

/* Empty segments do not count: "//a/" is {"a"}. */
static void
split_path(struct http_request *r, struct arena *arena)
{
    size_t cap = 0;
    for (size_t i = 0; i < r->path.n; i++)
        cap += r->path.p[i] == '/';
    struct span *parts = arena_calloc(arena, cap + 1, sizeof *parts);
    struct span rest = r->path;
    while (rest.p) {
        struct span part = span_split(&rest, '/');
        if (part.n > 0)
            parts[r->n_parts++] = http_decode(part, false, arena);
    }
    r->parts = parts;
}

/* An absolute target (RFC 9112, section 3.2.2) without its scheme and authority. */
static struct span
without_authority(struct span target)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (target.n < n || strncasecmp(target.p, schemes[i], n) != 0)
            continue;
        while (n < target.n && target.p[n] != '/' && target.p[n] != '?')
            n++;
        return span_from(target, n);
    }
    return target;
}

static bool
split_target(struct span target, struct http_request *r)
{
    bool is_absolute = target.p[0] != '/';
    if (is_absolute && !(r->method == HTTP_OPTIONS && span_eq_str(target, "*"))) {
        struct span rest = without_authority(target);
        if (rest.n == target.n)
            return false;
        target = rest;
    }
    size_t path_n = span_find(target, 0, '?');
    r->path = path_n > 0 ? span_of(target.p, path_n) : SPAN_LIT("/");
    if (path_n < target.n)
        r->query = span_from(target, path_n + 1);
    return true;
}

/* RFC 9110, section 12.5.3, as far as gzip is concerned. */
static bool
takes_gzip(struct span accepted)
{
    while (accepted.p) {
        struct span part = span_split(&accepted, ',');
        size_t name_n = span_find(part, 0, ';');
        struct span name = span_trim(span_of(part.p, name_n));
        if (name.n != 4 || strncasecmp(name.p, "gzip", 4) != 0)
            continue;
        struct span weight = span_trim(span_from(part, name_n < part.n ? name_n + 1 : part.n));
        double q = 1;
        if (weight.n > 2 && (weight.p[0] == 'q' || weight.p[0] == 'Q') && weight.p[1] == '=')
            return span_double(span_from(weight, 2), &q) && q > 0;
        return true;
    }
    return false;
}

bool
http_exchange_parse(struct http_exchange *x, struct span block)
{
    struct arena *arena = &x->holder.arena;
    struct http_head head = {.cap = x->frame.n_fields};
    head.fields = arena_alloc(arena, head.cap * sizeof *head.fields);
    if (!http_head_parse(arena_dup(arena, block), &head) || head.target.n == 0)
        return false;
    x->fields = head.fields;
    x->n_fields = head.n_fields;
    x->is_keep_alive = head.is_keep_alive;
    struct http_request *r = &x->request;
    r->method = x->frame.method == HTTP_HEAD ? HTTP_GET : x->frame.method;
    if (!split_target(head.target, r))
        return false;
    split_path(r, arena);
    r->params = http_params(r->query, arena, &r->n_params);
    x->may_gzip = takes_gzip(http_exchange_header(x, "Accept-Encoding"));
    return true;
}
