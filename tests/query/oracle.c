/* Passes, step by step as search-semantics 4 tells them. */
#include "tests/query/oracle_parts.h"

static bool
is_better(const struct qry_search *s, const struct oracle_value *a, const struct oracle_doc *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_sorts; i++)
        n += s->sorts[i].kind == QRY_SORT_TEXT_MATCH;
    if (n > 1 && a->field_score != b->field_score)
        return a->field_score > b->field_score;
    return a->text_match > b->text_match;
}

static void
add_hit(struct oracle_run *r, struct oracle_doc *d, const struct oracle_value *v)
{
    if (!d->is_hit) {
        r->n_found += !r->s->has_group || !r->groups[d->group];
        r->groups[d->group] = true;
    }
    if (!d->is_hit || is_better(r->s, v, d)) {
        d->text_match = v->text_match;
        d->field_score = v->field_score;
    }
    d->is_hit = true;
}

static bool
is_excluded(const struct oracle_run *r, const struct oracle_doc *d)
{
    for (uint32_t f = 0; f < r->s->n_fields; f++) {
        for (uint32_t i = 0; i < r->text.n_excluded; i++) {
            if (oracle_field_has(&d->fields[r->s->fields[f].field], r->text.excluded[i]))
                return true;
        }
    }
    return false;
}

static void
try_sequence(struct oracle_run *r, const struct oracle_pass *p, const struct oracle_choice *v)
{
    struct span key = {"", 0};
    bool is_new;

    for (uint32_t j = 0; j < p->n; j++)
        key = arena_printf(r->arena, "%.*s %.*s", SPAN_ARG(key), SPAN_ARG(v[j].term));
    if (!r->s->is_full) {
        (void)map_put(&r->sequences, key, &is_new);
        if (!is_new)
            return;
    }
    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        struct oracle_doc *d = &r->o->docs[i];
        struct oracle_value value;
        if (d->is_live && d->passes && !is_excluded(r, d) &&
            oracle_score(r, d, v, p->n, p->dropped, p->n_dropped, &value))
            add_hit(r, d, &value);
    }
}

static void
try_terms(struct oracle_run *r, const struct oracle_pass *p, const unsigned *costs,
          const struct oracle_list *lists)
{
    uint64_t max = UINT64_MAX, n = 1;
    struct oracle_choice v[32];

    if (r->s->max_candidates) {
        max = r->s->max_candidates;
        if (!(r->s->n_fields == 1 && r->s->first_prefix) && max < 10)
            max = 10;
    }
    for (uint32_t j = 0; j < p->n; j++)
        n *= lists[j].n;
    for (uint64_t i = 0; i < n && i < max; i++) {
        uint64_t rest = i;
        for (uint32_t j = 0; j < p->n; j++) {
            struct span term = lists[j].terms[rest % lists[j].n];
            rest /= lists[j].n;
            /* An Arabic letter is two bytes: one edit counts twice. */
            int32_t letter;
            (void)tkz_codepoint_next(term, 0, &letter);
            bool is_arabic = letter >= 0x600 && letter < 0x700 && !r->s->is_full;
            unsigned cost = is_arabic && costs[j] == 1 ? 2 : costs[j];
            bool is_longer = qry_walk_length(term, r->s->is_full) >
                             qry_walk_length(p->tokens[j].text, r->s->is_full) + cost;
            v[j] = (struct oracle_choice){term, cost, is_longer && p->tokens[j].may_prefix};
        }
        try_sequence(r, p, v);
    }
}

struct cached {
    struct span text;
    unsigned cost;
    struct oracle_list part;
};

struct state { /* of one pass */
    unsigned costs[32][3];
    uint32_t n_costs[32];
    struct cached cache[96];
    uint32_t n_cached;
};

