/*
 * facet_by and facet_query: names, name prefixes (`na*`), ranges
 * (`n(low:[0,10], high:[10,])`) and order (`n(sort_by: _alpha:asc)`).
 */
#include "query/plan.h"

#include <math.h>

struct facet_list {
    struct qry_facet *v;
    size_t n, cap;
};

/* Takes the next item off: up to a comma outside brackets. */
static struct span
next_item(struct span *rest)
{
    int depth = 0;
    size_t at = 0;

    for (; at < rest->n; at++) {
        char c = rest->p[at];
        depth += (c == '(' || c == '[') - (c == ')' || c == ']');
        if (c == ',' && depth <= 0)
            break;
    }
    struct span item = span_trim(span_of(rest->p, at));
    *rest = at < rest->n ? span_from(*rest, at + 1) : (struct span){0};
    return item;
}

static enum rc
bad_range(const struct qry_parse *in, const struct sch_field *f)
{
    return err_set(in->err, RC_INVALID,
                   "the ranges of facet field %.*s must be label:[begin, end], ..., each beginning "
                   "where the one before ends",
                   SPAN_ARG(f->name));
}

static bool
read_bound(struct span text, double fallback, double *out)
{
    text = span_trim(text);
    *out = fallback;
    return text.n == 0 || span_double(text, out);
}

static bool
read_range(struct span item, struct qry_facet_range *out)
{
    size_t open = span_find(item, 0, '['), comma = span_find(item, open, ',');
    struct span label = span_trim(span_of(item.p, open < item.n ? open : 0));

    if (label.n < 2 || label.p[label.n - 1] != ':' || comma == item.n ||
        item.p[item.n - 1] != ']')
        return false;
    out->label = span_trim(span_of(label.p, label.n - 1));
    return read_bound(span_of(item.p + open + 1, comma - open - 1), -HUGE_VAL, &out->begin) &&
           read_bound(span_of(item.p + comma + 1, item.n - comma - 2), HUGE_VAL, &out->end);
}

static enum rc
read_ranges(const struct qry_parse *in, const struct sch_field *f, struct span text,
            struct qry_facet *out)
{
    struct qry_facet_range *ranges = NULL;
    size_t n = 0, cap = 0;

    if (f->type == SCH_STRING || f->type == SCH_BOOL)
        return err_set(in->err, RC_INVALID, "facet field %.*s is no number and has no ranges",
                       SPAN_ARG(f->name));
    for (struct span rest = text; rest.p;) {
        struct qry_facet_range range;
        if (!read_range(next_item(&rest), &range))
            return bad_range(in, f);
        if (f->type == SCH_FLOAT) { /* compared with what the column can hold */
            range.begin = (double)(float)range.begin;
            range.end = (double)(float)range.end;
        }
        ranges = arena_grow(in->arena, ranges, &cap, n + 1, sizeof *ranges);
        size_t at = n++;
        for (; at > 0 && ranges[at - 1].begin > range.begin; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = range;
    }
    for (size_t i = 1; i < n; i++)
        if (ranges[i].begin > ranges[i - 1].end || ranges[i].begin < ranges[i - 1].end)
            return bad_range(in, f);
    out->ranges = ranges;
    out->n_ranges = (uint32_t)n;
    return RC_OK;
}

static enum rc
read_order(const struct qry_parse *in, const struct sch_field *f, struct span text,
           struct qry_facet *out)
{
    size_t colon = span_find(text, 0, ':');
    struct span by = span_trim(span_of(text.p, colon)), order = {0};

    if (colon < text.n)
        order = span_trim(span_from(text, colon + 1));
    bool is_asc = span_eq_str(order, "asc");
    if (f->type != SCH_STRING || !span_eq_str(by, "_alpha") ||
        (!is_asc && !span_eq_str(order, "desc")))
        return err_set(in->err, RC_INVALID,
                       "the order of facet field %.*s can only be sort_by: _alpha:asc or :desc, "
                       "and only of a string",
                       SPAN_ARG(f->name));
    out->order = is_asc ? QRY_FACET_ALPHA_ASC : QRY_FACET_ALPHA_DESC;
    return RC_OK;
}

static enum rc
read_arguments(const struct qry_parse *in, const struct sch_field *f, struct span text,
               struct qry_facet *out)
{
    size_t colon = span_find(text, 0, ':');

