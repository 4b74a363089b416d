/*
 * Passes of one word, the most common ones: the score depends on the cost,
 * the field, whether the value is the word alone, and perhaps the position.
 * Documents are taken in order of rising cost from unions of postings; forward
 * lists are read only where exactness or position ask for them. What is left
 * over (the word in several fields, dropped words in the document) goes
 * through evaluate.c.
 */
#include "query/matching.h"

enum { FEW_DOCS = 512 }; /* of a class: up to so many are taken without going through bitmaps */

struct single {
    struct qry_run *r;
    struct qry_pass *p;
    struct qry_word *word;
    uint64_t **seen;         /* by view: evaluated at a smaller cost */
    uint64_t **with_dropped; /* by view: have a dropped word; NULL without any */
    uint64_t **field_bits;   /* by field, for the view at hand; NULL until needed */
    struct qry_reach *class; /* by field: terms of the class at hand */
    unsigned cost;
    bool is_prefix;
    uint32_t view;
};

static bool
has_rivals(const struct qry_run *r)
{
    for (uint32_t i = 0; i < r->n_passes; i++) {
        if (r->passes[i]->n == 1)
            return true;
    }
    return false;
}

bool
qry_single_fits(const struct qry_run *r, const struct qry_pass *p)
{
    const struct qry_word *w = p->words[0];

    if (p->n != 1 || r->s->max_candidates)
        return false;
    /* A typo that one field finds may count in others, unless it was met as a prefix (5.1). */
    if (r->prefix_differs && w->may_prefix && w->max_cost > 0)
        return false;
    if (qry_may_be_charged(r->s, w))
        return false;
    if (r->n_fields > 1 && r->s->text_match_type != QRY_MAX_SCORE)
        return false; /* a smaller cost need not be a larger score then */
    /* Whether a rival evaluated a term must then be asked of all fields. */
    return !((r->typos_differ || r->prefix_differs) && has_rivals(r));
}

/* ---- the terms of a class ---- */

/* Takes out what earlier passes of one word evaluated (4.1, step 4). */
static void
take_out_rivals(struct single *t, uint32_t slot, struct qry_reach *class)
{
    for (uint32_t i = 0; i < t->r->n_passes && !t->r->s->is_full; i++) {
        struct qry_pass *p = t->r->passes[i];
        for (uint32_t k = 0; k < p->n_done && p->n == 1; k++) {
            const struct qry_reach *done =
                &qry_word_reach(t->r, p->words[0], p->costs[0].v[k])[slot];
            *class = qry_reach_without(class, done, t->r->arena);
        }
    }
}

static bool
make_class(struct single *t)
{
    bool is_any = false;

    for (uint32_t f = 0; f < t->r->n_fields; f++) {
        uint32_t slot = qry_slot(t->r, t->view, f);
        const struct qry_reach *reach = &qry_word_reach(t->r, t->word, t->cost)[slot];
        struct qry_reach *class = &t->class[f];
        class->n = 0;
        for (size_t i = 0; i < reach->n; i++) {
            if (reach->v[i].is_prefix == t->is_prefix)
                qry_reach_add(class, t->r->arena, reach->v[i]);
        }
        if (class->n)
            take_out_rivals(t, slot, class);
        is_any = is_any || class->n;
    }
    return is_any;
}

/* ---- one document ---- */

struct standing { /* how the class stands in a field of a document */
    uint32_t last; /* 1-based position of the last occurrence (6.1) */
    bool is_exact;
};

/* The best position byte among the words of the class; arrays: over all elements. */
static void
look_closely(struct single *t, const struct qry_reach *class, uint32_t n, struct standing *out)
{
    const uint32_t *words = t->r->forward;
    uint32_t best_byte = 0, begin = 0;

    *out = (struct standing){0};
    for (uint32_t i = 0; i < n; i++) {
        uint32_t last = 0;
        if (words[i] == IDX_ELEMENT_END) {
            out->is_exact = out->is_exact ||
                            (i - begin == 1 && qry_reach_find(class, words[begin]));
            begin = i + 1;
            continue;
        }
        if (!qry_reach_find(class, words[i]))
            continue;
        for (uint32_t k = 0, from = 0; k < n; k++) {
            if (words[k] == IDX_ELEMENT_END)
                from = k + 1;
            else if (words[k] == words[i] && k - from + 1 > last)
                last = k - from + 1;
        }
        if (255 - (last & 255) >= best_byte) {
            best_byte = 255 - (last & 255);
            out->last = last;
        }
    }
}

