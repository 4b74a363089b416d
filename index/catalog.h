/*
 * The writer's own picture of the index: generations with their parts,
 * entries, the resume state, and the files that no later manifest will name.
 * Ahead of the newest snapshot by what was applied since. Writer thread only.
 * Private to the room.
 */
#ifndef TAILFIN_INDEX_CATALOG_H
#define TAILFIN_INDEX_CATALOG_H

#include "index/fresh.h"
#include "index/snapshot.h"

struct idx_generation {
    uint32_t uid;
    struct idx_schema *schema; /* a reference */
    uint64_t analyzer;
    bool is_complete, is_named;
    bool is_changed; /* since `published` was made */
    bool is_merging; /* a merge of its file parts is running */
    uint64_t version, changed_us; /* when the newest operation was applied */
    struct idx_part *parts; /* no order */
    size_t n_parts, cap_parts;
    struct idx_fresh fresh;
    bool knows_ids;     /* it was made by this process, so that */
    struct buf last_id; /* no id in it is behind this one */
    struct idx_published *published; /* a reference; NULL before the first publication */
};

struct idx_state_part { /* named bytes of the resume state */
    struct span name, value;
};

struct idx_catalog {                     /* all-zero: empty */
    struct idx_generation **generations; /* sorted by uid */
    size_t n, cap;
    struct idx_entry *entries; /* sorted by kind and key; each one allocation, at kind.p */
    size_t n_entries, cap_entries;
    struct idx_table *table;       /* entries as published; NULL: changed since */
    struct idx_state_part *states; /* each one allocation, at name.p */
    size_t n_states, cap_states;
    uint64_t *garbage; /* files that were taken out and may be named by the manifest on disk */
    size_t n_garbage, cap_garbage;
    uint64_t ram_bytes, file_bytes; /* of all parts */
    bool is_changed;                /* generations came, went or changed, or entries did */
};

void idx_catalog_fini(struct idx_catalog *c);

struct idx_generation *idx_catalog_find(const struct idx_catalog *c, uint32_t uid); /* or NULL */
/* A new one with no parts; NULL if the uid is there already. schema is acquired. */
struct idx_generation *idx_catalog_create(struct idx_catalog *c, uint32_t uid,
                                          struct idx_schema *schema, uint64_t analyzer);
void idx_catalog_drop(struct idx_catalog *c, struct idx_generation *g);
/* Gives g the name in its schema; another that has it is dropped. */
void idx_catalog_name(struct idx_catalog *c, struct idx_generation *g);
/* value.p NULL removes. */
void idx_catalog_entry(struct idx_catalog *c, struct span kind, struct span key, struct span value);
void idx_catalog_state(struct idx_catalog *c, struct span name, struct span value);
void idx_catalog_garbage(struct idx_catalog *c, uint64_t file); /* 0: does nothing */
/* The entries as a table, the same as before if none changed. Borrowed. */
struct idx_table *idx_catalog_table(struct idx_catalog *c);

/* ---- parts of a generation ---- */

/* Takes the part (its references). */
void idx_generation_add(struct idx_catalog *c, struct idx_generation *g, struct idx_part part);
/* Takes part i out; its file becomes garbage. The last part moves to i. */
void idx_generation_remove(struct idx_catalog *c, struct idx_generation *g, size_t i);
/* Turns the fresh documents, if there are any, into a part. */
void idx_generation_flush(struct idx_catalog *c, struct idx_generation *g);
/* Takes parts out that have no live document left and are not busy. */
void idx_generation_sweep(struct idx_catalog *c, struct idx_generation *g);
/* True if nobody but its own feeder reads it: published at commits or when asked for. */
bool idx_generation_is_quiet(const struct idx_generation *g);
/* Makes `published` anew from the parts. Fresh documents must be flushed. */
void idx_generation_publish(struct idx_generation *g);

#endif
