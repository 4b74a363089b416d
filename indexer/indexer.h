/*
 * Every writer of the index: MongoDB (ing_mongo_*), and the write half of the
 * API in standalone mode (ing_api_*).
 */
#ifndef TAILFIN_INDEXER_INDEXER_H
#define TAILFIN_INDEXER_INDEXER_H

#include "base/log.h"
#include "base/metrics.h"
#include "http/http.h"
#include "index/writer.h"
#include "schema/profile.h"

/* ---- MongoDB ---- */

enum ing_writeback { ING_WRITEBACK_NONE, ING_WRITEBACK_FULL };

struct ing_sink_options { /* a Typesense cluster to be kept fresh */
    const char *urls;       /* of its nodes, separated by commas; borrowed */
    const char *api_key;    /* its admin key; borrowed */
    size_t batch_bytes;     /* of an import; default 512 kB */
    unsigned n_connections; /* imports at a time; default 2 */
    uint64_t timeout_us;    /* of a request; default 10 s */
    uint64_t grace_us;      /* from a swap to dropping what was swapped out; default 60 s */
    uint64_t lease_us;      /* without a sign of life for so long, a feeding sidecar is dead */
};
void ing_sink_options_init(struct ing_sink_options *o);

struct ing_stats_options { /* emote statistics for ClickHouse; with ING_WRITEBACK_FULL only */
    const char *url;       /* http://[user:password@]host:8123[/?database=d] */
    const char *user, *password; /* NULL or "": as in the URL */
    const char *table;     /* columns emote_id UUID, date Date, count Int32 */
};

struct ing_mongo_options {
    struct idx *idx;              /* borrowed */
    const char *uri;              /* with the database's name */
    const struct sch_profile *profile; /* borrowed */
    enum ing_writeback writeback;
    const struct ing_stats_options *stats; /* NULL: none; its strings are borrowed for good */
    uint64_t coalesce_us;         /* how long dirty keys are gathered; default 5,000 */
    unsigned batch_docs;          /* of a fetch; default 1,000 */
    uint64_t verify_docs_per_s;   /* of the steady comparison; default 0: off */
    uint64_t sweep_us;            /* between sweeps in full mode; default 60 s */
    const struct ing_sink_options *sink; /* NULL: no Typesense; borrowed */
    struct fs *fs;                 /* of the index: asked for free room; NULL: taken as given */
    uint64_t rebuild_memory_bytes; /* that a rebuild takes; 0: 256 MB */
    struct metrics *metrics;
    struct log *log;
};

struct ing_mongo;

/*
 * Starts the pipeline's threads: bootstrap where needed, then tail. Returns at
 * once; MongoDB may be away (it is retried with backoff for ever). RC_INVALID
 * for a URI that is none or names no database.
 */
void ing_mongo_options_init(struct ing_mongo_options *o);
MUST_USE enum rc ing_mongo_start(const struct ing_mongo_options *options, struct ing_mongo **out,
                                 struct err *err);
/* Stops within 4 s; what was submitted is in the index. NULL allowed. */
void ing_mongo_stop(struct ing_mongo *m);
/* Every collection of the profile has a complete generation. Any thread. */
bool ing_mongo_is_ready(struct ing_mongo *m);
/* Appends `"key":value` members for /health and /admin/status: state, lag, errors. Any thread. */
void ing_mongo_write_health(struct ing_mongo *m, struct buf *out);
void ing_mongo_write_status(struct ing_mongo *m, struct buf *out);
/* Sets the gauges that are computed when they are asked for: before metrics_write. Any thread. */
void ing_mongo_refresh_metrics(struct ing_mongo *m);
/* Age of the moment up to which all is applied; UINT64_MAX: never caught up. Any thread. */
uint64_t ing_mongo_lag_us(struct ing_mongo *m);
/*
 * Appends {"count": n, "dropped": n, "letters": [...]}: documents that a target lacks or has
 * in part, the newest `max` of them (dead.h). Any thread.
 */
void ing_mongo_write_dead_letters(struct ing_mongo *m, size_t max, struct buf *out);
/*
 * Begins a full rebuild of these collections (none: all) aside, with users
 * added to any relation; RC_CONFLICT if one of them is being rebuilt,
 * RC_ABSENT for an unknown name, RC_FULL (with figures) if disk or memory will
 * hardly do.
 */
