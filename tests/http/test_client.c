/* The client against our own server, and against none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "http/client.h"

#include "rig.h"

struct world {
    struct rig rig;
    struct http_client *client;
    char url[100];
};

static int
setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    rig_init(&w->rig);
    rig_start(&w->rig);
    assert_int_equal(http_client_new(4, &w->client, NULL), RC_OK);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;
    http_client_free(w->client);
    rig_stop(&w->rig);
    free(w);
    return 0;
}

static struct http_call
call_to(struct world *w, const char *method, const char *target)
{
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d%s", w->rig.port, target);
    return (struct http_call){
        .method = method, .url = w->url, .timeout_us = 10000000, .answer_bytes_max = 10000000};
}

static void
test_fetch_get(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/noop");
    struct buf body = {0};
    int status = 0;
    for (int i = 0; i < 20; i++) {
        buf_clear(&body);
        assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
        assert_int_equal(status, 200);
        assert_true(span_eq_str(buf_span(&body), "ok"));
    }
    /* Keep-alive: one connection served them all. */
    assert_int_equal(metrics_read(w->rig.metrics, M_HTTP_CONNECTIONS), 1);
    buf_fini(&body);
}

static void
test_fetch_post_large(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "POST", "/echo");
    struct buf sent = {0}, body = {0};
    for (int i = 0; i < 3000000; i++)
        buf_putc(&sent, (char)(i % 251));
    call.body = buf_span(&sent);
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
    assert_int_equal(status, 200);
    assert_true(span_eq(buf_span(&body), buf_span(&sent)));
    buf_fini(&sent);
    buf_fini(&body);
}

static void
test_fetch_gzipped_answer(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/big?n=100000");
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
    assert_int_equal(body.n, 100000);
    buf_fini(&body);
}

static void
test_fetch_headers(void **state)
{
    struct world *w = *state;
    static const char *const headers[] = {"X-Test: it arrives", NULL};
    struct http_call call = call_to(w, "GET", "/header?name=x-test");
    call.headers = headers;
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
    assert_true(span_eq_str(buf_span(&body), "it arrives"));
    buf_fini(&body);
}

static void
test_fetch_no_content_type_of_its_own(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "POST", "/header?name=content-type");
    call.body = SPAN_LIT("x");
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
    assert_int_equal(body.n, 0);
    buf_fini(&body);
}

static void
test_fetch_other_methods(void **state)
{
    struct world *w = *state;
    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "POST"};
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        struct http_call call = call_to(w, methods[i], "/method");
        struct buf body = {0};
        int status = 0;
        assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
        assert_int_equal(status, 200);
        assert_true(span_eq_str(buf_span(&body), methods[i]));
        buf_fini(&body);
    }
}

static void
test_fetch_error_status(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/error");
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_OK);
    assert_int_equal(status, 400);
    buf_fini(&body);
}

static void
test_fetch_times_out(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/held");
    call.timeout_us = 100000;
    struct buf body = {0};
    struct err err = {0};
    int status = -1;
    uint64_t begin = clock_us();
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, &err), RC_CUTOFF);
    assert_true(clock_us() - begin < 5000000);
    assert_int_equal(status, -1);
    assert_int_equal(err.rc, RC_CUTOFF);
    rig_release(&w->rig);
}

static void
test_fetch_unreachable(void **state)
{
    struct world *w = *state;
    struct rig other;
    rig_init(&other);
    rig_start(&other);
    int port = other.port;
    rig_stop(&other);
    struct http_call call = call_to(w, "GET", "/noop");
    (void)snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/", port);
    struct buf body = {0};
    struct err err = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, &err), RC_UNREACHABLE);
    assert_true(strlen(err.text) > 0);
}

static void
test_fetch_malformed_url(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/noop");
    struct buf body = {0};
    int status = 0;
    call.url = "file:///etc/passwd";
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_UNREACHABLE);
    call.url = "::";
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_UNREACHABLE);
}

static void
test_fetch_too_large(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/big?n=100000");
    call.answer_bytes_max = 99999;
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_TOO_LARGE);
    assert_int_equal(body.n, 0);
}

static void
test_fetch_cut_answer(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/export-cut?n=5000");
    struct buf body = {0};
    int status = 0;
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_UNREACHABLE);
}

static void
count_done(void *arg, const struct http_answer *answer)
{
    _Atomic uint64_t *n = arg;
    if (answer->rc == RC_OK && answer->status == 200)
        atomic_fetch_add(n, 1);
}

static void
test_send_many(void **state)
{
    struct world *w = *state;
    _Atomic uint64_t n_done = 0;
    struct http_call call = call_to(w, "GET", "/late?us=1000");
    for (int i = 0; i < 100; i++)
        assert_int_equal(http_client_send(w->client, &call, count_done, &n_done, NULL), RC_OK);
    rig_wait(&n_done, 100);
    assert_true(metrics_read(w->rig.metrics, M_HTTP_CONNECTIONS) <= 4);
}

static void
test_free_waits(void **state)
{
    struct world *w = *state;
    _Atomic uint64_t n_done = 0;
    struct http_call call = call_to(w, "GET", "/late?us=100000");
    for (int i = 0; i < 8; i++)
        assert_int_equal(http_client_send(w->client, &call, count_done, &n_done, NULL), RC_OK);
    http_client_free(w->client);
    w->client = NULL;
    assert_int_equal(atomic_load(&n_done), 8);
}

static void *
abort_soon(void *arg)
{
    clock_sleep_us(50000);
    http_client_abort(arg);
    return NULL;
}

static void
test_abort_ends_a_wait(void **state)
{
    struct world *w = *state;
    struct http_call call = call_to(w, "GET", "/held");
    struct buf body = {0};
    int status = 0;
    pthread_t thread;
    uint64_t begin = clock_us();
    assert_int_equal(pthread_create(&thread, NULL, abort_soon, w->client), 0);
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_STOPPED);
    assert_true(clock_us() - begin < 5000000);
    assert_int_equal(http_client_fetch(w->client, &call, &status, &body, NULL), RC_STOPPED);
    assert_int_equal(pthread_join(thread, NULL), 0);
    http_client_abort(w->client);
    http_client_abort(NULL);
    rig_release(&w->rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fetch_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_post_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_gzipped_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_no_content_type_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_other_methods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_error_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_unreachable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_malformed_url, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetch_cut_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_send_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_abort_ends_a_wait, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
