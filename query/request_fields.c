/*
 * query_by and what goes with it field by field: weights, prefix, num_typos,
 * infix. search-semantics sections 6.2 and 11.
 */
#include "query/plan.h"

enum { WEIGHT_MAX = 15, TYPOS_MAX = 2 };

struct field_lists {
    struct qry_names by, prefix, typos, infix;
    uint64_t weights[QRY_FIELDS_MAX];
    bool has_weights;
};

static struct span
value_of(const struct qry_parse *in, enum qry_param id)
{
    return in->params->value[id];
}

/* Lists of one value apply to all fields; others have one per field. */
static enum rc
check_count(const struct qry_parse *in, enum qry_param id, uint32_t n, uint32_t n_fields)
{
    if (n == 1 || n == n_fields)
        return RC_OK;
    return err_set(in->err, RC_INVALID, "%s needs one value, or one for each field of query_by",
                   qry_param_name(id));
}

/* A list with anything but integers in it counts as absent. */
static enum rc
read_weights(const struct qry_parse *in, struct field_lists *l)
{
    struct qry_names texts = qry_names_of(value_of(in, QRY_P_QUERY_BY_WEIGHTS), in->arena);

    if (texts.n == 0)
        return RC_OK;
    for (uint32_t i = 0; i < texts.n; i++) {
        uint64_t weight;
        if (!span_u64(texts.v[i], &weight))
            return RC_OK;
        if (i < QRY_FIELDS_MAX)
            l->weights[i] = weight;
    }
    if (texts.n != l->by.n)
        return err_set(in->err, RC_INVALID,
                       "query_by_weights needs one weight for each field of query_by");
    l->has_weights = true;
    return RC_OK;
}

static enum rc
read_infix(const struct qry_parse *in, struct field_lists *l)
{
    struct qry_names texts = qry_names_of(value_of(in, QRY_P_INFIX), in->arena);
    struct span *kept = arena_calloc(in->arena, texts.n + 1, sizeof *kept);

    l->infix.v = kept;
    for (uint32_t i = 0; i < texts.n; i++)
        if (span_eq_str(texts.v[i], "off") || span_eq_str(texts.v[i], "always") ||
            span_eq_str(texts.v[i], "fallback"))
            kept[l->infix.n++] = texts.v[i];
    return texts.n == 0 ? RC_OK : check_count(in, QRY_P_INFIX, l->infix.n, l->by.n);
}

static enum rc
read_lists(const struct qry_parse *in, struct field_lists *l)
{
    enum rc rc = read_weights(in, l);

    l->typos = qry_names_of(value_of(in, QRY_P_NUM_TYPOS), in->arena);
    l->prefix = qry_names_of(value_of(in, QRY_P_PREFIX), in->arena);
    for (uint32_t i = 0; rc == RC_OK && i < l->typos.n; i++) {
        uint64_t typos;
        if (!span_u64(l->typos.v[i], &typos))
            rc = err_set(in->err, RC_INVALID, "num_typos must be a list of unsigned integers");
    }
    if (rc == RC_OK && qry_params_has(in->params, QRY_P_NUM_TYPOS))
        rc = check_count(in, QRY_P_NUM_TYPOS, l->typos.n, l->by.n);
    if (rc == RC_OK && qry_params_has(in->params, QRY_P_PREFIX))
        rc = check_count(in, QRY_P_PREFIX, l->prefix.n, l->by.n);
    if (rc == RC_OK)
        rc = read_infix(in, l);
    return rc;
}

static struct span
item_of(const struct qry_names *list, uint32_t i)
{
    return list->n == 0 ? (struct span){0} : list->v[list->n == 1 ? 0 : i];
}

static enum rc
read_field(const struct qry_parse *in, const struct field_lists *l, uint32_t i,
           struct qry_search_field *out)
{
    struct span name = l->by.v[i], infix = item_of(&l->infix, i);
    const struct sch_collection *schema = in->collection->schema;
    int32_t field = sch_field_find(schema, name);
    uint64_t typos = TYPOS_MAX;