static void
init_state(const struct oracle_run *r, const struct oracle_pass *p, struct state *st)
{
    const struct qry_search *s = r->s;

    st->n_cached = 0;
    for (uint32_t j = 0; j < p->n; j++) {
        struct span t = p->tokens[j].text;
        uint32_t length = qry_walk_length(t, s->is_full);
        uint32_t n = length < s->min_len_1typo ? 1 : length < s->min_len_2typo ? 2 : 3;
        bool digits = true, plain = true;
        for (size_t i = 0; i < t.n; i++) {
            digits = digits && t.p[i] >= '0' && t.p[i] <= '9';
            plain = plain && memchr("abcdefghijklmnopqrstuvwxyz0123456789", t.p[i], 36);
        }
        if (p->is_main &&
            ((digits && !s->typos_numerical) || (!plain && !s->typos_alpha_numerical)))
            n = 1;
        for (uint32_t c = 0; c < n; c++)
            st->costs[j][c] = c;
        st->n_costs[j] = n;
    }
}

/* Lists of a combination; returns the token without candidates or QRY_NONE. */
static uint32_t
make_lists(struct oracle_run *r, const struct oracle_pass *p, struct state *st,
           const unsigned *costs, struct oracle_list *lists)
{
    struct oracle_list used = {0};

    for (uint32_t j = 0; j < p->n; j++) {
        bool follows = p->has_previous && j > 0 && j == p->n - 1;
        struct oracle_wanted w = {p->tokens[j], costs[j], follows ? &lists[j - 1] : NULL, &used};
        uint32_t k = 0;
        while (k < st->n_cached && (st->cache[k].cost != costs[j] ||
                                    !span_eq(st->cache[k].text, p->tokens[j].text)))
            k++;
        if (k < st->n_cached && !r->s->is_full) {
            lists[j] = st->cache[k].part;
            continue;
        }
        if (r->s->is_full)
            used = (struct oracle_list){0};
        oracle_list_make(r, &w, &lists[j]);
        if (lists[j].n == 0)
            return j;
        st->cache[st->n_cached % 96] =
            (struct cached){p->tokens[j].text, costs[j], lists[j]};
        st->cache[st->n_cached % 96].part.n = lists[j].n_part;
        st->n_cached += !r->s->is_full;
    }
    return QRY_NONE;
}

static uint64_t
combinations(const struct state *st, uint32_t n_tokens)
{
    uint64_t n = 1;

    for (uint32_t j = 0; j < n_tokens; j++)
        n *= st->n_costs[j];
    return n;
}

static void
run_pass(struct oracle_run *r, const struct oracle_pass *p)
{
    struct state *st = arena_calloc(r->arena, 1, sizeof *st);
    uint64_t limit = r->s->is_exhaustive ? 10000 : 10;

    init_state(r, p, st);
    for (uint64_t i = 0; i < combinations(st, p->n) && i < limit; i++) {
        struct oracle_list lists[32];
        unsigned costs[32];
        uint64_t rest = i;
        for (uint32_t j = p->n; j-- > 0;) {
            costs[j] = st->costs[j][rest % st->n_costs[j]];
            rest /= st->n_costs[j];
        }
        uint32_t bad = make_lists(r, p, st, costs, lists);
        if (bad != QRY_NONE) {
            uint32_t k = 0, n = st->n_costs[bad]--;
            for (uint32_t c = 0; c < n; c++) {
                if (st->costs[bad][c] != costs[bad])
                    st->costs[bad][k++] = st->costs[bad][c];
            }
            if (k == 0)
                return;
            i = UINT64_MAX;
        } else {
            try_terms(r, p, costs, lists);
        }
        if (!r->s->is_exhaustive && r->n_found >= r->s->typo_tokens_threshold)
            return;
    }
}

static void
run_tokens(struct oracle_run *r, const struct span *v, uint32_t n, uint32_t begin, uint32_t end)
{
    struct oracle_token tokens[32];
    struct span dropped[32];
    struct oracle_pass p = {.tokens = tokens, .dropped = dropped};

    for (uint32_t i = 0; i < n; i++) {
        if (i >= begin && i < end)
            tokens[p.n++] = (struct oracle_token){v[i], i == n - 1};
        else
            dropped[p.n_dropped++] = v[i];
    }
    p.has_previous = p.n_dropped == 0 && p.n >= 2;
    p.is_main = v == r->text.tokens && p.n_dropped == 0;
    run_pass(r, &p);
}

