/*
 * Emote statistics: how many users took an emote up and how many let it go, by
 * day, as rows for a ClickHouse table. Private to indexer/.
 *
 * A row is counted by the transaction that writes a user's new list of active
 * emotes over the stored one (writeback.c): the same transaction leaves the
 * batch's token in MongoDB, so that after any crash it can be told whether the
 * batch counts. Before that, the batch is durable in the index, as an entry;
 * behind it, it is sent under its token as often as it takes, and ClickHouse
 * drops what it has seen under that token. stats.c tells the story step by
 * step; stats_rows.c makes rows, stats_send.c sends them.
 */
#ifndef TAILFIN_INDEXER_STATS_H
#define TAILFIN_INDEXER_STATS_H

#include "indexer/writeback_parts.h"

struct ing_stats;

/*
 * Reads the batches that are not acknowledged yet, asks ClickHouse about the
 * table and starts the sending thread. RC_INVALID if the options are not
 * usable or the table cannot deduplicate (a ClickHouse that is away is asked
 * again before anything is sent); RC_LIMIT.
 */
MUST_USE enum rc ing_stats_open(struct ing_mongo *m, struct ing_stats **out, struct err *err);
/* Waits for the request that is on its way, 3 s if ClickHouse is well. NULL allowed. */
void ing_stats_close(struct ing_stats *s);

/*
 * Inside the open transaction of the client's session, behind the lease's
 * beat, before the items [from, to) are written: computes what they change,
 * makes it durable and leaves the token. With an error the transaction is to
 * be aborted. Write-back thread.
 */
struct ing_stats_items {
    const struct ing_writeback_item *from, *to; /* of one feed */
    int64_t at_s;                               /* Unix seconds: the day they count for */
};
MUST_USE enum rc ing_stats_prepare(struct ing_stats *s, struct ing_client *c,
                                   const struct ing_stats_items *items, struct err *err);
/* How the transaction ended. ING_STATS_UNKNOWN: the answer to the commit was lost. */
enum ing_stats_end { ING_STATS_COMMITTED, ING_STATS_ABORTED, ING_STATS_UNKNOWN };
void ing_stats_end(struct ing_stats *s, enum ing_stats_end how);

/*
 * A crash or a lost answer left it open whether a batch counts. To be settled
 * before the next ing_stats_prepare: by ing_stats_end, as ing_stats_find_token
 * tells from inside of a transaction that fails if that batch's is open still,
 * and once it has committed. Write-back thread.
 */
bool ing_stats_is_unknown(const struct ing_stats *s);
MUST_USE enum rc ing_stats_find_token(struct ing_stats *s, struct ing_client *c, bool *is_there,
                                      struct err *err);

/*
 * While this sidecar does not hold the lease: settles a batch whose end is not
 * known, once its transaction cannot be open any more. Write-back thread.
 */
void ing_stats_look(struct ing_stats *s, struct ing_client *c);

/*
 * A user was deleted; text: the document that the index has of it. Counted if
 * this sidecar holds the lease: ing_stats_record makes it part of the batch
 * that deletes, ing_stats_submitted follows with the batch's ticket (0: it was
 * not taken). Apply thread.
 */
void ing_stats_deleted(struct ing_stats *s, struct span text, int64_t at_s);
void ing_stats_record(struct ing_stats *s, struct idx_batch *b);
void ing_stats_submitted(struct ing_stats *s, uint64_t ticket);

/* Appends a JSON object. Any thread. */
void ing_stats_write_status(struct ing_stats *s, struct buf *out);

/* ---- stats_rows.c ---- */

/* "<emote as UUID>\t<date>" to a signed count. */
struct ing_stats_rows {
    struct map counts;
};

void ing_stats_rows_fini(struct ing_stats_rows *r);
void ing_stats_rows_add(struct ing_stats_rows *r, const unsigned char emote[16], int64_t at_s,
                        int count);
/* What became of the emotes of a BSON array (NULL: none) when another one replaces it. */
void ing_stats_rows_diff(struct ing_stats_rows *r, const bson_iter_t *before,
                         const bson_iter_t *after, int64_t at_s);
/* Appends lines "<uuid>\t<date>\t<count>\n", without zeroes; returns how many. */
size_t ing_stats_rows_write(const struct ing_stats_rows *r, struct buf *out);
/* Adds lines that were written by the function above. */
void ing_stats_rows_read(struct ing_stats_rows *r, struct span lines);

#endif
