/*
 * Forwarding inside the process: one server plays Typesense and does to each
 * request what its query says, the other one passes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <stdatomic.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/queue.h"
#include "http/client.h"
#include "query/query.h"
#include "tests/query/fixture.h"

static const char schema[] =
    "{\"name\":\"c\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"}]}";

static const char *const loopback[] = {"127.0.0.1:0"};

/* ---- who plays Typesense ---- */

struct node {
    struct http_server *server;
    char url[64];
    _Atomic uint64_t n_asked;
    atomic_bool is_ill;          /* /health says so */
    struct queue *held;          /* exchanges of q=hold */
    _Atomic uint64_t n_bad_keys; /* requests that came with another key */
};

static void
node_answer(struct http_exchange *x, int status, const char *type, const char *text)
{
    struct buf body = {0};
    buf_puts(&body, text);
    http_reply(x, status, type, &body);
}

static void
node_handle(void *ctx, struct http_exchange *x)
{
    struct node *node = ctx;
    const struct http_request *r = http_exchange_request(x);
    if (span_eq_str(r->path, "/health")) {
        node_answer(x, atomic_load(&node->is_ill) ? 503 : 200, "application/json", "{\"ok\":true}");
        return;
    }
    atomic_fetch_add(&node->n_asked, 1);
    if (!span_eq_str(http_exchange_header(x, "x-typesense-api-key"), "up-key"))
        atomic_fetch_add(&node->n_bad_keys, 1);
    const struct http_param *q = http_request_param(r, "q");
    struct span what = q ? q->value : (struct span){0};
    if (span_eq_str(what, "hold"))
        assert_true(queue_try_push(node->held, x));
    else if (span_eq_str(what, "ill"))
        node_answer(x, 503, "application/json", "{\"message\":\"lagging\"}");
    else if (span_eq_str(what, "html"))
        node_answer(x, 200, "text/html", "<html>");
    else if (span_eq_str(what, "refuse"))
        node_answer(x, 401, "application/json", "{\"message\":\"up-key is wrong\"}");
    else if (span_eq_str(what, "absent"))
        node_answer(x, 404, "application/json", "{\"message\":\"Not found.\"}");
    else
        node_answer(x, 200, "application/json", "{\"found\":0,\"hits\":[]}");
}

static void
node_start(struct node *node)
{
    struct http_options o;
    *node = (struct node){.held = queue_new(4000)};
    http_options_init(&o);
    o.listen = loopback;
    o.n_listen = 1;
    o.n_threads = 1;
    o.handle = node_handle;
    o.ctx = node;
    must(http_server_start(&o, &node->server, NULL) == RC_OK);
    (void)snprintf(node->url, sizeof node->url, "http://127.0.0.1:%d",
                   http_server_port(node->server, 0));
}

static void
node_release(struct node *node)
{
    for (struct http_exchange *x; (x = queue_try_pop(node->held));)
        node_answer(x, 200, "application/json", "{\"found\":1,\"hits\":[]}");
}

static void
node_stop(struct node *node)
{
    node_release(node);
    http_server_stop(node->server, 100000);
    node_release(node);
    queue_free(node->held);
}

/* ---- who passes on ---- */

struct relay {
    struct fixture *fixture;
    struct qry *qry;
    struct http_server *server;
    struct metrics *metrics;
    struct http_client *client;
    char urls[200];
    _Atomic uint64_t n_answers, n_good;
};

static void
handle(void *ctx, struct http_exchange *x)
{
    struct relay *r = ctx;
    if (!qry_handle(r->qry, x))
        http_reply_error(x, 404, "Not Found");
}

static void
relay_start(struct relay *r, const char *urls, uint64_t forward_us)
{
    struct qry_options o;
    struct http_options h;
    struct err err = {0};
    *r = (struct relay){.fixture = fixture_new(schema), .metrics = metrics_new()};
    fixture_flush(r->fixture);
    qry_options_init(&o);
    o.idx = fixture_idx(r->fixture);
    o.n_loops = 1;
    o.admin_key = "admin";
    o.metrics = r->metrics;
    o.upstream_urls = urls;
    o.upstream_key = "up-key";
    o.is_forwarding = true;
    o.forward_us = forward_us;
    if (qry_new(&o, &r->qry, &err) != RC_OK)
        fail_msg("%s", err.text);
    http_options_init(&h);
    h.listen = loopback;
    h.n_listen = 1;
    h.n_threads = 1;
    h.handle = handle;
    h.ctx = r;
    must(http_server_start(&h, &r->server, NULL) == RC_OK);
    must(http_client_new(2000, &r->client, NULL) == RC_OK);
}

static void
relay_stop(struct relay *r)
{
    http_server_stop(r->server, 100000);
    http_client_free(r->client);
    qry_free(r->qry);
    metrics_free(r->metrics);
    fixture_free(r->fixture);
}

