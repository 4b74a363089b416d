/*
 * One chunk of documents on its way from MongoDB into the index: fetched,
 * mapped, compared with what the index holds, submitted. Found means upsert,
 * absent means delete; a document that cannot be mapped is left out and, like
 * one that lacks fields, listed among the dead letters.
 */
#include "indexer/pipeline.h"

#include "base/clock.h"

#include "indexer/fetch.h"
#include "indexer/stats.h"

struct target { /* a generation that takes the documents */
    uint32_t uid;
    bool is_aside;
};

struct note { /* for the list of dead letters, once the batch is sure to be submitted */
    struct note *next;
    struct span id, reason; /* no reason: the document is in, or gone */
    bool is_partial;
};

struct chunk {
    struct ing_mongo *m;
    struct ing_feed *feed;
    struct idx_batch *batch;
    const struct idx_snapshot *snapshot;
    struct target targets[2];
    unsigned n_targets;
    bool is_scan, is_first_slice;
    bool has_cascades;
    struct map seen; /* search ids, and texts of _ids that have none, to enum ing_outcome */
    struct note *notes, **notes_end;
    struct buf last; /* {"_id": x} of the last document of a scan */
    struct ing_writeback_list *writeback;
    uint64_t now_ms, began_us;
    size_t n_docs;
};

/*
 * A slice is small, so that changes do not wait, and of two collections that
 * are scanned the one with large documents does not keep the other back.
 */
static const struct ing_scan_share slice = {
    .max_docs = 2000, .max_bytes = 2 << 20, .wait_us = 20000};
/* Beside an index that serves: what wants the processor meanwhile waits for no more than this. */
static const struct ing_scan_share slice_beside = {
    .max_docs = 600, .max_bytes = 2 << 20, .wait_us = 20000};

/* ---- relations ---- */

uint32_t
ing_feed_newest(const struct ing_feed *f)
{
    return f ? f->state->aside ? f->state->aside : f->state->live : 0;
}

void
ing_relation_uids(const struct ing_mongo *m, bool is_aside, struct ing_relation_uids *out)
{
    const struct ing_feed *feeds[] = {m->edges, m->roles, m->sets, m->users};
    uint32_t uids[ARRAY_SIZE(feeds)];
    for (size_t i = 0; i < ARRAY_SIZE(feeds); i++)
        uids[i] = is_aside ? ing_feed_newest(feeds[i]) : feeds[i] ? feeds[i]->state->live : 0;
    *out = (struct ing_relation_uids){
        .edges = uids[0], .roles = uids[1], .emote_sets = uids[2], .users = uids[3]};
}

static bool
is_relation(const struct ing_feed *f)
{
    return f->kind == ING_FEED_EDGES || f->kind == ING_FEED_ROLES || f->kind == ING_FEED_SETS;
}

static enum rc
await_visible(struct ing_mongo *m, uint64_t ticket)
{
    while (ticket > m->relation_seen) {
        enum rc rc = idx_wait(m->options.idx, ticket, IDX_VISIBLE, 200000);
        if (rc == RC_OK)
            m->relation_seen = ticket;
        else if (rc != RC_CUTOFF || ing_inbox_is_closed(&m->inbox))
            return RC_STOPPED;
    }
    return RC_OK;
}

enum rc
ing_await_relations(struct ing_mongo *m)
{
    return await_visible(m, m->relation_ticket);
}

enum rc
ing_await_submitted(struct ing_mongo *m)
{
    if (m->submitted_ticket > m->relation_ticket)
        m->relation_ticket = m->submitted_ticket;
    return ing_await_relations(m);
}

/* json: of the new version; p NULL: there is none. */
static bool
is_changed(struct chunk *c, uint32_t uid, struct span id, struct span json)
{
    const struct idx_collection *held = idx_snapshot_find_uid(c->snapshot, uid);
    uint32_t view, doc;
    if (!held || !idx_collection_find(held, id, &view, &doc))
        return json.p != NULL;
    struct span held_json;
    return !json.p ||
           idx_doc_reader_get(c->m->doc_reader, held->views[view].segment, doc, &held_json, NULL) ||
           ing_cascade_is_asked(c->feed, held_json, json);
}

