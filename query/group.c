/*
 * Groups by the exact values of facet fields. A string's value gets one number
 * over all segments when it is first met, so that a document's group is found
 * by a short key of numbers.
 */
#include "query/group.h"

#include "base/json.h"
#include "base/map.h"

enum { VALUES_MAX = 256 }; /* of one field of a document that count for its group */

struct source { /* a group field in one view */
    struct idx_column column;
    bool has_column;
    const struct idx_terms *terms;
    uint32_t *numbers; /* per term: number of its value + 1, 0: not met yet */
};

struct qry_groups {
    const struct qry_plan *plan;
    const struct idx_collection *collection;
    struct source *sources; /* [view * n_fields + field] */
    uint32_t n_fields;
    struct map values, groups; /* bytes of a value; key of a group */
    uint32_t n_groups;
    uint64_t *n_docs; /* per group; malloc'ed */
    size_t n_docs_cap;
    struct buf key, text;
};

struct qry_groups *
qry_groups_new(const struct qry_plan *plan, struct arena *arena)
{
    struct qry_groups *g = arena_calloc(arena, 1, sizeof *g);
    const struct idx_collection *c = plan->search.collection;

    g->plan = plan;
    g->collection = c;
    g->n_fields = plan->n_group_fields;
    g->sources = arena_calloc(arena, (size_t)c->n_views * g->n_fields + 1, sizeof *g->sources);
    for (uint32_t v = 0; v < c->n_views; v++) {
        for (uint32_t i = 0; i < g->n_fields; i++) {
            struct source *s = &g->sources[v * g->n_fields + i];
            uint32_t field = plan->group_fields[i];
            const struct idx_segment *segment = c->views[v].segment;
            s->has_column = idx_segment_column(segment, field, &s->column);
            s->terms = idx_segment_terms(segment, field, IDX_VALUE);
            if (s->terms)
                s->numbers = arena_calloc(arena, idx_terms_n(s->terms) + 1, sizeof *s->numbers);
        }
    }
    return g;
}

void
qry_groups_fini(struct qry_groups *g)
{
    if (!g)
        return;
    map_fini(&g->values);
    map_fini(&g->groups);
    buf_fini(&g->key);
    buf_fini(&g->text);
    free(g->n_docs);
}

static bool
is_string(const struct qry_groups *g, uint32_t i)
{
    return g->collection->schema->fields[g->plan->group_fields[i]].type == SCH_STRING;
}

static uint64_t
value_number(struct qry_groups *g, struct source *s, uint32_t ord)
{
    if (!s->numbers[ord]) {
        bool is_new;
        buf_clear(&g->text);
        idx_terms_get(s->terms, ord, &g->text);
        uint64_t *number = map_put(&g->values, buf_span(&g->text), &is_new);
        if (is_new)
            *number = g->values.n;
        s->numbers[ord] = (uint32_t)*number;
    }
    return s->numbers[ord];
}

static uint64_t
column_bits(const struct idx_column *c, uint32_t at)
{
    uint32_t bits;

    switch (c->type) {
    case SCH_INT32:
        return (uint64_t)(int64_t)c->i32[at];
    case SCH_INT64:
        return (uint64_t)c->i64[at];
    case SCH_BOOL:
        return c->b8[at];
    case SCH_FLOAT:
        memcpy(&bits, &c->f32[at], sizeof bits);
        return bits;
    case SCH_STRING:
    case SCH_TYPE_N:
        break;
    }
    return 0;
}

/* Where a document's values are in a column. */
static void
column_range(const struct source *s, uint32_t doc, uint32_t *begin, uint32_t *end)
{
    const struct idx_column *c = &s->column;

    *begin = *end = 0;
    if (!s->has_column)
        return;
    if (c->offsets) {
        *begin = c->offsets[doc];
        *end = c->offsets[doc + 1];
    } else if (!c->present || c->present[doc / 64] >> (doc % 64) & 1) {
        *begin = doc;
        *end = doc + 1;
    }
}

/* Appends the field's values to the key: how many, then each. Returns how many. */
static uint32_t
put_field(struct qry_groups *g, uint32_t i, uint32_t view, uint32_t doc)
{
    struct source *s = &g->sources[view * g->n_fields + i];
    uint32_t list[VALUES_MAX], begin, end, n = 0;
    size_t at = g->key.n;

    buf_put_u32(&g->key, 0);
    if (is_string(g, i)) {
        uint32_t n_list = s->terms ? idx_forward(s->terms, doc, list, VALUES_MAX) : 0;
        for (uint32_t k = 0; k < n_list && k < VALUES_MAX; k++) {
            if (list[k] == IDX_ELEMENT_END)
                continue;
            buf_put_u64(&g->key, value_number(g, s, list[k]));
            n++;
        }
    } else {
        column_range(s, doc, &begin, &end);
        for (uint32_t k = begin; k < end; k++, n++)
            buf_put_u64(&g->key, column_bits(&s->column, k));
    }
    memcpy(g->key.p + at, &n, sizeof n);
    return n;
}

