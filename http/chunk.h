/* The chunked coding of a request body, read strictly (RFC 9112, section 7.1). */
#ifndef TAILFIN_HTTP_CHUNK_H
#define TAILFIN_HTTP_CHUNK_H

#include "base/must.h"
#include "base/span.h"

enum http_chunk { HTTP_CHUNK_MORE, HTTP_CHUNK_DATA, HTTP_CHUNK_END, HTTP_CHUNK_BAD };

/* All-zero: before the first chunk. */
struct http_chunks {
    unsigned state;
    unsigned n_digits;     /* of the chunk's size */
    uint64_t left;         /* bytes of the chunk still to come */
    size_t overhead_bytes; /* extensions and trailers so far */
};

/*
 * Takes the next part off *in. HTTP_CHUNK_DATA: *piece is a piece of the body,
 * borrowed from *in, not empty. MORE: the input is used up. END: the body is
 * complete, *in is what follows. BAD: it is malformed. Trailers are checked
 * and dropped.
 */
MUST_USE enum http_chunk http_chunks_next(struct http_chunks *c, struct span *in,
                                          struct span *piece);

#endif
