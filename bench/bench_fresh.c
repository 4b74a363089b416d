/*
 * How long after a write in MongoDB its change is searchable, at a fixed rate
 * of writes, and beside it how long until a plain change-stream reader sees
 * the same event.
 *
 *   bench_fresh MONGODB_URI TAILFIN_URL KEY [--rate 500] [--seconds 300] [--emotes 300000]
 *               [--probe-ms 1] [--plain-stream 1]
 *
 * A write sets score_top_daily of an emote to a rising number; a prober asks
 * for the highest numbers every millisecond. Both times count from just before
 * the write is sent. With a rarer probe and without the reader it is a writer
 * that costs little, beside something else that is measured.
 */
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/ulid.h"
#include "bench/corpus.h"
#include "bench/probe.h"

enum { WAIT_US = 1000, SETTLE_US = 5000000 };

struct fresh {
    const char *uri, *url, *key;
    uint32_t rate, seconds, n_emotes, probe_ms;
    bool has_reader;
    /* Of this run: above those of the runs before it, which are still there and took 1 ms each. */
    uint32_t first_number;
    struct corpus corpus;
    uint32_t n_writes;
    _Atomic uint64_t *sent_us; /* by number of the write; 0: not sent */
    uint64_t *visible_us;      /* of the prober */
    uint64_t *streamed_us;     /* of the change-stream reader */
    struct map number_of_id;   /* search id -> number + 1; filled before the threads start */
    atomic_bool is_over;
    atomic_bool has_failed;
    atomic_bool is_stream_open;
};

/* Spreads the writes over all emotes without repeating one. */
static uint32_t
emote_of(const struct fresh *f, uint32_t number)
{
    return (uint32_t)((uint64_t)number * 7919 % f->n_emotes);
}

static mongoc_collection_t *
open_emotes(const struct fresh *f, mongoc_client_t **client)
{
    mongoc_uri_t *uri = mongoc_uri_new(f->uri);
    *client = mongoc_client_new_from_uri(uri);
    mongoc_collection_t *c =
        mongoc_client_get_collection(*client, mongoc_uri_get_database(uri), "emotes");
    mongoc_uri_destroy(uri);
    return c;
}

static void *
write_all(void *arg)
{
    struct fresh *f = arg;
    mongoc_client_t *client;
    mongoc_collection_t *emotes = open_emotes(f, &client);
    uint64_t begin_us = clock_us();
    for (uint32_t i = 0; i < f->n_writes && !atomic_load(&f->has_failed); i++) {
        uint64_t due_us = begin_us + (uint64_t)i * 1000000 / f->rate, now_us = clock_us();
        if (now_us < due_us)
            clock_sleep_us(due_us - now_us);
        unsigned char id[16];
        bson_error_t error;
        corpus_id(&f->corpus, CORPUS_EMOTES, emote_of(f, i), id);
        bson_t *filter = BCON_NEW("_id", BCON_BIN(BSON_SUBTYPE_UUID, id, 16));
        bson_t *update =
            BCON_NEW("$set", "{", "scores.top_daily", BCON_INT32((int32_t)(f->first_number + i)),
                     "updated_at", BCON_DATE_TIME((int64_t)(clock_wall_us() / 1000)),
                     "search_updated_at", BCON_NULL, "}");
        atomic_store(&f->sent_us[i], clock_us());
        if (!mongoc_collection_update_one(emotes, filter, update, NULL, NULL, &error)) {
            fprintf(stderr, "writing: %s\n", error.message);
            atomic_store(&f->has_failed, true);
        }
        bson_destroy(filter);
        bson_destroy(update);
    }
    double rate = (double)f->n_writes * 1e6 / (double)(clock_us() - begin_us);
    printf("%u writes at %.0f/s\n", f->n_writes, rate);
    mongoc_collection_destroy(emotes);
    mongoc_client_destroy(client);
    return NULL;
}

static void
note_hits(struct fresh *f, const struct json *hits, uint64_t now_us)
{
    for (uint32_t i = 0; hits && hits->type == JSON_ARRAY && i < hits->n; i++) {
        struct span id = json_get_str(json_get(&hits->items[i], "document"), "id", SPAN_LIT(""));
        const uint64_t *number = map_get(&f->number_of_id, id);
        if (number && f->visible_us[*number - 1] == 0)
            f->visible_us[*number - 1] = now_us;
    }
}

static void *
probe_all(void *arg)
{
    struct fresh *f = arg;
    struct arena arena = {0};
    struct probe *probe = NULL;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof path,
             "/collections/emotes/documents/search?q=*&filter_by=score_top_daily:%%3E%%3D%d"
             "&sort_by=score_top_daily:desc&per_page=250&include_fields=id",
             (int)f->first_number);
    if (probe_open(f->url, f->key, &probe, &err) != RC_OK)
        atomic_store(&f->has_failed, true);
    while (!atomic_load(&f->is_over) && !atomic_load(&f->has_failed)) {
        struct json answer;
        if (!probe_get(probe, path, &arena, &answer))
            atomic_store(&f->has_failed, true);
        else
            note_hits(f, json_get(&answer, "hits"), clock_us());
        clock_sleep_us(f->probe_ms * 1000);
    }
    probe_close(probe);
    arena_fini(&arena);
    return NULL;
}

