#include "base/span.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int
span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c != 0)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span
span_trim(struct span a)
{
    while (a.n > 0 && is_blank(a.p[0])) {
        a.p++;
        a.n--;
    }
    while (a.n > 0 && is_blank(a.p[a.n - 1]))
        a.n--;
    return a;
}

size_t
span_find(struct span a, size_t from, char c)
{
    if (from >= a.n)
        return a.n;
    const char *hit = memchr(a.p + from, c, a.n - from);
    return hit ? (size_t)(hit - a.p) : a.n;
}

struct span
span_split(struct span *rest, char separator)
{
    size_t n = span_find(*rest, 0, separator);
    struct span part = {rest->p, n};
    if (n == rest->n)
        *rest = (struct span){NULL, 0};
    else
        *rest = span_from(*rest, n + 1);
    return part;
}

bool
span_u64(struct span a, uint64_t *out)
{
    uint64_t v = 0;
    if (a.n == 0)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9')
            return false;
        unsigned digit = (unsigned)(a.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

bool
span_i64(struct span a, int64_t *out)
{
    bool is_negative = a.n > 0 && a.p[0] == '-';
    uint64_t v;
    if (!span_u64(is_negative ? span_from(a, 1) : a, &v))
        return false;
    uint64_t most = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    if (v > most)
        return false;
    if (is_negative)
        *out = v == most ? INT64_MIN : -(int64_t)v;
    else
        *out = (int64_t)v;
    return true;
}

bool
span_double(struct span a, double *out)
{
    /* Longer texts exist, but none that a person or a program would send. */
    char text[400];
    if (a.n == 0 || a.n >= sizeof text)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (!strchr("0123456789+-.eE", a.p[i]) || a.p[i] == '\0')
            return false;
    memcpy(text, a.p, a.n);
    text[a.n] = '\0';
    char *end;
    double v = strtod(text, &end);
    if (*end != '\0' || !isfinite(v))
        return false;
    *out = v;
    return true;
}
