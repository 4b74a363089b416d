/*
 * Both sides of some documents, side by side. What MongoDB has is mapped with
 * the relations of a snapshot and with the mapping time that the stored text
 * shows, so that equal documents give equal texts: there is no second notion
 * of equality beside the mapping.
 */
#include "indexer/verify.h"

#include "base/clock.h"
#include "base/hash.h"

#include "indexer/event.h"
#include "indexer/fetch.h"

enum { LOOK_DOCS = 500, ENTRIES_MAX = 65536 };

/* ---- suspects ---- */

void
ing_suspects_add(struct ing_suspects *s, struct span id, struct span key)
{
    bool is_new;
    uint64_t *number = map_put(&s->by_id, id, &is_new);
    if (!is_new)
        return;
    if (s->n == 0)
        s->first_us = clock_us();
    *number = s->n;
    s->v = xgrow(s->v, &s->cap, s->n + 1, sizeof *s->v);
    s->v[s->n++] = (struct ing_suspect){
        .id = arena_dup(&s->arena, id), .key = arena_dup(&s->arena, key), .finding = -1};
}

void
ing_suspects_clear(struct ing_suspects *s)
{
    map_clear(&s->by_id);
    arena_reset(&s->arena);
    s->n = 0;
}

void
ing_suspects_fini(struct ing_suspects *s)
{
    map_fini(&s->by_id);
    arena_fini(&s->arena);
    free(s->v);
}

/* ---- one reading ---- */

struct look {
    struct ing_verify *v;
    struct ing_verify_pass *pass; /* of a slice */
    struct ing_suspects *suspects;
    const struct ing_feed *feed;
    const struct idx_collection *held; /* NULL: no such collection */
    struct arena arena;                /* of one document */
    struct map found;                  /* ids that MongoDB has */
    struct buf last;                   /* {"_id": x} of the last document of a slice */
    size_t n;
};

static uint32_t
uid_of(const struct idx_snapshot *s, const struct ing_feed *f)
{
    const struct idx_collection *c = f ? idx_snapshot_find(s, f->schema->name) : NULL;
    return c ? c->uid : 0;
}

static void
look_begin(struct look *l, struct ing_verify *v, const struct ing_feed *f)
{
    const struct ing_mongo *m = v->m;
    *l = (struct look){.v = v, .feed = f};
    const struct idx_snapshot *s = idx_reader_begin(v->reader);
    struct ing_relation_uids uids = {.edges = uid_of(s, m->edges),
                                     .roles = uid_of(s, m->roles),
                                     .emote_sets = uid_of(s, m->sets),
                                     .users = uid_of(s, m->users)};
    l->held = idx_snapshot_find(s, f->schema->name);
    ing_relations_bind(v->relations, s, &uids);
}

static void
look_end(struct look *l)
{
    idx_reader_end(l->v->reader);
    idx_doc_reader_reset(l->v->doc_reader);
    arena_fini(&l->arena);
    map_fini(&l->found);
    buf_fini(&l->last);
}

/* Not older than anything that the apply thread has read. */
static enum rc
begin_session(struct ing_verify *v, struct err *err)
{
    pthread_mutex_lock(&v->lock);
    uint32_t time_s = v->applied_s, time_i = v->applied_i;
    pthread_mutex_unlock(&v->lock);
    return ing_client_session(&v->client, time_s, time_i, err);
}

static bool
is_held(const struct look *l, struct span id)
{
    uint32_t view, doc;
    return l->held && idx_collection_find(l->held, id, &view, &doc);
}

/* The search id of a document; empty if it cannot have one. */
static struct span
id_of(struct look *l, const bson_t *doc, bson_iter_t *at)
{
    struct span id;
    bool has_id = bson_iter_init_find(at, doc, "_id");
    must(has_id); /* every projection has it */
    return ing_mapping_id(l->feed->mapping, at, &l->arena, &id, NULL) ? (struct span){0} : id;
}

static enum ing_difference
compare(struct look *l, const bson_t *doc, struct span id)
{
    struct ing_verify *v = l->v;
    uint32_t view, n;
    struct span text;
    struct ing_mapped mapped;
    if (!l->held || !idx_collection_find(l->held, id, &view, &n))
        return ING_MISSING;
    if (idx_doc_reader_get(v->doc_reader, l->held->views[view].segment, n, &text, NULL))
        return ING_STALE; /* unreadable: put again, it is sound again */
    struct ing_mapping_env env = {.now_ms = ing_mapping_now(l->feed->mapping, text),
                                  .arena = &l->arena,
                                  .wants_json_only = true};
    if (ing_mapping_has_relations(l->feed->mapping))
        env.relations = v->relations;
    if (ing_mapping_run(l->feed->mapping, doc, &env, &mapped, NULL) ||
        !span_eq(mapped.doc.json, text))
        return ING_STALE;
    return ing_writeback_owes(v->m, l->feed, doc, &mapped) ? ING_UNMARKED : ING_SAME;
}

