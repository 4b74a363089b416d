/*
 * The Typesense sink's insides: what its files share. The sink follows the
 * local index, never MongoDB: whatever a generation holds is sent in the order
 * of ids while it is new to the cluster, and from then on whatever is owed
 * (sink_pending.h). One thread; requests are made by http/client.h. Private to
 * indexer/.
 *
 * Per collection of the profile, stored with the index's commits (sink_state.c):
 *
 *   idle -> building: a fresh collection `emotes_<ms>` is made on the cluster
 *           and filled by a scan of the local generation; meanwhile the one
 *           that the alias names is kept fresh too
 *        -> following: the alias names it; what is owed is sent
 *        -> building: when the local generation is another one (a reindex)
 */
#ifndef TAILFIN_INDEXER_SINK_H
#define TAILFIN_INDEXER_SINK_H

#include "http/client.h"

#include "indexer/lease.h"
#include "indexer/pipeline.h"
#include "indexer/sink_pending.h"

enum { ING_SINK_NAME_MAX = 300, ING_SINK_NODES_MAX = 16 };

struct ing_sink_feed { /* one collection that the cluster gets */
    const struct ing_feed *feed;
    struct span name; /* the alias */
    /* Stored: */
    uint32_t uid;                     /* the local generation that is sent; 0: none yet */
    char target[ING_SINK_NAME_MAX];   /* what the alias names, kept fresh; "": none */
    char building[ING_SINK_NAME_MAX]; /* what is being filled; "": nothing */
    bool is_scanned;                  /* all of it was sent; then a sweep, then the swap */
    struct buf at;                    /* the last id of the scan that is acknowledged */
    bool is_partial;  /* the target may lack changes: no one else may go on with it */
    uint32_t since_s; /* all changes since this cluster time are owed or sent */
    /* Since the lease was taken: */
    bool is_checked;              /* its collections were looked at and fit */
    uint64_t n_swept;             /* sweeps that had begun when the scan ended */
    uint64_t retry_us;            /* after a refusal: not before (clock_us) */
    char refusal[ERR_TEXT_MAX];   /* why the cluster does not take the collection; "": it does */
    uint64_t n_built, n_to_build; /* for people: documents of the scan */
};

struct ing_sink_old { /* a collection to be dropped */
    char name[ING_SINK_NAME_MAX];
    uint64_t drop_ms; /* wall clock */
};

struct ing_sink_node {
    char *url; /* without a slash at the end */
    bool is_up;
    uint64_t n_failures;
};

struct ing_sink_slots; /* sink_send.c: requests on their way */

enum ing_sink_state {                   /* for people */
                      ING_SINK_WAITING, /* another sidecar feeds, or it is not known */
                      ING_SINK_QUIET,   /* the lease was taken: the last requests of the holder
                                           before run out, our index catches up with it */
                      ING_SINK_BUILDING,
                      ING_SINK_FOLLOWING,
                      ING_SINK_RETRYING, /* the cluster is away, busy or refuses */
                      ING_SINK_STATE_N
};

struct ing_sink_report { /* what readers see; under ing_sink.lock */
    enum ing_sink_state state;
    char trouble[ERR_TEXT_MAX]; /* the last one; stays for reading */
    uint64_t trouble_wall_us, n_troubles, told_us;
    uint64_t n_pending;
    uint32_t oldest_s;
    uint32_t acked_s; /* all changes up to this cluster time are acknowledged; 0: unknown */
    unsigned n_feeds;
    struct { /* of the feeds, as they are stored */
        struct span name;
        char target[ING_SINK_NAME_MAX];
        uint64_t n_built, n_to_build;
        bool is_building, is_covered; /* what is owed is all that the target may lack */
        char refusal[ERR_TEXT_MAX];
    } feeds[ING_FEEDS_MAX];
};

struct ing_sink {
    /* Constant after the start: */
    struct ing_mongo *m;
    struct ing_sink_options options;
    char *key_header;
    struct metrics_block *metrics;
    pthread_t thread;

    /* Apply thread and ours: */
    struct ing_pending pending;

