/*
 * Which parts of a hit's texts matched. A text is tokenised again with its
 * offsets; the match says of each term which query token it stood for. Only
 * the hits of a page are looked at.
 */
#include "query/highlight.h"

enum { ELEMENTS_MAX = 5, WINDOW_TOKENS = 10, TOKENS_MAX = 64 };

struct mark {
    size_t begin, end;  /* bytes of the text */
    uint32_t token;     /* position in the text */
    uint32_t query;     /* number of the query token */
};

struct text { /* one string, or an element of an array, looked at */
    struct span bytes;
    struct tkz_tokens tokens;
    struct mark *marks;
    size_t n_marks;
    uint64_t quality; /* larger is better; 0: no match */
    size_t snippet_begin, snippet_end;
};

struct field_marks {
    uint32_t field;
    bool is_array, is_full;
    struct text *texts;
    uint32_t n_texts;
    uint64_t quality;
};

struct qry_highlighter {
    const struct qry_plan *plan;
    const struct qry_match *match;
    struct arena *arena;
    uint32_t *fields; /* of the schema, in the order of the answer */
    uint32_t n_fields;
};

/* ---- which fields ---- */

static bool
is_shown(const struct qry_plan *plan, struct span name)
{
    if (qry_names_has(&plan->exclude, name) || qry_names_has(&plan->exclude, SPAN_LIT("*")))
        return false;
    return plan->includes_all || qry_names_has(&plan->include, name);
}

static void
add_field(struct qry_highlighter *h, int32_t field)
{
    if (field >= 0 &&
        h->plan->search.collection->schema->fields[field].type == SCH_STRING)
        h->fields[h->n_fields++] = (uint32_t)field;
}

struct qry_highlighter *
qry_highlighter_new(const struct qry_plan *plan, const struct qry_match *match,
                    struct arena *arena)
{
    const struct sch_collection *schema = plan->search.collection->schema;

    if (!match)
        return NULL;
    struct qry_highlighter *h = arena_calloc(arena, 1, sizeof *h);
    uint32_t n = plan->has_highlight_fields ? plan->highlight_fields.n : plan->search.n_fields;
    h->plan = plan;
    h->match = match;
    h->arena = arena;
    h->fields = arena_calloc(arena, n + 1, sizeof *h->fields);
    for (uint32_t i = 0; i < n; i++) {
        if (plan->has_highlight_fields) {
            add_field(h, sch_field_find(schema, plan->highlight_fields.v[i]));
            continue;
        }
        uint32_t field = plan->search.fields[i].field;
        if (is_shown(plan, schema->fields[field].name))
            add_field(h, (int32_t)field);
    }
    return h->n_fields > 0 ? h : NULL;
}

/* ---- marks of one text ---- */

struct reading { /* what a term of the text stood for */
    int32_t query; /* number of the query token, -1: nothing */
    bool is_prefix;
};

/* Infix matches are words that hold the first token anywhere. */
static bool
is_infix(const struct qry_highlighter *h, uint32_t field, struct span term)
{
    const struct qry_search *s = &h->plan->search;

    if (qry_match_n_tokens(h->match) == 0)
        return false;
    struct span token = qry_match_token(h->match, 0);
    for (uint32_t i = 0; i < s->n_fields; i++)
        if (s->fields[i].field == field && s->fields[i].infix != QRY_INFIX_OFF)
            return token.n > 0 && memmem(term.p, term.n, token.p, token.n) != NULL;
    return false;
}

/* What a word matched as in one field is marked in all that are shown. */
static struct reading
explain(const struct qry_highlighter *h, uint32_t field, struct span term)
{
    const struct qry_search *s = &h->plan->search;
    struct reading r;

    r.query = qry_match_explain(h->match, field, term, &r.is_prefix);
    for (uint32_t i = 0; r.query < 0 && i < s->n_fields; i++)
        r.query = qry_match_explain(h->match, s->fields[i].field, term, &r.is_prefix);
    if (r.query < 0 && is_infix(h, field, term))
        r = (struct reading){0, false};
    return r;
}

