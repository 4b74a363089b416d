/*
 * One group, top-down: ing_group_prepare and ing_group_run are the table of
 * contents.
 *
 * Log before index: records are synced before the batch is submitted, so that
 * a committed log position never lies behind what the log holds.
 */
#include "indexer/group.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/map.h"

#include "indexer/group_parts.h"
#include "indexer/indexer.h"
#include "indexer/oplog_record.h"

enum { TRIM_US = 5000000, NUMBERS_MAX = 1000 };

/* What the group has done to an id so far, before any of it is visible. */
struct pending {
    bool is_deleted;
    struct span json;
};

/* A group in its turn. */
struct run {
    struct ing_groups *g;
    struct ing_group *group;
    struct map pending; /* key_of(uid, id) -> struct pending * */
    struct buf key;
    struct ing_analyzer analyzer;
    uint64_t log_end; /* behind the group's last record */
    bool is_dirty;
};

static void prepare(struct ing_group *group, const struct idx_collection *c,
                    struct ing_analyzer *analyzer, struct ing_write *w);
static void resolve(struct run *run, struct ing_write *w);
static enum rc finish(struct run *run, struct err *err);
static void begin_turn(struct ing_groups *g);
static void end_turn(struct ing_groups *g);

void
ing_group_prepare(struct ing_group *group)
{
    const struct idx_snapshot *s = idx_reader_begin(group->reader);
    struct ing_analyzer analyzer = {0};
    must(!group->batch);
    group->batch = idx_batch_new();
    for (size_t i = 0; i < group->n; i++) {
        struct ing_write *w = &group->writes[i];
        if (w->rc != RC_OK || w->action == ING_DELETE)
            continue;
        const struct idx_collection *c = idx_snapshot_find_public(s, w->collection);
        if (c)
            prepare(group, c, &analyzer, w);
    }
    idx_doc_reader_reset(group->docs);
    idx_reader_end(group->reader);
}

void
ing_group_run(struct ing_group *group)
{
    struct ing_groups *g = group->groups;
    struct run run = {.g = g, .group = group};
    if (!group->batch)
        group->batch = idx_batch_new();
    struct err err = {0};
    begin_turn(g);
    enum rc rc = ing_groups_may_write(g, &err);
    for (size_t i = 0; i < group->n && rc == RC_OK; i++) {
        if (group->writes[i].rc == RC_OK)
            resolve(&run, &group->writes[i]);
    }
    if (run.is_dirty)
        rc = finish(&run, &err);
    end_turn(g);
    idx_batch_free(group->batch);
    group->batch = NULL;
    map_fini(&run.pending);
    buf_fini(&run.key);
    for (size_t i = 0; rc != RC_OK && i < group->n; i++) {
        struct ing_write *w = &group->writes[i];
        if (w->rc == RC_OK)
            w->rc = err_set(&w->err, rc, "%s", err.text);
    }
}

/* ---- building a document ---- */

const struct tkz_analyzer *
ing_analyzer_of(struct ing_analyzer *a, const struct idx_collection *c)
{
    if (a->uid != c->uid) {
        tkz_analyzer_init(&a->analyzer, c->schema->separators, c->schema->symbols);
        a->uid = c->uid;
    }
    return &a->analyzer;
}

/* The id that the path or the object gives; > 0: none. */
static enum rc
id_of(const struct ing_write *w, struct span *id, struct err *err)
{
    *id = w->id;
    return id->n ? RC_OK : ing_record_id(&w->object, id, err);
}

/* The write's object, laid over base where there is one; a missing id is the number. */
static enum rc
build(struct ing_group *group, const struct idx_collection *c, struct ing_analyzer *analyzer,
      struct ing_write *w, const struct json *base)
{
    struct arena *arena = idx_batch_arena(group->batch);
    struct json object;
    struct ing_record built;
    struct span id;
    enum rc rc = id_of(w, &id, &w->err);
    if (rc < 0)
        return rc;
    /* A refused document uses a number up, too (as the peer's do). */
    uint64_t seq = ing_sequences_take(&group->groups->sequences, c->uid);
    ing_record_merge(base, &w->object, arena, &object);
    ing_record_set_id(&object, rc == RC_OK ? id : arena_printf(arena, "%" PRIu64, seq), arena);
    const struct ing_record_rules rules = {c->schema, ing_analyzer_of(analyzer, c), w->dirty};
    rc = ing_record_build(&rules, &object, arena, &built, &w->err);
    if (rc != RC_OK)
        return rc;
    w->record = built;
    w->record.doc.seq = seq;
    w->uid = c->uid;
    return RC_OK;
}