static struct qry_hit
make_hit(const struct single *t, uint32_t field, const struct standing *at)
{
    const struct qry_search *s = t->r->s;
    uint32_t cost = 2 * t->cost + t->is_prefix;
    bool may_be_exact = cost == 0 && s->prioritize_exact_match &&
                        (!s->is_full || t->r->text.n_tokens == 1);
    struct qry_field_score score = {qry_score_single(cost, may_be_exact && at->is_exact,
                                                     s->prioritize_token_position, at->last),
                                    s->fields[field].weight};
    struct qry_hit hit = {.view = t->view};

    hit.text_match = qry_score_text_match(s->text_match_type, 1,
                                          s->prioritize_num_matching_fields, &score, 1,
                                          &hit.field_score);
    return hit;
}

struct adding { /* documents of one field, or with field QRY_NONE those for evaluate.c */
    struct single *t;
    uint32_t field;
    bool (*each)(void *adding, uint32_t doc);
    struct qry_hit hit; /* of all that need no closer look: those whose value is the word alone */
};

static bool
add_alike(void *arg, uint32_t doc)
{
    struct adding *a = arg;

    a->hit.doc = doc;
    qry_hits_add(a->t->r, &a->hit);
    return !qry_run_tick(a->t->r);
}

static bool
add_closely(void *arg, uint32_t doc)
{
    struct adding *a = arg;
    struct single *t = a->t;
    struct standing at;

    uint32_t n = qry_run_forward(t->r, qry_slot(t->r, t->view, a->field), doc);
    if (n == 2) /* the word and the end */
        return add_alike(a, doc);
    look_closely(t, &t->class[a->field], n, &at);
    struct qry_hit hit = make_hit(t, a->field, &at);
    hit.doc = doc;
    qry_hits_add(t->r, &hit);
    return !qry_run_tick(t->r);
}

static bool
add_by_evaluation(void *arg, uint32_t doc)
{
    struct adding *a = arg;
    uint8_t costs[1] = {(uint8_t)a->t->cost};
    const struct qry_scope scope = {.costs = costs, .is_free = true};

    (void)qry_evaluate(a->t->r, a->t->p, &scope, a->t->view, doc);
    return !qry_run_tick(a->t->r);
}

static struct adding
adding_to(struct single *t, uint32_t field)
{
    const struct qry_search *s = t->r->s;
    bool is_close = s->prioritize_token_position ||
                    (t->cost == 0 && !t->is_prefix && s->prioritize_exact_match);
    const struct standing alone = {1, true}, anywhere = {0};
    struct adding a = {.t = t, .field = field, .each = add_by_evaluation};

    if (field == QRY_NONE)
        return a;
    a.each = is_close ? add_closely : add_alike;
    a.hit = make_hit(t, field, is_close ? &alone : &anywhere);
    return a;
}

static bool
add_docs(struct single *t, uint32_t field, const uint64_t *docs)
{
    struct adding a = adding_to(t, field);

    return qry_each_doc(docs, qry_n_words(t->r->c->views[t->view].n_docs), a.each, &a);
}

/* ---- a class in one segment ---- */

/* Room for the documents of every field, in the largest view. */
static void
make_field_bits(struct single *t)
{
    const struct qry_run *r = t->r;
    uint32_t largest = 0;

    if (t->field_bits)
        return;
    for (uint32_t v = 0; v < r->n_views; v++) {
        if (r->c->views[v].n_docs > r->c->views[largest].n_docs)
            largest = v;
    }
    t->field_bits = arena_calloc(r->arena, r->n_fields, sizeof *t->field_bits);
    for (uint32_t f = 0; f < r->n_fields; f++)
        t->field_bits[f] = qry_run_bits(t->r, largest);
}

