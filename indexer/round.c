/* The work of one pass of the apply thread: each document once. */
#include "indexer/pipeline.h"

#include "base/bytes.h"

#include "indexer/event.h"

void
ing_round_add(struct ing_round *r, unsigned feed, struct span id, enum ing_op op)
{
    struct ing_work *w = &r->work[feed];
    w->ids = arena_grow(&r->arena, w->ids, &w->cap_ids, w->n + 1, sizeof *w->ids);
    w->ops = arena_grow(&r->arena, w->ops, &w->cap_ops, w->n + 1, sizeof *w->ops);
    w->ids[w->n] = id;
    w->ops[w->n++] = (unsigned char)op;
}

struct span
ing_round_id(struct ing_round *r, struct span key)
{
    const char *route = map_get_ptr(&r->dirty.routes, key);
    struct span id = span_from(key, 1);
    if (!route)
        return id;
    struct buf routed = {0};
    ing_event_routed(id, span_of(route, load_u32(route)), &routed);
    id = arena_dup(&r->arena, buf_span(&routed));
    buf_fini(&routed);
    return id;
}

void
ing_round_touch(struct ing_round *r, const struct ing_feed *f, struct span key)
{
    bool is_new;
    (void)map_put(&r->dirty.keys, key, &is_new); /* only the key counts */
    if (!is_new)
        return;
    ing_round_add(r, f->number, span_from(arena_dup(&r->arena, key), 1), ING_OP_DERIVED);
}

void
ing_round_touch_id(struct ing_round *r, const struct ing_feed *f, struct span search_id)
{
    bson_t doc = BSON_INITIALIZER;
    bson_iter_t id;
    if (ing_mapping_bson_id(f->mapping, search_id, &doc) && bson_iter_init(&id, &doc) &&
        bson_iter_next(&id)) {
        struct buf key = {0};
        ing_event_key(f->number, &id, &key);
        ing_round_touch(r, f, buf_span(&key));
        buf_fini(&key);
    }
    bson_destroy(&doc);
}
