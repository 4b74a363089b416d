/*
 * Inside index/: how segments are made and opened. Private to the room.
 * The same bytes serve in RAM and in a file: one builder, one reader.
 */
#ifndef TAILFIN_INDEX_SEGMENT_H
#define TAILFIN_INDEX_SEGMENT_H

#include <stdatomic.h>

#include "base/fs.h"

#include "index/index.h"
#include "index/writer.h"

/* ---- opening ---- */

/*
 * Takes the bytes of a built segment and makes them readable. The header and
 * the section table are checked at once; a section's checksum before its
 * first use: opening is O(sections). schema is borrowed for the life of the
 * segment. *take_bytes is owned by the segment from now on; it is nulled and
 * freed also on failure, as is a map.
 */
MUST_USE enum rc idx_segment_open_ram(struct buf *take_bytes, const struct sch_collection *schema,
                                      struct idx_segment **out, struct err *err);
/* The same over a mapped file; the segment unmaps it (through fs) when freed. */
MUST_USE enum rc idx_segment_open_map(struct fs *fs, struct fs_map *take_map,
                                      const struct sch_collection *schema, struct idx_segment **out,
                                      struct err *err);
void idx_segment_free(struct idx_segment *s); /* NULL allowed */
/*
 * Does now what would be done at first use: checks every section but stored
 * documents, whose blocks carry their own sums. Mapped bytes are then in the
 * page cache and do not count as memory of this process. RC_CORRUPT with the
 * first that fails. Any thread. O(bytes not checked yet).
 */
MUST_USE enum rc idx_segment_check(const struct idx_segment *s, struct err *err);
/* All checksums and every structural invariant; report gets each finding. */
MUST_USE enum rc idx_segment_verify(const struct idx_segment *s,
                                    void (*report)(void *arg, const char *finding), void *arg);
/* The segment's bytes, to be written to a file. */
struct span idx_segment_bytes(const struct idx_segment *s);
/* The ordinal of an id, dead or alive; by the id table. */
bool idx_segment_find_id(const struct idx_segment *s, struct span id, uint32_t *doc);
uint64_t idx_segment_seq(const struct idx_segment *s, uint32_t doc); /* SCH_TIE_SEQ; 0 else */

/* ---- building ---- */

struct idx_builder;
/* is_compressed: zstd for stored documents (files, merges); raw for short-lived RAM segments. */
MUST_USE struct idx_builder *idx_builder_new(const struct sch_collection *schema,
                                             bool is_compressed);
void idx_builder_free(struct idx_builder *b);
/*
 * Adds a document and returns its ordinal (dense from 0). Copies what it
 * needs. The same id may be added twice: the caller marks the older ordinal
 * dead. doc->seq is stored as given.
 */
uint32_t idx_builder_add(struct idx_builder *b, const struct idx_doc *doc);
uint32_t idx_builder_n(const struct idx_builder *b);
size_t idx_builder_n_bytes(const struct idx_builder *b); /* estimate of memory in use */
/* Appends the segment's bytes to *out. The builder is empty again afterwards. */
MUST_USE enum rc idx_builder_finish(struct idx_builder *b, struct buf *out, struct err *err);

/* ---- merging ---- */

struct idx_merge_input {
    const struct idx_segment *segment;
    const uint64_t *live; /* documents to keep */
    uint32_t n_live;
    uint32_t *new_doc; /* out, n_docs of the segment: new ordinal, UINT32_MAX if dropped */
};
/*
 * Writes one segment that holds the live documents of all inputs, in input
 * order, without tokenising again. May stop early with RC_STOPPED when
 * *is_cancelled becomes true (may be NULL). Any thread.
 * A field whose number of terms, postings or values is unchanged keeps its
 * meaning; schema may have more fields than the inputs' (appended: missing).
 */
MUST_USE enum rc idx_segment_merge(const struct idx_merge_input *inputs, size_t n,
                                   const struct sch_collection *schema,
                                   const atomic_bool *is_cancelled, struct buf *out,
                                   struct err *err);

/*
 * The same, for a segment that goes to a file: blocks of documents that stay
 * as they are do not pass through memory. The segment is *out with each of the
 * aparts before its place; they borrow from the inputs.
 */
struct idx_aparts;
struct idx_merge_job { /* as the parameters of idx_segment_merge */
    const struct idx_merge_input *inputs;
    size_t n;
    const struct sch_collection *schema;
    const atomic_bool *is_cancelled;
    bool is_compressed; /* the result: zstd for stored documents, but raw for short-lived RAM */
};
MUST_USE enum rc idx_segment_merge_apart(const struct idx_merge_job *job, struct buf *out,
                                         struct idx_aparts *aparts, struct err *err);

#endif
