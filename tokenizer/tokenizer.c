/*
 * The scan over a text. ASCII is a table lookup a byte; anything else is taken
 * as a unit of one lead byte and up to three continuation bytes, looked up in
 * the analyzer (accented letters) or translit.c, and else kept as it is.
 */
#include "tokenizer/tokenizer.h"

#include <utf8proc.h>

#include "base/hash.h"

#include "tokenizer/translit.h"

/*
 * Raised when the same settings make other tokens than before. Checklist:
 * together with it a line in README.md, "Versions".
 */
enum { RULES_VERSION = 1 };

/* Actions of an ASCII byte; any other action is the byte that is kept. */
enum { DROPPED = 0x80, ENDS = 0x81 };

/* Last byte of a row of analyzer.latin: 1 if the code point is rewritten. */
enum { LATIN_FLAG = TKZ_REPLACEMENT_MAX - 1 };

static unsigned char
action_of(const struct tkz_analyzer *a, enum tkz_use use, unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned char)(c + ('a' - 'A'));
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || a->is_symbol[c])
        return c;
    if (use == TKZ_USE_QUERY && (c == '-' || c == '"'))
        return c;
    if (use == TKZ_USE_SORT)
        return c == ' ' ? c : DROPPED;
    return c == ' ' || c == '\n' || a->is_separator[c] ? ENDS : DROPPED;
}

static void
add_all(bool set[128], struct span bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        if ((unsigned char)bytes.p[i] < 128)
            set[(unsigned char)bytes.p[i]] = true;
}

void
tkz_analyzer_init(struct tkz_analyzer *a, struct span separators, struct span symbols)
{
    memset(a, 0, sizeof *a);
    add_all(a->is_separator, separators);
    add_all(a->is_symbol, symbols);
    for (unsigned use = 0; use < TKZ_USE_N; use++)
        for (unsigned c = 0; c < 128; c++)
            a->actions[use][c] = action_of(a, (enum tkz_use)use, (unsigned char)c);
    for (uint32_t c = TKZ_LATIN_BEGIN; c < TKZ_LATIN_END; c++) {
        char *row = a->latin[c - TKZ_LATIN_BEGIN];
        row[LATIN_FLAG] = tkz_translit(c, row);
    }
}

uint64_t
tkz_fingerprint(const struct tkz_analyzer *a)
{
    uint64_t h = hash64_more(RULES_VERSION, span_str(utf8proc_unicode_version()));
    return hash64_more(h, span_of((const char *)a->actions, sizeof a->actions));
}

/*
 * Writes what the unit at p makes of itself: p[0] >= 0x80, n bytes follow to
 * the end of the text. Writes at most 3 bytes for each 2 read; returns the
 * bytes read, and in *w_n the bytes written.
 */
static size_t
put_unit(const struct tkz_analyzer *a, const char *p, size_t n, char *w, size_t *w_n)
{
    char replacement[TKZ_REPLACEMENT_MAX];
    const char *text = replacement;
    int32_t c;
    size_t unit = 1;
    while (unit < 4 && unit < n && ((unsigned char)p[unit] & 0xc0) == 0x80)
        unit++;
    bool is_rewritten = false;
    if (tkz_codepoint_next(span_of(p, unit), 0, &c) == unit && c >= 0) {
        if (c >= TKZ_LATIN_BEGIN && c < TKZ_LATIN_END) {
            text = a->latin[c - TKZ_LATIN_BEGIN];
            is_rewritten = text[LATIN_FLAG];
        } else {
            is_rewritten = tkz_translit((uint32_t)c, replacement);
        }
    }
    *w_n = is_rewritten ? strlen(text) : unit;
    memcpy(w, is_rewritten ? text : p, *w_n);
    return unit;
}

/* A scan over a text. */
struct scan {
    struct arena *arena;
    struct tkz_tokens tokens;
    size_t cap, max_bytes;
    char *token, *w;     /* the open token: [token, w) */
    uint32_t begin, end; /* its place in the text */
};

/* Ends the open token, if there is one. */
static void
end_token(struct scan *s)
{
    if (s->w == s->token)
        return;
    size_t n = (size_t)(s->w - s->token);
    s->tokens.v = arena_grow(s->arena, s->tokens.v, &s->cap, s->tokens.n + 1, sizeof *s->tokens.v);
    s->tokens.v[s->tokens.n++] = (struct tkz_token){
        .text = {s->token, n < s->max_bytes ? n : s->max_bytes},
        .begin = s->begin,
        .end = s->end,
    };
    s->token = s->w;
}

static void
scan_text(const struct tkz_analyzer *a, enum tkz_use use, struct span text, struct scan *s)
{
    const unsigned char *actions = a->actions[use];
    if (text.n > UINT32_MAX)
        text.n = UINT32_MAX;
    s->token = s->w = arena_alloc(s->arena, text.n + text.n / 2 + 4);
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        unsigned char action = c < 0x80 ? actions[c] : DROPPED;
        size_t n = 1;
        size_t w_n = 0;
        if (action < 0x80) {
            *s->w = (char)action;
            w_n = 1;
        } else if (action == ENDS) {
            end_token(s);
        } else if (c >= 0x80) {
            n = put_unit(a, text.p + i, text.n - i, s->w, &w_n);
        }
        if (w_n > 0) {
            if (s->w == s->token)
                s->begin = (uint32_t)i;
            s->w += w_n;
            s->end = (uint32_t)(i + n);
        }
        i += n;
    }
    end_token(s);
}

void
tkz_text(const struct tkz_analyzer *a, struct span text, struct arena *arena,
         struct tkz_tokens *out)
{
    struct scan s = {.arena = arena, .max_bytes = TKZ_TOKEN_MAX};
    scan_text(a, TKZ_USE_TEXT, text, &s);
    *out = s.tokens;
}

void
tkz_query_raw(const struct tkz_analyzer *a, struct span query, struct arena *arena,
              struct tkz_tokens *out)
{
    struct scan s = {.arena = arena, .max_bytes = SIZE_MAX};
    scan_text(a, TKZ_USE_QUERY, query, &s);
    *out = s.tokens;
}

void
tkz_sort_key(const struct tkz_analyzer *a, struct span text, struct buf *out)
{
    const unsigned char *actions = a->actions[TKZ_USE_SORT];
    char key[TKZ_SORT_KEY_MAX + TKZ_REPLACEMENT_MAX];
    size_t n = 0;
    for (size_t i = 0; i < text.n && n < TKZ_SORT_KEY_MAX;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t w_n = 0;
        if (c >= 0x80) {
            i += put_unit(a, text.p + i, text.n - i, key + n, &w_n);
        } else {
            key[n] = (char)actions[c];
            w_n = actions[c] < 0x80;
            i++;
        }
        n += w_n;
    }
    if (n > TKZ_SORT_KEY_MAX)
        n = TKZ_SORT_KEY_MAX;
    for (size_t i = 0; i < n; i++)
        key[i] = (char)(key[i] ^ 0x80);
    buf_put(out, key, n);
}
