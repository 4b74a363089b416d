/*
 * Who may write back, and who may feed Typesense: a document in MongoDB for
 * each, held by one sidecar at a time.
 * Every batch of write-backs is a transaction that also moves the lease's beat,
 * filtered by holder and epoch, so a holder that was asleep and lost the lease
 * cannot write. No clocks are compared between machines: a lease is dead when
 * its beat has not moved for TTL by the watcher's own clock.
 *
 * A transaction that its holder does not end (killed, paused, cut off) would
 * keep everybody from the document until the server ends it, after 60 s. So
 * the document names the session before it is used, and who comes next ends
 * what is open in it. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_LEASE_H
#define TAILFIN_INDEXER_LEASE_H

#include "indexer/source.h"

enum ing_lease_state {
    ING_LEASE_WATCHED, /* someone else may hold it; not known to be alive yet */
    ING_LEASE_OTHERS,  /* someone else holds it and is alive */
    ING_LEASE_HELD,
    ING_LEASE_REFUSED, /* the server has no transactions */
};

enum { ING_LEASE_NAME_N = 40 }; /* with the NUL */

struct ing_lease {
    const char *id;  /* "writeback", "typesense"; borrowed */
    uint64_t ttl_us; /* without a beat for so long, the holder is dead */
    /* What a holder tells the others with its beats; borrowed, NULL: nothing. */
    const bson_t *told;
    enum ing_lease_state state;
    char holder[ING_LEASE_NAME_N]; /* ours; made at the first look unless it is set */
    /*
     * A holder that is known to be dead, for it had our directory; empty: none.
     * (Of a copied directory it may be alive: it loses the lease, once.)
     */
    char former[ING_LEASE_NAME_N];
    int64_t epoch;   /* ours, while held */
    /* What was seen of someone else's: */
    char other[ING_LEASE_NAME_N];
    int64_t other_epoch, other_beat;
    uint64_t other_boot_us; /* when it last moved */
    uint64_t looked_us;     /* boot clock before the last look or renewal */
    bool was_dead; /* taken from a holder that died: its last requests may still be on their way */
    bson_t *session; /* ours, as the document has it; NULL: it has none */
    bson_t *seen;  /* the document as it was last looked at; NULL: never. ing_lease_fini */
};

enum { ING_LEASE_TTL_US = 10000000, ING_LEASE_LOOK_US = 2000000 };

void ing_lease_fini(struct ing_lease *l);
/* A name for a holder: distinct by process and moment, not secret. */
void ing_lease_make_name(char out[ING_LEASE_NAME_N]);

/* Looks, takes over or renews, if it is due. RC_UNREACHABLE leaves the state as it was. */
MUST_USE enum rc ing_lease_keep(struct ing_lease *l, struct ing_client *c, struct err *err);
/*
 * Before a transaction of the client's session: makes sure that the document
 * names it. RC_CONFLICT as below, RC_UNREACHABLE. Seldom has anything to do.
 */
MUST_USE enum rc ing_lease_prepare(struct ing_lease *l, struct ing_client *c, struct err *err);
/*
 * Inside the session's open transaction: moves the beat. RC_CONFLICT if the
 * lease was lost (then it is watched), RC_UNREACHABLE.
 */
MUST_USE enum rc ing_lease_beat(struct ing_lease *l, struct ing_client *c, struct err *err);
/* Lets others take it at once. Errors do not matter: it dies by itself. */
void ing_lease_release(struct ing_lease *l, struct ing_client *c);

#endif
