/*
 * The local generation in the order of ids, a window at a time. Segments have
 * no such order, so each window looks at every live document once and keeps
 * the smallest ids behind the last window's: no state but that id, which is
 * what makes a scan go on after a crash. The cost, some 20 ns per document and
 * window, is kept small by larger windows for larger collections.
 */
#include "indexer/sink.h"

struct ref {
    const struct idx_segment *segment;
    uint32_t doc;
};

struct scan {
    struct ref *refs; /* candidates; those beyond max are cut from time to time */
    size_t n, cap, max;
    struct span at;
    char limit_text[IDX_ID_MAX]; /* the largest id that can still be among the first max */
    struct span limit;           /* p NULL: none yet */
};

static int
by_id(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    char x_text[IDX_ID_MAX], y_text[IDX_ID_MAX];
    return span_cmp(idx_segment_id(x->segment, x->doc, x_text),
                    idx_segment_id(y->segment, y->doc, y_text));
}

static int
by_place(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;
    if (x->segment != y->segment)
        return (uintptr_t)x->segment < (uintptr_t)y->segment ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static void
cut(struct scan *s)
{
    if (s->n <= s->max)
        return;
    qsort(s->refs, s->n, sizeof *s->refs, by_id);
    s->n = s->max;
    const struct ref *last = &s->refs[s->n - 1];
    char text[IDX_ID_MAX];
    struct span id = idx_segment_id(last->segment, last->doc, text);
    memcpy(s->limit_text, id.p, id.n);
    s->limit = span_of(s->limit_text, id.n);
}

static void
look_at_view(struct scan *s, const struct idx_view *view)
{
    char text[IDX_ID_MAX];
    for (uint32_t doc = 0; doc < view->n_docs; doc++) {
        if (!(view->live[doc / 64] >> (doc % 64) & 1))
            continue;
        struct span id = idx_segment_id(view->segment, doc, text);
        if ((s->at.n && span_cmp(id, s->at) <= 0) || (s->limit.p && span_cmp(id, s->limit) >= 0))
            continue;
        s->refs = xgrow(s->refs, &s->cap, s->n + 1, sizeof *s->refs);
        s->refs[s->n++] = (struct ref){view->segment, doc};
        if (s->n >= 2 * s->max)
            cut(s);
    }
}

static void
add_item(struct ing_sink_window *w, struct ing_sink_feed *f, struct span id)
{
    w->items = arena_grow(&w->arena, w->items, &w->cap, w->n + 1, sizeof *w->items);
    w->items[w->n++] = (struct ing_sink_item){.id = arena_dup(&w->arena, id), .feed = f};
}

bool
ing_sink_scan(struct ing_sink *s, struct ing_sink_feed *f, size_t max, struct ing_sink_window *w)
{
    const struct idx_collection *c = idx_snapshot_find_uid(idx_reader_begin(s->reader), f->uid);
    struct scan scan = {.max = max, .at = buf_span(&f->at)};
    for (uint32_t v = 0; c && v < c->n_views; v++)
        look_at_view(&scan, &c->views[v]);
    cut(&scan);
    f->n_to_build = c ? c->n_docs : 0;
    /* Sent in the order they are stored in: that is how they are read fastest. */
    if (scan.n)
        qsort(scan.refs, scan.n, sizeof *scan.refs, by_place);
    char text[IDX_ID_MAX];
    for (size_t i = 0; i < scan.n; i++)
        add_item(w, f, idx_segment_id(scan.refs[i].segment, scan.refs[i].doc, text));
    idx_reader_end(s->reader);
    free(scan.refs);
    return c != NULL;
}