/* Sets field_bits of every field that has the class; several: documents with more than one. */
static void
unite(struct single *t, uint64_t *any, uint64_t *several)
{
    const struct qry_run *r = t->r;
    uint32_t n_words = qry_n_words(r->c->views[t->view].n_docs);

    for (uint32_t f = 0; f < r->n_fields; f++) {
        const struct qry_reach *class = &t->class[f];
        uint64_t *bits = t->field_bits[f];
        if (class->n == 0)
            continue;
        memset(bits, 0, n_words * sizeof *bits);
        for (size_t i = 0; i < class->n; i++)
            idx_terms_or(r->terms[qry_slot(r, t->view, f)], class->v[i].begin, class->v[i].end,
                         bits);
        for (uint32_t i = 0; i < n_words; i++) {
            several[i] |= any[i] & bits[i];
            any[i] |= bits[i];
        }
    }
}

/* The class by bitmaps: for many documents. */
static bool
run_many(struct single *t)
{
    struct qry_run *r = t->r;
    uint32_t n_words = qry_n_words(r->c->views[t->view].n_docs);
    uint64_t *any = qry_run_scratch(r, 2, t->view), *several = qry_run_scratch(r, 3, t->view);
    uint64_t *seen = t->seen[t->view];
    const uint64_t *allowed = r->allowed[t->view];
    const uint64_t *apart = t->with_dropped ? t->with_dropped[t->view] : NULL;

    make_field_bits(t);
    unite(t, any, several);
    for (uint32_t i = 0; i < n_words; i++) {
        uint64_t fresh = allowed[i] & ~seen[i] & (apart ? ~apart[i] : UINT64_MAX);
        seen[i] |= any[i];
        for (uint32_t f = 0; f < r->n_fields; f++) {
            if (t->class[f].n)
                t->field_bits[f][i] &= fresh & ~several[i];
        }
        several[i] &= fresh;
    }
    for (uint32_t f = 0; f < r->n_fields; f++) {
        if (t->class[f].n && !add_docs(t, f, t->field_bits[f]))
            return false;
    }
    return r->n_fields == 1 || add_docs(t, QRY_NONE, several);
}

struct few { /* where documents have the class */
    uint64_t places[FEW_DOCS]; /* document << 8 | field */
    uint32_t n, most;
};
_Static_assert(QRY_FIELDS_MAX <= 256, "a field fits a byte");

static void
gather_term(const struct idx_terms *terms, uint32_t ord, uint32_t field, struct few *out)
{
    uint32_t docs[IDX_POSTING_BATCH];
    struct idx_posting p;

    idx_posting_begin(&p, terms, ord);
    for (uint32_t n; (n = idx_posting_next(&p, docs)) > 0;) {
        for (uint32_t i = 0; i < n; i++)
            out->places[out->n++] = (uint64_t)docs[i] << 8 | field;
    }
}

static bool
gather_stretch(const struct single *t, const struct qry_stretch *s, uint32_t field,
               struct few *out)
{
    const struct idx_terms *terms = t->r->terms[qry_slot(t->r, t->view, field)];

    for (uint32_t ord = s->begin; ord < s->end; ord++) {
        if (out->n + idx_terms_df(terms, ord) > out->most)
            return false;
        gather_term(terms, ord, field, out);
    }
    return true;
}

/* False if there are more than a few: bitmaps of a small segment are short. */
static bool
gather(const struct single *t, struct few *out)
{
    uint32_t most = 8 + t->r->c->views[t->view].n_docs / 64;

    out->n = 0;
    out->most = most < FEW_DOCS ? most : FEW_DOCS;
    for (uint32_t f = 0; f < t->r->n_fields; f++) {
        const struct qry_reach *class = &t->class[f];
        for (size_t i = 0; i < class->n; i++) {
            if (!gather_stretch(t, &class->v[i], f, out))
                return false;
        }
    }
    return true;
}

