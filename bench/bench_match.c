/*
 * Matching alone: microseconds per search inside the process, without HTTP,
 * sorting or answers, over real names.
 *
 *   bench_match DATA_DIR [N_DOCUMENTS [SEARCHES]]
 *
 * Documents are {name, tags}. Where more are asked for than there are names,
 * names are joined in pairs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "bench/names.h"
#include "index/writer.h"
#include "query/match.h"
#include "tokenizer/tokenizer.h"

enum { BATCH_DOCS = 5000, DEFAULT_DOCS = 300000, DEFAULT_SEARCHES = 2000 };

struct bench {
    struct arena arena; /* of the bench */
    struct bench_names names;
    struct tkz_analyzer analyzer;
    struct sch_collection schema;
    struct fs *fs;
    struct idx *idx;
    uint32_t uid, n_docs, n_searches;
    uint64_t state;
    const struct idx_collection *collection;
};

static uint32_t
below(struct bench *b, uint32_t n)
{
    b->state = b->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((b->state >> 33) % n);
}

static void
check(enum rc rc, const struct err *err)
{
    if (rc == RC_OK)
        return;
    (void)fprintf(stderr, "bench_match: %s\n", err->text);
    exit(1);
}

static struct span
name_of(const struct bench *b, uint32_t i, struct arena *arena)
{
    const struct bench_names *n = &b->names;

    if (i < n->n)
        return n->v[i].name;
    return arena_printf(arena, "%.*s%.*s", SPAN_ARG(n->v[i % n->n].name),
                        SPAN_ARG(n->v[(i * 7919u + i / n->n) % n->n].name));
}

static struct idx_text
text_of(const struct bench *b, struct span s, struct arena *arena)
{
    struct tkz_tokens t;

    tkz_text(&b->analyzer, s, arena, &t);
    struct span *tokens = arena_calloc(arena, t.n + 1, sizeof *tokens);
    for (size_t i = 0; i < t.n; i++)
        tokens[i] = t.v[i].text;
    return (struct idx_text){.tokens = tokens, .n_tokens = (uint32_t)t.n, .value = s};
}

static void
put_doc(struct bench *b, struct idx_batch *batch, uint32_t i)
{
    struct arena *arena = idx_batch_arena(batch);
    const struct bench_name *from = &b->names.v[i % b->names.n];
    struct idx_value *values = arena_calloc(arena, 2, sizeof *values);
    struct idx_text *texts = arena_calloc(arena, from->n_tags + 1u, sizeof *texts);
    struct idx_doc doc = {.seq = i, .json = SPAN_LIT("{}"), .values = values};

    doc.id = arena_printf(arena, "%u", i);
    texts[0] = text_of(b, name_of(b, i, arena), arena);
    for (uint32_t k = 0; k < from->n_tags; k++)
        texts[k + 1] = text_of(b, from->tags[k], arena);
    values[0] = (struct idx_value){.n = 1, .text = texts};
    values[1] = (struct idx_value){.n = from->n_tags, .text = texts + 1};
    idx_batch_put(batch, b->uid, &doc);
}

static void
build(struct bench *b, const char *dir)
{
    static const char schema[] =
        "{\"name\":\"c\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"},"
        "{\"name\":\"tags\",\"type\":\"string[]\",\"optional\":true}]}";
    struct idx_options options = {.refresh_us = 1000000,
                                  .commit_us = 1000000000,
                                  .ram_bytes_max = (uint64_t)4 << 30,
                                  .n_merge_threads = 1};
    struct err err = {0};
    struct json json;

    check(json_parse(SPAN_LIT(schema), &b->arena, &json, &err), &err);
    check(sch_parse(&json, &b->arena, &b->schema, &err), &err);
    tkz_analyzer_init(&b->analyzer, b->schema.separators, b->schema.symbols);
    check(fs_open_host(dir, &b->fs, &err), &err);
    options.fs = b->fs;
    check(idx_open(&options, &b->idx, &err), &err);
    b->uid = idx_new_uid(b->idx);
    struct idx_batch *batch = idx_batch_new();
    idx_batch_create(batch, b->uid, &b->schema, tkz_fingerprint(&b->analyzer));
    idx_batch_name(batch, b->uid);
    for (uint32_t i = 0; i < b->n_docs; i++) {
        put_doc(b, batch, i);
        if (i % BATCH_DOCS != BATCH_DOCS - 1)
            continue;
        (void)idx_submit(b->idx, &batch);
        batch = idx_batch_new();
    }
    (void)idx_submit(b->idx, &batch);
    check(idx_merge_all(b->idx, &err), &err);
}

/* ---- searches ---- */

static void
count_hit(void *arg, uint32_t view, uint32_t doc, uint64_t text_match, uint64_t field_score)
{
    uint64_t *n = arg;

    (void)view, (void)doc, (void)text_match, (void)field_score;
    ++*n;
}

struct kind {
    const char *name;
    uint32_t n_fields;
    uint32_t letters; /* of a prefix; 0: whole words */
    uint32_t n_typos, n_words;
    bool has_position;
};

