/*
 * An export streamed through: pieces go on as they come, however long it is.
 * The client's thread that takes them may block, so each export has its own.
 */
#include "query/forward.h"

#include "query/engine.h"
#include "query/keys.h"
#include "query/outgoing.h"

enum { REFUSAL_MAX = 64 << 10, SECOND_US = 1000000 };

static const uint64_t export_us = 4 * 3600ull * SECOND_US, stall_us = 60ull * SECOND_US;

struct relay {
    struct http_exchange *x;
    const struct qry_upstream *upstream;
    bool has_begun;     /* the answer */
    struct buf refusal; /* a body that is no export */
    struct http_answer end;
};

static bool
on_piece(void *arg, int status, struct span bytes)
{
    struct relay *r = arg;
    struct err err;

    if (status != 200) {
        if (r->refusal.n + bytes.n <= REFUSAL_MAX)
            buf_put_span(&r->refusal, bytes);
        return true;
    }
    if (!r->has_begun)
        http_stream_begin(r->x, 200, "text/plain; charset=utf-8");
    r->has_begun = true;
    return http_stream_write(r->x, bytes, &err) == RC_OK;
}

static void
on_end(void *arg, const struct http_answer *answer)
{
    struct relay *r = arg;

    r->end.rc = answer->rc;
    r->end.status = answer->status;
}

/* Asks one node, and waits. */
static enum rc
ask(struct relay *r, int node, const struct qry_outgoing *asked, struct err *err)
{
    struct buf url = {0};
    struct http_client *client = NULL;

    buf_puts(&url, qry_upstream_url(r->upstream, node));
    buf_put_span(&url, buf_span(&asked->target));
    buf_putc(&url, '\0');
    const struct http_call call = {.method = "GET",
                                   .url = url.p,
                                   .headers = qry_upstream_headers(r->upstream),
                                   .timeout_us = export_us,
                                   .connect_us = SECOND_US,
                                   .stall_us = stall_us,
                                   .piece = on_piece,
                                   .is_identity = true};
    enum rc rc = http_client_new(1, &client, err);
    if (rc == RC_OK)
        rc = http_client_send(client, &call, on_end, r, err);
    http_client_free(client); /* waits for the end */
    buf_fini(&url);
    return rc;
}

static void
answer(struct relay *r)
{
    bool is_whole = r->end.rc == RC_OK;

    if (r->has_begun) {
        http_stream_end(r->x, is_whole);
    } else if (is_whole && r->end.status == 200) { /* an empty collection */
        http_stream_begin(r->x, 200, "text/plain; charset=utf-8");
        http_stream_end(r->x, true);
    } else if (is_whole && r->end.status >= 400 && r->end.status != 401 && r->end.status < 500) {
        http_reply(r->x, r->end.status, "application/json; charset=utf-8", &r->refusal);
    } else {
        http_reply_header(r->x, "Retry-After", "1");
        http_reply_error(r->x, 503, "no node of Typesense answers");
    }
}

static enum rc
check(struct qry_ctx *ctx, struct http_exchange *x, struct err *err)
{
    qry_keyring_refresh(ctx->keyring, qry_ctx_begin(ctx));
    bool may = qry_keyring_allows(ctx->keyring, qry_key_of(x), "documents:export",
                                  http_exchange_request(x)->parts[1]);
    qry_ctx_end(ctx);
    if (may)
        return RC_OK;
    return err_set(err, RC_DENIED, "send a key that may export in the header X-TYPESENSE-API-KEY");
}

void
qry_forward_export(struct qry_upstream *upstream, struct qry_ctx *ctx, struct http_exchange *x)
{
    struct relay r = {.x = x, .upstream = upstream, .end = {.rc = RC_UNREACHABLE}};
    struct qry_outgoing asked = {0};
    struct err err = {0};
    uint32_t tried = 0;
    int node;

    enum rc rc = check(ctx, x, &err);
    if (rc == RC_OK)
        rc = qry_outgoing_read(http_exchange_request(x), &asked, &err);
    /* Only what has not begun can be asked of another node. */
    while (rc == RC_OK && !r.has_begun && r.end.rc == RC_UNREACHABLE &&
           (node = qry_upstream_pick(upstream, 0, tried)) >= 0) {
        tried |= 1u << node;
        buf_clear(&r.refusal);
        rc = ask(&r, node, &asked, &err);
        if (r.end.rc == RC_UNREACHABLE)
            qry_upstream_failed(upstream, node);
    }
    if (rc == RC_OK)
        answer(&r);
    else
        qry_http_fail(x, rc, &err);
    buf_fini(&r.refusal);
    qry_outgoing_fini(&asked);
}