static void
drop_tokens(struct oracle_run *r)
{
    const struct qry_search *s = r->s;
    uint32_t n = r->text.n_tokens;
    bool both = s->drop_mode == QRY_DROP_BOTH_SIDES && n <= s->drop_both_sides_max;
    bool left = both || s->drop_mode == QRY_DROP_LEFT_TO_RIGHT;

    if (!s->is_exhaustive && r->n_found >= s->drop_tokens_threshold)
        return;
    for (uint32_t i = 0; i < 2 * (n - 1); i++) {
        uint32_t kept = n - 1 - i % (n - 1);
        bool is_from_left = (i < n - 1) == left;
        if (!both && !s->is_exhaustive && r->n_found >= s->drop_tokens_threshold)
            return;
        if (is_from_left)
            run_tokens(r, r->text.tokens, n, n - kept, n);
        else
            run_tokens(r, r->text.tokens, n, 0, kept);
    }
}

static bool
is_inside(const struct oracle_run *r, const struct oracle_field *field, struct span t)
{
    for (uint32_t e = 0; e < field->n; e++) {
        for (uint32_t k = 0; k < field->elements[e].n; k++) {
            struct span w = field->elements[e].tokens[k];
            const char *at = memmem(w.p, w.n, t.p, t.n);
            if (at && (size_t)(at - w.p) <= r->s->max_extra_prefix &&
                (size_t)(w.p + w.n - at) - t.n <= r->s->max_extra_suffix)
                return true;
        }
    }
    return false;
}

static void
find_infix(struct oracle_run *r, uint32_t f)
{
    struct oracle_value value = {100, 100};

    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        struct oracle_doc *d = &r->o->docs[i];
        if (d->is_live && d->passes &&
            is_inside(r, &d->fields[r->s->fields[f].field], r->text.tokens[0]))
            add_hit(r, d, &value);
    }
}

/* match=full: every word, and exclusions hold. */
static void
find_infix_words(struct oracle_run *r)
{
    struct oracle_value value = {100, 100};
    uint64_t n_before = r->n_found;

    for (uint32_t i = 0; i < r->o->n_docs; i++) {
        struct oracle_doc *d = &r->o->docs[i];
        uint32_t n = 0;
        for (uint32_t t = 0; t < r->text.n_tokens && d->is_live && d->passes; t++) {
            bool has = false;
            for (uint32_t f = 0; f < r->s->n_fields; f++) {
                enum qry_infix infix = r->s->fields[f].infix;
                if (infix == QRY_INFIX_ALWAYS || (infix == QRY_INFIX_FALLBACK && n_before == 0))
                    has |= is_inside(r, &d->fields[r->s->fields[f].field], r->text.tokens[t]);
            }
            n += has;
        }
        if (n == r->text.n_tokens && !is_excluded(r, d))
            add_hit(r, d, &value);
    }
}

void
oracle_run(struct oracle *o, const struct qry_search *s, struct arena *arena)
{
    struct oracle_run r = {.o = o, .s = s, .arena = arena};
    struct span *tokens;
    bool is_any = false;

    for (uint32_t i = 0; i < o->n_docs; i++) {
        o->docs[i].is_hit = false;
        is_any |= o->docs[i].is_live && o->docs[i].passes;
    }
    qry_text_parse(s, arena, &r.text);
    if (!is_any)
        return;
    run_tokens(&r, r.text.tokens, r.text.n_tokens, 0, r.text.n_tokens);
    if (s->split_join == QRY_SPLIT_JOIN_ALWAYS ||
        (s->split_join == QRY_SPLIT_JOIN_FALLBACK && r.n_found == 0)) {
        uint32_t n = oracle_split_join(&r, &tokens);
        if (n)
            run_tokens(&r, tokens, n, 0, n);
    }
    drop_tokens(&r);
    if (s->is_full)
        find_infix_words(&r);
    for (uint32_t f = 0; f < s->n_fields && !s->is_full; f++) {
        enum qry_infix infix = s->fields[f].infix;
        if (infix == QRY_INFIX_ALWAYS || (infix == QRY_INFIX_FALLBACK && r.n_found == 0))
            find_infix(&r, f);
    }
    map_fini(&r.sequences);
}
