#include "tests/index/corpus.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/ulid.h"

static void
init_schema(struct corpus *c, enum sch_tie tie)
{
    enum { TEXT = SCH_INDEXED, NUMBER = SCH_INDEXED | SCH_SORT };
    static const struct sch_field fields[CORPUS_FIELD_N] = {
        [CORPUS_NAME] = {{"name", 4}, SCH_STRING, TEXT | SCH_SORT | SCH_ORDER, {0}, NULL},
        [CORPUS_TAGS] = {{"tags", 4}, SCH_STRING, TEXT | SCH_FACET | SCH_ARRAY, {0}, NULL},
        [CORPUS_KIND] = {{"kind", 4}, SCH_STRING, TEXT | SCH_FACET, {0}, NULL},
        [CORPUS_EMOTES] = {{"emotes", 6}, SCH_STRING, TEXT | SCH_EXACT | SCH_ARRAY, {0}, NULL},
        [CORPUS_OWNER] = {{"owner", 5}, SCH_STRING, TEXT | SCH_EXACT | SCH_OPTIONAL, {0}, NULL},
        [CORPUS_SCORE] = {{"score", 5}, SCH_INT32, NUMBER | SCH_ORDER, {0}, NULL},
        [CORPUS_AT] = {{"at", 2}, SCH_INT64, NUMBER | SCH_ORDER, {0}, NULL},
        [CORPUS_WEIGHT] = {{"weight", 6}, SCH_FLOAT, NUMBER | SCH_ORDER, {0}, NULL},
        [CORPUS_IS_ON] = {{"is_on", 5}, SCH_BOOL, NUMBER | SCH_ORDER, {0}, NULL},
        [CORPUS_FLAGS] = {{"flags", 5}, SCH_BOOL, SCH_INDEXED | SCH_ARRAY, {0}, NULL},
        [CORPUS_NUMBERS] = {{"numbers", 7}, SCH_INT32, SCH_INDEXED | SCH_ARRAY, {0}, NULL},
        [CORPUS_TIMES] = {{"times", 5}, SCH_INT64, SCH_INDEXED | SCH_ARRAY, {0}, NULL},
        [CORPUS_SHARES] = {{"shares", 6}, SCH_FLOAT, SCH_INDEXED | SCH_ARRAY, {0}, NULL},
        [CORPUS_HIDDEN] = {{"hidden", 6}, SCH_STRING, 0, {0}, NULL},
        [CORPUS_NEVER] = {{"never", 5}, SCH_INT32, NUMBER | SCH_ORDER, {0}, NULL},
        [CORPUS_LONG] = {{"long", 4}, SCH_STRING, SCH_FACET | SCH_SORT | SCH_ORDER, {0}, NULL},
    };
    memcpy(c->fields, fields, sizeof fields);
    c->schema = (struct sch_collection){.name = SPAN_LIT("things"),
                                        .fields = c->fields,
                                        .n_fields = CORPUS_FIELD_N,
                                        .default_sort = -1,
                                        .tie = tie};
}

/* ---- random values ---- */

static bool
chance(struct corpus *c, unsigned percent)
{
    return rng_below(c->rng, 100) < percent;
}

/* Few letters, so that words share prefixes; now and then any bytes. */
static struct span
random_word(struct corpus *c, size_t max)
{
    size_t n = 1 + rng_below(c->rng, chance(c, 90) && max > 6 ? 6 : max);
    char *p = arena_alloc(&c->arena, n);
    bool is_any = chance(c, 5);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(is_any ? rng_below(c->rng, 256) : 'a' + rng_below(c->rng, 4));
    return span_of(p, n);
}

static struct span
random_ulid(struct corpus *c, uint64_t n_distinct)
{
    unsigned char bytes[ULID_BYTES_N] = {1, 2};
    uint64_t x = rng_below(c->rng, n_distinct) * 0x9e3779b97f4a7c15u;
    memcpy(bytes + 4, &x, sizeof x);
    char *text = arena_alloc(&c->arena, ULID_TEXT_N);
    ulid_write(bytes, text);
    return span_of(text, ULID_TEXT_N);
}

static struct span
random_long(struct corpus *c)
{
    static const size_t sizes[] = {0, 1, 200, 254, 255, 256, 260, 300, 1000, 65534, 65535, 70000};
    size_t n = sizes[rng_below(c->rng, chance(c, 5) ? 12 : 9)];
    char *p = arena_alloc(&c->arena, n + 1);
    memset(p, 'x', n + 1); /* long shared beginnings */
    for (int i = 0; n && i < 3; i++)
        p[chance(c, 50) ? n - 1 - rng_below(c->rng, n < 60 ? n : 60) : rng_below(c->rng, n)] =
            (char)('x' + rng_below(c->rng, 3));
    return span_of(p, n);
}

