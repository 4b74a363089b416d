/*
 * The MongoDB pipeline's insides: what its threads share and the steps of its
 * spine (pipeline.c). Private to indexer/.
 *
 * Three threads, each with a client of its own: the stream thread (stream.c)
 * turns events into dirty keys; the apply thread (pipeline.c) fetches, maps
 * and submits, scans, cascades and rebuilds; the write-back thread
 * (writeback.c) marks documents as indexed. Fields are grouped by owner.
 */
#ifndef TAILFIN_INDEXER_PIPELINE_H
#define TAILFIN_INDEXER_PIPELINE_H

#include <stdatomic.h>

#include "indexer/dead.h"
#include "indexer/debt.h"
#include "indexer/dirty.h"
#include "indexer/indexer.h"
#include "indexer/mapping.h"
#include "indexer/resume.h"
#include "indexer/scan.h"
#include "indexer/source.h"

enum ing_feed_kind { /* what a change of a document means for others */
    ING_FEED_PLAIN,
    ING_FEED_EDGES,
    ING_FEED_ROLES,
    ING_FEED_SETS,
    ING_FEED_USERS
};

/* A round applies edges, then what shows them, then what is derived from all. */
enum { ING_STAGE_EDGES, ING_STAGE_OWN, ING_STAGE_DERIVED, ING_STAGE_N };

struct ing_feed { /* one collection of the profile */
    unsigned number;
    const struct sch_collection *schema;
    struct ing_mapping *mapping;
    const char *source; /* MongoDB's name */
    bson_t fields;      /* projection of fetches and scans */
    enum ing_feed_kind kind;
    unsigned stage;
    uint64_t fingerprint;
    /* Apply thread: */
    struct ing_resume_feed *state;
    bool is_frozen; /* live was made with another mapping: it serves, nothing is put */
    uint64_t last_bad_us; /* when a bad document was last logged */
    struct ing_scan *scan; /* reads on from state->at; NULL: not begun, or after an error */
    /* Under ing_mongo.lock: */
    uint64_t n_scanned, n_estimate, began_us, ended_us;
    uint64_t n_before; /* of n_scanned: by another process */
    bool was_cancelled;
    uint64_t source_bytes; /* of the documents in MongoDB; 0: not known */
    bool shows_scanning, shows_aside; /* copies of the state, for readers */
    struct ing_origin origin; /* of MongoDB now; copied into the state with every commit */
};

enum ing_outcome {      /* what became of a changed document */
    ING_OUTCOME_APPLIED, /* the index changed */
    ING_OUTCOME_UNCHANGED, /* put again: the index held the same */
    ING_OUTCOME_ABSENT,  /* neither MongoDB nor the index has it */
    ING_OUTCOME_PARTIAL, /* indexed without fields that do not fit */
    ING_OUTCOME_BAD,     /* left out: see dead letters */
    ING_OUTCOME_MERGED,  /* one more event of a document that waited already */
    ING_OUTCOME_IGNORED, /* of a collection that is not indexed */
    ING_OUTCOME_N
};

static inline enum metric
ing_event_metric(enum ing_op op, enum ing_outcome outcome)
{
    return (enum metric)(M_EVENT_DERIVED_APPLIED + (unsigned)op * ING_OUTCOME_N + outcome);
}

struct ing_round { /* one pass of the apply thread */
    struct ing_dirty_set dirty;
    struct arena arena;
    struct ing_work { /* per feed */
        struct span *ids;   /* the bytes of {"": _id} documents */
        unsigned char *ops; /* enum ing_op of each */
        size_t n, cap_ids, cap_ops;
    } work[ING_FEEDS_MAX];
    uint64_t taken_wall_us, taken_us;
    bool is_resting;  /* scans and cascades wait */
    uint64_t rest_us; /* what they did in this round is worth */
};

enum { ING_CASCADES_SHOWN = 8 };

