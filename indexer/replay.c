/*
 * After a crash: the operation log's records behind the committed position go
 * into the index again. Harmless for those it has already: put and delete are
 * idempotent by id, and a number once given stays with its document.
 */
#include <inttypes.h>

#include "base/bytes.h"

#include "indexer/group_parts.h"
#include "indexer/oplog_record.h"

enum { REPLAY_DOCS = 4096 };

struct replay {
    struct ing_groups *g;
    struct idx_batch *batch;
    uint64_t ticket; /* of the last batch; 0: none */
    struct ing_analyzer analyzer;
};

static enum rc
flush(struct replay *r, struct err *err)
{
    if (idx_batch_n(r->batch) == 0)
        return RC_OK;
    ing_groups_put_state(r->g, r->batch);
    r->ticket = idx_submit(r->g->idx, &r->batch);
    if (r->ticket == 0)
        return err_set(err, RC_STOPPED, "%s", rc_text(RC_STOPPED));
    r->batch = idx_batch_new();
    return RC_OK;
}

static enum rc
put(struct replay *r, const struct idx_collection *c, const struct ing_oplog_record *record,
    struct err *err)
{
    struct arena *arena = idx_batch_arena(r->batch);
    struct json object;
    struct ing_record built;
    const struct ing_record_rules rules = {c->schema, ing_analyzer_of(&r->analyzer, c),
                                           ING_DIRTY_COERCE_OR_DROP};
    ing_sequences_raise(&r->g->sequences, c->uid, record->seq + 1);
    enum rc rc = json_parse(record->json, arena, &object, err);
    if (rc == RC_OK)
        rc = ing_record_build(&rules, &object, arena, &built, err);
    if (rc != RC_OK)
        return err_wrap(err, RC_CORRUPT, "replaying the operation log");
    built.doc.seq = record->seq;
    idx_batch_put(r->batch, c->uid, &built.doc);
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
        rc = put(r, c, &record, err);
    if (rc == RC_OK && idx_batch_n(r->batch) >= REPLAY_DOCS)
        rc = flush(r, err);
    return rc;
}

enum rc
ing_groups_replay(struct ing_groups *g, struct err *err)
{
    struct arena arena = {0};
    struct span state = idx_state(g->idx, ING_LOG_STATE, &arena);
    g->log_end = state.n == 8 ? load_u64(state.p) : 0;
    arena_fini(&arena);
    ing_groups_begin(g);
    struct replay r = {.g = g, .batch = idx_batch_new()};
    enum rc rc = idx_log_replay(g->log, g->log_end, replay_one, &r, err);
    if (rc == RC_OK)
        rc = flush(&r, err);
    /* What was acknowledged is to be seen by the first request. */
    if (rc == RC_OK && r.ticket)
        rc = idx_wait(g->idx, r.ticket, IDX_VISIBLE, UINT64_MAX);
    idx_batch_free(r.batch);
    ing_groups_end(g);
    return rc;
}
