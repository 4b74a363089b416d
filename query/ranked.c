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

/* Marks the documents that have the term where token j may have it. */
static void
add_docs(struct qry_run *r, const struct qry_pass *p, uint32_t j, unsigned cost, uint32_t id,
         uint32_t view, uint64_t *out)
{
    cost = qry_charge(r->s, r->all_terms[id].text, cost);
    bool is_prefix = qry_walk_length(r->all_terms[id].text, r->s->is_full) >
                         qry_walk_length(p->words[j]->text, r->s->is_full) + cost &&
                     p->words[j]->may_prefix;

    for (uint32_t f = 0; f < r->n_fields; f++) {
        uint32_t slot = qry_slot(r, view, f);
        uint32_t ord = qry_term_ord(r, id, slot);
        if (ord != QRY_NONE && qry_field_allows(&r->s->fields[f], cost, is_prefix))
            idx_terms_or(r->terms[slot], ord, ord + 1, out);
    }
}

static bool
evaluate_sequence(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const uint32_t *ids)
{
    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t n_words = qry_n_words(r->c->views[v].n_docs);
        uint64_t *docs = qry_run_scratch(r, 0, v), *one = qry_run_scratch(r, 1, v);
        memcpy(docs, r->allowed[v], n_words * sizeof *docs);
        for (uint32_t j = 0; j < p->n; j++) {
            memset(one, 0, n_words * sizeof *one);
            add_docs(r, p, j, costs[j], ids[j], v, one);
            for (uint32_t i = 0; i < n_words; i++)
                docs[i] &= one[i];
        }
        for (uint32_t i = 0; i < n_words; i++) {
            for (uint64_t word = docs[i]; word; word &= word - 1) {
                uint32_t doc = i * 64 + (uint32_t)__builtin_ctzll(word);
                (void)qry_evaluate_terms(r, p, costs, ids, v, doc);
                if (qry_run_tick(r))
                    return false;
            }
        }
    }
    return !qry_run_is_late(r);
}

bool
qry_ranked_run(struct qry_run *r, struct qry_pass *p, const uint8_t *costs, const bool *is_whole)
{
    uint32_t *ids = arena_alloc(r->arena, p->n * sizeof *ids);
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
        if (!evaluate_sequence(r, p, costs, ids))
            return false;
    }
    return true;
}
