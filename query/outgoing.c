#include "query/outgoing.h"

#include "base/json.h"

enum { SEARCHES_USUAL = 50 };

void
qry_outgoing_fini(struct qry_outgoing *o)
{
    buf_fini(&o->target);
    buf_fini(&o->body);
}

/* ---- what stays here ---- */

/* Parameters that Tailfin has used up, or that only Tailfin knows. */
static bool
is_ours(int id)
{
    switch (id) {
    case QRY_P_API_KEY:
    case QRY_P_EXPIRES_AT:
    case QRY_P_MATCH:
    case QRY_P_LIMIT_MULTI_SEARCHES:
    case QRY_P_FILTER_BY: /* joined with the others, and sent as one */
        return true;
    default:
        return false;
    }
}

/* Names under which a server may keep parts of the path: they could name something else there. */
static bool
is_of_path(struct span name)
{
    return span_eq_str(name, "collection") || span_eq_str(name, "id") || span_eq_str(name, "name");
}

/*
 * A reference to another collection, "$other(...)": the key was not asked about
 * that one.
 */
static bool
has_reference(struct span text)
{
    for (size_t i = span_find(text, 0, '$'); i < text.n; i = span_find(text, i + 1, '$'))
        if (span_find(text, i, '(') < text.n)
            return true;
    return false;
}

static enum rc
check_references(const struct qry_params *p, struct err *err)
{
    static const enum qry_param may_refer[] = {QRY_P_FILTER_BY, QRY_P_INCLUDE_FIELDS,
                                               QRY_P_EXCLUDE_FIELDS, QRY_P_SORT_BY, QRY_P_FACET_BY};
    bool is_found = false;

    for (size_t i = 0; i < ARRAY_SIZE(may_refer); i++)
        is_found |= has_reference(p->value[may_refer[i]]);
    if (is_found)
        return err_set(err, RC_INVALID, "references to other collections need the admin key");
    return RC_OK;
}

/* ---- the URL ---- */

static void
put_param(struct buf *target, struct span name, struct span value)
{
    buf_putc(target, memchr(target->p, '?', target->n) ? '&' : '?');
    http_encode(target, name);
    buf_putc(target, '=');
    http_encode(target, value);
}

/* Those of the URL that Tailfin does not know. */
static void
put_unknown(struct buf *target, const struct http_request *r)
{
    for (size_t i = 0; i < r->n_params; i++)
        if (qry_param_find(r->params[i].name) < 0 && !is_of_path(r->params[i].name))
            put_param(target, r->params[i].name, r->params[i].value);
}

static enum rc
put_path(struct buf *target, const struct http_request *r, struct err *err)
{
    for (size_t i = 0; i < r->n_parts; i++) {
        if (span_eq_str(r->parts[i], ".") || span_eq_str(r->parts[i], ".."))
            return err_set(err, RC_ABSENT, "Not Found");
        buf_putc(target, '/');
        http_encode(target, r->parts[i]);
    }
    return RC_OK;
}

enum rc
qry_outgoing_read(const struct http_request *r, struct qry_outgoing *out, struct err *err)
{
    enum rc rc = put_path(&out->target, r, err);

    for (size_t i = 0; rc == RC_OK && i < r->n_params; i++) {
        int id = qry_param_find(r->params[i].name);
        if ((id == QRY_P_FILTER_BY || id < 0 || !is_ours(id)) && !is_of_path(r->params[i].name))
            put_param(&out->target, r->params[i].name, r->params[i].value);
    }
    return rc;
}

/* ---- searches ---- */

static enum rc
put_one(const struct qry_gathered *g, struct arena *arena, struct qry_outgoing *out,
        struct err *err)
{
    const struct qry_params *p = g->params;
    struct span filter;
    enum rc rc = put_path(&out->target, g->request, err);

