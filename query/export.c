/*
 * GET .../documents/export: one document per line, oldest first, streamed by a
 * worker from one snapshot.
 */
#include "query/engine.h"

#include "query/fields.h"
#include "query/keys.h"

enum { PIECE_BYTES = 64 << 10 };

struct place {
    struct idx_tie tie;
    uint32_t view, doc;
};

struct export
{
    struct qry_ctx *ctx;
    struct http_exchange *x;
    const struct idx_collection *collection;
    struct qry_names include, exclude;
    struct place *places; /* malloc'ed */
    size_t n;
    struct err err;
};

static struct span
param(const struct export *e, const char *name)
{
    const struct http_param *p = http_request_param(http_exchange_request(e->x), name);

    return p ? p->value : (struct span){0};
}

bool
qry_export_is_internal(const struct http_exchange *x)
{
    const struct http_param *p = http_request_param(http_exchange_request(x), "internal");

    return p && span_eq_str(p->value, "true");
}

static int
order_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->tie.hi != y->tie.hi)
        return x->tie.hi < y->tie.hi ? -1 : 1;
    return (x->tie.lo > y->tie.lo) - (x->tie.lo < y->tie.lo);
}

static void
add_view(struct export *e, uint32_t v, const uint64_t *words)
{
    const struct idx_view *view = &e->collection->views[v];

    for (size_t i = 0; i < qry_words_n(view->n_docs); i++) {
        for (uint64_t left = words[i]; left; left &= left - 1) {
            uint32_t doc = (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(left);
            e->places[e->n++] = (struct place){idx_segment_tie(view->segment, doc), v, doc};
        }
    }
}

/* Where the documents are, oldest first. */
static enum rc
find_places(struct export *e)
{
    const struct idx_collection *c = e->collection;
    struct arena *arena = &e->ctx->arena;
    const struct qry_filter *filter = NULL;
    struct qry_filter_parser parser = {c, qry_ctx_analyzer(e->ctx, c->schema),
                                       e->ctx->options->filter_ops_max, arena, &e->err};

    enum rc rc = qry_filter_parse(&parser, param(e, "filter_by"), &filter);
    if (rc != RC_OK)
        return rc;
    e->places = xcalloc(c->n_docs + 1, sizeof *e->places);
    for (uint32_t v = 0; v < c->n_views; v++) {
        const uint64_t *words = c->views[v].live;
        if (filter) {
            uint64_t *matching = arena_calloc(arena, qry_words_n(c->views[v].n_docs) + 1, 8);
            qry_filter_eval(filter, &c->views[v], e->ctx->filters, arena, matching);
            words = matching;
        }
        add_view(e, v, words);
    }
    if (e->n > 1)
        qsort(e->places, e->n, sizeof *e->places, order_places);
    return RC_OK;
}

static enum rc
stream(struct export *e)
{
    struct buf piece = {0};
    enum rc rc = RC_OK;

    for (size_t i = 0; rc == RC_OK && i < e->n; i++) {
        const struct place *p = &e->places[i];
        struct span json;
        rc = idx_doc_reader_get(e->ctx->documents, e->collection->views[p->view].segment, p->doc,
                                &json, &e->err);
        if (rc != RC_OK)
            break;
        if (i > 0)
            buf_putc(&piece, '\n');
        qry_fields_write(json, &e->include, e->include.n == 0, &e->exclude, &piece);
        if (piece.n < PIECE_BYTES)
            continue;
        rc = http_stream_write(e->x, buf_span(&piece), &e->err);
        buf_clear(&piece);
    }
    if (rc == RC_OK && piece.n > 0)
        rc = http_stream_write(e->x, buf_span(&piece), &e->err);
    buf_fini(&piece);
    return rc;
}

static enum rc
prepare(struct export *e)
{
    struct span name = http_exchange_request(e->x)->parts[1];
    const struct idx_snapshot *snapshot = qry_ctx_begin(e->ctx);

    qry_keyring_refresh(e->ctx->keyring, snapshot);
    if (!qry_keyring_allows(e->ctx->keyring, qry_key_of(e->x), "documents:export", name))
        return err_set(&e->err, RC_DENIED,
                       "send a key that may export in the header X-TYPESENSE-API-KEY");
    e->collection = qry_export_is_internal(e->x) ? idx_snapshot_find(snapshot, name)
                                                 : idx_snapshot_find_public(snapshot, name);
    if (!e->collection)
        return err_set(&e->err, RC_ABSENT, "there is no collection of that name");
    e->include = qry_names_of(param(e, "include_fields"), &e->ctx->arena);
    e->exclude = qry_names_of(param(e, "exclude_fields"), &e->ctx->arena);
    return find_places(e);
}

void
qry_http_export(struct qry_ctx *ctx, struct http_exchange *x)
{
    struct export e = {.ctx = ctx, .x = x};
    enum rc rc = prepare(&e);

    if (rc == RC_OK) {
        http_stream_begin(x, 200, "text/plain; charset=utf-8");
        rc = stream(&e);
        http_stream_end(x, rc == RC_OK);
    } else {
        qry_http_fail(x, rc, &e.err);
    }
    free(e.places);
    qry_ctx_end(ctx);
}
