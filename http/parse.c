#include "http/parse.h"

#include <http_parser.h>

static int
on_url(http_parser *p, const char *at, size_t n)
{
    struct http_head *h = p->data;
    h->target = span_of(at, n);
    return 0;
}

static int
on_name(http_parser *p, const char *at, size_t n)
{
    struct http_head *h = p->data;
    if (h->n_fields == h->cap)
        return 1;
    h->fields[h->n_fields++] = (struct http_field){.name = span_of(at, n)};
    return 0;
}

static int
on_value(http_parser *p, const char *at, size_t n)
{
    struct http_head *h = p->data;
    if (h->n_fields == 0)
        return 1;
    h->fields[h->n_fields - 1].value = span_trim(span_of(at, n));
    return 0;
}

/* The body is framed by conn_read.c: the library's part ends with the header. */
static int
on_end(http_parser *p)
{
    struct http_head *h = p->data;
    h->is_keep_alive = http_should_keep_alive(p) != 0;
    return 0;
}

bool
http_head_parse(struct span block, struct http_head *h)
{
    static const http_parser_settings settings = {
        .on_url = on_url,
        .on_header_field = on_name,
        .on_header_value = on_value,
        .on_headers_complete = on_end,
    };
    h->n_fields = 0;
    h->target = (struct span){0};
    http_parser parser;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = h;
    size_t n = http_parser_execute(&parser, &settings, block.p, block.n);
    if (HTTP_PARSER_ERRNO(&parser) != HPE_OK)
        return false;
    /* An Upgrade header ends the library's work early; it is not honoured. */
    return n == block.n || parser.upgrade;
}