/*
 * Records what must be derived anew because this document of a relation
 * changed. Events and scans of the index itself decide, not the marks that
 * MongoDB's documents carry.
 */
static void
note_cascade(struct chunk *c, uint32_t uid, struct span id, struct span json)
{
    if (c->is_scan || !is_relation(c->feed) || !is_changed(c, uid, id, json))
        return;
    struct ing_resume *r = &c->m->resume;
    c->has_cascades = true;
    if (c->feed->kind == ING_FEED_EDGES) {
        ing_resume_cascade(r, ING_CASCADE_EDGE, span_of(id.p, span_find(id, 0, '|')));
    } else if (c->feed->kind == ING_FEED_SETS) {
        ing_resume_cascade(r, ING_CASCADE_SET, id);
    } else {
        struct buf node = {0};
        buf_puts(&node, "role:");
        buf_put_span(&node, id);
        ing_resume_cascade(r, ING_CASCADE_ROLE, buf_span(&node));
        buf_fini(&node);
    }
}

/* ---- documents ---- */

static void
add_note(struct chunk *c, struct span id, struct span reason, bool is_partial)
{
    struct note *n = arena_alloc(idx_batch_arena(c->batch), sizeof *n);
    *n = (struct note){.id = id, .reason = reason, .is_partial = is_partial};
    *c->notes_end = n;
    c->notes_end = &n->next;
}

static void
note_good(struct chunk *c, struct span id)
{
    if (ing_dead_n(c->m->dead) > 0)
        add_note(c, id, (struct span){0}, false);
}

/* A scan from the start meets every document: what it does not meet again is gone. */
static void
put_notes(struct chunk *c)
{
    struct ing_dead *dead = c->m->dead;
    struct span collection = c->feed->schema->name;
    if (c->is_first_slice)
        ing_dead_clear_collection(dead, c->batch, ING_DEAD_INDEX, collection);
    for (const struct note *n = c->notes; n; n = n->next) {
        if (n->reason.p)
            ing_dead_put(dead, c->batch,
                         &(struct ing_dead_letter){.target = ING_DEAD_INDEX,
                                                   .collection = collection,
                                                   .id = n->id,
                                                   .reason = n->reason,
                                                   .is_partial = n->is_partial});
        else
            ing_dead_clear(dead, c->batch, ING_DEAD_INDEX, collection, n->id);
    }
}

/* reason: in the batch's arena. */
static void
tell_bad(struct chunk *c, struct span id, struct span reason, bool is_dropped)
{
    struct ing_mongo *m = c->m;
    add_note(c, id, reason, !is_dropped);
    uint64_t now_us = clock_us();
    char quoted_id[LOG_QUOTE_MAX], quoted[LOG_QUOTE_MAX];
    metrics_add(m->apply_metrics, M_BAD_DOCS, 1);
    pthread_mutex_lock(&m->lock);
    m->status.n_bad++;
    pthread_mutex_unlock(&m->lock);
    if (c->feed->last_bad_us && now_us < c->feed->last_bad_us + 1000000)
        return; /* counted; one line a second is enough */
    c->feed->last_bad_us = now_us;
    log_line(m->options.log, LOG_WARN, "indexer", "document", "collection=%s id=%s %s=%s",
             c->feed->source, log_quote(id, quoted_id), is_dropped ? "left_out" : "indexed_without",
             log_quote(reason, quoted));
}

static enum rc
map_for(struct chunk *c, const struct target *target, const bson_t *doc, struct ing_mapped *mapped,
        struct err *err)
{
    struct ing_mapping_env env = {
        .now_ms = c->now_ms, .arena = idx_batch_arena(c->batch), .may_elide = c->is_scan};
    if (ing_mapping_has_relations(c->feed->mapping)) {
        struct ing_relation_uids uids;
        env.relations = c->m->relations[target->is_aside];
        ing_relation_uids(c->m, target->is_aside, &uids);
        ing_relations_bind(env.relations, c->snapshot, &uids);
    }
    return ing_mapping_run(c->feed->mapping, doc, &env, mapped, err);
}

