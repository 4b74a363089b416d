/*
 * One group, top-down: ing_groups_run is the table of contents.
 *
 * Log before index: records are synced before the batch is submitted, so that
 * a committed log position never lies behind what the log holds.
 */
#include "indexer/group.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/map.h"
#include "indexer/oplog_record.h"

enum { REPLAY_DOCS = 4096, TRIM_US = 5000000 };

static const struct span LOG_STATE = {"log", 3};

struct ing_groups {
    struct idx *idx;
    struct fs *fs;
    pthread_mutex_t turn; /* held for a whole group; guards all below */
    struct idx_log *log;
    struct idx_reader *reader;
    const struct idx_snapshot *snapshot; /* of the group that runs */
    struct idx_doc_reader *docs;
    struct map next_seq;  /* "seq:<uid>" -> the next document's sequence number */
    uint64_t log_end;
    uint64_t trimmed_us;
    struct buf record;
};

/* What the group has done to an id so far, before any of it is visible. */
struct pending {
    bool is_deleted;
    struct span json;
};

struct group {
    struct ing_groups *g;
    struct idx_batch *batch;
    struct arena *arena; /* the caller's */
    struct map pending;  /* "<uid>:<id>" -> struct pending * */
    struct tkz_analyzer analyzer;
    uint32_t analyzer_uid; /* the collection it was made for; 0: none yet */
    bool is_dirty;
};

static void resolve(struct group *group, struct ing_write *w);
static enum rc finish(struct group *group);

/* ---- sequence numbers ---- */

static struct span
seq_name(uint32_t uid, char room[32])
{
    int n = snprintf(room, 32, "seq:%" PRIu32, uid);
    return span_of(room, (size_t)n);
}

static uint64_t *
next_seq(struct ing_groups *g, uint32_t uid)
{
    char room[32];
    struct span name = seq_name(uid, room);
    bool is_new = false;
    uint64_t *next = map_put(&g->next_seq, name, &is_new);
    if (is_new) {
        struct arena arena = {0};
        struct span state = idx_state(g->idx, name, &arena);
        if (state.n == 8)
            *next = load_u64(state.p);
        arena_fini(&arena);
    }
    return next;
}

/* ---- the state of an id ---- */

static struct span
pending_key(const struct group *group, uint32_t uid, struct span id)
{
    return arena_printf(group->arena, "%" PRIu32 ":%.*s", uid, SPAN_ARG(id));
}

static void
note_pending(struct group *group, uint32_t uid, struct span id, struct span json)
{
    struct pending *p = arena_calloc(group->arena, 1, sizeof *p);
    p->is_deleted = json.p == NULL;
    p->json = json;
    *map_put(&group->pending, pending_key(group, uid, id), NULL) = (uint64_t)(uintptr_t)p;
}

/* The newest document of the id: RC_OK, > 0 if there is none, RC_CORRUPT. */
static enum rc
current(struct group *group, const struct idx_collection *c, struct span id, struct span *json,
        struct err *err)
{
    const struct pending *p = NULL;
    if (group->pending.n)
        p = map_get_ptr(&group->pending, pending_key(group, c->uid, id));
    if (p) {
        *json = p->json;
        return p->is_deleted ? (enum rc)1 : RC_OK;
    }
    uint32_t view = 0, doc = 0;
    if (!idx_collection_find(c, id, &view, &doc))
        return (enum rc)1;
    struct span stored;
    enum rc rc = idx_doc_reader_get(group->g->docs, c->views[view].segment, doc, &stored, err);
    if (rc == RC_OK)
        *json = arena_dup(group->arena, stored);
    return rc;
}

/* ---- one write ---- */

static const struct tkz_analyzer *
analyzer_of(struct group *group, const struct idx_collection *c)
{
    if (group->analyzer_uid != c->uid) {
        tkz_analyzer_init(&group->analyzer, c->schema->separators, c->schema->symbols);
        group->analyzer_uid = c->uid;
    }
    return &group->analyzer;
}

static enum rc
log_and_note(struct group *group, const struct ing_oplog_record *record, struct err *err)
{
    struct ing_groups *g = group->g;
    buf_clear(&g->record);
    ing_oplog_write(&g->record, record);
    enum rc rc = idx_log_append(g->log, buf_span(&g->record), &g->log_end, err);
    if (rc != RC_OK)
        return rc;
    group->is_dirty = true;
    note_pending(group, record->uid, record->id, record->json);
    return RC_OK;
}

static enum rc
remove_document(struct group *group, const struct idx_collection *c, struct ing_write *w)
{
    struct span json;
    enum rc rc = current(group, c, w->id, &json, &w->err);
    if (rc > 0)
        return err_set(&w->err, RC_ABSENT, "there is no document with the id %.*s", SPAN_ARG(w->id));
    if (rc != RC_OK)
        return rc;
    const struct ing_oplog_record record = {.is_delete = true, .uid = c->uid, .id = w->id};
    rc = log_and_note(group, &record, &w->err);
    if (rc != RC_OK)
        return rc;
    idx_batch_delete(group->batch, c->uid, arena_dup(idx_batch_arena(group->batch), w->id));
    w->stored = json;
    w->stored_id = w->id;
    return RC_OK;
}

