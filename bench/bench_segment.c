/*
 * Builds, merges and walks segments of names, one a line in the file named on
 * the command line (JSON lines with a "name" are understood): time per
 * operation and bytes per document, section by section.
 *
 *   bench_segment NAMES [DOCUMENTS]
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/ulid.h"

#include "index/parts.h"

enum {
    F_NAME,
    F_TAGS,
    F_OWNER,
    F_SCORE,
    F_AT,
    F_RANK,
    F_IS_ON,
    F_IS_ZERO,
    F_FLAGS,
    F_COUNT,
    N_FIELDS
};

struct bench {
    struct arena arena;
    struct span *names; /* n_names */
    size_t n_names, cap;
    struct sch_collection schema;
    uint32_t n_docs;
    uint64_t state; /* of the random numbers */
    struct idx_value values[N_FIELDS];
    int64_t numbers[N_FIELDS];
    struct idx_text name, owner, tags[4];
    struct span name_tokens[16], tag_tokens[4][4];
    char lower[4096], owner_text[ULID_TEXT_N];
};

static uint64_t
next_random(struct bench *b)
{
    uint64_t z = (b->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void
read_names(struct bench *b, const char *path)
{
    struct buf text = {0};
    struct err err = {0};
    if (fs_read_path(path, (size_t)1 << 30, &text, &err) != RC_OK) {
        (void)fprintf(stderr, "bench_segment: %s\n", err.text);
        exit(1);
    }
    struct span rest = arena_dup(&b->arena, buf_span(&text));
    while (rest.p) {
        struct span line = span_trim(span_split(&rest, '\n'));
        if (span_starts(line, SPAN_LIT("{\"name\": \""))) {
            line = span_from(line, 10);
            line.n = span_find(line, 0, '"');
        }
        if (line.n == 0)
            continue;
        if (b->n_names == b->cap)
            b->names = xgrow(b->names, &b->cap, b->n_names + 1, sizeof *b->names);
        b->names[b->n_names++] = line;
    }
    buf_fini(&text);
    must(b->n_names > 0);
}

static void
init_schema(struct bench *b)
{
    static struct sch_field fields[N_FIELDS] = {
        [F_NAME] = {{"name", 4}, SCH_STRING, SCH_INDEXED | SCH_SORT, {0}, NULL},
        [F_TAGS] = {{"tags", 4}, SCH_STRING, SCH_INDEXED | SCH_ARRAY | SCH_FACET, {0}, NULL},
        [F_OWNER] = {{"owner", 5}, SCH_STRING, SCH_INDEXED | SCH_EXACT, {0}, NULL},
        [F_SCORE] = {{"score", 5}, SCH_INT32, SCH_INDEXED | SCH_SORT | SCH_ORDER, {0}, NULL},
        [F_AT] = {{"at", 2}, SCH_INT64, SCH_INDEXED | SCH_SORT | SCH_ORDER, {0}, NULL},
        [F_RANK] = {{"rank", 4}, SCH_INT32, SCH_INDEXED | SCH_SORT, {0}, NULL},
        [F_IS_ON] = {{"is_on", 5}, SCH_BOOL, SCH_INDEXED | SCH_SORT, {0}, NULL},
        [F_IS_ZERO] = {{"is_zero", 7}, SCH_BOOL, SCH_INDEXED | SCH_SORT, {0}, NULL},
        [F_FLAGS] = {{"flags", 5}, SCH_INT32, SCH_INDEXED | SCH_SORT, {0}, NULL},
        [F_COUNT] = {{"count", 5}, SCH_INT64, SCH_INDEXED | SCH_SORT, {0}, NULL},
    };
    b->schema = (struct sch_collection){
        .fields = fields, .n_fields = N_FIELDS, .default_sort = -1, .tie = SCH_TIE_ID};
}

/* Lower-cases and splits at anything that is no letter or digit; a stand-in for the tokenizer. */
static uint32_t
split(struct span in, char *lower, struct span *tokens, uint32_t max)
{
    uint32_t n = 0;
    size_t begin = 0;
    for (size_t i = 0; i <= in.n; i++) {
        unsigned char c = i < in.n ? (unsigned char)in.p[i] : ' ';
        lower[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        if (c >= 0x80 || (c >= '0' && c <= '9') || (lower[i] >= 'a' && lower[i] <= 'z'))
            continue;
        if (i > begin && n < max)
            tokens[n++] = span_of(lower + begin, i - begin < 100 ? i - begin : 100);
        begin = i + 1;
    }
    return n;
}

static void
make_doc(struct bench *b, uint32_t i, struct idx_doc *doc, struct buf *json, char *id)
{
    unsigned char bytes[ULID_BYTES_N] = {1, (unsigned char)(i >> 24), (unsigned char)(i >> 16),
                                         (unsigned char)(i >> 8), (unsigned char)i};
    uint64_t r = next_random(b);
    memcpy(bytes + 6, &r, sizeof r);
    ulid_write(bytes, id);
    struct span name = b->names[i % b->n_names];
    name.n = name.n < 1000 ? name.n : 1000;
    b->name = (struct idx_text){b->name_tokens, split(name, b->lower, b->name_tokens, 16), name,
                                span_of(b->lower, name.n)};
    uint32_t n_tags = (uint32_t)(r % 3), at = 1200;
    for (uint32_t t = 0; t < n_tags; t++) {
        struct span tag = b->names[(r >> (8 * t + 8)) % 500 % b->n_names];
        b->tags[t] = (struct idx_text){
            b->tag_tokens[t], split(tag, b->lower + at, b->tag_tokens[t], 4), tag, {0}};
        at += 200;
    }
    memset(bytes, 0, sizeof bytes);
    uint64_t owner = next_random(b) % (b->n_docs / 5 + 1);
    memcpy(bytes + 6, &owner, sizeof owner);
    ulid_write(bytes, b->owner_text);
    b->owner = (struct idx_text){NULL, 0, span_of(b->owner_text, ULID_TEXT_N), {0}};
    b->values[F_NAME] = (struct idx_value){.n = 1, .text = &b->name};
    b->values[F_TAGS] = (struct idx_value){.n = n_tags, .text = b->tags};
    b->values[F_OWNER] = (struct idx_value){.n = 1, .text = &b->owner};
    for (uint32_t f = F_SCORE; f < N_FIELDS; f++) {
        b->numbers[f] = (int64_t)(next_random(b) % 100000);
        b->values[f] = (struct idx_value){.n = 1, .i64 = &b->numbers[f]};
    }
    buf_clear(json);
    buf_printf(json,
               "{\"id\":\"%.*s\",\"name\":\"%.*s\",\"owner\":\"%.*s\",\"score\":%d,\"at\":%d,"
               "\"rank\":%d,\"is_on\":true,\"is_zero\":false,\"flags\":%d,\"count\":%d,"
               "\"search_updated_at\":1671271360768,\"tags\":[\"one\",\"two\"]}",
               ULID_TEXT_N, id, SPAN_ARG(name), ULID_TEXT_N, b->owner_text,
               (int)b->numbers[F_SCORE], (int)b->numbers[F_AT], (int)b->numbers[F_RANK],
               (int)b->numbers[F_FLAGS], (int)b->numbers[F_COUNT]);
    *doc = (struct idx_doc){
        .id = span_of(id, ULID_TEXT_N), .json = buf_span(json), .values = b->values};
}

/* ---- what is measured ---- */

static struct idx_segment *
build(struct bench *b, uint32_t begin, uint32_t end, bool is_loud)
{
    struct idx_builder *builder = idx_builder_new(&b->schema, true);
    struct buf json = {0}, bytes = {0};
    struct idx_doc doc;
    struct idx_segment *s = NULL;
    struct err err = {0};
    char id[ULID_TEXT_N];
    uint64_t start = clock_us();
    for (uint32_t i = begin; i < end; i++) {
        make_doc(b, i, &doc, &json, id);
        (void)idx_builder_add(builder, &doc);
    }
    uint64_t add_us = clock_us() - start;
    start = clock_us();
    enum rc rc = idx_builder_finish(builder, &bytes, &err);
    uint64_t finish_us = clock_us() - start;
    start = clock_us();
    for (uint32_t i = begin; i < end; i++)
        make_doc(b, i, &doc, &json, id); /* again, to take its own time off */
    uint64_t make_us = clock_us() - start;
    if (is_loud)
        (void)printf("build    %u documents: add %.2f us, finish %.2f us each\n", end - begin,
                     (double)(add_us - make_us) / (end - begin), (double)finish_us / (end - begin));
    if (rc == RC_OK)
        rc = idx_segment_open_ram(&bytes, &b->schema, &s, &err);
    if (rc != RC_OK) {
        (void)fprintf(stderr, "bench_segment: %s\n", err.text);
        exit(1);
    }
    idx_builder_free(builder);
    buf_fini(&json);
    return s;
}

static void
print_sizes(const struct idx_segment *s)
{
    static const char *const names[SEG_KIND_N] = {"",       "ids",      "id table", "seq",
                                                  "blocks", "docs",     "column",   "order",
                                                  "dict",   "postings", "forward"};
    (void)printf("size     %.1f bytes a document\n", (double)s->bytes.n / s->n_docs);
    for (uint32_t i = 0; i < s->n_sections; i++) {
        const struct idx_section *x = &s->sections[i];
        (void)printf("         %-8s field %2d sub %d: %7.2f (n %u)\n", names[x->kind],
                     (int)x->field, x->sub, (double)x->bytes.n / s->n_docs, x->n);
    }
}

static void
bench_merge(struct bench *b, uint32_t n_parts)
{
    struct idx_merge_input *inputs = xcalloc(n_parts, sizeof *inputs);
    struct idx_segment **parts = xcalloc(n_parts, sizeof(struct idx_segment *));
    uint64_t **live = xcalloc(n_parts, sizeof(uint64_t *));
    uint32_t each = b->n_docs / n_parts;
    for (uint32_t i = 0; i < n_parts; i++) {
        parts[i] = build(b, i * each, (i + 1) * each, false);
        uint32_t n_live = 0;
        live[i] = xcalloc(each / 64 + 1, sizeof **live);
        for (uint32_t doc = 0; doc < each; doc++) {
            live[i][doc / 64] |= (uint64_t)(doc % 50 != 0) << (doc % 64);
            n_live += doc % 50 != 0;
        }
        inputs[i] =
            (struct idx_merge_input){parts[i], live[i], n_live, xmalloc(each * sizeof(uint32_t))};
    }
    struct buf out = {0};
    struct err err = {0};
    uint64_t start = clock_us();
    enum rc rc = idx_segment_merge(inputs, n_parts, &b->schema, NULL, &out, &err);
    uint64_t us = clock_us() - start;
    must(rc == RC_OK);
    (void)printf("merge    %u parts: %.0f ms, %.0f documents/s\n", n_parts, (double)us / 1000,
                 b->n_docs * 1e6 / (double)us);
    for (uint32_t i = 0; i < n_parts; i++) {
        idx_segment_free(parts[i]);
        free(live[i]);
        free(inputs[i].new_doc);
    }
    buf_fini(&out);
    free(parts);
    free(live);
    free(inputs);
}

/* What a publication costs: small batches, one builder, and merging ten of them. */
static void
bench_small(struct bench *b)
{
    enum { BATCH = 100, N = 200 };
    struct idx_builder *builder = idx_builder_new(&b->schema, false);
    struct buf json = {0};
    struct idx_doc doc;
    char id[ULID_TEXT_N];
    uint64_t finish_us = 0, open_us = 0, merge_us = 0;
    uint64_t live[2] = {UINT64_MAX, ((uint64_t)1 << (BATCH - 64)) - 1};
    static uint32_t new_doc[10][BATCH];
    struct idx_merge_input inputs[10];
    struct idx_segment *parts[10];
    for (uint32_t i = 0; i < N; i++) {
        struct buf bytes = {0}, merged = {0};
        for (uint32_t j = 0; j < BATCH; j++) {
            make_doc(b, i * BATCH + j, &doc, &json, id);
            (void)idx_builder_add(builder, &doc);
        }
        uint64_t start = clock_us();
        enum rc rc = idx_builder_finish(builder, &bytes, NULL);
        uint64_t built = clock_us();
        if (rc == RC_OK)
            rc = idx_segment_open_ram(&bytes, &b->schema, &parts[i % 10], NULL);
        must(rc == RC_OK);
        open_us += clock_us() - built;
        finish_us += built - start;
        inputs[i % 10] = (struct idx_merge_input){parts[i % 10], live, BATCH, new_doc[i % 10]};
        if (i % 10 != 9)
            continue;
        start = clock_us();
        rc = idx_segment_merge(inputs, 10, &b->schema, NULL, &merged, NULL);
        merge_us += clock_us() - start;
        must(rc == RC_OK);
        buf_fini(&merged);
        for (uint32_t j = 0; j < 10; j++)
            idx_segment_free(parts[j]);
    }
    (void)printf("small    %d documents: finish %.0f us, open %.1f us; merge of 10: %.0f us\n",
                 BATCH, (double)finish_us / N, (double)open_us / N, (double)merge_us / (N / 10));
    idx_builder_free(builder);
    buf_fini(&json);
}

/* A depth-first walk that leaves every path at the given depth, as an automaton that died there. */
static void
bench_walk(const struct idx_terms *t, uint32_t depth)
{
    struct idx_cursor c;
    uint64_t start = clock_us();
    uint32_t n = 0, rounds = 20;
    uint64_t sum = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        idx_cursor_init(&c, t);
        for (bool more = idx_cursor_next(&c); more; n++) {
            sum += (unsigned char)c.term[c.n - 1] + c.shared;
            more = c.n >= depth ? idx_cursor_skip(&c, depth) : idx_cursor_next(&c);
        }
    }
    uint64_t us = clock_us() - start;
    (void)printf("walk     depth %2u: %u of %u terms, %.1f ns each, %.2f ms a walk (%llu)\n", depth,
                 n / rounds, idx_terms_n(t), (double)us * 1e3 / n, (double)us / 1e3 / rounds,
                 (unsigned long long)sum % 10);
}

static void
bench_lookups(struct bench *b, const struct idx_segment *s)
{
    const struct idx_terms *t = idx_segment_terms(s, F_NAME, IDX_TEXT);
    struct buf term = {0};
    enum { N = 200000 };
    uint64_t us = 0, hits = 0;
    struct span *terms = xcalloc(N, sizeof *terms);
    for (uint32_t i = 0; i < N; i++) {
        buf_clear(&term);
        idx_terms_get(t, (uint32_t)(next_random(b) % idx_terms_n(t)), &term);
        terms[i] = arena_dup(&b->arena, buf_span(&term));
    }
    us = clock_us();
    for (uint32_t i = 0; i < N; i++) {
        uint32_t ord;
        hits += idx_terms_find(t, terms[i], &ord);
    }
    (void)printf("find     %.0f ns (%llu hits)\n", (double)(clock_us() - us) * 1e3 / N,
                 (unsigned long long)hits);
    us = clock_us();
    for (uint32_t i = 0; i < N; i++) {
        buf_clear(&term);
        idx_terms_get(t, (uint32_t)(next_random(b) % idx_terms_n(t)), &term);
    }
    (void)printf("get      %.0f ns\n", (double)(clock_us() - us) * 1e3 / N);
    us = clock_us();
    uint32_t list[64], n = 0;
    for (uint32_t i = 0; i < N; i++)
        n += idx_forward(t, (uint32_t)(next_random(b) % s->n_docs), list, 64);
    (void)printf("forward  %.1f ns (%.2f each)\n", (double)(clock_us() - us) * 1e3 / N,
                 n / (double)N);
    us = clock_us();
    uint64_t sum = 0;
    for (uint32_t i = 0; i < N; i++)
        sum += idx_terms_df(t, (uint32_t)(next_random(b) % idx_terms_n(t)));
    (void)printf("df       %.1f ns (%.2f)\n", (double)(clock_us() - us) * 1e3 / N, (double)sum / N);
    us = clock_us();
    uint64_t *words = xcalloc(s->n_docs / 64 + 1, sizeof *words);
    idx_terms_or(t, 0, idx_terms_n(t), words);
    (void)printf("or       %.1f ns a term, all terms\n",
                 (double)(clock_us() - us) * 1e3 / idx_terms_n(t));
    us = clock_us();
    hits = 0;
    char id[ULID_TEXT_N] = "01GMFRJA800007JWKSWBEWV3C";
    for (uint32_t i = 0; i < N; i++) {
        uint32_t doc;
        id[20] = "0123456789ABCDEF"[i % 16];
        id[21] = "0123456789ABCDEF"[i / 16 % 16];
        hits += idx_segment_find_id(s, span_of(id, sizeof id), &doc);
    }
    (void)printf("find id  %.1f ns for a miss (%llu)\n", (double)(clock_us() - us) * 1e3 / N,
                 (unsigned long long)hits);
    buf_fini(&term);
    free(words);
    free(terms);
}

static void
bench_docs(struct bench *b, const struct idx_segment *s)
{
    struct idx_doc_reader *r = idx_doc_reader_new();
    struct span json;
    enum { N = 5000 };
    uint64_t us = clock_us();
    for (uint32_t i = 0; i < N; i++)
        must(idx_doc_reader_get(r, s, (uint32_t)(next_random(b) % s->n_docs), &json, NULL) ==
             RC_OK);
    (void)printf("document %.1f us at random\n", (double)(clock_us() - us) / N);
    us = clock_us();
    for (uint32_t i = 0; i < s->n_docs; i++)
        must(idx_doc_reader_get(r, s, i, &json, NULL) == RC_OK);
    (void)printf("document %.2f us in order\n", (double)(clock_us() - us) / s->n_docs);
    idx_doc_reader_free(r);
}

int
main(int argc, char **argv)
{
    struct bench b = {.state = 1};
    uint64_t n_docs = 300000;
    if (argc < 2 || (argc > 2 && !span_u64(span_str(argv[2]), &n_docs))) {
        (void)fprintf(stderr, "usage: bench_segment NAMES [DOCUMENTS]\n");
        return 2;
    }
    b.n_docs = (uint32_t)n_docs;
    read_names(&b, argv[1]);
    init_schema(&b);
    struct idx_segment *s = build(&b, 0, b.n_docs, true);
    print_sizes(s);
    const struct idx_terms *t = idx_segment_terms(s, F_NAME, IDX_TEXT);
    static const uint32_t depths[] = {1, 2, 3, 4, 5, 6, 100};
    for (size_t i = 0; i < ARRAY_SIZE(depths); i++)
        bench_walk(t, depths[i]);
    bench_lookups(&b, s);
    bench_docs(&b, s);
    uint64_t start = clock_us();
    enum rc rc = idx_segment_verify(s, NULL, NULL);
    (void)printf("verify   %.0f ms (%s)\n", (double)(clock_us() - start) / 1000, rc_name(rc));
    idx_segment_free(s);
    bench_small(&b);
    bench_merge(&b, 8);
    bench_merge(&b, 100);
    arena_fini(&b.arena);
    free(b.names);
    return 0;
}
