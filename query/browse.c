/*
 * The directory pages of a site: q=* with filters and one sort field over all
 * documents. Counting is a popcount; ordering is a walk along the field's
 * permutation that stops as soon as nothing better can follow. Where few
 * documents are left by the filter, looking at each of them is cheaper.
 */
#include "query/browse.h"

#include "query/words.h"

enum { CLOCK_EVERY = 1 << 10 }; /* words, or documents along a permutation */

struct walk {
    const struct qry_plan *plan;
    const struct qry_docset *docs;
    struct qry_collector *collector;
    int lead;          /* the first key that differs between documents; -1: only the tie does */
    bool is_last;      /* behind the lead only the tie decides */
    bool is_in_order;  /* along the permutation, each hit of a view is worse than the one before */
    uint32_t n_ticks;
};

static bool
is_late(struct walk *w)
{
    if (++w->n_ticks % CLOCK_EVERY)
        return false;
    return qry_deadline_is_over(&w->plan->search.deadline);
}

static uint64_t
count_bits(const uint64_t *words, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += qry_word_count(words[i]);
    return sum;
}

/* Scores are all the same without a query: the first key that is none of them. */
static int
lead_of(const struct qry_search *s, bool *is_last)
{
    int lead = -1;

    *is_last = true;
    for (uint32_t i = 0; i < s->n_sorts; i++) {
        if (s->sorts[i].kind == QRY_SORT_TEXT_MATCH)
            continue;
        if (lead >= 0)
            *is_last = false;
        else
            lead = (int)i;
    }
    return lead;
}

static bool
is_lead_number(const struct walk *w)
{
    const struct qry_search *s = &w->plan->search;

    if (w->lead < 0 || s->sorts[w->lead].kind != QRY_SORT_FIELD)
        return false;
    return s->collection->schema->fields[s->sorts[w->lead].field].type != SCH_STRING;
}

static enum rc
cut_off(struct err *err)
{
    return err_set(err, RC_CUTOFF, "the search took too long");
}

static int64_t
lead_key(const struct walk *w, const struct idx_column *column, uint32_t view, uint32_t doc)
{
    uint32_t lead = (uint32_t)w->lead;

    if (column && column->i32 && !column->present) {
        int64_t value = column->i32[doc];
        return w->plan->search.sorts[lead].is_asc ? -value : value;
    }
    return qry_keys_one(w->collector->keys, lead, view, doc);
}

/* Whether a full collector could still keep the document: most are told by one key and the tie. */
static bool
is_promising(const struct walk *w, const struct idx_column *column, uint32_t view, uint32_t doc)
{
    struct qry_collector *c = w->collector;

    if (!c->is_heap)
        return true;
    if (w->lead >= 0) {
        int64_t key = lead_key(w, column, view, doc), worst = c->hits[0].keys[w->lead];
        if (key != worst)
            return key > worst;
    }
    return !w->is_last || qry_collector_wants_tie(c, w->plan->search.collection, view, doc);
}

/*
 * Of the documents [at, at + n), those whose leading key is not worse than the
 * worst that is kept. All of them while the collector is not full, and for
 * other columns than plain integers.
 */
static uint64_t
not_worse(const struct walk *w, const struct idx_column *column, size_t at, size_t n)
{
    const struct qry_collector *c = w->collector;

    if (!c->is_heap || !column || (!column->i32 && !column->i64) || column->present)
        return UINT64_MAX;
    bool is_asc = w->plan->search.sorts[w->lead].is_asc;
    int64_t worst = c->hits[0].keys[w->lead];
    int64_t lo = is_asc ? INT64_MIN : worst, hi = is_asc ? -worst : INT64_MAX;
    if (column->i64)
        return qry_word_i64(column->i64 + at, n, lo, hi);
    if (lo > INT32_MAX || hi < INT32_MIN)
        return 0;
    return qry_word_i32(column->i32 + at, n, lo < INT32_MIN ? INT32_MIN : (int32_t)lo,
                        hi > INT32_MAX ? INT32_MAX : (int32_t)hi);
}

/* Offers the documents of words, the last (which are mostly the newest) first. */
static enum rc
offer_words(struct walk *w, uint32_t view, const uint64_t *words, const uint64_t *without,
            struct err *err)
{
    uint32_t n_docs = w->plan->search.collection->views[view].n_docs;
    bool can_judge = w->lead < 0 || is_lead_number(w);
    const struct idx_column *column =
        w->lead < 0 ? NULL : qry_keys_column(w->collector->keys, (uint32_t)w->lead, view);