    /* Our thread: */
    struct ing_client client; /* MongoDB: the lease */
    struct ing_lease lease;
    uint64_t quiet_until_us, lease_retry_us; /* boot clock */
    uint64_t stood_us;                       /* the look at the lease that was last heeded */
    bool has_taken_over;                     /* since the lease was taken: ing_sink_take_over */
    uint32_t kept_s; /* changes since this cluster time are owed or sent to the last target */
    struct http_client *http;
    struct ing_sink_node nodes[ING_SINK_NODES_MAX]; /* is_up, n_failures: under lock too */
    unsigned n_nodes, node;
    uint64_t nodes_us; /* when those that are down are asked again */
    struct ing_sink_feed feeds[ING_FEEDS_MAX];
    unsigned n_feeds;
    char by[40]; /* this directory's name among sidecars; "": not made yet */
    struct ing_sink_old *old;
    size_t n_old, cap_old;
    struct idx_reader *reader;
    struct idx_doc_reader *doc_reader;
    struct ing_sink_slots *slots;
    size_t window_docs, batch_bytes; /* smaller after failures, then growing again */
    unsigned n_tries;                /* failures in a row */
    uint64_t retry_after_us;         /* asked for by the cluster's last answer */
    uint64_t looked_ticket;          /* of the last sample */
    uint64_t settled_ticket;         /* of the last entries taken away */
    struct ing_sweep sweep;          /* what of it was more than one window; else empty */
    uint32_t sweep_s;                /* changes up to this cluster time are in it; 0: unknown */
    uint64_t n_sweeps, n_swept;      /* begun, and over: the last one that is */
    uint64_t n_pending;
    uint32_t oldest_s; /* stamp of the oldest; 0: none */
    uint32_t acked_s;  /* all changes until this cluster time are acknowledged; 0: unknown */
    bool has_moved;    /* the stored state, since it was submitted */

    /* Any thread, under lock: */
    pthread_mutex_t lock;
    struct ing_sink_report report;
    atomic_bool is_closed, is_over;
};

/* ---- sink.c ---- */

void *ing_sink_main(void *arg);
/* The collection ("": none) is dropped after that time. */
void ing_sink_add_old(struct ing_sink *s, const char *name, uint64_t wait_us);

/* ---- sink_state.c ---- */

/* Reads what is stored into feeds and old; unknown collections are forgotten. RC_CORRUPT. */
MUST_USE enum rc ing_sink_state_read(struct ing_sink *s, struct span text, struct err *err);
/* Puts the state into the batch. */
void ing_sink_state_put(const struct ing_sink *s, struct idx_batch *b);

/* ---- sink_target.c: one request at a time, of the node that is up ---- */

struct ing_sink_answer {
    int status;
    struct buf body; /* the caller's: ing_sink_answer_fini */
};

void ing_sink_answer_fini(struct ing_sink_answer *a);
/*
 * Asks the cluster. path begins with a slash. RC_OK for any answer below 500
 * but 401, 403, 408, 422, 429; RC_DENIED; RC_BUSY (s->retry_after_us); RC_UNREACHABLE;
 * RC_STOPPED without the lease.
 */
MUST_USE enum rc ing_sink_ask(struct ing_sink *s, const char *method, const char *path,
                              struct span body, struct ing_sink_answer *out, struct err *err);
/* What an answer's status means, as above. Sets s->retry_after_us. */
enum rc ing_sink_judge(struct ing_sink *s, int status, uint64_t retry_after_s, struct span body,
                       struct err *err);
/* After a failure: the next node that says it is healthy, if there is one. */
void ing_sink_fail_over(struct ing_sink *s);
/* After a success: asks those that are down, from time to time. */
void ing_sink_look_at_nodes(struct ing_sink *s);
/* Appends the sentence of an error body, or its beginning. */
void ing_sink_reason(struct span body, char *out, size_t n);
/* name as a part of a URL's path. */
void ing_sink_put_escaped(struct buf *out, struct span name);
/* The lease is held for certain, for long enough that a request may begin. */
bool ing_sink_may_send(const struct ing_sink *s);

