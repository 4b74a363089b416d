/*
 * The search document as text: keys in byte order, no blanks, no nulls. What
 * it takes is bounded first, so that it is written in one piece into the arena
 * without a check per byte.
 */
#include "base/bytes.h"
#include "base/ulid.h"

#include "indexer/mapping_parts.h"

enum {
    ESCAPE_BYTES_MAX = 5,  /* "\u0000" has six bytes instead of one */
    NUMBER_BYTES_MAX = 20, /* of an int64 */
    REAL_BYTES_MAX = 40
};

struct out {
    char *at;
};

static bool
is_escaped(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* High bits of the bytes of x that are zero; lower bytes first, which is all that counts. */
static uint64_t
zero_bytes(uint64_t x)
{
    return (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
}

/* Bytes from begin on before one that must be escaped, eight at a time. */
static size_t
plain_n(struct span s, size_t begin)
{
    size_t i = begin;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t x = load_u64(s.p + i);
        uint64_t control = (x - 0x2020202020202020u) & ~x & 0x8080808080808080u;
        if (control | zero_bytes(x ^ 0x2222222222222222u) | zero_bytes(x ^ 0x5c5c5c5c5c5c5c5cu))
            break;
    }
    while (i < s.n && !is_escaped((unsigned char)s.p[i]))
        i++;
    return i - begin;
}

static size_t
text_bound(struct span s)
{
    size_t n_escapes = 0;
    for (size_t i = plain_n(s, 0); i < s.n; i++)
        n_escapes += is_escaped((unsigned char)s.p[i]);
    return s.n + n_escapes * ESCAPE_BYTES_MAX + 2;
}

static bool
is_shown(const struct ing_rule *rule, const struct ing_values *v)
{
    return (rule->field->flags & SCH_STORED) && (v->n > 0 || rule->field->flags & SCH_ARRAY);
}

static size_t
field_bound(const struct ing_rule *rule, const struct ing_values *v)
{
    size_t n = rule->json_name.n + 3; /* brackets and a comma */
    if (rule->field->type == SCH_FLOAT)
        return n + v->n * (size_t)(REAL_BYTES_MAX + 1);
    if (rule->field->type != SCH_STRING)
        return n + v->n * (size_t)(NUMBER_BYTES_MAX + 1);
    if (v->is_ulids)
        return n + v->n * (size_t)(ULID_TEXT_N + 3);
    for (uint32_t i = 0; i < v->n; i++)
        n += text_bound(v->text[i]) + 1;
    return n;
}

static void
put(struct out *out, const char *p, size_t n)
{
    memcpy(out->at, p, n);
    out->at += n;
}

static void
put_escape(struct out *out, unsigned char c)
{
    static const char from[] = "\b\f\n\r\t\"\\", to[] = "bfnrt\"\\", hex[] = "0123456789abcdef";
    const char *hit = c ? strchr(from, c) : NULL;
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    if (hit)
        text[1] = to[hit - from];
    put(out, text, hit ? 2 : 6);
}

static void
put_text(struct out *out, struct span s)
{
    *out->at++ = '"';
    for (size_t i = 0; i < s.n;) {
        size_t n = plain_n(s, i);
        put(out, s.p + i, n);
        i += n;
        if (i < s.n)
            put_escape(out, (unsigned char)s.p[i++]);
    }
    *out->at++ = '"';
}

static void
put_ulid(struct out *out, const unsigned char *id)
{
    *out->at++ = '"';
    ulid_write(id, out->at);
    out->at += ULID_TEXT_N;
    *out->at++ = '"';
}

static void
put_number(struct out *out, int64_t v)
{
    char digits[NUMBER_BYTES_MAX];
    size_t n = sizeof digits;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        digits[--n] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (v < 0)
        *out->at++ = '-';
    put(out, digits + n, sizeof digits - n);
}

/* Whole numbers, which most ratios are, without the search for the shortest text. */
static void
put_real(struct out *out, double v)
{
    if (v > -1e9 && v < 1e9 && (double)(int64_t)v == v && !(v == 0 && 1 / v < 0)) {
        put_number(out, (int64_t)v);
        put(out, ".0", 2);
        return;
    }
    struct buf text = {0};
    json_put_double(&text, v);
    must(text.n <= REAL_BYTES_MAX);
    put(out, text.p, text.n);
    buf_fini(&text);
}

static void
put_element(struct out *out, enum sch_type type, const struct ing_values *v, uint32_t i)
{
    if (v->is_ulids)
        put_ulid(out, v->ulids + (size_t)i * ULID_BYTES_N);
    else if (type == SCH_STRING)
        put_text(out, v->text[i]);
    else if (type == SCH_FLOAT)
        put_real(out, v->real[i]);
    else if (type == SCH_BOOL && v->number[i])
        put(out, "true", 4);
    else if (type == SCH_BOOL)
        put(out, "false", 5);
    else
        put_number(out, v->number[i]);
}

static void
put_field(struct out *out, const struct ing_rule *rule, const struct ing_values *v)
{
    bool is_array = rule->field->flags & SCH_ARRAY;
    put(out, rule->json_name.p, rule->json_name.n);
    if (is_array)
        *out->at++ = '[';
    for (uint32_t i = 0; i < v->n; i++) {
        if (i > 0)
            *out->at++ = ',';
        put_element(out, rule->field->type, v, i);
    }
    if (is_array)
        *out->at++ = ']';
}

/* Whether the index can tell readers what is in the field. */
static bool
is_elided(const struct ing_run *run, const struct ing_values *v)
{
    return run->may_elide && v->is_ulids && v->n > 0;
}

static size_t
document_bound(const struct ing_run *run)
{
    const struct ing_mapping *m = run->m;
    size_t n = sizeof "{\"id\":,}" + text_bound(run->id);
    for (uint32_t i = 0; i < m->schema->n_fields; i++) {
        const struct ing_rule *rule = &m->rules[i];
        const struct ing_values *v = &run->values[i];
        if (is_elided(run, v))
            n += rule->json_name.n + 1;
        else if (is_shown(rule, v))
            n += field_bound(rule, v);
    }
    return n;
}

static void
put_gap(struct ing_run *run, uint32_t field, size_t at)
{
    if (!run->gaps)
        run->gaps = arena_alloc(run->arena, run->m->schema->n_fields * sizeof *run->gaps);
    run->gaps[run->n_gaps++] = (struct idx_gap){(uint32_t)at, field};
}

struct span
ing_json_write(struct ing_run *run)
{
    const struct ing_mapping *m = run->m;
    size_t n_max = document_bound(run);
    char *begin = arena_alloc(run->arena, n_max);
    struct out out = {.at = begin};
    *out.at++ = '{';
    for (uint32_t i = 0; i <= m->schema->n_fields; i++) {
        int32_t field = m->order[i];
        if (field >= 0 && !is_shown(&m->rules[field], &run->values[field]))
            continue;
        if (out.at - begin > 1)
            *out.at++ = ',';
        if (field >= 0 && is_elided(run, &run->values[field])) {
            put(&out, m->rules[field].json_name.p, m->rules[field].json_name.n);
            put_gap(run, (uint32_t)field, (size_t)(out.at - begin));
            continue;
        }
        if (field >= 0) {
            put_field(&out, &m->rules[field], &run->values[field]);
            continue;
        }
        put(&out, "\"id\":", 5);
        put_text(&out, run->id);
    }
    *out.at++ = '}';
    must((size_t)(out.at - begin) <= n_max);
    return span_of(begin, (size_t)(out.at - begin));
}
