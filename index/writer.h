/*
 * The write door of the engine. One directory, one writer thread (inside), one
 * manifest, one resume state. Callers fill batches and submit them; the writer
 * thread applies them in order, publishes a snapshot every refresh_us while
 * dirty, and commits durably every commit_us. A batch's documents and state
 * become visible together and durable together.
 */
#ifndef TAILFIN_INDEX_WRITER_H
#define TAILFIN_INDEX_WRITER_H

#include "base/fs.h"
#include "base/metrics.h"

#include "index/index.h"

struct idx_options {
    struct fs *fs;            /* the data directory; borrowed, outlives the index */
    uint64_t refresh_us;      /* default 20,000 */
    uint64_t commit_us;       /* default 1,000,000 */
    uint64_t ram_bytes_max;   /* RAM segments beyond this are committed early; default 64 MB */
    uint32_t n_merge_threads; /* default 1 */
    struct metrics *metrics;  /* may be NULL */
    /* Told once per failed commit or merge (it is retried); the engine's thread. May be NULL. */
    void (*on_trouble)(void *arg, const struct err *err);
    void *trouble_arg;
};

/*
 * Opens the directory (made fit if empty), takes its lock, maps the segments
 * of the newest manifest and starts the threads. RC_CONFLICT if another
 * process has it, RC_CORRUPT (err says which file), RC_IO.
 */
MUST_USE enum rc idx_open(const struct idx_options *options, struct idx **out, struct err *err);

/*
 * Applies what was submitted, commits, stops the threads, frees. Readers must
 * be gone. The error is of the last commit; everything is freed all the same.
 */
enum rc idx_close(struct idx *idx, struct err *err);

/* ---- batches ---- */

struct idx_text { /* one element of a string field */
    const struct span *tokens; /* for IDX_TEXT; in reading order, each 1..IDX_TERM_MAX bytes */
    uint32_t n_tokens;
    struct span value;    /* for IDX_VALUE: the raw bytes; cut at IDX_VALUE_MAX */
    struct span sort_key; /* for IDX_SORT; only of non-array fields; empty: counts as missing */
};

struct idx_value { /* of one field; n = 0: missing (or an empty array) */
    uint32_t n;    /* elements; 1 for a plain field */
    union {
        const int64_t *i64; /* SCH_INT64, SCH_INT32 (cut to 32 bits by the index), SCH_BOOL 0/1 */
        const double *f64;           /* SCH_FLOAT */
        const struct idx_text *text; /* SCH_STRING */
        const unsigned char *ulids;  /* SCH_STRING that has IDX_VALUE only: 16 bytes each */
    };
    bool is_ulids;
};

/*
 * A place in a document's JSON where an array of strings is left out, brackets
 * and all: readers see the values of the field there. They must be is_ulids.
 * What is long in some collections is then stored once instead of twice.
 */
struct idx_gap {
    uint32_t at; /* byte of json before which it belongs */
    uint32_t field;
};

struct idx_doc {
    struct span id;   /* 1..IDX_ID_MAX bytes */
    uint64_t seq;     /* SCH_TIE_SEQ: for a new id; a live document of that id keeps its own */
    struct span json; /* stored as is but for the gaps; any bytes */
    const struct idx_value *values; /* one per field of the schema, in its order */
    const struct idx_gap *gaps;     /* ascending by `at`; NULL: none */
    uint32_t n_gaps;
};

struct idx_batch;
MUST_USE struct idx_batch *idx_batch_new(void);
void idx_batch_free(struct idx_batch *b); /* NULL allowed; not after a submit */
/* Memory that lives as long as the batch: build what is put from it. */
struct arena *idx_batch_arena(struct idx_batch *b);
/* Operations so far. */
size_t idx_batch_n(const struct idx_batch *b);
/*
 * Whether operation i < idx_batch_n puts or deletes a document; then of which
 * generation and with which id (in the batch's arena).
 */
bool idx_batch_change(const struct idx_batch *b, size_t i, uint32_t *uid, struct span *id);

/*
 * Appends an operation; applied in order. What they point to must live in the
 * batch's arena (the idx_doc struct itself is copied). uid: the collection
 * generation; operations on a uid that is gone by then do nothing.
 */
void idx_batch_put(struct idx_batch *b, uint32_t uid, const struct idx_doc *doc);
void idx_batch_delete(struct idx_batch *b, uint32_t uid, struct span id);

/* A fresh uid for a new generation. Any thread; durable with the commit that has the create. */
uint32_t idx_new_uid(struct idx *idx);
/*
 * A new empty generation; schema is copied. It answers to no name before
 * idx_batch_name. While it has no name or is not complete, what is put into it
 * is published only when someone asks (idx_wait) and by commits, not every
 * refresh_us: that is what makes bulk loads fast.
 */
void idx_batch_create(struct idx_batch *b, uint32_t uid, const struct sch_collection *schema,
                      uint64_t analyzer);
/* Another schema under which stored segments stay valid: fields appended at the end, metadata. */
void idx_batch_alter(struct idx_batch *b, uint32_t uid, const struct sch_collection *schema);
/* From now on the name in its schema means this generation; one that had it before is dropped. */
void idx_batch_name(struct idx_batch *b, uint32_t uid);
/* Sets is_complete: the load is over, so it is merged, also while it has no name. */
void idx_batch_complete(struct idx_batch *b, uint32_t uid);
void idx_batch_drop(struct idx_batch *b, uint32_t uid);
/* Sets (or with value.p NULL removes) an entry. */
void idx_batch_entry(struct idx_batch *b, struct span kind, struct span key, struct span value);
/* Replaces the named part of the resume state: opaque bytes, durable with this batch. */
void idx_batch_state(struct idx_batch *b, struct span name, struct span value);