static void
suspect(struct look *l, struct ing_suspects *s, struct span id, const bson_iter_t *at)
{
    struct buf key = {0};
    ing_event_key(l->feed->number, at, &key);
    ing_suspects_add(s, id, span_from(buf_span(&key), 1));
    buf_fini(&key);
}

/* ---- documents of MongoDB, in _id order ---- */

static struct ing_window *
window_of(struct ing_verify_pass *p, uint64_t hash)
{
    return &p->windows[hash >> 54]; /* the upper 10 bits */
}

/* Of documents as ids, the text does not tell the order of their keys. */
static bool
is_foreign(const struct look *l, const bson_iter_t *at, struct span id)
{
    bson_t back = BSON_INITIALIZER, real = BSON_INITIALIZER;
    if (!BSON_ITER_HOLDS_DOCUMENT(at))
        return false;
    bson_append_iter(&real, "_id", 3, at);
    bool is = !ing_mapping_bson_id(l->feed->mapping, id, &back) || !bson_equal(&back, &real);
    bson_destroy(&back);
    bson_destroy(&real);
    return is;
}

static void
take_scanned(void *arg, const bson_t *doc)
{
    struct look *l = arg;
    struct ing_verify_pass *p = l->pass;
    bson_iter_t at;
    arena_reset(&l->arena);
    struct span id = id_of(l, doc, &at);
    bson_t last = BSON_INITIALIZER;
    bson_append_iter(&last, "_id", 3, &at);
    buf_clear(&l->last);
    buf_put(&l->last, bson_get_data(&last), last.len);
    bson_destroy(&last);
    if (span_eq(buf_span(&l->last), buf_span(&p->at)))
        return; /* the slice before this one ended with it */
    l->n++;
    if (id.n == 0)
        return; /* told when the apply thread met it; never in the index */
    uint64_t hash = hash64(id);
    window_of(p, hash)->source_sum += hash;
    p->has_foreign |= is_foreign(l, &at, id);
    if (compare(l, doc, id) != ING_SAME)
        suspect(l, &p->suspects, id, &at);
}

enum rc
ing_verify_docs(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                size_t max, struct ing_advance *out, struct err *err)
{
    struct look l;
    struct span after = buf_span(&p->at);
    size_t n_read = 0, n_wanted = max + (after.n > 0);
    enum rc rc = begin_session(v, err);
    if (rc)
        return rc;
    look_begin(&l, v, f);
    l.pass = p;
    struct ing_fetch fetch = {&v->client, f->source, &f->fields, take_scanned, &l};
    rc = ing_fetch_slice(&fetch, after, n_wanted, &n_read, err);
    if (!rc && l.last.n) {
        buf_clear(&p->at);
        buf_put_span(&p->at, buf_span(&l.last));
    }
    *out = (struct ing_advance){.n = l.n, .is_end = n_read < n_wanted};
    look_end(&l);
    return rc;
}

/* ---- ids of the index ---- */

static void
each_held(const struct idx_collection *c, void (*each)(void *arg, struct span id, uint64_t hash),
          void *arg)
{
    char text[IDX_ID_MAX];
    for (uint32_t i = 0; c && i < c->n_views; i++) {
        const struct idx_view *view = &c->views[i];
        for (uint32_t doc = 0; doc < view->n_docs; doc++) {
            if (!(view->live[doc / 64] >> doc % 64 & 1))
                continue;
            struct span id = idx_segment_id(view->segment, doc, text);
            each(arg, id, hash64(id));
        }
    }
}

static void
add_held(void *arg, struct span id, uint64_t hash)
{
    struct ing_window *w = window_of(arg, hash);
    (void)id;
    w->held_sum += hash;
    w->n_held++;
}

static void
collect_held(void *arg, struct span id, uint64_t hash)
{
    struct ing_verify_pass *p = arg;
    if (!window_of(p, hash)->differs)
        return;
    p->ids = xgrow(p->ids, &p->cap_ids, p->n_ids + 1, sizeof *p->ids);
    p->ids[p->n_ids++] = arena_dup(&p->arena, id);
}

/* Copies the ids of the next windows whose sums differ. Holds a snapshot while it walks. */
static void
collect(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f)
{
    const struct idx_snapshot *s = idx_reader_begin(v->reader);
    const struct idx_collection *held = idx_snapshot_find(s, f->schema->name);
    size_t n = 0;
    p->n_ids = p->i_ids = 0;
    arena_reset(&p->arena);
    if (p->window == 0) {
        for (unsigned w = 0; w < ING_WINDOWS; w++)
            p->windows[w].held_sum = p->windows[w].n_held = 0;
        each_held(held, add_held, p);
    }
    for (unsigned w = 0; w < ING_WINDOWS; w++)
        p->windows[w].differs = false;
    for (; p->window < ING_WINDOWS && n < ENTRIES_MAX; p->window++) {
        struct ing_window *w = &p->windows[p->window];
        w->differs = w->n_held && (!p->has_sums || w->held_sum != w->source_sum);
        n += w->differs ? w->n_held : 0;
    }
    if (n > 0)
        each_held(held, collect_held, p);
    idx_reader_end(v->reader);
}

