/*
 * The host's files behind one page: the only caller of open, mmap, fsync and
 * rename. An interface, so that tests can record what a crash would keep and
 * make any operation fail. EINTR, short reads and short writes end here.
 * Names are relative to the directory of the struct fs; no name holds "..".
 *
 * Functions return RC_OK, or RC_IO (RC_ABSENT where the file does not exist,
 * RC_CONFLICT where a lock is held) with *err naming the path.
 * Threads: any, unless two work on the same file.
 */
#ifndef TAILFIN_BASE_FS_H
#define TAILFIN_BASE_FS_H

#include "base/buf.h"
#include "base/err.h"

struct fs;
struct fs_file; /* open for appending */

struct fs_map { /* a file mapped for reading; p is page aligned; empty file: p NULL */
    const char *p;
    size_t n;
};

struct fs_ops {
    void (*close)(struct fs *fs);
    enum rc (*lock)(struct fs *fs, const char *name, struct err *err);
    enum rc (*create)(struct fs *fs, const char *name, struct fs_file **out, struct err *err);
    enum rc (*open_append)(struct fs *fs, const char *name, struct fs_file **out, struct err *err);
    enum rc (*append)(struct fs_file *f, struct span bytes, struct err *err);
    enum rc (*sync)(struct fs_file *f, struct err *err);
    enum rc (*truncate)(struct fs_file *f, uint64_t n_bytes, struct err *err);
    void (*close_file)(struct fs_file *f);
    enum rc (*rename)(struct fs *fs, const char *from, const char *to, struct err *err);
    enum rc (*link)(struct fs *fs, const char *from, const char *to_path, struct err *err);
    enum rc (*unlink)(struct fs *fs, const char *name, struct err *err);
    enum rc (*sync_dir)(struct fs *fs, struct err *err);
    enum rc (*map)(struct fs *fs, const char *name, struct fs_map *out, struct err *err);
    void (*unmap)(struct fs *fs, struct fs_map *map);
    enum rc (*list)(struct fs *fs, void (*each)(void *arg, const char *name, uint64_t n_bytes),
                    void *arg, struct err *err);
    enum rc (*free_bytes)(struct fs *fs, uint64_t *out, struct err *err);
};

struct fs { /* every implementation begins with this */
    const struct fs_ops *ops;
};

struct fs_file {
    struct fs *fs;
};

/*
 * Opens the directory dir on the host, made (with parents, mode 0700) if
 * absent. fs_close frees it; files and maps must be closed before.
 */
MUST_USE enum rc fs_open_host(const char *dir, struct fs **out, struct err *err);
void fs_close(struct fs *fs); /* NULL allowed */

/* Takes an exclusive lock on a file, held until fs_close; RC_CONFLICT if another process has it. */
MUST_USE enum rc fs_lock(struct fs *fs, const char *name, struct err *err);
/* A new empty file (replacing one of that name); fs_file_close ends it without syncing. */
MUST_USE enum rc fs_create(struct fs *fs, const char *name, struct fs_file **out, struct err *err);
/* An existing file, or a new one, to append to. */
MUST_USE enum rc fs_open_append(struct fs *fs, const char *name, struct fs_file **out,
                                struct err *err);
MUST_USE enum rc fs_append(struct fs_file *f, struct span bytes, struct err *err);
MUST_USE enum rc fs_sync(struct fs_file *f, struct err *err); /* fdatasync: contents and length */
MUST_USE enum rc fs_truncate(struct fs_file *f, uint64_t n_bytes, struct err *err);
void fs_file_close(struct fs_file *f); /* NULL allowed */
/* Atomic; durable after fs_sync_dir. */
MUST_USE enum rc fs_rename(struct fs *fs, const char *from, const char *to, struct err *err);
/* A hard link, or a copy where the file system differs, at an absolute path (for snapshots). */
MUST_USE enum rc fs_link(struct fs *fs, const char *from, const char *to_path, struct err *err);
MUST_USE enum rc fs_unlink(struct fs *fs, const char *name, struct err *err);
MUST_USE enum rc fs_sync_dir(struct fs *fs, struct err *err);
/* Read-only and shared. The bytes stay readable after an unlink, until fs_unmap. */
MUST_USE enum rc fs_map(struct fs *fs, const char *name, struct fs_map *out, struct err *err);
void fs_unmap(struct fs *fs, struct fs_map *map);
/*
 * Gives the pages of mapped bytes back: they count no more for this process
 * and are found in the page cache when they are read again. A hint; any part
 * of a mapping. For those who have read much of it once.
 */
void fs_forget(struct span mapped);
/* Calls each for every regular file, in no order. */
MUST_USE enum rc fs_list(struct fs *fs, void (*each)(void *arg, const char *name, uint64_t n_bytes),
                         void *arg, struct err *err);
/* Bytes that an unprivileged process may still write. */
MUST_USE enum rc fs_free_bytes(struct fs *fs, uint64_t *out, struct err *err);

/* Creates name with these bytes and syncs it (not the directory). */
MUST_USE enum rc fs_write(struct fs *fs, const char *name, struct span bytes, struct err *err);
/* Reads a whole file of the host (any path) into *out; RC_LIMIT above max_bytes. */
MUST_USE enum rc fs_read_path(const char *path, size_t max_bytes, struct buf *out, struct err *err);

#endif
