/*
 * The best hits so far in a bounded heap whose top is the worst of them, so
 * that most hits cost one comparison.
 */
#include "query/collect.h"

#include "query/group.h"

void
qry_collector_init(struct qry_collector *c, struct qry_keys *keys, size_t max)
{
    *c = (struct qry_collector){.keys = keys, .max = max};
}

void
qry_collector_fini(struct qry_collector *c)
{
    free(c->hits);
    c->hits = NULL;
}

static void
sift_down(struct qry_collector *c, size_t at)
{
    struct qry_hit hit = c->hits[at];

    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= c->n)
            break;
        if (child + 1 < c->n && qry_keys_before(c->keys, &c->hits[child], &c->hits[child + 1]))
            child++;
        if (!qry_keys_before(c->keys, &hit, &c->hits[child]))
            break;
        c->hits[at] = c->hits[child];
        at = child;
    }
    c->hits[at] = hit;
}

static bool
push(struct qry_collector *c, const struct qry_hit *hit)
{
    if (c->groups || c->n < c->max) {
        c->hits = xgrow(c->hits, &c->cap, c->n + 1, sizeof *c->hits);
        c->hits[c->n++] = *hit;
        return true;
    }
    if (c->max == 0)
        return false;
    if (!c->is_heap) {
        for (size_t i = c->n / 2; i-- > 0;)
            sift_down(c, i);
        c->is_heap = true;
    }
    if (!qry_keys_before(c->keys, hit, &c->hits[0]))
        return false;
    c->hits[0] = *hit;
    c->has_worst_tie = false;
    sift_down(c, 0);
    return true;
}

static void
take_in(struct qry_collector *c, const struct qry_pending *p)
{
    struct qry_hit hit = {.view = p->view, .doc = p->doc};

    if (c->groups)
        hit.group = qry_groups_add(c->groups, p->view, p->doc);
    qry_keys_fill(c->keys, &hit, p->text_match, p->field_score);
    (void)push(c, &hit); /* worse than all that are kept: it was counted, that is all */
}

void
qry_collector_add(struct qry_collector *c, uint32_t view, uint32_t doc, uint64_t text_match,
                  uint64_t field_score)
{
    const struct qry_pending now = {view, doc, text_match, field_score};

    c->n_found++;
    if (c->marks)
        c->marks[view][doc / 64] |= 1ull << (doc % 64);
    if (c->groups) { /* they are counted between two hits */
        take_in(c, &now);
        return;
    }
    qry_keys_expect(c->keys, view, doc);
    if (c->n_pending < QRY_PENDING_N) {
        c->pending[c->n_pending++] = now;
        return;
    }
    take_in(c, &c->pending[c->pending_at]);
    c->pending[c->pending_at] = now;
    c->pending_at = (c->pending_at + 1) % QRY_PENDING_N;
}

bool
qry_collector_offer(struct qry_collector *c, uint32_t view, uint32_t doc)
{
    struct qry_hit hit = {.view = view, .doc = doc};

    qry_keys_fill(c->keys, &hit, 0, 0);
    return push(c, &hit);
}

bool
qry_collector_wants(const struct qry_collector *c, uint32_t i, int64_t key)
{
    if (c->groups || c->n < c->max)
        return true;
    return c->max > 0 && (!c->is_heap || key >= c->hits[0].keys[i]);
}

bool
qry_collector_wants_tie(struct qry_collector *c, const struct idx_collection *collection,
                        uint32_t view, uint32_t doc)
{
    if (c->groups || !c->is_heap)
        return true;
    if (!c->has_worst_tie) {
        const struct qry_hit *worst = &c->hits[0];
        c->worst_tie = idx_segment_tie(collection->views[worst->view].segment, worst->doc);
        c->has_worst_tie = true;
    }
    struct idx_tie tie = idx_segment_tie(collection->views[view].segment, doc);
    return tie.hi > c->worst_tie.hi ||
           (tie.hi == c->worst_tie.hi && tie.lo >= c->worst_tie.lo);
}

void
qry_collector_finish(struct qry_collector *c)
{
    for (uint32_t i = 0; i < c->n_pending; i++)
        take_in(c, &c->pending[i]);
    c->n_pending = c->pending_at = 0;
    qry_keys_sort(c->keys, c->hits, c->n);
    c->is_heap = false;
}
