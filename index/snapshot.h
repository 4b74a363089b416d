/*
 * Snapshots from inside. Everything a snapshot reaches is immutable; a
 * collection that did not change is shared by the snapshots that have it.
 * Made, counted and freed by the writer thread. Private to the room.
 */
#ifndef TAILFIN_INDEX_SNAPSHOT_H
#define TAILFIN_INDEX_SNAPSHOT_H

#include "index/held.h"

struct idx_published { /* a generation as readers see it */
    uint32_t refs;
    bool is_named;
    struct idx_collection c;   /* c.views: n_views */
    struct idx_schema *schema; /* references, as are the two below */
    struct idx_seg **segs;     /* by view */
    struct idx_live **lives;   /* by view */
};

struct idx_published *idx_published_acquire(struct idx_published *p);
void idx_published_release(struct idx_published *p); /* NULL allowed */

struct idx_table { /* entries, sorted by kind and key */
    uint32_t refs;
    struct arena arena;
    struct idx_entry *entries;
    size_t n;
};

/* Copies n sorted entries; one reference. */
MUST_USE struct idx_table *idx_table_new(const struct idx_entry *entries, size_t n);
struct idx_table *idx_table_acquire(struct idx_table *t);
void idx_table_release(struct idx_table *t); /* NULL allowed */
/* Where the entry is or would be; *is_there tells. */
size_t idx_entries_find(const struct idx_entry *entries, size_t n, struct span kind,
                        struct span key, bool *is_there);

struct idx_snapshot {
    uint64_t version;
    struct idx_published **all; /* sorted by uid; references */
    size_t n_all;
    const struct idx_collection **named;   /* newest first */
    const struct idx_collection **by_name; /* the same, sorted by name */
    size_t n_named;
    struct idx_table *table; /* a reference */
    /* Of the writer, after it was replaced: */
    uint64_t retired_at; /* epoch that all readers must have reached */
    struct idx_snapshot *next_retired;
};

/* all (n, sorted by uid) and table are acquired, not taken. */
MUST_USE struct idx_snapshot *idx_snapshot_new(uint64_t version, struct idx_published *const *all,
                                               size_t n, struct idx_table *table);
void idx_snapshot_free(struct idx_snapshot *s); /* NULL allowed */

#endif
