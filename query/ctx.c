/* One thread's reader, caches and memory. */
#include "query/ctx.h"

#include "query/keys.h"

enum { FILTER_CACHE_BYTES = 4 << 20 };

enum rc
qry_ctx_init(struct qry_ctx *ctx, const struct qry_options *options, struct err *err)
{
    *ctx = (struct qry_ctx){.options = options};
    ctx->reader = idx_reader_new(options->idx);
    if (!ctx->reader)
        return err_set(err, RC_LIMIT, "too many threads read the index");
    ctx->documents = idx_doc_reader_new();
    ctx->filters = qry_filter_cache_new(FILTER_CACHE_BYTES);
    ctx->keyring = qry_keyring_new(options);
    ctx->metrics = options->metrics ? metrics_block(options->metrics) : NULL;
    return RC_OK;
}

void
qry_ctx_fini(struct qry_ctx *ctx)
{
    idx_doc_reader_free(ctx->documents);
    idx_reader_free(ctx->reader);
    qry_filter_cache_free(ctx->filters);
    qry_keyring_free(ctx->keyring);
    arena_fini(&ctx->arena);
    for (unsigned i = 0; i < QRY_ANALYZERS_N; i++) {
        free(ctx->analyzers.v[i]);
        free((void *)(uintptr_t)ctx->analyzers.settings[i].p);
    }
}

const struct idx_snapshot *
qry_ctx_begin(struct qry_ctx *ctx)
{
    qry_filter_cache_begin(ctx->filters);
    return idx_reader_begin(ctx->reader);
}

void
qry_ctx_end(struct qry_ctx *ctx)
{
    idx_doc_reader_reset(ctx->documents);
    idx_reader_end(ctx->reader);
    arena_reset(&ctx->arena);
}

/* The settings as one string: separators, NUL, symbols. */
static bool
is_for(const struct qry_analyzers *a, unsigned i, const struct sch_collection *s)
{
    struct span settings = a->settings[i];

    return a->v[i] && settings.n == s->separators.n + 1 + s->symbols.n &&
           span_starts(settings, s->separators) && settings.p[s->separators.n] == '\0' &&
           span_eq(span_from(settings, s->separators.n + 1), s->symbols);
}

const struct tkz_analyzer *
qry_ctx_analyzer(struct qry_ctx *ctx, const struct sch_collection *schema)
{
    struct qry_analyzers *a = &ctx->analyzers;
    struct buf settings = {0};

    for (unsigned i = 0; i < QRY_ANALYZERS_N; i++)
        if (is_for(a, i, schema))
            return a->v[i];
    unsigned at = a->next++ % QRY_ANALYZERS_N;
    if (!a->v[at])
        a->v[at] = xmalloc(sizeof *a->v[at]);
    free((void *)(uintptr_t)a->settings[at].p);
    buf_put_span(&settings, schema->separators);
    buf_putc(&settings, '\0');
    buf_put_span(&settings, schema->symbols);
    a->settings[at] = buf_span(&settings); /* its memory moves there */
    tkz_analyzer_init(a->v[at], schema->separators, schema->symbols);
    return a->v[at];
}