/* The object that is to be stored: the write's own, or laid over the existing one. */
static enum rc
merged_object(struct group *group, const struct idx_collection *c, struct ing_write *w,
              struct json *object, struct err *err)
{
    struct arena *arena = idx_batch_arena(group->batch);
    struct span id = w->id, json = {0};
    bool is_merge = w->action == ING_UPDATE || w->action == ING_EMPLACE;
    enum rc rc = id.n ? RC_OK : ing_record_id(&w->object, &id, err);
    if (rc < 0)
        return rc;
    bool has_id = rc == RC_OK;
    rc = has_id ? current(group, c, id, &json, err) : (enum rc)1;
    if (rc < 0)
        return rc;
    bool is_there = rc == RC_OK;
    if (is_there && w->action == ING_CREATE)
        return err_set(err, RC_CONFLICT, "a document with the id %.*s exists already", SPAN_ARG(id));
    if (!is_there && w->action == ING_UPDATE)
        return err_set(err, RC_ABSENT, "there is no document with the id %.*s", SPAN_ARG(id));
    struct json base;
    if (is_there && is_merge) {
        rc = json_parse(json, arena, &base, err);
        if (rc != RC_OK)
            return rc;
    }
    ing_record_merge(is_there && is_merge ? &base : NULL, &w->object, arena, object);
    if (!has_id)
        id = arena_printf(arena, "%" PRIu64, *next_seq(group->g, c->uid));
    ing_record_set_id(object, id, arena);
    return RC_OK;
}

static enum rc
put_document(struct group *group, const struct idx_collection *c, struct ing_write *w)
{
    struct json object;
    struct idx_doc doc;
    enum rc rc = merged_object(group, c, w, &object, &w->err);
    if (rc == RC_OK)
        rc = ing_record_build(c->schema, analyzer_of(group, c), &object, w->dirty,
                              idx_batch_arena(group->batch), &doc, &w->err);
    /* A refused document uses a number up, too (as the peer's do). */
    uint64_t *next = next_seq(group->g, c->uid);
    uint64_t seq = (*next)++;
    if (rc != RC_OK)
        return rc;
    doc.seq = seq;
    const struct ing_oplog_record record = {.uid = c->uid, .seq = seq, .id = doc.id, .json = doc.json};
    rc = log_and_note(group, &record, &w->err);
    if (rc != RC_OK)
        return rc;
    idx_batch_put(group->batch, c->uid, &doc);
    w->stored = arena_dup(group->arena, doc.json);
    w->stored_id = arena_dup(group->arena, doc.id);
    return RC_OK;
}

static void
resolve(struct group *group, struct ing_write *w)
{
    const struct idx_collection *c = idx_snapshot_find(group->g->snapshot, w->collection);
    if (!c)
        w->rc = err_set(&w->err, RC_ABSENT, "there is no collection %.*s", SPAN_ARG(w->collection));
    else if (w->action == ING_DELETE)
        w->rc = remove_document(group, c, w);
    else
        w->rc = put_document(group, c, w);
}

/* ---- a group ---- */

static void
put_state(struct ing_groups *g, struct idx_batch *batch)
{
    struct buf value = {0};
    struct span key;
    uint64_t *next;
    buf_put_u64(&value, g->log_end);
    idx_batch_state(batch, LOG_STATE, arena_dup(idx_batch_arena(batch), buf_span(&value)));
    for (size_t at = 0; map_next(&g->next_seq, &at, &key, &next);) {
        buf_clear(&value);
        buf_put_u64(&value, *next);
        struct arena *arena = idx_batch_arena(batch);
        idx_batch_state(batch, arena_dup(arena, key), arena_dup(arena, buf_span(&value)));
    }
    buf_fini(&value);
}

/* Log files whose records are all in a durable commit are of no use any more. */
static void
trim(struct ing_groups *g)
{
    uint64_t now_us = clock_us();
    if (now_us - g->trimmed_us < TRIM_US)
        return;
    struct arena arena = {0};
    struct span state = idx_state(g->idx, LOG_STATE, &arena);
    /* A failure leaves old files for the next time: nothing depends on them. */
    if (state.n == 8 && idx_log_trim(g->log, load_u64(state.p), NULL) == RC_OK)
        g->trimmed_us = now_us;
    arena_fini(&arena);
}

/* Synced, submitted, visible. */
static enum rc
finish(struct group *group)
{
    struct ing_groups *g = group->g;
    struct err err = {0};
    enum rc rc = idx_log_sync(g->log, &err);
    if (rc != RC_OK)
        return rc;
    put_state(g, group->batch);
    idx_batch_hurry(group->batch);
    uint64_t ticket = idx_submit(g->idx, &group->batch);
    if (ticket == 0)
        return RC_STOPPED;
    return idx_wait(g->idx, ticket, IDX_VISIBLE, UINT64_MAX);
}

static void
begin_turn(struct ing_groups *g)
{
    pthread_mutex_lock(&g->turn);
    g->snapshot = idx_reader_begin(g->reader);
}

