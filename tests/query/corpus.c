/* Random documents over few letters, so that prefixes and typos collide. */
#include "tests/query/corpus.h"

static const char *const names[] = {
    "kappa",     "kappapride", "pride",  "kapa",   "pepe",       "peepo",     "peepohappy",
    "peepohapy", "happy",      "sad",    "pepega", "omega",      "omegalul",  "lul",
    "catjam",    "cat",        "jam",    "dance",  "peepodance", "monka",     "monkas",
    "widepeepo", "wide",       "xqc",    "xqcl",   "pogchamp",   "pogchmp",   "pog",
    "champ",     "pogu",       "apkpa",  "kappas", "kappapirde", "sadge",     "saged",
};

static uint32_t
below(struct corpus *c, uint32_t n)
{
    return fixture_random_below(c->random, n);
}

static void
make_words(struct corpus *c)
{
    uint32_t n_letters = 2 + below(c, 3);

    c->n_words = CORPUS_WORDS;
    if (below(c, 3) == 0) {
        for (uint32_t i = 0; i < CORPUS_WORDS; i++)
            (void)snprintf(c->words[i], sizeof c->words[i], "%s", names[i % ARRAY_SIZE(names)]);
        return;
    }
    for (uint32_t i = 0; i < CORPUS_WORDS; i++) {
        uint32_t n = 1 + below(c, 10);
        for (uint32_t k = 0; k < n; k++)
            c->words[i][k] = (char)('a' + below(c, n_letters));
        if (below(c, 12) == 0) /* two bytes that are no letter of the table: kept as they are */
            memcpy(c->words[i] + n, "\xd0\xb4", 2);
        if (below(c, 12) == 0 && n >= 2)
            memcpy(c->words[i], "\xd8\xb4", 2);
    }
}

static const char *
some_word(struct corpus *c)
{
    /* Some words are common, most are not. */
    return c->words[below(c, below(c, 2) ? 6 : c->n_words)];
}

static void
put_text(struct corpus *c, struct buf *json, uint32_t n)
{
    buf_puts(json, "\"");
    for (uint32_t i = 0; i < n; i++)
        buf_printf(json, "%s%s", i ? " " : "", some_word(c));
    buf_puts(json, "\"");
}

static uint32_t
text_length(struct corpus *c)
{
    return below(c, 4) ? 1 + below(c, 3) : below(c, 25) ? below(c, 6) : 18;
}

static void
read_field(struct corpus *c, const struct json *v, struct oracle_field *out)
{
    bool is_array = v && v->type == JSON_ARRAY;

    *out = (struct oracle_field){.n = !v ? 0 : is_array ? v->n : 1};
    out->elements = arena_calloc(&c->arena, out->n + 1u, sizeof *out->elements);
    for (uint32_t e = 0; e < out->n; e++) {
        struct tkz_tokens t;
        tkz_text(fixture_analyzer(c->fixture), is_array ? v->items[e].string : v->string,
                 &c->arena, &t);
        out->elements[e].n = (uint32_t)t.n;
        out->elements[e].tokens = arena_calloc(&c->arena, t.n + 1, sizeof(struct span));
        for (size_t i = 0; i < t.n; i++)
            out->elements[e].tokens[i] = t.v[i].text;
    }
}

static void
put_doc(struct corpus *c, uint32_t i)
{
    static const char *const field_names[CORPUS_FIELDS] = {"name", "tags", "descr"};
    struct oracle_doc *d = &c->docs[i];
    struct buf json = {0};
    struct json parsed;
    struct err err;
    uint32_t n_tags = below(c, 4);

    d->popularity = (int64_t)below(c, 9) - 4;
    buf_printf(&json, "{\"id\":\"%u\",\"score\":%d,\"name\":", i, (int)d->popularity);
    put_text(c, &json, text_length(c));
    if (n_tags) {
        buf_puts(&json, ",\"tags\":[");
        for (uint32_t k = 0; k < n_tags; k++) {
            buf_puts(&json, k ? "," : "");
            put_text(c, &json, below(c, 4));
        }
        buf_puts(&json, "]");
    }
    if (below(c, 2)) {
        buf_puts(&json, ",\"descr\":");
        put_text(c, &json, text_length(c));
    }
    buf_puts(&json, "}");
    buf_putc(&json, '\0');
    fixture_put(c->fixture, json.p);
    must(json_parse(arena_dup(&c->arena, span_str(json.p)), &c->arena, &parsed, &err) == RC_OK);
    d->fields = arena_calloc(&c->arena, CORPUS_FIELDS + 1, sizeof *d->fields);
    for (uint32_t f = 0; f < CORPUS_FIELDS; f++)
        read_field(c, json_get(&parsed, field_names[f]), &d->fields[f]);
    d->is_live = true;
    d->group = i % c->n_groups;
    buf_fini(&json);
}

