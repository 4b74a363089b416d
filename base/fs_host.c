/*
 * The struct fs of a real directory. Everything goes through the directory's
 * descriptor, so that renaming a parent changes nothing.
 */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { WRITE_BYTES = 1 << 16 };

struct host {
    struct fs fs;
    int dir_fd;
    char *dir; /* for messages */
    int *lock_fds;
    size_t n_locks, cap_locks;
};

struct host_file {
    struct fs_file file;
    int fd;
    char *name; /* for messages */
};

static struct host *
host_of(struct fs *fs)
{
    return (struct host *)fs;
}

static struct host_file *
file_of(struct fs_file *f)
{
    return (struct host_file *)f;
}

/* The result of a failed call on a name: errno and path go into *err. */
static enum rc
fail(const struct host *h, const char *verb, const char *name, struct err *err)
{
    enum rc rc = errno == ENOENT ? RC_ABSENT : RC_IO;
    return err_sys(err, rc, errno, "cannot %s %s/%s", verb, h->dir, name);
}

static int
open_at(int dir_fd, const char *name, int flags)
{
    int fd;
    do
        fd = openat(dir_fd, name, flags | O_CLOEXEC, 0600);
    while (fd < 0 && errno == EINTR);
    return fd;
}

static void
host_close(struct fs *fs)
{
    struct host *h = host_of(fs);
    for (size_t i = 0; i < h->n_locks; i++)
        close(h->lock_fds[i]);
    if (h->dir_fd >= 0)
        close(h->dir_fd);
    free(h->lock_fds);
    free(h->dir);
    free(h);
}

static enum rc
host_lock(struct fs *fs, const char *name, struct err *err)
{
    struct host *h = host_of(fs);
    int fd = open_at(h->dir_fd, name, O_RDWR | O_CREAT);
    if (fd < 0)
        return fail(h, "open", name, err);
    int r;
    do
        r = flock(fd, LOCK_EX | LOCK_NB);
    while (r != 0 && errno == EINTR);
    if (r != 0) {
        enum rc rc = errno == EWOULDBLOCK ? err_set(err, RC_CONFLICT,
                                                    "%s/%s is locked: the directory is in use by "
                                                    "another process",
                                                    h->dir, name)
                                          : fail(h, "lock", name, err);
        close(fd);
        return rc;
    }
    h->lock_fds = xgrow(h->lock_fds, &h->cap_locks, h->n_locks + 1, sizeof *h->lock_fds);
    h->lock_fds[h->n_locks++] = fd;
    return RC_OK;
}

static enum rc
open_file(struct fs *fs, const char *name, int flags, struct fs_file **out, struct err *err)
{
    struct host *h = host_of(fs);
    int fd = open_at(h->dir_fd, name, flags | O_WRONLY | O_APPEND | O_CREAT);
    if (fd < 0)
        return fail(h, "open", name, err);
    struct host_file *f = xmalloc(sizeof *f);
    *f = (struct host_file){.file = {fs}, .fd = fd, .name = xstrdup(name)};
    *out = &f->file;
    return RC_OK;
}

static enum rc
host_create(struct fs *fs, const char *name, struct fs_file **out, struct err *err)
{
    /* An old file of that name may be mapped: cutting it would kill its
     * readers, unlinking it does not. */
    if (unlinkat(host_of(fs)->dir_fd, name, 0) != 0 && errno != ENOENT)
        return fail(host_of(fs), "replace", name, err);
    return open_file(fs, name, O_EXCL, out, err);
}

static enum rc
host_open_append(struct fs *fs, const char *name, struct fs_file **out, struct err *err)
{
    return open_file(fs, name, 0, out, err);
}

/*
 * In pieces: the host copies what one call writes in steps of megabytes, and a
 * processor that does so runs nothing else for milliseconds.
 */
