/*
 * Cascades whose documents are derived anew in the index, while MongoDB may
 * not have what is written back of them yet (mode full). Those documents may
 * be marked as indexed, so no sweep would find them: what is owed is part of
 * what is stored with every commit, and of what a standby keeps for the day
 * when it takes over. Apply thread. Private to indexer/.
 *
 * A debt is paid when every list of its rounds was written, or when the
 * lease's holder tells that it has written everything of that time. One whose
 * lists were lost (a kill, a lease that went away) runs as a cascade again, as
 * soon as this sidecar is the holder: documents are compared with MongoDB, and
 * only what differs is written.
 */
#ifndef TAILFIN_INDEXER_DEBT_H
#define TAILFIN_INDEXER_DEBT_H

#include "indexer/lease.h"
#include "indexer/resume.h"

struct idx_batch;
struct ing_mongo;

struct ing_debt {
    enum ing_cascade_kind kind;
    struct buf key, at; /* of the cascade; users up to `at` are written */
    /* Cluster times: what asked for it came behind since_s (0: unknown), not behind until_s. */
    uint32_t since_s, until_s;
    /* Not stored: */
    bool is_counted;                /* the lists below are all that carry it */
    uint64_t first_list, last_list; /* numbers of lists */
    struct buf mid; /* users up to this one are written with mid_list; 0: not asked */
    uint64_t mid_list;
    bool is_applied; /* no round will add to it */
    bool is_scan;    /* a scan of the users adds to it */
};

struct ing_debts {
    struct ing_debt *v;
    size_t n, cap;
    uint64_t round_list; /* the number that the first list of this round gets */
    /* Under which names this process, and the one before it, may hold the lease. */
    char holder[ING_LEASE_NAME_N], former[ING_LEASE_NAME_N];
};

void ing_debts_fini(struct ing_debts *d);
/* What is stored; a text that is none of ours means that everything is owed. */
void ing_debts_read(struct ing_debts *d, struct span text);
/* Puts what is owed into the batch, beside the resume state. */
void ing_debts_put(const struct ing_debts *d, struct idx_batch *b);

/* Behind a round that did something, or (is_done) the last, of a cascade. Not in mode none. */
void ing_debts_incur(struct ing_mongo *m, const struct ing_cascade *c, bool is_done);
/* At the beginning of a round: what is paid goes, what was lost runs again. */
void ing_debts_settle(struct ing_mongo *m);

#endif
