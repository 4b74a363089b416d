#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"

static uint64_t
number(const struct http_request *r, const char *name, uint64_t fallback)
{
    const struct http_param *p = http_request_param(r, name);
    uint64_t n = fallback;
    return p && span_u64(p->value, &n) ? n : fallback;
}

static void
reply_text(struct http_exchange *x, const char *text)
{
    struct buf body = {0};
    buf_puts(&body, text);
    http_reply(x, 200, "text/plain", &body);
}

/* ---- handlers ---- */

static void
on_noop(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    reply_text(x, "ok");
}

static void
on_echo(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    struct buf body = {0};
    buf_put_span(&body, http_exchange_request(x)->body);
    http_reply(x, 200, "application/octet-stream", &body);
}

static void
on_big(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    struct buf body = {0};
    uint64_t n = number(http_exchange_request(x), "n", 1);
    for (uint64_t i = 0; i < n; i++)
        buf_putc(&body, (char)('a' + i % 26));
    http_reply(x, 200, "text/plain", &body);
}

static void
on_header(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    const struct http_param *p = http_request_param(http_exchange_request(x), "name");
    const char *name = p ? arena_str(http_exchange_arena(x), p->value) : "";
    struct buf body = {0};
    buf_put_span(&body, http_exchange_header(x, name));
    http_reply(x, 200, "text/plain", &body);
}

static void
on_method(struct rig *rig, struct http_exchange *x)
{
    static const char *const names[HTTP_METHOD_N] = {
        [HTTP_GET] = "GET",     [HTTP_POST] = "POST",     [HTTP_PUT] = "PUT",
        [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
    };
    (void)rig;
    const char *name = names[http_exchange_request(x)->method];
    assert_non_null(name);
    reply_text(x, name);
}

static void
on_parts(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    const struct http_request *r = http_exchange_request(x);
    struct buf body = {0};
    for (size_t i = 0; i < r->n_parts; i++)
        buf_printf(&body, "[%.*s]", SPAN_ARG(r->parts[i]));
    http_reply(x, 200, "text/plain", &body);
}

static void
on_params(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    const struct http_request *r = http_exchange_request(x);
    struct buf body = {0};
    for (size_t i = 0; i < r->n_params; i++)
        buf_printf(&body, "[%.*s=%.*s]", SPAN_ARG(r->params[i].name), SPAN_ARG(r->params[i].value));
    http_reply(x, 200, "text/plain", &body);
}

static void
to_worker(struct rig *rig, struct http_exchange *x)
{
    assert_true(queue_try_push(rig->work, x));
}

static void
on_held(struct rig *rig, struct http_exchange *x)
{
    atomic_store(&rig->held, x);
}

static void
on_swap(struct rig *rig, struct http_exchange *x)
{
    struct http_exchange *before = atomic_exchange(&rig->held, x);
    if (before)
        reply_text(before, "swapped");
}

static void
on_error(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    http_reply_error(x, 400, "a \"quoted\" %s", "text\n");
}

static void
on_twice(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    http_reply_header(x, "X-One", "1");
    http_reply_header(x, "X-Two", "2\r\nX-Three: 3");
    http_reply(x, 204, NULL, NULL);
}

static void
on_import_refused(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    http_reply_error(x, 401, "no");
}

/* ---- what workers do ---- */

static void
work_late(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    const struct http_request *r = http_exchange_request(x);
    clock_sleep_us(number(r, "us", 0));
    struct buf body = {0};
    buf_printf(&body, "late %.*s", SPAN_ARG(r->query));
    for (uint64_t n = number(r, "n", 0); n > 0; n--)
        buf_putc(&body, 'l');
    http_reply(x, 200, "text/plain", &body);
}

static void
work_import(struct rig *rig, struct http_exchange *x)
{
    bool is_held = span_eq_str(http_exchange_request(x)->path, "/import-held");
    while (is_held && !atomic_load(&rig->may_read))
        clock_sleep_us(1000);
    char piece[4096];
    uint64_t total = 0, hash = 0;
    for (;;) {
        size_t n = 0;
        struct err err = {0};
        enum rc rc = http_body_read(x, piece, sizeof piece, &n, &err);
        if (rc) {
            atomic_store(&rig->last_rc, rc);
            http_reply_error(x, 400, "%s", err.text);
            return;
        }
        if (n == 0)
            break;
        for (size_t i = 0; i < n; i++)
            hash = hash * 31 + (unsigned char)piece[i];
        total += n;
    }
    struct buf body = {0};
    buf_printf(&body, "%llu %llu", (unsigned long long)total, (unsigned long long)hash);
    http_reply(x, 200, "text/plain", &body);
}

static void
work_export(struct rig *rig, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    uint64_t n = number(r, "n", 1000);
    bool is_cut = span_eq_str(r->path, "/export-cut");
    char piece[1000];
    memset(piece, 'e', sizeof piece);
    http_stream_begin(x, 200, "text/plain");
    enum rc rc = RC_OK;
    for (uint64_t done = 0; done < n && !rc; done += sizeof piece) {
        size_t part = n - done < sizeof piece ? (size_t)(n - done) : sizeof piece;
        rc = http_stream_write(x, span_of(piece, part), NULL);
    }
    if (rc)
        atomic_store(&rig->last_rc, rc);
    http_stream_end(x, rc == RC_OK && !is_cut);
}

static void
work_duplex(struct rig *rig, struct http_exchange *x)
{
    (void)rig;
    char piece[1000];
    http_stream_begin(x, 200, "text/plain");
    enum rc rc = RC_OK;
    for (size_t n = 1; !rc && n > 0;) {
        rc = http_body_read(x, piece, sizeof piece, &n, NULL);
        if (!rc)
            rc = http_stream_write(x, span_of(piece, n), NULL);
    }
    http_stream_end(x, rc == RC_OK);
}

/* ---- routes ---- */

struct route {
    const char *path;
    void (*handle)(struct rig *, struct http_exchange *);
    void (*work)(struct rig *, struct http_exchange *); /* then handle is to_worker */
    bool is_streamed;
};

static const struct route routes[] = {
    {"/noop", on_noop, NULL, false},
    {"/echo", on_echo, NULL, false},
    {"/big", on_big, NULL, false},
    {"/method", on_method, NULL, false},
    {"/header", on_header, NULL, false},
    {"/params", on_params, NULL, false},
    {"/held", on_held, NULL, false},
    {"/swap", on_swap, NULL, false},
    {"/error", on_error, NULL, false},
    {"/twice", on_twice, NULL, false},
    {"/late", to_worker, work_late, false},
    {"/import", to_worker, work_import, true},
    {"/import-held", to_worker, work_import, true},
    {"/import-refused", on_import_refused, NULL, true},
    {"/export", to_worker, work_export, false},
    {"/export-cut", to_worker, work_export, false},
    {"/duplex", to_worker, work_duplex, true},
};

static const struct route *
route_of(const struct http_request *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (span_eq_str(r->path, routes[i].path))
            return &routes[i];
    }
    return NULL;
}

