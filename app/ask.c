#include "app/ask.h"

#include <stdio.h>

#include "http/client.h"

#include "app/options.h"

enum { ANSWER_BYTES_MAX = 64 << 20, ANSWER_US_MAX = 30 * 1000000 };

static bool
fetch(const struct conf *conf, const char *method, const char *url, int *status, struct buf *body)
{
    const char *key = conf_str(conf, OPT_API_KEY);
    if (!key || !*key)
        key = conf_str(conf, OPT_SEARCH_API_KEY);
    struct buf header = {0};
    buf_printf(&header, "X-TYPESENSE-API-KEY: %s", key ? key : "");
    buf_putc(&header, '\0');
    const char *headers[] = {header.p, NULL};
    const struct http_call call = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .timeout_us = ANSWER_US_MAX,
                                   .answer_bytes_max = ANSWER_BYTES_MAX};
    struct err err = {0};
    struct http_client *client = NULL;
    enum rc rc = http_client_new(1, &client, &err);
    if (rc == RC_OK)
        rc = http_client_fetch(client, &call, status, body, &err);
    http_client_free(client);
    buf_fini(&header);
    if (rc != RC_OK)
        fprintf(stderr, "error: %s does not answer: %s (is the server running? --url says where)\n",
                url, err.text);
    return rc == RC_OK;
}

bool
app_ask(const struct conf *conf, const char *method, const char *path, struct arena *arena,
        struct json *out)
{
    struct buf body = {0};
    struct err err = {0};
    int status = 0;
    bool ok = false;
    const char *url = arena_printf(arena, "%s%s", conf_str(conf, OPT_URL), path).p;
    if (!fetch(conf, method, url, &status, &body))
        goto out;
    if (json_parse(buf_span(&body), arena, out, &err) != RC_OK) {
        fprintf(stderr, "error: %s answered %d with something that is no JSON\n", url, status);
        goto out;
    }
    ok = status >= 200 && status < 300;
    if (!ok) {
        struct span text = json_get_str(out, "message", SPAN_LIT("no reason given"));
        fprintf(stderr, "error: the server refused (%d): %.*s%s\n", status, SPAN_ARG(text),
                status == 401 ? " (--api-key gives the key)" : "");
    }
out:
    buf_fini(&body);
    return ok;
}