static const char *const admin_headers[] = {"X-TYPESENSE-API-KEY: admin", NULL};

static struct http_call
call_of(const struct relay *r, const char *q, char *url, size_t cap)
{
    (void)snprintf(url, cap, "http://127.0.0.1:%d/collections/c/documents/search?q=%s",
                   http_server_port(r->server, 0), q);
    return (struct http_call){.method = "GET",
                              .url = url,
                              .headers = admin_headers,
                              .timeout_us = 20000000,
                              .answer_bytes_max = 100000};
}

static void
on_answer(void *arg, const struct http_answer *a)
{
    struct relay *r = arg;
    atomic_fetch_add(&r->n_good, a->rc == RC_OK && a->status == 200);
    atomic_fetch_add(&r->n_answers, 1);
}

static void
ask_later(struct relay *r, const char *q)
{
    char url[200];
    struct http_call call = call_of(r, q, url, sizeof url);
    assert_int_equal(http_client_send(r->client, &call, on_answer, r, NULL), RC_OK);
}

/* The status; the body must not hold the other side's key. */
static int
ask(struct relay *r, const char *q)
{
    char url[200];
    struct http_call call = call_of(r, q, url, sizeof url);
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(r->client, &call, &status, &body, NULL), RC_OK);
    buf_putc(&body, '\0');
    assert_null(strstr(body.p, "up-key"));
    assert_true(body.p[0] == '{');
    buf_fini(&body);
    return status;
}

static void
wait_for(_Atomic uint64_t *counter, uint64_t n)
{
    for (int i = 0; i < 10000 && atomic_load(counter) < n; i++)
        clock_sleep_us(1000);
    assert_true(atomic_load(counter) >= n);
}

static void
wait_healthy(struct relay *r)
{
    for (int i = 0; i < 5000 && !qry_is_healthy(r->qry); i++)
        clock_sleep_us(1000);
    assert_true(qry_is_healthy(r->qry));
}

/* Until two nodes are known to be up. */
static void
wait_both(struct relay *r)
{
    static const char up[] = "\"ok\":true}";
    bool are_up = false;
    for (int i = 0; i < 5000 && !are_up; i++) {
        struct buf health = {0};
        qry_write_health(r->qry, &health);
        buf_putc(&health, '\0');
        const char *first = strstr(health.p, up);
        are_up = first && strstr(first + 1, up);
        buf_fini(&health);
        clock_sleep_us(1000);
    }
    assert_true(are_up);
}

/* ---- tests ---- */

static void
answers_and_what_is_none(void **state)
{
    (void)state;
    struct node node;
    struct relay r;
    node_start(&node);
    relay_start(&r, node.url, 2000000);
    wait_healthy(&r);
    assert_int_equal(ask(&r, "a"), 200);
    assert_int_equal(ask(&r, "absent"), 404);
    assert_int_equal(ask(&r, "refuse"), 502);
    static const char *const failures[] = {"html", "ill"};
    for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
        assert_int_equal(ask(&r, failures[i]), 503);
        assert_false(qry_is_healthy(r.qry)); /* the only node let us down */
        wait_healthy(&r);                    /* but its /health is well */
    }
    assert_int_equal(atomic_load(&node.n_bad_keys), 0);
    relay_stop(&r);
    node_stop(&node);
}

static void
same_requests_share_an_answer(void **state)
{
    (void)state;
    struct node node;
    struct relay r;
    node_start(&node);
    relay_start(&r, node.url, 10000000);
    wait_healthy(&r);
    for (int i = 0; i < 300; i++)
        ask_later(&r, "hold");
    ask_later(&r, "hold&per_page=3");
    wait_for(&node.n_asked, 2);
    for (int i = 0; i < 5000 && metrics_read(r.metrics, M_FORWARDS_JOINED) < 299; i++)
        clock_sleep_us(1000);
    assert_int_equal(metrics_read(r.metrics, M_FORWARDS_JOINED), 299);
    node_release(&node);
    wait_for(&r.n_answers, 301);
    assert_int_equal(atomic_load(&r.n_good), 301);
    assert_int_equal(atomic_load(&node.n_asked), 2);
    assert_int_equal(metrics_read(r.metrics, M_FORWARDS), 301);
    relay_stop(&r);
    node_stop(&node);
}