static void
end_turn(struct ing_groups *g)
{
    idx_doc_reader_reset(g->docs);
    idx_reader_end(g->reader);
    g->snapshot = NULL;
    trim(g);
    pthread_mutex_unlock(&g->turn);
}

void
ing_groups_run(struct ing_groups *g, struct ing_write *writes, size_t n, struct arena *arena)
{
    begin_turn(g);
    struct group group = {.g = g, .batch = idx_batch_new(), .arena = arena};
    for (size_t i = 0; i < n; i++)
        resolve(&group, &writes[i]);
    enum rc rc = group.is_dirty ? finish(&group) : RC_OK;
    idx_batch_free(group.batch);
    map_fini(&group.pending);
    end_turn(g);
    for (size_t i = 0; rc != RC_OK && i < n; i++) {
        if (writes[i].rc == RC_OK)
            writes[i].rc = err_set(&writes[i].err, rc, "the write could not be made durable: %s", rc_text(rc));
    }
}

/* ---- changes of the catalog ---- */

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

enum rc
ing_groups_commit(struct ing_groups *g, struct idx_batch **take, struct err *err)
{
    put_state(g, *take);
    idx_batch_hurry(*take);
    uint64_t ticket = idx_submit(g->idx, take);
    enum rc rc = ticket ? idx_wait(g->idx, ticket, IDX_DURABLE, UINT64_MAX) : RC_STOPPED;
    return rc == RC_OK ? RC_OK : err_set(err, rc, "the change could not be made durable: %s", rc_text(rc));
}

void
ing_groups_end(struct ing_groups *g)
{
    end_turn(g);
}

/* ---- replay ---- */

struct replay {
    struct ing_groups *g;
    struct idx_batch *batch;
    struct group group; /* for its analyzer only */
};

static enum rc
flush(struct replay *r)
{
    if (idx_batch_n(r->batch) == 0)
        return RC_OK;
    put_state(r->g, r->batch);
    if (idx_submit(r->g->idx, &r->batch) == 0)
        return RC_STOPPED;
    r->batch = idx_batch_new();
    return RC_OK;
}

static enum rc
replay_put(struct replay *r, const struct idx_collection *c, const struct ing_oplog_record *record,
           struct err *err)
{
    struct arena *arena = idx_batch_arena(r->batch);
    struct json object;
    struct idx_doc doc;
    uint64_t *next = next_seq(r->g, c->uid);
    if (record->seq >= *next)
        *next = record->seq + 1;
    enum rc rc = json_parse(record->json, arena, &object, err);
    if (rc == RC_OK)
        rc = ing_record_build(c->schema, analyzer_of(&r->group, c), &object, ING_DIRTY_COERCE_OR_DROP,
                              arena, &doc, err);
    if (rc != RC_OK)
        return err_wrap(err, RC_CORRUPT, "replaying the operation log");
    doc.seq = record->seq;
    idx_batch_put(r->batch, c->uid, &doc);
    return RC_OK;
}

static enum rc
replay_one(void *arg, struct span bytes, uint64_t end, struct err *err)
{
    struct replay *r = arg;
    struct ing_oplog_record record;
    enum rc rc = ing_oplog_read(bytes, &record, err);
    if (rc != RC_OK)
        return rc;
    r->g->log_end = end;
    /* Collections are durable before their first record; one that is gone was dropped later. */
    const struct idx_collection *c = idx_snapshot_find_uid(r->g->snapshot, record.uid);
    if (c && record.is_delete)
        idx_batch_delete(r->batch, c->uid, arena_dup(idx_batch_arena(r->batch), record.id));
    else if (c)
        rc = replay_put(r, c, &record, err);
    if (rc == RC_OK && idx_batch_n(r->batch) >= REPLAY_DOCS)
        rc = flush(r);
    return rc;
}

static enum rc
replay(struct ing_groups *g, struct err *err)
{
    struct arena arena = {0};
    struct span state = idx_state(g->idx, LOG_STATE, &arena);
    g->log_end = state.n == 8 ? load_u64(state.p) : 0;
    arena_fini(&arena);
    begin_turn(g);
    struct replay r = {.g = g, .batch = idx_batch_new()};
    enum rc rc = idx_log_replay(g->log, g->log_end, replay_one, &r, err);
    if (rc == RC_OK)
        rc = flush(&r);
    idx_batch_free(r.batch);
    end_turn(g);
    return rc;
}

enum rc
ing_groups_open(struct idx *idx, struct fs *fs, struct ing_groups **out, struct err *err)
{
    struct ing_groups *g = xcalloc(1, sizeof *g);
    g->idx = idx;
    g->fs = fs;
    g->trimmed_us = clock_us();
    pthread_mutex_init(&g->turn, NULL);
    g->reader = idx_reader_new(idx);
    g->docs = idx_doc_reader_new();
    enum rc rc = g->reader ? idx_log_open(fs, &g->log, err) : err_set(err, RC_LIMIT, "too many readers");
    if (rc == RC_OK)
        rc = replay(g, err);
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
    map_fini(&g->next_seq);
    buf_fini(&g->record);
    pthread_mutex_destroy(&g->turn);
    free(g);
}
