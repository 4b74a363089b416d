/*
 * Applies a batch to the catalog, one operation after the other. Nothing of
 * it is seen before publish.c and nothing is durable before commit.c.
 *
 * An id is alive in at most one place of a generation (I5): among the fresh
 * documents or in one part. Putting it kills it there first.
 */
#include "base/clock.h"

#include "index/seal.h"

/* ---- documents ---- */

/* Marks the live document of an id dead, wherever it is; *seq gets its sequence. */
static bool
kill_id(const struct idx_writer *w, struct idx_generation *g, struct span id, uint64_t *seq)
{
    if (idx_fresh_kill(&g->fresh, id, seq))
        return true;
    if (w->seal && w->seal->uid == g->uid && idx_fresh_kill(&w->seal->fresh, id, seq))
        return true;
    for (size_t i = 0; i < g->n_parts; i++) {
        uint32_t doc;
        struct idx_part *part = &g->parts[i];
        if (!idx_segment_find_id(part->seg->segment, id, &doc) || !idx_part_kill(part, doc))
            continue;
        *seq = idx_segment_seq(part->seg->segment, doc);
        g->is_changed = true;
        return true;
    }
    return false;
}

/*
 * True if the id is behind all that the generation ever had, as those of a
 * scan are: it need not be looked for then.
 */
static bool
is_behind_all(struct idx_generation *g, struct span id)
{
    if (!g->knows_ids || span_cmp(id, buf_span(&g->last_id)) <= 0)
        return false;
    buf_clear(&g->last_id);
    buf_put_span(&g->last_id, id);
    return true;
}

static bool
is_full(const struct idx_fresh *f, uint32_t max_docs, size_t max_bytes)
{
    return f->n >= max_docs || idx_fresh_n_bytes(f) >= max_bytes;
}

/* While the one before is under way the builder grows on, within reason, rather than wait. */
static void
seal(struct idx *idx, struct idx_generation *g)
{
    if (!idx_seal_is_busy(idx) ||
        is_full(&g->fresh, 2 * IDX_BULK_DOCS_MAX, (size_t)2 * IDX_BULK_BYTES_MAX))
        idx_seal_start(idx, g);
}

static void
put(struct idx *idx, struct idx_generation *g, const struct idx_doc *doc)
{
    struct idx_catalog *c = &idx->writer.catalog;
    struct idx_doc d = *doc;
    uint64_t seq;
    if (!is_behind_all(g, doc->id) && kill_id(&idx->writer, g, doc->id, &seq) &&
        g->schema->c.tie == SCH_TIE_SEQ)
        d.seq = seq;
    /* What nobody reads yet goes into a file before long: compressed at once. */
    bool is_quiet = idx_generation_is_quiet(g);
    if (g->fresh.n > 0 && g->fresh.is_compressed != is_quiet)
        idx_generation_flush(c, g);
    idx_fresh_add(&g->fresh, g->schema, is_quiet, &d);
    if (is_quiet && is_full(&g->fresh, IDX_BULK_DOCS_MAX, IDX_BULK_BYTES_MAX))
        seal(idx, g);
    else if (!is_quiet && is_full(&g->fresh, IDX_FRESH_DOCS_MAX, IDX_FRESH_BYTES_MAX))
        idx_generation_flush(c, g);
    metrics_add(idx->writer.metrics, M_INDEX_PUTS, 1);
}

static void delete (struct idx *idx, struct idx_generation *g, struct span id)
{
    uint64_t seq;
    if (kill_id(&idx->writer, g, id, &seq))
        metrics_add(idx->writer.metrics, M_INDEX_DELETES, 1);
}

/* ---- generations ---- */

static void
create(struct idx *idx, const struct idx_op *op)
{
    struct idx_schema *schema = idx_schema_new(op->schema);
    struct idx_generation *g =
        idx_catalog_create(&idx->writer.catalog, op->uid, schema, op->analyzer);
    if (g)
        g->knows_ids = true;
    idx_schema_release(schema);
}

static void
alter(struct idx *idx, struct idx_generation *g, const struct sch_collection *schema)
{
    struct idx_catalog *c = &idx->writer.catalog;
    idx_generation_flush(c, g);
    idx_schema_release(g->schema);
    g->schema = idx_schema_new(schema);
    g->is_changed = true;
    if (g->is_named) /* perhaps under another name */
        idx_catalog_name(c, g);
}

static void
apply_to_generation(struct idx *idx, struct idx_generation *g, const struct idx_op *op)
{
    struct idx_catalog *c = &idx->writer.catalog;
    switch (op->kind) {
    case IDX_OP_PUT:
        put(idx, g, &op->doc);
        break;
    case IDX_OP_DELETE:
        delete (idx, g, op->id);
        break;
    case IDX_OP_ALTER:
        alter(idx, g, op->schema);
        break;
    case IDX_OP_NAME:
        idx_catalog_name(c, g);
        break;
    case IDX_OP_COMPLETE:
        g->is_complete = true;
        g->is_changed = true;
        break;
    case IDX_OP_DROP:
        idx_catalog_drop(c, g);
        break;
    case IDX_OP_CREATE:
    case IDX_OP_ENTRY:
    case IDX_OP_STATE:
        break; /* apply_op did these */
    }
}

enum touched { NOTHING, QUIET, LOUD };

static enum touched
apply_op(struct idx *idx, const struct idx_op *op, uint64_t ticket, uint64_t now_us)
{
    struct idx_writer *w = &idx->writer;
    bool is_doc = op->kind == IDX_OP_PUT || op->kind == IDX_OP_DELETE;
    if (!is_doc && op->kind != IDX_OP_STATE)
        w->is_all_due = true; /* rare: what is quiet may change with it */
    if (op->kind == IDX_OP_STATE) {
        idx_catalog_state(&w->catalog, op->entry.key, op->entry.value);
        return NOTHING;
    }
    if (op->kind == IDX_OP_ENTRY) {
        idx_catalog_entry(&w->catalog, op->entry.kind, op->entry.key, op->entry.value);
        return LOUD;
    }
    if (op->kind == IDX_OP_CREATE) {
        create(idx, op);
        return LOUD;
    }
    struct idx_generation *g = idx_catalog_find(&w->catalog, op->uid);
    if (!g)
        return NOTHING; /* dropped meanwhile */
    bool is_quiet = is_doc && idx_generation_is_quiet(g);
    if (is_quiet && w->quiet_from == 0)
        w->quiet_from = ticket;
    g->changed_us = now_us;
    apply_to_generation(idx, g, op);
    return is_quiet ? QUIET : LOUD;
}

bool
idx_apply(struct idx *idx, const struct idx_batch *b)
{
    enum touched most = NOTHING;
    uint64_t now_us = clock_us();
    for (size_t i = 0; i < b->n; i++) {
        enum touched touched = apply_op(idx, &b->ops[i], b->ticket, now_us);
        if (touched > most)
            most = touched;
    }
    return most == QUIET;
}
