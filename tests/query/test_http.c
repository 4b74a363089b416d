/* The reading routes over HTTP: searches, multi_search, collections, documents, export, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "query/query.h"
#include "tests/query/fixture.h"

static const char schema[] =
    "{\"name\":\"c\",\"default_sorting_field\":\"n\",\"fields\":["
    "{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"n\",\"type\":\"int32\"}]}";

struct served {
    struct fixture *fixture;
    struct qry *qry;
    struct http_server *server;
    struct buf answer; /* of the last request, with its header */
    int status;
    struct span body;
    struct arena arena;
    struct json json;
};

static void
handle(void *ctx, struct http_exchange *x)
{
    struct served *s = ctx;

    if (!qry_handle(s->qry, x))
        http_reply_error(x, 404, "Not Found");
}

static void
serve(struct served *s, const char *admin_key, uint64_t slice_us)
{
    static const char *const listen_at[] = {"127.0.0.1:0"};
    struct qry_options options;
    struct http_options http;
    struct err err = {0};

    *s = (struct served){0};
    s->fixture = fixture_new(schema);
    for (int i = 0; i < 300; i++) {
        char text[100];
        (void)snprintf(text, sizeof text, "{\"id\":\"%d\",\"name\":\"name %d\",\"n\":%d}", i, i,
                       i % 7);
        fixture_put(s->fixture, text);
        if (i % 100 == 0)
            fixture_flush(s->fixture);
    }
    fixture_entry(s->fixture, "alias", "other", "c");
    fixture_entry(s->fixture, "key", "0",
                  "{\"actions\":[\"documents:search\"],\"autodelete\":false,\"collections\":["
                  "\"*\"],\"description\":\"d\",\"expires_at\":64723363199,\"id\":0,"
                  "\"value\":\"secret-value\"}");
    fixture_flush(s->fixture);
    qry_options_init(&options);
    options.idx = fixture_idx(s->fixture);
    options.n_loops = 2;
    options.admin_key = admin_key;
    options.slice_us = slice_us;
    must(qry_new(&options, &s->qry, &err) == RC_OK);
    http_options_init(&http);
    http.listen = listen_at;
    http.n_listen = 1;
    http.n_threads = 2;
    http.handle = handle;
    http.ctx = s;
    must(http_server_start(&http, &s->server, &err) == RC_OK);
}

static void
stop(struct served *s)
{
    http_server_drain(s->server);
    http_server_stop(s->server, 1000000);
    qry_free(s->qry);
    fixture_free(s->fixture);
    buf_fini(&s->answer);
    arena_fini(&s->arena);
}

