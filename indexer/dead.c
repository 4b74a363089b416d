/*
 * The list is in memory as a map from a letter's document id to the letter,
 * and in the index as documents of an internal collection that only this file
 * writes and reads. Both change in the same call; the batch makes the second
 * durable.
 */
#include "indexer/dead.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"

enum { REASON_BYTES_MAX = 300 };

static const struct span NAME = {"tailfin_dead_letters", 20};
static const char SCHEMA[] =
    "{\"name\":\"tailfin_dead_letters\",\"metadata\":{\"internal\":true},\"fields\":"
    "[{\"name\":\"reason\",\"type\":\"string\",\"index\":false,\"optional\":true}]}";

static const char *const TARGETS[ING_DEAD_TARGET_N] = {"index", "typesense"};

struct letter { /* one allocation with its texts */
    enum ing_dead_target target;
    bool is_partial;
    uint64_t first_ms, last_ms, n_attempts;
    struct span collection, id, reason;
};

struct ing_dead {
    struct metrics_block *metrics;
    uint32_t uid; /* of the collection's generation */
    pthread_mutex_t lock;
    struct map letters; /* document id -> struct letter */
    uint64_t n_dropped;
    atomic_size_t n_letters; /* of the map, for looks without the lock */
};

/* ---- letters ---- */

static struct span
copy_in(char **at, struct span s)
{
    char *p = *at;
    if (s.n)
        memcpy(p, s.p, s.n);
    *at += s.n;
    return span_of(p, s.n);
}

static struct span
cut(struct span s, size_t n_max)
{
    return span_of(s.p, s.n < n_max ? s.n : n_max);
}

static struct letter *
letter_new(const struct ing_dead_letter *from)
{
    struct span reason = cut(from->reason, REASON_BYTES_MAX), id = cut(from->id, IDX_ID_MAX);
    struct letter *l = xmalloc(sizeof *l + from->collection.n + id.n + reason.n);
    char *at = (char *)(l + 1);
    *l = (struct letter){.target = from->target, .is_partial = from->is_partial};
    l->collection = copy_in(&at, from->collection);
    l->id = copy_in(&at, id);
    l->reason = copy_in(&at, reason);
    return l;
}

/* The document's id: "target|collection|id", cut behind a hash if that is too long for one. */
static void
put_key(enum ing_dead_target target, struct span collection, struct span id, struct buf *out)
{
    enum { ROOM = IDX_ID_MAX - 20 };
    buf_puts(out, TARGETS[target]);
    buf_putc(out, '|');
    buf_put_span(out, collection);
    buf_putc(out, '|');
    buf_put_span(out, id);
    if (out->n <= IDX_ID_MAX)
        return;
    out->n = ROOM;
    buf_printf(out, "#%016llx", (unsigned long long)hash64(id));
}

static void
write_letter(const struct letter *l, struct buf *out)
{
    buf_printf(out, "{\"target\":\"%s\",\"collection\":", TARGETS[l->target]);
    json_put_str(out, l->collection);
    buf_puts(out, ",\"id\":");
    json_put_str(out, l->id);
    buf_puts(out, ",\"reason\":");
    json_put_str(out, l->reason);
    buf_printf(out, ",\"partial\":%s,\"first_ms\":%llu,\"last_ms\":%llu,\"attempts\":%llu}",
               l->is_partial ? "true" : "false", (unsigned long long)l->first_ms,
               (unsigned long long)l->last_ms, (unsigned long long)l->n_attempts);
}

static uint64_t
get_u64(const struct json *object, const char *name)
{
    const struct json *v = json_get(object, name);
    return v && v->type == JSON_INT && v->i64 > 0 ? (uint64_t)v->i64 : 0;
}