    if (rc == RC_OK)
        rc = qry_filters_join(p, arena, &filter, err);
    if (rc != RC_OK)
        return rc;
    for (int id = 0; id < QRY_PARAM_N; id++)
        if (p->value[id].p && !is_ours(id) && id != QRY_P_COLLECTION)
            put_param(&out->target, span_str(qry_param_name((enum qry_param)id)), p->value[id]);
    if (filter.n > 0)
        put_param(&out->target, SPAN_LIT("filter_by"), filter);
    put_unknown(&out->target, g->request);
    return RC_OK;
}

static void
put_member(struct buf *body, struct span name, const struct json *value)
{
    json_put_comma(body);
    json_put_str(body, name);
    buf_putc(body, ':');
    json_put(body, value, false);
}

/* Of a union all searches have one list, and its pages belong to the whole: to the URL. */
static bool
is_paging(int id)
{
    return id == QRY_P_PAGE || id == QRY_P_PER_PAGE || id == QRY_P_OFFSET || id == QRY_P_LIMIT;
}

static bool
is_union(const struct qry_gathered *g)
{
    const struct json *member = json_get(g->body, "union");

    return member && member->type == JSON_BOOL && member->boolean;
}

static enum rc
put_element(const struct qry_gathered *g, uint32_t at, struct arena *arena, struct buf *body,
            struct err *err)
{
    const struct json *search = &json_get(g->body, "searches")->items[at];
    const struct qry_params *p = &g->params[at];
    struct span filter;
    enum rc rc = qry_filters_join(p, arena, &filter, err);

    if (rc != RC_OK)
        return rc;
    json_put_comma(body);
    buf_putc(body, '{');
    for (uint32_t i = 0; i < search->n; i++)
        if (qry_param_find(search->members[i].name) < 0 && !is_of_path(search->members[i].name))
            put_member(body, search->members[i].name, &search->members[i].value);
    for (int id = 0; id < QRY_PARAM_N; id++) {
        if (!p->value[id].p || is_ours(id) || (is_paging(id) && is_union(g)))
            continue;
        json_put_name(body, qry_param_name((enum qry_param)id));
        json_put_str(body, p->value[id]);
    }
    if (filter.n > 0) {
        json_put_name(body, "filter_by");
        json_put_str(body, filter);
    }
    buf_putc(body, '}');
    return RC_OK;
}

static enum rc
put_several(const struct qry_gathered *g, struct arena *arena, struct qry_outgoing *out,
            struct err *err)
{
    enum rc rc = RC_OK;

    out->is_post = true;
    buf_puts(&out->target, "/multi_search");
    put_unknown(&out->target, g->request);
    for (int id = 0; is_union(g) && id < QRY_PARAM_N; id++)
        if (is_paging(id) && g->params[0].value[id].p) /* the URL's word, or a scoped key's */
            put_param(&out->target, span_str(qry_param_name((enum qry_param)id)),
                      g->params[0].value[id]);
    if (g->n > SEARCHES_USUAL) /* our limit was kept; theirs is this low unless asked */
        put_param(&out->target, SPAN_LIT("limit_multi_searches"), arena_printf(arena, "%u", g->n));
    buf_putc(&out->body, '{');
    for (uint32_t i = 0; i < g->body->n; i++)
        if (!span_eq_str(g->body->members[i].name, "searches") &&
            qry_param_find(g->body->members[i].name) < 0)
            put_member(&out->body, g->body->members[i].name, &g->body->members[i].value);
    json_put_name(&out->body, "searches");
    buf_putc(&out->body, '[');
    for (uint32_t i = 0; rc == RC_OK && i < g->n; i++)
        rc = put_element(g, i, arena, &out->body, err);
    buf_puts(&out->body, "]}");
    return rc;
}

enum rc
qry_outgoing_search(const struct qry_gathered *g, struct arena *arena, struct qry_outgoing *out,
                    struct err *err)
{
    enum rc rc = RC_OK;

    out->n_searches = g->n;
    for (uint32_t i = 0; rc == RC_OK && !g->is_admin && i < g->n; i++)
        rc = check_references(&g->params[i], err);
    if (rc != RC_OK)
        return rc;
    return g->is_multi ? put_several(g, arena, out, err) : put_one(g, arena, out, err);
}