/* Whether a byte of the text takes part in its token (punctuation inside words does not). */
static bool
is_kept(const struct qry_highlighter *h, unsigned char c)
{
    bool is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    struct span symbols = h->plan->search.collection->schema->symbols;

    return is_word || c >= 0x80 || (symbols.n > 0 && memchr(symbols.p, c, symbols.n));
}

/* Behind the first n kept characters of a token. */
static size_t
behind_characters(const struct qry_highlighter *h, struct span bytes, const struct tkz_token *t,
                  size_t n)
{
    size_t at = t->begin;

    while (n > 0 && at < t->end) {
        n -= is_kept(h, (unsigned char)bytes.p[at]);
        at = tkz_codepoint_next(bytes, at, NULL);
    }
    return at < t->end ? at : t->end;
}

/*
 * Of a word found by its prefix, if it begins with the query token or is much
 * longer (a typo in the prefix), as many characters as were typed.
 */
static size_t
mark_end(const struct qry_highlighter *h, struct span bytes, const struct tkz_token *t,
         struct reading r)
{
    if (!r.is_prefix || (uint32_t)r.query >= qry_match_n_tokens(h->match))
        return t->end;
    struct span typed = qry_match_token(h->match, (uint32_t)r.query);
    size_t n_typed = tkz_codepoints(typed), n_word = tkz_codepoints(t->text);
    bool is_cut = n_word > n_typed && (span_starts(t->text, typed) || n_word > n_typed + 3);
    return is_cut ? behind_characters(h, bytes, t, n_typed) : t->end;
}

static void
find_marks(const struct qry_highlighter *h, uint32_t field, struct text *t)
{
    tkz_text(h->plan->search.analyzer, t->bytes, h->arena, &t->tokens);
    t->marks = arena_calloc(h->arena, t->tokens.n + 1, sizeof *t->marks);
    for (size_t i = 0; i < t->tokens.n; i++) {
        const struct tkz_token *token = &t->tokens.v[i];
        struct reading r = explain(h, field, token->text);
        if (r.query < 0)
            continue;
        t->marks[t->n_marks++] = (struct mark){
            .begin = token->begin,
            .end = mark_end(h, t->bytes, token, r),
            .token = (uint32_t)i,
            .query = (uint32_t)r.query,
        };
    }
}

/* Distinct query tokens among marks [begin, end). */
static unsigned
count_queries(const struct mark *marks, size_t begin, size_t end)
{
    uint64_t seen = 0;

    for (size_t i = begin; i < end; i++)
        seen |= 1ull << (marks[i].query % TOKENS_MAX);
    return (unsigned)__builtin_popcountll(seen);
}

/* The marks of the window with most query tokens, the first and narrowest of them. */
static void
best_window(const struct text *t, size_t *begin, size_t *end)
{
    unsigned best = 0;
    uint32_t best_width = 0;

    *begin = *end = 0;
    for (size_t i = 0; i < t->n_marks; i++) {
        size_t j = i;
        while (j < t->n_marks && t->marks[j].token <= t->marks[i].token + WINDOW_TOKENS)
            j++;
        unsigned n = count_queries(t->marks, i, j);
        while (j > i + 1 && count_queries(t->marks, i, j - 1) == n)
            j--;
        uint32_t width = t->marks[j - 1].token - t->marks[i].token;
        if (n > best || (n == best && width < best_width)) {
            best = n;
            best_width = width;
            *begin = i;
            *end = j;
        }
    }
}

