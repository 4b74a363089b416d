/* Dictionaries must be sorted; postings and forward lists must say the same of every document. */
#include "index/verify.h"

#include "index/set.h"
#include "index/tails.h"

struct check {
    const struct idx_terms *t;
    uint32_t field;
    int kind;
    struct idx_findings *f;
};

static bool
fail(const struct check *c, const char *what, uint32_t at)
{
    idx_findings_add(c->f, "field %u, terms of kind %d: %s (%u)", c->field, c->kind, what, at);
    return false;
}

static bool
verify_dict(const struct check *c)
{
    const struct idx_dict *d = &c->t->dict;
    struct idx_walk w;
    struct buf last = {0};
    bool is_sound = true;
    if (!d->ulids && !idx_runs_are_sound(&d->runs, c->t->dict_section->bytes))
        return fail(c, "the terms do not lie where they should", 0);
    idx_walk_init(&w, d);
    while (is_sound && idx_walk_next(&w)) {
        struct span term = buf_span(&w.term);
        uint32_t i = w.ord, lcp = 0;
        while (lcp < term.n && lcp < last.n && term.p[lcp] == last.p[lcp])
            lcp++;
        if (i && span_cmp(buf_span(&last), term) >= 0)
            is_sound = fail(c, "the terms are not in order", i);
        else if (!d->ulids && d->lcp[i] != (lcp < 255 ? lcp : 255))
            is_sound = fail(c, "a shared length is wrong", i);
        else if (!d->ulids && i % SEG_BLOCK == 0 && d->heads[i / SEG_BLOCK] != idx_head_of(term))
            is_sound = fail(c, "a block's head is wrong", i);
        else if (term.n > (c->kind == IDX_TEXT ? IDX_TERM_MAX : IDX_VALUE_MAX))
            is_sound = fail(c, "a term is too long", i);
        buf_clear(&last);
        buf_put_span(&last, term);
    }
    buf_fini(&last);
    buf_fini(&w.term);
    return is_sound;
}

/* Terms [0, dict.n) that are long enough, each once: rising by (key, ordinal), and as many. */
static bool
verify_tails(const struct check *c, const struct idx_section *s)
{
    const struct idx_terms *t = c->t;
    struct buf term = {0};
    uint64_t last = 0;
    uint32_t n = 0;
    bool is_sound = true;
    for (uint32_t i = 0; is_sound && i < s->n; i++) {
        uint32_t ord = idx_tails_ords(s)[i];
        if (ord >= t->dict.n) {
            is_sound = fail(c, "tails have a term beyond the last", i);
            break;
        }
        buf_clear(&term);
        idx_terms_get(t, ord, &term);
        if (term.n < idx_tails_length(s->extra)) {
            is_sound = fail(c, "tails have a term that is too short", i);
            break;
        }
        uint64_t key = idx_tails_key(buf_span(&term), s->extra);
        if (i && (key < last || (key == last && ord <= idx_tails_ords(s)[i - 1])))
            is_sound = fail(c, "tails are not in order", i);
        else if (i % SEG_BLOCK == 0 && idx_tails_heads(s)[i / SEG_BLOCK] != key)
            is_sound = fail(c, "a head of the tails is wrong", i);
        last = key;
    }
    for (uint32_t i = 0; is_sound && i < t->dict.n; i++) {
        buf_clear(&term);
        idx_terms_get(t, i, &term);
        n += term.n >= idx_tails_length(s->extra);
    }
    buf_fini(&term);
    return is_sound && n != s->n ? fail(c, "tails lack a term", n) : is_sound;
}