/* Sends a request and reads the answer until the server closes. */
static void
request(struct served *s, const char *method, const char *path, const char *key, const char *body)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(s->server, 0)),
                             .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct buf text = {0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char piece[4096];
    ssize_t n;

    must(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    buf_printf(&text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", method, path);
    if (key)
        buf_printf(&text, "X-Typesense-Api-Key: %s\r\n", key);
    if (body)
        buf_printf(&text, "Content-Length: %zu\r\n", strlen(body));
    buf_puts(&text, "\r\n");
    buf_puts(&text, body ? body : "");
    must(write(fd, text.p, text.n) == (ssize_t)text.n);
    buf_clear(&s->answer);
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buf_put(&s->answer, piece, (size_t)n);
    (void)close(fd);
    buf_fini(&text);
    buf_putc(&s->answer, '\0');
    s->status = (int)strtol(s->answer.p + 9, NULL, 10);
    const char *end = strstr(s->answer.p, "\r\n\r\n");
    must(end);
    s->body = span_str(end + 4);
    arena_reset(&s->arena);
    if (json_parse(s->body, &s->arena, &s->json, NULL) != RC_OK)
        s->json = (struct json){.type = JSON_NULL}; /* an export, say */
}

static void
expect(struct served *s, const char *path, int status)
{
    request(s, "GET", path, NULL, NULL);
    if (s->status != status)
        fail_msg("%s: %s", path, s->answer.p);
    if (status != 200)
        assert_true(json_get_str(&s->json, "message", (struct span){0}).n > 0);
}

static void
searches(void **state)
{
    struct served s;

    (void)state;
    serve(&s, NULL, 4000);
    expect(&s, "/collections/c/documents/search?q=*&per_page=2&filter_by=n%3A%3E5", 200);
    assert_int_equal(json_get(&s.json, "found")->i64, 42);
    assert_int_equal(json_get(&s.json, "hits")->n, 2);
    expect(&s, "/collections/other/documents/search?q=*", 200);
    assert_true(span_eq_str(
        json_get_str(json_get(&s.json, "request_params"), "collection_name", (struct span){0}),
        "c"));
    expect(&s, "/collections/nope/documents/search?q=*", 404);
    expect(&s, "/collections/c/documents/search?query_by=name", 400);
    expect(&s, "/collections/c/documents/search?q=*&per_page=251", 422);
    expect(&s, "/collections/c/documents/search?q=*&search_cutoff_ms=0", 408);
    expect(&s, "/collections/c/documents/search?q=*&sort_by=x%22:asc", 404);
    stop(&s);
}

/* A slice that is over at once: everything is answered by workers, alike. */
static void
moved_searches(void **state)
{
    struct served s;

    (void)state;
    serve(&s, NULL, 0);
    for (int i = 0; i < 20; i++) {
        expect(&s, "/collections/c/documents/search?q=*&group_by=&per_page=2", 200);
        assert_int_equal(json_get(&s.json, "found")->i64, 300);
    }
    stop(&s);
}

static const struct json *
result(const struct served *s, uint32_t i)
{
    return &json_get(&s->json, "results")->items[i];
}

static void
several(void **state)
{
    static const struct {
        const char *body;
        int status;
    } refused[] = {
        {"{\"searches\":[]}", 400},
        {"{}", 400},
        {"[1]", 400},
        {"{bad", 400},
        {"{\"searches\":[1]}", 400},
        {"{\"searches\":{}}", 400},
        {"{\"searches\":[{\"collection\":\"c\",\"q\":[1]}]}", 400},
        {"{\"searches\":[{\"collection\":\"c\",\"q\":null}]}", 400},
        {"{\"searches\":[{\"collection\":\"c\",\"q\":\"*\",\"search_cutoff_ms\":0}]}", 408},
    };
    struct served s;
    struct buf many = {0};

    (void)state;
    serve(&s, NULL, 4000);
    request(&s, "POST", "/multi_search", NULL,
            "{\"searches\":["
            "{\"collection\":\"c\",\"q\":\"*\",\"per_page\":1,\"filter_by\":\"n:1\"},"
            "{\"collection\":\"nope\",\"q\":\"*\"},{\"q\":\"*\"},"
            "{\"collection\":\"c\",\"q\":\"*\",\"per_page\":1.5},"
            "{\"collection\":\"other\",\"q\":\"*\",\"exhaustive_search\":true}]}");
    assert_int_equal(s.status, 200);
    assert_int_equal(json_get(result(&s, 0), "found")->i64, 43);
    assert_int_equal(json_get(result(&s, 0), "hits")->n, 1);
    assert_int_equal(json_get(result(&s, 1), "code")->i64, 404);
    assert_int_equal(json_get(result(&s, 2), "code")->i64, 404);
    assert_int_equal(json_get(result(&s, 3), "code")->i64, 400);
    assert_non_null(json_get(result(&s, 3), "error"));
    assert_int_equal(json_get(result(&s, 4), "found")->i64, 300);
    /* The URL wins over the body, and filters are combined. */
    request(&s, "POST", "/multi_search?per_page=3&collection=c&filter_by=n:%3E2", NULL,
            "{\"searches\":[{\"collection\":\"nope\",\"q\":\"*\",\"per_page\":1},"
            "{\"q\":\"*\",\"filter_by\":\"n:<4\"}]}");
    assert_int_equal(s.status, 200);
    assert_int_equal(json_get(result(&s, 0), "hits")->n, 3);
    assert_int_equal(json_get(result(&s, 1), "found")->i64, 43);
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        request(&s, "POST", "/multi_search", NULL, refused[i].body);
        if (s.status != refused[i].status)
            fail_msg("%s: %s", refused[i].body, s.answer.p);
    }
    for (int n = 50; n <= 51; n++) {
        buf_clear(&many);
        buf_puts(&many, "{\"searches\":[");
        for (int i = 0; i < n; i++)
            buf_printf(&many, "%s{\"collection\":\"c\",\"q\":\"*\"}", i ? "," : "");
        buf_puts(&many, "]}");
        buf_putc(&many, '\0');
        request(&s, "POST", "/multi_search", NULL, many.p);
        assert_int_equal(s.status, n == 50 ? 200 : 400);
    }
    request(&s, "GET", "/multi_search", NULL, NULL);
    assert_int_equal(s.status, 404);
    buf_fini(&many);
    stop(&s);
}

static void
reading(void **state)
{
    struct served s;

    (void)state;
    serve(&s, NULL, 4000);
    expect(&s, "/collections", 200);
    assert_int_equal(s.json.n, 1);
    assert_int_equal(json_get(&s.json.items[0], "num_documents")->i64, 300);
    expect(&s, "/collections?exclude_fields=fields", 200);
    assert_null(json_get(&s.json.items[0], "fields"));
    expect(&s, "/collections?offset=1", 400);
    expect(&s, "/collections?limit=x", 400);
    expect(&s, "/collections/c", 200);
    expect(&s, "/collections/other", 200);
    expect(&s, "/collections/nope", 404);
    expect(&s, "/collections/c/documents/17", 200);
    assert_true(span_eq_str(json_get_str(&s.json, "name", (struct span){0}), "name 17"));
    expect(&s, "/collections/c/documents/17?include_fields=n", 200);
    assert_int_equal(s.json.n, 1);
    expect(&s, "/collections/c/documents/1%37", 200);
    expect(&s, "/collections/c/documents/x", 404);
    expect(&s, "/collections/nope/documents/17", 404);
    expect(&s, "/aliases", 200);
    assert_int_equal(json_get(&s.json, "aliases")->n, 1);
    expect(&s, "/aliases/other", 200);
    assert_true(span_eq_str(json_get_str(&s.json, "collection_name", (struct span){0}), "c"));
    expect(&s, "/aliases/nope", 404);
    expect(&s, "/keys", 200);
    assert_null(strstr(s.answer.p, "secret-value"));
    assert_non_null(strstr(s.answer.p, "\"value_prefix\":\"secr\""));
    expect(&s, "/keys/0", 200);
    assert_null(strstr(s.answer.p, "secret-value"));
    expect(&s, "/keys/1", 404);
    expect(&s, "/keys/x", 400);
    expect(&s, "/collections/c/synonyms", 200);
    expect(&s, "/collections/nope/overrides", 404);
    expect(&s, "/presets", 200);
    expect(&s, "/nosuch", 404);
    stop(&s);
}

static size_t
count_lines(struct span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n + 1;
}

static void
exports(void **state)
{
    struct served s;

    (void)state;
    serve(&s, NULL, 4000);
    request(&s, "GET", "/collections/c/documents/export?include_fields=id,n", NULL, NULL);
    assert_int_equal(s.status, 200);
    assert_non_null(strstr(s.answer.p, "text/plain"));
    assert_non_null(strstr(s.answer.p, "{\"id\":\"0\",\"n\":0}\n{\"id\":\"1\",\"n\":1}\n"));
    assert_true(count_lines(s.body) >= 300);
    request(&s, "GET", "/collections/c/documents/export?filter_by=n:6&include_fields=id", NULL,
            NULL);
    assert_int_equal(s.status, 200);
    assert_non_null(strstr(s.answer.p, "{\"id\":\"6\"}\n{\"id\":\"13\"}\n{\"id\":\"20\"}"));
    expect(&s, "/collections/c/documents/export?filter_by=nope:6", 400);
    expect(&s, "/collections/nope/documents/export", 404);
    stop(&s);
}

static void
denied(void **state)
{
    static const char *const paths[] = {
        "/collections", "/collections/c", "/collections/c/documents/1", "/aliases", "/keys",
        "/collections/c/documents/export", "/collections/c/documents/search?q=*", "/presets",
    };
    struct served s;

    (void)state;
    serve(&s, "admin-key", 4000);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        expect(&s, paths[i], 401);
        request(&s, "GET", paths[i], "wrong", NULL);
        assert_int_equal(s.status, 401);
        request(&s, "GET", paths[i], "admin-key", NULL);
        assert_int_equal(s.status, 200);
    }
    request(&s, "GET", "/collections/c/documents/search?q=*", "secret-value", NULL);
    assert_int_equal(s.status, 200);
    request(&s, "GET", "/collections", "secret-value", NULL);
    assert_int_equal(s.status, 401);
    request(&s, "GET", "/collections/c/documents/search?q=*&x-typesense-api-key=secret-value",
            NULL, NULL);
    assert_int_equal(s.status, 200);
    request(&s, "POST", "/multi_search", NULL,
            "{\"searches\":[{\"collection\":\"c\",\"q\":\"*\"}]}");
    assert_int_equal(s.status, 401);
    request(&s, "POST", "/multi_search", "secret-value",
            "{\"searches\":[{\"collection\":\"c\",\"q\":\"*\"}]}");
    assert_int_equal(s.status, 200);
    request(&s, "POST", "/multi_search", "secret-value",
            "{\"searches\":[{\"collection\":\"c\",\"q\":\"*\",\"x-typesense-api-key\":\"no\"}]}");
    assert_int_equal(s.status, 401);
    request(&s, "POST", "/multi_search", "admin-key",
            "{\"searches\":[{\"collection\":\"c\",\"q\":\"*\",\"x-typesense-api-key\":\"no\"}]}");
    assert_int_equal(s.status, 200);
    stop(&s);
}

static void
count_id(void *arg, struct span id)
{
    assert_true(id.n > 0);
    ++*(size_t *)arg;
}

static void
filter_ids(void **state)
{
    struct served s;
    struct err err = {0};
    size_t n = 0;

    (void)state;
    serve(&s, NULL, 4000);
    const struct idx_collection *c = fixture_begin(s.fixture);
    assert_int_equal(qry_filter_ids(c, SPAN_LIT("n:6"), count_id, &n, &err), RC_OK);
    assert_int_equal(n, 42);
    n = 0;
    assert_int_equal(qry_filter_ids(c, SPAN_LIT("*"), count_id, &n, &err), RC_OK);
    assert_int_equal(n, 300);
    assert_int_equal(qry_filter_ids(c, SPAN_LIT("nope:1"), count_id, &n, &err), RC_INVALID);
    assert_int_equal(qry_filter_ids(c, SPAN_LIT(" "), count_id, &n, &err), RC_INVALID);
    fixture_end(s.fixture);
    stop(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches), cmocka_unit_test(moved_searches), cmocka_unit_test(several),
        cmocka_unit_test(reading),  cmocka_unit_test(exports),        cmocka_unit_test(denied),
        cmocka_unit_test(filter_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
