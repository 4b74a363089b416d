#include "base/json.h"

#include <float.h>
#include <math.h>

#include "base/utf8.h"

/* Whole numbers of at most this many digits are written without exponent. */
enum { DIGITS_WHOLE = 15 };

static bool
is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void
put_escape(struct buf *out, unsigned char c)
{
    static const char from[] = "\b\f\n\r\t\"\\";
    static const char to[] = "bfnrt\"\\";
    const char *hit = c ? strchr(from, c) : NULL;
    if (!hit) {
        buf_printf(out, "\\u%04x", c);
        return;
    }
    buf_putc(out, '\\');
    buf_putc(out, to[hit - from]);
}

/* Bytes of the code point that s begins with, which is not ASCII; 0 if it is not valid. */
static size_t
sequence_n(struct span s)
{
    unsigned char lead = (unsigned char)s.p[0];
    size_t n = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (n > s.n || utf8_valid_n(span_of(s.p, n)) != n)
        return 0;
    return n;
}

void
json_put_str(struct buf *out, struct span utf8)
{
    buf_reserve(out, utf8.n + 2);
    buf_putc(out, '"');
    for (size_t i = 0; i < utf8.n;) {
        size_t run = i;
        while (run < utf8.n && is_plain((unsigned char)utf8.p[run]))
            run++;
        buf_put(out, utf8.p + i, run - i);
        i = run;
        if (i == utf8.n)
            break;
        if ((unsigned char)utf8.p[i] < 0x80) {
            put_escape(out, (unsigned char)utf8.p[i++]);
            continue;
        }
        size_t n = sequence_n(span_from(utf8, i));
        if (n)
            buf_put(out, utf8.p + i, n);
        else
            buf_puts(out, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    buf_putc(out, '"');
}

void
json_put_u64(struct buf *out, uint64_t v)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_put(out, text + at, sizeof text - at);
}

void
json_put_i64(struct buf *out, int64_t v)
{
    if (v < 0)
        buf_putc(out, '-');
    json_put_u64(out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/*
 * The shortest digits that read back as v (as a float if is_float), as printed
 * by %e: "d.ddde[+-]dd". Any 15 digits survive in a double and 6 in a float,
 * so that fewer need no try, but for subnormal numbers.
 */
static void
shortest(double v, bool is_float, char text[40])
{
    bool is_subnormal = v < (is_float ? (double)FLT_MIN : DBL_MIN);
    int least = is_subnormal ? 1 : is_float ? 6 : 15;
    int most = is_float ? 9 : 17;
    for (int digits = least; digits <= most; digits++) {
        snprintf(text, 40, "%.*e", digits - 1, v);
        bool is_same = is_float ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
        if (is_same)
            return;
    }
}

/* Digits and the place of the point as decimal text; no whole number. */
static void
put_decimal(struct buf *out, struct span digits, int exponent)
{
    int before_point = exponent + 1;
    if (before_point <= 0) {
        buf_puts(out, "0.");
        for (int i = before_point; i < 0; i++)
            buf_putc(out, '0');
        buf_put_span(out, digits);
    } else {
        must((size_t)before_point < digits.n);
        buf_put(out, digits.p, (size_t)before_point);
        buf_putc(out, '.');
        buf_put_span(out, span_from(digits, (size_t)before_point));
    }
}

static void
put_real(struct buf *out, double v, bool is_float)
{
    char text[40];
    char digits[20];
    size_t n = 0;
    if (!isfinite(v)) {
        buf_puts(out, "null");
        return;
    }
    if (signbit(v))
        buf_putc(out, '-');
    v = fabs(v);
    if (v < 1e15 && v == (double)(uint64_t)v) {
        json_put_u64(out, (uint64_t)v);
        buf_puts(out, ".0");
        return;
    }
    shortest(v, is_float, text);
    const char *e = strchr(text, 'e');
    for (const char *p = text; p < e; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    int exponent = (int)strtol(e + 1, NULL, 10);
    if (exponent >= -4 && exponent < DIGITS_WHOLE) {
        put_decimal(out, span_of(digits, n), exponent);
        return;
    }
    buf_putc(out, digits[0]);
    if (n > 1) {
        buf_putc(out, '.');
        buf_put(out, digits + 1, n - 1);
    }
    buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

void
json_put_double(struct buf *out, double v)
{
    put_real(out, v, false);
}

void
json_put_float(struct buf *out, float v)
{
    put_real(out, (double)v, true);
}

void
json_put_comma(struct buf *out)
{
    if (out->n == 0)
        return;
    char last = out->p[out->n - 1];
    if (last != '{' && last != '[')
        buf_putc(out, ',');
}

void
json_put_name(struct buf *out, const char *name)
{
    json_put_comma(out);
    json_put_str(out, span_str(name));
    buf_putc(out, ':');
}

static void
put_number(struct buf *out, const struct json *v)
{
    uint64_t whole;
    /* An integer between int64 and uint64 keeps its digits. */
    if (v->type == JSON_INT)
        json_put_i64(out, v->i64);
    else if (span_u64(v->text, &whole))
        json_put_u64(out, whole);
    else
        json_put_double(out, v->number);
}

/* An array or object being written. */
struct frame {
    const struct json *v;
    uint32_t at;
    uint32_t *order; /* of members, if sorted; else NULL */
};

static int
compare_members(const void *a, const void *b, void *members)
{
    const struct json_member *m = members;
    const uint32_t *x = a;
    const uint32_t *y = b;
    return span_cmp(m[*x].name, m[*y].name);
}

static struct frame
frame_of(const struct json *v, bool is_sorted)
{
    struct frame f = {.v = v};
    if (v->type != JSON_OBJECT || !is_sorted || v->n == 0)
        return f;
    f.order = xcalloc(v->n, sizeof *f.order);
    for (uint32_t i = 0; i < v->n; i++)
        f.order[i] = i;
    qsort_r(f.order, v->n, sizeof *f.order, compare_members, v->members);
    return f;
}

/* The next child, its comma and name written; NULL after the last. */
static const struct json *
next_child(struct frame *f, struct buf *out)
{
    if (f->at == f->v->n)
        return NULL;
    uint32_t i = f->order ? f->order[f->at] : f->at;
    if (f->at++ > 0)
        buf_putc(out, ',');
    if (f->v->type == JSON_ARRAY)
        return &f->v->items[i];
    json_put_str(out, f->v->members[i].name);
    buf_putc(out, ':');
    return &f->v->members[i].value;
}

/* Anything but a container; a container's opening bracket. */
static void
put_begin(struct buf *out, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL:
        buf_puts(out, "null");
        break;
    case JSON_BOOL:
        buf_puts(out, v->boolean ? "true" : "false");
        break;
    case JSON_INT:
    case JSON_DOUBLE:
        put_number(out, v);
        break;
    case JSON_STRING:
        json_put_str(out, v->string);
        break;
    case JSON_ARRAY:
        buf_putc(out, '[');
        break;
    case JSON_OBJECT:
        buf_putc(out, '{');
        break;
    }
}

void
json_put(struct buf *out, const struct json *v, bool is_sorted)
{
    struct frame frames[JSON_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        put_begin(out, v);
        if (v->type == JSON_ARRAY || v->type == JSON_OBJECT) {
            must(depth < JSON_DEPTH_MAX);
            frames[depth++] = frame_of(v, is_sorted);
        }
        v = NULL;
        while (depth > 0 && !(v = next_child(&frames[depth - 1], out))) {
            struct frame *f = &frames[--depth];
            buf_putc(out, f->v->type == JSON_ARRAY ? ']' : '}');
            free(f->order);
        }
        if (!v)
            return;
    }
}