static enum rc
host_append(struct fs_file *file, struct span bytes, struct err *err)
{
    struct host_file *f = file_of(file);
    while (bytes.n > 0) {
        ssize_t n = write(f->fd, bytes.p, bytes.n < WRITE_BYTES ? bytes.n : WRITE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(host_of(file->fs), "write", f->name, err);
        bytes = span_from(bytes, (size_t)n);
    }
    return RC_OK;
}

static enum rc
host_sync(struct fs_file *file, struct err *err)
{
    struct host_file *f = file_of(file);
    /* No retry: after a failed sync the kernel may have dropped the pages. */
    if (fdatasync(f->fd) != 0)
        return fail(host_of(file->fs), "sync", f->name, err);
    return RC_OK;
}

static enum rc
host_truncate(struct fs_file *file, uint64_t n_bytes, struct err *err)
{
    struct host_file *f = file_of(file);
    int r;
    do
        r = ftruncate(f->fd, (off_t)n_bytes);
    while (r != 0 && errno == EINTR);
    return r == 0 ? RC_OK : fail(host_of(file->fs), "truncate", f->name, err);
}

static void
host_close_file(struct fs_file *file)
{
    struct host_file *f = file_of(file);
    close(f->fd);
    free(f->name);
    free(f);
}

static enum rc
host_rename(struct fs *fs, const char *from, const char *to, struct err *err)
{
    struct host *h = host_of(fs);
    if (renameat(h->dir_fd, from, h->dir_fd, to) != 0)
        return fail(h, "rename", from, err);
    return RC_OK;
}

static enum rc
copy_bytes(int from_fd, int to_fd)
{
    char chunk[1 << 16];
    for (;;) {
        ssize_t n = read(from_fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? RC_OK : RC_IO;
        for (ssize_t at = 0; at < n;) {
            ssize_t w = write(to_fd, chunk + at, (size_t)(n - at));
            if (w < 0 && errno != EINTR)
                return RC_IO;
            at += w > 0 ? w : 0;
        }
    }
}

static enum rc
copy_file(struct host *h, const char *from, const char *to_path, struct err *err)
{
    enum rc rc = RC_OK;
    int to_fd = -1;
    int from_fd = open_at(h->dir_fd, from, O_RDONLY);
    if (from_fd < 0)
        return fail(h, "open", from, err);
    to_fd = open_at(AT_FDCWD, to_path, O_WRONLY | O_CREAT | O_EXCL);
    if (to_fd < 0) {
        rc =
            err_sys(err, errno == EEXIST ? RC_CONFLICT : RC_IO, errno, "cannot create %s", to_path);
        goto out;
    }
    rc = copy_bytes(from_fd, to_fd);
    if (rc == RC_OK && fdatasync(to_fd) != 0)
        rc = RC_IO;
    if (rc != RC_OK) {
        err_sys(err, rc, errno, "cannot copy %s/%s to %s", h->dir, from, to_path);
        unlink(to_path);
    }
out:
    if (to_fd >= 0)
        close(to_fd);
    close(from_fd);
    return rc;
}

static enum rc
host_link(struct fs *fs, const char *from, const char *to_path, struct err *err)
{
    struct host *h = host_of(fs);
    if (linkat(h->dir_fd, from, AT_FDCWD, to_path, 0) == 0)
        return RC_OK;
    if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK)
        return copy_file(h, from, to_path, err);
    enum rc rc = errno == ENOENT ? RC_ABSENT : errno == EEXIST ? RC_CONFLICT : RC_IO;
    return err_sys(err, rc, errno, "cannot link %s/%s to %s", h->dir, from, to_path);
}

static enum rc
host_unlink(struct fs *fs, const char *name, struct err *err)
{
    struct host *h = host_of(fs);
    if (unlinkat(h->dir_fd, name, 0) != 0)
        return fail(h, "remove", name, err);
    return RC_OK;
}

static enum rc
host_sync_dir(struct fs *fs, struct err *err)
{
    struct host *h = host_of(fs);
    if (fsync(h->dir_fd) != 0)
        return err_sys(err, RC_IO, errno, "cannot sync %s", h->dir);
    return RC_OK;
}

void
fs_forget(struct span mapped)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)mapped.p + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)mapped.p + mapped.n) & ~(page - 1);
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* only a hint */
}