static int
compare_places(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return (a > b) - (a < b);
}

static bool
run_few(struct single *t, struct few *few)
{
    uint64_t *seen = t->seen[t->view];
    const uint64_t *allowed = t->r->allowed[t->view];
    const uint64_t *apart = t->with_dropped ? t->with_dropped[t->view] : NULL;

    qsort(few->places, few->n, sizeof few->places[0], compare_places);
    for (uint32_t i = 0, end; i < few->n; i = end) {
        uint32_t doc = (uint32_t)(few->places[i] >> 8), field = few->places[i] & 255;
        for (end = i + 1; end < few->n && few->places[end] >> 8 == doc; end++)
            field = few->places[end] == few->places[i] ? field : QRY_NONE;
        if (!qry_bit(allowed, doc) || qry_bit(seen, doc) || (apart && qry_bit(apart, doc)))
            continue;
        seen[doc / 64] |= (uint64_t)1 << (doc % 64);
        struct adding a = adding_to(t, field);
        if (!a.each(&a, doc))
            return false;
    }
    return true;
}

static bool
run_class(struct single *t)
{
    struct few few;

    if (!make_class(t))
        return true;
    return gather(t, &few) ? run_few(t, &few) : run_many(t);
}

/* Documents with dropped words: their score may rise with the cost, so each cost counts. */
static bool
run_with_dropped(struct single *t)
{
    struct qry_run *r = t->r;
    uint32_t n_words = qry_n_words(r->c->views[t->view].n_docs);
    uint64_t *docs = qry_run_scratch(r, 4, t->view);
    const uint64_t *bits = qry_word_bits(r, t->word, t->cost, t->view);

    for (uint32_t i = 0; i < n_words; i++)
        docs[i] = bits[i] & r->allowed[t->view][i] & t->with_dropped[t->view][i];
    return add_docs(t, QRY_NONE, docs);
}

static void
find_dropped(struct single *t)
{
    struct qry_run *r = t->r;

    t->with_dropped = arena_calloc(r->arena, r->n_views + 1u, sizeof *t->with_dropped);
    for (uint32_t v = 0; v < r->n_views; v++) {
        t->with_dropped[v] = qry_run_bits(r, v);
        for (uint32_t i = 0; i < t->p->n_dropped * r->n_fields; i++) {
            uint32_t slot = qry_slot(r, v, i % r->n_fields);
            uint32_t ord = qry_term_ord(r, t->p->dropped[i / r->n_fields]->id, slot);
            if (ord != QRY_NONE)
                idx_terms_or(r->terms[slot], ord, ord + 1, t->with_dropped[v]);
        }
    }
}

static bool
run_cost(struct single *t)
{
    t->word->costs_used |= 1u << t->cost;
    for (t->view = 0; t->view < t->r->n_views; t->view++) {
        for (unsigned is_prefix = 0; is_prefix < 2; is_prefix++) {
            t->is_prefix = is_prefix;
            if (!run_class(t))
                return false;
        }
        if (t->with_dropped && !run_with_dropped(t))
            return false;
    }
    return true;
}

bool
qry_single_run(struct qry_run *r, struct qry_pass *p)
{
    struct single t = {.r = r, .p = p, .word = p->words[0]};

    t.seen = arena_calloc(r->arena, r->n_views + 1u, sizeof *t.seen);
    for (uint32_t v = 0; v < r->n_views; v++)
        t.seen[v] = qry_run_bits(r, v);
    t.class = arena_calloc(r->arena, r->n_fields, sizeof *t.class);
    if (p->n_dropped)
        find_dropped(&t);
    for (uint32_t i = 0; i < p->costs[0].n; i++) {
        t.cost = p->costs[0].v[i];
        if (!run_cost(&t))
            return false;
        p->n_done = i + 1;
        if (!r->s->is_exhaustive && r->hits.n >= r->s->typo_tokens_threshold)
            return true;
    }
    return true;
}
