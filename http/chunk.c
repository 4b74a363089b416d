#include "http/chunk.h"

#include "http/hex.h"

/* Extensions and trailers of one body; nobody uses more. */
enum { OVERHEAD_MAX = 16 * 1024, DIGITS_MAX = 15 };

/*
 * SIZE -> (EXTENSION) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 * and after the chunk of size 0: TRAILER_BEGIN -> TRAILER -> TRAILER_LF ->
 * TRAILER_BEGIN ... -> END_LF -> END.
 */
enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN,
    TRAILER,
    TRAILER_LF,
    END_LF,
    END,
    BAD
};

static bool
is_text(char c)
{
    return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t';
}

static enum state
step_size(struct http_chunks *c, char byte)
{
    int digit = http_hex_digit(byte);
    if (digit >= 0) {
        c->left = c->left * 16 + (uint64_t)digit;
        return ++c->n_digits <= DIGITS_MAX ? SIZE : BAD;
    }
    if (c->n_digits == 0)
        return BAD;
    if (byte == '\r')
        return SIZE_LF;
    return byte == ';' ? EXTENSION : BAD;
}

static enum state
step_text(struct http_chunks *c, char byte, enum state same, enum state after)
{
    if (byte == '\r')
        return after;
    return is_text(byte) && ++c->overhead_bytes <= OVERHEAD_MAX ? same : BAD;
}

/* One byte outside of a chunk's data. */
static enum state
step(struct http_chunks *c, char byte)
{
    switch ((enum state)c->state) {
    case SIZE:
        return step_size(c, byte);
    case EXTENSION:
        return step_text(c, byte, EXTENSION, SIZE_LF);
    case SIZE_LF:
        c->n_digits = 0;
        if (byte != '\n')
            return BAD;
        return c->left > 0 ? DATA : TRAILER_BEGIN;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return byte == '\n' ? SIZE : BAD;
    case TRAILER_BEGIN:
        return step_text(c, byte, TRAILER, END_LF);
    case TRAILER:
        return step_text(c, byte, TRAILER, TRAILER_LF);
    case TRAILER_LF:
        return byte == '\n' ? TRAILER_BEGIN : BAD;
    case END_LF:
        return byte == '\n' ? END : BAD;
    case DATA:
    case END:
    case BAD:
        break;
    }
    return BAD;
}

enum http_chunk
http_chunks_next(struct http_chunks *c, struct span *in, struct span *piece)
{
    while (in->n > 0) {
        if (c->state == DATA) {
            size_t n = in->n < c->left ? in->n : (size_t)c->left;
            *piece = span_of(in->p, n);
            *in = span_from(*in, n);
            c->left -= n;
            if (c->left == 0)
                c->state = DATA_CR;
            return HTTP_CHUNK_DATA;
        }
        c->state = step(c, in->p[0]);
        *in = span_from(*in, 1);
        if (c->state == END)
            return HTTP_CHUNK_END;
        if (c->state == BAD)
            return HTTP_CHUNK_BAD;
    }
    return HTTP_CHUNK_MORE;
}
