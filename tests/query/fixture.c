/* A small builder of search documents: what indexer/ does for real. */
#include "tests/query/fixture.h"

#include <dirent.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

struct fixture {
    char dir[64];
    struct fs *fs;
    struct idx *idx;
    struct idx_reader *reader;
    struct idx_batch *batch;
    struct arena arena;
    struct sch_collection schema;
    struct tkz_analyzer analyzer;
    uint32_t uid;
    uint64_t seq;
};

static struct idx_batch *
batch_of(struct fixture *f)
{
    if (!f->batch)
        f->batch = idx_batch_new();
    return f->batch;
}

struct fixture *
fixture_new(const char *schema_json)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct idx_options options = {.refresh_us = 1000, .commit_us = 1000000000};
    struct err err = {0};

    (void)snprintf(f->dir, sizeof f->dir, "/tmp/tailfin-query-XXXXXX");
    must(mkdtemp(f->dir));
    must(fs_open_host(f->dir, &f->fs, &err) == RC_OK);
    options.fs = f->fs;
    options.ram_bytes_max = 64 << 20;
    options.n_merge_threads = 1;
    if (idx_open(&options, &f->idx, &err) != RC_OK) {
        (void)fprintf(stderr, "idx_open: %s\n", err.text);
        abort();
    }
    f->reader = idx_reader_new(f->idx);
    fixture_add_collection(f, schema_json);
    return f;
}

void
fixture_add_collection(struct fixture *f, const char *schema_json)
{
    struct json json;
    struct err err = {0};

    if (json_parse(span_str(schema_json), &f->arena, &json, &err) != RC_OK ||
        sch_parse(&json, &f->arena, &f->schema, &err) != RC_OK) {
        (void)fprintf(stderr, "schema: %s\n", err.text);
        abort();
    }
    tkz_analyzer_init(&f->analyzer, f->schema.separators, f->schema.symbols);
    f->uid = idx_new_uid(f->idx);
    idx_batch_create(batch_of(f), f->uid, &f->schema, tkz_fingerprint(&f->analyzer));
    idx_batch_name(f->batch, f->uid);
    idx_batch_complete(f->batch, f->uid);
    fixture_flush(f);
}

static void
remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    char path[400];

    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        (void)unlink(path);
    }
    (void)closedir(d);
    (void)rmdir(dir);
}

void
fixture_free(struct fixture *f)
{
    struct err err = {0};

    if (!f)
        return;
    idx_batch_free(f->batch);
    idx_reader_free(f->reader);
    must(idx_close(f->idx, &err) == RC_OK);
    fs_close(f->fs);
    remove_dir(f->dir);
    arena_fini(&f->arena);
    free(f);
}

static void
fill_text(struct fixture *f, struct arena *a, const struct sch_field *field, struct span text,
          struct idx_text *out)
{
    struct tkz_tokens t;
    struct buf key = {0};

    tkz_text(&f->analyzer, text, a, &t);
    struct span *tokens = arena_calloc(a, t.n + 1, sizeof *tokens);
    for (size_t i = 0; i < t.n; i++)
        tokens[i] = t.v[i].text;
    *out = (struct idx_text){.tokens = tokens, .n_tokens = (uint32_t)t.n, .value = text};
    if (field->flags & SCH_SORT) {
        tkz_sort_key(&f->analyzer, text, &key);
        out->sort_key = arena_dup(a, buf_span(&key));
        buf_fini(&key);
    }
}

