/*
 * The journey of a search from parameters to an answer, top-down. The steps
 * below happen in this order; each is a call into the file that knows how.
 *
 *   find_collection    name to snapshot contents (aliases followed)
 *   parse              parameters to a plan                    request.c
 *   select_documents   filter_by, hidden and pinned documents  filter_eval.c, curate.c
 *   collect            matching and scoring, or browsing       match.c, browse.c, collect.c
 *   arrange            groups, sort, buckets                   group.c, buckets.c
 *   count_facets                                               facet.c
 *   answer             curation, page, text                    curate.c, answer.c
 *
 * One snapshot, one arena, one thread. A search that does not end within its
 * thread's slice is given up whole (QRY_UNFINISHED) and asked again elsewhere.
 */
#include "query/search.h"

#include "base/clock.h"

#include "query/answer.h"
#include "query/browse.h"
#include "query/buckets.h"
#include "query/curate.h"
#include "query/facet.h"

struct run {
    struct qry_ctx *ctx;
    const struct qry_ask *ask;
    struct arena *arena;
    struct err *err;
    struct qry_plan plan;
    uint64_t **words; /* per view: what may match */
    struct qry_docset docs;
    struct qry_pinned_list pinned;
    struct qry_keys *keys;
    struct qry_groups *groups;
    struct qry_collector collector;
    struct qry_match *match;
    struct qry_unit *units;
    size_t n_units;
    struct buf facets;
    bool is_cut_off;
    uint64_t found;
};

static enum rc find_collection(struct run *r);
static enum rc parse(struct run *r);
static void select_documents(struct run *r);
static enum rc collect(struct run *r);
static void arrange(struct run *r);
static enum rc count_facets(struct run *r);
static enum rc answer(struct run *r, struct buf *out);

static void run_fini(struct run *r);
static enum rc not_in_time(const struct run *r, enum rc rc);

enum rc
qry_search_run(struct qry_ctx *ctx, const struct qry_ask *ask, struct buf *out, struct err *err)
{
    struct run *r = arena_calloc(&ctx->arena, 1, sizeof *r);
    size_t begin = out->n;

    r->ctx = ctx;
    r->ask = ask;
    r->arena = &ctx->arena;
    r->err = err;
    enum rc rc = find_collection(r);
    if (rc == RC_OK)
        rc = parse(r);
    if (rc == RC_OK)
        select_documents(r);
    if (rc == RC_OK)
        rc = collect(r);
    if (rc == RC_OK)
        rc = count_facets(r);
    if (rc == RC_OK)
        arrange(r);
    if (rc == RC_OK)
        rc = answer(r, out);
    if (rc != RC_OK)
        out->n = begin;
    run_fini(r);
    return not_in_time(r, rc);
}

static void
run_fini(struct run *r)
{
    qry_collector_fini(&r->collector);
    qry_keys_fini(r->keys);
    qry_groups_fini(r->groups);
    buf_fini(&r->facets);
}

static uint64_t
cutoff_us(const struct run *r)
{
    return r->ask->begin_us + r->plan.cutoff_ms * 1000;
}

static bool
is_past_cutoff(const struct run *r)
{
    return clock_us() >= cutoff_us(r);
}

/* Whose time was over: the request's, or just this thread's? */
static enum rc
not_in_time(const struct run *r, enum rc rc)
{
    if (rc != RC_CUTOFF)
        return rc;
    return is_past_cutoff(r) ? rc : QRY_UNFINISHED;
}

/* ---- find_collection, parse ---- */

static enum rc
find_collection(struct run *r)
{
    const struct idx_collection *c = idx_snapshot_find_public(r->ask->snapshot, r->ask->collection);

    if (!c)
        return err_set(r->err, RC_ABSENT, "Not found.");
    if (!c->is_complete)
        return err_set(r->err, RC_NOT_READY, "the collection is still being built");
    r->plan.search.collection = c;
    return RC_OK;
}

static enum rc
parse(struct run *r)
{
    const struct idx_collection *c = r->plan.search.collection;
    const struct qry_options *o = r->ctx->options;
    struct qry_parse in = {
        .collection = c,
        .analyzer = qry_ctx_analyzer(r->ctx, c->schema),
        .params = r->ask->params,
        .limits = {o->per_page_max, o->filter_ops_max, o->is_full},
        .arena = r->arena,
        .err = r->err,
    };

    enum rc rc = qry_plan_parse(&in, &r->plan);
    if (rc != RC_OK)
        return rc;
    r->plan.search.deadline = (struct qry_deadline){cutoff_us(r), r->ask->slice};
    if (r->plan.cutoff_ms == 0)
        return err_set(r->err, RC_CUTOFF, "the search took too long");
    return RC_OK;
}

