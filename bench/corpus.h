/*
 * MongoDB documents of the 7TV data model over real names: the same seed gives
 * the same documents, and document i can be made without the ones before it.
 */
#ifndef TAILFIN_BENCH_CORPUS_H
#define TAILFIN_BENCH_CORPUS_H

#include <bson/bson.h>

#include "bench/names.h"

struct corpus_options {
    const char *data_dir; /* bench/data */
    uint64_t seed;
    uint32_t n_emotes, n_users, n_sets,
        n_edges;              /* n_roles: as many as there are names, at most 60 */
    uint32_t set_entries_max; /* 0..this many entries, few of them long */
    uint32_t images_max;      /* per emote, 1..this many; 130 bytes each */
};

struct corpus {
    struct corpus_options options;
    struct arena arena;
    struct bench_names emotes, users, roles;
    uint32_t n_roles;
};

enum corpus_kind {
    CORPUS_EMOTES,
    CORPUS_USERS,
    CORPUS_SETS,
    CORPUS_ROLES,
    CORPUS_EDGES,
    CORPUS_KIND_N
};

/* The MongoDB collection of a kind. */
const char *corpus_collection(enum corpus_kind kind);
uint32_t corpus_n(const struct corpus *c, enum corpus_kind kind);

MUST_USE enum rc corpus_open(const struct corpus_options *options, struct corpus *out,
                             struct err *err);
void corpus_close(struct corpus *c);

/* Appends the fields of document i (0 <= i < corpus_n) to *out, which is empty. Any thread. */
void corpus_document(const struct corpus *c, enum corpus_kind kind, uint32_t i, bson_t *out);
/* The 16 bytes of its _id (not for edges). */
void corpus_id(const struct corpus *c, enum corpus_kind kind, uint32_t i, unsigned char out[16]);

/* Deterministic pseudo-random numbers (SplitMix64, Steele et al. 2014). */
uint64_t corpus_random(uint64_t *state);

#endif