void
corpus_init(struct corpus *c, struct fixture_random *random, uint32_t n)
{
    char id[16];

    *c = (struct corpus){.random = random, .n_groups = 1 + fixture_random_below(random, 6)};
    must(n <= CORPUS_DOCS_MAX);
    c->oracle.has_default_sort = below(c, 2);
    struct span schema = arena_printf(
        &c->arena,
        "{\"name\":\"c\",%s\"fields\":["
        "{\"name\":\"name\",\"type\":\"string\"},"
        "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true},"
        "{\"name\":\"descr\",\"type\":\"string\",\"optional\":true},"
        "{\"name\":\"score\",\"type\":\"int32\"}]}",
        c->oracle.has_default_sort ? "\"default_sorting_field\":\"score\"," : "");
    c->fixture = fixture_new(schema.p);
    make_words(c);
    for (uint32_t i = 0; i < n; i++) {
        put_doc(c, i);
        if (below(c, 5) == 0)
            put_doc(c, below(c, i + 1));
        if (below(c, 8) == 0) {
            uint32_t gone = below(c, i + 1);
            (void)snprintf(id, sizeof id, "%u", gone);
            fixture_delete(c->fixture, id);
            c->docs[gone].is_live = false;
        }
        if (below(c, 12) == 0)
            fixture_flush(c->fixture);
    }
    fixture_flush(c->fixture);
    c->oracle.docs = c->docs;
    c->oracle.n_docs = n;
}

void
corpus_fini(struct corpus *c)
{
    fixture_free(c->fixture);
    arena_fini(&c->arena);
}

/* ---- requests ---- */

static struct span
spoil(struct corpus *c, struct arena *arena, const char *word)
{
    struct span s = arena_dup(arena, span_str(word));
    char *p = arena_str(arena, s);
    size_t at = s.n ? below(c, (uint32_t)s.n) : 0;

    if (s.n == 0)
        return s;
    switch (below(c, 7)) {
    case 0: /* a prefix */
        return span_of(p, at + 1);
    case 1: /* a letter missing */
        memmove(p + at, p + at + 1, s.n - at);
        return span_of(p, s.n > 1 ? s.n - 1 : s.n);
    case 2: /* another letter */
        p[at] = (char)('a' + below(c, 4));
        return span_of(p, s.n);
    case 3: /* two letters swapped */
        if (at + 1 < s.n) {
            char x = p[at];
            p[at] = p[at + 1];
            p[at + 1] = x;
        }
        return span_of(p, s.n);
    case 4: /* a letter too many */
        return arena_printf(arena, "%.*s%c%s", (int)at, p, 'a' + (int)below(c, 4), p + at);
    default:
        return s;
    }
}

struct span
corpus_query(struct corpus *c, struct arena *arena)
{
    uint32_t n = below(c, 3) ? 1 + below(c, 2) : 1 + below(c, 4);
    struct span q = {"", 0};

    for (uint32_t i = 0; i < n; i++) {
        struct span word = spoil(c, arena, some_word(c));
        if (below(c, 4) == 0)
            word = spoil(c, arena, arena_str(arena, word));
        if (below(c, 10) == 0 && i > 0) /* the same word again */
            word = span_split(&(struct span){q.p, q.n}, ' ');
        const char *glue = i == 0 ? "" : below(c, 12) ? " " : "";
        q = arena_printf(arena, "%.*s%s%s%.*s", SPAN_ARG(q), glue,
                         below(c, 25) || i + 1 < n ? "" : " -", SPAN_ARG(word));
    }
    return q;
}

/* A word twice, where fields differ in prefix search, is the one known deviation (README). */
static bool
has_repeated_word(struct corpus *c, struct arena *arena, struct span q)
{
    struct tkz_tokens t;

    tkz_text(fixture_analyzer(c->fixture), q, arena, &t);
    for (size_t i = 0; i < t.n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (span_eq(t.v[i].text, t.v[k].text))
                return true;
        }
    }
    return false;
}

static void
set_fields(struct corpus *c, struct arena *arena, struct qry_search *s)
{
    uint32_t order[CORPUS_FIELDS] = {0, 1, 2}, first = below(c, CORPUS_FIELDS);
    bool is_uniform = below(c, 4) > 0 || has_repeated_word(c, arena, s->q);
    bool has_prefix = below(c, 4) > 0;
    unsigned num_typos = below(c, 6) ? 2 : below(c, 2), weight = 15 - below(c, 3);

    order[0] = first;
    order[first] = 0;
    s->n_fields = 1 + below(c, CORPUS_FIELDS);
    s->fields = arena_calloc(arena, s->n_fields, sizeof *s->fields);
    for (uint32_t f = 0; f < s->n_fields; f++) {
        struct qry_search_field *field = &s->fields[f];
        field->field = order[f];
        field->weight = weight;
        field->has_prefix = is_uniform ? has_prefix : below(c, 2);
        field->num_typos = is_uniform ? num_typos : below(c, 3);
        field->infix = below(c, 30) ? QRY_INFIX_OFF : (enum qry_infix)(1 + below(c, 2));
        weight -= below(c, 3);
    }
    s->first_prefix = s->fields[0].has_prefix;
}