static enum rc
host_map(struct fs *fs, const char *name, struct fs_map *out, struct err *err)
{
    struct host *h = host_of(fs);
    struct fs_map map = {NULL, 0};
    struct stat st;
    enum rc rc = RC_OK;
    int fd = open_at(h->dir_fd, name, O_RDONLY);
    if (fd < 0)
        return fail(h, "open", name, err);
    if (fstat(fd, &st) != 0) {
        rc = fail(h, "read the size of", name, err);
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(err, RC_IO, "%s/%s is not a regular file", h->dir, name);
        goto out;
    }
    map.n = (size_t)st.st_size;
    if (map.n > 0) {
        void *p = mmap(NULL, map.n, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            rc = fail(h, "map", name, err);
            goto out;
        }
        map.p = p;
    }
    *out = map;
out:
    close(fd);
    return rc;
}

static void
host_unmap(struct fs *fs, struct fs_map *map)
{
    (void)fs;
    union {
        const char *in;
        void *out;
    } p = {map->p};
    must(munmap(p.out, map->n) == 0);
}

static enum rc
host_list(struct fs *fs, void (*each)(void *arg, const char *name, uint64_t n_bytes), void *arg,
          struct err *err)
{
    struct host *h = host_of(fs);
    enum rc rc = RC_OK;
    int fd = open_at(h->dir_fd, ".", O_RDONLY | O_DIRECTORY);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        rc = err_sys(err, RC_IO, errno, "cannot list %s", h->dir);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno)
                rc = err_sys(err, RC_IO, errno, "cannot list %s", h->dir);
            break;
        }
        struct stat st;
        /* A file may vanish between the two calls: then it is not there. */
        if (fstatat(h->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            each(arg, entry->d_name, (uint64_t)st.st_size);
    }
    closedir(dir);
    return rc;
}

static enum rc
host_free_bytes(struct fs *fs, uint64_t *out, struct err *err)
{
    struct host *h = host_of(fs);
    struct statvfs st;
    if (fstatvfs(h->dir_fd, &st) != 0)
        return err_sys(err, RC_IO, errno, "cannot read the free space of %s", h->dir);
    *out = (uint64_t)st.f_bavail * (uint64_t)st.f_frsize;
    return RC_OK;
}

static const struct fs_ops host_ops = {
    .close = host_close,
    .lock = host_lock,
    .create = host_create,
    .open_append = host_open_append,
    .append = host_append,
    .sync = host_sync,
    .truncate = host_truncate,
    .close_file = host_close_file,
    .rename = host_rename,
    .link = host_link,
    .unlink = host_unlink,
    .sync_dir = host_sync_dir,
    .map = host_map,
    .unmap = host_unmap,
    .list = host_list,
    .free_bytes = host_free_bytes,
};

/* Syncs the directory that holds path, so that path's own name is durable. */
static void
sync_parent(const char *path, size_t parent_n)
{
    char *parent = parent_n ? xmemdup0(path, parent_n) : xstrdup(path[0] == '/' ? "/" : ".");
    int fd = open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) {
        /* Best effort: a parent that cannot be synced still serves. */
        (void)fsync(fd);
        close(fd);
    }
    free(parent);
}

/* Makes dir and its parents. */
static enum rc
make_dirs(const char *dir, struct err *err)
{
    enum rc rc = RC_OK;
    char *path = xstrdup(dir);
    size_t n = strlen(path);
    size_t parent_n = 0;
    for (size_t i = 1; i <= n && rc == RC_OK; i++) {
        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
            continue;
        char kept = path[i];
        path[i] = '\0';
        if (mkdir(path, 0700) == 0)
            sync_parent(path, parent_n);
        else if (errno != EEXIST)
            rc = err_sys(err, RC_IO, errno, "cannot make the directory %s", path);
        path[i] = kept;
        parent_n = i;
    }
    free(path);
    return rc;
}

enum rc
fs_open_host(const char *dir, struct fs **out, struct err *err)
{
    int fd = open_at(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT) {
        enum rc rc = make_dirs(dir, err);
        if (rc != RC_OK)
            return rc;
        fd = open_at(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY);
    }
    if (fd < 0)
        return err_sys(err, RC_IO, errno, "cannot open the directory %s", dir);
    struct host *h = xmalloc(sizeof *h);
    *h = (struct host){.fs = {&host_ops}, .dir_fd = fd, .dir = xstrdup(dir)};
    *out = &h->fs;
    return RC_OK;
}
