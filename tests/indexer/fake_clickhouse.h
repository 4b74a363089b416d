/*
 * What a ClickHouse server does for a table that deduplicates, as far as
 * inserts under tokens go: a thread behind a socket on loopback, told how to
 * misbehave. Everything an insert brings is summed once for each token.
 */
#ifndef TAILFIN_TESTS_FAKE_CLICKHOUSE_H
#define TAILFIN_TESTS_FAKE_CLICKHOUSE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"

#include "tests/support/rng.h"

enum fake_mood {
    FAKE_WELL,
    FAKE_REFUSES,   /* 500, nothing is taken */
    FAKE_CUTS,      /* takes it, closes without an answer */
    FAKE_SLOW,      /* takes it, answers when it is too late */
    FAKE_AWAY,      /* closes before anything is read */
    FAKE_AT_RANDOM, /* any of these for each request */
};

struct fake_clickhouse {
    pthread_t thread;
    int listener;
    char url[64]; /* with a user and a password in it */
    atomic_int mood;
    atomic_bool is_closed;
    const char *engine, *statement; /* of system.tables; engine NULL: no such table */
    struct rng rng; /* of the thread */
    pthread_mutex_t lock;
    /* Under lock: */
    struct map tokens; /* of what was taken, to a hash of the rows */
    struct map sums;   /* "<emote>" to the sum over all days */
    struct map days;
    unsigned n_inserts, n_repeats, n_denied, n_other_rows; /* n_other_rows must stay 0 */
};

/* Deduplicates, and is well. */
void fake_start(struct fake_clickhouse *f);
void fake_stop(struct fake_clickhouse *f);
/* The sum of counts of an emote, by its 16 bytes; of all emotes if NULL. */
long long fake_sum(struct fake_clickhouse *f, const unsigned char *emote);

#endif
