/*
 * The MongoDB pipeline on a real mongod: how fast an empty index is filled,
 * how soon a change can be searched, how many changes a second are kept up
 * with.
 *   bench_pipeline [--emotes N] [--users N] [--sets N] [--edges N]
 * Starts its own server through scripts/mongod.sh (run it from the project's
 * folder). Rates are of the whole machine, server and index included.
 */
#include <unistd.h>

#include <mongoc/mongoc.h>

#include "base/clock.h"
#include "base/fs.h"

#include "indexer/indexer.h"

struct world {
    unsigned n_emotes, n_users, n_sets, n_edges;
    mongoc_client_t *client;
};

static void
put_id(bson_t *doc, const char *name, char letter, unsigned number)
{
    unsigned char id[16] = {0x01, 0x85, 0x1f, 0x89, 0, 0, (unsigned char)letter};
    for (int i = 0; i < 4; i++)
        id[15 - i] = (unsigned char)(number >> (8 * i));
    bson_append_binary(doc, name, -1, BSON_SUBTYPE_UUID, id, sizeof id);
}

static void
put_dates(bson_t *doc)
{
    bson_append_date_time(doc, "updated_at", -1, (int64_t)(clock_wall_us() / 1000));
    bson_append_null(doc, "search_updated_at", -1);
}

static void
make_emote(bson_t *doc, unsigned i)
{
    static const char *const scores[] = {"trending_day", "trending_week", "trending_month",
                                         "top_daily",    "top_weekly",    "top_monthly",
                                         "top_all_time"};
    bson_t part, item;
    char name[40];
    snprintf(name, sizeof name, "%s%u%s", i % 3 ? "pepe" : "Kappa", i * 7919u % 1000003u,
             i % 2 ? "Dance" : "");
    put_id(doc, "_id", 'e', i);
    put_id(doc, "owner_id", 'u', i % 1000);
    bson_append_utf8(doc, "default_name", -1, name, -1);
    bson_append_array_begin(doc, "tags", -1, &part);
    bson_append_utf8(&part, "0", -1, i % 5 ? "dance" : "meme", -1);
    bson_append_utf8(&part, "1", -1, "funny", -1);
    bson_append_array_end(doc, &part);
    bson_append_array_begin(doc, "image_set", -1, &part);
    for (unsigned k = 0; k < 4 + i % 20; k++) {
        char index[16];
        snprintf(index, sizeof index, "%u", k);
        bson_append_document_begin(&part, index, -1, &item);
        bson_append_utf8(&item, "path", -1, "emote/01GMFRJA800007JWKSWBEWV3C9/4x.webp", -1);
        bson_append_utf8(&item, "mime", -1, "image/webp", -1);
        bson_append_int64(&item, "size", -1, 12345);
        bson_append_int32(&item, "width", -1, 128);
        bson_append_document_end(&part, &item);
    }
    bson_append_array_end(doc, &part);
    bson_append_int32(doc, "flags", -1, (int)(i % 128));
    bson_append_double(doc, "aspect_ratio", -1, 1.5);
    bson_append_array_begin(doc, "attribution", -1, &part);
    bson_append_array_end(doc, &part);
    bson_append_null(doc, "merged", -1);
    bson_append_document_begin(doc, "scores", -1, &part);
    for (size_t k = 0; k < ARRAY_SIZE(scores); k++)
        bson_append_int32(&part, scores[k], -1, (int)(i % 100000));
    bson_append_document_end(doc, &part);
    bson_append_bool(doc, "deleted", -1, false);
    put_dates(doc);
}

static void
make_set(bson_t *doc, unsigned i)
{
    bson_t part, item;
    unsigned n = i % 20 ? i * 31 % 60 : i % 1000;
    put_id(doc, "_id", 's', i);
    bson_append_utf8(doc, "name", -1, "Emotes", -1);
    bson_append_array_begin(doc, "tags", -1, &part);
    bson_append_array_end(doc, &part);
    bson_append_array_begin(doc, "emotes", -1, &part);
    for (unsigned k = 0; k < n; k++) {
        char index[16];
        snprintf(index, sizeof index, "%u", k);
        bson_append_document_begin(&part, index, -1, &item);
        put_id(&item, "id", 'e', (i * 131 + k * 17) % 100000);
        bson_append_utf8(&item, "alias", -1, "alias", -1);
        bson_append_document_end(&part, &item);
    }
    bson_append_array_end(doc, &part);
    bson_append_int32(doc, "capacity", -1, 1000);
    put_id(doc, "owner_id", 'u', i);
    bson_append_null(doc, "origin_config", -1);
    bson_append_int32(doc, "kind", -1, 0);
    bson_append_bool(doc, "emotes_changed_since_reindex", -1, false);
    put_dates(doc);
}

