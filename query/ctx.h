/*
 * What a thread needs to answer requests: one for each loop and each worker,
 * so that nothing is shared and nothing is locked. Private to query/.
 */
#ifndef TAILFIN_QUERY_CTX_H
#define TAILFIN_QUERY_CTX_H

#include "base/arena.h"
#include "tokenizer/tokenizer.h"

#include "query/filter_cache.h"
#include "query/query.h"

struct qry_keyring; /* keys.h */
struct qry_shadow;  /* shadow.h */

enum { QRY_ANALYZERS_N = 8 };

struct qry_analyzers { /* the last few, by their settings */
    struct tkz_analyzer *v[QRY_ANALYZERS_N];
    struct span settings[QRY_ANALYZERS_N]; /* malloc'ed copies */
    unsigned next;
};

struct qry_ctx {
    const struct qry_options *options;
    struct idx_reader *reader;
    struct idx_doc_reader *documents;
    struct qry_filter_cache *filters;
    struct qry_keyring *keyring;
    struct metrics_block *metrics;
    struct qry_shadow *shadow; /* NULL: answers from the index are not compared */
    struct arena arena;        /* of the request being answered */
    struct qry_analyzers analyzers;
};

MUST_USE enum rc qry_ctx_init(struct qry_ctx *ctx, const struct qry_options *options,
                              struct err *err);
void qry_ctx_fini(struct qry_ctx *ctx);

/* Takes the newest snapshot for a request, and gives it back and resets the arena. */
const struct idx_snapshot *qry_ctx_begin(struct qry_ctx *ctx);
void qry_ctx_end(struct qry_ctx *ctx);

/* The collection's analyzer; borrowed until the next call. */
const struct tkz_analyzer *qry_ctx_analyzer(struct qry_ctx *ctx,
                                            const struct sch_collection *schema);

#endif