MUST_USE enum rc ing_mongo_reindex(struct ing_mongo *m, const struct span *names, size_t n,
                                   struct err *err);
/* The same, however little room there is. */
MUST_USE enum rc ing_mongo_reindex_anyway(struct ing_mongo *m, const struct span *names, size_t n,
                                          struct err *err);
/*
 * Appends a JSON object: {"running": bool, "collections": [{"name": ..., "state":
 * "waiting"|"scanning"|"catching_up"|"done"|"cancelled", "documents": n done,
 * "estimated": n in all, "per_s": rate, "eta_s": n or null}]} of
 * the rebuild that runs, or of the last one.
 */
void ing_mongo_write_reindex(struct ing_mongo *m, struct buf *out);
/* RC_ABSENT if none is running. The old generation stays. */
MUST_USE enum rc ing_mongo_cancel_reindex(struct ing_mongo *m, struct err *err);

struct ing_verify_order {
    bool may_repair;
    uint64_t docs_per_s; /* 0: as fast as it goes, at a low priority */
};

/*
 * Begins comparing these collections (none: all) with MongoDB, and repairs
 * what differs if it may. What is only in flight is no difference. RC_CONFLICT
 * if a verification is running or a collection is being built, RC_ABSENT for
 * an unknown name. Any thread.
 */
MUST_USE enum rc ing_mongo_verify(struct ing_mongo *m, const struct span *names, size_t n,
                                  const struct ing_verify_order *order, struct err *err);
/*
 * Appends a JSON object: {"running", "state": "never"|"running"|"done"|"cancelled", "repair",
 * "documents", "missing", "stale", "ghosts", "unmarked", "repaired", "collections": [{"name",
 * "state", "documents", "estimated", "per_s", "eta_s", counts as above}], "findings":
 * [{"collection", "id", "found": "missing"|"stale"|"ghost", "repaired"}], "findings_left_out",
 * "steady": {the same of the pass that never ends, "last_full_s"}}. Any thread.
 */
void ing_mongo_write_verify(struct ing_mongo *m, struct buf *out);
/* RC_ABSENT if none is running. What was found stays. */
MUST_USE enum rc ing_mongo_cancel_verify(struct ing_mongo *m, struct err *err);
/* Whether the collection's documents come from MongoDB (API writes are then refused with 409). */
bool ing_mongo_feeds(struct ing_mongo *m, struct span collection);

/* ---- the API's write half ---- */

/* Provided by app from query/: ids of the documents matching a filter (query.h, qry_filter_ids). */
typedef enum rc ing_filter_ids(const struct idx_collection *c, struct span filter_by,
                               void (*each)(void *arg, struct span id), void *arg,
                               struct err *err);
/* Provided by app from query/: whether the key may do this; false: answered (qry_authorize). */
typedef bool ing_authorize(void *ctx, struct http_exchange *x, const char *action,
                           struct span collection);

struct ing_api_options {
    struct idx *idx;    /* borrowed */
    struct fs *fs;      /* the same directory: for the operation log */
    struct ing_mongo *mongo; /* NULL: standalone */
    ing_filter_ids *filter_ids;
    ing_authorize *authorize;
    void *authorize_ctx;
    unsigned n_import_threads; /* default 2 */
    struct metrics *metrics;
    struct log *log;
};

struct ing_api;

/*
 * Replays the operation log into the index, then starts its threads. RC_IO,
 * RC_CORRUPT. Blocks while replaying.
 */
void ing_api_options_init(struct ing_api_options *o);
MUST_USE enum rc ing_api_start(const struct ing_api_options *options, struct ing_api **out,
                               struct err *err);
void ing_api_stop(struct ing_api *a);
/*
 * Takes the exchange if it is a writing route (collections, documents, import,
 * aliases, keys, snapshot) and returns true. Loop thread; never blocks.
 */
bool ing_api_handle(struct ing_api *a, struct http_exchange *x);
/* "disk_error" as a further member of an object, while the disk takes no writes. Any thread. */
void ing_api_write_health(struct ing_api *a, struct buf *out);
/* For http_options.wants_stream: true for imports. */
bool ing_api_wants_stream(struct ing_api *a, const struct http_request *r);

#endif