/*
 * The document of an id laid over the one that is there now. It holds as long
 * as that one is alive where it was found: segments never change, and the
 * numbers of files are never used again (documents in RAM move too soon).
 */
static void
prepare_merged(struct ing_group *group, const struct idx_collection *c,
               struct ing_analyzer *analyzer, struct ing_write *w, struct span id)
{
    uint32_t view = 0, doc = 0;
    struct span stored;
    struct json base;
    if (!idx_collection_find(c, id, &view, &doc) || c->views[view].file == 0 ||
        idx_doc_reader_get(group->docs, c->views[view].segment, doc, &stored, NULL) != RC_OK ||
        json_parse(arena_dup(&group->arena, stored), idx_batch_arena(group->batch), &base, NULL) !=
            RC_OK)
        return;
    w->built = build(group, c, analyzer, w, &base);
    w->uid = c->uid;
    w->base_file = c->views[view].file;
    w->base_doc = doc;
}

/* As if the id were new, or replaced, or laid over what is there now: most turn out to be. */
static void
prepare(struct ing_group *group, const struct idx_collection *c, struct ing_analyzer *analyzer,
        struct ing_write *w)
{
    struct span id;
    uint32_t view = 0, doc = 0;
    bool may_merge = w->action == ING_UPDATE || w->action == ING_EMPLACE;
    bool is_named = may_merge && id_of(w, &id, NULL) == RC_OK;
    if (is_named && (w->action == ING_UPDATE || idx_collection_find(c, id, &view, &doc))) {
        prepare_merged(group, c, analyzer, w, id);
        return;
    }
    if (w->action == ING_UPDATE)
        return;
    w->built = build(group, c, analyzer, w, NULL);
    w->uid = c->uid;
    w->is_built = true;
}

/* ---- the state of an id ---- */

static struct span
key_of(struct run *run, uint32_t uid, struct span id)
{
    buf_clear(&run->key);
    buf_put_u32(&run->key, uid);
    buf_put_span(&run->key, id);
    return buf_span(&run->key);
}

static void
note_pending(struct run *run, uint32_t uid, struct span id, struct span json)
{
    struct pending *p = arena_alloc(&run->group->arena, sizeof *p);
    *p = (struct pending){.is_deleted = json.p == NULL, .json = json};
    *map_put(&run->pending, key_of(run, uid, id), NULL) = (uint64_t)(uintptr_t)p;
}

static bool
exists(struct run *run, const struct idx_collection *c, struct span id)
{
    uint32_t view = 0, doc = 0;
    const struct pending *p = NULL;
    if (run->pending.n)
        p = map_get_ptr(&run->pending, key_of(run, c->uid, id));
    return p ? !p->is_deleted : idx_collection_find(c, id, &view, &doc);
}

/* The newest document of the id: RC_OK, > 0 if there is none, RC_CORRUPT. */
static enum rc
current(struct run *run, const struct idx_collection *c, struct span id, struct span *json,
        struct err *err)
{
    const struct pending *p = NULL;
    if (run->pending.n)
        p = map_get_ptr(&run->pending, key_of(run, c->uid, id));
    if (p) {
        *json = p->json;
        return p->is_deleted ? (enum rc)1 : RC_OK;
    }
    uint32_t view = 0, doc = 0;
    if (!idx_collection_find(c, id, &view, &doc))
        return (enum rc)1;
    struct span stored;
    enum rc rc = idx_doc_reader_get(run->g->docs, c->views[view].segment, doc, &stored, err);
    if (rc == RC_OK)
        *json = arena_dup(&run->group->arena, stored);
    return rc;
}

/* True if what the write was laid over is still the newest document of the id. */
static bool
is_base_newest(struct run *run, const struct idx_collection *c, const struct ing_write *w,
               struct span id)
{
    uint32_t view = 0, doc = 0;
    if (w->base_file == 0 || w->uid != c->uid)
        return false;
    if (run->pending.n && map_get_ptr(&run->pending, key_of(run, c->uid, id)))
        return false;
    return idx_collection_find(c, id, &view, &doc) && c->views[view].file == w->base_file &&
           doc == w->base_doc;
}

/* ---- one write ---- */

static enum rc
put_log(struct run *run, const struct ing_oplog_record *record, struct err *err)
{
    struct ing_groups *g = run->g;
    buf_clear(&g->record);
    ing_oplog_write(&g->record, record);
    return idx_log_append(g->log, buf_span(&g->record), &run->log_end, err);
}