static void
handle(void *ctx, struct http_exchange *x)
{
    struct rig *rig = ctx;
    const struct http_request *r = http_exchange_request(x);
    const struct route *route = route_of(r);
    atomic_fetch_add(&rig->n_handled, 1);
    if (route)
        route->handle(rig, x);
    else if (r->n_parts > 0 && span_eq_str(r->parts[0], "parts"))
        on_parts(rig, x);
    else
        http_reply_error(x, 404, "Not Found");
}

static bool
wants_stream(void *ctx, const struct http_request *r)
{
    (void)ctx;
    const struct route *route = route_of(r);
    return route && route->is_streamed;
}

static void *
run_worker(void *arg)
{
    struct rig *rig = arg;
    struct http_exchange *x;
    while ((x = queue_pop(rig->work, UINT64_MAX)))
        route_of(http_exchange_request(x))->work(rig, x);
    return NULL;
}

/* ---- life ---- */

void
rig_init(struct rig *r)
{
    static const char *const listen[] = {"127.0.0.1:0"};
    memset(r, 0, sizeof *r);
    http_options_init(&r->options);
    r->options.listen = listen;
    r->options.n_listen = 1;
    r->options.n_threads = 2;
    r->options.handle = handle;
    r->options.wants_stream = wants_stream;
    r->options.ctx = r;
}

void
rig_start(struct rig *r)
{
    r->work = queue_new(1000);
    r->metrics = metrics_new();
    r->options.metrics = r->metrics;
    for (size_t i = 0; i < RIG_WORKERS; i++)
        assert_int_equal(pthread_create(&r->workers[i], NULL, run_worker, r), 0);
    struct err err = {0};
    if (http_server_start(&r->options, &r->server, &err))
        fail_msg("start: %s", err.text);
    r->port = http_server_port(r->server, 0);
}

void
rig_stop(struct rig *r)
{
    http_server_stop(r->server, 1000000);
    queue_close(r->work);
    for (size_t i = 0; i < RIG_WORKERS; i++)
        assert_int_equal(pthread_join(r->workers[i], NULL), 0);
    queue_free(r->work);
    metrics_free(r->metrics);
}

int
rig_teardown(void **state)
{
    rig_stop(*state);
    free(*state);
    return 0;
}

void
rig_release(struct rig *r)
{
    for (int i = 0; i < 5000; i++) {
        struct http_exchange *x = atomic_exchange(&r->held, NULL);
        if (x) {
            reply_text(x, "released");
            return;
        }
        clock_sleep_us(1000);
    }
    fail_msg("no exchange is held");
}

void
rig_wait(_Atomic uint64_t *counter, uint64_t n)
{
    for (int i = 0; i < 5000 && atomic_load(counter) < n; i++)
        clock_sleep_us(1000);
    assert_true(atomic_load(counter) >= n);
}