static void
make_user(bson_t *doc, unsigned i)
{
    bson_t part, item;
    char name[40];
    snprintf(name, sizeof name, "user_%u", i * 7919u % 1000003u);
    put_id(doc, "_id", 'u', i);
    bson_append_null(doc, "email", -1);
    bson_append_bool(doc, "email_verified", -1, false);
    bson_append_bool(doc, "has_bans", -1, false);
    bson_append_null(doc, "two_fa", -1);
    bson_append_document_begin(doc, "style", -1, &part);
    if (i % 4 == 0)
        put_id(&part, "active_emote_set_id", 's', i / 4);
    bson_append_document_end(doc, &part);
    bson_append_array_begin(doc, "connections", -1, &part);
    bson_append_document_begin(&part, "0", -1, &item);
    bson_append_int32(&item, "platform", -1, 0);
    bson_append_utf8(&item, "platform_id", -1, name + 5, -1);
    bson_append_utf8(&item, "platform_username", -1, name, -1);
    bson_append_utf8(&item, "platform_display_name", -1, name, -1);
    bson_append_document_end(&part, &item);
    bson_append_array_end(doc, &part);
    put_dates(doc);
}

static void
make_edge(bson_t *doc, unsigned i)
{
    bson_t id, node;
    bson_append_document_begin(doc, "_id", -1, &id);
    bson_append_document_begin(&id, "from", -1, &node);
    bson_append_utf8(&node, "kind", -1, "user", -1);
    put_id(&node, "user_id", 'u', i * 29);
    bson_append_document_end(&id, &node);
    bson_append_document_begin(&id, "to", -1, &node);
    bson_append_utf8(&node, "kind", -1, "role", -1);
    put_id(&node, "role_id", 'r', i % 8);
    bson_append_document_end(&id, &node);
    bson_append_null(&id, "managed_by", -1);
    bson_append_document_end(doc, &id);
}

static void
fill(struct world *w, const char *collection, unsigned n, void (*make)(bson_t *doc, unsigned i))
{
    bson_error_t error;
    mongoc_collection_t *c = mongoc_client_get_collection(w->client, "bench", collection);
    for (unsigned i = 0; i < n;) {
        mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(c, NULL);
        for (unsigned k = 0; k < 1000 && i < n; k++, i++) {
            bson_t doc = BSON_INITIALIZER;
            make(&doc, i);
            mongoc_bulk_operation_insert(bulk, &doc);
            bson_destroy(&doc);
        }
        must(mongoc_bulk_operation_execute(bulk, NULL, &error));
        mongoc_bulk_operation_destroy(bulk);
    }
    mongoc_collection_destroy(c);
}

/* ---- the index ---- */

struct target {
    struct fs *fs;
    struct idx *idx;
    struct ing_mongo *m;
    struct metrics *metrics;
    struct log *log;
    struct idx_reader *reader;
};

static void
open_target(struct target *t, const char *dir, const char *uri, const struct sch_profile *profile)
{
    struct err err = {0};
    t->metrics = metrics_new();
    t->log = log_new(stderr, LOG_WARN);
    enum rc rc = fs_open_host(dir, &t->fs, &err);
    struct idx_options io = {.fs = t->fs,
                             .refresh_us = 20000,
                             .commit_us = 1000000,
                             .ram_bytes_max = 64 << 20,
                             .n_merge_threads = 1,
                             .metrics = t->metrics};
    if (!rc)
        rc = idx_open(&io, &t->idx, &err);
    struct ing_mongo_options o;
    ing_mongo_options_init(&o);
    o.idx = t->idx;
    o.uri = uri;
    o.profile = profile;
    o.metrics = t->metrics;
    o.log = t->log;
    if (!rc)
        rc = ing_mongo_start(&o, &t->m, &err);
    if (rc)
        fprintf(stderr, "%s\n", err.text);
    must(rc == RC_OK);
    t->reader = idx_reader_new(t->idx);
}

static uint64_t
count(struct target *t, const char *collection)
{
    const struct idx_collection *c =
        idx_snapshot_find(idx_reader_begin(t->reader), span_str(collection));
    uint64_t n = c ? c->n_docs : 0;
    idx_reader_end(t->reader);
    return n;
}

/* One insert at a time, from the acknowledged write to the snapshot that shows it. */
static void
measure_freshness(struct target *t, struct world *w)
{
    enum { N = 200 };
    uint64_t took_us[N];
    bson_error_t error;
    mongoc_collection_t *c = mongoc_client_get_collection(w->client, "bench", "emotes");
    uint64_t before = count(t, "emotes");
    for (unsigned i = 0; i < N; i++) {
        bson_t doc = BSON_INITIALIZER;
        make_emote(&doc, w->n_emotes + 1000000 + i);
        must(mongoc_collection_insert_one(c, &doc, NULL, NULL, &error));
        uint64_t began_us = clock_us();
        while (count(t, "emotes") < before + i + 1)
            clock_sleep_us(200);
        took_us[i] = clock_us() - began_us;
        bson_destroy(&doc);
    }
    mongoc_collection_destroy(c);
    for (size_t i = 1; i < N; i++) {
        for (size_t k = i; k > 0 && took_us[k - 1] > took_us[k]; k--) {
            uint64_t v = took_us[k];
            took_us[k] = took_us[k - 1];
            took_us[k - 1] = v;
        }
    }
    printf("event to snapshot: p50 %.1f ms, p99 %.1f ms\n",
           (double)metrics_quantile(t->metrics, M_APPLY_TIME, 0.5) / 1000,
           (double)metrics_quantile(t->metrics, M_APPLY_TIME, 0.99) / 1000);
    printf("freshness: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", (double)took_us[N / 2] / 1000,
           (double)took_us[N * 99 / 100] / 1000, (double)took_us[N - 1] / 1000);
}