static struct idx_text
random_text(struct corpus *c, enum corpus_field field)
{
    struct idx_text t = {0};
    if (field == CORPUS_EMOTES) {
        bool is_odd = c->has_odd_emotes && chance(c, 1);
        t.value = is_odd ? random_word(c, 20) : random_ulid(c, 300);
    } else if (field == CORPUS_OWNER) {
        t.value = chance(c, 90) ? random_ulid(c, 50) : random_word(c, 40);
    } else if (field == CORPUS_LONG) {
        t.value = t.sort_key = random_long(c);
    } else {
        uint32_t n = (uint32_t)rng_below(c->rng, chance(c, 3) ? 120 : 4);
        struct span *tokens = arena_calloc(&c->arena, n, sizeof *tokens);
        for (uint32_t i = 0; i < n; i++)
            tokens[i] = field == CORPUS_KIND ? SPAN_LIT("common") : random_word(c, IDX_TERM_MAX);
        t.tokens = tokens;
        t.n_tokens = n;
        t.value = field == CORPUS_KIND && chance(c, 80) ? SPAN_LIT("most") : random_word(c, 20);
        t.sort_key = chance(c, 90) ? t.value : (struct span){0};
    }
    return t;
}

static int64_t
random_int(struct corpus *c)
{
    static const int64_t edges[] = {
        INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 0, -1, (int64_t)INT32_MAX + 1};
    if (chance(c, 5))
        return edges[rng_below(c->rng, ARRAY_SIZE(edges))];
    return (int64_t)rng_below(c->rng, 200) - 100;
}

static struct idx_value
random_value(struct corpus *c, enum corpus_field field)
{
    const struct sch_field *f = &c->fields[field];
    struct idx_value v = {.n = 1};
    if (f->flags & SCH_ARRAY)
        v.n = (uint32_t)rng_below(c->rng, chance(c, 2) ? 300 : 4);
    else if (field == CORPUS_NEVER || (field != CORPUS_AT && chance(c, 10)))
        v.n = 0;
    int64_t *i64 = arena_calloc(&c->arena, v.n, sizeof *i64);
    double *f64 = arena_calloc(&c->arena, v.n, sizeof *f64);
    struct idx_text *text = arena_calloc(&c->arena, v.n, sizeof *text);
    for (uint32_t i = 0; i < v.n; i++) {
        i64[i] = f->type == SCH_BOOL ? (int64_t)rng_below(c->rng, 2) : random_int(c);
        f64[i] = (double)random_int(c) / 8 * (chance(c, 3) ? -0.0 : 1);
        if (f->type == SCH_STRING)
            text[i] = random_text(c, field);
    }
    if (f->type == SCH_STRING)
        v.text = text;
    else if (f->type == SCH_FLOAT)
        v.f64 = f64;
    else
        v.i64 = i64;
    return v;
}

static bool
are_ulids(const struct idx_value *v)
{
    unsigned char bytes[ULID_BYTES_N];
    uint32_t i = 0;
    while (i < v->n && ulid_read(v->text[i].value, bytes))
        i++;
    return i == v->n;
}

/* Bytes of any kind, with the emotes' array between. */
static struct span
random_json(struct corpus *c, const struct idx_value *emotes, struct corpus_gaps *gaps)
{
    struct buf text = {0}, json = {0};
    for (uint32_t i = 0; i < emotes->n; i++)
        buf_printf(&text, "%c\"%.*s\"", i ? ',' : '[', SPAN_ARG(emotes->text[i].value));
    buf_putc(&text, ']');
    gaps->text = arena_dup(&c->arena, buf_span(&text));
    uint32_t n_gaps = 0;
    if (emotes->n > 0 && are_ulids(emotes))
        n_gaps = (uint32_t)rng_below(c->rng, CORPUS_GAPS_MAX + 1);
    for (uint32_t i = 0; i <= n_gaps; i++) {
        for (uint64_t n = rng_below(c->rng, chance(c, 2) ? 40000 : 300); n > 0; n--)
            buf_putc(&json, (char)(chance(c, 20) ? rng_below(c->rng, 256) : ' '));
        if (i == n_gaps)
            break;
        gaps->at[gaps->n++] = (uint32_t)json.n;
        buf_put_span(&json, gaps->text);
    }
    struct span copy = arena_dup(&c->arena, buf_span(&json));
    buf_fini(&text);
    buf_fini(&json);
    return copy;
}

static void
random_doc(struct corpus *c, uint32_t i, enum corpus_ids ids, struct idx_doc *d)
{
    struct idx_value *values = arena_calloc(&c->arena, CORPUS_FIELD_N, sizeof *values);
    for (int field = 0; field < CORPUS_FIELD_N; field++)
        values[field] = random_value(c, (enum corpus_field)field);
    d->values = values;
    d->seq = rng_below(c->rng, UINT64_MAX);
    d->id = ids == CORPUS_ULIDS ? random_ulid(c, UINT64_MAX) : random_word(c, 300);
    if (ids == CORPUS_TEXT_IDS)
        d->id =
            arena_printf(&c->arena, "%.*s-%u", (int)(d->id.n < 260 ? d->id.n : 260), d->id.p, i);
    d->json = random_json(c, &values[CORPUS_EMOTES], &c->gaps[i]);
}