struct ing_status { /* under ing_mongo.lock */
    bool is_connected, was_connected;
    bool is_scanning, is_rebuilding;
    char trouble[ERR_TEXT_MAX]; /* last error; stays for reading */
    uint64_t trouble_wall_us;
    uint64_t n_troubles;
    uint64_t caught_up_wall_us; /* everything until then is applied; 0: never */
    uint64_t n_in_round; /* events taken and not yet submitted */
    size_t n_debts; /* of cascades, to MongoDB */
    size_t n_cascades;
    struct ing_cascade_progress { /* of the first of them */
        enum ing_cascade_kind kind;
        char key[96]; /* cut */
        size_t n_done, n_documents; /* n_documents 0: not counted yet */
    } cascades[ING_CASCADES_SHOWN];
    const char *state; /* its name, static, and since when */
    uint64_t state_wall_us;
    uint32_t oplog_oldest_s, oplog_newest_s; /* 0: not known */
    char oplog_trouble[ERR_TEXT_MAX];        /* why */
    const char *lease; /* of write-back: static; NULL: not looked yet */
    uint64_t n_events, n_applied, n_bad;
    uint32_t position_s, position_i; /* cluster time up to which all is submitted; 0: unknown */
    uint32_t whole_s;                /* the same, with all that follows from it */
};

struct ing_writeback_queue;

struct ing_mongo {
    /* Constant after the start: */
    struct ing_mongo_options options;
    mongoc_uri_t *uri;
    struct ing_feed *feeds;
    unsigned n_feeds;
    struct ing_feed *edges, *roles, *sets, *users; /* NULL if the profile has none */
    struct ing_verify *verify;
    struct ing_writeback_queue *writeback; /* NULL in none mode */
    struct ing_dead *dead;
    struct ing_sink *sink; /* NULL without Typesense */
    struct ing_stats *stats; /* NULL: no statistics */
    pthread_t stream_thread, apply_thread;

    /* Stream thread to apply thread: */
    struct ing_inbox inbox;
    struct ing_position start; /* where the stream thread begins; set before it starts */

    /* Apply thread: */
    struct ing_client client;
    struct ing_resume resume;
    struct ing_debts debts;
    uint32_t written_s, written_i; /* cluster time of our last write-back: reads show it */
    struct idx_reader *reader;
    struct idx_doc_reader *doc_reader;
    struct ing_relations *relations[2]; /* of the live generations, of those aside */
    uint64_t relation_ticket, relation_seen; /* last submitted, last known to be visible */
    uint64_t edges_ticket;                   /* the edges' among them */
    uint64_t submitted_ticket;               /* of any document */
    uint64_t loaded_us; /* when a rebuild was finished; 0: what it took was given back */
    size_t chunk_docs;         /* of a fetch; shrinks after time-outs */
    size_t reply_docs;         /* of a scan, likewise */
    uint64_t rest_until_us;    /* scans and cascades go on then */
    bool has_moved;            /* the position, since it was last submitted */
    uint64_t saved_us, hurried_us; /* when the position was last submitted, and with a hurry */
    uint32_t scan_end_s, scan_end_i; /* operation time behind the last scan */
    unsigned n_idles_needed;   /* else: how often the stream must run dry after it */
    struct metrics_block *apply_metrics;

    /* Any thread, under lock: */
    pthread_mutex_t lock;
    struct ing_status status;
    uint64_t want_rebuild; /* bit per feed: asked for over the API */
    bool want_cancel;
    atomic_bool is_ready;
    atomic_bool is_scanning; /* beside an index that serves */
    /*
     * The server did not answer while we stopped: closing politely (killCursors,
     * endSessions) would wait for it again, so what is open is left to the
     * process's end.
     */
    atomic_bool is_hung;

    struct ing_observer {
        pthread_t thread;
        struct metrics_block *gauges; /* set when metrics are asked for */
    } observer;
};

/* ---- observe.c ---- */

/*
 * What is looked at beside the work: how far MongoDB's oplog reaches back, how
 * large its collections are. A thread of its own with a client of its own, so
 * that a slow answer holds nothing up.
 */
void ing_observe_start(struct ing_mongo *m);
void ing_observe_stop(struct ing_mongo *m); /* once the inbox is closed */

/* ---- stream.c ---- */

void *ing_stream_main(void *arg);

/* ---- round.c ---- */

/* What to fetch for a dirty key: {"": _id}, with the rest of its route if it has one. */
struct span ing_round_id(struct ing_round *r, struct span key);
/* Adds a changed document, the bytes of {"": _id}, borrowed, to the work of its feed. */
void ing_round_add(struct ing_round *r, unsigned feed, struct span id, enum ing_op op);
/* The same for a dirty key, copied, unless it is there already. */
void ing_round_touch(struct ing_round *r, const struct ing_feed *f, struct span key);
void ing_round_touch_id(struct ing_round *r, const struct ing_feed *f, struct span search_id);

