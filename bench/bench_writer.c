/*
 * The write door under load: how fast documents come in, and how soon an
 * update is seen while more updates come in.
 *
 *   bench_writer [DOCUMENTS [UPDATES_PER_SECOND [SECONDS]]]
 *
 * Bulk load into a generation that no one reads, a rest until its segments are
 * merged, then updates of random documents at a fixed rate (0: as fast as they
 * go), then idx_merge_all and a reopening. Documents look like emotes: a name of one token, tags,
 * an exact owner, numbers, 200 bytes of JSON.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/ulid.h"

#include "bench/hist.h"

#include "index/index.h"
#include "index/writer.h"

enum { F_NAME, F_TAGS, F_OWNER, F_SCORE, F_RANK, F_IS_ON, N_FIELDS };
enum { BULK_BATCH = 1000, UPDATE_BATCH = 20 };

struct bench {
    char dir[64];
    struct fs *fs;
    struct idx *idx;
    struct metrics *metrics;
    uint32_t uid, n_docs;
    uint64_t random, seq;
    struct hist visible; /* of the writer thread, until it is waited for */
    uint32_t views_max;
    uint64_t views_sum, n_views;
};

static uint64_t
next_random(struct bench *b)
{
    uint64_t z = (b->random += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t
mix(uint64_t n)
{
    struct bench b = {.random = n};
    return next_random(&b);
}

static void
expect(enum rc rc, const struct err *err)
{
    if (rc == RC_OK)
        return;
    (void)fprintf(stderr, "bench_writer: %s\n", err->text);
    exit(1);
}

/* ---- documents ---- */

static struct span
id_of(struct arena *a, uint64_t number)
{
    unsigned char bytes[ULID_BYTES_N];
    uint64_t parts[] = {0x0101010101018001u, mix(number)};
    memcpy(bytes, parts, sizeof bytes);
    char *text = arena_alloc(a, ULID_TEXT_N);
    ulid_write(bytes, text);
    return span_of(text, ULID_TEXT_N);
}

static struct idx_text *
text_of(struct arena *a, struct span value)
{
    struct span *token = arena_alloc(a, sizeof *token);
    struct idx_text *text = arena_calloc(a, 1, sizeof *text);
    *token = value;
    *text = (struct idx_text){.tokens = token, .n_tokens = 1, .value = value};
    return text;
}

static void
set_number(struct arena *a, struct idx_value *v, int64_t n)
{
    int64_t *p = arena_alloc(a, sizeof *p);
    *p = n;
    *v = (struct idx_value){.n = 1, .i64 = p};
}

static void
put(struct bench *b, struct idx_batch *batch, uint32_t doc)
{
    struct arena *a = idx_batch_arena(batch);
    struct idx_value *values = arena_calloc(a, N_FIELDS, sizeof *values);
    uint64_t r = mix(doc);
    struct span name = arena_printf(a, "%.*s%llx", 3 + (int)(r % 5), "pepesadwide" + r % 4,
                                    (unsigned long long)(r >> 40));
    struct span tag = arena_printf(a, "tag%u", (unsigned)(r % 3000));
    struct span owner = id_of(a, r % 60000 + 1000000000);
    int64_t score = (int64_t)(next_random(b) % 100000);
    values[F_NAME] = (struct idx_value){.n = 1, .text = text_of(a, name)};
    values[F_TAGS] = (struct idx_value){.n = 1, .text = text_of(a, tag)};
    values[F_OWNER] = (struct idx_value){.n = 1, .text = text_of(a, owner)};
    set_number(a, &values[F_SCORE], score);
    set_number(a, &values[F_RANK], doc);
    set_number(a, &values[F_IS_ON], doc % 2);
    struct idx_doc d = {.id = id_of(a, doc), .seq = ++b->seq, .values = values};
    d.json = arena_printf(a,
                          "{\"id\":\"%.*s\",\"name\":\"%.*s\",\"tags\":[\"%.*s\"],\"owner_id\":"
                          "\"%.*s\",\"score\":%lld,\"rank\":%u,\"flags\":0,\"animated\":%s,"
                          "\"created_at\":1700000000}",
                          SPAN_ARG(d.id), SPAN_ARG(name), SPAN_ARG(tag), SPAN_ARG(owner),
                          (long long)score, doc, doc % 2 ? "true" : "false");
    idx_batch_put(batch, b->uid, &d);
}

static void
create(struct bench *b)
{
    static const char text[] =
        "{\"name\":\"emotes\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"},"
        "{\"name\":\"tags\",\"type\":\"string[]\"},"
        "{\"name\":\"owner_id\",\"type\":\"string\",\"index\":\"exact\"},"
        "{\"name\":\"score\",\"type\":\"int32\",\"order\":true},"
        "{\"name\":\"rank\",\"type\":\"int64\"},{\"name\":\"animated\",\"type\":\"bool\"}]}";
    struct idx_batch *batch = idx_batch_new();
    struct arena *a = idx_batch_arena(batch);
    struct json json;
    struct sch_collection schema;
    struct err err;
    expect(json_parse(span_str(text), a, &json, &err), &err);
    expect(sch_parse(&json, a, &schema, &err), &err);
    schema.tie = SCH_TIE_ID;
    b->uid = idx_new_uid(b->idx);
    idx_batch_create(batch, b->uid, &schema, 1);
    (void)idx_submit(b->idx, &batch);
}

/* ---- opening, and what is there ---- */

static void
open_index(struct bench *b)
{
    struct err err;
    struct idx_options o = {.metrics = b->metrics};
    expect(fs_open_host(b->dir, &b->fs, &err), &err);
    o.fs = b->fs;
    uint64_t began = clock_us();
    expect(idx_open(&o, &b->idx, &err), &err);
    printf("open           %.1f ms\n", (double)(clock_us() - began) / 1e3);
}

static void
close_index(struct bench *b)
{
    struct err err;
    uint64_t began = clock_us();
    expect(idx_close(b->idx, &err), &err);
    printf("close          %.1f ms\n", (double)(clock_us() - began) / 1e3);
    fs_close(b->fs);
}

static void
look(struct bench *b, struct idx_reader *r)
{
    const struct idx_collection *c = idx_snapshot_find_uid(idx_reader_begin(r), b->uid);
    if (c) {
        b->views_max = c->n_views > b->views_max ? c->n_views : b->views_max;
        b->views_sum += c->n_views;
        b->n_views++;
    }
    idx_reader_end(r);
}

static void
print_state(struct bench *b, const char *when)
{
    struct metrics *m = b->metrics;
    printf("%s: %llu documents, %llu segments, files %.1f MB, RAM %.1f MB, %llu commits "
           "(p50 %.1f, p99 %.1f ms), %llu merges, %llu publications (p50 %.1f, p99 %.1f ms)\n",
           when, (unsigned long long)metrics_read(m, M_INDEX_DOCS),
           (unsigned long long)metrics_read(m, M_INDEX_SEGMENTS),
           (double)metrics_read(m, M_INDEX_FILE_BYTES) / 1e6,
           (double)metrics_read(m, M_INDEX_RAM_BYTES) / 1e6,
           (unsigned long long)metrics_read(m, M_INDEX_COMMITS),
           (double)metrics_quantile(m, M_COMMIT_TIME, 0.5) / 1e3,
           (double)metrics_quantile(m, M_COMMIT_TIME, 0.99) / 1e3,
           (unsigned long long)metrics_read(m, M_INDEX_MERGES),
           (unsigned long long)metrics_read(m, M_INDEX_PUBLISHES),
           (double)metrics_quantile(m, M_PUBLISH_TIME, 0.5) / 1e3,
           (double)metrics_quantile(m, M_PUBLISH_TIME, 0.99) / 1e3);
}

/* ---- the phases ---- */

static void
wait_for(struct bench *b, uint64_t ticket, enum idx_stage stage)
{
    enum rc rc = idx_wait(b->idx, ticket, stage, 600000000);
    must(rc == RC_OK);
}

static void
bulk(struct bench *b)
{
    uint64_t began = clock_us(), ticket = 0, feeding_us = 0;
    create(b);
    for (uint32_t doc = 0; doc < b->n_docs;) {
        uint64_t at = clock_us();
        struct idx_batch *batch = idx_batch_new();
        for (uint32_t end = doc + BULK_BATCH; doc < end && doc < b->n_docs; doc++)
            put(b, batch, doc);
        feeding_us += clock_us() - at;
        ticket = idx_submit(b->idx, &batch);
    }
    wait_for(b, ticket, IDX_DURABLE);
    double s = (double)(clock_us() - began) / 1e6;
    printf("bulk           %.0f documents/s until durable (making them took %.1f of %.1f s)\n",
           b->n_docs / s, (double)feeding_us / 1e6, s);
    struct idx_batch *batch = idx_batch_new();
    idx_batch_complete(batch, b->uid);
    idx_batch_name(batch, b->uid);
    wait_for(b, idx_submit(b->idx, &batch), IDX_VISIBLE);
    print_state(b, "after bulk");
}

/* What a bulk load leaves behind is merged once it is read: until few segments are left. */
static void
settle(struct bench *b)
{
    uint64_t began = clock_us();
    while (metrics_read(b->metrics, M_INDEX_SEGMENTS) > 2 && clock_us() - began < 30000000)
        clock_sleep_us(10000);
    printf("settled        after %.1f s\n", (double)(clock_us() - began) / 1e6);
    print_state(b, "settled");
}

struct sent {
    struct bench *b;
    uint64_t at_us;
};

static void
note_visible(void *arg, enum rc rc)
{
    struct sent *s = arg;
    must(rc == RC_OK);
    hist_add(&s->b->visible, clock_us() - s->at_us);
    free(s);
}

static uint64_t
submit_updates(struct bench *b)
{
    struct idx_batch *batch = idx_batch_new();
    for (int i = 0; i < UPDATE_BATCH; i++)
        put(b, batch, (uint32_t)(next_random(b) % b->n_docs));
    struct sent *s = xmalloc(sizeof *s);
    *s = (struct sent){b, clock_us()};
    idx_batch_on_visible(batch, note_visible, s);
    return idx_submit(b->idx, &batch);
}

static void
update(struct bench *b, uint64_t per_second, uint64_t seconds)
{
    struct idx_reader *r = idx_reader_new(b->idx);
    uint64_t began = clock_us(), end = began + seconds * 1000000, n = 0, ticket = 0;
    while (clock_us() < end) {
        ticket = submit_updates(b);
        n += UPDATE_BATCH;
        look(b, r);
        uint64_t due = per_second ? began + n * 1000000 / per_second : 0, now = clock_us();
        if (due > now)
            clock_sleep_us(due - now);
    }
    wait_for(b, ticket, IDX_VISIBLE);
    double s = (double)(clock_us() - began) / 1e6;
    wait_for(b, ticket, IDX_DURABLE); /* also: the histogram is ours again */
    printf("updates        %.0f documents/s; segments %.1f on average, %u at most\n", (double)n / s,
           (double)b->views_sum / (double)b->n_views, b->views_max);
    hist_print(&b->visible, "visible after ");
    print_state(b, "after updates");
    idx_reader_free(r);
}

static void
merge_all(struct bench *b)
{
    struct err err;
    uint64_t began = clock_us();
    expect(idx_merge_all(b->idx, &err), &err);
    printf("merge all      %.2f s\n", (double)(clock_us() - began) / 1e6);
    print_state(b, "after merging");
}

static void
remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(dir);
}

int
main(int argc, char **argv)
{
    uint64_t per_second = argc > 2 ? strtoull(argv[2], NULL, 10) : 20000;
    uint64_t seconds = argc > 3 ? strtoull(argv[3], NULL, 10) : 5;
    struct bench *b = xcalloc(1, sizeof *b);
    b->n_docs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 300000;
    b->metrics = metrics_new();
    snprintf(b->dir, sizeof b->dir, "/tmp/bench_writer.XXXXXX");
    must(mkdtemp(b->dir));
    open_index(b);
    bulk(b);
    settle(b);
    if (seconds > 0)
        update(b, per_second, seconds);
    close_index(b);
    open_index(b);
    merge_all(b);
    close_index(b);
    open_index(b);
    close_index(b);
    remove_dir(b->dir);
    metrics_free(b->metrics);
    free(b);
    return 0;
}
