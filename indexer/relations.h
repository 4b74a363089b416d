/*
 * What documents derive from each other: entitlement edges (the internal
 * collection "entitlement_edges": string fields "from" and "to" with SCH_EXACT,
 * id "<from>|<to>|<managed_by>"), roles and emote sets, all read from a
 * snapshot of the index. Private to indexer/.
 */
#ifndef TAILFIN_INDEXER_RELATIONS_H
#define TAILFIN_INDEXER_RELATIONS_H

#include "base/arena.h"
#include "index/index.h"

/* Bound to one snapshot; the uids say which generations to read (a reindex reads its own). */
struct ing_relations;

struct ing_relation_uids { /* 0: none; then nothing is found there */
    uint32_t edges, roles, emote_sets, users;
};

MUST_USE struct ing_relations *ing_relations_new(void);
void ing_relations_free(struct ing_relations *r); /* NULL allowed */
/*
 * From now on reads this snapshot, which the caller holds until the next bind.
 * O(1) for the same one; what is known of the graph is kept while edges and
 * roles are unchanged.
 */
void ing_relations_bind(struct ing_relations *r, const struct idx_snapshot *s,
                        const struct ing_relation_uids *uids);

/* What edges from the node lead to: search strings ("role:01..."), in the arena, distinct, sorted.
 */
void ing_relations_grants(struct ing_relations *r, struct span from, struct arena *arena,
                          struct span **out, uint32_t *n);

/* What a user has: search-document values and write-back values alike (data-model 3.6). */
struct ing_user_derived {
    struct span *entitlements; /* node strings in the order of data-model 1.5, distinct */
    uint32_t n_entitlements;
    struct span *grants; /* one hop, distinct, sorted */
    uint32_t n_grants;
    struct span *emotes;        /* sorted, distinct texts; or, where all are ULIDs: */
    unsigned char *ulids;       /* their 16 bytes each, and no texts */
    uint32_t n_emotes;
    int32_t role_rank, role_hoist_rank;
};

/*
 * Walks the graph from the user's node and the global default node. set: ULID
 * text of the active set, or empty. All of *out lives in the arena.
 * Cost: O(own edges + what they lead to + the set's entries).
 */
void ing_relations_user(struct ing_relations *r, struct span user_id, struct span set,
                        struct arena *arena, struct ing_user_derived *out);

/* The emotes as texts, whichever way they are given; n_emotes of them, perhaps in the arena. */
struct span *ing_user_emotes(const struct ing_user_derived *user, struct arena *arena);

/*
 * Ids (search ids) of documents that depend on something, from the snapshot's
 * postings; each is called once per id, in no order. users_with: those whose
 * entitlements hold the node, the user itself for a user's node (whether it
 * exists or not), and every user for the global default node.
 */
void ing_relations_users_with(struct ing_relations *r, struct span node,
                              void (*each)(void *arg, struct span id), void *arg);
void ing_relations_users_of_set(struct ing_relations *r, struct span set,
                                void (*each)(void *arg, struct span id), void *arg);
void ing_relations_sets_of_origin(struct ing_relations *r, struct span set,
                                  void (*each)(void *arg, struct span id), void *arg);

#endif
