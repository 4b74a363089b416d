/* gzip (RFC 1952) by zlib, for bodies of requests and of answers. */
#ifndef TAILFIN_HTTP_GZIP_H
#define TAILFIN_HTTP_GZIP_H

#include "base/buf.h"
#include "base/err.h"

struct http_inflate;
struct http_deflate;

MUST_USE struct http_inflate *http_inflate_new(void);
void http_inflate_free(struct http_inflate *z); /* NULL allowed */

/*
 * Decodes from *in, which is advanced, into at most cap bytes at `to`. *n is
 * what was written: less than cap only if the input is used up. RC_INVALID for
 * broken data. Several members in a row are one text.
 */
MUST_USE enum rc http_inflate_read(struct http_inflate *z, struct span *in, char *to, size_t cap,
                                   size_t *n);
/* Decodes all of `in` onto *out, which may grow to max bytes. RC_INVALID, RC_TOO_LARGE. */
MUST_USE enum rc http_inflate_put(struct http_inflate *z, struct span in, size_t max,
                                  struct buf *out);
/* Whether the input so far ends where a member ends. */
bool http_inflate_is_complete(const struct http_inflate *z);

/* Holds some 256 KB; reusable. */
MUST_USE struct http_deflate *http_deflate_new(void);
void http_deflate_free(struct http_deflate *z); /* NULL allowed */
/*
 * Appends `in` as one gzip member at the fastest level. False, with *out as it
 * was, if the result would not be smaller.
 */
MUST_USE bool http_deflate_put(struct http_deflate *z, struct span in, struct buf *out);

#endif