/* What stands for an _id that the profile cannot name: its own text. */
static struct span
id_text(struct chunk *c, const bson_iter_t *id)
{
    bson_t doc = BSON_INITIALIZER;
    bson_append_iter(&doc, "_id", -1, id);
    char *json = bson_as_relaxed_extended_json(&doc, NULL);
    struct span text = arena_dup(idx_batch_arena(c->batch), span_str(json ? json : "?"));
    bson_free(json);
    bson_destroy(&doc);
    return text;
}

/* The document cannot be mapped: there is nothing to name it by. */
static void
leave_out(struct chunk *c, const bson_t *doc, const struct err *err)
{
    bson_iter_t id;
    if (!bson_iter_init_find(&id, doc, "_id"))
        return; /* MongoDB stores none such */
    struct span text = id_text(c, &id);
    tell_bad(c, text, arena_dup(idx_batch_arena(c->batch), span_str(err->text)), true);
    *map_put(&c->seen, text, NULL) = ING_OUTCOME_BAD;
}

/* While a relation is being scanned, what users derive is not worth writing back. */
static bool
has_all_relations(const struct chunk *c)
{
    const struct ing_feed *relations[] = {c->m->edges, c->m->roles, c->m->sets};
    bool has_all = true;
    for (size_t i = 0; i < ARRAY_SIZE(relations); i++)
        has_all &= !relations[i] || !relations[i]->state->is_scanning;
    return has_all || c->feed->stage != ING_STAGE_DERIVED;
}

/*
 * What became of a document, as the generation that answers sees it. In the
 * midst of a cascade nothing is compared: it would read every user twice.
 */
static enum ing_outcome
outcome_of(struct chunk *c, const struct ing_mapped *mapped)
{
    struct ing_mongo *m = c->m;
    const struct idx_collection *held = idx_snapshot_find_uid(c->snapshot, c->targets[0].uid);
    uint32_t view, doc;
    struct span text;
    if (mapped->n_bad)
        return ING_OUTCOME_PARTIAL;
    bool is_same = (m->resume.n_cascades == 0 || c->feed->stage != ING_STAGE_DERIVED) && held &&
                   idx_collection_find(held, mapped->doc.id, &view, &doc) &&
                   idx_doc_reader_get(m->doc_reader, held->views[view].segment, doc, &text, NULL) ==
                       RC_OK &&
                   ing_mapping_is_same(c->feed->mapping, mapped->doc.json, text);
    return is_same ? ING_OUTCOME_UNCHANGED : ING_OUTCOME_APPLIED;
}

static void
take_doc(void *arg, const bson_t *doc)
{
    struct chunk *c = arg;
    struct ing_mapped mapped = {0};
    bool is_mapped = false;
    c->n_docs++;
    for (unsigned i = 0; i < c->n_targets; i++) {
        struct err err = {0};
        bool needs_mapping = i == 0 || ing_mapping_has_relations(c->feed->mapping);
        if (needs_mapping && map_for(c, &c->targets[i], doc, &mapped, &err)) {
            leave_out(c, doc, &err);
            return;
        }
        if (!is_mapped && mapped.n_bad)
            tell_bad(c, mapped.doc.id, mapped.bad, false);
        else if (!is_mapped)
            note_good(c, mapped.doc.id);
        is_mapped = true;
        note_cascade(c, c->targets[i].uid, mapped.doc.id, mapped.doc.json);
        idx_batch_put(c->batch, c->targets[i].uid, &mapped.doc);
        if (i == 0 && has_all_relations(c))
            ing_writeback_note(c->m, &c->writeback, c->feed, doc, &mapped);
    }
    if (is_mapped && !c->is_scan)
        *map_put(&c->seen, mapped.doc.id, NULL) = outcome_of(c, &mapped);
}