/* Whether a term's record lies inside its section and is well-formed. */
static bool
record_is_sound(const struct idx_terms *t, uint32_t entry)
{
    struct span all = t->postings->bytes;
    uint64_t begin = (uint64_t)t->dict.n * 4 + (uint64_t)4 * (entry & ~SEG_ENTRY_RECORD);
    if (begin >= all.n - SEG_SLACK)
        return false;
    struct bytes r = bytes_of(span_of(all.p + begin, all.n - SEG_SLACK - begin));
    uint64_t n = bytes_varint(&r), doc = 0;
    if (n < 2 || n > t->n_docs)
        return false;
    if (n >= SEG_LIST_MAX) {
        /* The containers that set.c reads, and no others. */
        struct span rest = bytes_take(&r, bytes_left(&r));
        return rest.n > 8 && load_u32(rest.p) == 12346 &&
               idx_set_bitmap_is_sound(rest, (uint32_t)n, t->n_docs);
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t step = bytes_varint(&r);
        if (i && step == 0)
            return false;
        doc += step;
    }
    return !r.bad && doc < t->n_docs;
}

static bool
verify_postings(const struct check *c, uint64_t *n_pairs)
{
    const struct idx_terms *t = c->t;
    *n_pairs = 0;
    for (uint32_t i = 0; t->postings && i < t->dict.n; i++) {
        uint32_t entry = t->entries[i];
        if (entry & SEG_ENTRY_RECORD ? !record_is_sound(t, entry) : entry >= t->n_docs)
            return fail(c, "the postings of a term are not well-formed", i);
        *n_pairs += idx_terms_df(t, i);
    }
    return true;
}

/* Counts the distinct terms of a document; false if one is out of range or lacks the document. */
static bool
verify_list(const struct check *c, uint32_t doc, const uint32_t *list, uint32_t n, uint64_t *pairs)
{
    const struct idx_terms *t = c->t;
    for (uint32_t i = 0; i < n; i++) {
        bool is_first = true;
        if (list[i] == IDX_ELEMENT_END)
            continue;
        if (list[i] >= t->dict.n)
            return fail(c, "a document has a term beyond the last", doc);
        for (uint32_t j = 0; is_first && j < i && i < 1000; j++)
            is_first = list[j] != list[i];
        *pairs += is_first;
        if (t->postings && is_first && !idx_terms_has(t, list[i], doc))
            return fail(c, "a document is not in the postings of its term", doc);
    }
    if (n && list[n - 1] != IDX_ELEMENT_END)
        return fail(c, "a document's last element is open", doc);
    return true;
}

static bool
verify_lists(const struct check *c, uint64_t n_pairs)
{
    const struct idx_terms *t = c->t;
    struct idx_u32s list = {0};
    uint64_t pairs = 0;
    bool is_sound = true, has_long = false;
    if (t->mode != SEG_FIXED && !idx_runs_are_sound(&t->lists, t->forward->bytes))
        return fail(c, "the lists do not lie where they should", 0);
    idx_u32s_reserve(&list, 64);
    for (uint32_t doc = 0; is_sound && doc < t->n_docs; doc++) {
        uint32_t n = idx_forward(t, doc, list.p, (uint32_t)list.cap);
        if (n > list.cap) {
            idx_u32s_reserve(&list, n);
            n = idx_forward(t, doc, list.p, (uint32_t)list.cap);
        }
        has_long |= n > 1000; /* not counted exactly: see verify_list */
        is_sound = verify_list(c, doc, list.p, n, &pairs);
    }
    idx_u32s_fini(&list);
    if (is_sound && t->postings && !has_long && pairs != n_pairs)
        return fail(c, "postings and lists do not say the same", (uint32_t)n_pairs);
    return is_sound;
}

void
idx_verify_terms(const struct idx_segment *s, uint32_t field, enum idx_terms_kind kind,
                 struct idx_findings *f)
{
    struct check c = {
        .t = idx_segment_slot(s, field, kind), .field = field, .kind = (int)kind, .f = f};
    uint64_t n_pairs;
    if (!c.t || !verify_dict(&c))
        return;
    for (uint32_t i = 0; i < IDX_TAIL_N; i++)
        if (c.t->tails[i] && !verify_tails(&c, c.t->tails[i]))
            return;
    if (kind != IDX_SORT && !c.t->postings) {
        (void)fail(&c, "there are no postings", 0);
        return;
    }
    if (verify_postings(&c, &n_pairs))
        (void)verify_lists(&c, n_pairs);
}
