/* Filling a batch: every operation is appended to a list in the batch's arena. */
#include "index/batch.h"

struct idx_batch *
idx_batch_new(void)
{
    return xcalloc(1, sizeof(struct idx_batch));
}

void
idx_batch_free(struct idx_batch *b)
{
    if (!b)
        return;
    arena_fini(&b->arena);
    free(b);
}

struct arena *
idx_batch_arena(struct idx_batch *b)
{
    return &b->arena;
}

size_t
idx_batch_n(const struct idx_batch *b)
{
    return b->n;
}

bool
idx_batch_change(const struct idx_batch *b, size_t i, uint32_t *uid, struct span *id)
{
    must(i < b->n);
    const struct idx_op *op = &b->ops[i];
    if (op->kind != IDX_OP_PUT && op->kind != IDX_OP_DELETE)
        return false;
    *uid = op->uid;
    *id = op->kind == IDX_OP_PUT ? op->doc.id : op->id;
    return true;
}

static struct idx_op *
append(struct idx_batch *b, enum idx_op_kind kind, uint32_t uid)
{
    b->ops = arena_grow(&b->arena, b->ops, &b->cap, b->n + 1, sizeof b->ops[0]);
    struct idx_op *op = &b->ops[b->n++];
    *op = (struct idx_op){.kind = kind, .uid = uid};
    return op;
}

void
idx_batch_put(struct idx_batch *b, uint32_t uid, const struct idx_doc *doc)
{
    must(doc->id.n >= 1 && doc->id.n <= IDX_ID_MAX);
    append(b, IDX_OP_PUT, uid)->doc = *doc;
}

void
idx_batch_delete(struct idx_batch *b, uint32_t uid, struct span id)
{
    append(b, IDX_OP_DELETE, uid)->id = id;
}

static void
append_schema(struct idx_batch *b, enum idx_op_kind kind, uint32_t uid,
              const struct sch_collection *schema, uint64_t analyzer)
{
    struct sch_collection *copy = arena_alloc(&b->arena, sizeof *copy);
    sch_copy(schema, &b->arena, copy);
    struct idx_op *op = append(b, kind, uid);
    op->schema = copy;
    op->analyzer = analyzer;
}

void
idx_batch_create(struct idx_batch *b, uint32_t uid, const struct sch_collection *schema,
                 uint64_t analyzer)
{
    append_schema(b, IDX_OP_CREATE, uid, schema, analyzer);
}

void
idx_batch_alter(struct idx_batch *b, uint32_t uid, const struct sch_collection *schema)
{
    append_schema(b, IDX_OP_ALTER, uid, schema, 0);
}

void
idx_batch_name(struct idx_batch *b, uint32_t uid)
{
    append(b, IDX_OP_NAME, uid);
}

void
idx_batch_complete(struct idx_batch *b, uint32_t uid)
{
    append(b, IDX_OP_COMPLETE, uid);
}

void
idx_batch_drop(struct idx_batch *b, uint32_t uid)
{
    append(b, IDX_OP_DROP, uid);
}

void
idx_batch_entry(struct idx_batch *b, struct span kind, struct span key, struct span value)
{
    append(b, IDX_OP_ENTRY, 0)->entry = (struct idx_entry){kind, key, value};
}

void
idx_batch_state(struct idx_batch *b, struct span name, struct span value)
{
    append(b, IDX_OP_STATE, 0)->entry = (struct idx_entry){.key = name, .value = value};
}

void
idx_batch_on_visible(struct idx_batch *b, idx_batch_done *done, void *arg)
{
    b->on_visible = (struct idx_callback){done, arg};
}

void
idx_batch_on_durable(struct idx_batch *b, idx_batch_done *done, void *arg)
{
    b->on_durable = (struct idx_callback){done, arg};
}

void
idx_batch_hurry(struct idx_batch *b)
{
    b->is_hurried = true;
}
