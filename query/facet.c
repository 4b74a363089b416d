/*
 * Counts the values of facet fields over the hits. A segment's values are
 * counted by ordinal; only what was met is turned into bytes, to be summed
 * over segments.
 */
#include "query/facet.h"

#include <math.h>

#include "base/json.h"
#include "base/map.h"

#include "query/group.h"

enum { VALUES_MAX = 1024, CLOCK_EVERY = 1 << 14 };

struct entry {
    struct span text; /* as the answer shows it */
    double number;
    uint64_t count;
};

struct tally { /* of one facet field */
    const struct qry_plan *plan;
    const struct qry_facet *facet;
    const struct qry_collector *collector;
    const struct sch_field *field;
    struct arena *arena;
    struct map values; /* bytes of a value to its entry's number */
    struct map pairs;  /* (entry, group) met */
    struct entry *entries;
    size_t n, cap;
    double min, max, sum; /* of all values met */
    uint64_t n_values;
    uint32_t n_ticks;
};

struct facet_source {
    struct idx_column column;
    bool has_column;
    const struct idx_terms *terms;
    uint32_t *counts, *last; /* per ordinal: documents; the last document that had it + 1 */
};

static struct span
number_text(const struct tally *t, double number, int64_t integer)
{
    struct buf b = {0};

    if (t->field->type == SCH_BOOL)
        return integer ? SPAN_LIT("true") : SPAN_LIT("false");
    if (t->field->type == SCH_FLOAT)
        json_put_float(&b, (float)number);
    else
        json_put_i64(&b, integer);
    if (b.n > 2 && b.p[b.n - 1] == '0' && b.p[b.n - 2] == '.')
        b.n -= 2;
    struct span text = arena_dup(t->arena, buf_span(&b));
    buf_fini(&b);
    return text;
}

static size_t
entry_of(struct tally *t, struct span key, bool *is_new)
{
    uint64_t *at = map_put(&t->values, key, is_new);

    if (*is_new) {
        *at = t->n;
        t->entries = arena_grow(t->arena, t->entries, &t->cap, t->n + 1, sizeof *t->entries);
        t->entries[t->n++] = (struct entry){0};
    }
    return (size_t)*at;
}

/* Counts a document in, or, once per group, its group. */
static void
count(struct tally *t, size_t entry, uint64_t n, const struct qry_hit *grouped)
{
    uint64_t pair[2] = {entry, grouped ? grouped->group : 0};
    bool is_new = true;

    if (grouped)
        (void)map_put(&t->pairs, span_of((const char *)pair, sizeof pair), &is_new);
    t->entries[entry].count += is_new ? n : 0;
}

static void
count_text(struct tally *t, struct span text, uint64_t n, const struct qry_hit *grouped)
{
    bool is_new;
    size_t at = entry_of(t, text, &is_new);

    if (is_new)
        t->entries[at].text = arena_dup(t->arena, text);
    count(t, at, n, grouped);
}

static void
count_range(struct tally *t, double number, const struct qry_hit *grouped)
{
    for (uint32_t i = 0; i < t->facet->n_ranges; i++) {
        const struct qry_facet_range *r = &t->facet->ranges[i];
        if (number >= r->begin && number < r->end)
            count_text(t, r->label, 1, grouped);
    }
}

static void
count_number(struct tally *t, const struct idx_column *c, uint32_t at,
             const struct qry_hit *grouped)
{
    int64_t integer = 0;
    double number;
    bool is_new;

    if (c->type == SCH_FLOAT) {
        number = (double)c->f32[at];
    } else {
        integer = c->type == SCH_INT32 ? c->i32[at] : c->type == SCH_INT64 ? c->i64[at] : c->b8[at];
        number = (double)integer;
    }
    if (t->n_values == 0 || number < t->min)
        t->min = number;
    if (t->n_values == 0 || number > t->max)
        t->max = number;
    t->sum += number;
    t->n_values++;
    if (t->facet->n_ranges > 0) {
        count_range(t, number, grouped);
        return;
    }
    uint64_t key = (uint64_t)integer;
    if (c->type == SCH_FLOAT)
        memcpy(&key, &number, sizeof key);
    size_t entry = entry_of(t, span_of((const char *)&key, sizeof key), &is_new);
    if (is_new) {
        t->entries[entry].text = number_text(t, number, integer);
        t->entries[entry].number = number;
    }
    count(t, entry, 1, grouped);
}

static bool
is_repeated(const struct idx_column *c, uint32_t begin, uint32_t at)
{
    for (uint32_t i = begin; i < at; i++) {
        bool is_same = c->type == SCH_INT32   ? c->i32[i] == c->i32[at]
                       : c->type == SCH_INT64 ? c->i64[i] == c->i64[at]
                       : c->type == SCH_BOOL  ? c->b8[i] == c->b8[at]
                                              : memcmp(&c->f32[i], &c->f32[at], 4) == 0;
        if (is_same)
            return true;
    }
    return false;
}

