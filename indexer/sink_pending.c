/* Entries owed to Typesense, and the lock that orders owing and settling. */
#include "indexer/sink_pending.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

static const struct span NAME = {"tailfin_pending", 15};
static const char SCHEMA[] = "{\"name\":\"tailfin_pending\",\"metadata\":{\"internal\":true},"
                             "\"fields\":[{\"name\":\"time_s\",\"type\":\"int64\"}]}";

enum { TIME_FIELD = 0, KEY_ROOM = IDX_ID_MAX - 20 };

/* ---- keys ---- */

static struct span
key_of(struct arena *arena, struct span name, struct span id)
{
    if (name.n + 1 + id.n <= IDX_ID_MAX)
        return arena_printf(arena, "%.*s/%.*s", SPAN_ARG(name), SPAN_ARG(id));
    /* Too long for an id: told apart by a hash, and the entry holds the whole. */
    struct span cut = span_of(id.p, KEY_ROOM - name.n - 1);
    return arena_printf(arena, "%.*s/%.*s#%016llx", SPAN_ARG(name), SPAN_ARG(cut),
                        (unsigned long long)hash64(id));
}

static struct span
entry_text(struct arena *arena, struct span key, struct span name, struct span id)
{
    struct buf text = {0};
    buf_puts(&text, "{\"id\":");
    json_put_str(&text, key);
    if (name.n + 1 + id.n > IDX_ID_MAX) {
        buf_puts(&text, ",\"document\":");
        json_put_str(&text, id);
    }
    buf_putc(&text, '}');
    struct span out = arena_dup(arena, buf_span(&text));
    buf_fini(&text);
    return out;
}

/* ---- life ---- */

static enum rc
create(struct ing_pending *p, struct err *err)
{
    struct idx_batch *b = idx_batch_new();
    struct arena *arena = idx_batch_arena(b);
    struct json json;
    struct sch_collection schema;
    must(json_parse(span_str(SCHEMA), arena, &json, NULL) == RC_OK);
    must(sch_parse(&json, arena, &schema, NULL) == RC_OK);
    schema.created_at_s = clock_wall_us() / 1000000;
    p->uid = idx_new_uid(p->idx);
    idx_batch_create(b, p->uid, &schema, 0);
    idx_batch_complete(b, p->uid);
    idx_batch_name(b, p->uid);
    uint64_t ticket = idx_submit(p->idx, &b);
    if (!ticket || idx_wait(p->idx, ticket, IDX_VISIBLE, 60000000))
        return err_set(err, RC_STOPPED, "the index is closing");
    return RC_OK;
}

enum rc
ing_pending_open(struct ing_pending *p, struct idx *idx, struct err *err)
{
    *p = (struct ing_pending){.idx = idx};
    struct idx_reader *reader = idx_reader_new(idx);
    if (!reader)
        return err_set(err, RC_LIMIT, "too many readers of the index");
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, &attr);
    pthread_condattr_destroy(&attr);
    const struct idx_collection *c = idx_snapshot_find(idx_reader_begin(reader), NAME);
    p->uid = c ? c->uid : 0;
    idx_reader_end(reader);
    idx_reader_free(reader);
    return c ? RC_OK : create(p, err);
}

void
ing_pending_close(struct ing_pending *p)
{
    if (!p->idx)
        return;
    map_fini(&p->touched);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    p->idx = NULL;
}

/* ---- owing ---- */

uint64_t
ing_pending_follow(struct ing_pending *p, struct span name, uint32_t uid, struct idx_batch **take)
{
    pthread_mutex_lock(&p->lock);
    unsigned i = 0;
    while (i < p->n_followed && !span_eq(p->followed[i].name, name))
        i++;
    if (i == p->n_followed && uid) {
        must(i < ING_PENDING_FOLLOWED_MAX);
        p->n_followed++;
    }
    if (uid) {
        p->followed[i].name = name;
        p->followed[i].uid = uid;
    } else if (i < p->n_followed) {
        p->followed[i] = p->followed[--p->n_followed];
    }
    uint64_t ticket = take ? idx_submit(p->idx, take) : 0;
    pthread_mutex_unlock(&p->lock);
    return ticket;
}

