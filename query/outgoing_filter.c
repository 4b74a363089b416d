/*
 * Several filters in one expression. Here they are trees and ANDed as such; to
 * Typesense they go as text, "(a) && (b)", read by a grammar that is not ours.
 * So a filter may only be joined if it is plain: clauses `name:value` between
 * parentheses, && and ||, without nested or quoted parentheses and operators,
 * escapes, or references. What is accepted here has one reading; what is
 * refused might be harmless, and is a 400.
 */
#include "query/outgoing.h"

enum { DEPTH_MAX = 32 };

struct scan {
    const char *at, *end;
    unsigned depth;
};

static bool
is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

static void
skip_blanks(struct scan *s)
{
    while (s->at < s->end && *s->at == ' ')
        s->at++;
}

static bool
is_doubled(const struct scan *s)
{
    return s->at + 1 < s->end && s->at[1] == s->at[0];
}

/* Up to the character `last`, over nothing that could open, close or join. */
static bool
skip_to(struct scan *s, char last)
{
    for (s->at++; s->at < s->end && *s->at != last; s->at++)
        if (is_one_of(*s->at, "()`&|$\\") || (unsigned char)*s->at < ' ')
            return false;
    return s->at < s->end && *s->at++ == last;
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80 || is_one_of(c, "_.-* ");
}

static bool
scan_name(struct scan *s)
{
    const char *begin = s->at;
    while (s->at < s->end && is_name_char(*s->at))
        s->at++;
    return s->at > begin && s->at < s->end && *s->at++ == ':';
}

/* Up to what ends the clause, which is left. */
static bool
scan_value(struct scan *s)
{
    while (s->at < s->end && is_one_of(*s->at, " =!<>~"))
        s->at++;
    const char *begin = s->at;
    if (s->at < s->end && *s->at == '(') /* a place and a distance */
        return skip_to(s, ')');
    while (s->at < s->end && *s->at != ')' && !(is_one_of(*s->at, "&|") && is_doubled(s))) {
        if (is_one_of(*s->at, "($\\") || (unsigned char)*s->at < ' ')
            return false;
        if (*s->at != '`')
            s->at++;
        else if (!skip_to(s, '`'))
            return false;
    }
    return s->at > begin;
}

/* One clause and the parentheses around it. */
static bool
scan_clause(struct scan *s)
{
    skip_blanks(s);
    for (; s->at < s->end && *s->at == '('; skip_blanks(s)) {
        s->at++;
        if (++s->depth > DEPTH_MAX)
            return false;
    }
    if (!scan_name(s) || !scan_value(s))
        return false;
    skip_blanks(s);
    for (; s->at < s->end && *s->at == ')'; skip_blanks(s)) {
        s->at++;
        if (s->depth-- == 0)
            return false;
    }
    return true;
}

static bool
is_plain(struct span filter)
{
    struct scan s = {filter.p, filter.p + filter.n, 0};
    for (;;) {
        if (!scan_clause(&s))
            return false;
        if (s.at == s.end)
            return s.depth == 0;
        if (!is_one_of(*s.at, "&|") || !is_doubled(&s))
            return false;
        s.at += 2;
    }
}

enum rc
qry_filters_join(const struct qry_params *p, struct arena *arena, struct span *out, struct err *err)
{
    struct span parts[QRY_AND_FILTERS_MAX + 1];
    size_t n = 0;

    if (span_trim(p->value[QRY_P_FILTER_BY]).n > 0)
        parts[n++] = p->value[QRY_P_FILTER_BY];
    for (uint32_t i = 0; i < p->n_and_filters; i++)
        parts[n++] = p->and_filters[i];
    *out = n > 0 ? parts[0] : (struct span){0};
    if (n < 2)
        return RC_OK;
    for (size_t i = 0; i < n; i++)
        if (!is_plain(parts[i]))
            return err_set(err, RC_INVALID,
                           "filter_by is to be joined with another one and too unusual for that: "
                           "use plain clauses, without parentheses or operators inside of values");
    *out = arena_printf(arena, "(%.*s)", SPAN_ARG(parts[0]));
    for (size_t i = 1; i < n; i++)
        *out = arena_printf(arena, "%.*s && (%.*s)", SPAN_ARG(*out), SPAN_ARG(parts[i]));
    return RC_OK;
}
