/*
 * tailfin-seed: fills a MongoDB database with documents of the 7TV data model
 * over the real names of bench/data, for the quickstart and the benches.
 *
 *   tailfin-seed URI [--emotes N] [--users N] [--sets N] [--edges N] [--images N]
 *                    [--entries N] [--seed N] [--data DIR]
 *
 * A database that was filled with the same numbers is left as it is; one with
 * others is refused, so that nobody's data is mixed with ours.
 */
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench/corpus.h"

enum { BATCH = 2000 };

/* Holds what the database was filled with, in its own collection. */
static const char MARK[] = "tailfin_demo";

struct seeder {
    struct corpus corpus;
    mongoc_client_t *client;
    mongoc_database_t *database;
};

static bool
say_failed(const char *what, const bson_error_t *error)
{
    fprintf(stderr, "error: %s: %s\n", what, error->message);
    return false;
}

static bool
insert_batch(mongoc_collection_t *to, bson_t *docs, size_t n)
{
    const bson_t *list[BATCH];
    bson_error_t error;
    bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
    for (size_t i = 0; i < n; i++)
        list[i] = &docs[i];
    bool ok = n == 0 || mongoc_collection_insert_many(to, list, n, options, NULL, &error);
    bson_destroy(options);
    return ok || say_failed("inserting", &error);
}

static bool
fill(struct seeder *s, enum corpus_kind kind)
{
    uint32_t n = corpus_n(&s->corpus, kind);
    const char *name = corpus_collection(kind);
    mongoc_collection_t *to = mongoc_database_get_collection(s->database, name);
    bson_t *docs = xcalloc(BATCH, sizeof *docs);
    uint64_t begin_us = clock_us();
    bool ok = true;
    for (uint32_t at = 0; ok && at < n;) {
        size_t in_batch = 0;
        for (; in_batch < BATCH && at < n; at++, in_batch++) {
            bson_init(&docs[in_batch]);
            corpus_document(&s->corpus, kind, at, &docs[in_batch]);
        }
        ok = insert_batch(to, docs, in_batch);
        for (size_t i = 0; i < in_batch; i++)
            bson_destroy(&docs[i]);
        if (isatty(STDOUT_FILENO))
            printf("\r  %-18s %u of %u", name, at, n);
        fflush(stdout);
    }
    double seconds = (double)(clock_us() - begin_us) / 1e6;
    if (ok)
        printf("%s  %-18s %u documents in %.1f s\n", isatty(STDOUT_FILENO) ? "\r" : "", name, n,
               seconds);
    free(docs);
    mongoc_collection_destroy(to);
    return ok;
}

/* The indexes that an application has, as far as Tailfin's own queries use them. */
static bool
make_indexes(struct seeder *s)
{
    bson_error_t error;
    bool ok = true;
    for (int kind = 0; ok && kind < CORPUS_EDGES; kind++) {
        bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(corpus_collection(kind)), "indexes",
                                   "[", "{", "key", "{", "search_updated_at", BCON_INT32(1), "}",
                                   "name", BCON_UTF8("search_updated_at_1"), "}", "]");
        ok = mongoc_database_command_simple(s->database, command, NULL, NULL, &error);
        bson_destroy(command);
    }
    return ok || say_failed("making indexes", &error);
}

static bson_t *
mark_of(const struct corpus_options *o)
{
    return BCON_NEW("_id", BCON_UTF8("seed"), "emotes", BCON_INT64(o->n_emotes), "users",
                    BCON_INT64(o->n_users), "sets", BCON_INT64(o->n_sets), "edges",
                    BCON_INT64(o->n_edges), "images", BCON_INT64(o->images_max), "entries",
                    BCON_INT64(o->set_entries_max), "seed", BCON_INT64((int64_t)o->seed));
}