void
corpus_request(struct corpus *c, struct arena *arena, struct qry_search *out)
{
    struct qry_search *s = out;

    *s = (struct qry_search){.q = corpus_query(c, arena), .deadline = QRY_DEADLINE_NONE};
    set_fields(c, arena, s);
    s->min_len_1typo = below(c, 4) ? 4 : below(c, 7);
    s->min_len_2typo = below(c, 4) ? 7 : s->min_len_1typo + below(c, 4);
    s->typo_tokens_threshold = below(c, 3) ? 1 : below(c, 12);
    s->drop_tokens_threshold = below(c, 3) ? 1 : below(c, 12);
    s->drop_mode = below(c, 2) ? QRY_DROP_RIGHT_TO_LEFT : (enum qry_drop_mode)below(c, 3);
    s->drop_both_sides_max = below(c, 2) ? 1000 : below(c, 4);
    s->max_candidates = below(c, 3) ? 0 : 1 + below(c, below(c, 2) ? 4 : 20);
    s->is_exhaustive = below(c, 2);
    s->is_full = below(c, 5) == 0;
    for (size_t at = 0; at < s->q.n && s->is_full;) {
        int32_t unit; /* what full search makes of half a code point is nobody's concern */
        at = tkz_codepoint_next(s->q, at, &unit);
        s->is_full = unit >= 0;
    }
    s->split_join = below(c, 2) ? QRY_SPLIT_JOIN_FALLBACK : (enum qry_split_join)below(c, 3);
    s->text_match_type = below(c, 2) ? QRY_MAX_SCORE : (enum qry_text_match_type)below(c, 3);
    s->rank_tokens = below(c, 3) ? QRY_RANK_DEFAULT : (enum qry_rank_tokens)below(c, 3);
    s->prioritize_exact_match = below(c, 4) > 0;
    s->prioritize_token_position = below(c, 2);
    s->prioritize_num_matching_fields = below(c, 3) > 0;
    s->typos_numerical = s->typos_alpha_numerical = below(c, 6) > 0;
    s->max_extra_prefix = s->max_extra_suffix = below(c, 2) ? 32767 : below(c, 4);
    s->n_sorts = 1 + below(c, 2);
    s->sorts[0].kind = s->sorts[1].kind = QRY_SORT_TEXT_MATCH;
    s->has_group = below(c, 6) == 0;
    bool passes_all = below(c, 2);
    for (uint32_t i = 0; i < c->oracle.n_docs; i++)
        c->docs[i].passes = passes_all || below(c, 3) > 0;
}

/* ---- asking ---- */

struct asking {
    struct corpus *c;
    const struct idx_collection *collection;
    struct corpus_hit *hits;
    bool groups[CORPUS_DOCS_MAX];
    uint64_t n_groups;
};

static uint32_t
number_of(const struct idx_collection *c, uint32_t view, uint32_t doc)
{
    char text[IDX_ID_MAX];
    uint64_t n;

    must(span_u64(idx_segment_id(c->views[view].segment, doc, text), &n));
    return (uint32_t)n;
}

static void
take_hit(void *arg, uint32_t view, uint32_t doc, uint64_t text_match, uint64_t field_score)
{
    struct asking *a = arg;
    uint32_t n = number_of(a->collection, view, doc);

    must(!a->hits[n].is_hit);
    a->hits[n] = (struct corpus_hit){true, text_match, field_score};
}

static uint64_t
count_groups(void *arg, uint32_t view, uint32_t doc)
{
    struct asking *a = arg;
    uint32_t group = a->c->docs[number_of(a->collection, view, doc)].group;

    a->n_groups += !a->groups[group];
    a->groups[group] = true;
    return a->n_groups;
}

enum rc
corpus_ask(struct corpus *c, struct qry_search *s, struct arena *arena,
           struct corpus_hit hits[CORPUS_DOCS_MAX], struct qry_match **match)
{
    const struct idx_collection *collection = fixture_begin(c->fixture);
    struct asking a = {.c = c, .collection = collection, .hits = hits};
    struct qry_match_sink sink = {&a, take_hit, count_groups};
    uint64_t **words = arena_calloc(arena, collection->n_views + 1u, sizeof *words);
    struct err err;

    memset(hits, 0, CORPUS_DOCS_MAX * sizeof *hits);
    s->collection = collection;
    s->analyzer = fixture_analyzer(c->fixture);
    for (uint32_t v = 0; v < collection->n_views; v++) {
        const struct idx_view *view = &collection->views[v];
        words[v] = arena_calloc(arena, view->n_docs / 64 + 1u, sizeof(uint64_t));
        for (uint32_t d = 0; d < view->n_docs; d++) {
            if (qry_bit(view->live, d) && c->docs[number_of(collection, v, d)].passes)
                words[v][d / 64] |= (uint64_t)1 << (d % 64);
        }
    }
    struct qry_docset docs = {(const uint64_t *const *)words, false};
    enum rc rc = qry_match_run(s, &docs, &sink, arena, match, &err);
    return rc;
}
