/*
 * A fold: some parts of a generation become one. Planned and installed by the
 * writer thread, carried out by any. Between the two the writer goes on, and
 * documents of the inputs may die; installing marks them dead in the result
 * too. Commits fold RAM segments into a file, merges fold files, publishing
 * folds RAM segments in RAM. Private to the room.
 */
#ifndef TAILFIN_INDEX_FOLD_H
#define TAILFIN_INDEX_FOLD_H

#include "index/catalog.h"

struct idx_fold {
    uint32_t uid;              /* of the generation */
    uint64_t file;             /* number of the file to write; 0: the result stays in RAM */
    struct idx_schema *schema; /* of the result; a reference */
    size_t n;
    struct idx_part *from; /* n, with references: segments and live words as they were planned */
    bool is_read;          /* by others than the feeder: the result is checked for them */
    bool is_straight;      /* one input, whose bytes are the result */
    bool is_installed;
    struct idx_merge_input *inputs; /* n; with new_doc, which idx_fold_run fills */
    struct idx_segment *result;     /* from idx_fold_run until idx_fold_install */
};

/*
 * Plans to fold n parts of g (their numbers in picked), which are busy from
 * now on. At least one document of them must be alive. Writer thread.
 */
MUST_USE struct idx_fold *idx_fold_new(struct idx_generation *g, const size_t *picked, size_t n,
                                       uint64_t file);
/*
 * Makes the result: merges, writes the file, syncs it (not the directory),
 * maps it. On failure no file is left. Any thread, one at a time.
 * RC_STOPPED once *is_cancelled (may be NULL), RC_IO, RC_CORRUPT.
 */
MUST_USE enum rc idx_fold_run(struct idx_fold *f, struct fs *fs, const atomic_bool *is_cancelled,
                              struct err *err);
/*
 * Puts the result in the place of the inputs; if the generation is gone, the
 * file becomes garbage. After a successful run. Writer thread.
 */
void idx_fold_install(struct idx_fold *f, struct idx_catalog *c);
/* Also gives the inputs free if it was not installed. NULL allowed. Writer thread. */
void idx_fold_free(struct idx_fold *f, struct idx_catalog *c);

#endif