    if (colon < text.n && span_eq_str(span_trim(span_of(text.p, colon)), "sort_by"))
        return read_order(in, f, span_trim(span_from(text, colon + 1)), out);
    return read_ranges(in, f, text, out);
}

static void
add_facet(const struct qry_parse *in, struct facet_list *list, struct qry_facet facet)
{
    list->v = arena_grow(in->arena, list->v, &list->cap, list->n + 1, sizeof *list->v);
    list->v[list->n++] = facet;
}

static enum rc
read_facet(const struct qry_parse *in, struct span item, struct facet_list *list)
{
    const struct sch_collection *schema = in->collection->schema;
    size_t open = span_find(item, 0, '(');
    struct span name = span_trim(span_of(item.p, open));
    bool is_prefix = name.n > 0 && name.p[name.n - 1] == '*';
    size_t before = list->n;

    name.n -= is_prefix;
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        const struct sch_field *f = &schema->fields[i];
        struct qry_facet facet = {.field = i};
        bool is_meant = is_prefix ? span_starts(f->name, name) : span_eq(f->name, name);
        bool has_ranges_of_text = open < item.n && f->type == SCH_STRING;
        if (!is_meant || !(f->flags & SCH_INDEXED) ||
            (!(f->flags & SCH_FACET) && !has_ranges_of_text))
            continue;
        if (open < item.n) {
            if (item.p[item.n - 1] != ')')
                return bad_range(in, f);
            struct span inside = span_trim(span_of(item.p + open + 1, item.n - open - 2));
            enum rc rc = read_arguments(in, f, inside, &facet);
            if (rc != RC_OK)
                return rc;
        }
        if (f->flags & SCH_FACET)
            add_facet(in, list, facet);
    }
    if (list->n == before)
        return err_set(in->err, RC_ABSENT, "there is no facet field named %.*s", SPAN_ARG(name));
    return RC_OK;
}

static enum rc
read_facet_query(const struct qry_parse *in, struct qry_plan *plan)
{
    struct span text = span_trim(in->params->value[QRY_P_FACET_QUERY]);
    size_t colon = span_find(text, 0, ':');

    if (text.n == 0)
        return RC_OK;
    if (plan->n_facets == 0)
        return err_set(in->err, RC_INVALID, "facet_query needs facet_by");
    if (colon == text.n)
        return err_set(in->err, RC_INVALID, "facet_query must be field: text");
    struct span name = span_trim(span_of(text.p, colon));
    int32_t field = sch_field_find(in->collection->schema, name);
    if (field < 0)
        return err_set(in->err, RC_ABSENT, "there is no facet field named %.*s", SPAN_ARG(name));
    for (uint32_t i = 0; i < plan->n_facets; i++)
        if (plan->facets[i].field == (uint32_t)field)
            plan->facet_query_at = (int32_t)i;
    if (plan->facet_query_at < 0)
        return err_set(in->err, RC_INVALID, "facet_query names %.*s, which is not in facet_by",
                       SPAN_ARG(name));
    plan->facet_query = span_trim(span_from(text, colon + 1));
    return RC_OK;
}

enum rc
qry_facet_parse(const struct qry_parse *in, struct qry_plan *plan)
{
    struct facet_list list = {0};

    for (struct span rest = in->params->value[QRY_P_FACET_BY]; rest.p;) {
        struct span item = next_item(&rest);
        enum rc rc = item.n == 0 ? RC_OK : read_facet(in, item, &list);
        if (rc != RC_OK)
            return rc;
    }
    plan->facets = list.v;
    plan->n_facets = (uint32_t)list.n;
    return read_facet_query(in, plan);
}
