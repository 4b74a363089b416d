/*
 * The header block of a request, taken apart by http-parser. Apart from
 * parse.c nothing includes that library: its constants (HTTP_GET and others)
 * collide with ours. The block has passed strict.c before.
 */
#ifndef TAILFIN_HTTP_PARSE_H
#define TAILFIN_HTTP_PARSE_H

#include "base/must.h"
#include "base/span.h"

struct http_field {
    struct span name, value; /* value without blanks around it */
};

struct http_head {
    struct span target;        /* as sent */
    struct http_field *fields; /* the caller's, cap of them */
    size_t n_fields, cap;
    bool is_keep_alive; /* by version and Connection */
};

/*
 * Parses a whole header block, with its empty line. All spans point into it.
 * h->fields and h->cap are set by the caller, cap being at least the number of
 * header lines. False if the library refuses it. Cost: O(n).
 */
MUST_USE bool http_head_parse(struct span block, struct http_head *h);

#endif