uint32_t
qry_groups_number(struct qry_groups *g, uint32_t view, uint32_t doc)
{
    bool is_new, is_missing = true;

    buf_clear(&g->key);
    for (uint32_t i = 0; i < g->n_fields; i++)
        is_missing = put_field(g, i, view, doc) == 0 && is_missing;
    if (is_missing && !g->plan->groups_missing) {
        buf_put_u32(&g->key, view);
        buf_put_u32(&g->key, doc);
    }
    uint64_t *number = map_put(&g->groups, buf_span(&g->key), &is_new);
    if (is_new) {
        *number = g->n_groups++;
        g->n_docs = xgrow(g->n_docs, &g->n_docs_cap, g->n_groups, sizeof *g->n_docs);
        g->n_docs[*number] = 0;
    }
    return (uint32_t)*number;
}

uint32_t
qry_groups_add(struct qry_groups *g, uint32_t view, uint32_t doc)
{
    uint32_t number = qry_groups_number(g, view, doc);

    g->n_docs[number]++;
    return number;
}

uint32_t
qry_groups_n(const struct qry_groups *g)
{
    return g->n_groups;
}

uint64_t
qry_groups_n_docs(const struct qry_groups *g, uint32_t group)
{
    return g->n_docs[group];
}

size_t
qry_groups_arrange(const struct qry_groups *g, struct qry_hit *hits, size_t *n_hits,
                   uint32_t limit, struct arena *arena, size_t **firsts)
{
    uint32_t *n_kept = arena_calloc(arena, g->n_groups + 1, sizeof *n_kept);
    uint32_t *order = arena_calloc(arena, g->n_groups + 1, sizeof *order);
    size_t *place = arena_calloc(arena, g->n_groups + 1, sizeof *place);
    struct qry_hit *out = arena_calloc(arena, *n_hits + 1, sizeof *out);
    size_t n_groups = 0, at = 0;

    *firsts = arena_calloc(arena, g->n_groups + 2, sizeof **firsts);
    for (size_t i = 0; i < *n_hits; i++) {
        uint32_t group = hits[i].group;
        if (n_kept[group] == 0)
            order[n_groups++] = group;
        n_kept[group] += n_kept[group] < limit;
    }
    for (size_t i = 0; i < n_groups; i++) {
        (*firsts)[i] = place[order[i]] = at;
        at += n_kept[order[i]];
    }
    (*firsts)[n_groups] = at;
    for (size_t i = 0; i < *n_hits; i++) {
        uint32_t group = hits[i].group;
        if (n_kept[group] > 0) {
            out[place[group]++] = hits[i];
            n_kept[group]--;
        }
    }
    if (at > 0)
        memcpy(hits, out, at * sizeof *hits);
    *n_hits = at;
    return n_groups;
}

/* ---- the key of an answer ---- */

static void
write_number(const struct idx_column *c, uint32_t at, struct buf *out)
{
    switch (c->type) {
    case SCH_INT32:
        json_put_i64(out, c->i32[at]);
        break;
    case SCH_INT64:
        json_put_i64(out, c->i64[at]);
        break;
    case SCH_FLOAT:
        json_put_float(out, c->f32[at]);
        break;
    case SCH_BOOL:
        buf_puts(out, c->b8[at] ? "true" : "false");
        break;
    case SCH_STRING:
    case SCH_TYPE_N:
        break;
    }
}

static void
write_strings(const struct source *s, uint32_t doc, struct buf *out)
{
    uint32_t list[VALUES_MAX];
    uint32_t n = s->terms ? idx_forward(s->terms, doc, list, VALUES_MAX) : 0;
    struct buf text = {0};

    for (uint32_t k = 0; k < n && k < VALUES_MAX; k++) {
        if (list[k] == IDX_ELEMENT_END)
            continue;
        buf_clear(&text);
        idx_terms_get(s->terms, list[k], &text);
        json_put_comma(out);
        json_put_str(out, buf_span(&text));
    }
    buf_fini(&text);
}

void
qry_groups_write_key(const struct qry_groups *g, const struct qry_hit *hit, struct buf *out)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < g->n_fields; i++) {
        const struct source *s = &g->sources[hit->view * g->n_fields + i];
        const struct sch_field *f = &g->collection->schema->fields[g->plan->group_fields[i]];
        bool is_array = f->flags & SCH_ARRAY;
        struct buf values = {0};
        uint32_t begin, end;

        if (f->type == SCH_STRING)
            write_strings(s, hit->doc, &values);
        column_range(s, hit->doc, &begin, &end);
        for (uint32_t k = begin; f->type != SCH_STRING && k < end; k++) {
            json_put_comma(&values);
            write_number(&s->column, k, &values);
        }
        if (values.n > 0) {
            json_put_comma(out);
            if (is_array)
                buf_putc(out, '[');
            buf_put_span(out, buf_span(&values));
            if (is_array)
                buf_putc(out, ']');
        }
        buf_fini(&values);
    }
    buf_putc(out, ']');
}
