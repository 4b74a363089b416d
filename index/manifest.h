/*
 * The manifest: the one file that says what the index is. Its replacement by
 * rename is the commit (commit.c). Private to the room.
 *
 * Layout, little-endian:
 *   8 bytes  "TFMANIF1"
 *   u32      version of the format, IDX_MANIFEST_VERSION
 *   u32      0
 *   u64      bytes of the body
 *   u64      XXH3 of the body
 *   body     numbers as varints, byte strings as varint length + bytes:
 *     number, wall_us, next_uid, next_file
 *     n generations, each: uid, flags (1 complete, 2 named), u64 analyzer, schema as JSON,
 *       tie (0 SEQ, 1 ID), n segments, each: file, n_bytes, n_docs, dead set
 *     n entries, each: kind, key, value; ascending by kind, key
 *     n states, each: name, value
 *   A dead set is n_dead, and if that is not 0 either n_dead ascending
 *   ordinals as differences (form 0) or the live words as u64 (form 1).
 *
 * The documents that are dead are told here and not in files of their own: one
 * file less to sync in each commit, and they cannot disagree with the rest.
 */
#ifndef TAILFIN_INDEX_MANIFEST_H
#define TAILFIN_INDEX_MANIFEST_H

#include "base/arena.h"
#include "base/fs.h"

#include "index/catalog.h"

enum { IDX_MANIFEST_VERSION = 1, IDX_FILE_NAME_MAX = 32 };

#define IDX_MANIFEST_NAME "MANIFEST"
#define IDX_MANIFEST_TEMP "MANIFEST.new"
#define IDX_LOCK_NAME "LOCK"

struct idx_manifest_segment {
    uint64_t file, n_bytes;
    uint32_t n_docs;
    const uint64_t *live; /* words; NULL: all are alive */
};

struct idx_manifest_generation {
    uint32_t uid;
    bool is_complete, is_named;
    uint64_t analyzer;
    const struct sch_collection *schema;
    struct idx_manifest_segment *segments;
    size_t n_segments;
};

struct idx_manifest {
    uint64_t number;                             /* of the commit; rises */
    uint64_t wall_us;                            /* when it was made */
    uint64_t next_uid, next_file;                /* all below are used up */
    struct idx_manifest_generation *generations; /* ascending by uid */
    size_t n_generations;
    const struct idx_entry *entries; /* sorted */
    size_t n_entries;
    const struct idx_state_part *states;
    size_t n_states;
};

void idx_manifest_encode(const struct idx_manifest *m, struct buf *out);

/*
 * Reads what encode wrote. *out and all it points to live in the arena. RC_CORRUPT with what
 * is wrong; also for a version that this program does not know.
 */
MUST_USE enum rc idx_manifest_decode(struct span bytes, struct arena *arena,
                                     struct idx_manifest *out, struct err *err);

/* Reads the directory's manifest. RC_ABSENT if it has none. */
MUST_USE enum rc idx_manifest_read(struct fs *fs, struct arena *arena, struct idx_manifest *out,
                                   struct err *err);

/* The name of a segment file. */
void idx_file_name(uint64_t file, char name[IDX_FILE_NAME_MAX]);
/* Deletes a segment file that no manifest names; what cannot be deleted goes at the next open. */
void idx_file_remove(struct fs *fs, uint64_t file);
/* The number in such a name; false if it is none. */
bool idx_file_number(const char *name, uint64_t *file);

#endif
