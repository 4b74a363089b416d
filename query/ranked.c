/*
 * Term combinations one by one: what an explicit max_candidates asks for
 * (search-semantics 4.1, step 4). The lists are short, so is the enumeration.
 */
#include "query/matching.h"

#include "base/hash.h"

enum { SEQUENCES_MIN = 10 };

/* M of 4.1. */
static uint64_t
sequences_max(const struct qry_run *r)
{
    uint64_t max = r->s->max_candidates;

    if (r->n_fields == 1 && r->s->first_prefix)
        return max;
    return max > SEQUENCES_MIN ? max : SEQUENCES_MIN;
}

struct sequence { /* one term for each token */
    struct qry_run *r;
    struct qry_pass *p;
    const uint8_t *costs;
    const uint32_t *ids;
    uint32_t view;
};

/* Marks the documents that have term j where its token may have it. */
static void
add_docs(const struct sequence *q, uint32_t j, uint64_t *out)
{
    const struct qry_search *s = q->r->s;
    const struct qry_word *w = q->p->words[j];
    struct span term = q->r->all_terms[q->ids[j]].text;
    unsigned cost = qry_charge(s, term, q->costs[j]);
    bool is_prefix = w->may_prefix && qry_walk_length(term, s->is_full) >
                                          qry_walk_length(w->text, s->is_full) + cost;

    for (uint32_t f = 0; f < q->r->n_fields; f++) {
        uint32_t slot = qry_slot(q->r, q->view, f);
        uint32_t ord = qry_term_ord(q->r, q->ids[j], slot);
        if (ord != QRY_NONE && qry_field_allows(&s->fields[f], cost, is_prefix))
            idx_terms_or(q->r->terms[slot], ord, ord + 1, out);
    }
}

static bool
evaluate_doc(void *arg, uint32_t doc)
{
    struct sequence *q = arg;

    (void)qry_evaluate_terms(q->r, q->p, q->costs, q->ids, q->view, doc);
    return !qry_run_tick(q->r);
}

static bool
evaluate_sequence(struct sequence *q)
{
    struct qry_run *r = q->r;

    for (q->view = 0; q->view < r->n_views; q->view++) {
        uint32_t n_words = qry_n_words(r->c->views[q->view].n_docs);
        uint64_t *docs = qry_run_scratch(r, 0, q->view);
        memcpy(docs, r->allowed[q->view], n_words * sizeof *docs);
        for (uint32_t j = 0; j < q->p->n; j++) {
            uint64_t *one = qry_run_scratch(r, 1, q->view);
            add_docs(q, j, one);
            for (uint32_t i = 0; i < n_words; i++)
                docs[i] &= one[i];
        }
        if (!qry_each_doc(docs, n_words, evaluate_doc, q))
            return false;
    }
    return !qry_run_tick(r);
}

bool
qry_ranked_run(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const bool *is_whole)
{
    uint32_t *ids = arena_alloc(r->arena, p->n * sizeof *ids);
    struct sequence q = {r, p, costs, ids, 0};
    uint64_t max = sequences_max(r), n = 1;

    for (uint32_t j = 0; j < p->n && n < max; j++) {
        struct qry_list *l = p->lists[j][costs[j]];
        n *= is_whole[j] ? l->n : l->n_part;
    }
    for (uint64_t i = 0; i < n && i < max; i++) {
        uint64_t rest = i;
        for (uint32_t j = 0; j < p->n; j++) {
            struct qry_list *l = p->lists[j][costs[j]];
            uint32_t size = is_whole[j] ? l->n : l->n_part;
            ids[j] = l->ids[rest % size];
            rest /= size;
        }
        uint64_t hash = hash64(span_of((const char *)ids, p->n * sizeof *ids));
        uint32_t *is_done = qry_numbers_put(&r->sequences, r->arena, hash >> 1, 0);
        if (*is_done && !r->s->is_full)
            continue;
        *is_done = 1;
        if (!evaluate_sequence(&q))
            return false;
    }
    return true;
}
