/*
 * A struct fs for crash tests. It works on a real directory like fs_open_host
 * and remembers every operation, so that a test can ask what a crash after
 * operation k would have left, and can make any operation fail.
 *
 * The model: file bytes are durable after fs_sync of that file; names (create,
 * rename, unlink) are durable after fs_sync_dir. What is not durable may be
 * kept or lost, by the test's choice. Files that are in the directory at the
 * open are durable. Threads: any, as for every struct fs.
 */
#ifndef TAILFIN_TESTS_FS_RECORD_H
#define TAILFIN_TESTS_FS_RECORD_H

#include "base/fs.h"

enum fs_crash_data {                     /* what is left of bytes that were not synced */
                     FS_CRASH_DATA_DROP, /* nothing: a file is as at its last sync */
                     FS_CRASH_DATA_HALF, /* the first half of what was appended */
                     FS_CRASH_DATA_ZERO, /* the length, with zeroes for the bytes */
                     FS_CRASH_DATA_KEEP, /* all */
                     FS_CRASH_DATA_N
};

enum fs_crash_names {                      /* what is left of names that were not synced */
                      FS_CRASH_NAMES_DROP, /* nothing: the directory is as at its last sync */
                      FS_CRASH_NAMES_HALF, /* the first half of the changes */
                      FS_CRASH_NAMES_KEEP, /* all */
    FS_CRASH_NAMES_RENAMES, /* of the changes only the renames: they need not be kept in order */
    FS_CRASH_NAMES_UNLINKS, /* only the unlinks */
                      FS_CRASH_NAMES_N
};

struct fs_crash {
    size_t n_ops; /* operations done before the crash */
    enum fs_crash_data data;
    enum fs_crash_names names;
};

/* Opens dir (made if absent). Aborts on failure. Ended by fs_close. */
MUST_USE struct fs *fs_record_open(const char *dir);

/* Operations so far; each call of an fs_ function on a name or file is one, failed ones too. */
size_t fs_record_n(struct fs *fs);
/* Does operation k change what a crash would leave? Others need no crash test. */
bool fs_record_is_change(struct fs *fs, size_t k);
/* "append x 12": for messages; returns out. */
enum { FS_RECORD_TEXT_MAX = 256 };
const char *fs_record_describe(struct fs *fs, size_t k, char out[FS_RECORD_TEXT_MAX]);

/*
 * Operations [k, k + n) return RC_IO and have no effect, but that an append
 * writes the first half of its bytes. k counts from the open; n may be
 * SIZE_MAX (the disk is gone); 0 ends the failures.
 */
void fs_record_fail(struct fs *fs, size_t k, size_t n);

/* Writes what the crash leaves into the new or empty directory `into`. Aborts on failure. */
void fs_record_rebuild(struct fs *fs, struct fs_crash crash, const char *into);

#endif
