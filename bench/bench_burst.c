/*
 * A burst: one updateMany over many emotes, and how long until the last change
 * is searchable, while searches go on.
 *
 *   bench_burst MONGODB_URI TAILFIN_URL KEY [--writeback]
 *
 * --writeback also waits until no emote is left with search_updated_at null.
 */
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench/probe.h"

enum { POLL_US = 20000, WAIT_US_MAX = 180 * 1000000 };

struct burst {
    const char *uri, *url, *key;
    bool waits_for_writeback;
    int32_t mark;
    atomic_bool is_over;
    struct samples searches; /* of the searcher */
    uint64_t n_failed;
};

static void *
search_on(void *arg)
{
    static const char *const WORDS[] = {"kappa", "peepo", "pog",   "catjm", "hapy",
                                        "sad",   "lul",   "dance", "ez",    "monka"};
    struct burst *b = arg;
    struct arena arena = {0};
    struct probe *probe = NULL;
    struct err err = {0};
    if (probe_open(b->url, b->key, &probe, &err) != RC_OK)
        return NULL;
    for (size_t i = 0; !atomic_load(&b->is_over); i++) {
        char path[512];
        snprintf(
            path, sizeof path,
            "/collections/emotes/documents/"
            "search?q=%s&query_by=default_name,tags&query_by_weights=4,1"
            "&filter_by=deleted:false&sort_by=_text_match(buckets:10):desc,score_top_all_time:desc"
            "&exhaustive_search=true&per_page=30&include_fields=id",
            WORDS[i % ARRAY_SIZE(WORDS)]);
        uint64_t begin_us = clock_us();
        b->n_failed += probe_found(probe, path, &arena) < 0;
        samples_add(&b->searches, clock_us() - begin_us);
        clock_sleep_us(2000);
    }
    probe_close(probe);
    arena_fini(&arena);
    return NULL;
}

/* Seconds until every one of n emotes shows the mark; negative after WAIT_US_MAX. */
static double
wait_searchable(struct burst *b, int64_t n)
{
    struct arena arena = {0};
    struct probe *probe = NULL;
    struct err err = {0};
    uint64_t begin_us = clock_us();
    double result = -1;
    char path[256];
    snprintf(path, sizeof path,
             "/collections/emotes/documents/search?q=*&filter_by=score_top_weekly:%d&per_page=0",
             b->mark);
    if (probe_open(b->url, b->key, &probe, &err) != RC_OK)
        return -1;
    while (result < 0 && clock_us() - begin_us < WAIT_US_MAX) {
        if (probe_found(probe, path, &arena) >= n)
            result = (double)(clock_us() - begin_us) / 1e6;
        else
            clock_sleep_us(POLL_US);
    }
    probe_close(probe);
    arena_fini(&arena);
    return result;
}

static double
wait_written_back(mongoc_collection_t *emotes)
{
    bson_error_t error;
    bson_t *filter = BCON_NEW("search_updated_at", BCON_NULL);
    uint64_t begin_us = clock_us();
    double result = -1;
    while (result < 0 && clock_us() - begin_us < WAIT_US_MAX) {
        if (mongoc_collection_count_documents(emotes, filter, NULL, NULL, NULL, &error) == 0)
            result = (double)(clock_us() - begin_us) / 1e6;
        else
            clock_sleep_us(10 * POLL_US);
    }
    bson_destroy(filter);
    return result;
}

static int
run(struct burst *b, mongoc_collection_t *emotes)
{
    bson_error_t error;
    bson_t all = BSON_INITIALIZER, reply;
    pthread_t searcher;
    bson_t *update = BCON_NEW("$set", "{", "scores.top_weekly", BCON_INT32(b->mark), "updated_at",
                              BCON_DATE_TIME((int64_t)(clock_wall_us() / 1000)),
                              "search_updated_at", BCON_NULL, "}");
    must(pthread_create(&searcher, NULL, search_on, b) == 0);
    uint64_t begin_us = clock_us();
    bool ok = mongoc_collection_update_many(emotes, &all, update, NULL, &reply, &error);
    uint64_t end_us = clock_us();
    if (!ok)
        fprintf(stderr, "updateMany: %s\n", error.message);
    bson_iter_t iter;
    int64_t n = bson_iter_init_find(&iter, &reply, "matchedCount") ? bson_iter_as_int64(&iter) : 0;
    double fresh_s = ok ? wait_searchable(b, n) : -1;
    atomic_store(&b->is_over, true);
    pthread_join(searcher, NULL);
    printf("updateMany of %lld emotes took %.1f s\n", (long long)n,
           (double)(end_us - begin_us) / 1e6);
    printf("last change searchable %.1f s after it returned\n", fresh_s);
    samples_print(&b->searches, "searches meanwhile");
    printf("failed searches: %llu\n", (unsigned long long)b->n_failed);
    if (ok && b->waits_for_writeback)
        printf("last write-back %.1f s after that\n", wait_written_back(emotes));
    bson_destroy(update);
    bson_destroy(&reply);
    bson_destroy(&all);
    return ok && fresh_s >= 0 && b->n_failed == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_burst MONGODB_URI TAILFIN_URL KEY [--writeback]\n");
        return 2;
    }
    struct burst b = {.uri = argv[1],
                      .url = argv[2],
                      .key = argv[3],
                      .mark = (int32_t)(clock_wall_us() / 1000000 % 1000000000)};
    b.waits_for_writeback = argc > 4 && strcmp(argv[4], "--writeback") == 0;
    mongoc_init();
    mongoc_uri_t *uri = mongoc_uri_new(b.uri);
    mongoc_client_t *client = mongoc_client_new_from_uri(uri);
    mongoc_client_set_error_api(client, 2);
    mongoc_collection_t *emotes =
        mongoc_client_get_collection(client, mongoc_uri_get_database(uri), "emotes");
    int status = run(&b, emotes);
    samples_fini(&b.searches);
    mongoc_collection_destroy(emotes);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return status;
}
