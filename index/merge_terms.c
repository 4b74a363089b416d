/*
 * Merging dictionaries: the inputs' terms come in order off a heap; a term
 * that still has a live document gets the next ordinal. Postings are
 * concatenated, as inputs follow each other in document order; forward lists
 * are rewritten with the new ordinals.
 */
#include "index/merge.h"

struct source {                    /* one input's dictionary */
    const struct idx_terms *terms; /* NULL: the input has none */
    const uint32_t *new_doc;
    uint32_t n_docs;
    struct idx_walk walk;
    uint64_t head;     /* of the walk's term: decides most comparisons */
    uint32_t *new_ord; /* by old ordinal; UINT32_MAX: dropped */
    uint64_t *used;    /* sort keys: bit per old ordinal that a live document has */
};

struct work {
    struct idx_merge *m;
    struct source *sources; /* one per input */
    uint32_t *heap;         /* numbers of sources, least term first */
    uint32_t n_heap;
    struct idx_u32s docs; /* of the term at hand */
    struct idx_u32s list; /* of the document at hand */
    enum idx_terms_kind kind;
};

/* ---- the heap ---- */

/* By term, then by input, so that documents come in order. */
static bool
is_before(const struct work *w, uint32_t a, uint32_t b)
{
    const struct source *x = &w->sources[a], *y = &w->sources[b];
    if (x->head != y->head)
        return x->head < y->head;
    int c = span_cmp(buf_span(&x->walk.term), buf_span(&y->walk.term));
    return c ? c < 0 : a < b;
}

static void
sift_down(struct work *w, uint32_t i)
{
    uint32_t moved = w->heap[i];
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= w->n_heap)
            break;
        if (child + 1 < w->n_heap && is_before(w, w->heap[child + 1], w->heap[child]))
            child++;
        if (!is_before(w, w->heap[child], moved))
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = moved;
}

static bool
source_next(struct source *s)
{
    if (!idx_walk_next(&s->walk))
        return false;
    s->head = idx_head_of(buf_span(&s->walk.term));
    return true;
}

/* Moves the first source on and puts it where it belongs. */
static void
heap_next(struct work *w)
{
    if (!source_next(&w->sources[w->heap[0]])) {
        w->heap[0] = w->heap[--w->n_heap];
        if (w->n_heap == 0)
            return;
    }
    sift_down(w, 0);
}

/* ---- terms ---- */

static void
add_docs(struct work *w, const struct source *s)
{
    uint32_t batch[IDX_POSTING_BATCH], n;
    struct idx_posting p;
    idx_posting_begin(&p, s->terms, s->walk.ord);
    while ((n = idx_posting_next(&p, batch)) > 0) {
        idx_u32s_reserve(&w->docs, n);
        for (uint32_t i = 0; i < n; i++) {
            w->docs.p[w->docs.n] = s->new_doc[batch[i]];
            w->docs.n += s->new_doc[batch[i]] != UINT32_MAX;
        }
    }
}

/*
 * Takes the least term off the heap, from all sources that have it, and gives
 * it an ordinal if a live document has it. term is used again.
 */
static void
merge_term(struct work *w, struct buf *term)
{
    struct idx_terms_out *out = &w->m->out;
    uint32_t ord = out->dict.n;
    uint64_t head = w->sources[w->heap[0]].head;
    bool is_used = false;
    buf_clear(term);
    buf_put_span(term, buf_span(&w->sources[w->heap[0]].walk.term));
    w->docs.n = 0;
    while (w->n_heap) {
        struct source *s = &w->sources[w->heap[0]];
        uint32_t old = s->walk.ord;
        if (s->head != head || !span_eq(buf_span(term), buf_span(&s->walk.term)))
            break;
        size_t n_before = w->docs.n;
        if (w->kind != IDX_SORT)
            add_docs(w, s);
        bool has_live =
            w->kind == IDX_SORT ? s->used[old / 64] >> (old % 64) & 1 : w->docs.n > n_before;
        s->new_ord[old] = has_live ? ord : UINT32_MAX;
        is_used |= has_live;
        heap_next(w);
    }
    if (!is_used)
        return;
    idx_dict_put(&out->dict, buf_span(term));
    if (w->kind != IDX_SORT)
        idx_set_put(&out->sets, w->docs.p, w->docs.n);
}