/* The emotes of a user that goes are let go. */
static void
count_deleted(struct chunk *c, const struct idx_segment *segment, uint32_t doc)
{
    struct span text;
    if (c->m->stats && c->feed->kind == ING_FEED_USERS &&
        idx_doc_reader_get(c->m->doc_reader, segment, doc, &text, NULL) == RC_OK)
        ing_stats_deleted(c->m->stats, text, c->m->resume.read_s);
}

static enum ing_outcome
delete_document(struct chunk *c, struct span id)
{
    bool was_there = false;
    for (unsigned t = 0; t < c->n_targets; t++) {
        uint32_t view, doc;
        const struct idx_collection *held = idx_snapshot_find_uid(c->snapshot, c->targets[t].uid);
        if (held && idx_collection_find(held, id, &view, &doc)) {
            was_there = true;
            if (t == 0)
                count_deleted(c, held->views[view].segment, doc);
        }
        note_cascade(c, c->targets[t].uid, id, (struct span){0});
        idx_batch_delete(c->batch, c->targets[t].uid, id);
    }
    return was_there ? ING_OUTCOME_APPLIED : ING_OUTCOME_ABSENT;
}

/* A key that was asked for and not found is gone: so is its document. */
static enum ing_outcome
settle_key(struct chunk *c, struct span bytes)
{
    bson_t key;
    bson_iter_t at;
    struct span id;
    if (!bson_init_static(&key, (const uint8_t *)bytes.p, bytes.n) || !bson_iter_init(&at, &key) ||
        !bson_iter_next(&at))
        return ING_OUTCOME_BAD;
    bool has_name =
        ing_mapping_id(c->feed->mapping, &at, idx_batch_arena(c->batch), &id, NULL) == RC_OK;
    if (!has_name)
        id = id_text(c, &at);
    const uint64_t *seen = map_get(&c->seen, id);
    if (seen)
        return (enum ing_outcome) * seen;
    note_good(c, id);
    return has_name ? delete_document(c, id) : ING_OUTCOME_ABSENT; /* was never in the index */
}

/* ---- chunks ---- */

void
ing_state_put(struct ing_mongo *m, struct idx_batch *b)
{
    struct buf text = {0};
    pthread_mutex_lock(&m->lock);
    for (unsigned i = 0; i < m->n_feeds; i++)
        m->feeds[i].state->origin = m->feeds[i].origin;
    pthread_mutex_unlock(&m->lock);
    ing_resume_write(&m->resume, &text);
    idx_batch_state(b, SPAN_LIT("mongo"), arena_dup(idx_batch_arena(b), buf_span(&text)));
    buf_fini(&text);
    if (m->writeback)
        ing_debts_put(&m->debts, b);
}

/* Reads show every event that was taken, and what we have written back. */
static enum rc
begin_reads(struct ing_mongo *m, struct err *err)
{
    enum rc rc = ing_client_session(&m->client, m->resume.read_s, m->resume.read_i, err);
    return rc ? rc : ing_client_session(&m->client, m->written_s, m->written_i, err);
}

static enum rc
chunk_begin(struct chunk *c, struct ing_mongo *m, struct ing_feed *f, bool is_scan, struct err *err)
{
    *c = (struct chunk){.m = m,
                        .feed = f,
                        .is_scan = is_scan,
                        .now_ms = clock_wall_us() / 1000,
                        .began_us = clock_us()};
    bool needs_all = ing_mapping_is_derived(f->mapping) || (is_relation(f) && !is_scan);
    /* What shows grants reads the edges only: a wait for more would cut bulk loads short. */
    bool needs_edges = ing_mapping_has_relations(f->mapping);
    uint64_t ticket = needs_all ? m->relation_ticket : needs_edges ? m->edges_ticket : 0;
    if (await_visible(m, ticket))
        return err_set(err, RC_STOPPED, "stopping");
    if (m->writeback)
        ing_writeback_reap(m, NULL);
    const struct ing_resume_feed *s = f->state;
    if (s->live && !f->is_frozen && (!is_scan || !s->aside))
        c->targets[c->n_targets++] = (struct target){s->live, false};
    if (s->aside)
        c->targets[c->n_targets++] = (struct target){s->aside, true};
    c->notes_end = &c->notes;
    c->is_first_slice = is_scan && s->at.n == 0;
    c->batch = idx_batch_new();
    c->snapshot = idx_reader_begin(m->reader);
    return RC_OK;
}