/* ---- apply.c ---- */

/*
 * Fetches n keys of w from number `at`, maps, submits. What it changes in relations is recorded as
 * cascades in m->resume, in the same batch. RC_UNREACHABLE, RC_STOPPED; then
 * nothing was submitted.
 */
MUST_USE enum rc ing_apply_keys(struct ing_mongo *m, struct ing_feed *f, const struct ing_work *w,
                                size_t at, size_t n, struct err *err);
/*
 * What a scan has read by now, or reads in a moment, up to a slice; advances f->state, whose end
 * clears is_scanning. RC_UNREACHABLE, RC_STOPPED; then the next call reads on from f->state.
 */
MUST_USE enum rc ing_apply_slice(struct ing_mongo *m, struct ing_feed *f, struct err *err);
/* Waits until submitted relations are visible. RC_STOPPED. */
MUST_USE enum rc ing_await_relations(struct ing_mongo *m);
/*
 * Waits until everything submitted is visible: whom a cascade means is told by
 * postings, and a user derived a moment ago is among them. RC_STOPPED.
 */
MUST_USE enum rc ing_await_submitted(struct ing_mongo *m);
/* Puts the resume state into the batch. */
void ing_state_put(struct ing_mongo *m, struct idx_batch *b);
/* Which generations relations are read from, for a live or an aside generation. */
void ing_relation_uids(const struct ing_mongo *m, bool is_aside, struct ing_relation_uids *out);
/* The generation that is being scanned or served: aside, or else live. */
uint32_t ing_feed_newest(const struct ing_feed *f);

/* ---- sink_open.c, sink_status.c: Typesense ---- */

struct ing_sink;
/* Before any document can change. RC_INVALID, RC_CORRUPT, RC_LIMIT. */
MUST_USE enum rc ing_sink_start(struct ing_mongo *m, struct ing_sink **out, struct err *err);
/* Within 2 s and what a request needs to be cut off. NULL allowed. */
void ing_sink_stop(struct ing_sink *s);
/*
 * idx_submit for batches that change documents of the profile's collections:
 * what is owed to Typesense for them becomes part of the batch. Apply thread.
 */
uint64_t ing_submit_documents(struct ing_mongo *m, struct idx_batch **take);
/* Members of /health and /admin/status. */
void ing_sink_write_health(struct ing_sink *s, struct buf *out);
void ing_sink_write_status(struct ing_sink *s, struct buf *out);

/* ---- cascade.c ---- */

/*
 * Whether two stored documents of a relation differ in what others depend on;
 * true for texts that cannot be read. O(json).
 */
bool ing_cascade_is_asked(const struct ing_feed *f, struct span a_text, struct span b_text);
/* Adds the documents that show the edges of recorded cascades to the round. */
void ing_cascades_touch_own(struct ing_mongo *m, struct ing_round *r);
/* Adds users, at most about max_docs; relations must be visible. */
void ing_cascades_touch_users(struct ing_mongo *m, struct ing_round *r, size_t max_docs);
/* After the round was applied: what was added is done. */
void ing_cascades_done(struct ing_mongo *m);

/* ---- reindex_ask.c ---- */

/* Tells the log if there is hardly room: for rebuilds that nobody asked for. */
void ing_rebuild_warn_room(struct ing_mongo *m, uint64_t feeds);
/* Appends an object: what rebuilding everything takes, and what is free. */
void ing_rebuild_write_room(struct ing_mongo *m, struct buf *out);

/* ---- reindex.c ---- */

/* Users are derived: they are rebuilt with every relation, so that both switch at once. */
uint64_t ing_rebuild_with_users(const struct ing_mongo *m, uint64_t feeds);

