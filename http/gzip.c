#define ZLIB_CONST

#include "http/gzip.h"

#include <limits.h>

#include <zlib.h>

enum { WINDOW_BITS_GZIP = 15 + 16, MEMORY_LEVEL = 8 };

struct http_inflate {
    z_stream z;
    bool is_complete; /* a member has ended and no byte of another was seen */
};

struct http_deflate {
    z_stream z;
};

struct http_inflate *
http_inflate_new(void)
{
    struct http_inflate *z = xcalloc(1, sizeof *z);
    must(inflateInit2(&z->z, WINDOW_BITS_GZIP) == Z_OK);
    return z;
}

void
http_inflate_free(struct http_inflate *z)
{
    if (!z)
        return;
    inflateEnd(&z->z);
    free(z);
}

static unsigned
at_most_uint(size_t n)
{
    return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

/* One call of the library. False for broken data. */
static bool
inflate_step(struct http_inflate *z, struct span *in, char *to, size_t cap, size_t *n)
{
    z->z.next_in = (const Bytef *)in->p;
    z->z.avail_in = at_most_uint(in->n);
    z->z.next_out = (Bytef *)to;
    z->z.avail_out = at_most_uint(cap);
    if (z->is_complete) {
        must(inflateReset(&z->z) == Z_OK);
        z->is_complete = false;
    }
    int result = inflate(&z->z, Z_NO_FLUSH);
    *in = span_from(*in, (size_t)((const char *)z->z.next_in - in->p));
    *n = (size_t)((char *)z->z.next_out - to);
    z->is_complete = result == Z_STREAM_END;
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
}

enum rc
http_inflate_read(struct http_inflate *z, struct span *in, char *to, size_t cap, size_t *n)
{
    size_t done = 0;
    while (done < cap) {
        /* With no input left the library may still hold output. */
        if (in->n == 0 && z->is_complete)
            break;
        size_t before = in->n, got = 0;
        if (!inflate_step(z, in, to + done, cap - done, &got))
            return RC_INVALID;
        done += got;
        if (got == 0 && in->n == before)
            break;
    }
    *n = done;
    return RC_OK;
}

enum rc
http_inflate_put(struct http_inflate *z, struct span in, size_t max, struct buf *out)
{
    enum { STEP = 32 * 1024 };
    for (;;) {
        buf_reserve(out, STEP);
        size_t room = out->cap - out->n, n = 0;
        enum rc rc = http_inflate_read(z, &in, out->p + out->n, room, &n);
        if (rc)
            return rc;
        out->n += n;
        if (out->n > max)
            return RC_TOO_LARGE;
        if (n < room)
            return RC_OK;
    }
}

bool
http_inflate_is_complete(const struct http_inflate *z)
{
    return z->is_complete;
}

struct http_deflate *
http_deflate_new(void)
{
    struct http_deflate *z = xcalloc(1, sizeof *z);
    must(deflateInit2(&z->z, 1, Z_DEFLATED, WINDOW_BITS_GZIP, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) ==
         Z_OK);
    return z;
}

void
http_deflate_free(struct http_deflate *z)
{
    if (!z)
        return;
    deflateEnd(&z->z);
    free(z);
}

bool
http_deflate_put(struct http_deflate *z, struct span in, struct buf *out)
{
    if (in.n == 0 || in.n > UINT_MAX)
        return false;
    must(deflateReset(&z->z) == Z_OK);
    buf_reserve(out, in.n);
    z->z.next_in = (const Bytef *)in.p;
    z->z.avail_in = (unsigned)in.n;
    z->z.next_out = (Bytef *)(out->p + out->n);
    z->z.avail_out = (unsigned)in.n;
    if (deflate(&z->z, Z_FINISH) != Z_STREAM_END)
        return false;
    out->n += in.n - z->z.avail_out;
    return true;
}