static void
chunk_abort(struct chunk *c)
{
    idx_reader_end(c->m->reader);
    idx_doc_reader_reset(c->m->doc_reader);
    idx_batch_free(c->batch);
    ing_writeback_list_free(c->writeback);
    map_fini(&c->seen);
    buf_fini(&c->last);
}

static enum rc
chunk_submit(struct chunk *c, struct err *err)
{
    struct ing_mongo *m = c->m;
    if (c->is_scan || c->has_cascades)
        ing_state_put(m, c->batch);
    if (c->has_cascades)
        idx_batch_hurry(c->batch);
    put_notes(c);
    if (m->stats)
        ing_stats_record(m->stats, c->batch);
    ing_writeback_attach(c->writeback, c->batch);
    c->writeback = NULL;
    idx_reader_end(m->reader);
    idx_doc_reader_reset(m->doc_reader);
    uint64_t ticket = ing_submit_documents(m, &c->batch);
    if (m->stats)
        ing_stats_submitted(m->stats, ticket);
    if (ticket)
        m->submitted_ticket = ticket;
    if (ticket && is_relation(c->feed))
        m->relation_ticket = ticket;
    if (ticket && c->feed->kind == ING_FEED_EDGES)
        m->edges_ticket = ticket;
    map_fini(&c->seen);
    buf_fini(&c->last);
    return ticket ? RC_OK : err_set(err, RC_STOPPED, "the index is closing");
}

static bool
is_seen(struct chunk *c, const bson_iter_t *at)
{
    struct span id;
    return ing_mapping_id(c->feed->mapping, at, idx_batch_arena(c->batch), &id, NULL) == RC_OK &&
           map_get(&c->seen, id);
}

/*
 * A document whose shard key changed is elsewhere than its older events say:
 * before it counts as gone, it is looked for by its _id alone.
 */
static enum rc
fetch_moved(struct chunk *c, const struct ing_fetch *fetch, const struct span *ids, size_t n,
            struct err *err)
{
    struct arena *arena = idx_batch_arena(c->batch);
    struct span *unseen = NULL;
    size_t cap = 0, n_unseen = 0;
    for (size_t i = 0; i < n; i++) {
        bson_t key, plain = BSON_INITIALIZER;
        bson_iter_t at;
        if (!ing_fetch_is_routed(ids[i]) ||
            !bson_init_static(&key, (const uint8_t *)ids[i].p, ids[i].n) ||
            !bson_iter_init(&at, &key) || !bson_iter_next(&at) || is_seen(c, &at))
            continue;
        bson_append_value(&plain, "", 0, bson_iter_value(&at));
        unseen = arena_grow(arena, unseen, &cap, n_unseen + 1, sizeof *unseen);
        unseen[n_unseen++] =
            arena_dup(arena, span_of((const char *)bson_get_data(&plain), plain.len));
        bson_destroy(&plain);
    }
    return n_unseen ? ing_fetch_keys(fetch, unseen, n_unseen, err) : RC_OK;
}

enum rc
ing_apply_keys(struct ing_mongo *m, struct ing_feed *f, const struct ing_work *w, size_t at,
               size_t n, struct err *err)
{
    struct chunk c;
    enum rc rc = chunk_begin(&c, m, f, false, err);
    if (rc)
        return rc;
    struct ing_fetch fetch = {&m->client, f->source, &f->fields, take_doc, &c};
    rc = begin_reads(m, err);
    if (!rc)
        rc = ing_fetch_keys(&fetch, w->ids + at, n, err);
    if (!rc)
        rc = fetch_moved(&c, &fetch, w->ids + at, n, err);
    if (rc) {
        chunk_abort(&c);
        return rc;
    }
    if (f->scan)
        ing_scan_touch(f->scan, w->ids + at, n);
    for (size_t i = at; i < at + n; i++)
        metrics_add(m->apply_metrics,
                    ing_event_metric((enum ing_op)w->ops[i], settle_key(&c, w->ids[i])), 1);
    metrics_observe(m->apply_metrics, M_FETCH_TIME, clock_us() - c.began_us);
    metrics_add(m->apply_metrics, M_FETCHED, c.n_docs);
    return chunk_submit(&c, err);
}

