/*
 * Documents of the 7TV data model, written to MongoDB: by name, or at random
 * for property tests. Ids are made from a letter and a number.
 */
#ifndef TAILFIN_TESTS_WORLD_H
#define TAILFIN_TESTS_WORLD_H

#include "tests/indexer/mongo_rig.h"
#include "tests/support/rng.h"

enum { WORLD_ID_N = 16 };

/* The 16 bytes of an id, and its ULID text (27 with the NUL). */
void world_id(char letter, unsigned number, unsigned char out[WORLD_ID_N]);
const char *world_text(char letter, unsigned number, char out[27]);

/* Letters: e emote, s set, r role, u user, p product, b badge. Each upserts by replacement. */
void world_emote(struct rig *r, unsigned number, const char *name, int score);
void world_role(struct rig *r, unsigned number, int rank, bool is_hoisted);
/* A set of the emotes [first, first + n). */
void world_set(struct rig *r, unsigned number, unsigned first, unsigned n);
/* set 0: none. */
void world_user(struct rig *r, unsigned number, unsigned set, const char *twitch_name);
void world_product(struct rig *r, unsigned number);
/* Removes by id. */
void world_remove(struct rig *r, const char *collection, char letter, unsigned number);

/* Whether the index has it under that id, and its stored text has this in it. */
bool world_has(struct rig *r, const char *collection, char letter, unsigned number,
               const char *text);

/* An edge "from -> to"; kinds as letters, 'g' for the global default (number unused). */
void world_edge(struct rig *r, char from, unsigned from_number, char to, unsigned to_number);
void world_unedge(struct rig *r, char from, unsigned from_number, char to, unsigned to_number);

/* Many emotes [first, first + n) in bulk, with an image set of a usual size. */
void world_emotes(struct rig *r, unsigned first, unsigned n);
/* One random change among small numbers of everything. */
void world_change(struct rig *r, struct rng *rng);

/* Some of each kind: 300 emotes, two users of whom one has a set and, by an edge, a role. */
void world_fill(struct rig *r);

#endif
