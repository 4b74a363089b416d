/* group_by and pinned_hits: search-semantics section 10. */
#include "query/plan.h"

enum { GROUP_LIMIT_MAX = 99 };

enum rc
qry_group_parse(const struct qry_parse *in, struct qry_plan *plan)
{
    const struct sch_collection *schema = in->collection->schema;
    struct qry_names names = qry_names_of(in->params->value[QRY_P_GROUP_BY], in->arena);
    uint32_t *fields = arena_calloc(in->arena, names.n + 1, sizeof *fields);

    for (uint32_t i = 0; i < names.n; i++) {
        int32_t field = sch_field_find(schema, names.v[i]);
        if (field < 0)
            return err_set(in->err, RC_ABSENT, "there is no field named %.*s to group by",
                           SPAN_ARG(names.v[i]));
        if (!(schema->fields[field].flags & SCH_FACET))
            return err_set(in->err, RC_INVALID, "group_by needs a facet field, and %.*s is none",
                           SPAN_ARG(names.v[i]));
        fields[i] = (uint32_t)field;
    }
    if (names.n > 0 && (plan->group_limit == 0 || plan->group_limit > GROUP_LIMIT_MAX))
        return err_set(in->err, RC_INVALID, "group_limit must be between 1 and %d",
                       GROUP_LIMIT_MAX);
    plan->group_fields = fields;
    plan->n_group_fields = names.n;
    plan->search.has_group = names.n > 0;
    return RC_OK;
}

static enum rc
read_pin(const struct qry_parse *in, struct span text, struct qry_pin *out)
{
    size_t colon = text.n;
    uint64_t position;

    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == ':')
            colon = i;
    if (colon == text.n || !span_u64(span_trim(span_from(text, colon + 1)), &position) ||
        position == 0 || position > UINT32_MAX)
        return err_set(in->err, RC_INVALID,
                       "pinned_hits must be a list of id:position, positions from 1");
    out->id = span_trim(span_of(text.p, colon));
    out->position = (uint32_t)position;
    return RC_OK;
}

enum rc
qry_pins_parse(const struct qry_parse *in, struct qry_plan *plan)
{
    struct qry_names texts = qry_names_of(in->params->value[QRY_P_PINNED_HITS], in->arena);
    struct qry_pin *pins = arena_calloc(in->arena, texts.n + 1, sizeof *pins);

    for (uint32_t i = 0; i < texts.n; i++) {
        struct qry_pin pin;
        enum rc rc = read_pin(in, texts.v[i], &pin);
        if (rc != RC_OK)
            return rc;
        uint32_t at = i;
        for (; at > 0 && pins[at - 1].position > pin.position; at--)
            pins[at] = pins[at - 1];
        pins[at] = pin;
    }
    plan->pins = pins;
    plan->n_pins = texts.n;
    return RC_OK;
}
