/*
 * Parameter sources and how they override each other: search-semantics
 * sections 11 (parsing) and 13 (multi_search). What the texts mean is
 * request.c's business.
 */
#include "query/params.h"

#define PARAM(id, name) name,
static const char *const names[] = {
#include "query/params.def"
};
#undef PARAM

const char *
qry_param_name(enum qry_param id)
{
    return names[id];
}

int
qry_param_find(struct span name)
{
    size_t begin = 0, end = QRY_PARAM_N;

    while (begin < end) {
        size_t middle = (begin + end) / 2;
        int order = span_cmp(name, span_str(names[middle]));
        if (order == 0)
            return (int)middle;
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return -1;
}

static struct span
given(struct span value)
{
    return value.p ? value : span_str("");
}

void
qry_params_add(struct qry_params *p, struct span name, struct span value, struct arena *arena)
{
    int id = qry_param_find(name);

    if (id < 0)
        return;
    struct span *to = &p->value[id];
    if (id == QRY_P_FILTER_BY && to->p && to->n > 0)
        *to = arena_printf(arena, "%.*s&&%.*s", SPAN_ARG(*to), SPAN_ARG(value));
    else
        *to = given(value);
}

void
qry_params_url(struct qry_params *p, const struct http_param *params, size_t n,
               struct arena *arena)
{
    for (size_t i = 0; i < n; i++)
        qry_params_add(p, params[i].name, params[i].value, arena);
}

static bool
json_as_text(const struct json *v, struct arena *arena, struct span *out)
{
    double number = 0;

    switch (v->type) {
    case JSON_STRING:
        *out = given(v->string);
        return true;
    case JSON_INT:
        *out = v->text;
        return true;
    case JSON_BOOL:
        *out = v->boolean ? SPAN_LIT("true") : SPAN_LIT("false");
        return true;
    case JSON_DOUBLE:
        /* Six decimals as the API's dialect has it: no integer parameter accepts them. */
        (void)json_number(v, &number);
        *out = arena_printf(arena, "%f", number);
        return true;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

enum rc
qry_params_json(struct qry_params *p, const struct json *object, bool is_lenient,
                struct arena *arena, struct err *err)
{
    for (uint32_t i = 0; i < object->n; i++) {
        const struct json_member *m = &object->members[i];
        struct span text;
        if (json_as_text(&m->value, arena, &text))
            qry_params_add(p, m->name, text, arena);
        else if (!is_lenient)
            return err_set(err, RC_INVALID, "parameter \"%.*s\" must be a string, number or bool",
                           SPAN_ARG(m->name));
    }
    return RC_OK;
}

static void
add_filter(struct qry_params *p, struct span filter)
{
    if (span_trim(filter).n == 0)
        return;
    must(p->n_and_filters < QRY_AND_FILTERS_MAX);
    p->and_filters[p->n_and_filters++] = filter;
}

void
qry_params_override(struct qry_params *base, const struct qry_params *over)
{
    for (int i = 0; i < QRY_PARAM_N; i++) {
        struct span value = over->value[i];
        if (!value.p)
            continue;
        if (i == QRY_P_FILTER_BY)
            add_filter(base, value);
        else
            base->value[i] = value;
    }
    for (uint32_t i = 0; i < over->n_and_filters; i++)
        add_filter(base, over->and_filters[i]);
}
