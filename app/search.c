/*
 * `tailfin search COLLECTION QUERY`: one search, shown as a table.
 */
#include <stdio.h>

#include "base/json.h"
#include "http/http.h"

#include "app/ask.h"
#include "app/commands.h"
#include "app/options.h"

/* Appends the names of the text fields, as query_by takes them. */
static void
list_text_fields(const struct json *fields, struct buf *list)
{
    for (uint32_t i = 0; fields && fields->type == JSON_ARRAY && i < fields->n; i++) {
        const struct json *index = json_get(&fields->items[i], "index");
        struct span type = json_get_str(&fields->items[i], "type", SPAN_LIT(""));
        struct span name = json_get_str(&fields->items[i], "name", SPAN_LIT(""));
        bool is_text = !index || (index->type == JSON_BOOL && index->boolean);
        if (!is_text || !span_starts(type, SPAN_LIT("string")) || span_eq_str(name, "id"))
            continue;
        if (list->n)
            buf_putc(list, ',');
        buf_put_span(list, name);
    }
}

/* Every text field of the collection. Empty if there is none or the schema cannot be had (printed).
 */
static struct span
text_fields(const struct app_call *call, struct arena *arena)
{
    struct buf path = {0}, list = {0};
    struct json schema;
    buf_puts(&path, "/collections/");
    http_encode(&path, span_str(call->words[0]));
    buf_putc(&path, '\0');
    if (app_ask(call->conf, "GET", path.p, arena, &schema)) {
        list_text_fields(json_get(&schema, "fields"), &list);
        if (list.n == 0)
            fprintf(stderr, "error: %s has no text field: name some with --query-by\n",
                    call->words[0]);
    }
    struct span result = arena_dup(arena, buf_span(&list));
    buf_fini(&path);
    buf_fini(&list);
    return result;
}

static void
put_param(struct buf *path, const char *name, struct span value)
{
    if (value.n == 0)
        return;
    buf_printf(path, "%c%s=", path->n && memchr(path->p, '?', path->n) ? '&' : '?', name);
    http_encode(path, value);
}

/* The first query_by field's value names the hit. */
static void
print_hit(const struct json *hit, struct span query_by)
{
    const struct json *document = json_get(hit, "document");
    struct span id = json_get_str(document, "id", SPAN_LIT("?"));
    printf("%-28.*s", SPAN_ARG(id));
    while (query_by.p) {
        const struct json *value = json_get_span(document, span_trim(span_split(&query_by, ',')));
        if (!value)
            continue;
        struct buf text = {0};
        json_put(&text, value, false);
        printf("  %.*s", SPAN_ARG(buf_span(&text)));
        buf_fini(&text);
    }
    putchar('\n');
}

static void
print_hits(const struct json *answer, struct span query_by)
{
    const struct json *hits = json_get(answer, "hits");
    for (uint32_t i = 0; hits && hits->type == JSON_ARRAY && i < hits->n; i++)
        print_hit(&hits->items[i], query_by);
    double found = 0, out_of = 0;
    (void)json_number(json_get(answer, "found"), &found); /* absent: 0 is shown */
    (void)json_number(json_get(answer, "out_of"), &out_of);
    printf("%.0f of %.0f documents match\n", found, out_of);
}

static bool
search(const struct app_call *call, struct span query_by, struct arena *arena)
{
    struct buf path = {0};
    struct json answer;
    buf_puts(&path, "/collections/");
    http_encode(&path, span_str(call->words[0]));
    buf_puts(&path, "/documents/search");
    put_param(&path, "q", span_str(call->words[1]));
    put_param(&path, "query_by", query_by);
    put_param(&path, "filter_by", span_str(conf_str(call->conf, OPT_FILTER_BY)));
    put_param(&path, "sort_by", span_str(conf_str(call->conf, OPT_SORT_BY)));
    buf_printf(&path, "&per_page=%llu", (unsigned long long)conf_u64(call->conf, OPT_PER_PAGE));
    buf_putc(&path, '\0');
    bool ok = app_ask(call->conf, "GET", path.p, arena, &answer);
    if (ok)
        print_hits(&answer, query_by);
    buf_fini(&path);
    return ok;
}

int
app_search(const struct app_call *call)
{
    struct arena arena = {0};
    struct span query_by = span_str(conf_str(call->conf, OPT_QUERY_BY));
    if (query_by.n == 0)
        query_by = text_fields(call, &arena);
    bool ok = query_by.n && search(call, query_by, &arena);
    arena_fini(&arena);
    return ok ? 0 : 1;
}