static void
take_scanned(void *arg, const bson_t *doc)
{
    struct chunk *c = arg;
    bson_iter_t at;
    if (!bson_iter_init_find(&at, doc, "_id"))
        return;
    bson_t last = BSON_INITIALIZER;
    bson_append_iter(&last, "_id", -1, &at);
    buf_clear(&c->last);
    buf_put(&c->last, bson_get_data(&last), last.len);
    bson_destroy(&last);
    if (!span_eq(buf_span(&c->last), buf_span(&c->feed->state->at)))
        take_doc(c, doc); /* else the slice before this one ended with it */
}

static void
note_progress(struct chunk *c)
{
    struct ing_feed *f = c->feed;
    bool is_first = f->n_estimate == 0;
    uint64_t n = is_first ? ing_fetch_estimate(&c->m->client, f->source) : 0;
    pthread_mutex_lock(&c->m->lock);
    f->began_us = f->n_scanned ? f->began_us : c->began_us;
    f->n_scanned += c->n_docs;
    f->state->n_scanned = f->n_scanned;
    f->n_estimate = is_first ? n : f->n_estimate;
    if (!f->state->is_scanning)
        f->ended_us = clock_us();
    pthread_mutex_unlock(&c->m->lock);
    ing_status_update(c->m);
    metrics_add(c->m->apply_metrics, M_SCANNED, c->n_docs);
}

static struct ing_scan *
open_scan(struct ing_mongo *m, const struct ing_feed *f)
{
    struct ing_scan_from from = {.uri = m->uri,
                                 .socket_ms = m->client.socket_ms,
                                 .collection = f->source,
                                 .fields = &f->fields,
                                 .after = buf_span(&f->state->at),
                                 .time_s = m->resume.read_s,
                                 .time_i = m->resume.read_i,
                                 .reply_docs = m->reply_docs,
                                 .is_hung = &m->is_hung};
    return ing_scan_open(&from);
}

/* The stream has to pass the end of the last scan: the latest of them. */
static void
end_scan(struct ing_mongo *m, struct ing_feed *f)
{
    uint32_t time_s, time_i;
    ing_scan_time(f->scan, &time_s, &time_i);
    if (time_s > m->scan_end_s || (time_s == m->scan_end_s && time_i > m->scan_end_i)) {
        m->scan_end_s = time_s;
        m->scan_end_i = time_i;
    }
    ing_scan_stop(f);
    f->state->is_scanning = false;
    m->n_idles_needed = 2;
}

enum rc
ing_apply_slice(struct ing_mongo *m, struct ing_feed *f, struct err *err)
{
    struct chunk c;
    struct ing_scan_taken taken;
    enum rc rc = chunk_begin(&c, m, f, true, err);
    if (rc)
        return rc;
    if (!f->scan)
        f->scan = open_scan(m, f);
    rc = ing_scan_take(f->scan, atomic_load(&m->is_ready) ? &slice_beside : &slice, take_scanned,
                       &c, &taken, err);
    if (rc)
        ing_scan_stop(f);
    if (rc || (taken.n == 0 && !taken.is_end)) {
        chunk_abort(&c);
        return rc;
    }
    if (taken.is_end)
        end_scan(m, f);
    if (taken.is_end && f->state->aside) /* merged while others are scanned, before it is read */
        idx_batch_complete(c.batch, f->state->aside);
    if (c.last.n) {
        buf_clear(&f->state->at);
        buf_put_span(&f->state->at, buf_span(&c.last));
    }
    note_progress(&c);
    metrics_observe(m->apply_metrics, M_SLICE_TIME, clock_us() - c.began_us);
    return chunk_submit(&c, err);
}
