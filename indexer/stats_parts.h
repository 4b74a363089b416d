/* What the files of the emote statistics share. Private to indexer/stats*.c. */
#ifndef TAILFIN_INDEXER_STATS_PARTS_H
#define TAILFIN_INDEXER_STATS_PARTS_H

#include "http/client.h"

#include "indexer/stats.h"

enum { ING_STATS_TOKEN_N = 64 };

struct ing_stats_batch {
    struct ing_stats_batch *next;
    char token[ING_STATS_TOKEN_N]; /* and the key of its entry; rises */
    struct buf rows;               /* as ing_stats_rows_write makes them */
    size_t n_rows;
    uint64_t ticket; /* of the index's batch that has the entry; 0: durable */
    bool was_sent;   /* ClickHouse may have it under this token */
};

struct ing_stats {
    struct ing_mongo *m;
    struct ing_stats_options options; /* its strings are borrowed */
    struct metrics_block *metrics;
    char instance[20]; /* of this index: what its tokens begin with */

    /* Write-back thread: */
    struct ing_stats_batch *tentative; /* counts if its transaction does; NULL: none */
    bool is_unknown;                   /* the answer to its commit was lost */
    uint64_t unknown_us;

    /* Apply thread: */
    struct ing_stats_rows deleted;
    struct ing_stats_batch *recorded; /* in a batch that is not submitted yet */

    /* Any thread, under lock: */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct ing_stats_batch *first, **end; /* those that count, in order */
    size_t n_batches;
    uint64_t last_number; /* of a token */
    uint64_t n_rows_sent, n_troubles;
    char trouble[ERR_TEXT_MAX];
    bool is_closed;

    /* Sending thread: */
    pthread_t thread;
    struct http_client *client;
    struct arena texts;
    const char *url; /* without credentials */
    const char *headers[3];
    bool is_checked; /* the table was found fit */
    bool is_sending; /* the thread was started */
};

/* ---- stats.c ---- */

/* A batch with a new token; takes the rows' text. */
struct ing_stats_batch *ing_stats_batch_new(struct ing_stats *s, struct buf *take_rows,
                                            size_t n_rows);
void ing_stats_batch_free(struct ing_stats_batch *b); /* NULL allowed */
/* Puts the batch's entry into an index batch. */
void ing_stats_put_entry(struct ing_stats_batch *b, bool is_sure, struct idx_batch *to);
void ing_stats_drop_entry(const struct ing_stats_batch *b, struct idx_batch *to);

/* ---- stats_send.c ---- */

/* Reads URL and credentials; asks about the table if ClickHouse answers. RC_INVALID. */
MUST_USE enum rc ing_stats_send_start(struct ing_stats *s, struct err *err);
void ing_stats_send_stop(struct ing_stats *s);

#endif
