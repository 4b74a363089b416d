/*
 * Verifying: comparing what MongoDB has with what the index holds, and making
 * dirty what differs. Private to indexer/verify*.c and the pipeline.
 *
 * A thread of its own (verify.c) with a client of its own reads a little of
 * both sides at a time and collects suspects (verify_compare.c). Suspects may
 * only be in flight, so they are settled (verify_settle.c): read once more and
 * reported if the apply thread, which has meanwhile applied everything up to
 * that reading, had no reason to touch them. A repair is a dirty key like
 * that of an event: the apply thread alone reads and submits.
 */
#ifndef TAILFIN_INDEXER_VERIFY_H
#define TAILFIN_INDEXER_VERIFY_H

#include "indexer/pipeline.h"

enum ing_difference {
    ING_SAME,
    ING_MISSING,  /* in MongoDB, not in the index */
    ING_STALE,    /* not what would be derived now */
    ING_GHOST,    /* in the index, not in MongoDB */
    ING_UNMARKED, /* the same, but write-back owes a mark */
    ING_DIFFERENCE_N
};

/* ---- suspects ---- */

struct ing_suspect {
    struct span id;  /* search id */
    struct span key; /* {"": _id}; empty: no _id has this text */
    enum ing_difference kind;
    bool is_touched; /* by the apply thread, since it was watched; under ing_verify.lock */
    bool is_counted;
    int64_t finding; /* its number in the pass's list; -1: none */
};

struct ing_suspects { /* of one collection */
    struct arena arena;
    struct map by_id; /* number in v */
    struct ing_suspect *v;
    size_t n, cap;
    uint64_t first_us;
};

enum { ING_SUSPECTS_MAX = 5000 }; /* are settled at once */

/* ---- passes ---- */

enum ing_verify_state {
    ING_VERIFY_NEVER,
    ING_VERIFY_RUNNING,
    ING_VERIFY_DONE,
    ING_VERIFY_CANCELLED
};

enum ing_verify_phase {
    ING_VERIFY_DOCS,   /* MongoDB's documents in _id order: missing and stale ones */
    ING_VERIFY_ENTRIES /* the index's ids: ghosts */
};

struct ing_finding {
    unsigned feed;
    enum ing_difference kind;
    bool is_repaired;
    struct span id;
};

struct ing_tally { /* of one collection in one pass */
    uint64_t n_docs, n_estimate;
    uint64_t n_found[ING_DIFFERENCE_N], n_repaired;
    uint64_t began_us, ended_us;
};

enum { ING_WINDOWS = 1024, ING_FINDINGS_MAX = 5000 };

/*
 * The ids of a collection parted by their hashes. Both sides add up the hashes
 * of the ids they have: where the sums are the same, there are no ghosts.
 */
struct ing_window {
    uint64_t source_sum, held_sum;
    uint32_t n_held;
    bool differs;
};

struct ing_verify_pass {
    bool is_steady; /* the one that never ends; else somebody asked for it */
    bool may_repair;
    uint64_t docs_per_s; /* 0: as fast as it goes */

    /* The place. Verify thread. */
    unsigned feed;
    enum ing_verify_phase phase;
    struct buf at;    /* BSON of {"_id": the last one compared} */
    bool has_sums;    /* windows saw every document of MongoDB's */
    bool has_foreign; /* an _id that its text does not lead back to: ghosts cannot be told */
    struct ing_window windows[ING_WINDOWS];
    unsigned window; /* the first one that is not looked at */
    struct arena arena;
    struct span *ids; /* of the index, of some windows */
    size_t n_ids, cap_ids, i_ids;
    struct ing_suspects suspects;
    uint64_t due_us;
    unsigned n_tries;

    /* What it found, under ing_verify.lock. */
    enum ing_verify_state state;
    uint64_t feeds; /* bit per collection */
    uint64_t began_wall_us, ended_wall_us, last_full_wall_us;
    struct ing_tally tallies[ING_FEEDS_MAX];
    struct arena findings_arena;
    struct ing_finding *findings;
    size_t n_findings, cap_findings;
    uint64_t n_left_out;
    unsigned n_logged;
};

struct ing_verify {
    struct ing_mongo *m;
    pthread_t thread;

    /* Verify thread: */
    struct ing_client client;
    struct idx_reader *reader;
    struct idx_doc_reader *doc_reader;
    struct ing_relations *relations;
    struct metrics_block *metrics;
    uint64_t saved_us;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* a command, the end, or a watch that passed */
    /* Under lock: */
    bool is_closing, want_cancel;
    struct ing_verify_pass asked, steady;
    /* What the apply thread looks at behind each round: */
    struct ing_suspects *watched; /* NULL: nothing */
    const struct ing_feed *watched_feed;
    size_t n_untouched;
    bool has_time, has_passed; /* the stream, the time of the second reading; no cascade open */
    uint32_t time_s, time_i;
    unsigned n_idles_needed;
    uint32_t applied_s, applied_i; /* what the apply thread has read is not newer than this */
};

/* ---- verify.c ---- */

/* True if the thread must stop what it does: the end, a cancelled pass, or a rebuild. */
bool ing_verify_is_cut(struct ing_verify *v, const struct ing_verify_pass *p);

/* ---- verify_compare.c ---- */

struct ing_advance {
    size_t n; /* documents or ids that were compared */
    bool is_end;
};

/* Compares the next documents of MongoDB's with the index and adds suspects. RC_UNREACHABLE. */
MUST_USE enum rc ing_verify_docs(struct ing_verify *v, struct ing_verify_pass *p,
                                 const struct ing_feed *f, size_t max, struct ing_advance *out,
                                 struct err *err);
/* Asks MongoDB for the next of the index's ids that may be ghosts, and adds suspects. */
MUST_USE enum rc ing_verify_entries(struct ing_verify *v, struct ing_verify_pass *p,
                                    const struct ing_feed *f, size_t max, struct ing_advance *out,
                                    struct err *err);
/* Reads both sides of every suspect anew and sets its kind. */
MUST_USE enum rc ing_verify_look(struct ing_verify *v, struct ing_suspects *s,
                                 const struct ing_feed *f, struct err *err);
/* Adds one unless it is there. key may be empty. */
void ing_suspects_add(struct ing_suspects *s, struct span id, struct span key);
void ing_suspects_clear(struct ing_suspects *s);
void ing_suspects_fini(struct ing_suspects *s);

/* ---- verify_settle.c ---- */

/*
 * Tells which suspects differ, counts and reports them, repairs them if the
 * pass may, and forgets them. RC_UNREACHABLE, RC_CUTOFF (ing_verify_is_cut):
 * they stay for another try.
 */
MUST_USE enum rc ing_verify_settle(struct ing_verify *v, struct ing_verify_pass *p,
                                   const struct ing_feed *f, struct err *err);

/* ---- verify_report.c ---- */

/* Counts a difference, keeps it in the list, logs it. */
void ing_verify_found(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                      struct ing_suspect *s);
void ing_verify_repaired(struct ing_verify *v, struct ing_verify_pass *p, const struct ing_feed *f,
                         const struct ing_suspect *s);
/* Forgets what an earlier pass found. The lock is held. */
void ing_verify_report_clear(struct ing_verify_pass *p);
/* Differences found in all collections. The lock is held. */
uint64_t ing_verify_n_found(const struct ing_verify_pass *p);

#endif
