/*
 * An open index from inside, grouped by who may touch what. Private to the
 * room.
 */
#ifndef TAILFIN_INDEX_ENGINE_H
#define TAILFIN_INDEX_ENGINE_H

#include "index/catalog.h"
#include "index/epoch.h"
#include "index/inbox.h"
#include "index/manifest.h"
#include "index/worker.h"

enum {
    /* Fresh documents become a segment at the latest at either of these. */
    IDX_FRESH_DOCS_MAX = 16384,
    IDX_FRESH_BYTES_MAX = 16 << 20,
    /* Those of quiet generations, for which nobody waits: fewer and larger. */
    IDX_BULK_DOCS_MAX = 32768,
    IDX_BULK_BYTES_MAX = 40 << 20,
};

struct idx_waiting { /* a callback and the ticket it waits for */
    uint64_t ticket;
    struct idx_callback callback;
};

struct idx_waitings { /* ascending by ticket; [first, n) are waiting */
    struct idx_waiting *items;
    size_t first, n, cap;
};

struct idx_commit;
struct idx_seal;

struct idx_writer { /* all of it belongs to the writer thread */
    struct idx_catalog catalog;
    struct idx_snapshot *newest;                  /* what the epochs hold as newest */
    struct idx_snapshot *retired, **last_retired; /* oldest first */
    uint64_t version;
    struct idx_news news;      /* of the last look; its batches and jobs were taken */
    struct idx_batch *batches; /* taken and not yet applied */
    struct idx_waitings visibles, durables;
    struct idx_tickets tickets;
    /* When to publish. UINT64_MAX: nothing is due. */
    uint64_t publish_at_us;
    bool is_hurried, is_all_due; /* at once; quiet generations too */
    uint64_t quiet_from;         /* first ticket with something in a quiet generation; 0: none */
    uint64_t shown;              /* ticket up to which all that anybody reads is visible */
    /* When to commit. */
    uint64_t commit_at_us, commit_retry_us, commit_backoff_us;
    struct idx_commit *commit; /* running; NULL: none */
    struct idx_seal *seal;     /* under way and not yet in its generation; NULL: none */
    uint32_t n_seals;          /* not yet freed */
    uint64_t commit_number, next_file;
    bool is_last_commit; /* the one that closing makes */
    enum rc commit_rc;   /* of the newest */
    struct err commit_err;
    /* Merging. */
    uint32_t n_merging;
    bool is_merge_due;   /* parts changed: ask which */
    bool is_disk_short;  /* and that was told */
    uint64_t rest_at_us; /* when the next generation comes to rest; UINT64_MAX: none */
    uint64_t merge_retry_us, merge_backoff_us;
    struct metrics_block *metrics;
};

struct idx_durable { /* what the newest commit holds; guarded by the lock */
    pthread_mutex_t lock;
    uint64_t number, wall_us;
    struct arena arena;
    struct idx_state_part *states;
    size_t n_states;
    struct err trouble; /* of the commit after it, if that failed; else rc is RC_OK */
};

struct idx {
    /* Constant after opening. */
    struct idx_options options;
    struct fs *fs;
    pthread_t thread;
    /* Any thread, each with its own way. */
    struct idx_inbox inbox;
    struct idx_epochs epochs;
    struct idx_durable durable;
    atomic_uint next_uid;
    atomic_bool is_cancelled; /* merges: stop */
    pthread_mutex_t
        commit_lock; /* held while a manifest is replaced and files it no longer names go */
    struct idx_workers committer, sealers, mergers;
    struct idx_writer writer;
};

/* writer.c: the thread. */
void *idx_writer_main(void *idx);
/* Copies states into idx->durable. Takes its lock. */
void idx_durable_set(struct idx_durable *d, const struct idx_manifest *m);
void idx_durable_fail(struct idx_durable *d, const struct err *err);
/* Tells the owner of the index that something failed and will be tried again. */
void idx_trouble(const struct idx *idx, const struct err *err);

/* open.c: reads the directory into idx->writer, or makes it fit if it is empty. Before the threads.
 */
MUST_USE enum rc idx_load(struct idx *idx, struct err *err);

/* Maps and opens a segment that a manifest names; RC_CORRUPT if it is not what the manifest says.
 */
MUST_USE enum rc idx_segment_load(struct fs *fs, const struct idx_manifest_segment *s,
                                  const struct sch_collection *schema, struct idx_segment **out,
                                  struct err *err);

/* Below: writer thread. */

/* writer.c: answers idx_merge_all if it waits. err may be NULL. */
void idx_grant(struct idx *idx, enum rc rc, const struct err *err);

/*
 * apply.c: applies the batch's operations to the catalog. True if it was part
 * of a bulk load: documents of quiet generations and at most states beside.
 */
bool idx_apply(struct idx *idx, const struct idx_batch *b);

/* publish.c */
enum idx_scope { IDX_NAMED, IDX_ALL }; /* quiet generations wait, or do not */
void idx_publish(struct idx *idx, enum idx_scope scope);
/* Frees snapshots that no reader can hold any more. */
void idx_retire(struct idx *idx);

/* commit.c: publishes all, captures that state and has it made durable. None may be running. */
void idx_commit_start(struct idx *idx);

/* merger.c */
void idx_merges_start(struct idx *idx);
/* True if every generation is one file segment without dead documents, or empty. */
bool idx_is_one_segment(const struct idx *idx);

#endif
