/* Starting and stopping the Typesense sink. */
#include "indexer/sink.h"

#include "base/clock.h"

enum { FIRST_WINDOW_DOCS = 20000, STOP_US = 1500000 };

void
ing_sink_options_init(struct ing_sink_options *o)
{
    *o = (struct ing_sink_options){.batch_bytes = 512 << 10,
                                   .n_connections = 2,
                                   .timeout_us = 10000000,
                                   .grace_us = 60000000,
                                   .lease_us = ING_LEASE_TTL_US};
}

static enum rc
nodes_init(struct ing_sink *s, struct err *err)
{
    struct span rest = span_str(s->options.urls);
    while (rest.p) {
        struct span url = span_trim(span_split(&rest, ','));
        while (url.n && url.p[url.n - 1] == '/')
            url.n--;
        bool is_http =
            span_starts(url, SPAN_LIT("http://")) || span_starts(url, SPAN_LIT("https://"));
        if (!is_http || s->n_nodes == ING_SINK_NODES_MAX)
            return err_set(err, RC_INVALID, "%.*s is no http:// or https:// address of Typesense",
                           SPAN_ARG(url));
        s->nodes[s->n_nodes++] =
            (struct ing_sink_node){.url = xmemdup0(url.p, url.n), .is_up = true};
    }
    return s->n_nodes ? RC_OK : err_set(err, RC_INVALID, "Typesense has no address");
}

static bool
is_internal(const struct sch_collection *c)
{
    struct arena arena = {0};
    struct json json;
    const struct json *v = NULL;
    if (c->metadata.n && json_parse(c->metadata, &arena, &json, NULL) == RC_OK)
        v = json_get(&json, "internal");
    bool is = v && v->type == JSON_BOOL && v->boolean;
    arena_fini(&arena);
    return is;
}

static enum rc
feeds_init(struct ing_sink *s, struct err *err)
{
    struct ing_mongo *m = s->m;
    for (unsigned i = 0; i < m->n_feeds; i++) {
        const struct sch_collection *c = m->feeds[i].schema;
        if (!is_internal(c))
            s->feeds[s->n_feeds++] = (struct ing_sink_feed){.feed = &m->feeds[i], .name = c->name};
    }
    struct arena arena = {0};
    enum rc rc = ing_sink_state_read(s, idx_state(m->options.idx, SPAN_LIT("sink"), &arena), err);
    arena_fini(&arena);
    for (unsigned i = 0; i < s->n_feeds && !rc; i++) {
        if (s->feeds[i].uid) /* before anything can change */
            (void)ing_pending_follow(&s->pending, s->feeds[i].name, s->feeds[i].uid, NULL);
    }
    return rc;
}

static enum rc
sink_init(struct ing_sink *s, struct err *err)
{
    struct ing_mongo *m = s->m;
    enum rc rc = nodes_init(s, err);
    if (!rc)
        rc = ing_client_open(&s->client, m->uri, err);
    if (!rc)
        rc = ing_pending_open(&s->pending, m->options.idx, err);
    if (!rc)
        rc = feeds_init(s, err);
    if (!rc)
        rc = http_client_new(s->options.n_connections + 1, &s->http, err);
    if (rc)
        return rc;
    s->reader = idx_reader_new(m->options.idx);
    if (!s->reader)
        return err_set(err, RC_LIMIT, "too many readers of the index");
    s->doc_reader = idx_doc_reader_new();
    ing_sink_slots_open(s);
    struct buf header = {0};
    buf_printf(&header, "X-TYPESENSE-API-KEY: %s", s->options.api_key ? s->options.api_key : "");
    s->key_header = xmemdup0(header.p, header.n);
    buf_fini(&header);
    uint32_t time_i;
    (void)ing_position_time(&m->resume.position, &s->kept_s, &time_i); /* else 0 */
    s->window_docs = FIRST_WINDOW_DOCS;
    s->batch_bytes = s->options.batch_bytes;
    s->lease = (struct ing_lease){.id = "typesense", .ttl_us = s->options.lease_us};
    if (m->options.metrics)
        s->metrics = metrics_block(m->options.metrics);
    metrics_set(s->metrics, M_SINK_NODES_UP, s->n_nodes);
    return RC_OK;
}

static void
sink_free(struct ing_sink *s)
{
    http_client_free(s->http);
    ing_sink_slots_close(s);
    idx_doc_reader_free(s->doc_reader);
    idx_reader_free(s->reader);
    ing_pending_close(&s->pending);
    ing_sweep_fini(&s->sweep);
    if (s->client.client && !atomic_load(&s->m->is_hung))
        ing_client_close(&s->client);
    ing_lease_fini(&s->lease);
    for (unsigned i = 0; i < s->n_nodes; i++)
        free(s->nodes[i].url);
    for (unsigned i = 0; i < s->n_feeds; i++)
        buf_fini(&s->feeds[i].at);
    free(s->old);
    free(s->key_header);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

enum rc
ing_sink_start(struct ing_mongo *m, struct ing_sink **out, struct err *err)
{
    struct ing_sink *s = xcalloc(1, sizeof *s);
    s->m = m;
    s->options = *m->options.sink;
    pthread_mutex_init(&s->lock, NULL);
    enum rc rc = sink_init(s, err);
    if (rc) {
        sink_free(s);
        return rc;
    }
    must(pthread_create(&s->thread, NULL, ing_sink_main, s) == 0);
    *out = s;
    return RC_OK;
}

/*
 * What is on its way may end; what takes too long is cut off. Then the lease is
 * not handed over: the next holder waits until it is dead and the request too.
 */
void
ing_sink_stop(struct ing_sink *s)
{
    if (!s)
        return;
    uint64_t until_us = clock_us() + STOP_US;
    atomic_store(&s->is_closed, true);
    ing_pending_wake(&s->pending);
    while (!atomic_load(&s->is_over) && clock_us() < until_us)
        clock_sleep_us(5000);
    bool is_clean = atomic_load(&s->is_over);
    if (!is_clean)
        http_client_abort(s->http);
    pthread_join(s->thread, NULL);
    if (is_clean && !atomic_load(&s->m->is_hung))
        ing_lease_release(&s->lease, &s->client);
    sink_free(s);
}

uint64_t
ing_submit_documents(struct ing_mongo *m, struct idx_batch **take)
{
    return m->sink ? ing_pending_submit(&m->sink->pending, take, m->resume.read_s)
                   : idx_submit(m->options.idx, take);
}
