/*
 * Any bytes as a request's header and as a chunked body: what passes our check
 * has the shape that http-parser sees, and where input is torn does not matter.
 * The first byte chooses where.
 */
#include "base/buf.h"
#include "http/chunk.h"
#include "http/parse.h"
#include "http/strict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_head(struct span block)
{
    struct http_frame frame;
    if (http_strict_check(block, &frame).status != 0)
        return;
    struct http_field *fields = xcalloc(frame.n_fields, sizeof *fields);
    struct http_head head = {.fields = fields, .cap = frame.n_fields};
    if (http_head_parse(block, &head)) {
        must(head.n_fields == frame.n_fields);
        for (size_t i = 0; i < head.n_fields; i++)
            must(head.fields[i].name.n > 0);
        must(head.target.p > block.p && head.target.p + head.target.n < block.p + block.n);
    }
    free(fields);
}

static void
fuzz_head(struct span in, size_t torn_at)
{
    struct http_refusal whole = {0}, torn = {0};
    size_t scanned = 0, scanned_torn = 0;
    size_t n = http_strict_end(in, &scanned, &whole);
    size_t n_torn = http_strict_end(span_of(in.p, torn_at), &scanned_torn, &torn);
    if (n_torn == 0 && torn.status == 0)
        n_torn = http_strict_end(in, &scanned_torn, &torn);
    must(n == n_torn && whole.status == torn.status);
    must(n <= in.n && (n == 0 || whole.status == 0));
    if (n > 0)
        check_head(span_of(in.p, n));
}

static enum http_chunk
decode(struct http_chunks *c, struct span *in, struct buf *out)
{
    for (;;) {
        struct span piece = {0};
        enum http_chunk what = http_chunks_next(c, in, &piece);
        if (what != HTTP_CHUNK_DATA)
            return what;
        must(piece.n > 0);
        buf_put_span(out, piece);
    }
}

static void
fuzz_chunks(struct span in, size_t torn_at)
{
    struct http_chunks c = {0}, d = {0};
    struct buf whole = {0}, torn = {0};
    struct span rest = in, first = span_of(in.p, torn_at);
    enum http_chunk what = decode(&c, &rest, &whole);
    enum http_chunk what_torn = decode(&d, &first, &torn);
    if (what_torn == HTTP_CHUNK_MORE) {
        struct span second = span_from(in, torn_at);
        what_torn = decode(&d, &second, &torn);
    }
    must(what == what_torn && span_eq(buf_span(&whole), buf_span(&torn)));
    buf_fini(&whole);
    buf_fini(&torn);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct span in = span_of((const char *)data + 1, n - 1);
    size_t torn_at = data[0] % in.n;
    fuzz_head(in, torn_at);
    fuzz_chunks(in, torn_at);
    return 0;
}
