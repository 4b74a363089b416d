/*
 * The journey of a text search: from the query string to the documents with
 * their scores (search-semantics sections 2 to 6).
 *
 *   1. prepare_run      dictionaries, words of the query
 *   2. qry_run_restrict exclusions and phrases
 *   3. run_passes       all tokens; split or joined ones; with tokens dropped; infix
 *   4. qry_hits_flush   each document once, with its best evaluation
 */
#include "query/matching.h"

static void prepare_run(struct qry_run *r, const struct qry_docset *docs);
static bool run_passes(struct qry_run *r);
static bool run_main(struct qry_run *r);
static bool run_split_join(struct qry_run *r);
static bool run_dropping(struct qry_run *r);
static struct qry_match *make_match(struct qry_run *r);

enum rc
qry_match_run(const struct qry_search *s, const struct qry_docset *docs,
              const struct qry_match_sink *sink, struct arena *arena, struct qry_match **out,
              struct err *err)
{
    struct qry_run r = {.s = s, .c = s->collection, .sink = sink, .arena = arena};
    bool is_done;

    if (s->n_fields == 0 && !s->is_wildcard)
        return err_set(err, RC_INVALID, "A search for text needs at least one field in query_by");
    prepare_run(&r, docs);
    if (qry_run_restrict(&r, docs))
        is_done = r.text.n_tokens ? run_passes(&r) : qry_run_match_all(&r);
    else
        is_done = !r.is_late;
    qry_hits_flush(&r);
    *out = make_match(&r);
    map_fini(&r.by_text);
    buf_fini(&r.term_text);
    if (!is_done || r.is_late)
        return err_set(err, RC_CUTOFF, "The search was stopped at its time limit");
    return RC_OK;
}

/* ---- 1. ---- */

static void
prepare_run(struct qry_run *r, const struct qry_docset *docs)
{
    const struct qry_search *s = r->s;

    r->n_views = r->c->n_views;
    r->n_fields = s->n_fields;
    r->words = r->allowed = docs->words;
    r->terms = arena_calloc(r->arena, (size_t)r->n_views * r->n_fields + 1, sizeof(void *));
    for (uint32_t v = 0; v < r->n_views; v++) {
        for (uint32_t f = 0; f < r->n_fields; f++)
            r->terms[qry_slot(r, v, f)] =
                idx_segment_terms(r->c->views[v].segment, s->fields[f].field, IDX_TEXT);
    }
    for (uint32_t f = 1; f < r->n_fields; f++) {
        r->prefix_differs |= s->fields[f].has_prefix != s->fields[0].has_prefix;
        r->typos_differ |= s->fields[f].num_typos != s->fields[0].num_typos;
    }
    qry_hits_init(r);
    if (!s->is_wildcard)
        qry_text_parse(s, r->arena, &r->text);
    for (uint32_t i = 0; i < r->text.n_tokens; i++)
        (void)qry_word_get(r, r->text.tokens[i], i == r->text.n_tokens - 1);
}

static bool
has_any_document(const struct qry_run *r)
{
    for (uint32_t v = 0; v < r->n_views; v++) {
        uint32_t n_words = qry_n_words(r->c->views[v].n_docs);
        for (uint32_t i = 0; i < n_words; i++) {
            if (r->words[v][i])
                return true;
        }
    }
    return false;
}

/* ---- 3. ---- */

static bool
run_passes(struct qry_run *r)
{
    const struct qry_search *s = r->s;

    if (!has_any_document(r))
        return true;
    if (!run_main(r))
        return false;
    if (s->split_join == QRY_SPLIT_JOIN_ALWAYS ||
        (s->split_join == QRY_SPLIT_JOIN_FALLBACK && r->hits.n == 0)) {
        r->hits.is_direct = false;
        if (!run_split_join(r))
            return false;
    }
    if (!run_dropping(r))
        return false;
    return qry_infix_run(r);
}

/* A pass over tokens [begin, end); those outside were dropped. */
static struct qry_pass *
new_pass(struct qry_run *r, const struct span *tokens, uint32_t n, uint32_t begin, uint32_t end)
{
    struct qry_pass *p = arena_calloc(r->arena, 1, sizeof *p);

    p->words = arena_calloc(r->arena, n, sizeof(struct qry_word *));
    p->dropped = arena_calloc(r->arena, n, sizeof(struct qry_word *));
    for (uint32_t i = 0; i < n; i++) {
        struct qry_word *w = qry_word_get(r, tokens[i], i == n - 1);
        if (i >= begin && i < end)
            p->words[p->n++] = w;
        else
            p->dropped[p->n_dropped++] = w;
    }
    p->has_previous = p->n >= 2 && p->n_dropped == 0;
    return p;
}

