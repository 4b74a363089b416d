/* HTTP: a thread per connection, blocking reads, and the troubles. */
#include "tests/indexer/fake_parts.h"

#include <limits.h>
#include <strings.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/clock.h"

/* ---- HTTP ---- */

static bool
read_more(struct conn *c)
{
    char bytes[65536];
    ssize_t n = read(c->fd, bytes, sizeof bytes);
    if (n <= 0)
        return false;
    buf_put(&c->in, bytes, (size_t)n);
    return true;
}

static struct span
decode(struct conn *c, struct span text)
{
    char *out = arena_alloc(&c->arena, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned byte = 0;
        if (text.p[i] == '%' && i + 2 < text.n + 0 && sscanf(text.p + i + 1, "%2x", &byte) == 1) {
            out[n++] = (char)byte;
            i += 2;
        } else {
            out[n++] = text.p[i];
        }
    }
    return span_of(out, n);
}

static size_t
head_end(struct conn *c)
{
    for (;;) {
        char *end = c->in.n ? memmem(c->in.p, c->in.n, "\r\n\r\n", 4) : NULL;
        if (end)
            return (size_t)(end - c->in.p) + 4;
        if (!read_more(c))
            return 0;
    }
}

/* The head only: a trouble may come before the body. */
static bool
read_head(struct conn *c, struct request *r, size_t *n_head, size_t *n_body)
{
    *r = (struct request){0};
    *n_head = head_end(c);
    *n_body = 0;
    if (!*n_head)
        return false;
    struct span rest = arena_dup(&c->arena, span_of(c->in.p, *n_head));
    struct span line = span_split(&rest, '\n');
    struct span method = span_split(&line, ' '), target = span_split(&line, ' ');
    snprintf(r->method, sizeof r->method, "%.*s", SPAN_ARG(method));
    struct span path = span_split(&target, '?');
    r->path = decode(c, path);
    r->query = target.p ? decode(c, target) : (struct span){0};
    while (rest.p) {
        line = span_trim(span_split(&rest, '\n'));
        if (line.n > 15 && strncasecmp(line.p, "content-length:", 15) == 0) {
            uint64_t n = 0;
            must(span_u64(span_trim(span_from(line, 15)), &n));
            *n_body = n;
        }
        if (line.n > 20 && strncasecmp(line.p, "x-typesense-api-key:", 20) == 0)
            r->has_key = span_eq_str(span_trim(span_from(line, 20)), c->f->key);
    }
    return true;
}

static bool
read_body(struct conn *c, struct request *r, size_t n_head, size_t n_body)
{
    while (c->in.n < n_head + n_body) {
        if (!read_more(c))
            return false;
    }
    r->body = arena_dup(&c->arena, span_of(c->in.p + n_head, n_body));
    memmove(c->in.p, c->in.p + n_head + n_body, c->in.n - n_head - n_body);
    c->in.n -= n_head + n_body;
    return true;
}