/* ---- sink_schema.c: collections and aliases ---- */

/* The profile's schema in Typesense's dialect, under another name. */
void ing_sink_write_schema(const struct sch_collection *c, const char *name, struct buf *out);
/*
 * Appends the fields that c has and the collection (as the cluster showed it)
 * lacks as the body of a PATCH; false if it lacks none, or has one with
 * another type (*is_other: it must be built anew).
 */
bool ing_sink_write_missing(const struct sch_collection *c, const struct json *shown,
                            struct buf *out, bool *is_other);
/* Makes the collection `name` unless it is there. RC_INVALID if the cluster refuses it. */
MUST_USE enum rc ing_sink_create(struct ing_sink *s, const struct ing_sink_feed *f,
                                 const char *name, bool *is_new, struct err *err);
/* Looks at `name`, adds missing fields. RC_ABSENT; RC_INVALID if it cannot be made to fit. */
MUST_USE enum rc ing_sink_fit(struct ing_sink *s, const struct ing_sink_feed *f, const char *name,
                              struct err *err);
/* What the alias names; "" if it is none. */
MUST_USE enum rc ing_sink_alias(struct ing_sink *s, struct span alias, char out[ING_SINK_NAME_MAX],
                                struct err *err);
/*
 * Makes the alias name this collection. A plain collection of the alias's name
 * is dropped just before: Typesense would go on answering from it.
 */
MUST_USE enum rc ing_sink_swap(struct ing_sink *s, struct span alias, const char *name,
                               struct err *err);
MUST_USE enum rc ing_sink_drop(struct ing_sink *s, const char *name, struct err *err);

/* ---- sink_send.c: many documents at a time ---- */

struct ing_sink_item { /* one document to bring up to date */
    struct span key;   /* of the owed entry; empty in a scan */
    struct span id;
    struct ing_sink_feed *feed;
    unsigned n_wanted, n_acked; /* collections it goes to */
    bool is_deleted;            /* it was gone */
    struct span rejection;      /* the cluster's reason; p NULL: none */
};

struct ing_sink_window { /* distinct documents, sent in any order */
    struct arena arena;
    struct ing_sink_item *items;
    size_t n, cap;
};

void ing_sink_slots_open(struct ing_sink *s);
void ing_sink_slots_close(struct ing_sink *s);
/*
 * Sends every item to all collections of its feed, several requests at a time,
 * and reads every line of the answers. RC_OK: each item is acknowledged or
 * rejected. Else some are not; nothing is on its way any more when this
 * returns. RC_BUSY, RC_UNREACHABLE, RC_DENIED, RC_ABSENT (a collection is
 * gone: its feed is no longer checked), RC_INVALID (answers that make no
 * sense), RC_STOPPED.
 */
MUST_USE enum rc ing_sink_send(struct ing_sink *s, struct ing_sink_window *w, struct err *err);
bool ing_sink_item_is_done(const struct ing_sink_item *item);

/* ---- sink_scan.c ---- */

/*
 * Adds the next documents of the feed's generation in the order of ids behind
 * f->at, at most max; fewer are all that is left. False if the generation is
 * gone.
 */
MUST_USE bool ing_sink_scan(struct ing_sink *s, struct ing_sink_feed *f, size_t max,
                            struct ing_sink_window *w);

/* ---- sink_lease.c ---- */

/* Looks at the lease, renews it, publishes what is acknowledged. True while it is ours. */
bool ing_sink_keep_lease(struct ing_sink *s);
/* While another one feeds: takes over what it publishes, forgets what it has sent. */
void ing_sink_stand_by(struct ing_sink *s);
/* With the lease, when our index has what the holder before us has sent: the same a last time. */
void ing_sink_take_over(struct ing_sink *s);

/* ---- sink_status.c ---- */

void ing_sink_report(struct ing_sink *s, enum ing_sink_state state);
void ing_sink_trouble(struct ing_sink *s, const struct err *err, uint64_t wait_us);

#endif