/* NULL if the text is none of ours. */
static struct letter *
read_letter(struct span text, struct arena *arena)
{
    struct json object;
    struct ing_dead_letter given = {.target = ING_DEAD_TARGET_N};
    if (json_parse(text, arena, &object, NULL))
        return NULL;
    struct span target = json_get_str(&object, "target", (struct span){0});
    for (unsigned i = 0; i < ING_DEAD_TARGET_N; i++) {
        if (span_eq_str(target, TARGETS[i]))
            given.target = (enum ing_dead_target)i;
    }
    if (given.target == ING_DEAD_TARGET_N)
        return NULL;
    const struct json *partial = json_get(&object, "partial");
    given.collection = json_get_str(&object, "collection", (struct span){0});
    given.id = json_get_str(&object, "id", (struct span){0});
    given.reason = json_get_str(&object, "reason", (struct span){0});
    given.is_partial = partial && partial->type == JSON_BOOL && partial->boolean;
    struct letter *l = letter_new(&given);
    l->first_ms = get_u64(&object, "first_ms");
    l->last_ms = get_u64(&object, "last_ms");
    l->n_attempts = get_u64(&object, "attempts");
    return l;
}

/* ---- opening ---- */

static enum rc
read_segment(struct ing_dead *d, const struct idx_view *view, struct idx_doc_reader *reader,
             struct err *err)
{
    char text[IDX_ID_MAX];
    struct arena arena = {0};
    enum rc rc = RC_OK;
    for (uint32_t doc = 0; doc < view->n_docs && !rc; doc++) {
        struct span json;
        if (!(view->live[doc / 64] >> (doc % 64) & 1))
            continue;
        rc = idx_doc_reader_get(reader, view->segment, doc, &json, err);
        struct letter *l = rc ? NULL : read_letter(json, &arena);
        if (l)
            *map_put(&d->letters, idx_segment_id(view->segment, doc, text), NULL) =
                (uint64_t)(uintptr_t)l;
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return rc;
}

static enum rc
read_all(struct ing_dead *d, const struct idx_collection *c, struct err *err)
{
    struct idx_doc_reader *reader = idx_doc_reader_new();
    enum rc rc = RC_OK;
    for (uint32_t v = 0; v < c->n_views && !rc; v++)
        rc = read_segment(d, &c->views[v], reader, err);
    idx_doc_reader_free(reader);
    return rc;
}

static enum rc
create(struct ing_dead *d, struct idx *idx, struct err *err)
{
    struct idx_batch *b = idx_batch_new();
    struct arena *arena = idx_batch_arena(b);
    struct json json;
    struct sch_collection schema;
    must(json_parse(span_str(SCHEMA), arena, &json, NULL) == RC_OK);
    must(sch_parse(&json, arena, &schema, NULL) == RC_OK);
    schema.created_at_s = clock_wall_us() / 1000000;
    d->uid = idx_new_uid(idx);
    idx_batch_create(b, d->uid, &schema, 0);
    idx_batch_complete(b, d->uid);
    idx_batch_name(b, d->uid);
    return idx_submit(idx, &b) ? RC_OK : err_set(err, RC_STOPPED, "the index is closing");
}

static void
show_count(struct ing_dead *d)
{
    atomic_store(&d->n_letters, d->letters.n);
    metrics_set(d->metrics, M_DEAD_LETTERS, d->letters.n);
}

enum rc
ing_dead_open(struct idx *idx, struct metrics *metrics, struct ing_dead **out, struct err *err)
{
    struct idx_reader *reader = idx_reader_new(idx);
    if (!reader)
        return err_set(err, RC_LIMIT, "too many readers of the index");
    struct ing_dead *d = xcalloc(1, sizeof *d);
    must(pthread_mutex_init(&d->lock, NULL) == 0);
    d->metrics = metrics ? metrics_block(metrics) : NULL;
    const struct idx_collection *c = idx_snapshot_find(idx_reader_begin(reader), NAME);
    enum rc rc;
    if (c) {
        d->uid = c->uid;
        rc = read_all(d, c, err);
    } else {
        rc = create(d, idx, err);
    }
    idx_reader_end(reader);
    idx_reader_free(reader);
    if (rc) {
        ing_dead_close(d);
        return rc;
    }
    show_count(d);
    *out = d;
    return RC_OK;
}

void
ing_dead_close(struct ing_dead *d)
{
    if (!d)
        return;
    uint64_t *value;
    for (size_t at = 0; map_next(&d->letters, &at, NULL, &value);)
        free((void *)(uintptr_t)*value);
    map_fini(&d->letters);
    must(pthread_mutex_destroy(&d->lock) == 0);
    free(d);
}

/* ---- changes ---- */

static void
put_document(struct ing_dead *d, struct idx_batch *b, struct span key, const struct letter *l)
{
    static const struct idx_value no_value = {0};
    struct arena *arena = idx_batch_arena(b);
    struct buf text = {0};
    write_letter(l, &text);
    struct idx_doc doc = {.id = arena_dup(arena, key),
                          .seq = l->first_ms,
                          .json = arena_dup(arena, buf_span(&text)),
                          .values = &no_value};
    idx_batch_put(b, d->uid, &doc);
    buf_fini(&text);
}

void
ing_dead_put(struct ing_dead *d, struct idx_batch *b, const struct ing_dead_letter *letter)
{
    struct buf key = {0};
    put_key(letter->target, letter->collection, letter->id, &key);
    pthread_mutex_lock(&d->lock);
    struct letter *held = map_get_ptr(&d->letters, buf_span(&key));
    if (!held && d->letters.n >= ING_DEAD_MAX) {
        d->n_dropped++;
        metrics_add(d->metrics, M_DEAD_DROPPED, 1);
    } else {
        struct letter *l = letter_new(letter);
        l->last_ms = clock_wall_us() / 1000;
        l->first_ms = held ? held->first_ms : l->last_ms;
        l->n_attempts = held ? held->n_attempts + 1 : 1;
        *map_put(&d->letters, buf_span(&key), NULL) = (uint64_t)(uintptr_t)l;
        put_document(d, b, buf_span(&key), l);
        show_count(d);
        free(held);
    }
    pthread_mutex_unlock(&d->lock);
    buf_fini(&key);
}

/* The lock is held. */
static void
remove_letter(struct ing_dead *d, struct idx_batch *b, struct span key, struct letter *l)
{
    idx_batch_delete(b, d->uid, arena_dup(idx_batch_arena(b), key));
    (void)map_remove(&d->letters, key); /* it is there */
    free(l);
    show_count(d);
}

void
ing_dead_clear(struct ing_dead *d, struct idx_batch *b, enum ing_dead_target target,
               struct span collection, struct span id)
{
    if (ing_dead_n(d) == 0)
        return;
    struct buf key = {0};
    put_key(target, collection, id, &key);
    pthread_mutex_lock(&d->lock);
    struct letter *held = map_get_ptr(&d->letters, buf_span(&key));
    if (held)
        remove_letter(d, b, buf_span(&key), held);
    pthread_mutex_unlock(&d->lock);
    buf_fini(&key);
}

void
ing_dead_clear_collection(struct ing_dead *d, struct idx_batch *b, enum ing_dead_target target,
                          struct span collection)
{
    uint64_t *value;
    struct span key;
    pthread_mutex_lock(&d->lock);
    for (size_t at = 0; map_next(&d->letters, &at, &key, &value);) {
        struct letter *l = (void *)(uintptr_t)*value;
        if (l->target == target && span_eq(l->collection, collection))
            remove_letter(d, b, key, l);
    }
    pthread_mutex_unlock(&d->lock);
}

/* ---- reading ---- */

size_t
ing_dead_n(struct ing_dead *d)
{
    return atomic_load(&d->n_letters);
}

static int
newest_first(const void *a, const void *b)
{
    const struct letter *x = *(const struct letter *const *)a,
                        *y = *(const struct letter *const *)b;
    if (x->last_ms != y->last_ms)
        return x->last_ms < y->last_ms ? 1 : -1;
    return span_cmp(x->id, y->id);
}

void
ing_dead_write(struct ing_dead *d, size_t max, struct buf *out)
{
    uint64_t *value;
    size_t n = 0;
    pthread_mutex_lock(&d->lock);
    const struct letter **all = xcalloc(d->letters.n + 1, sizeof(struct letter *));
    for (size_t at = 0; map_next(&d->letters, &at, NULL, &value);)
        all[n++] = (const void *)(uintptr_t)*value;
    qsort(all, n, sizeof *all, newest_first);
    buf_printf(out, "{\"count\":%zu,\"dropped\":%llu,\"letters\":[", n,
               (unsigned long long)d->n_dropped);
    for (size_t i = 0; i < n && i < max; i++) {
        json_put_comma(out);
        write_letter(all[i], out);
    }
    buf_puts(out, "]}");
    pthread_mutex_unlock(&d->lock);
    free(all);
}
