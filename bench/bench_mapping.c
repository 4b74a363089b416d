/*
 * How long a document takes from BSON to what is handed to the index, tokens
 * included, and how long a user's derivation takes from a real index with
 * edges, roles and emote sets. One thread. Arguments: emotes users.
 */
#include <bson/bson.h>

#include "bench/corpus.h"
#include "index/writer.h"
#include "indexer/mapping.h"
#include "schema/profile.h"

enum { BATCH = 1000, N_EMOTES = 100000, N_USERS = 160000, ROUNDS = 3, SEED = 23 };

static const char *const names[CORPUS_KIND_N] = {[CORPUS_EMOTES] = "emotes",
                                                 [CORPUS_USERS] = "users",
                                                 [CORPUS_SETS] = "emote_sets",
                                                 [CORPUS_ROLES] = "roles",
                                                 [CORPUS_EDGES] = "entitlement_edges"};

struct bench {
    struct corpus corpus;
    struct arena arena;
    struct sch_profile profile;
    struct ing_mapping *mappings[CORPUS_KIND_N];
    uint32_t uids[CORPUS_KIND_N];
    struct ing_relations *relations;
    struct err err;
};

/* CPU time of this thread: the machine may be busy with other things. */
static double
cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
check(enum rc rc, const struct bench *b)
{
    if (rc != RC_OK)
        fprintf(stderr, "%s: %s\n", rc_name(rc), b->err.text);
    must(rc == RC_OK);
}

/* The documents of a kind, made before the clock runs. */
static bson_t *
make_documents(const struct bench *b, enum corpus_kind kind, uint32_t n)
{
    bson_t *docs = xcalloc(n, sizeof *docs);
    for (uint32_t i = 0; i < n; i++) {
        bson_init(&docs[i]);
        corpus_document(&b->corpus, kind, i, &docs[i]);
    }
    return docs;
}

static void
free_documents(bson_t *docs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        bson_destroy(&docs[i]);
    free(docs);
}

/* Maps all, forgetting a batch after the other. */
static void
map_all(struct bench *b, enum corpus_kind kind, const bson_t *docs, uint32_t n, const char *what)
{
    struct ing_mapping_env env = {.relations = b->relations, .now_ms = 1, .arena = &b->arena};
    size_t n_bson = 0, n_json = 0, n_arena = 0;
    double best_us = 1e18;
    for (unsigned round = 0; round < ROUNDS; round++) {
        double begin_us = cpu_us();
        n_bson = n_json = 0;
        for (uint32_t i = 0; i < n; i++) {
            struct ing_mapped mapped;
            if (i % BATCH == 0) {
                n_arena = b->arena.total_bytes > n_arena ? b->arena.total_bytes : n_arena;
                arena_reset(&b->arena);
            }
            check(ing_mapping_run(b->mappings[kind], &docs[i], &env, &mapped, &b->err), b);
            n_bson += docs[i].len;
            n_json += mapped.doc.json.n;
        }
        double us = cpu_us() - begin_us;
        best_us = us < best_us ? us : best_us;
    }
    printf("%-28s %7u docs  %6.2f us each  bson %5zu B  json %5zu B  arena %6zu B a document\n",
           what, n, best_us / n, n_bson / n, n_json / n, n_arena / BATCH);
}

static void
put_all(struct bench *b, struct idx *idx, enum corpus_kind kind)
{
    uint32_t n = corpus_n(&b->corpus, kind);
    struct idx_batch *batch = idx_batch_new();
    const struct ing_mapping *m = b->mappings[kind];
    uint64_t ticket = 0;
    b->uids[kind] = idx_new_uid(idx);
    idx_batch_create(batch, b->uids[kind], ing_mapping_schema(m),
                     tkz_fingerprint(ing_mapping_analyzer(m)));
    idx_batch_name(batch, b->uids[kind]);
    for (uint32_t i = 0; i < n; i++) {
        struct ing_mapping_env env = {.now_ms = 1, .arena = idx_batch_arena(batch)};
        struct ing_mapped mapped;
        bson_t doc = BSON_INITIALIZER;
        corpus_document(&b->corpus, kind, i, &doc);
        check(ing_mapping_run(m, &doc, &env, &mapped, &b->err), b);
        bson_destroy(&doc);
        idx_batch_put(batch, b->uids[kind], &mapped.doc);
        if (i % BATCH == BATCH - 1) {
            (void)idx_submit(idx, &batch);
            batch = idx_batch_new();
        }
    }
    ticket = idx_submit(idx, &batch);
    check(idx_wait(idx, ticket, IDX_VISIBLE, 60000000), b);
}