void
corpus_init(struct corpus *c, struct rng *rng, uint32_t n_docs, enum corpus_ids ids,
            enum sch_tie tie)
{
    *c = (struct corpus){.rng = rng, .n_docs = n_docs, .has_odd_emotes = rng_below(rng, 3) == 0};
    init_schema(c, tie);
    c->docs = arena_calloc(&c->arena, n_docs, sizeof *c->docs);
    c->gaps = arena_calloc(&c->arena, n_docs, sizeof *c->gaps);
    for (uint32_t i = 0; i < n_docs; i++)
        random_doc(c, i, ids, &c->docs[i]);
}

void
corpus_fini(struct corpus *c)
{
    arena_fini(&c->arena);
}

/* ---- segments ---- */

/* The emotes as bytes. */
static const struct idx_value *
packed_values(const struct idx_doc *d, struct arena *arena)
{
    struct idx_value *values = arena_calloc(arena, CORPUS_FIELD_N, sizeof *values);
    memcpy(values, d->values, CORPUS_FIELD_N * sizeof *values);
    const struct idx_value *emotes = &d->values[CORPUS_EMOTES];
    unsigned char *ulids = arena_alloc(arena, (size_t)emotes->n * ULID_BYTES_N);
    for (uint32_t i = 0; i < emotes->n; i++)
        assert_true(ulid_read(emotes->text[i].value, ulids + (size_t)i * ULID_BYTES_N));
    values[CORPUS_EMOTES] = (struct idx_value){.n = emotes->n, .ulids = ulids, .is_ulids = true};
    return values;
}

struct idx_doc
corpus_doc(const struct corpus *c, uint32_t i, struct arena *arena)
{
    const struct corpus_gaps *gaps = &c->gaps[i];
    struct idx_doc d = c->docs[i];
    bool has_field = c->schema.n_fields > CORPUS_EMOTES;
    if (!has_field || (gaps->n == 0 && (i % 2 || !are_ulids(&d.values[CORPUS_EMOTES]))))
        return d;
    d.values = packed_values(&d, arena);
    if (gaps->n == 0)
        return d;
    struct idx_gap *v = arena_calloc(arena, gaps->n, sizeof *v);
    struct buf text = {0};
    size_t at = 0;
    for (uint32_t g = 0; g < gaps->n; g++) {
        buf_put(&text, d.json.p + at, gaps->at[g] - at);
        at = gaps->at[g] + gaps->text.n;
        v[g] = (struct idx_gap){(uint32_t)text.n, CORPUS_EMOTES};
    }
    buf_put_span(&text, span_from(d.json, at));
    d.json = arena_dup(arena, buf_span(&text));
    d.gaps = v;
    d.n_gaps = gaps->n;
    buf_fini(&text);
    return d;
}

struct buf
corpus_bytes(const struct corpus *c, const uint32_t *which, uint32_t n, bool is_compressed)
{
    struct idx_builder *b = idx_builder_new(&c->schema, is_compressed);
    struct buf bytes = {0};
    struct arena arena = {0};
    struct err err = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct idx_doc d = corpus_doc(c, which[i], &arena);
        assert_int_equal(idx_builder_add(b, &d), i);
    }
    arena_fini(&arena);
    assert_int_equal(idx_builder_n(b), n);
    assert_int_equal(idx_builder_finish(b, &bytes, &err), RC_OK);
    assert_int_equal(idx_builder_n(b), 0);
    idx_builder_free(b);
    return bytes;
}

struct idx_segment *
segment_of(struct buf *take_bytes, const struct sch_collection *schema)
{
    struct idx_segment *s = NULL;
    struct err err = {0};
    if (idx_segment_open_ram(take_bytes, schema, &s, &err) != RC_OK)
        fail_msg("%s", err.text);
    return s;
}

struct idx_segment *
corpus_segment(const struct corpus *c, uint32_t begin, uint32_t end, bool is_compressed)
{
    uint32_t *which = xmalloc((end - begin) * sizeof *which);
    for (uint32_t i = begin; i < end; i++)
        which[i - begin] = i;
    struct buf bytes = corpus_bytes(c, which, end - begin, is_compressed);
    free(which);
    return segment_of(&bytes, &c->schema);
}

static void
print_finding(void *arg, const char *finding)
{
    (void)arg;
    print_error("finding: %s\n", finding);
}

void
segment_check(const struct idx_segment *s)
{
    assert_int_equal(idx_segment_verify(s, print_finding, NULL), RC_OK);
    assert_false(idx_segment_is_corrupt(s));
}
