/*
 * Picks members of a JSON object without parsing their values: one pass over
 * the text that knows strings and brackets only.
 */
#include "query/fields.h"

#include "base/json.h"

/* Behind the string that begins at `at` with a quote. */
static size_t
skip_string(struct span s, size_t at)
{
    for (at++; at < s.n && s.p[at] != '"'; at++)
        at += s.p[at] == '\\';
    return at < s.n ? at + 1 : s.n;
}

/* The comma or bracket that ends the value beginning at `at`. */
static size_t
skip_value(struct span s, size_t at)
{
    unsigned depth = 0;

    while (at < s.n) {
        char c = s.p[at];
        if (c == '"') {
            at = skip_string(s, at);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}'))
            return at;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
    }
    return s.n;
}

static size_t
skip_blanks(struct span s, size_t at)
{
    while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\n' || s.p[at] == '\t' || s.p[at] == '\r'))
        at++;
    return at;
}

static bool
is_wanted(struct span name, const struct qry_names *include, bool includes_all,
          const struct qry_names *exclude)
{
    if (!includes_all && !qry_names_has(include, name))
        return false;
    return !qry_names_has(exclude, name) && !qry_names_has(exclude, SPAN_LIT("*"));
}

void
qry_fields_write(struct span json, const struct qry_names *include, bool includes_all,
                 const struct qry_names *exclude, struct buf *out)
{
    size_t at = skip_blanks(json, 0);

    if (includes_all && exclude->n == 0) {
        buf_put_span(out, json);
        return;
    }
    buf_putc(out, '{');
    while (at < json.n) {
        at = skip_blanks(json, at + 1); /* behind the brace or comma */
        if (at >= json.n || json.p[at] != '"')
            break;
        size_t begin = at, name_end = skip_string(json, at);
        struct span name = span_of(json.p + begin + 1, name_end - begin - 2);
        at = skip_value(json, name_end);
        if (!is_wanted(name, include, includes_all, exclude))
            continue;
        json_put_comma(out);
        buf_put(out, json.p + begin, at - begin);
    }
    buf_putc(out, '}');
}
