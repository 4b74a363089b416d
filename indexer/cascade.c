/*
 * What must be derived anew when a relation changed. A cascade is recorded in
 * the resume state by the very batch that changes the relation, and leaves it
 * when every document it means was applied; large ones advance by slices of
 * users in id order, so that a restart goes on where they stood.
 */
#include "indexer/pipeline.h"

/* ---- what asks for it ---- */

bool
ing_cascade_is_asked(const struct ing_feed *f, struct span a_text, struct span b_text)
{
    static const char *const role_names[] = {"rank", "hoist", NULL};
    static const char *const set_names[] = {"emotes", NULL};
    static const char *const no_names[] = {NULL};
    const char *const *names = f->kind == ING_FEED_ROLES  ? role_names
                               : f->kind == ING_FEED_SETS ? set_names
                                                          : no_names;
    struct arena arena = {0};
    struct json a, b;
    bool is_different =
        *names && (json_parse(a_text, &arena, &a, NULL) || json_parse(b_text, &arena, &b, NULL));
    struct buf texts[2] = {{0}, {0}};
    for (; *names && !is_different; names++) {
        static const struct json none = {.type = JSON_NULL};
        const struct json *values[2] = {json_get(&a, *names), json_get(&b, *names)};
        for (int i = 0; i < 2; i++) {
            buf_clear(&texts[i]);
            json_put(&texts[i], values[i] ? values[i] : &none, true);
        }
        is_different = !span_eq(buf_span(&texts[0]), buf_span(&texts[1]));
    }
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
    arena_fini(&arena);
    return is_different;
}

/* ---- documents that show edges: roles, products, ... ---- */

static void
touch_live(struct ing_round *r, const struct ing_feed *f, const struct idx_view *v,
           const uint32_t *docs, uint32_t n)
{
    char text[IDX_ID_MAX];
    for (uint32_t i = 0; i < n; i++) {
        if (v->live[docs[i] / 64] >> docs[i] % 64 & 1)
            ing_round_touch_id(r, f, idx_segment_id(v->segment, docs[i], text));
    }
}

/* Ids of the live documents that have the value in an exact string field. */
static void
touch_with_value(struct ing_round *r, const struct ing_feed *f, const struct idx_collection *c,
                 uint32_t field, struct span value)
{
    for (uint32_t i = 0; c && i < c->n_views; i++) {
        const struct idx_view *v = &c->views[i];
        const struct idx_terms *terms = idx_segment_terms(v->segment, field, IDX_VALUE);
        uint32_t ord, docs[IDX_POSTING_BATCH], n;
        if (!terms || !idx_terms_find(terms, value, &ord))
            continue;
        struct idx_posting p;
        idx_posting_begin(&p, terms, ord);
        while ((n = idx_posting_next(&p, docs)) > 0)
            touch_live(r, f, v, docs, n);
    }
}

static void
touch_showing(struct ing_mongo *m, struct ing_round *r, const struct idx_snapshot *snapshot,
              struct span node)
{
    size_t colon = span_find(node, 0, ':');
    struct span kind = span_of(node.p, colon);
    if (colon == node.n)
        return;
    struct span id = span_from(node, colon + 1);
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct ing_feed *f = &m->feeds[i];
        int32_t field;
        struct span grants = ing_mapping_grants(f->mapping, &field);
        if (f->stage != ING_STAGE_OWN || !grants.n || !span_eq(grants, kind))
            continue;
        if (field < 0) {
            ing_round_touch_id(r, f, id);
            continue;
        }
        const uint32_t uids[] = {f->state->live, f->state->aside};
        for (size_t k = 0; k < ARRAY_SIZE(uids); k++) {
            if (uids[k] && !(k == 0 && f->is_frozen))
                touch_with_value(r, f, idx_snapshot_find_uid(snapshot, uids[k]), (uint32_t)field,
                                 id);
        }
    }
}

void
ing_cascades_touch_own(struct ing_mongo *m, struct ing_round *r)
{
    const struct idx_snapshot *snapshot = NULL;
    for (size_t i = 0; i < m->resume.n_cascades; i++) {
        struct ing_cascade *c = &m->resume.cascades[i];
        if (c->kind != ING_CASCADE_EDGE || c->is_touched)
            continue;
        if (!snapshot)
            snapshot = idx_reader_begin(m->reader);
        touch_showing(m, r, snapshot, buf_span(&c->key));
        c->is_touched = true;
    }
    if (snapshot)
        idx_reader_end(m->reader);
}

/* ---- users ---- */

static void
collect(void *arg, struct span id)
{
    struct ing_cascade *c = arg;
    if (span_cmp(id, buf_span(&c->at)) <= 0)
        return;
    c->ids = xgrow(c->ids, &c->cap_ids, c->n_ids + 1, sizeof *c->ids);
    c->ids[c->n_ids++] = arena_dup(&c->arena, id);
}

static int
compare_ids(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static void
collect_users(struct ing_mongo *m, const struct idx_snapshot *snapshot, struct ing_cascade *c)
{
    c->n_ids = c->i_ids = 0;
    arena_reset(&c->arena);
    unsigned n_sides = m->users && m->users->state->aside ? 2 : 1;
    for (unsigned side = m->users && m->users->is_frozen ? 1 : 0; side < n_sides; side++) {
        struct ing_relation_uids uids;
        ing_relation_uids(m, side == 1, &uids);
        ing_relations_bind(m->relations[side], snapshot, &uids);
        if (c->kind == ING_CASCADE_SET)
            ing_relations_users_of_set(m->relations[side], buf_span(&c->key), collect, c);
        else
            ing_relations_users_with(m->relations[side], buf_span(&c->key), collect, c);
    }
    if (c->n_ids > 1)
        qsort(c->ids, c->n_ids, sizeof *c->ids, compare_ids);
    size_t n = 0;
    for (size_t i = 0; i < c->n_ids; i++) {
        if (n == 0 || !span_eq(c->ids[n - 1], c->ids[i]))
            c->ids[n++] = c->ids[i];
    }
    c->n_ids = n;
    c->is_collected = true;
}

void
ing_cascades_touch_users(struct ing_mongo *m, struct ing_round *r, size_t max_docs)
{
    if (!m->users || m->resume.n_cascades == 0)
        return;
    const struct idx_snapshot *snapshot = idx_reader_begin(m->reader);
    size_t n_touched = 0;
    for (size_t i = 0; i < m->resume.n_cascades && n_touched < max_docs; i++) {
        struct ing_cascade *c = &m->resume.cascades[i];
        if (!c->is_collected)
            collect_users(m, snapshot, c);
        for (; c->i_ids < c->n_ids && n_touched < max_docs; n_touched++)
            ing_round_touch_id(r, m->users, c->ids[c->i_ids++]);
    }
    idx_reader_end(m->reader);
    metrics_add(m->apply_metrics, M_CASCADED, n_touched);
}

void
ing_cascades_done(struct ing_mongo *m)
{
    for (size_t i = m->resume.n_cascades; i-- > 0;) {
        struct ing_cascade *c = &m->resume.cascades[i];
        bool is_done = !m->users || (c->is_collected && c->i_ids == c->n_ids);
        if (m->writeback && (is_done || (c->is_collected && c->i_ids > 0)))
            ing_debts_incur(m, c, is_done);
        if (is_done) {
            ing_resume_cascade_remove(&m->resume, i);
        } else if (c->is_collected && c->i_ids > 0) {
            buf_clear(&c->at);
            buf_put_span(&c->at, c->ids[c->i_ids - 1]);
        }
    }
}
