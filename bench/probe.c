#include "bench/probe.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "http/client.h"

struct probe {
    struct http_client *client;
    char *url;
    struct buf header, body;
};

enum { ANSWER_BYTES_MAX = 16 << 20, ANSWER_US_MAX = 10 * 1000000 };

enum rc
probe_open(const char *url, const char *key, struct probe **out, struct err *err)
{
    struct probe *p = xcalloc(1, sizeof *p);
    enum rc rc = http_client_new(1, &p->client, err);
    if (rc != RC_OK) {
        free(p);
        return rc;
    }
    p->url = xstrdup(url);
    buf_printf(&p->header, "X-TYPESENSE-API-KEY: %s", key);
    buf_putc(&p->header, '\0');
    *out = p;
    return RC_OK;
}

void
probe_close(struct probe *p)
{
    if (!p)
        return;
    http_client_free(p->client);
    buf_fini(&p->header);
    buf_fini(&p->body);
    free(p->url);
    free(p);
}

bool
probe_get(struct probe *p, const char *path, struct arena *arena, struct json *out)
{
    arena_reset(arena);
    const char *headers[] = {p->header.p, NULL};
    const struct http_call call = {.method = "GET",
                                   .url = arena_printf(arena, "%s%s", p->url, path).p,
                                   .headers = headers,
                                   .timeout_us = ANSWER_US_MAX,
                                   .answer_bytes_max = ANSWER_BYTES_MAX};
    struct err err = {0};
    int status = 0;
    buf_clear(&p->body);
    enum rc rc = http_client_fetch(p->client, &call, &status, &p->body, &err);
    if (rc == RC_OK && status == 200)
        rc = json_parse(buf_span(&p->body), arena, out, &err);
    if (rc == RC_OK && status == 200)
        return true;
    fprintf(stderr, "%s: status %d %s %.*s\n", call.url, status, err.text,
            (int)(p->body.n < 200 ? p->body.n : 200), p->body.n ? p->body.p : "");
    return false;
}

int64_t
probe_found(struct probe *p, const char *path, struct arena *arena)
{
    struct json answer;
    if (!probe_get(p, path, arena, &answer))
        return -1;
    const struct json *found = json_get(&answer, "found");
    return found && found->type == JSON_INT ? found->i64 : -1;
}

void
samples_add(struct samples *s, uint64_t us)
{
    s->us = xgrow(s->us, &s->cap, s->n + 1, sizeof *s->us);
    s->us[s->n++] = us;
}

void
samples_fini(struct samples *s)
{
    free(s->us);
    *s = (struct samples){0};
}

static int
compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

uint64_t
samples_quantile(struct samples *s, double q)
{
    if (s->n == 0)
        return 0;
    qsort(s->us, s->n, sizeof *s->us, compare);
    size_t at = (size_t)(q * (double)s->n);
    return s->us[at < s->n ? at : s->n - 1];
}

void
samples_print(struct samples *s, const char *name)
{
    printf("%-34s n=%-7zu p50 %8.2f ms  p90 %8.2f ms  p99 %8.2f ms  max %8.2f ms\n", name, s->n,
           (double)samples_quantile(s, 0.5) / 1e3, (double)samples_quantile(s, 0.9) / 1e3,
           (double)samples_quantile(s, 0.99) / 1e3, (double)samples_quantile(s, 1) / 1e3);
}
