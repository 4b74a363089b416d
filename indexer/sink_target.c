/* One request to the Typesense cluster: which node, what an answer means, when to go elsewhere. */
#include "indexer/sink.h"

#include "base/clock.h"

enum {
    ANSWER_BYTES_MAX = 8 << 20,
    HEALTH_TIMEOUT_US = 1000000,
    NODES_US = 15000000,
    LEASE_MARGIN_US = 500000
};

/* ---- words ---- */

void
ing_sink_put_escaped(struct buf *out, struct span name)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] && strchr(safe, name.p[i]))
            buf_putc(out, name.p[i]);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)name.p[i]);
    }
}

void
ing_sink_reason(struct span body, char *out, size_t n)
{
    struct arena arena = {0};
    struct json json;
    struct span text = body;
    if (json_parse(body, &arena, &json, NULL) == RC_OK)
        text = json_get_str(&json, "message", body);
    snprintf(out, n, "%.*s", (int)(text.n < n ? text.n : n - 1), text.p ? text.p : "");
    arena_fini(&arena);
}

enum rc
ing_sink_judge(struct ing_sink *s, int status, uint64_t retry_after_s, struct span body,
               struct err *err)
{
    char reason[160];
    /* 422: out of disk or memory. */
    bool is_busy = status == 408 || status == 422 || status == 429 || status == 503;
    if (status < 500 && !is_busy && status != 401 && status != 403)
        return RC_OK;
    ing_sink_reason(body, reason, sizeof reason);
    if (status == 401 || status == 403)
        return err_set(err, RC_DENIED, "Typesense refuses the key (%d): %s", status, reason);
    if (!is_busy)
        return err_set(err, RC_UNREACHABLE, "Typesense failed (%d): %s", status, reason);
    s->retry_after_us = (retry_after_s < 300 ? retry_after_s : 300) * 1000000;
    return err_set(err, RC_BUSY, "Typesense is busy (%d): %s", status, reason);
}

/* ---- the lease ---- */

bool
ing_sink_may_send(const struct ing_sink *s)
{
    uint64_t now_us = clock_boot_us();
    return s->lease.state == ING_LEASE_HELD && now_us >= s->quiet_until_us &&
           now_us + LEASE_MARGIN_US < s->lease.looked_us + s->lease.ttl_us &&
           !atomic_load(&s->is_closed);
}

/* ---- nodes ---- */

static void
mark(struct ing_sink *s, unsigned node, bool is_up)
{
    struct ing_sink_node *n = &s->nodes[node];
    bool was_up = n->is_up;
    pthread_mutex_lock(&s->lock);
    n->is_up = is_up;
    n->n_failures += !is_up;
    pthread_mutex_unlock(&s->lock);
    if (was_up != is_up)
        log_line(s->m->options.log, is_up ? LOG_INFO : LOG_WARN, "indexer", "typesense",
                 "node=%s state=%s", n->url, is_up ? "up" : "down");
    unsigned n_up = 0;
    for (unsigned i = 0; i < s->n_nodes; i++)
        n_up += s->nodes[i].is_up;
    metrics_set(s->metrics, M_SINK_NODES_UP, n_up);
}

static bool
is_healthy(struct ing_sink *s, unsigned node)
{
    struct buf url = {0}, body = {0};
    struct err err;
    int status = 0;
    buf_printf(&url, "%s/health", s->nodes[node].url);
    buf_putc(&url, 0);
    struct http_call call = {.method = "GET",
                             .url = url.p,
                             .timeout_us = HEALTH_TIMEOUT_US,
                             .answer_bytes_max = 1 << 16};
    enum rc rc = http_client_fetch(s->http, &call, &status, &body, &err);
    buf_fini(&url);
    buf_fini(&body);
    return rc == RC_OK && status == 200;
}

void
ing_sink_look_at_nodes(struct ing_sink *s)
{
    if (!s->nodes[s->node].is_up)
        mark(s, s->node, true); /* it has just answered */
    if (clock_us() < s->nodes_us)
        return;
    s->nodes_us = clock_us() + NODES_US;
    for (unsigned i = 0; i < s->n_nodes && !atomic_load(&s->is_closed); i++) {
        if (!s->nodes[i].is_up && is_healthy(s, i))
            mark(s, i, true);
    }
}

void
ing_sink_fail_over(struct ing_sink *s)
{
    unsigned was = s->node;
    for (unsigned i = 0; i < s->n_nodes && !atomic_load(&s->is_closed); i++) {
        unsigned node = (was + 1 + i) % s->n_nodes;
        bool is_up = is_healthy(s, node);
        mark(s, node, is_up);
        if (is_up && s->node == was)
            s->node = node;
    }
}

/* ---- asking ---- */

void
ing_sink_answer_fini(struct ing_sink_answer *a)
{
    buf_fini(&a->body);
}

enum rc
ing_sink_ask(struct ing_sink *s, const char *method, const char *path, struct span body,
             struct ing_sink_answer *out, struct err *err)
{
    struct buf url = {0};
    *out = (struct ing_sink_answer){0};
    if (!ing_sink_may_send(s))
        return err_set(err, RC_STOPPED, "without the lease nothing is sent");
    buf_printf(&url, "%s%s", s->nodes[s->node].url, path);
    buf_putc(&url, 0);
    const char *const headers[] = {s->key_header, "Content-Type: application/json", NULL};
    struct http_call call = {.method = method,
                             .url = url.p,
                             .headers = headers,
                             .body = body,
                             .timeout_us = s->options.timeout_us,
                             .answer_bytes_max = ANSWER_BYTES_MAX};
    enum rc rc = http_client_fetch(s->http, &call, &out->status, &out->body, err);
    buf_fini(&url);
    if (rc)
        rc = err->rc = RC_UNREACHABLE;
    else
        rc = ing_sink_judge(s, out->status, 0, buf_span(&out->body), err);
    return rc;
}
