/*
 * Documents found so far. Where a document can be evaluated more than once,
 * evaluations are logged and the best of each is reported at the end; most
 * documents are evaluated once, so the log is cheaper than a table.
 */
#include "query/matching.h"

void
qry_hits_init(struct qry_run *r)
{
    struct qry_hits *h = &r->hits;
    uint32_t n_text_matches = 0;

    h->found = arena_alloc(r->arena, (r->n_views + 1u) * sizeof *h->found);
    h->twice = arena_calloc(r->arena, r->n_views + 1u, sizeof *h->twice);
    for (uint32_t v = 0; v < r->n_views; v++)
        h->found[v] = qry_run_bits(r, v);
    for (uint32_t i = 0; i < r->s->n_sorts; i++)
        n_text_matches += r->s->sorts[i].kind == QRY_SORT_TEXT_MATCH;
    h->is_by_field = n_text_matches > 1;
}

static void
report(struct qry_run *r, const struct qry_hit *h)
{
    r->sink->hit(r->sink->arg, h->view, h->doc, h->text_match, h->field_score);
}

void
qry_hits_add(struct qry_run *r, const struct qry_hit *hit)
{
    struct qry_hits *h = &r->hits;
    uint64_t *found = h->found[hit->view];
    uint64_t bit = (uint64_t)1 << (hit->doc % 64);
    bool is_new = !(found[hit->doc / 64] & bit);

    found[hit->doc / 64] |= bit;
    if (is_new) {
        if (r->s->has_group && r->sink->n_groups)
            h->n = r->sink->n_groups(r->sink->arg, hit->view, hit->doc);
        else
            h->n++;
    }
    if (h->is_direct) {
        if (is_new)
            report(r, hit);
        return;
    }
    if (!is_new) {
        if (!h->twice[hit->view])
            h->twice[hit->view] = qry_run_bits(r, hit->view);
        h->twice[hit->view][hit->doc / 64] |= bit;
    }
    h->log = arena_grow(r->arena, h->log, &h->cap, h->n_log + 1, sizeof *h->log);
    h->log[h->n_log++] = *hit;
}

static bool
is_better(const struct qry_hits *h, const struct qry_hit *a, const struct qry_hit *b)
{
    if (h->is_by_field && a->field_score != b->field_score)
        return a->field_score > b->field_score;
    return a->text_match > b->text_match;
}

void
qry_hits_flush(struct qry_run *r)
{
    struct qry_hits *h = &r->hits;
    struct qry_numbers best = {0}; /* document to its best place in the log */

    for (size_t i = 0; i < h->n_log; i++) {
        const struct qry_hit *hit = &h->log[i];
        const uint64_t *twice = h->twice[hit->view];
        if (!twice || !qry_bit(twice, hit->doc)) {
            report(r, hit);
            continue;
        }
        uint64_t key = (uint64_t)hit->view << 32 | hit->doc;
        uint32_t *at = qry_numbers_put(&best, r->arena, key, (uint32_t)i);
        if (is_better(h, hit, &h->log[*at]))
            *at = (uint32_t)i;
    }
    for (size_t i = 0; i < best.cap; i++) {
        if (best.keys[i])
            report(r, &h->log[best.values[i]]);
    }
    h->n_log = 0;
}
