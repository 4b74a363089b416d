#include "query/compare.h"

static void
add_hits(const struct json *hits, struct qry_top *out)
{
    for (uint32_t i = 0; hits && hits->type == JSON_ARRAY && i < hits->n && out->n < QRY_TOP_N;
         i++) {
        struct span id =
            json_get_str(json_get(&hits->items[i], "document"), "id", (struct span){0});
        out->has_ids &= id.p != NULL;
        out->ids[out->n++] = id;
    }
}

void
qry_top_read(const struct json *answer, struct qry_top *out)
{
    const struct json *found = json_get(answer, "found"),
                      *groups = json_get(answer, "grouped_hits");
    double number = 0;

    *out = (struct qry_top){.has_ids = true};
    out->is_error = !json_number(found, &number);
    out->found = number > 0 ? (uint64_t)number : 0;
    add_hits(json_get(answer, "hits"), out);
    for (uint32_t i = 0; groups && groups->type == JSON_ARRAY && i < groups->n; i++)
        add_hits(json_get(&groups->items[i], "hits"), out);
}

static uint32_t
count_common(const struct qry_top *a, const struct qry_top *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++)
            n += span_eq(a->ids[i], b->ids[k]);
    return n;
}

struct qry_agreement
qry_top_compare(const struct qry_top *a, const struct qry_top *b)
{
    struct qry_agreement g = {.overlap = 1};
    uint64_t more = a->found > b->found ? a->found : b->found;
    uint64_t less = a->found > b->found ? b->found : a->found;
    uint32_t longer = a->n > b->n ? a->n : b->n;

    if (a->is_error || b->is_error) {
        g.is_found_equal = a->is_error == b->is_error;
        g.badness = g.is_found_equal ? 0 : 2;
        return g;
    }
    g.is_found_equal = more == less;
    g.has_overlap = a->has_ids && b->has_ids;
    if (g.has_overlap && longer > 0)
        g.overlap = (double)count_common(a, b) / longer;
    g.badness = 1 - g.overlap;
    if (more > less)
        g.badness += (double)(more - less) / (double)more;
    return g;
}

void
qry_top_write_ids(const struct qry_top *top, struct buf *out)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < top->n; i++) {
        json_put_comma(out);
        json_put_str(out, top->ids[i]);
    }
    buf_putc(out, ']');
}
