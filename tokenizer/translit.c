#include "tokenizer/translit.h"

#include <utf8proc.h>

struct range {
    uint32_t first, last;
};

struct exception {
    uint32_t code_point;
    char text[TKZ_REPLACEMENT_MAX];
};

#include "tokenizer/translit.inc"

/* Number of ranges that end before code_point: the one that may hold it. */
static size_t
range_at(const struct range *ranges, size_t n, uint32_t code_point)
{
    size_t begin = 0;
    while (begin < n) {
        size_t middle = begin + (n - begin) / 2;
        if (ranges[middle].last < code_point)
            begin = middle + 1;
        else
            n = middle;
    }
    return begin;
}

static bool
is_in(const struct range *ranges, size_t n, uint32_t code_point)
{
    size_t i = range_at(ranges, n, code_point);
    return i < n && ranges[i].first <= code_point;
}

static const char *
find_exception(uint32_t code_point)
{
    size_t begin = 0;
    size_t end = ARRAY_SIZE(exceptions);
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if (exceptions[middle].code_point == code_point)
            return exceptions[middle].text;
        if (exceptions[middle].code_point < code_point)
            begin = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

/* The letters and digits of the compatibility decomposition, lower-case. */
static void
decompose(uint32_t code_point, char out[TKZ_REPLACEMENT_MAX])
{
    utf8proc_int32_t parts[32];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)code_point, parts, (utf8proc_ssize_t)ARRAY_SIZE(parts),
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_STRIPMARK, &boundary);
    size_t at = 0;
    for (utf8proc_ssize_t i = 0; i < n && i < (utf8proc_ssize_t)ARRAY_SIZE(parts); i++) {
        utf8proc_int32_t c = parts[i];
        if (c >= 'A' && c <= 'Z')
            c += 'a' - 'A';
        bool is_kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (is_kept && at + 1 < TKZ_REPLACEMENT_MAX)
            out[at++] = (char)c;
    }
    out[at] = '\0';
}

bool
tkz_translit(uint32_t code_point, char out[TKZ_REPLACEMENT_MAX])
{
    if (!is_in(covered, ARRAY_SIZE(covered), code_point))
        return false;
    const char *exception = find_exception(code_point);
    if (exception)
        memcpy(out, exception, TKZ_REPLACEMENT_MAX);
    else if (is_in(dropped, ARRAY_SIZE(dropped), code_point))
        out[0] = '\0';
    else
        decompose(code_point, out);
    return true;
}