/*
 * Called by the writer thread, after the batch is visible (but for what it put
 * into generations that nobody reads yet), and after it is durable. Short and
 * never blocking. RC_STOPPED if the index closed before.
 */
typedef void idx_batch_done(void *arg, enum rc rc);
void idx_batch_on_visible(struct idx_batch *b, idx_batch_done *done, void *arg);
void idx_batch_on_durable(struct idx_batch *b, idx_batch_done *done, void *arg);
/*
 * Publish as soon as it is applied instead of waiting for refresh_us (group
 * what you can). Not what is put into generations that nobody reads yet.
 */
void idx_batch_hurry(struct idx_batch *b);

/*
 * Hands the batch to the writer thread; *take is nulled, also on failure.
 * Blocks while too much is waiting (backpressure). Returns a ticket that
 * rises, 0 if the index is closing (callbacks then got RC_STOPPED).
 */
uint64_t idx_submit(struct idx *idx, struct idx_batch **take);
/*
 * The same for those who do not wait for ever: RC_CUTOFF after timeout_us
 * without room, and the batch is still the caller's. RC_STOPPED.
 */
MUST_USE enum rc idx_submit_within(struct idx *idx, struct idx_batch **take, uint64_t timeout_us,
                                   uint64_t *ticket);
/* False while so much waits for a commit that nothing is applied. Any thread. */
bool idx_has_room(struct idx *idx);
/*
 * Why the newest commit failed (it is tried again until one works), RC_OK if
 * it did not. Any thread.
 */
enum rc idx_commit_trouble(struct idx *idx, struct err *err);

enum idx_stage { IDX_APPLIED, IDX_VISIBLE, IDX_DURABLE };
/*
 * Waits until the ticket reached the stage. Asks the writer to hurry: a commit
 * begins at once for IDX_DURABLE. RC_CUTOFF after timeout_us, RC_STOPPED.
 */
MUST_USE enum rc idx_wait(struct idx *idx, uint64_t ticket, enum idx_stage stage,
                          uint64_t timeout_us);

/*
 * The durable state's named part as of the newest commit (or of opening),
 * copied into the arena; empty if absent. Any thread.
 */
struct span idx_state(struct idx *idx, struct span name, struct arena *arena);

/* The newest commit's number and when it was made (clock_wall_us). */
uint64_t idx_commit_number(struct idx *idx, uint64_t *wall_us);

/*
 * Merges every collection down to one segment and commits; for benches, tests
 * and `tailfin check`. Blocks until a moment at which that is so and nothing
 * else is waiting: with updates that never pause, as long as they go on.
 * RC_STOPPED; RC_IO, RC_CORRUPT if a commit or merge failed meanwhile.
 */
MUST_USE enum rc idx_merge_all(struct idx *idx, struct err *err);

/*
 * A consistent copy of the directory, as of the newest commit, at an absolute
 * path that does not exist yet (or is empty: RC_CONFLICT else), by links; the
 * operation log is copied. Serving goes on; commits wait meanwhile.
 */
MUST_USE enum rc idx_copy(struct idx *idx, const char *to_path, struct err *err);

/*
 * Copies the index in `from` (a copy made by idx_copy; no one has it open) into
 * `to`, by bytes: both can be used afterwards. RC_CONFLICT if `to` has files or
 * is in use. A crash in between leaves `to` without an index.
 */
MUST_USE enum rc idx_restore(struct fs *from, struct fs *to, struct err *err);

/*
 * Checks every invariant of a directory that no one has open: checksums,
 * sorted dictionaries, postings against forward lists, ids against tables.
 * Calls report for every finding (a sentence). RC_OK, RC_CORRUPT, RC_IO.
 */
MUST_USE enum rc idx_check(struct fs *fs, void (*report)(void *arg, const char *finding), void *arg,
                           struct err *err);

/* ---- the operation log: durable writes of standalone mode ---- */

/*
 * Append-only, checksummed records in files of the same directory. One
 * appending thread. Offsets rise over the life of the directory.
 */
struct idx_log;
/* Opens or makes it; a torn tail is cut (that is what was never acknowledged). */
MUST_USE enum rc idx_log_open(struct fs *fs, struct idx_log **out, struct err *err);
void idx_log_close(struct idx_log *log);
/*
 * Adds a record; not durable before idx_log_sync. *end gets the offset behind it. RC_LIMIT.
 * If that sync fails, the records since the one before are dropped (they were
 * never acknowledged) and their offsets are given out again.
 */
MUST_USE enum rc idx_log_append(struct idx_log *log, struct span record, uint64_t *end,
                                struct err *err);
MUST_USE enum rc idx_log_sync(struct idx_log *log, struct err *err);
/*
 * Calls each for every durable record at or behind offset `from`, in order.
 * Stops when each returns an error. RC_CORRUPT also if the log does not reach
 * from `from` to its end: something is missing then.
 */
MUST_USE enum rc idx_log_replay(struct idx_log *log, uint64_t from,
                                enum rc (*each)(void *arg, struct span record, uint64_t end,
                                                struct err *err),
                                void *arg, struct err *err);
/* Deletes files whose records all lie before the offset (a committed one). */
MUST_USE enum rc idx_log_trim(struct idx_log *log, uint64_t before, struct err *err);

#endif