/* The daily score run: every emote updated in bulk. */
static void
measure_updates(struct target *t, struct world *w)
{
    bson_error_t error;
    mongoc_collection_t *c = mongoc_client_get_collection(w->client, "bench", "emotes");
    bson_t *update = BCON_NEW("$set", "{", "scores.top_daily", BCON_INT32(4711), "updated_at",
                              BCON_DATE_TIME(1800000000000), "search_updated_at", BCON_NULL, "}");
    bson_t all = BSON_INITIALIZER;
    uint64_t fetched = metrics_read(t->metrics, M_FETCHED), began_us = clock_us();
    must(mongoc_collection_update_many(c, &all, update, NULL, NULL, &error));
    uint64_t written_us = clock_us();
    uint64_t want = fetched + count(t, "emotes");
    while (metrics_read(t->metrics, M_FETCHED) < want && clock_us() < began_us + 300000000)
        clock_sleep_us(1000);
    uint64_t n = metrics_read(t->metrics, M_FETCHED) - fetched;
    printf("updates: %llu applied in %.2f s, %.0f/s (MongoDB took %.2f s to write them)\n",
           (unsigned long long)n, (double)(clock_us() - began_us) / 1e6,
           (double)n * 1e6 / (double)(clock_us() - began_us),
           (double)(written_us - began_us) / 1e6);
    bson_destroy(update);
    mongoc_collection_destroy(c);
}

static void
run(struct world *w, const char *uri, const char *dir)
{
    struct arena arena = {0};
    struct sch_profile profile;
    struct err err;
    struct target t = {0};
    uint64_t began_us = clock_us();
    w->client = mongoc_client_new(uri);
    must(w->client);
    fill(w, "entitlement_edges", w->n_edges, make_edge);
    fill(w, "emote_sets", w->n_sets, make_set);
    fill(w, "emotes", w->n_emotes, make_emote);
    fill(w, "users", w->n_users, make_user);
    printf("filled in %.1f s\n", (double)(clock_us() - began_us) / 1e6);
    must(sch_profile_load(SPAN_LIT("7tv"), &arena, &profile, &err) == RC_OK);
    began_us = clock_us();
    open_target(&t, dir, uri, &profile);
    while (!ing_mongo_is_ready(t.m))
        clock_sleep_us(1000);
    uint64_t took_us = clock_us() - began_us;
    unsigned n = w->n_emotes + w->n_users + w->n_sets + w->n_edges;
    struct buf text = {0};
    ing_mongo_write_reindex(t.m, &text);
    printf("bootstrap: %u documents in %.2f s, %.0f/s\n%.*s\n", n, (double)took_us / 1e6,
           (double)n * 1e6 / (double)took_us, SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
    measure_freshness(&t, w);
    measure_updates(&t, w);
    began_us = clock_us();
    idx_reader_free(t.reader);
    ing_mongo_stop(t.m);
    printf("stopped in %.2f s\n", (double)(clock_us() - began_us) / 1e6);
    (void)!idx_close(t.idx, &err);
    fs_close(t.fs);
    metrics_free(t.metrics);
    log_free(t.log);
    mongoc_client_destroy(w->client);
    arena_fini(&arena);
}

static void
shell(const char *format, const char *dir, char *line, size_t n)
{
    char command[600];
    snprintf(command, sizeof command, "TAILFIN_OWNER_PID=%d scripts/mongod.sh %s '%s'",
             (int)getpid(), format, dir);
    FILE *f = popen(command, "r");
    must(f);
    if (n && fgets(line, (int)n, f))
        line[strcspn(line, "\n")] = 0;
    must(pclose(f) == 0);
}

int
main(int argc, char **argv)
{
    struct world w = {.n_emotes = 300000, .n_users = 160000, .n_sets = 44000, .n_edges = 5000};
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned n = (unsigned)strtoul(argv[i + 1], NULL, 10);
        unsigned *to = !strcmp(argv[i], "--emotes")  ? &w.n_emotes
                       : !strcmp(argv[i], "--users") ? &w.n_users
                       : !strcmp(argv[i], "--sets")  ? &w.n_sets
                       : !strcmp(argv[i], "--edges") ? &w.n_edges
                                                     : NULL;
        must(to);
        *to = n;
    }
    char dir[] = "/tmp/bench_pipeline.XXXXXX", uri[256] = "", with_db[320], index_dir[64];
    must(mkdtemp(dir));
    shell("start", dir, uri, sizeof uri);
    const char *slash = strrchr(uri, '/');
    snprintf(with_db, sizeof with_db, "%.*s/bench%s", (int)(slash - uri), uri, slash + 1);
    snprintf(index_dir, sizeof index_dir, "%s/index", dir);
    mongoc_init();
    run(&w, with_db, index_dir);
    shell("stop", dir, NULL, 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    must(system(command) == 0);
    return 0;
}
