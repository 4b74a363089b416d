/*
 * BSON values as this program sees them: any number is a number, any string a
 * string, and broken UTF-8 is mended.
 */
#include "indexer/mapping_parts.h"

#include <math.h>

#include "base/ulid.h"
#include "base/utf8.h"

struct span
ing_text_repair(struct span text, struct arena *arena)
{
    struct buf out = {0};
    while (text.n > 0) {
        size_t n = utf8_valid_n(text);
        buf_put(&out, text.p, n);
        if (n < text.n)
            buf_puts(&out, "\xef\xbf\xbd");
        text = span_from(text, n < text.n ? n + 1 : n);
    }
    text = arena_dup(arena, buf_span(&out));
    buf_fini(&out);
    return text;
}

struct span
ing_bson_raw(const bson_iter_t *it)
{
    uint32_t n = 0;
    const char *p = NULL;
    if (bson_iter_type(it) == BSON_TYPE_UTF8)
        p = bson_iter_utf8(it, &n);
    else if (bson_iter_type(it) == BSON_TYPE_SYMBOL)
        p = bson_iter_symbol(it, &n);
    return span_of(p, n);
}

struct span
ing_bson_text(const bson_iter_t *it, struct arena *arena)
{
    struct span text = ing_bson_raw(it);
    return utf8_valid_n(text) == text.n ? text : ing_text_repair(text, arena);
}

struct span
ing_bson_ulid(const bson_iter_t *it, struct arena *arena)
{
    const unsigned char *bytes = ing_bson_uuid(it);
    if (!bytes)
        return (struct span){0};
    char *text = arena_alloc(arena, ULID_TEXT_N);
    ulid_write(bytes, text);
    return span_of(text, ULID_TEXT_N);
}

bool
ing_bson_real(const bson_iter_t *it, double *out)
{
    bson_decimal128_t decimal;
    char text[BSON_DECIMAL128_STRING];
    switch ((int)bson_iter_type(it)) {
    case BSON_TYPE_DOUBLE:
        *out = bson_iter_double(it);
        return true;
    case BSON_TYPE_INT32:
        *out = bson_iter_int32(it);
        return true;
    case BSON_TYPE_INT64:
        *out = (double)bson_iter_int64(it);
        return true;
    case BSON_TYPE_DECIMAL128:
        if (!bson_iter_decimal128(it, &decimal))
            return false;
        bson_decimal128_to_string(&decimal, text);
        if (!span_double(span_str(text), out))
            *out = (double)NAN;
        return true;
    default:
        return false;
    }
}

bool
ing_bson_int(const bson_iter_t *it, int64_t *out, bool *is_exact)
{
    double real = 0;
    *is_exact = true;
    if (bson_iter_type(it) == BSON_TYPE_INT32 || bson_iter_type(it) == BSON_TYPE_INT64) {
        *out = bson_iter_as_int64(it);
        return true;
    }
    if (!ing_bson_real(it, &real))
        return false;
    /* 2^63 is the first double beyond; NaN fails both comparisons. */
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) {
        *is_exact = false;
        *out = 0;
        return true;
    }
    *out = (int64_t)real;
    *is_exact = (double)*out == real;
    return true;
}

bool
ing_condition_holds(const struct ing_condition *c, const bson_iter_t *it)
{
    int64_t number;
    bool is_exact;
    if (c->is_number)
        return ing_bson_int(it, &number, &is_exact) && is_exact && number == c->number;
    struct span text = ing_bson_raw(it);
    return text.p && span_eq(text, c->text);
}

struct span
ing_bson_dashed(const bson_iter_t *it, struct arena *arena)
{
    const unsigned char *b = ing_bson_uuid(it);
    if (!b)
        return (struct span){0};
    return arena_printf(
        arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
        b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