/* ---- select_documents ---- */

static uint64_t *
select_view(struct run *r, const struct idx_view *view)
{
    size_t n = qry_words_n(view->n_docs);
    uint64_t *words = arena_alloc(r->arena, (n + 1) * sizeof *words);

    if (r->plan.search.filter)
        qry_filter_eval(r->plan.search.filter, view, r->ctx->filters, r->arena, words);
    else
        memcpy(words, view->live, n * sizeof *words);
    return words;
}

static void
select_documents(struct run *r)
{
    const struct idx_collection *c = r->plan.search.collection;
    bool is_curated = r->plan.n_pins > 0 || r->plan.hidden.n > 0;
    const uint64_t **docs = arena_calloc(r->arena, c->n_views + 1, sizeof *docs);

    r->docs.is_all_live = !r->plan.search.filter && !is_curated;
    r->words = arena_calloc(r->arena, c->n_views + 1, sizeof *r->words);
    for (uint32_t v = 0; v < c->n_views; v++) {
        if (!r->docs.is_all_live)
            r->words[v] = select_view(r, &c->views[v]);
        docs[v] = r->docs.is_all_live ? c->views[v].live : r->words[v];
    }
    if (is_curated)
        qry_curate_words(&r->plan, r->words, r->arena, &r->pinned);
    r->docs.words = docs;
}

static bool
is_empty(const struct run *r)
{
    const struct idx_collection *c = r->plan.search.collection;

    for (uint32_t v = 0; v < c->n_views; v++)
        for (size_t i = 0; i < qry_words_n(c->views[v].n_docs); i++)
            if (r->docs.words[v][i])
                return false;
    return true;
}

/* ---- collect ---- */

static void
on_hit(void *arg, uint32_t view, uint32_t doc, uint64_t text_match, uint64_t field_score)
{
    struct run *r = arg;

    qry_collector_add(&r->collector, view, doc, text_match, field_score);
}

/* How many groups the hits so far would make if this document were one. */
static uint64_t
on_group(void *arg, uint32_t view, uint32_t doc)
{
    struct run *r = arg;

    (void)qry_groups_number(r->groups, view, doc);
    return qry_groups_n(r->groups);
}

static void
open_collector(struct run *r)
{
    const struct idx_collection *c = r->plan.search.collection;
    uint64_t wanted = (uint64_t)r->plan.offset + r->plan.per_page;

    if (qry_buckets_of(&r->plan.search) > 0 && wanted < QRY_BUCKETED_MAX)
        wanted = QRY_BUCKETED_MAX;
    r->keys = qry_keys_new(&r->plan, r->ctx->filters, r->arena);
    qry_collector_init(&r->collector, r->keys, wanted < c->n_docs ? wanted : c->n_docs);
    if (r->plan.n_group_fields > 0)
        r->collector.groups = r->groups = qry_groups_new(&r->plan, r->arena);
    if (r->plan.n_facets == 0)
        return;
    r->collector.marks = arena_calloc(r->arena, c->n_views + 1, sizeof *r->collector.marks);
    for (uint32_t v = 0; v < c->n_views; v++)
        r->collector.marks[v] = arena_calloc(r->arena, qry_words_n(c->views[v].n_docs) + 1,
                                             sizeof *r->collector.marks[v]);
}

static enum rc
collect(struct run *r)
{
    const struct qry_search *s = &r->plan.search;
    struct qry_match_sink sink = {.arg = r, .hit = on_hit, .n_groups = on_group};
    enum rc rc = RC_OK;

    open_collector(r);
    sink.n_groups = r->groups ? on_group : NULL;
    if (!r->docs.is_all_live && is_empty(r))
        return RC_OK;
    if (s->is_wildcard)
        rc = qry_browse_run(&r->plan, &r->docs, &r->collector, r->err);
    else
        rc = qry_match_run(s, &r->docs, &sink, r->arena, &r->match, r->err);
    if (rc != RC_CUTOFF || !is_past_cutoff(r) || r->collector.n_found == 0)
        return rc;
    r->is_cut_off = true; /* a part is better than nothing */
    return RC_OK;
}

/* ---- count_facets: while the collector has all hits ---- */

static void
add_pins_to_facets(struct run *r)
{
    struct qry_collector *c = &r->collector;

    for (uint32_t i = 0; i < r->pinned.n; i++) {
        struct qry_pinned *p = &r->pinned.v[i];
        if (c->marks)
            c->marks[p->view][p->doc / 64] |= 1ull << (p->doc % 64);
        if (!r->groups)
            continue;
        p->group = qry_groups_number(r->groups, p->view, p->doc);
        c->hits = xgrow(c->hits, &c->cap, c->n + 1, sizeof *c->hits);
        c->hits[c->n++] = (struct qry_hit){.view = p->view, .doc = p->doc, .group = p->group};
    }
}

