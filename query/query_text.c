/*
 * The query string: include tokens, exclusions and phrases (search-semantics
 * section 2). A word is looked at with '-' and '"' still in it, after other
 * punctuation was dropped; that is why ":-D" excludes.
 */
#include "query/matching.h"

struct spans {
    struct span *v;
    size_t n, cap;
};

struct phrases {
    struct qry_phrase *v;
    size_t n, cap;
};

struct reader {
    const struct tkz_analyzer *analyzer;
    struct arena *arena;
    bool has_minus; /* '-' is an ordinary character of this collection */
    bool is_excluding, is_in_phrase;
    struct spans tokens, excluded, phrase;
    struct phrases phrases, excluded_phrases;
};

static void
add_span(struct reader *r, struct spans *to, struct span s)
{
    to->v = arena_grow(r->arena, to->v, &to->cap, to->n + 1, sizeof *to->v);
    to->v[to->n++] = s;
}

/* Moves the open phrase to the list it belongs to. */
static void
close_phrase(struct reader *r)
{
    struct phrases *to = r->is_excluding ? &r->excluded_phrases : &r->phrases;

    to->v = arena_grow(r->arena, to->v, &to->cap, to->n + 1, sizeof *to->v);
    to->v[to->n++] = (struct qry_phrase){r->phrase.v, (uint32_t)r->phrase.n};
    r->phrase = (struct spans){0};
    r->is_in_phrase = r->is_excluding = false;
}

static void
add_token(struct reader *r, struct span token)
{
    if (r->is_in_phrase) {
        add_span(r, &r->phrase, token);
    } else if (r->is_excluding) {
        add_span(r, &r->excluded, token);
        r->is_excluding = false; /* QUIRK: of several parts only the first is excluded */
    } else {
        add_span(r, &r->tokens, token);
    }
}

static void
read_word(struct reader *r, struct span word)
{
    struct tkz_tokens parts;
    bool is_closing = false;

    if (word.n > 0 && word.p[0] == '-' && !r->has_minus) {
        if (word.n == 1)
            return;
        r->is_excluding = true;
        word = span_from(word, 1);
    }
    if (word.n > 1 && word.p[0] == '"') {
        r->is_in_phrase = true;
        word = span_from(word, 1);
    }
    if (word.n > 0 && word.p[word.n - 1] == '"') {
        is_closing = r->is_in_phrase;
        if (is_closing)
            word.n--;
        else if (word.n == 1)
            r->is_in_phrase = true;
    }
    tkz_text(r->analyzer, word, r->arena, &parts);
    for (size_t i = 0; i < parts.n; i++)
        add_token(r, parts.v[i].text);
    if (is_closing)
        close_phrase(r);
}

void
qry_text_parse(const struct qry_search *s, struct arena *arena, struct qry_text *out)
{
    struct reader r = {.analyzer = s->analyzer, .arena = arena};
    struct tkz_tokens words;

    r.has_minus = s->analyzer->is_symbol['-'];
    tkz_query_raw(s->analyzer, s->q, arena, &words);
    for (size_t i = 0; i < words.n; i++)
        read_word(&r, words.v[i].text);
    if (r.phrase.n > 0 && r.is_excluding)
        close_phrase(&r);
    /* A phrase that nobody closed is ordinary words. */
    for (size_t i = 0; i < r.phrase.n; i++)
        add_span(&r, &r.tokens, r.phrase.v[i]);
    *out = (struct qry_text){
        .tokens = r.tokens.v,
        .n_tokens = (uint32_t)r.tokens.n,
        .excluded = r.excluded.v,
        .n_excluded = (uint32_t)r.excluded.n,
        .phrases = r.phrases.v,
        .excluded_phrases = r.excluded_phrases.v,
        .n_phrases = (uint32_t)r.phrases.n,
        .n_excluded_phrases = (uint32_t)r.excluded_phrases.n,
    };
}