static void
note_event(struct fresh *f, const bson_t *event)
{
    bson_iter_t iter, id;
    bson_subtype_t subtype;
    uint32_t n;
    const uint8_t *bytes;
    if (!bson_iter_init(&iter, event) ||
        !bson_iter_find_descendant(&iter, "documentKey._id", &id) || !BSON_ITER_HOLDS_BINARY(&id))
        return;
    char text[ULID_TEXT_N];
    bson_iter_binary(&id, &subtype, &n, &bytes);
    if (n != ULID_BYTES_N)
        return;
    ulid_write(bytes, text);
    const uint64_t *number = map_get(&f->number_of_id, span_of(text, sizeof text));
    if (number && f->streamed_us[*number - 1] == 0)
        f->streamed_us[*number - 1] = clock_us();
}

static void *
read_stream(void *arg)
{
    struct fresh *f = arg;
    mongoc_client_t *client;
    mongoc_collection_t *emotes = open_emotes(f, &client);
    bson_t pipeline = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("maxAwaitTimeMS", BCON_INT64(200));
    mongoc_change_stream_t *stream = mongoc_collection_watch(emotes, &pipeline, options);
    const bson_t *event;
    (void)mongoc_change_stream_next(stream, &event); /* opens it */
    atomic_store(&f->is_stream_open, true);
    while (!atomic_load(&f->is_over) && !atomic_load(&f->has_failed)) {
        while (mongoc_change_stream_next(stream, &event))
            note_event(f, event);
    }
    mongoc_change_stream_destroy(stream);
    bson_destroy(options);
    bson_destroy(&pipeline);
    mongoc_collection_destroy(emotes);
    mongoc_client_destroy(client);
    return NULL;
}

static void
print_column(const struct fresh *f, const uint64_t *seen_us, const char *name)
{
    struct samples s = {0};
    uint32_t n_missing = 0;
    for (uint32_t i = 0; i < f->n_writes; i++) {
        if (seen_us[i])
            samples_add(&s, seen_us[i] - atomic_load(&f->sent_us[i]));
        else
            n_missing++;
    }
    samples_print(&s, name);
    if (n_missing)
        printf("%-34s %u writes were never seen\n", "", n_missing);
    samples_fini(&s);
}

static void
run(struct fresh *f)
{
    f->n_writes = f->rate * f->seconds;
    if (f->n_writes > f->n_emotes)
        f->n_writes = f->n_emotes;
    f->sent_us = xcalloc(f->n_writes, sizeof *f->sent_us);
    f->visible_us = xcalloc(f->n_writes, sizeof *f->visible_us);
    f->streamed_us = xcalloc(f->n_writes, sizeof *f->streamed_us);
    for (uint32_t i = 0; i < f->n_writes; i++) {
        unsigned char id[16];
        char text[ULID_TEXT_N];
        corpus_id(&f->corpus, CORPUS_EMOTES, emote_of(f, i), id);
        ulid_write(id, text);
        *map_put(&f->number_of_id, span_of(text, sizeof text), NULL) = i + 1;
    }
    pthread_t prober, reader, writer;
    if (f->has_reader)
        must(pthread_create(&reader, NULL, read_stream, f) == 0);
    while (f->has_reader && !atomic_load(&f->is_stream_open))
        clock_sleep_us(WAIT_US);
    must(pthread_create(&prober, NULL, probe_all, f) == 0);
    must(pthread_create(&writer, NULL, write_all, f) == 0);
    pthread_join(writer, NULL);
    clock_sleep_us(SETTLE_US);
    atomic_store(&f->is_over, true);
    pthread_join(prober, NULL);
    print_column(f, f->visible_us, "write to searchable");
    if (!f->has_reader)
        return;
    pthread_join(reader, NULL);
    print_column(f, f->streamed_us, "write to plain change stream");
}

static bool
read_options(struct fresh *f, int argc, char **argv)
{
    uint32_t has_reader = 1;
    const struct {
        const char *name;
        uint32_t *value;
    } options[] = {{"--rate", &f->rate},
                   {"--seconds", &f->seconds},
                   {"--emotes", &f->n_emotes},
                   {"--probe-ms", &f->probe_ms},
                   {"--plain-stream", &has_reader}};
    bool is_valid = argc >= 4 && argc % 2 == 0;
    for (int i = 4; is_valid && i < argc; i += 2) {
        uint64_t value = 0;
        size_t k = 0;
        while (k < ARRAY_SIZE(options) && strcmp(argv[i], options[k].name) != 0)
            k++;
        is_valid = k < ARRAY_SIZE(options) && span_u64(span_str(argv[i + 1]), &value) &&
                   value <= UINT32_MAX;
        if (is_valid)
            *options[k].value = (uint32_t)value;
    }
    f->has_reader = has_reader > 0;
    return is_valid && f->rate && f->seconds && f->n_emotes && f->probe_ms;
}

int
main(int argc, char **argv)
{
    struct fresh f = {.rate = 500, .seconds = 300, .n_emotes = 300000, .probe_ms = 1};
    f.first_number = 1000000000 + (uint32_t)(clock_wall_us() / 1000 % 1100000000);
    if (!read_options(&f, argc, argv)) {
        fprintf(stderr, "usage: bench_fresh MONGODB_URI TAILFIN_URL KEY [--rate N] [--seconds N] "
                        "[--emotes N] [--probe-ms N] [--plain-stream 0|1]\n");
        return 2;
    }
    f.uri = argv[1];
    f.url = argv[2];
    f.key = argv[3];
    struct err err = {0};
    const struct corpus_options options = {
        .data_dir = "bench/data", .seed = 1, .n_emotes = f.n_emotes};
    if (corpus_open(&options, &f.corpus, &err) != RC_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    mongoc_init();
    run(&f);
    map_fini(&f.number_of_id);
    corpus_close(&f.corpus);
    free(f.sent_us);
    free(f.visible_us);
    free(f.streamed_us);
    mongoc_cleanup();
    return atomic_load(&f.has_failed);
}
