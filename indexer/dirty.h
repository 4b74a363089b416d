/*
 * What the change stream has told since it was last asked: keys that may have
 * changed, collections to rebuild, and the position behind all of it. The
 * stream thread fills, the apply thread takes; taking swaps, so that keys and
 * position always belong together. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_DIRTY_H
#define TAILFIN_INDEXER_DIRTY_H

#include <pthread.h>

#include "base/buf.h"
#include "base/map.h"

/*
 * Where the stream goes on: after a token (a BSON document's bytes), or, while
 * there is none, from a cluster time.
 */
struct ing_position {
    struct buf token;
    uint32_t time_s, time_i;
};

bool ing_position_is_set(const struct ing_position *p);
bool ing_position_eq(const struct ing_position *a, const struct ing_position *b);
void ing_position_copy(struct ing_position *to, const struct ing_position *from);
void ing_position_fini(struct ing_position *p);
/*
 * The cluster time up to which the stream was read. A token begins with it
 * (keystring: type byte 0x82, seconds, increment); false if it does not.
 */
bool ing_position_time(const struct ing_position *p, uint32_t *time_s, uint32_t *time_i);

enum { ING_FEEDS_MAX = 64 };

/* What told of a change: the first ING_OP_DOCUMENT_N of documents. */
enum ing_op {
    ING_OP_DERIVED, /* no event: a cascade, the sweep, a check */
    ING_OP_INSERT,
    ING_OP_UPDATE,
    ING_OP_REPLACE,
    ING_OP_DELETE,
    ING_OP_DOCUMENT_N,
    ING_OP_DROP = ING_OP_DOCUMENT_N,
    ING_OP_RENAME,
    ING_OP_DROP_DATABASE,
    ING_OP_INVALIDATE,
    ING_OP_OTHER,
};

struct ing_dirty_set {
    /* Key: a byte with the feed's number, then the bytes of {"": _id}. Value: enum ing_op. */
    struct map keys;
    uint64_t n_events;                    /* of these keys */
    uint64_t n_merged[ING_OP_DOCUMENT_N]; /* those of keys that were there already */
    /* The same key. Value: pointer to the newest whole key (BSON), for sharded collections. */
    struct map routes;
    struct arena route_bytes;
    uint64_t rebuild;  /* bit per feed: dropped, renamed, history lost */
    uint64_t first_us; /* clock_us of the oldest key; 0: none */
    uint32_t time_s, time_i; /* newest cluster time among the events */
    struct ing_position position; /* set: covers all of the above */
    bool has_idled;    /* the stream ran dry since the last take */
};

void ing_dirty_set_fini(struct ing_dirty_set *d);

struct ing_inbox {
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* something came in, or closed: for the taker alone */
    pthread_cond_t taken;   /* room again */
    pthread_cond_t closing; /* closed: for those who only sleep */
    struct ing_dirty_set filling;
    bool is_closed;
};

enum { ING_DIRTY_SET_MAX = 100000 }; /* keys before the stream has to wait */

void ing_inbox_init(struct ing_inbox *b);
void ing_inbox_fini(struct ing_inbox *b);
/* Wakes everyone; takes return what there is, puts fail. */
void ing_inbox_close(struct ing_inbox *b);
bool ing_inbox_is_closed(struct ing_inbox *b);
/* Wakes the taker although nothing came in: there is a command for it. */
void ing_inbox_wake(struct ing_inbox *b);
/* Keys, and the events they stand for (may be NULL). */
size_t ing_inbox_n(struct ing_inbox *b, uint64_t *n_events);

/*
 * One event's outcome. key may be empty (no document); rebuild has a bit for
 * each feed to rebuild; token replaces the position. Waits while
 * ING_DIRTY_SET_MAX keys are inside. False once closed.
 */
struct ing_note {
    struct span key;
    enum ing_op op; /* of the key */
    struct span route; /* see ing_change; empty if the key is all */
    uint64_t rebuild;
    uint32_t time_s, time_i;
    struct span token;
    bool is_idle;
};
MUST_USE bool ing_inbox_put(struct ing_inbox *b, const struct ing_note *note);
/*
 * A new start: the position is this time (is_behind: without its own
 * operations) and no token. Reads are told to show at least this time: events
 * before it will not come.
 */
void ing_inbox_restart(struct ing_inbox *b, uint32_t time_s, uint32_t time_i, bool is_behind,
                       uint64_t rebuild);

/*
 * Swaps what came in into *out (which must be empty but for kept memory).
 * Waits at most wait_us for anything to come; once keys are there, until the
 * oldest is coalesce_us old or n_enough keys are inside; a fifth of that if
 * nothing was waiting at first: then more is not likely to come.
 */
void ing_inbox_take(struct ing_inbox *b, uint64_t wait_us, uint64_t coalesce_us, size_t n_enough,
                    struct ing_dirty_set *out);

/* Sleeps until closed; true if it was. */
bool ing_inbox_sleep(struct ing_inbox *b, uint64_t us);

#endif