/* 1: filled already, 0: empty, -1: an error or somebody's data (printed). */
static int
is_filled(struct seeder *s, const bson_t *mark)
{
    bson_error_t error;
    bson_t empty = BSON_INITIALIZER;
    mongoc_collection_t *marks = mongoc_database_get_collection(s->database, MARK);
    mongoc_collection_t *emotes = mongoc_database_get_collection(s->database, "emotes");
    int64_t n_same = mongoc_collection_count_documents(marks, mark, NULL, NULL, NULL, &error);
    int64_t n_emotes =
        n_same < 0 ? -1
                   : mongoc_collection_estimated_document_count(emotes, NULL, NULL, NULL, &error);
    int result = n_same > 0 ? 1 : n_emotes == 0 ? 0 : -1;
    if (n_same < 0 || n_emotes < 0)
        say_failed("asking MongoDB", &error);
    else if (result < 0)
        fprintf(stderr, "error: the database holds other data already; name another one in the URI "
                        "or drop it\n");
    mongoc_collection_destroy(marks);
    mongoc_collection_destroy(emotes);
    bson_destroy(&empty);
    return result;
}

static bool
seed(struct seeder *s)
{
    bson_error_t error;
    bson_t *mark = mark_of(&s->corpus.options);
    int filled = is_filled(s, mark);
    bool ok = filled >= 0;
    if (filled == 1)
        puts("  the demo data is there already");
    for (int kind = CORPUS_KIND_N - 1; ok && filled == 0 && kind >= 0; kind--)
        ok = fill(s, (enum corpus_kind)kind);
    if (ok && filled == 0)
        ok = make_indexes(s);
    if (ok && filled == 0) {
        mongoc_collection_t *marks = mongoc_database_get_collection(s->database, MARK);
        ok = mongoc_collection_insert_one(marks, mark, NULL, NULL, &error) ||
             say_failed("marking", &error);
        mongoc_collection_destroy(marks);
    }
    bson_destroy(mark);
    return ok;
}

struct flag {
    const char *name;
    uint32_t *value;
};

static bool
read_flags(int argc, char **argv, struct corpus_options *o)
{
    uint32_t number = (uint32_t)o->seed;
    const struct flag flags[] = {{"--emotes", &o->n_emotes},   {"--users", &o->n_users},
                                 {"--sets", &o->n_sets},       {"--edges", &o->n_edges},
                                 {"--images", &o->images_max}, {"--entries", &o->set_entries_max},
                                 {"--seed", &number}};
    for (int i = 2; i < argc; i += 2) {
        uint64_t value = 0;
        bool is_known = i + 1 < argc && strcmp(argv[i], "--data") == 0;
        if (is_known)
            o->data_dir = argv[i + 1];
        for (size_t k = 0; !is_known && i + 1 < argc && k < ARRAY_SIZE(flags); k++) {
            is_known = strcmp(argv[i], flags[k].name) == 0 &&
                       span_u64(span_str(argv[i + 1]), &value) && value <= UINT32_MAX;
            if (is_known)
                *flags[k].value = (uint32_t)value;
        }
        if (!is_known) {
            fprintf(stderr, "error: %s is no option, or its value is none\n", argv[i]);
            return false;
        }
    }
    o->seed = number;
    return true;
}

int
main(int argc, char **argv)
{
    struct corpus_options options = {.data_dir = "bench/data",
                                     .seed = 1,
                                     .n_emotes = 60000,
                                     .n_users = 20000,
                                     .n_sets = 6000,
                                     .n_edges = 3000,
                                     .set_entries_max = 300,
                                     .images_max = 6};
    struct seeder s = {0};
    struct err err = {0};
    bson_error_t error;
    if (argc < 2) {
        fprintf(stderr,
                "usage: tailfin-seed mongodb://HOST/DATABASE [--emotes N] [--users N] [--sets N] "
                "[--edges N] [--images N] [--entries N] [--seed N] [--data DIR]\n");
        return 2;
    }
    if (!read_flags(argc, argv, &options))
        return 2;
    if (corpus_open(&options, &s.corpus, &err) != RC_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        return 1;
    }
    int status = 1;
    mongoc_init();
    mongoc_uri_t *uri = mongoc_uri_new_with_error(argv[1], &error);
    if (!uri || !mongoc_uri_get_database(uri)) {
        fprintf(stderr, "error: the URI must be mongodb://HOST/DATABASE: %s\n",
                uri ? "it names no database" : error.message);
        goto out;
    }
    s.client = mongoc_client_new_from_uri(uri);
    s.database = mongoc_client_get_database(s.client, mongoc_uri_get_database(uri));
    status = seed(&s) ? 0 : 1;
    mongoc_database_destroy(s.database);
    mongoc_client_destroy(s.client);
out:
    mongoc_uri_destroy(uri);
    corpus_close(&s.corpus);
    mongoc_cleanup();
    return status;
}