static enum rc
remove_document(struct run *run, const struct idx_collection *c, struct ing_write *w)
{
    struct idx_batch *batch = run->group->batch;
    struct span json;
    enum rc rc = current(run, c, w->id, &json, &w->err);
    if (rc > 0)
        return err_set(&w->err, RC_ABSENT, "there is no document with the id %.*s",
                       SPAN_ARG(w->id));
    const struct ing_oplog_record record = {.is_delete = true, .uid = c->uid, .id = w->id};
    if (rc == RC_OK)
        rc = put_log(run, &record, &w->err);
    if (rc != RC_OK)
        return rc;
    run->is_dirty = true;
    note_pending(run, c->uid, w->id, (struct span){0});
    idx_batch_delete(batch, c->uid, arena_dup(idx_batch_arena(batch), w->id));
    w->stored = json;
    w->stored_id = w->id;
    return RC_OK;
}

/* update, and emplace over an existing document. */
static enum rc
build_merged(struct run *run, const struct idx_collection *c, struct ing_write *w, struct span old)
{
    struct json base;
    enum rc rc = json_parse(old, idx_batch_arena(run->group->batch), &base, &w->err);
    return rc == RC_OK ? build(run->group, c, &run->analyzer, w, &base) : rc;
}

/* Fills w->record for the state as it is now. */
static enum rc
settle(struct run *run, const struct idx_collection *c, struct ing_write *w)
{
    struct span id, old;
    bool is_ready = w->is_built && w->uid == c->uid;
    enum rc rc = id_of(w, &id, &w->err), found = (enum rc)1; /* not there, or it does not matter */
    if (rc == RC_OK && is_base_newest(run, c, w, id))
        return w->built;
    if (rc == RC_OK && w->action == ING_CREATE)
        found = exists(run, c, id) ? RC_OK : found;
    else if (rc == RC_OK && w->action != ING_UPSERT)
        found = current(run, c, id, &old, &w->err);
    if (rc < 0 || found < 0)
        return rc < 0 ? rc : found;
    bool is_there = found == RC_OK;
    if (is_there && w->action == ING_CREATE)
        return err_set(&w->err, RC_CONFLICT, "a document with the id %.*s exists already",
                       SPAN_ARG(id));
    if (!is_there && w->action == ING_UPDATE)
        return err_set(&w->err, RC_ABSENT, "there is no document with the id %.*s", SPAN_ARG(id));
    if (is_there)
        return build_merged(run, c, w, old);
    bool is_named = rc == RC_OK;
    rc = is_ready ? w->built : build(run->group, c, &run->analyzer, w, NULL);
    /* Somebody may have chosen the very id that a number makes. */
    for (int i = 0; rc == RC_OK && !is_named && exists(run, c, w->record.doc.id); i++)
        rc = i < NUMBERS_MAX
                 ? build(run->group, c, &run->analyzer, w, NULL)
                 : err_set(&w->err, RC_CONFLICT, "no free number was found for an `id`");
    return rc;
}

static enum rc
put_document(struct run *run, const struct idx_collection *c, struct ing_write *w)
{
    struct arena *arena = &run->group->arena;
    enum rc rc = settle(run, c, w);
    const struct idx_doc *doc = &w->record.doc;
    if (rc == RC_OK) {
        const struct ing_oplog_record record = {
            .uid = c->uid, .seq = doc->seq, .id = doc->id, .json = w->record.logged};
        rc = put_log(run, &record, &w->err);
    }
    if (rc != RC_OK)
        return rc;
    run->is_dirty = true;
    idx_batch_put(run->group->batch, c->uid, doc);
    /* The batch takes its memory along: the answer needs copies. */
    w->stored = arena_dup(arena, doc->json);
    w->stored_id = arena_dup(arena, doc->id);
    note_pending(run, c->uid, w->stored_id, w->stored);
    return RC_OK;
}

static void
resolve(struct run *run, struct ing_write *w)
{
    const struct idx_collection *c = idx_snapshot_find_public(run->g->snapshot, w->collection);
    if (!c)
        w->rc = err_set(&w->err, RC_ABSENT, "there is no collection %.*s", SPAN_ARG(w->collection));
    else
        w->rc = ing_groups_check_fed(run->g, c->schema->name, &w->err);
    if (w->rc != RC_OK)
        return;
    if (w->action == ING_DELETE)
        w->rc = remove_document(run, c, w);
    else
        w->rc = put_document(run, c, w);
}

/* ---- a turn ---- */

void
ing_groups_put_state(struct ing_groups *g, struct idx_batch *batch)
{
    struct buf value = {0};
    buf_put_u64(&value, g->log_end);
    idx_batch_state(batch, ING_LOG_STATE, arena_dup(idx_batch_arena(batch), buf_span(&value)));
    buf_fini(&value);
    ing_sequences_save(&g->sequences, batch);
}