/* Decides, from the stored state and the profile, what must be made, and makes it. */
void ing_generations_prepare(struct ing_mongo *m);
/* Begins rebuilding these feeds (bits) aside; with a relation the users too. */
void ing_rebuild_begin(struct ing_mongo *m, uint64_t feeds, const char *why);
void ing_rebuild_cancel(struct ing_mongo *m);
bool ing_rebuild_may_finish(struct ing_mongo *m, const struct ing_round *r);
/* Names what was rebuilt, in one batch. */
void ing_rebuild_finish(struct ing_mongo *m);
/* Some time after a rebuild, when all of it is in files: gives its memory back. */
void ing_rebuild_tidy(struct ing_mongo *m);
/* The feeds whose turn it is to be scanned: one beside an index that serves, else side by side. */
enum { ING_SCANS = 2 };
unsigned ing_scans_next(const struct ing_mongo *m, struct ing_feed *out[ING_SCANS]);
/* Stops reading ahead. */
void ing_scan_stop(struct ing_feed *f);

/* ---- writeback.c ---- */

struct ing_writeback_list; /* of one batch */
MUST_USE struct ing_writeback_queue *ing_writeback_start(struct ing_mongo *m);
void ing_writeback_stop(struct ing_writeback_queue *q); /* NULL allowed */
size_t ing_writeback_n(struct ing_mongo *m);            /* documents in the queue; any thread */
/* Notes what a document needs (a list is made if *list is NULL); nothing if it is up to date. */
void ing_writeback_note(struct ing_mongo *m, struct ing_writeback_list **list,
                        const struct ing_feed *f, const bson_t *doc,
                        const struct ing_mapped *mapped);
/* The list is written once the batch is durable. NULL: nothing. */
void ing_writeback_attach(struct ing_writeback_list *list, struct idx_batch *b);
void ing_writeback_list_free(struct ing_writeback_list *list); /* NULL allowed */
/* Numbers of lists so far: the next one gets a higher one. Apply thread, like the next two. */
uint64_t ing_writeback_n_lists(const struct ing_mongo *m);
struct ing_writeback_progress {
    bool is_holder;
    uint64_t done_list; /* all lists up to this number are done with */
    uint64_t lost_list; /* the newest that was not written, or not in full */
    uint32_t told_s;    /* by the lease's holder: all changes before this time are written back */
};
/* Forgets the lists that are done with; out may be NULL. Reads begin behind it (written_s). */
void ing_writeback_reap(struct ing_mongo *m, struct ing_writeback_progress *out);
/* What a holder tells the others. */
void ing_writeback_tell(struct ing_mongo *m, uint32_t paid_s);
/* Whether this sidecar writes back. Any thread. */
bool ing_writeback_is_holder(struct ing_mongo *m);
/* Waits while too much is queued. */
void ing_writeback_await_room(struct ing_mongo *m);
/* Whether ing_writeback_note would note it, and this sidecar is the one that writes back. */
bool ing_writeback_owes(struct ing_mongo *m, const struct ing_feed *f, const bson_t *doc,
                        const struct ing_mapped *mapped);
/* Fields that write-back must see, added to a projection. */
void ing_writeback_fields(bson_t *projection);

/* ---- verify.c, verify_settle.c ---- */

struct ing_verify;
MUST_USE enum rc ing_verify_open(struct ing_mongo *m, struct err *err); /* RC_LIMIT */
void ing_verify_start(struct ing_mongo *m);
void ing_verify_stop(struct ing_mongo *m);      /* once the inbox is closed */
void ing_verify_close(struct ing_verify *v);    /* NULL allowed */
/* Behind a round of the apply thread: what is watched may have been touched by it. */
void ing_verify_round(struct ing_mongo *m, struct ing_round *r);
/* Appends an object: what the steady pass does. Any thread. */
void ing_verify_write_short(struct ing_mongo *m, struct buf *out);

/* ---- status.c ---- */

/* The bits of the collections named, of all if none is. RC_ABSENT. */
MUST_USE enum rc ing_feeds_named(struct ing_mongo *m, const struct span *names, size_t n,
                                 uint64_t *out, struct err *err);

/* Copies what readers see from the apply thread's state. */
void ing_status_update(struct ing_mongo *m);
/* Notices that the state has another name now. The lock is held. */
void ing_status_note_state(struct ing_mongo *m);
/* How far the index is behind, in microseconds; UINT64_MAX: never caught up. The lock is held. */
uint64_t ing_status_lag_us(const struct ing_mongo *m);
/* Counts and logs an error that is retried. */
void ing_trouble(struct ing_mongo *m, const char *what, const struct err *err, uint64_t wait_us);
void ing_log(struct ing_mongo *m, enum log_level level, const char *event, const char *text);

#endif