static bool
run_pass(struct qry_run *r, struct qry_pass *p)
{
    bool is_done = !qry_run_is_late(r) && qry_pass_run(r, p);

    r->passes = arena_grow(r->arena, r->passes, &r->passes_cap, r->n_passes + 1u,
                           sizeof *r->passes);
    r->passes[r->n_passes++] = p;
    return is_done;
}

static bool
run_main(struct qry_run *r)
{
    uint32_t n = r->text.n_tokens;
    struct qry_pass *p = new_pass(r, r->text.tokens, n, 0, n);

    p->is_main = true;
    /* One word and no rewriting: a single pass, which meets each document once. */
    r->hits.is_direct =
        n == 1 && r->s->split_join != QRY_SPLIT_JOIN_ALWAYS && qry_single_fits(r, p);
    return run_pass(r, p);
}

static bool
run_split_join(struct qry_run *r)
{
    struct span *tokens;
    uint32_t n = qry_split_join(r, &tokens);

    return n == 0 || run_pass(r, new_pass(r, tokens, n, 0, n));
}

/* Tries tokens [begin, end) alone, unless enough was found. *is_over then. */
static bool
try_without(struct qry_run *r, uint32_t begin, uint32_t end, bool *is_over)
{
    uint32_t n = r->text.n_tokens;
    bool is_forced = r->s->is_exhaustive || (r->s->drop_mode == QRY_DROP_BOTH_SIDES &&
                                             n <= r->s->drop_both_sides_max);

    *is_over = !is_forced && r->hits.n >= r->s->drop_tokens_threshold;
    return *is_over || run_pass(r, new_pass(r, r->text.tokens, n, begin, end));
}

static bool
run_dropping(struct qry_run *r)
{
    const struct qry_search *s = r->s;
    uint32_t n = r->text.n_tokens;
    bool is_over = false;
    /* With more tokens than its limit both_sides is right_to_left. */
    bool is_left_first =
        s->drop_mode == QRY_DROP_LEFT_TO_RIGHT ||
        (s->drop_mode == QRY_DROP_BOTH_SIDES && n <= s->drop_both_sides_max);

    if (!s->is_exhaustive && r->hits.n >= s->drop_tokens_threshold)
        return true;
    for (uint32_t half = 0; half < 2; half++) {
        bool is_from_left = (half == 0) == is_left_first;
        for (uint32_t kept = n - 1; kept >= 1 && !is_over; kept--) {
            uint32_t begin = is_from_left ? n - kept : 0;
            if (!try_without(r, begin, begin + kept, &is_over))
                return false;
        }
    }
    return true;
}

/* ---- what stays ---- */

static struct qry_match *
make_match(struct qry_run *r)
{
    struct qry_match *m = arena_calloc(r->arena, 1, sizeof *m);

    m->s = r->s;
    m->text = r->text;
    m->words = r->all_words;
    m->n_words = r->n_words;
    return m;
}

/* ---- services for the other files ---- */

bool
qry_run_is_late(struct qry_run *r)
{
    r->is_late = r->is_late || qry_deadline_is_over(&r->s->deadline);
    return r->is_late;
}

uint64_t *
qry_run_bits(struct qry_run *r, uint32_t view)
{
    return arena_calloc(r->arena, qry_n_words(r->c->views[view].n_docs) + 1u, sizeof(uint64_t));
}

uint64_t *
qry_run_scratch(struct qry_run *r, unsigned number, uint32_t view)
{
    uint32_t n_words = qry_n_words(r->c->views[view].n_docs);

    if (!r->scratch[number]) {
        uint32_t largest = 0;
        for (uint32_t v = 0; v < r->n_views; v++)
            largest = r->c->views[v].n_docs > r->c->views[largest].n_docs ? v : largest;
        r->scratch[number] = qry_run_bits(r, largest);
    }
    memset(r->scratch[number], 0, n_words * sizeof(uint64_t));
    return r->scratch[number];
}

uint32_t
qry_run_forward(struct qry_run *r, uint32_t slot, uint32_t doc)
{
    uint32_t n = idx_forward(r->terms[slot], doc, r->forward, r->forward_cap);

    if (n <= r->forward_cap)
        return n;
    r->forward_cap = n + 64;
    r->forward = arena_alloc(r->arena, r->forward_cap * sizeof *r->forward);
    return idx_forward(r->terms[slot], doc, r->forward, r->forward_cap);
}