static void
owe(struct ing_pending *p, struct idx_batch *b, struct span name, struct span id, int64_t time_s)
{
    struct arena *arena = idx_batch_arena(b);
    struct span key = key_of(arena, name, id);
    int64_t *time = arena_alloc(arena, sizeof *time);
    struct idx_value *value = arena_alloc(arena, sizeof *value);
    *time = time_s;
    *value = (struct idx_value){.n = 1, .i64 = time};
    struct idx_doc doc = {.id = key, .json = entry_text(arena, key, name, id), .values = value};
    idx_batch_put(b, p->uid, &doc);
    if (p->touched.n >= ING_PENDING_TOUCHED_MAX)
        p->is_overflowed = true;
    else
        (void)map_put(&p->touched, key, NULL); /* a set */
}

uint64_t
ing_pending_submit(struct ing_pending *p, struct idx_batch **take, uint32_t time_s)
{
    struct idx_batch *b = *take;
    size_t n = idx_batch_n(b), n_owed = 0;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < n && p->n_followed; i++) {
        uint32_t uid;
        struct span id;
        if (!idx_batch_change(b, i, &uid, &id))
            continue;
        for (unsigned k = 0; k < p->n_followed; k++) {
            if (p->followed[k].uid != uid)
                continue;
            owe(p, b, p->followed[k].name, id, time_s);
            n_owed++;
        }
    }
    uint64_t ticket = idx_submit(p->idx, take);
    if (n_owed && ticket) {
        p->ticket = ticket;
        pthread_cond_broadcast(&p->wake);
    }
    pthread_mutex_unlock(&p->lock);
    return ticket;
}

/* ---- settling ---- */

uint64_t
ing_pending_sample(struct ing_pending *p)
{
    pthread_mutex_lock(&p->lock);
    if (p->touched.cap > 16384)
        map_fini(&p->touched); /* clearing costs its capacity */
    else
        map_clear(&p->touched);
    p->is_overflowed = false;
    uint64_t ticket = p->ticket;
    pthread_mutex_unlock(&p->lock);
    return ticket;
}

uint64_t
ing_pending_settle(struct ing_pending *p, struct idx_batch **take, const struct span *keys,
                   size_t n, size_t *n_left)
{
    struct arena *arena = idx_batch_arena(*take);
    *n_left = 0;
    pthread_mutex_lock(&p->lock);
    for (size_t i = 0; i < n; i++) {
        if (p->is_overflowed || map_get(&p->touched, keys[i]))
            ++*n_left;
        else
            idx_batch_delete(*take, p->uid, arena_dup(arena, keys[i]));
    }
    uint64_t ticket = idx_submit(p->idx, take);
    pthread_mutex_unlock(&p->lock);
    return ticket;
}

/* ---- looking ---- */

uint64_t
ing_pending_n(const struct ing_pending *p, const struct idx_snapshot *s)
{
    const struct idx_collection *c = idx_snapshot_find_uid(s, p->uid);
    return c ? c->n_docs : 0;
}

static bool
is_live(const struct idx_view *view, uint32_t doc)
{
    return view->live[doc / 64] >> (doc % 64) & 1;
}

/* False if the entry is unreadable: then nothing more is to be had of it. */
static bool
read_item(const struct idx_segment *segment, uint32_t doc, struct span key, struct arena *arena,
          struct ing_pending_item *out)
{
    key = arena_dup(arena, key);
    size_t slash = span_find(key, 0, '/');
    if (slash == key.n)
        return false;
    *out = (struct ing_pending_item){key, span_of(key.p, slash), span_from(key, slash + 1)};
    if (key.n < KEY_ROOM)
        return true;
    struct idx_doc_reader *reader = idx_doc_reader_new();
    struct span json;
    struct json object;
    bool is_ok = !idx_doc_reader_get(reader, segment, doc, &json, NULL) &&
                 !json_parse(json, arena, &object, NULL);
    if (is_ok)
        out->id = arena_dup(arena, json_get_str(&object, "document", out->id));
    idx_doc_reader_free(reader);
    return is_ok;
}