static void
derive_users(struct bench *b, struct idx *idx)
{
    struct idx_reader *reader = idx_reader_new(idx);
    uint32_t n = corpus_n(&b->corpus, CORPUS_USERS);
    const struct idx_snapshot *snapshot = idx_reader_begin(reader);
    struct ing_relation_uids uids = {b->uids[CORPUS_EDGES], b->uids[CORPUS_ROLES],
                                     b->uids[CORPUS_SETS], 0};
    bson_t *docs = make_documents(b, CORPUS_USERS, n);
    b->relations = NULL;
    map_all(b, CORPUS_USERS, docs, n, "users, without relations");
    b->relations = ing_relations_new();
    ing_relations_bind(b->relations, snapshot, &uids);
    map_all(b, CORPUS_USERS, docs, n, "users, derived");
    ing_relations_free(b->relations);
    b->relations = NULL;
    free_documents(docs, n);
    idx_reader_end(reader);
    idx_reader_free(reader);
}

static void
run(struct bench *b, struct idx *idx)
{
    uint32_t n = corpus_n(&b->corpus, CORPUS_EMOTES);
    bson_t *docs = make_documents(b, CORPUS_EMOTES, n);
    map_all(b, CORPUS_EMOTES, docs, n, "emotes");
    free_documents(docs, n);
    put_all(b, idx, CORPUS_EDGES);
    put_all(b, idx, CORPUS_ROLES);
    put_all(b, idx, CORPUS_SETS);
    derive_users(b, idx);
}

int
main(int argc, char **argv)
{
    static struct bench bench; /* large, and zero */
    struct bench *b = &bench;
    struct corpus_options options = {
        .data_dir = "bench/data",
        .seed = SEED,
        .n_emotes = argc > 1 ? (uint32_t)strtoul(argv[1], 0, 10) : N_EMOTES,
        .n_users = argc > 2 ? (uint32_t)strtoul(argv[2], 0, 10) : N_USERS,
        .set_entries_max = 300,
        .images_max = 10};
    char dir[] = "/tmp/bench_mapping_XXXXXX";
    struct fs *fs = NULL;
    struct idx *idx = NULL;
    options.n_sets = options.n_users / 4;
    options.n_edges = options.n_users * 2;
    must(mkdtemp(dir) != NULL);
    check(corpus_open(&options, &b->corpus, &b->err), b);
    check(sch_profile_load(SPAN_LIT("7tv"), &b->corpus.arena, &b->profile, &b->err), b);
    for (unsigned kind = 0; kind < CORPUS_KIND_N; kind++) {
        for (uint32_t i = 0; i < b->profile.n_collections; i++) {
            if (span_eq_str(b->profile.collections[i].name, names[kind]))
                check(ing_mapping_new(&b->profile.collections[i], &b->mappings[kind], &b->err), b);
        }
    }
    check(fs_open_host(dir, &fs, &b->err), b);
    struct idx_options index_options = {.fs = fs,
                                        .refresh_us = 20000,
                                        .commit_us = 1000000,
                                        .ram_bytes_max = 64 << 20,
                                        .n_merge_threads = 1};
    check(idx_open(&index_options, &idx, &b->err), b);
    run(b, idx);
    check(idx_close(idx, &b->err), b);
    fs_close(fs);
    for (unsigned kind = 0; kind < CORPUS_KIND_N; kind++)
        ing_mapping_free(b->mappings[kind]);
    corpus_close(&b->corpus);
    arena_fini(&b->arena);
    return 0;
}