static bool
send_answer(struct conn *c, const char *header)
{
    struct buf out = {0};
    buf_printf(&out, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n", c->status, c->out.n, header);
    buf_put_span(&out, buf_span(&c->out));
    bool is_ok = send(c->fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n;
    buf_fini(&out);
    return is_ok;
}

static enum fake_trouble
take_trouble(struct fake *f, const struct request *r)
{
    bool is_about_documents = memmem(r->path.p, r->path.n, "/documents", 10) != NULL;
    pthread_mutex_lock(&f->lock);
    enum fake_trouble trouble = f->trouble;
    if (trouble != FAKE_HANG && (!is_about_documents || f->n_troubles == 0))
        trouble = FAKE_FINE;
    if (trouble != FAKE_FINE) {
        f->trouble_us = clock_us();
        f->after_us = 0;
        f->n_troubles -= f->n_troubles != UINT_MAX;
    } else if (is_about_documents && !f->after_us) {
        f->after_us = clock_us();
    }
    pthread_mutex_unlock(&f->lock);
    return trouble;
}

static void
hang(struct fake *f)
{
    for (bool is_over = false; !is_over;) {
        clock_sleep_us(10000);
        pthread_mutex_lock(&f->lock);
        is_over = f->trouble != FAKE_HANG || atomic_load(&f->is_over);
        pthread_mutex_unlock(&f->lock);
    }
}

/* The request is done and c->out holds its answer. */
static void
perform(struct conn *c, const struct request *r, enum fake_trouble trouble)
{
    struct fake *f = c->f;
    struct span rest = span_from(r->path, 1);
    (void)span_split(&rest, '/');
    struct span name = rest.p ? span_split(&rest, '/') : (struct span){0};
    pthread_mutex_lock(&f->lock);
    uint64_t wait_us = trouble == FAKE_SLOW ? f->wait_us : 0;
    fts_fly(c, name, r->body, true);
    pthread_mutex_unlock(&f->lock);
    if (wait_us)
        clock_sleep_us(wait_us);
    pthread_mutex_lock(&f->lock);
    enum fake_trouble was = f->trouble;
    f->trouble = trouble; /* lines look at it */
    fts_route(c, r, trouble == FAKE_HALF);
    f->trouble = was;
    fts_fly(c, name, r->body, false);
    pthread_mutex_unlock(&f->lock);
}

/* False: the connection ends. */
static bool
serve_one(struct conn *c)
{
    struct request r;
    size_t n_head, n_body;
    if (!read_head(c, &r, &n_head, &n_body))
        return false;
    enum fake_trouble trouble = take_trouble(c->f, &r);
    if (trouble == FAKE_CUT_EARLY || trouble == FAKE_DOWN || !read_body(c, &r, n_head, n_body))
        return false;
    if (trouble == FAKE_HANG) {
        hang(c->f);
        return false;
    }
    bool is_done = trouble != FAKE_500 && trouble != FAKE_503 && trouble != FAKE_422;
    if (is_done)
        perform(c, &r, trouble);
    if (trouble == FAKE_CUT_LATE || trouble == FAKE_HALF)
        return false;
    if (trouble == FAKE_500 || trouble == FAKE_500_DONE)
        fts_say(c, 500, "{\"message\":\"oh no\"}");
    else if (trouble == FAKE_503)
        fts_say(c, 503, "{\"message\":\"not now\"}");
    else if (trouble == FAKE_422)
        fts_say(c, 422, "{\"message\":\"out of memory\"}");
    else if (trouble == FAKE_NONSENSE)
        fts_say(c, 200, "<html>it works</html>");
    else if (trouble == FAKE_FEW_LINES)
        c->out.n = c->out.n > 17 ? c->out.n - 17 : 0;
    return send_answer(c, trouble == FAKE_503 ? "Retry-After: 1\r\n" : "");
}

static void *
conn_main(void *arg)
{
    struct conn *c = arg;
    struct fake *f = c->f;
    while (serve_one(c) && !atomic_load(&f->is_over)) {
        arena_reset(&c->arena);
        buf_clear(&c->out);
    }
    close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    arena_fini(&c->arena);
    free(c);
    pthread_mutex_lock(&f->lock);
    f->n_open--;
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void *
accept_main(void *arg)
{
    struct fake *f = arg;
    while (!atomic_load(&f->is_over)) {
        int fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            continue;
        struct timeval patience = {.tv_sec = 1};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        struct conn *c = xcalloc(1, sizeof *c);
        pthread_t thread;
        *c = (struct conn){.f = f, .fd = fd};
        pthread_mutex_lock(&f->lock);
        f->n_open++;
        pthread_mutex_unlock(&f->lock);
        must(pthread_create(&thread, NULL, conn_main, c) == 0);
        pthread_detach(thread);
    }
    return NULL;
}

/* ---- life ---- */

void
fts_start(struct fake *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n = sizeof address;
    *f = (struct fake){.key = "secret"};
    pthread_mutex_init(&f->lock, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(f->listener >= 0);
    must(bind(f->listener, (struct sockaddr *)&address, sizeof address) == 0);
    must(listen(f->listener, 64) == 0);
    must(getsockname(f->listener, (struct sockaddr *)&address, &n) == 0);
    f->port = ntohs(address.sin_port);
    must(pthread_create(&f->thread, NULL, accept_main, f) == 0);
}

void
fts_stop(struct fake *f)
{
    atomic_store(&f->is_over, true);
    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    for (bool is_open = true; is_open;) {
        clock_sleep_us(5000);
        pthread_mutex_lock(&f->lock);
        is_open = f->n_open > 0;
        pthread_mutex_unlock(&f->lock);
    }
    fts_free_all(f);
    pthread_mutex_destroy(&f->lock);
}