static const struct kind KINDS[] = {
    {"1 letter", 1, 1, 0, 1, false},
    {"1 letter, position", 1, 1, 0, 1, true},
    {"1 letter, name+tags", 2, 1, 0, 1, true},
    {"2 letters", 1, 2, 0, 1, true},
    {"4 letters, name+tags", 2, 4, 0, 1, true},
    {"whole word", 1, 0, 0, 1, true},
    {"9 letters, 2 typos", 1, 9, 2, 1, true},
    {"9 letters, 2 typos, name+tags", 2, 9, 2, 1, true},
    {"2 words, name+tags", 2, 0, 0, 2, true},
    {"2 words, 1 letter, name+tags", 2, 1, 0, 2, true},
};

/* A word of a random name in lower case, cut and spoilt as the kind wants it. */
static struct span
word_of(struct bench *b, const struct kind *k, uint32_t letters, struct arena *arena)
{
    for (;;) {
        struct tkz_tokens t;
        tkz_text(&b->analyzer, name_of(b, below(b, b->n_docs), arena), arena, &t);
        if (t.n == 0 || t.v[0].text.n < letters || t.v[0].text.n < 3)
            continue;
        char *p = arena_str(arena, t.v[0].text);
        uint32_t n = letters ? letters : (uint32_t)t.v[0].text.n;
        for (uint32_t i = 0; i < k->n_typos; i++)
            p[1 + below(b, n - 1)] = (char)('a' + below(b, 26));
        return span_of(p, n);
    }
}

static uint64_t
ask(struct bench *b, const struct kind *k, uint64_t *n_hits)
{
    static struct arena arena; /* kept between searches, as a loop's is */
    struct qry_search_field fields[2] = {{0, 15, true, 2, QRY_INFIX_OFF},
                                         {1, 14, true, 2, QRY_INFIX_OFF}};
    const uint64_t *words[64];
    struct qry_docset docs = {words, true};
    struct qry_match_sink sink = {n_hits, count_hit, NULL};
    struct qry_match *match;
    struct err err = {0};

    arena_reset(&arena);
    struct span q = word_of(b, k, k->n_words > 1 ? 0 : k->letters, &arena);
    if (k->n_words > 1)
        q = arena_printf(&arena, "%.*s %.*s", SPAN_ARG(q),
                         SPAN_ARG(word_of(b, k, k->letters, &arena)));
    struct qry_search s = {.collection = b->collection,
                           .analyzer = &b->analyzer,
                           .q = q,
                           .fields = fields,
                           .n_fields = k->n_fields,
                           .first_prefix = true,
                           .min_len_1typo = 4,
                           .min_len_2typo = 7,
                           .typo_tokens_threshold = 1,
                           .drop_tokens_threshold = 1,
                           .is_exhaustive = true,
                           .prioritize_exact_match = true,
                           .prioritize_token_position = k->has_position,
                           .deadline = QRY_DEADLINE_NONE};
    for (uint32_t v = 0; v < b->collection->n_views; v++)
        words[v] = b->collection->views[v].live;
    uint64_t begin = clock_us();
    check(qry_match_run(&s, &docs, &sink, &arena, &match, &err), &err);
    return clock_us() - begin;
}

static int
compare(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;

    return *a < *b ? -1 : *a > *b;
}

static void
run_kind(struct bench *b, const struct kind *k)
{
    uint64_t *us = xcalloc(b->n_searches, sizeof *us), n_hits = 0, sum = 0;
    uint32_t n = b->n_searches;

    for (uint32_t i = 0; i < n; i++)
        sum += us[i] = ask(b, k, &n_hits);
    qsort(us, n, sizeof *us, compare);
    printf("%-32s p50 %7.3f  p90 %7.3f  p99 %7.3f  max %7.3f ms  mean %7.3f  hits %.0f\n", k->name,
           (double)us[n / 2] / 1e3, (double)us[n - 1 - n / 10] / 1e3,
           (double)us[n - 1 - n / 100] / 1e3, (double)us[n - 1] / 1e3,
           (double)sum / n / 1e3, (double)n_hits / n);
    (void)fflush(stdout);
    free(us);
}

int
main(int argc, char **argv)
{
    struct bench b = {.n_docs = DEFAULT_DOCS, .n_searches = DEFAULT_SEARCHES, .state = 7};
    char path[300], dir[] = "/tmp/tailfin-bench-XXXXXX";
    struct err err = {0};

    if (argc < 2) {
        (void)fprintf(stderr, "bench_match DATA_DIR [N_DOCUMENTS [SEARCHES]]\n");
        return 2;
    }
    if (argc > 2)
        b.n_docs = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        b.n_searches = (uint32_t)strtoul(argv[3], NULL, 10);
    (void)snprintf(path, sizeof path, "%s/emotes_real.jsonl.gz", argv[1]);
    check(bench_names_read(path, &b.arena, &b.names, &err), &err);
    must(mkdtemp(dir));
    uint64_t begin = clock_us();
    build(&b, dir);
    struct idx_reader *reader = idx_reader_new(b.idx);
    b.collection = idx_snapshot_find_uid(idx_reader_begin(reader), b.uid);
    printf("%u documents in %u segments, built in %.1f s\n", (unsigned)b.collection->n_docs,
           b.collection->n_views, (double)(clock_us() - begin) / 1e6);
    for (size_t i = 0; i < ARRAY_SIZE(KINDS); i++)
        run_kind(&b, &KINDS[i]);
    idx_reader_end(reader);
    idx_reader_free(reader);
    (void)idx_close(b.idx, &err);
    fs_close(b.fs);
    (void)snprintf(path, sizeof path, "rm -rf %s", dir);
    return system(path) == 0 ? 0 : 1;
}
