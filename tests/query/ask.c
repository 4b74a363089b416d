#include "tests/query/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

void
ask_init(struct ask *a, const char *schema_json)
{
    *a = (struct ask){0};
    a->fixture = fixture_new(schema_json);
    qry_options_init(&a->options);
    a->options.idx = fixture_idx(a->fixture);
    must(qry_ctx_init(&a->ctx, &a->options, &a->err) == RC_OK);
}

void
ask_fini(struct ask *a)
{
    qry_ctx_fini(&a->ctx);
    fixture_free(a->fixture);
    arena_fini(&a->arena);
    buf_fini(&a->text);
}

struct ask *
ask_new(const char *schema_json)
{
    struct ask *a = xmalloc(sizeof *a);
    ask_init(a, schema_json);
    return a;
}

int
ask_teardown(void **state)
{
    ask_fini(*state);
    free(*state);
    return 0;
}

void
ask_put(struct ask *a, const char *const *documents, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        fixture_put(a->fixture, documents[i]);
        if (i % 2)
            fixture_flush(a->fixture);
    }
}

static void
add_ids(struct ask *a, const struct json *hits, size_t *n)
{
    for (uint32_t i = 0; i < hits->n; i++) {
        const struct json *document = json_get(&hits->items[i], "document");
        struct span id = json_get_str(document, "id", SPAN_LIT("?"));
        *n += (size_t)snprintf(a->ids + *n, sizeof a->ids - *n, "%s%.*s",
                               *n && a->ids[*n - 1] != '(' ? " " : "", SPAN_ARG(id));
        must(*n < sizeof a->ids);
    }
}

static void
read_answer(struct ask *a)
{
    const struct json *groups, *hits;
    size_t n = 0;

    if (json_parse(buf_span(&a->text), &a->arena, &a->json, &a->err) != RC_OK)
        fail_msg("no JSON (%s): %.*s", a->err.text, (int)a->text.n, a->text.p);
    a->ids[0] = '\0';
    a->found = json_get(&a->json, "found")->i64;
    hits = json_get(&a->json, "hits");
    groups = json_get(&a->json, "grouped_hits");
    if (hits)
        add_ids(a, hits, &n);
    for (uint32_t i = 0; groups && i < groups->n; i++) {
        n += (size_t)snprintf(a->ids + n, sizeof a->ids - n, i ? " (" : "(");
        add_ids(a, json_get(&groups->items[i], "hits"), &n);
        n += (size_t)snprintf(a->ids + n, sizeof a->ids - n, ")");
    }
}

enum rc
ask(struct ask *a, const char *query_string)
{
    struct qry_params params = {0};
    size_t n;
    struct qry_ask question = {
        .snapshot = qry_ctx_begin(&a->ctx),
        .collection = SPAN_LIT("c"),
        .params = &params,
        .begin_us = clock_us(),
        .slice = QRY_SLICE_ENDLESS,
    };
    const struct http_param *list = http_params(span_str(query_string), &a->ctx.arena, &n);

    arena_reset(&a->arena);
    buf_clear(&a->text);
    a->err = (struct err){0};
    qry_params_url(&params, list, n, &a->ctx.arena);
    enum rc rc = qry_search_run(&a->ctx, &question, &a->text, &a->err);
    qry_ctx_end(&a->ctx);
    if (rc == RC_OK)
        read_answer(a);
    return rc;
}

void
ask_expect(struct ask *a, const char *query_string, const char *ids)
{
    enum rc rc = ask(a, query_string);

    if (rc != RC_OK)
        fail_msg("%s: %s", query_string, a->err.text);
    if (strcmp(a->ids, ids) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", query_string, a->ids, ids);
}

void
ask_expect_error(struct ask *a, const char *query_string, enum rc rc)
{
    enum rc got = ask(a, query_string);

    if (got != rc)
        fail_msg("%s: %d (%s), not %d", query_string, (int)got, a->err.text, (int)rc);
    assert_true(a->err.text[0]);
    assert_int_equal(a->text.n, 0);
}