    if (span_eq_str(name, "id"))
        return err_set(in->err, RC_INVALID, "query_by cannot name the field id");
    if (field < 0)
        return err_set(in->err, RC_ABSENT, "there is no field named %.*s to query by",
                       SPAN_ARG(name));
    const struct sch_field *f = &schema->fields[field];
    if (f->type != SCH_STRING)
        return err_set(in->err, RC_INVALID, "field %.*s is no string and cannot be queried by",
                       SPAN_ARG(name));
    if (!(f->flags & SCH_INDEXED) || f->flags & SCH_EXACT)
        return err_set(in->err, RC_INVALID, "field %.*s is not indexed as text", SPAN_ARG(name));
    out->field = (uint32_t)field;
    out->has_prefix = l->prefix.n == 0 || span_eq_str(item_of(&l->prefix, i), "true");
    (void)span_u64(item_of(&l->typos, i), &typos);
    out->num_typos = (unsigned)(typos < TYPOS_MAX ? typos : TYPOS_MAX);
    out->infix = span_eq_str(infix, "always")     ? QRY_INFIX_ALWAYS
                 : span_eq_str(infix, "fallback") ? QRY_INFIX_FALLBACK
                                                  : QRY_INFIX_OFF;
    if (out->infix != QRY_INFIX_OFF && !(f->flags & SCH_INFIX))
        return err_set(in->err, RC_INVALID, "field %.*s has no infix index", SPAN_ARG(name));
    return RC_OK;
}

/* Whether the weights are used as they were given (6.2). */
static bool
is_plain(const struct field_lists *l, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (l->weights[i] > WEIGHT_MAX || (i > 0 && l->weights[i] > l->weights[i - 1]))
            return false;
    return true;
}

/* Stable order by weight, descending; then weights from 15 down, equal ones equal. */
static void
rank_weights(struct field_lists *l, struct qry_search_field *fields, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct qry_search_field field = fields[i];
        uint64_t weight = l->weights[i];
        uint32_t k = i;
        for (; k > 0 && l->weights[k - 1] < weight; k--) {
            fields[k] = fields[k - 1];
            l->weights[k] = l->weights[k - 1];
        }
        fields[k] = field;
        l->weights[k] = weight;
    }
    for (uint32_t i = 0; i < n; i++) {
        unsigned above = i ? fields[i - 1].weight : WEIGHT_MAX + 1;
        bool is_lower = i == 0 || l->weights[i] < l->weights[i - 1];
        fields[i].weight = is_lower && above > 0 ? above - 1 : above;
    }
}

static void
set_weights(struct field_lists *l, struct qry_search_field *fields, uint32_t n)
{
    bool is_given = l->has_weights && is_plain(l, n);

    for (uint32_t i = 0; i < n; i++)
        fields[i].weight = is_given         ? (unsigned)l->weights[i]
                           : i < WEIGHT_MAX ? WEIGHT_MAX - i
                                            : 0;
    if (l->has_weights && !is_given)
        rank_weights(l, fields, n);
}

enum rc
qry_query_by_parse(const struct qry_parse *in, struct qry_plan *plan)
{
    struct field_lists *l = arena_calloc(in->arena, 1, sizeof *l);
    struct qry_search *s = &plan->search;

    l->by = qry_names_of(value_of(in, QRY_P_QUERY_BY), in->arena);
    if (l->by.n == 0 || (l->by.n == 1 && span_eq_str(l->by.v[0], "*"))) {
        if (s->is_wildcard)
            return RC_OK;
        return err_set(in->err, RC_INVALID, "parameter query_by is missing");
    }
    enum rc rc = read_lists(in, l);
    uint32_t n = l->by.n < QRY_FIELDS_MAX ? l->by.n : QRY_FIELDS_MAX;
    s->fields = arena_calloc(in->arena, n, sizeof *s->fields);
    for (uint32_t i = 0; rc == RC_OK && i < n; i++)
        rc = read_field(in, l, i, &s->fields[i]);
    if (rc != RC_OK)
        return rc;
    s->n_fields = n;
    s->first_prefix = s->fields[0].has_prefix;
    set_weights(l, s->fields, n);
    return RC_OK;
}
