/*
 * What snapshots, the catalog, commits and merges hold together: segments,
 * live words, schemas. They are counted, and only the writer thread counts;
 * other threads read what they point to while the writer holds it for them
 * (a reader by its epoch, a job by the references taken when it was made).
 * Private to the room.
 */
#ifndef TAILFIN_INDEX_HELD_H
#define TAILFIN_INDEX_HELD_H

#include "base/arena.h"

#include "index/segment.h"

struct idx_schema { /* immutable */
    uint32_t refs;
    struct arena arena;
    struct sch_collection c;
};

/* A deep copy (but for `source`, which is left out) with one reference. */
MUST_USE struct idx_schema *idx_schema_new(const struct sch_collection *c);
struct idx_schema *idx_schema_acquire(struct idx_schema *s);
void idx_schema_release(struct idx_schema *s); /* NULL allowed */

struct idx_seg { /* immutable: a segment and what must outlive it */
    uint32_t refs;
    bool is_compressed; /* may go into a file as it is */
    struct idx_segment *segment;
    struct idx_schema *schema; /* what it was opened with; a reference */
    uint64_t file;             /* number of its file; 0: in RAM */
    uint64_t n_bytes;
};

/* *take_segment is owned from now on; takes a reference on schema; one reference for the caller. */
MUST_USE struct idx_seg *idx_seg_new(struct idx_segment **take_segment, struct idx_schema *schema,
                                     uint64_t file);
struct idx_seg *idx_seg_acquire(struct idx_seg *s);
void idx_seg_release(struct idx_seg *s); /* NULL allowed; unmaps at the last */

struct idx_live { /* immutable while refs > 1 */
    uint32_t refs;
    uint32_t n_words;
    uint64_t words[];
};

/* n_docs bits; all set, or all zero. Tail bits are zero. */
MUST_USE struct idx_live *idx_live_new(uint32_t n_docs, bool is_alive);
struct idx_live *idx_live_acquire(struct idx_live *l);
void idx_live_release(struct idx_live *l); /* NULL allowed */

static inline uint32_t
idx_n_words(uint32_t n_docs)
{
    return n_docs / 64 + (n_docs % 64 != 0);
}

static inline bool
idx_is_alive(const uint64_t *words, uint32_t doc)
{
    return words[doc / 64] >> (doc % 64) & 1;
}

struct idx_part { /* a segment in a generation; two references. Writer thread */
    struct idx_seg *seg;
    struct idx_live *live;
    uint32_t n_docs, n_live;
    bool is_busy; /* input of a running commit or merge: stays where it is until that ends */
    bool is_told; /* that its bytes are corrupt */
    bool is_bad;  /* a fold could not read it: it stays as it is */
};

/* The caller's references move into the part. live NULL: all are alive. */
struct idx_part idx_part_of(struct idx_seg *seg, struct idx_live *live);
/* Marks a document dead; copies the words first if others hold them. False if it was dead. */
bool idx_part_kill(struct idx_part *p, uint32_t doc);
void idx_part_fini(struct idx_part *p);

#endif