static size_t
list_view(const struct idx_view *view, const struct ing_pending_filter *filter, size_t max,
          struct arena *arena, struct ing_pending_item *out)
{
    struct idx_column times;
    char text[IDX_ID_MAX];
    size_t n = 0;
    if (filter->before_s && !idx_segment_column(view->segment, TIME_FIELD, &times))
        return 0;
    for (uint32_t doc = 0; doc < view->n_docs && n < max; doc++) {
        if (view->live[doc / 64] == 0)
            doc |= 63;
        if (doc >= view->n_docs || !is_live(view, doc) ||
            (filter->before_s && times.i64[doc] >= (int64_t)filter->before_s))
            continue;
        struct span key = idx_segment_id(view->segment, doc, text);
        if (!filter->sweep || ing_sweep_has(filter->sweep, key))
            n += read_item(view->segment, doc, key, arena, &out[n]);
    }
    return n;
}

size_t
ing_pending_list(const struct ing_pending *p, const struct idx_snapshot *s,
                 const struct ing_pending_filter *filter, struct arena *arena,
                 struct ing_pending_item *out)
{
    const struct idx_collection *c = idx_snapshot_find_uid(s, p->uid);
    size_t n = 0;
    for (uint32_t v = 0; c && v < c->n_views && n < filter->max; v++)
        n += list_view(&c->views[v], filter, filter->max - n, arena, out + n);
    return n;
}

void
ing_pending_sweep(const struct ing_pending *p, const struct idx_snapshot *s,
                  struct ing_sweep *sweep)
{
    const struct idx_collection *c = idx_snapshot_find_uid(s, p->uid);
    char text[IDX_ID_MAX];
    ing_sweep_clear(sweep);
    for (uint32_t v = 0; c && v < c->n_views; v++) {
        for (uint32_t doc = 0; doc < c->views[v].n_docs; doc++) {
            if (is_live(&c->views[v], doc))
                ing_sweep_add(sweep, idx_segment_id(c->views[v].segment, doc, text));
        }
    }
    ing_sweep_begin(sweep);
}

uint32_t
ing_pending_oldest_s(const struct ing_pending *p, const struct idx_snapshot *s)
{
    const struct idx_collection *c = idx_snapshot_find_uid(s, p->uid);
    int64_t oldest_s = INT64_MAX;
    for (uint32_t v = 0; c && v < c->n_views; v++) {
        const struct idx_view *view = &c->views[v];
        struct idx_column times;
        bool has_times = idx_segment_column(view->segment, TIME_FIELD, &times);
        for (uint32_t doc = 0; has_times && doc < view->n_docs; doc++) {
            if (is_live(view, doc) && times.i64[doc] < oldest_s)
                oldest_s = times.i64[doc];
        }
    }
    return oldest_s == INT64_MAX || oldest_s < 0 ? 0 : (uint32_t)oldest_s;
}

/* ---- waiting ---- */

void
ing_pending_wait(struct ing_pending *p, uint64_t ticket_seen, uint64_t wait_us)
{
    uint64_t until_us = clock_us() + wait_us;
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    pthread_mutex_lock(&p->lock);
    while (p->ticket <= ticket_seen && !p->is_woken && clock_us() < until_us)
        (void)pthread_cond_timedwait(&p->wake, &p->lock, &at); /* the loop looks again */
    p->is_woken = false;
    pthread_mutex_unlock(&p->lock);
}

void
ing_pending_wake(struct ing_pending *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_woken = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}