static void
choose_snippet(const struct qry_highlighter *h, struct text *t)
{
    size_t begin, end, n = t->tokens.n;
    size_t affix = h->plan->highlight_affix;

    t->snippet_begin = 0;
    t->snippet_end = t->bytes.n;
    if (t->n_marks == 0)
        return;
    best_window(t, &begin, &end);
    unsigned n_found = count_queries(t->marks, begin, end);
    bool is_whole = t->n_marks == n;
    t->quality = ((uint64_t)n_found << 32) + ((uint64_t)is_whole << 31) + (1u << 20) -
                 (t->marks[end - 1].token - t->marks[begin].token);
    if (n < h->plan->snippet_threshold)
        return;
    size_t first = t->marks[begin].token, last = t->marks[end - 1].token;
    first = first > affix ? first - affix : 0;
    last = last + affix < n ? last + affix : n - 1;
    t->snippet_begin = t->tokens.v[first].begin;
    t->snippet_end = last + 1 == n ? t->bytes.n : t->tokens.v[last].end;
    while (t->snippet_end < t->bytes.n && t->bytes.p[t->snippet_end] != ' ' &&
           t->bytes.p[t->snippet_end] != '\n')
        t->snippet_end++; /* with the punctuation behind the word */
}

/* ---- fields of a document ---- */

static bool
read_field(const struct qry_highlighter *h, uint32_t field, const struct json *document,
           struct field_marks *out)
{
    struct span name = h->plan->search.collection->schema->fields[field].name;
    const struct json *v = json_get_span(document, name);

    if (!v || (v->type != JSON_STRING && v->type != JSON_ARRAY))
        return false;
    *out = (struct field_marks){.field = field, .is_array = v->type == JSON_ARRAY};
    out->is_full = qry_names_has(&h->plan->highlight_full_fields, name);
    out->n_texts = out->is_array ? v->n : 1;
    out->texts = arena_calloc(h->arena, out->n_texts + 1, sizeof *out->texts);
    for (uint32_t i = 0; i < out->n_texts; i++) {
        const struct json *item = out->is_array ? &v->items[i] : v;
        if (item->type != JSON_STRING)
            continue;
        struct text *t = &out->texts[i];
        t->bytes = item->string;
        find_marks(h, field, t);
        choose_snippet(h, t);
        out->quality = t->quality > out->quality ? t->quality : out->quality;
    }
    return out->quality > 0;
}

/* ---- writing ---- */

static void
put_marked(const struct qry_highlighter *h, const struct text *t, size_t begin, size_t end,
           struct buf *out)
{
    struct buf text = {0};
    size_t at = begin;

    for (size_t i = 0; i < t->n_marks; i++) {
        const struct mark *m = &t->marks[i];
        if (m->begin < at || m->end > end)
            continue;
        buf_put(&text, t->bytes.p + at, m->begin - at);
        buf_put_span(&text, h->plan->start_tag);
        buf_put(&text, t->bytes.p + m->begin, m->end - m->begin);
        buf_put_span(&text, h->plan->end_tag);
        at = m->end;
    }
    buf_put(&text, t->bytes.p + at, end - at);
    json_put_str(out, buf_span(&text));
    buf_fini(&text);
}

static void
put_snippet(const struct qry_highlighter *h, const struct text *t, struct buf *out)
{
    put_marked(h, t, t->snippet_begin, t->snippet_end, out);
}

/* Whether the same bytes were marked before in the snippet. */
static bool
is_repeated(const struct text *t, size_t mark)
{
    const struct mark *m = &t->marks[mark];
    struct span text = span_of(t->bytes.p + m->begin, m->end - m->begin);

    for (size_t i = 0; i < mark; i++) {
        const struct mark *o = &t->marks[i];
        if (o->begin >= t->snippet_begin && o->end <= t->snippet_end &&
            span_eq(text, span_of(t->bytes.p + o->begin, o->end - o->begin)))
            return true;
    }
    return false;
}

static void
put_matched(const struct text *t, struct buf *out)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < t->n_marks; i++) {
        const struct mark *m = &t->marks[i];
        if (m->begin < t->snippet_begin || m->end > t->snippet_end || is_repeated(t, i))
            continue;
        json_put_comma(out);
        json_put_str(out, span_of(t->bytes.p + m->begin, m->end - m->begin));
    }
    buf_putc(out, ']');
}

