#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "rig.h"

static const struct timeval patience = {.tv_sec = 10};

static void
open_to(struct wire *w, int family, const struct sockaddr *to, socklen_t n)
{
    memset(w, 0, sizeof *w);
    w->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(w->fd >= 0);
    assert_int_equal(setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(w->fd, to, n), 0);
}

void
wire_open(struct wire *w, const struct rig *r)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)r->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    open_to(w, AF_INET, (const struct sockaddr *)&to, sizeof to);
}

void
wire_open_unix(struct wire *w, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path, strlen(path));
    open_to(w, AF_UNIX, (const struct sockaddr *)&to, sizeof to);
}

void
wire_close(struct wire *w)
{
    close(w->fd);
    buf_fini(&w->in);
    buf_fini(&w->head);
    buf_fini(&w->body);
}

void
wire_send(struct wire *w, const void *p, size_t n)
{
    const char *at = p;
    while (n > 0) {
        ssize_t sent = send(w->fd, at, n, MSG_NOSIGNAL);
        /* A server that has refused may close before all was sent. */
        if (sent < 0)
            return;
        at += sent;
        n -= (size_t)sent;
    }
}

void
wire_puts(struct wire *w, const char *text)
{
    wire_send(w, text, strlen(text));
}

void
wire_get(struct wire *w, const char *target)
{
    struct buf b = {0};
    buf_printf(&b, "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", target);
    wire_send(w, b.p, b.n);
    buf_fini(&b);
}

void
wire_post(struct wire *w, const char *target, const char *extra, struct span body)
{
    struct buf b = {0};
    buf_printf(&b, "POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n%s\r\n", target,
               body.n, extra);
    buf_put_span(&b, body);
    wire_send(w, b.p, b.n);
    buf_fini(&b);
}

/* More input; false at the end of the connection. */
static bool
more(struct wire *w)
{
    if (w->at == w->in.n)
        w->at = w->in.n = 0;
    buf_reserve(&w->in, 65536);
    ssize_t n = recv(w->fd, w->in.p + w->in.n, 65536, 0);
    if (n < 0 && errno == EAGAIN)
        fail_msg("the server does not answer");
    if (n <= 0)
        return false;
    w->in.n += (size_t)n;
    return true;
}

/* Moves n bytes to *to. */
static bool
take(struct wire *w, size_t n, struct buf *to)
{
    while (n > 0) {
        if (w->at == w->in.n && !more(w))
            return false;
        size_t part = w->in.n - w->at < n ? w->in.n - w->at : n;
        if (to)
            buf_put(to, w->in.p + w->at, part);
        w->at += part;
        n -= part;
    }
    return true;
}

/* Appends a line with its end. */
static bool
take_line(struct wire *w, struct buf *to)
{
    size_t begin = to->n;
    while (to->n == begin || to->p[to->n - 1] != '\n') {
        if (!take(w, 1, to))
            return false;
    }
    return true;
}

static bool
take_chunks(struct wire *w, struct buf *body)
{
    for (;;) {
        struct buf line = {0};
        bool is_there = take_line(w, &line);
        buf_putc(&line, '\0');
        size_t n = (size_t)strtoull(line.p, NULL, 16);
        buf_fini(&line);
        struct buf end = {0};
        is_there = is_there && take(w, n, body) && take(w, 2, &end);
        bool is_framed = end.n == 2 && end.p[0] == '\r' && end.p[1] == '\n';
        buf_fini(&end);
        if (!is_there || !is_framed)
            return false;
        if (n == 0)
            return true;
    }
}

static bool
take_rest(struct wire *w, struct buf *body)
{
    while (take(w, 1, body))
        ;
    return true;
}

bool
wire_read_as(struct wire *w, bool is_head)
{
    buf_clear(&w->head);
    buf_clear(&w->body);
    w->is_cut = false;
    size_t line_at;
    do {
        line_at = w->head.n;
        if (!take_line(w, &w->head)) {
            w->is_cut = true;
            return w->head.n > 0;
        }
    } while (w->head.n - line_at > 2);
    buf_putc(&w->head, '\0');
    assert_int_equal(sscanf(w->head.p, "HTTP/1.1 %3d ", &w->status), 1);
    bool has_none = is_head || w->status < 200 || w->status == 204 || w->status == 304;
    if (has_none)
        return true;
    const char *length = wire_header(w, "Content-Length");
    if (*wire_header(w, "Transfer-Encoding"))
        w->is_cut = !take_chunks(w, &w->body);
    else if (*length)
        w->is_cut = !take(w, (size_t)strtoull(length, NULL, 10), &w->body);
    else
        w->is_cut = !take_rest(w, &w->body);
    return true;
}

bool
wire_read(struct wire *w)
{
    return wire_read_as(w, false);
}

const char *
wire_expect(struct wire *w, int status)
{
    assert_true(wire_read(w));
    assert_false(w->is_cut);
    buf_putc(&w->body, '\0');
    w->body.n--;
    if (w->status != status)
        fail_msg("status %d instead of %d: %s", w->status, status, w->body.p);
    return w->body.p;
}

bool
wire_is_closed(struct wire *w)
{
    const struct timeval short_time = {.tv_sec = 3};
    char drop[4096];
    (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &short_time, sizeof short_time);
    for (;;) {
        ssize_t n = recv(w->fd, drop, sizeof drop, 0);
        if (n <= 0)
            return n == 0 || errno == ECONNRESET;
    }
}

/* The line is ended by a NUL in place. */
const char *
wire_header(struct wire *w, const char *name)
{
    size_t name_n = strlen(name);
    size_t at = 0;
    while (at + name_n + 2 < w->head.n) {
        size_t end = span_find(buf_span(&w->head), at, '\n');
        char *line = w->head.p + at;
        at = end + 1;
        if (strncasecmp(line, name, name_n) != 0 || line[name_n] != ':')
            continue;
        if (end < w->head.n && end > 0 && w->head.p[end - 1] == '\r')
            w->head.p[end - 1] = '\0';
        return line + name_n + 2;
    }
    return "";
}