    for (size_t i = qry_words_n(n_docs); i-- > 0;) {
        uint64_t left = without ? words[i] & ~without[i] : words[i];
        if (!left)
            continue;
        size_t n = n_docs - i * 64;
        if (can_judge)
            left &= not_worse(w, column, i * 64, n < 64 ? n : 64);
        while (left) {
            uint32_t bit = 63 - (uint32_t)__builtin_clzll(left);
            uint32_t doc = (uint32_t)(i * 64) + bit;
            left &= ~(1ull << bit);
            if (!can_judge || is_promising(w, column, view, doc))
                (void)qry_collector_offer(w->collector, view, doc); /* kept or not, go on */
        }
        if (is_late(w))
            return cut_off(err);
    }
    return RC_OK;
}

static enum rc
walk_order(struct walk *w, uint32_t view, const uint32_t *order, uint32_t n, struct err *err)
{
    const uint64_t *words = w->docs->words[view];
    uint32_t lead = (uint32_t)w->lead;
    bool is_asc = w->plan->search.sorts[lead].is_asc;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = order[is_asc ? i : n - 1 - i];
        if (is_late(w))
            return cut_off(err);
        if (!(words[doc / 64] >> (doc % 64) & 1))
            continue;
        if (!qry_collector_wants(w->collector, lead,
                                 qry_keys_one(w->collector->keys, lead, view, doc)))
            break;
        if (!qry_collector_offer(w->collector, view, doc) && w->is_in_order)
            break;
    }
    return RC_OK;
}

/* The permutation, then (or first) those without a value. */
static enum rc
walk_view(struct walk *w, uint32_t view, const uint32_t *order, uint32_t n, struct err *err)
{
    const struct qry_search *s = &w->plan->search;
    const struct qry_sort *sort = &s->sorts[w->lead];
    const uint64_t *words = w->docs->words[view];
    struct idx_column column;

    if (!idx_segment_column(s->collection->views[view].segment, sort->field, &column))
        return offer_words(w, view, words, NULL, err);
    enum rc rc = RC_OK;
    if (sort->missing_first && column.present)
        rc = offer_words(w, view, words, column.present, err);
    if (rc == RC_OK)
        rc = walk_order(w, view, order, n, err);
    if (rc == RC_OK && !sort->missing_first && column.present &&
        qry_collector_wants(w->collector, (uint32_t)w->lead, INT64_MIN))
        rc = offer_words(w, view, words, column.present, err);
    return rc;
}

static enum rc
browse_view(struct walk *w, uint32_t view, uint64_t n_set, struct err *err)
{
    const struct qry_search *s = &w->plan->search;
    const struct idx_view *v = &s->collection->views[view];
    const uint32_t *order = NULL;
    uint32_t n_order = 0;

    if (n_set == 0 || w->collector->max == 0)
        return RC_OK;
    if (is_lead_number(w))
        order = idx_segment_order(v->segment, s->sorts[w->lead].field, &n_order);
    /* Of the documents on the way, n_set in n_docs count: max * n_docs / n_set steps. */
    if (!order || n_set * n_set <= w->collector->max * (uint64_t)v->n_docs)
        return offer_words(w, view, w->docs->words[view], NULL, err);
    return walk_view(w, view, order, n_order, err);
}

static enum rc
collect_view(struct walk *w, uint32_t view, size_t n_words, struct err *err)
{
    for (size_t i = 0; i < n_words; i++) {
        for (uint64_t left = w->docs->words[view][i]; left; left &= left - 1) {
            if (is_late(w))
                return cut_off(err);
            qry_collector_add(w->collector, view,
                              (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(left), 0, 0);
        }
    }
    return RC_OK;
}

/* All documents are needed one by one. */
static enum rc
collect_all(struct walk *w, struct err *err)
{
    const struct idx_collection *c = w->plan->search.collection;

    enum rc rc = RC_OK;

    for (uint32_t v = 0; rc == RC_OK && v < c->n_views; v++)
        rc = collect_view(w, v, qry_words_n(c->views[v].n_docs), err);
    return rc;
}

static void
mark_all(const struct walk *w, uint32_t view, size_t n_words)
{
    if (w->collector->marks)
        memcpy(w->collector->marks[view], w->docs->words[view], n_words * sizeof(uint64_t));
}

enum rc
qry_browse_run(const struct qry_plan *plan, const struct qry_docset *docs,
               struct qry_collector *c, struct err *err)
{
    const struct idx_collection *collection = plan->search.collection;
    struct walk w = {.plan = plan, .docs = docs, .collector = c};
    enum rc rc = RC_OK;

    w.lead = lead_of(&plan->search, &w.is_last);
    w.is_in_order = w.lead >= 0 && w.is_last && !plan->search.sorts[w.lead].is_asc;
    if (c->groups)
        return collect_all(&w, err);
    for (uint32_t v = 0; v < collection->n_views; v++) {
        const struct idx_view *view = &collection->views[v];
        size_t n_words = qry_words_n(view->n_docs);
        uint64_t n_set = docs->is_all_live ? view->n_live : count_bits(docs->words[v], n_words);
        c->n_found += n_set;
        mark_all(&w, v, n_words);
        if (rc == RC_OK)
            rc = browse_view(&w, v, n_set, err);
    }
    return rc;
}
