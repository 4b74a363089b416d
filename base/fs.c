#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Names are single components, so that one sync_dir covers every change. */
static bool
is_name(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !strchr(name, '/');
}

void
fs_close(struct fs *fs)
{
    if (fs)
        fs->ops->close(fs);
}

enum rc
fs_lock(struct fs *fs, const char *name, struct err *err)
{
    must(is_name(name));
    return fs->ops->lock(fs, name, err);
}

enum rc
fs_create(struct fs *fs, const char *name, struct fs_file **out, struct err *err)
{
    must(is_name(name));
    return fs->ops->create(fs, name, out, err);
}

enum rc
fs_open_append(struct fs *fs, const char *name, struct fs_file **out, struct err *err)
{
    must(is_name(name));
    return fs->ops->open_append(fs, name, out, err);
}

enum rc
fs_append(struct fs_file *f, struct span bytes, struct err *err)
{
    return f->fs->ops->append(f, bytes, err);
}

enum rc
fs_sync(struct fs_file *f, struct err *err)
{
    return f->fs->ops->sync(f, err);
}

enum rc
fs_truncate(struct fs_file *f, uint64_t n_bytes, struct err *err)
{
    return f->fs->ops->truncate(f, n_bytes, err);
}

void
fs_file_close(struct fs_file *f)
{
    if (f)
        f->fs->ops->close_file(f);
}

enum rc
fs_rename(struct fs *fs, const char *from, const char *to, struct err *err)
{
    must(is_name(from) && is_name(to));
    return fs->ops->rename(fs, from, to, err);
}

enum rc
fs_link(struct fs *fs, const char *from, const char *to_path, struct err *err)
{
    must(is_name(from) && to_path[0] == '/');
    return fs->ops->link(fs, from, to_path, err);
}

enum rc
fs_unlink(struct fs *fs, const char *name, struct err *err)
{
    must(is_name(name));
    return fs->ops->unlink(fs, name, err);
}

enum rc
fs_sync_dir(struct fs *fs, struct err *err)
{
    return fs->ops->sync_dir(fs, err);
}

enum rc
fs_map(struct fs *fs, const char *name, struct fs_map *out, struct err *err)
{
    must(is_name(name));
    return fs->ops->map(fs, name, out, err);
}

void
fs_unmap(struct fs *fs, struct fs_map *map)
{
    if (map->p)
        fs->ops->unmap(fs, map);
    *map = (struct fs_map){NULL, 0};
}

enum rc
fs_list(struct fs *fs, void (*each)(void *arg, const char *name, uint64_t n_bytes), void *arg,
        struct err *err)
{
    return fs->ops->list(fs, each, arg, err);
}

enum rc
fs_free_bytes(struct fs *fs, uint64_t *out, struct err *err)
{
    return fs->ops->free_bytes(fs, out, err);
}

enum rc
fs_write(struct fs *fs, const char *name, struct span bytes, struct err *err)
{
    struct fs_file *f;
    enum rc rc = fs_create(fs, name, &f, err);
    if (rc != RC_OK)
        return rc;
    rc = fs_append(f, bytes, err);
    if (rc == RC_OK)
        rc = fs_sync(f, err);
    fs_file_close(f);
    return rc;
}

enum rc
fs_read_path(const char *path, size_t max_bytes, struct buf *out, struct err *err)
{
    enum rc rc = RC_OK;
    size_t before = out->n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, errno == ENOENT ? RC_ABSENT : RC_IO, errno, "cannot open %s", path);
    for (;;) {
        buf_reserve(out, 1 << 14);
        ssize_t n = read(fd, out->p + out->n, out->cap - out->n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = err_sys(err, RC_IO, errno, "cannot read %s", path);
        if (n <= 0)
            break;
        out->n += (size_t)n;
        if (out->n - before > max_bytes) {
            rc = err_set(err, RC_LIMIT, "%s is larger than %zu bytes", path, max_bytes);
            break;
        }
    }
    close(fd);
    if (rc != RC_OK)
        out->n = before;
    return rc;
}
