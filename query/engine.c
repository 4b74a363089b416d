/* Start, stop, and the two functions that others call: rights and filters. */
#include "query/engine.h"

#include "query/filter.h"
#include "query/keys.h"

void
qry_options_init(struct qry_options *o)
{
    *o = (struct qry_options){
        .n_loops = 1,
        .n_workers = 2,
        .worker_queue_max = 256,
        .slice_us = 4000,
        .per_page_max = 250,
        .filter_ops_max = 100,
        .searches_max = 50,
        .forward_us = 3000000,
        .shadow_percent = 10,
    };
}

/* Typesense: whom to ask, what to compare, what to pass on. */
static enum rc
start_upstream(struct qry *q, struct err *err)
{
    const struct qry_options *o = &q->options;
    enum rc rc = RC_OK;

    if (!o->is_forwarding && o->shadow == QRY_SHADOW_OFF)
        return RC_OK;
    if (!o->upstream_urls)
        return err_set(err, RC_INVALID,
                       "serving from Typesense or comparing with it needs --typesense-url");
    if (o->shadow == (o->is_forwarding ? QRY_SHADOW_TYPESENSE : QRY_SHADOW_BUILTIN))
        return err_set(err, RC_INVALID,
                       "--shadow names the side that serves: it is to be the other one");
    rc = qry_upstream_new(o, &q->upstream, err);
    if (rc == RC_OK && o->shadow != QRY_SHADOW_OFF)
        rc = qry_shadow_new(o, q->upstream, &q->shadow, err);
    if (rc == RC_OK && o->is_forwarding)
        q->forward = qry_forward_new(o, q->upstream, q->shadow);
    return rc;
}

enum rc
qry_new(const struct qry_options *options, struct qry **out, struct err *err)
{
    struct qry *q = xcalloc(1, sizeof *q);
    enum rc rc = RC_OK;

    must(options->idx && options->n_loops > 0 && options->n_workers > 0);
    q->options = *options;
    (void)pthread_mutex_init(&q->authorize_lock, NULL); /* cannot fail with default attributes */
    q->loops = xcalloc(options->n_loops, sizeof *q->loops);
    rc = start_upstream(q, err);
    while (rc == RC_OK && q->n_loops < options->n_loops) {
        struct qry_ctx *ctx = &q->loops[q->n_loops++];
        rc = qry_ctx_init(ctx, &q->options, err);
        ctx->shadow = q->shadow;
    }
    if (rc == RC_OK)
        rc = qry_ctx_init(&q->authorize, &q->options, err);
    if (rc == RC_OK)
        rc = qry_workers_start(q, err);
    if (rc == RC_OK)
        *out = q;
    else
        qry_free(q);
    return rc;
}

void
qry_free(struct qry *q)
{
    if (!q)
        return;
    qry_workers_stop(q);
    qry_forward_free(q->forward);
    qry_shadow_free(q->shadow);
    qry_upstream_free(q->upstream);
    for (unsigned i = 0; i < q->n_loops; i++)
        qry_ctx_fini(&q->loops[i]);
    qry_ctx_fini(&q->authorize);
    (void)pthread_mutex_destroy(&q->authorize_lock);
    free(q->loops);
    free(q);
}

bool
qry_authorize(struct qry *q, struct http_exchange *x, const char *action, struct span collection)
{
    struct span key = qry_key_of(x);
    bool is_allowed = qry_keyring_is_admin(q->authorize.keyring, key);

    /* Other keys than the admin's seldom write, so that a lock does no harm. */
    if (!is_allowed && key.n > 0) {
        (void)pthread_mutex_lock(&q->authorize_lock);
        const struct idx_snapshot *s = qry_ctx_begin(&q->authorize);
        qry_keyring_refresh(q->authorize.keyring, s);
        is_allowed = qry_keyring_allows(q->authorize.keyring, key, action, collection);
        qry_ctx_end(&q->authorize);
        (void)pthread_mutex_unlock(&q->authorize_lock);
    }
    if (!is_allowed)
        http_reply_error(x, rc_http(RC_DENIED),
                         "send a valid key that may do this in the header X-TYPESENSE-API-KEY");
    return is_allowed;
}

void
qry_write_health(const struct qry *q, struct buf *out)
{
    if (q->forward)
        qry_upstream_write_health(q->upstream, out);
}

bool
qry_is_healthy(const struct qry *q)
{
    return !q->forward || qry_upstream_is_up(q->upstream);
}

enum rc
qry_filter_ids(const struct idx_collection *c, struct span filter_by,
               void (*each)(void *arg, struct span id), void *arg, struct err *err)
{
    struct tkz_analyzer *analyzer = xmalloc(sizeof *analyzer);
    struct arena arena = {0};
    const struct qry_filter *filter = NULL;
    struct qry_filter_parser parser = {c, analyzer, 100, &arena, err};
    char text[IDX_ID_MAX];

    tkz_analyzer_init(analyzer, c->schema->separators, c->schema->symbols);
    if (span_eq_str(span_trim(filter_by), "*"))
        filter_by = SPAN_LIT("id:*");
    enum rc rc = qry_filter_parse(&parser, filter_by, &filter);
    if (rc == RC_OK && !filter)
        rc = err_set(err, RC_INVALID, "filter_by is empty");
    for (uint32_t v = 0; rc == RC_OK && v < c->n_views; v++) {
        const struct idx_view *view = &c->views[v];
        uint64_t *words = arena_alloc(&arena, (qry_words_n(view->n_docs) + 1) * sizeof *words);
        qry_filter_eval(filter, view, NULL, &arena, words);
        for (size_t i = 0; i < qry_words_n(view->n_docs); i++)
            for (uint64_t left = words[i]; left; left &= left - 1)
                each(arg,
                     idx_segment_id(view->segment,
                                    (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(left), text));
    }
    arena_fini(&arena);
    free(analyzer);
    return rc;
}
