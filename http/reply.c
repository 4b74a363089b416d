#include "http/exchange.h"

#include <stdarg.h>

#include "base/json.h"

#include "http/conn.h"
#include "http/gzip.h"
#include "http/stream.h"

enum {
    GZIP_BYTES_MIN = 1024,
    GZIP_BYTES_MAX_IN_LOOP = 256 * 1024 /* a few milliseconds: a loop has no more to spare */
};

static const char content_type_json[] = "application/json; charset=utf-8";

static const char *
reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].status == status)
            return rows[i].text;
    }
    return "Status";
}

/* ---- the header: in the loop thread ---- */

static void
put_u64(struct buf *out, uint64_t v)
{
    char text[20];
    size_t n = sizeof text;
    do {
        text[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    buf_put(out, text + n, sizeof text - n);
}

static void
put_length(const struct http_exchange *x, struct buf *out)
{
    bool has_none = x->holder.status < 200 || x->holder.status == 204 || x->holder.status == 304;
    if (has_none)
        return;
    if (!x->holder.is_streamed) {
        buf_puts(out, "Content-Length: ");
        put_u64(out, x->holder.body.n);
        buf_puts(out, "\r\n");
    } else if (!x->frame.is_http10) {
        buf_puts(out, "Transfer-Encoding: chunked\r\n");
    }
}

static void
put_connection(const struct http_exchange *x, struct buf *out)
{
    if (x->is_last)
        buf_puts(out, "Connection: close\r\n");
    else if (x->frame.is_http10)
        buf_puts(out, "Connection: keep-alive\r\n");
}

void
http_exchange_head(struct http_exchange *x, const char *date)
{
    struct buf *out = &x->head;
    const char *origin = x->loop->options->cors_origin;
    must(!x->has_head && x->holder.status >= 100 && x->holder.status <= 999);
    buf_reserve(out, 512);
    buf_puts(out, "HTTP/1.1 ");
    put_u64(out, (uint64_t)x->holder.status);
    buf_putc(out, ' ');
    buf_puts(out, reason(x->holder.status));
    buf_puts(out, "\r\nDate: ");
    buf_put(out, date, HTTP_DATE_N);
    buf_puts(out, "\r\n");
    if (x->holder.content_type) {
        buf_puts(out, "Content-Type: ");
        buf_puts(out, x->holder.content_type);
        buf_puts(out, "\r\n");
    }
    if (x->holder.is_gzipped)
        buf_puts(out, "Content-Encoding: gzip\r\n");
    if (x->holder.is_varying)
        buf_puts(out, "Vary: Accept-Encoding\r\n");
    put_length(x, out);
    put_connection(x, out);
    if (origin && *origin) {
        buf_puts(out, "Access-Control-Allow-Origin: ");
        buf_puts(out, origin);
        buf_puts(out, "\r\n");
    }
    buf_put_span(out, buf_span(&x->holder.extra));
    buf_puts(out, "\r\n");
    x->has_head = true;
    if (x->holder.is_streamed)
        return;
    if (x->frame.method == HTTP_HEAD || x->holder.status == 204 || x->holder.status == 304)
        buf_fini(&x->holder.body);
    x->sending = x->holder.body;
    x->holder.body = (struct buf){0};
}

/* ---- the answer: in the holder's thread ---- */

static void
compress(struct http_exchange *x, bool is_in_loop)
{
    struct buf *body = &x->holder.body;
    if (body->n < GZIP_BYTES_MIN)
        return;
    x->holder.is_varying = true;
    if (!x->may_gzip || (is_in_loop && body->n > GZIP_BYTES_MAX_IN_LOOP))
        return;
    struct http_deflate *z = is_in_loop ? x->loop->deflate : NULL;
    if (!z)
        z = http_deflate_new();
    struct buf packed = {0};
    x->holder.is_gzipped = http_deflate_put(z, buf_span(body), &packed);
    if (x->holder.is_gzipped) {
        struct buf plain = *body;
        *body = packed;
        packed = plain;
    }
    buf_fini(&packed);
    if (is_in_loop)
        x->loop->deflate = z;
    else
        http_deflate_free(z);
}

/* In a turn of its connection the answer is queued at once; else the loop is told. */
static void
finish(struct http_exchange *x, bool is_in_loop)
{
    if (is_in_loop && x->conn && x->conn->is_busy) {
        x->loop->n_held--;
        http_conn_final(x->conn, x);
        return;
    }
    http_exchange_signal(x, HTTP_SIGNAL_FINAL);
}

void
http_reply(struct http_exchange *x, int status, const char *content_type, struct buf *take)
{
    must(x->magic == HTTP_EXCHANGE_MAGIC && x->holder.status == 0);
    x->holder.status = status;
    x->holder.content_type = content_type;
    if (take) {
        x->holder.body = *take;
        *take = (struct buf){0};
    }
    bool is_in_loop = http_loop_is_current(x->loop);
    compress(x, is_in_loop);
    finish(x, is_in_loop);
}

static void
put_clean(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        buf_putc(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
    }
}

void
http_reply_header(struct http_exchange *x, const char *name, const char *value)
{
    struct buf *out = &x->holder.extra;
    /* The value may come from the client: it must not become two lines. */
    put_clean(out, name);
    buf_puts(out, ": ");
    put_clean(out, value);
    buf_puts(out, "\r\n");
}

static void
put_message(struct buf *out, struct span text)
{
    buf_puts(out, "{\"message\": ");
    json_put_str(out, text);
    buf_putc(out, '}');
}

void
http_reply_error(struct http_exchange *x, int status, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    must(n >= 0);
    char *text = arena_alloc(&x->holder.arena, (size_t)n + 1);
    (void)vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    struct buf body = {0};
    put_message(&body, span_of(text, (size_t)n));
    http_reply(x, status, content_type_json, &body);
}

void
http_exchange_refuse(struct http_exchange *x, int status, const char *text)
{
    must(!x->is_handed && x->holder.status == 0);
    x->holder.status = status;
    x->holder.content_type = content_type_json;
    put_message(&x->holder.body, span_str(text));
}