static void
add_numbers(struct tally *t, const struct facet_source *s, uint32_t doc,
            const struct qry_hit *grouped)
{
    const struct idx_column *c = &s->column;

    if (!s->has_column)
        return;
    if (!c->offsets) {
        if (!c->present || c->present[doc / 64] >> (doc % 64) & 1)
            count_number(t, c, doc, grouped);
        return;
    }
    for (uint32_t i = c->offsets[doc]; i < c->offsets[doc + 1]; i++)
        if (i - c->offsets[doc] > VALUES_MAX || !is_repeated(c, c->offsets[doc], i))
            count_number(t, c, i, grouped);
}

static void
add_strings(struct tally *t, struct facet_source *s, uint32_t doc, const struct qry_hit *grouped)
{
    uint32_t list[VALUES_MAX];

    if (!s->terms)
        return;
    uint32_t n = idx_forward(s->terms, doc, list, VALUES_MAX);
    for (uint32_t i = 0; i < n && i < VALUES_MAX; i++) {
        uint32_t ord = list[i];
        if (ord == IDX_ELEMENT_END || s->last[ord] == doc + 1)
            continue;
        s->last[ord] = doc + 1;
        if (!grouped) {
            s->counts[ord]++;
            continue;
        }
        struct buf text = {0};
        idx_terms_get(s->terms, ord, &text);
        count_text(t, buf_span(&text), 1, grouped);
        buf_fini(&text);
    }
}

static void
add_document(struct tally *t, struct facet_source *s, uint32_t doc, const struct qry_hit *grouped)
{
    if (t->field->type == SCH_STRING)
        add_strings(t, s, doc, grouped);
    else
        add_numbers(t, s, doc, grouped);
}

static void
open_source(const struct tally *t, uint32_t view, struct facet_source *s)
{
    const struct idx_segment *segment =
        t->plan->search.collection->views[view].segment;

    *s = (struct facet_source){0};
    s->has_column = idx_segment_column(segment, t->facet->field, &s->column);
    s->terms = idx_segment_terms(segment, t->facet->field, IDX_VALUE);
    if (!s->terms)
        return;
    s->counts = arena_calloc(t->arena, idx_terms_n(s->terms) + 1, sizeof *s->counts);
    s->last = arena_calloc(t->arena, idx_terms_n(s->terms) + 1, sizeof *s->last);
}

/* The ordinals' counts of one segment into the sum. */
static void
sum_terms(struct tally *t, const struct facet_source *s)
{
    struct buf text = {0};

    for (uint32_t ord = 0; s->terms && ord < idx_terms_n(s->terms); ord++) {
        if (s->counts[ord] == 0)
            continue;
        buf_clear(&text);
        idx_terms_get(s->terms, ord, &text);
        count_text(t, buf_span(&text), s->counts[ord], NULL);
    }
    buf_fini(&text);
}

static bool
is_late(struct tally *t)
{
    if (++t->n_ticks % CLOCK_EVERY)
        return false;
    return qry_deadline_is_over(&t->plan->search.deadline);
}

static enum rc
count_view(struct tally *t, uint32_t view)
{
    const struct idx_view *v = &t->plan->search.collection->views[view];
    const uint64_t *marks = t->collector->marks[view];
    struct facet_source s;

    open_source(t, view, &s);
    for (size_t w = 0; w < qry_words_n(v->n_docs); w++) {
        for (uint64_t left = marks[w]; left; left &= left - 1) {
            if (is_late(t))
                return RC_CUTOFF;
            add_document(t, &s, (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left), NULL);
        }
    }
    sum_terms(t, &s);
    return RC_OK;
}

static enum rc
count_hits(struct tally *t)
{
    uint32_t n_views = t->plan->search.collection->n_views;
    struct facet_source *sources = arena_calloc(t->arena, n_views + 1, sizeof *sources);

    for (uint32_t v = 0; v < n_views; v++)
        open_source(t, v, &sources[v]);
    for (size_t i = 0; i < t->collector->n; i++) {
        const struct qry_hit *hit = &t->collector->hits[i];
        if (is_late(t))
            return RC_CUTOFF;
        add_document(t, &sources[hit->view], hit->doc, hit);
    }
    return RC_OK;
}

/* ---- the answer ---- */

static int
order_by_count(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->text.n != y->text.n)
        return x->text.n < y->text.n ? -1 : 1;
    return span_cmp(y->text, x->text);
}

static int
order_by_alpha(const void *a, const void *b)
{
    return span_cmp(((const struct entry *)a)->text, ((const struct entry *)b)->text);
}

