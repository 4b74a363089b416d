/*
 * What http-parser lets pass and we refuse: everything on which two HTTP
 * implementations could disagree about where a message ends or what it asks
 * (RFC 9112, sections 2.2, 3, 5, 6 and 11.2).
 */
#ifndef TAILFIN_HTTP_STRICT_H
#define TAILFIN_HTTP_STRICT_H

#include "http/http.h"

/* Why a request is refused: an HTTP status and a sentence; status 0 if it is not. */
struct http_refusal {
    int status;
    const char *text;
};

/* What the request line and the framing headers say. */
struct http_frame {
    enum http_method method;
    bool is_http10;
    bool is_chunked;
    bool has_length;
    bool expects_continue;
    uint64_t body_bytes; /* has_length */
    size_t n_fields;     /* header lines */
};

/*
 * Looks for the end of a header block at the start of the input. *scanned is
 * 0 at first and is kept between calls, so that slow input costs O(n) in all.
 * Returns the block's length, empty line included; 0 if more input is needed.
 * *refusal is set for a line end without CR and for a first byte that begins
 * no method.
 */
MUST_USE size_t http_strict_end(struct span in, size_t *scanned, struct http_refusal *refusal);

/* Checks a whole header block. *f is valid only if the returned status is 0. Cost: O(n). */
MUST_USE struct http_refusal http_strict_check(struct span block, struct http_frame *f);

#endif