static enum rc
merge_dicts(struct work *w, struct err *err)
{
    struct buf term = {0};
    enum rc rc = RC_OK;
    for (uint32_t i = w->n_heap; i-- > 0;)
        sift_down(w, i);
    for (uint32_t i = 0; rc == RC_OK && w->n_heap; i++) {
        merge_term(w, &term);
        if (i % 4096 == 0 && idx_merge_is_cancelled(w->m))
            rc = err_set(err, RC_STOPPED, "the merge was cancelled");
    }
    buf_fini(&term);
    return rc;
}

/* ---- forward lists ---- */

/* Reads the document's list, with room for all of it. */
static uint32_t
read_list(struct work *w, const struct source *s, uint32_t doc)
{
    uint32_t n = idx_forward(s->terms, doc, w->list.p, (uint32_t)w->list.cap);
    if (n > w->list.cap) {
        idx_u32s_reserve(&w->list, n);
        n = idx_forward(s->terms, doc, w->list.p, (uint32_t)w->list.cap);
    }
    return n;
}

static void
merge_lists(struct work *w, const struct source *s)
{
    for (uint32_t doc = 0; doc < s->n_docs; doc++) {
        if (s->new_doc[doc] == UINT32_MAX)
            continue;
        uint32_t n = s->terms ? read_list(w, s, doc) : 0;
        for (uint32_t i = 0; i < n; i++)
            if (w->list.p[i] != IDX_ELEMENT_END)
                w->list.p[i] = s->new_ord[w->list.p[i]];
        idx_forward_put(&w->m->out.lists, w->list.p, n);
    }
}

/* Sort keys have no postings: which are in use is seen by the documents. */
static void
mark_used(struct source *s)
{
    s->used = xcalloc(s->terms->dict.n / 64 + 1, sizeof *s->used);
    for (uint32_t doc = 0; doc < s->n_docs; doc++) {
        uint32_t ord;
        if (s->new_doc[doc] != UINT32_MAX && idx_forward(s->terms, doc, &ord, 1))
            s->used[ord / 64] |= (uint64_t)1 << (ord % 64);
    }
}

/* ---- all of it ---- */

static bool
open_sources(struct work *w, uint32_t field)
{
    bool has_terms = false;
    for (size_t i = 0; i < w->m->n; i++) {
        const struct idx_merge_input *in = &w->m->inputs[i];
        struct source *s = &w->sources[i];
        s->new_doc = in->new_doc;
        s->n_docs = in->segment->n_docs;
        s->terms = idx_segment_slot(in->segment, field, w->kind);
        if (!s->terms)
            continue;
        has_terms = true;
        s->new_ord = xmalloc(s->terms->dict.n * sizeof *s->new_ord);
        if (w->kind == IDX_SORT)
            mark_used(s);
        idx_walk_init(&s->walk, &s->terms->dict);
        if (source_next(s))
            w->heap[w->n_heap++] = (uint32_t)i;
    }
    return has_terms;
}

static void
work_fini(struct work *w)
{
    for (size_t i = 0; i < w->m->n; i++) {
        free(w->sources[i].new_ord);
        free(w->sources[i].used);
        buf_fini(&w->sources[i].walk.term);
    }
    free(w->sources);
    free(w->heap);
    idx_u32s_fini(&w->docs);
    idx_u32s_fini(&w->list);
}

enum rc
idx_merge_terms(struct idx_merge *m, uint32_t field, enum idx_terms_kind kind, struct err *err)
{
    enum rc rc = RC_OK;
    struct work w = {.m = m, .kind = kind};
    w.sources = xcalloc(m->n, sizeof *w.sources);
    w.heap = xcalloc(m->n, sizeof *w.heap);
    idx_u32s_reserve(&w.list, 256);
    idx_terms_out_clear(&m->out);
    m->out.lists.mode = idx_forward_mode(kind, m->schema->fields[field].flags & SCH_ARRAY);
    if (!open_sources(&w, field))
        goto out;
    rc = merge_dicts(&w, err);
    for (size_t i = 0; rc == RC_OK && i < m->n; i++) {
        merge_lists(&w, &w.sources[i]);
        if (idx_merge_is_cancelled(m))
            rc = err_set(err, RC_STOPPED, "the merge was cancelled");
    }
    if (rc == RC_OK)
        rc = idx_terms_out_write(&m->out, &m->layout, field, kind, err);
out:
    work_fini(&w);
    return rc;
}