static int
order_by_alpha_desc(const void *a, const void *b)
{
    return order_by_alpha(b, a);
}

/* Keeps the entries that match the facet query, with as few typos as find any. */
static unsigned
keep_matching(struct tally *t, const struct qry_facet_match *m)
{
    for (unsigned typos = 0; typos <= m->typos; typos++) {
        size_t n = 0;
        for (size_t i = 0; i < t->n; i++)
            n += qry_facet_match(m, t->entries[i].text, typos, t->plan, t->arena, NULL);
        if (n == 0 && typos < m->typos)
            continue;
        n = 0;
        for (size_t i = 0; i < t->n; i++)
            if (qry_facet_match(m, t->entries[i].text, typos, t->plan, t->arena, NULL))
                t->entries[n++] = t->entries[i];
        t->n = n;
        return typos;
    }
    return 0;
}

/* A facet query narrows sum and average, not the extremes. */
static void
write_stats(const struct tally *t, bool has_query, struct buf *out)
{
    double sum = has_query ? 0 : t->sum;
    uint64_t n = has_query ? 0 : t->n_values;

    for (size_t i = 0; has_query && i < t->n; i++) {
        sum += t->entries[i].number * (double)t->entries[i].count;
        n += t->entries[i].count;
    }
    buf_puts(out, "\"stats\":{");
    bool is_number = t->field->type != SCH_BOOL && t->field->type != SCH_STRING;
    if (n > 0 && is_number) {
        buf_puts(out, "\"avg\":");
        json_put_double(out, sum / (double)n);
        buf_puts(out, ",\"max\":");
        json_put_double(out, t->max);
        buf_puts(out, ",\"min\":");
        json_put_double(out, t->min);
        buf_puts(out, ",\"sum\":");
        json_put_double(out, sum);
        buf_putc(out, ',');
    }
    buf_printf(out, "\"total_values\":%zu}", t->n);
}

static void
write_entry(const struct tally *t, const struct entry *e, const struct qry_facet_match *m,
            unsigned typos, struct buf *out)
{
    struct buf marked = {0};

    json_put_comma(out);
    buf_puts(out, "{\"count\":");
    json_put_u64(out, e->count);
    buf_puts(out, ",\"highlighted\":");
    if (m && m->tokens.n > 0)
        (void)qry_facet_match(m, e->text, typos, t->plan, t->arena, &marked);
    json_put_str(out, marked.n > 0 ? buf_span(&marked) : e->text);
    buf_puts(out, ",\"value\":");
    json_put_str(out, e->text);
    buf_putc(out, '}');
    buf_fini(&marked);
}

static void
write_facet(struct tally *t, bool has_query, struct buf *out)
{
    struct qry_facet_match m = {0};
    unsigned typos = 0;

    if (has_query) {
        qry_facet_match_init(&m, t->plan, t->field->type != SCH_STRING, t->arena);
        typos = m.tokens.n > 0 ? keep_matching(t, &m) : 0;
    }
    if (t->n > 1)
        qsort(t->entries, t->n, sizeof *t->entries,
              t->facet->order == QRY_FACET_ALPHA_ASC    ? order_by_alpha
              : t->facet->order == QRY_FACET_ALPHA_DESC ? order_by_alpha_desc
                                                        : order_by_count);
    json_put_comma(out);
    buf_puts(out, "{\"counts\":[");
    for (size_t i = 0; i < t->n && i < t->plan->max_facet_values; i++)
        write_entry(t, &t->entries[i], has_query ? &m : NULL, typos, out);
    buf_puts(out, "],\"field_name\":");
    json_put_str(out, t->field->name);
    buf_puts(out, ",\"sampled\":false,");
    write_stats(t, has_query && m.tokens.n > 0, out);
    buf_putc(out, '}');
}

enum rc
qry_facets_write(const struct qry_plan *plan, const struct qry_collector *c, struct arena *arena,
                 struct buf *out, struct err *err)
{
    const struct idx_collection *collection = plan->search.collection;
    enum rc rc = RC_OK;

    buf_putc(out, '[');
    for (uint32_t i = 0; rc == RC_OK && i < plan->n_facets; i++) {
        struct tally t = {
            .plan = plan,
            .facet = &plan->facets[i],
            .collector = c,
            .field = &collection->schema->fields[plan->facets[i].field],
            .arena = arena,
        };
        if (c->groups)
            rc = count_hits(&t);
        for (uint32_t v = 0; rc == RC_OK && !c->groups && v < collection->n_views; v++)
            rc = count_view(&t, v);
        if (rc == RC_OK)
            write_facet(&t, plan->facet_query_at == (int32_t)i, out);
        map_fini(&t.values);
        map_fini(&t.pairs);
    }
    buf_putc(out, ']');
    return rc == RC_OK ? rc : err_set(err, rc, "the search took too long");
}