/* Log files whose records are all in a durable commit are of no use any more. */
static void
trim(struct ing_groups *g)
{
    uint64_t now_us = clock_us();
    if (now_us - g->trimmed_us < TRIM_US)
        return;
    struct arena arena = {0};
    struct span state = idx_state(g->idx, ING_LOG_STATE, &arena);
    enum rc rc = state.n == 8 ? idx_log_trim(g->log, load_u64(state.p), NULL) : RC_OK;
    (void)rc; /* a failure leaves old files for the next time: nothing depends on them */
    g->trimmed_us = now_us;
    arena_fini(&arena);
}

/* Synced, submitted, visible. */
static enum rc
finish(struct run *run, struct err *err)
{
    enum rc rc = ing_groups_sync(run->g, run->log_end, err);
    return rc == RC_OK ? ing_groups_show(run->g, &run->group->batch, err) : rc;
}

static void
begin_turn(struct ing_groups *g)
{
    ing_turn_take(&g->turn);
    g->snapshot = idx_reader_begin(g->reader);
}

static void
end_turn(struct ing_groups *g)
{
    idx_doc_reader_reset(g->docs);
    idx_reader_end(g->reader);
    g->snapshot = NULL;
    trim(g);
    ing_turn_give(&g->turn);
}

/* ---- changes of the catalog ---- */

enum rc
ing_groups_check_fed(struct ing_groups *g, struct span name, struct err *err)
{
    if (!g->mongo || !ing_mongo_feeds(g->mongo, name))
        return RC_OK;
    return err_set(err, RC_CONFLICT, "`%.*s` is fed by MongoDB: write there, the index follows",
                   SPAN_ARG(name));
}

void
ing_groups_begin(struct ing_groups *g)
{
    begin_turn(g);
}

const struct idx_snapshot *
ing_groups_snapshot(struct ing_groups *g)
{
    return g->snapshot;
}

void
ing_groups_hand_on(struct ing_groups *g, uint32_t from, uint32_t to)
{
    ing_sequences_raise(&g->sequences, to, ing_sequences_peek(&g->sequences, from));
}

void
ing_groups_end(struct ing_groups *g)
{
    end_turn(g);
}

/* ---- lives ---- */

enum rc
ing_group_init(struct ing_group *group, struct ing_groups *groups, struct err *err)
{
    *group = (struct ing_group){.groups = groups};
    group->reader = idx_reader_new(groups->idx);
    group->docs = idx_doc_reader_new();
    return group->reader ? RC_OK : err_set(err, RC_LIMIT, "too many readers");
}

void
ing_group_fini(struct ing_group *group)
{
    idx_batch_free(group->batch);
    idx_reader_free(group->reader);
    idx_doc_reader_free(group->docs);
    arena_fini(&group->arena);
    free(group->writes);
}

struct ing_write *
ing_group_add(struct ing_group *group)
{
    group->writes = xgrow(group->writes, &group->cap, group->n + 1, sizeof *group->writes);
    struct ing_write *w = &group->writes[group->n++];
    memset(w, 0, sizeof *w);
    return w;
}

void
ing_group_reset(struct ing_group *group)
{
    idx_batch_free(group->batch);
    group->batch = NULL;
    group->n = 0;
    arena_reset(&group->arena);
}

enum rc
ing_groups_open(struct idx *idx, struct fs *fs, struct ing_mongo *mongo, struct ing_groups **out,
                struct err *err)
{
    struct ing_groups *g = xcalloc(1, sizeof *g);
    g->idx = idx;
    g->mongo = mongo;
    g->trimmed_us = clock_us();
    ing_turn_init(&g->turn);
    must(pthread_mutex_init(&g->trouble_lock, NULL) == 0);
    ing_sequences_init(&g->sequences, idx);
    g->reader = idx_reader_new(idx);
    g->docs = idx_doc_reader_new();
    enum rc rc =
        g->reader ? idx_log_open(fs, &g->log, err) : err_set(err, RC_LIMIT, "too many readers");
    if (rc == RC_OK)
        rc = ing_groups_replay(g, err);
    if (rc != RC_OK) {
        ing_groups_close(g);
        return rc;
    }
    *out = g;
    return RC_OK;
}

void
ing_groups_close(struct ing_groups *g)
{
    if (!g)
        return;
    idx_log_close(g->log);
    idx_reader_free(g->reader);
    idx_doc_reader_free(g->docs);
    ing_sequences_fini(&g->sequences);
    ing_turn_fini(&g->turn);
    pthread_mutex_destroy(&g->trouble_lock);
    buf_fini(&g->record);
    free(g);
}