/* `"matched_tokens":[...],"snippet":"..."[,"value":"..."]` */
static void
put_text(const struct qry_highlighter *h, const struct field_marks *f, const struct text *t,
         struct buf *out)
{
    buf_puts(out, "\"matched_tokens\":");
    put_matched(t, out);
    buf_puts(out, ",\"snippet\":");
    put_snippet(h, t, out);
    if (f->is_full) {
        buf_puts(out, ",\"value\":");
        put_marked(h, t, 0, t->bytes.n, out);
    }
}

static void
put_object(const struct qry_highlighter *h, const struct field_marks *f, struct buf *out)
{
    json_put_comma(out);
    json_put_str(out, h->plan->search.collection->schema->fields[f->field].name);
    buf_puts(out, f->is_array ? ":[" : ":");
    for (uint32_t i = 0; i < f->n_texts; i++) {
        buf_puts(out, i ? ",{" : "{");
        put_text(h, f, &f->texts[i], out);
        buf_putc(out, '}');
    }
    if (f->is_array)
        buf_putc(out, ']');
}

/* The best elements of an array, by quality, then position. Returns how many. */
static uint32_t
best_elements(const struct field_marks *f, uint32_t best[ELEMENTS_MAX])
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < f->n_texts; i++) {
        if (f->texts[i].quality == 0)
            continue;
        uint32_t at = n < ELEMENTS_MAX ? n++ : ELEMENTS_MAX;
        for (; at > 0 && f->texts[best[at - 1]].quality < f->texts[i].quality; at--)
            if (at < ELEMENTS_MAX)
                best[at] = best[at - 1];
        if (at < ELEMENTS_MAX)
            best[at] = i;
    }
    return n;
}

static void
put_elements(const struct qry_highlighter *h, const struct field_marks *f, struct buf *out)
{
    uint32_t best[ELEMENTS_MAX];
    uint32_t n = best_elements(f, best);

    buf_puts(out, ",\"indices\":[");
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, i ? ",%u" : "%u", best[i]);
    buf_puts(out, "],\"matched_tokens\":[");
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_putc(out, ',');
        put_matched(&f->texts[best[i]], out);
    }
    buf_puts(out, "],\"snippets\":[");
    for (uint32_t i = 0; i < n; i++) {
        json_put_comma(out);
        put_snippet(h, &f->texts[best[i]], out);
    }
    if (f->is_full) {
        buf_puts(out, "],\"values\":[");
        for (uint32_t i = 0; i < n; i++) {
            json_put_comma(out);
            put_marked(h, &f->texts[best[i]], 0, f->texts[best[i]].bytes.n, out);
        }
    }
    buf_putc(out, ']');
}

static void
put_entry(const struct qry_highlighter *h, const struct field_marks *f, struct buf *out)
{
    json_put_comma(out);
    buf_puts(out, "{\"field\":");
    json_put_str(out, h->plan->search.collection->schema->fields[f->field].name);
    if (f->is_array) {
        put_elements(h, f, out);
    } else {
        buf_putc(out, ',');
        put_text(h, f, &f->texts[0], out);
    }
    buf_putc(out, '}');
}

void
qry_highlight_write(const struct qry_highlighter *h, const struct qry_plan *plan,
                    const struct json *document, struct buf *out)
{
    struct field_marks *fields = NULL;
    uint32_t n = 0;

    if (h && document)
        fields = arena_calloc(h->arena, h->n_fields + 1, sizeof *fields);
    for (uint32_t i = 0; fields && i < h->n_fields; i++) {
        struct field_marks f;
        if (!read_field(h, h->fields[i], document, &f))
            continue;
        uint32_t at = n++;
        for (; at > 0 && fields[at - 1].quality < f.quality; at--)
            fields[at] = fields[at - 1];
        fields[at] = f;
    }
    buf_puts(out, "\"highlight\":{");
    for (uint32_t i = 0; i < n; i++)
        put_object(h, &fields[i], out);
    buf_putc(out, '}');
    if (!plan->has_highlight_v1)
        return;
    buf_puts(out, ",\"highlights\":[");
    for (uint32_t i = 0; i < n; i++)
        put_entry(h, &fields[i], out);
    buf_putc(out, ']');
}