static void
take_found(void *arg, const bson_t *doc)
{
    struct look *l = arg;
    bson_iter_t at;
    struct span id = id_of(l, doc, &at);
    if (id.n)
        (void)map_put(&l->found, id, NULL); /* a set */
}

struct lookup { /* of some ids of the index */
    struct arena arena;
    struct span *keys; /* one per id; empty: no _id has this text */
};

/* The bytes of {"": _id} for a search id; empty if there is none. */
static struct span
key_of(const struct ing_feed *f, struct span id, struct arena *arena)
{
    bson_t doc = BSON_INITIALIZER;
    bson_iter_t at;
    struct buf key = {0};
    struct span out = {0};
    if (ing_mapping_bson_id(f->mapping, id, &doc) && bson_iter_init_find(&at, &doc, "_id")) {
        ing_event_key(f->number, &at, &key);
        out = arena_dup(arena, span_from(buf_span(&key), 1));
    }
    buf_fini(&key);
    bson_destroy(&doc);
    return out;
}

enum rc
ing_verify_entries(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                   size_t max, struct ing_advance *out, struct err *err)
{
    while (p->i_ids == p->n_ids && p->window < ING_WINDOWS && !p->has_foreign)
        collect(v, p, f);
    size_t n_ids = p->n_ids - p->i_ids < max ? p->n_ids - p->i_ids : max;
    const struct span *ids = p->ids + p->i_ids;
    *out = (struct ing_advance){.n = n_ids, .is_end = n_ids == 0};
    if (n_ids == 0)
        return RC_OK;
    struct lookup u = {0};
    u.keys = arena_alloc(&u.arena, n_ids * sizeof *u.keys);
    struct span *wanted = arena_alloc(&u.arena, n_ids * sizeof *wanted);
    size_t n_wanted = 0;
    for (size_t i = 0; i < n_ids; i++) {
        u.keys[i] = key_of(f, ids[i], &u.arena);
        if (u.keys[i].n)
            wanted[n_wanted++] = u.keys[i];
    }
    bson_t *fields = BCON_NEW("_id", BCON_INT32(1)); /* the server reads its index alone */
    struct look l = {.v = v, .feed = f};
    struct ing_fetch fetch = {&v->client, f->source, fields, take_found, &l};
    enum rc rc = begin_session(v, err);
    if (!rc && n_wanted)
        rc = ing_fetch_keys(&fetch, wanted, n_wanted, err);
    for (size_t i = 0; !rc && i < n_ids; i++) {
        if (!map_get(&l.found, ids[i]))
            ing_suspects_add(&p->suspects, ids[i], u.keys[i]);
    }
    p->i_ids += rc ? 0 : n_ids;
    map_fini(&l.found);
    arena_fini(&l.arena);
    arena_fini(&u.arena);
    bson_destroy(fields);
    return rc;
}

/* ---- suspects, once more ---- */

static void
take_suspect(void *arg, const bson_t *doc)
{
    struct look *l = arg;
    bson_iter_t at;
    arena_reset(&l->arena);
    struct span id = id_of(l, doc, &at);
    uint64_t *number = id.n ? map_get(&l->suspects->by_id, id) : NULL;
    if (number)
        l->suspects->v[*number].kind = compare(l, doc, id);
}

enum rc
ing_verify_look(struct ing_verify *v, struct ing_suspects *s, const struct ing_feed *f,
                struct err *err)
{
    struct look l;
    struct span keys[LOOK_DOCS];
    enum rc rc = begin_session(v, err);
    if (rc)
        return rc;
    look_begin(&l, v, f);
    l.suspects = s;
    struct ing_fetch fetch = {&v->client, f->source, &f->fields, take_suspect, &l};
    for (size_t i = 0; i < s->n; i++)
        s->v[i].kind = is_held(&l, s->v[i].id) ? ING_GHOST : ING_SAME; /* unless it is found */
    for (size_t i = 0; i < s->n && !rc;) {
        size_t n = 0;
        for (; i < s->n && n < LOOK_DOCS; i++) {
            if (s->v[i].key.n)
                keys[n++] = s->v[i].key;
        }
        rc = n ? ing_fetch_keys(&fetch, keys, n, err) : RC_OK;
    }
    look_end(&l);
    return rc;
}