static void
too_many_are_refused(void **state)
{
    (void)state;
    struct node node;
    struct relay r;
    node_start(&node);
    relay_start(&r, node.url, 10000000);
    wait_healthy(&r);
    char q[40];
    for (int i = 0; i < 1200; i++) {
        (void)snprintf(q, sizeof q, "hold&page=%d", i);
        ask_later(&r, q);
    }
    wait_for(&r.n_answers, 1200 - 1024); /* at once: 503 */
    assert_int_equal(atomic_load(&r.n_good), 0);
    /* 256 have a connection; the others wait for one. */
    for (int i = 0; i < 20000 && atomic_load(&r.n_answers) < 1200; i++) {
        node_release(&node);
        clock_sleep_us(1000);
    }
    assert_int_equal(atomic_load(&r.n_good), 1024);
    relay_stop(&r);
    node_stop(&node);
}

static void
silence_ends_in_time(void **state)
{
    (void)state;
    struct node node;
    struct relay r;
    node_start(&node);
    relay_start(&r, node.url, 300000);
    wait_healthy(&r);
    uint64_t begin = clock_us();
    assert_int_equal(ask(&r, "hold"), 504);
    uint64_t took = clock_us() - begin;
    assert_true(took >= 290000 && took < 3000000);
    relay_stop(&r);
    node_stop(&node);
}

static void
another_node_is_asked(void **state)
{
    (void)state;
    struct node nodes[2];
    struct relay r;
    node_start(&nodes[0]);
    node_start(&nodes[1]);
    char urls[200];
    (void)snprintf(urls, sizeof urls, "%s/ ,%s", nodes[0].url, nodes[1].url);
    relay_start(&r, urls, 4000000);
    wait_both(&r);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(&r, "a"), 200);
    assert_true(atomic_load(&nodes[0].n_asked) >= 4 && atomic_load(&nodes[1].n_asked) >= 4);
    http_server_stop(nodes[0].server, 0);
    uint64_t before = atomic_load(&nodes[1].n_asked);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ask(&r, "a"), 200);
    assert_int_equal(atomic_load(&nodes[1].n_asked), before + 50);
    assert_true(metrics_read(r.metrics, M_FORWARD_RETRIES) >= 1);
    atomic_store(&nodes[1].is_ill, true); /* it answers, but says that it is not well */
    for (int i = 0; i < 5000 && qry_is_healthy(r.qry); i++)
        clock_sleep_us(1000);
    assert_false(qry_is_healthy(r.qry));
    assert_int_equal(ask(&r, "a"), 200); /* better than nobody */
    struct buf health = {0};
    qry_write_health(r.qry, &health);
    buf_putc(&health, '\0');
    assert_non_null(
        strstr(health.p, ",\"upstream\":{\"ok\":false,\"nodes\":[{\"node\":\"127.0.0.1:"));
    buf_fini(&health);
    relay_stop(&r);
    queue_free(nodes[0].held);
    node_stop(&nodes[1]);
}

static void
stopping_answers_those_who_wait(void **state)
{
    (void)state;
    struct node node;
    struct relay r;
    node_start(&node);
    relay_start(&r, node.url, 60000000);
    wait_healthy(&r);
    for (int i = 0; i < 10; i++)
        ask_later(&r, i % 2 ? "hold" : "hold&page=2");
    wait_for(&node.n_asked, 2);
    uint64_t begin = clock_us();
    relay_stop(&r);
    assert_true(clock_us() - begin < 10000000);
    assert_int_equal(atomic_load(&r.n_answers), 10);
    node_stop(&node);
}

static void
options_that_make_no_sense(void **state)
{
    (void)state;
    struct fixture *f = fixture_new(schema);
    struct qry_options o;
    struct qry *q = NULL;
    static const struct {
        const char *urls;
        bool is_forwarding;
        enum qry_shadow_mode shadow;
    } wrong[] = {
        {NULL, true, QRY_SHADOW_OFF},
        {NULL, false, QRY_SHADOW_TYPESENSE},
        {"", true, QRY_SHADOW_OFF},
        {"localhost:8108", true, QRY_SHADOW_OFF},
        {"ftp://localhost", true, QRY_SHADOW_OFF},
        {"http://", true, QRY_SHADOW_OFF},
        {"http://a,,http://b", true, QRY_SHADOW_OFF},
        {"http://a", true, QRY_SHADOW_TYPESENSE},
        {"http://a", false, QRY_SHADOW_BUILTIN},
    };
    fixture_flush(f);
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct err err = {0};
        qry_options_init(&o);
        o.idx = fixture_idx(f);
        o.upstream_urls = wrong[i].urls;
        o.is_forwarding = wrong[i].is_forwarding;
        o.shadow = wrong[i].shadow;
        assert_int_equal(qry_new(&o, &q, &err), RC_INVALID);
        assert_true(err.text[0]);
    }
    fixture_free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_and_what_is_none),
        cmocka_unit_test(same_requests_share_an_answer),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(silence_ends_in_time),
        cmocka_unit_test(another_node_is_asked),
        cmocka_unit_test(stopping_answers_those_who_wait),
        cmocka_unit_test(options_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