static void
fill_value(struct fixture *f, struct arena *a, const struct sch_field *field,
           const struct json *v, struct idx_value *out)
{
    bool is_array = v && v->type == JSON_ARRAY;
    uint32_t n = !v || v->type == JSON_NULL ? 0 : is_array ? v->n : 1;
    struct idx_text *text = arena_calloc(a, n + 1, sizeof *text);
    int64_t *i64 = arena_calloc(a, n + 1, sizeof *i64);
    double *f64 = arena_calloc(a, n + 1, sizeof *f64);

    *out = (struct idx_value){.n = n};
    for (uint32_t i = 0; i < n; i++) {
        const struct json *item = is_array ? &v->items[i] : v;
        if (field->type == SCH_STRING)
            fill_text(f, a, field, arena_dup(a, item->string), &text[i]);
        else if (field->type == SCH_BOOL)
            i64[i] = item->boolean;
        else if (field->type == SCH_FLOAT)
            must(json_number(item, &f64[i]));
        else
            i64[i] = item->i64;
    }
    if (field->type == SCH_STRING)
        out->text = text;
    else if (field->type == SCH_FLOAT)
        out->f64 = f64;
    else
        out->i64 = i64;
}

void
fixture_put(struct fixture *f, const char *document_json)
{
    struct idx_batch *b = batch_of(f);
    struct arena *a = idx_batch_arena(b);
    struct json json;
    struct err err = {0};

    if (json_parse(span_str(document_json), a, &json, &err) != RC_OK) {
        (void)fprintf(stderr, "document: %s\n%s\n", err.text, document_json);
        abort();
    }
    struct idx_doc doc = {.seq = f->seq++, .json = arena_dup(a, span_str(document_json))};
    doc.id = json_get_str(&json, "id", arena_printf(a, "%llu", (unsigned long long)doc.seq));
    struct idx_value *values = arena_calloc(a, f->schema.n_fields + 1, sizeof *values);
    for (uint32_t i = 0; i < f->schema.n_fields; i++)
        fill_value(f, a, &f->schema.fields[i], json_get_span(&json, f->schema.fields[i].name),
                   &values[i]);
    doc.values = values;
    idx_batch_put(b, f->uid, &doc);
}

void
fixture_delete(struct fixture *f, const char *id)
{
    struct idx_batch *b = batch_of(f);

    idx_batch_delete(b, f->uid, arena_dup(idx_batch_arena(b), span_str(id)));
}

void
fixture_entry(struct fixture *f, const char *kind, const char *key, const char *value)
{
    struct idx_batch *b = batch_of(f);
    struct arena *a = idx_batch_arena(b);

    idx_batch_entry(b, arena_dup(a, span_str(kind)), arena_dup(a, span_str(key)),
                    value ? arena_dup(a, span_str(value)) : (struct span){0});
}

void
fixture_flush(struct fixture *f)
{
    if (!f->batch)
        return;
    idx_batch_hurry(f->batch);
    uint64_t ticket = idx_submit(f->idx, &f->batch);
    must(ticket > 0);
    must(idx_wait(f->idx, ticket, IDX_VISIBLE, 60000000) == RC_OK);
}

const struct idx_snapshot *
fixture_snapshot(struct fixture *f)
{
    return idx_reader_begin(f->reader);
}

const struct idx_collection *
fixture_begin(struct fixture *f)
{
    const struct idx_collection *c = idx_snapshot_find_uid(fixture_snapshot(f), f->uid);

    must(c);
    return c;
}

void
fixture_end(struct fixture *f)
{
    idx_reader_end(f->reader);
}

const struct tkz_analyzer *
fixture_analyzer(const struct fixture *f)
{
    return &f->analyzer;
}

struct idx *
fixture_idx(struct fixture *f)
{
    return f->idx;
}

void
fixture_random_init(struct fixture_random *r)
{
    const char *seed = getenv("TAILFIN_SEED");
    uint64_t value = clock_wall_us();

    if (seed)
        must(span_u64(span_str(seed), &value));
    (void)fprintf(stderr, "TAILFIN_SEED=%llu\n", (unsigned long long)value);
    r->state = value;
}

/* splitmix64 (Steele, Lea, Flood, 2014). */
uint64_t
fixture_random_next(struct fixture_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint32_t
fixture_random_below(struct fixture_random *r, uint32_t n)
{
    return (uint32_t)(fixture_random_next(r) % n);
}