static enum rc
count_facets(struct run *r)
{
    size_t n_hits = r->collector.n;
    enum rc rc = RC_OK;

    add_pins_to_facets(r);
    if (r->is_cut_off)
        r->plan.search.deadline = QRY_DEADLINE_NONE;
    if (r->plan.n_facets == 0)
        buf_puts(&r->facets, "[]");
    else
        rc = qry_facets_write(&r->plan, &r->collector, r->arena, &r->facets, r->err);
    r->collector.n = n_hits; /* without the pins */
    return rc;
}

/* ---- arrange ---- */

static void
arrange_hits(struct run *r)
{
    struct qry_collector *c = &r->collector;

    qry_collector_finish(c);
    qry_buckets_apply(r->keys, &r->plan.search, c->hits, c->n);
    r->units = arena_calloc(r->arena, c->n + 1, sizeof *r->units);
    for (size_t i = 0; i < c->n; i++)
        r->units[i] = (struct qry_unit){.hits = &c->hits[i], .n = 1};
    r->n_units = c->n;
    r->found = c->n_found + r->pinned.n;
}

static void
set_group_keys(struct run *r)
{
    int key = qry_keys_find(r->keys, QRY_SORT_GROUP);

    if (key < 0)
        return;
    bool is_asc = r->plan.search.sorts[key].is_asc;
    for (size_t i = 0; i < r->collector.n; i++) {
        struct qry_hit *hit = &r->collector.hits[i];
        int64_t n = (int64_t)qry_groups_n_docs(r->groups, hit->group);
        hit->keys[key] = is_asc ? -n : n;
    }
}

static bool
is_pinned_group(const struct run *r, uint32_t group)
{
    for (uint32_t i = 0; i < r->pinned.n; i++)
        if (r->pinned.v[i].group == group)
            return true;
    return false;
}

static void
arrange_groups(struct run *r)
{
    struct qry_collector *c = &r->collector;
    size_t *firsts, *first_of;

    set_group_keys(r);
    qry_collector_finish(c);
    size_t n = qry_groups_arrange(r->groups, c->hits, &c->n, r->plan.group_limit, r->arena,
                                  &firsts);
    /* Buckets are cut over the groups' best hits. */
    struct qry_hit *best = arena_calloc(r->arena, n + 1, sizeof *best);
    first_of = arena_calloc(r->arena, qry_groups_n(r->groups) + 1, sizeof *first_of);
    for (size_t i = 0; i < n; i++) {
        best[i] = c->hits[firsts[i]];
        first_of[best[i].group] = i;
    }
    qry_buckets_apply(r->keys, &r->plan.search, best, n);
    r->units = arena_calloc(r->arena, n + 1, sizeof *r->units);
    for (size_t i = 0; i < n; i++) {
        size_t at = first_of[best[i].group];
        if (is_pinned_group(r, best[i].group))
            continue;
        r->units[r->n_units++] = (struct qry_unit){
            .hits = &c->hits[firsts[at]],
            .n = firsts[at + 1] - firsts[at],
            .found = qry_groups_n_docs(r->groups, best[i].group),
        };
    }
}

static void
arrange(struct run *r)
{
    if (r->groups)
        arrange_groups(r);
    else
        arrange_hits(r);
    if (r->pinned.n > 0)
        r->units = qry_curate_merge(&r->pinned, r->units, &r->n_units, r->arena);
    if (r->groups)
        r->found = r->n_units;
}

/* ---- answer ---- */

static enum rc
answer(struct run *r, struct buf *out)
{
    const struct qry_plan *plan = &r->plan;
    size_t begin = plan->offset < r->n_units ? plan->offset : r->n_units;
    size_t end = begin + plan->per_page < r->n_units ? begin + plan->per_page : r->n_units;

    if (end > plan->limit_hits)
        end = begin < plan->limit_hits ? (size_t)plan->limit_hits : begin;
    struct qry_answer a = {
        .plan = plan,
        .match = r->match,
        .groups = r->groups,
        .units = r->units + begin,
        .n_units = end - begin,
        .found = r->found,
        .found_docs = r->collector.n_found,
        .facets = buf_span(&r->facets),
        .has_text_match = qry_keys_find(r->keys, QRY_SORT_TEXT_MATCH) >= 0,
        .is_cut_off = r->is_cut_off,
        .begin_us = r->ask->begin_us,
    };

    return qry_answer_write(r->ctx, &a, out, r->err);
}
