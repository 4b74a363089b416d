/*
 * The format of the operation log, and reading it without opening it. Private
 * to the room.
 *
 * Files "<start>.log", start = 16 hex digits: the offset of the first record.
 * Offsets count the bytes of records with their headers, over all files; the
 * files' own headers do not count.
 *   file     8 bytes "TFOPLOG1", u64 start, u64 XXH3 of these 16 bytes
 *   record   u32 mark, u32 length, u64 synced, u64 XXH3 of (offset, length, synced, bytes), bytes
 * `synced` is how much of the log was known to be durable when the record was
 * appended. It tells a torn tail from damage: behind a torn record there may
 * be others of the same group that reached the disk, but none that knows the
 * torn one to have been durable.
 */
#ifndef TAILFIN_INDEX_OPLOG_H
#define TAILFIN_INDEX_OPLOG_H

#include "index/writer.h"

enum { IDX_LOG_RECORD_MAX = 512 << 20 };

/*
 * Reads every record of the directory's log; a torn tail is no error. RC_CORRUPT, RC_IO, or what
 * each returned.
 */
MUST_USE enum rc idx_log_scan(struct fs *fs,
                              enum rc (*each)(void *arg, struct span record, uint64_t end,
                                              struct err *err),
                              void *arg, struct err *err);
/* Copies the files as they are; one that is being appended to may come with a torn tail. */
MUST_USE enum rc idx_log_copy(struct fs *from, struct fs *to, struct err *err);

#endif
