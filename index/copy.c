/*
 * A copy of the directory while it serves: hard links of the manifest and of
 * the files it names, which never change (I1). The log is appended to, so it
 * is copied. While that goes on no commit can replace the manifest or delete
 * files.
 */
#include "index/engine.h"

#include "index/oplog.h"

struct target {
    const char *path;
    struct fs *fs;
    size_t n_files; /* found in it */
};

static void
count_file(void *arg, const char *name, uint64_t n_bytes)
{
    struct target *to = arg;
    (void)name;
    (void)n_bytes;
    to->n_files++;
}

static enum rc
open_target(struct target *to, struct err *err)
{
    if (to->path[0] != '/')
        return err_set(err, RC_INVALID, "the path of a copy must be absolute");
    enum rc rc = fs_open_host(to->path, &to->fs, err);
    if (rc == RC_OK)
        rc = fs_list(to->fs, count_file, to, err);
    if (rc == RC_OK && to->n_files > 0)
        rc = err_set(err, RC_CONFLICT, "%s is not empty", to->path);
    return rc;
}

static enum rc
link_one(struct idx *idx, const struct target *to, const char *name, struct err *err)
{
    struct buf path = {0};
    buf_printf(&path, "%s/%s", to->path, name);
    buf_putc(&path, 0);
    enum rc rc = fs_link(idx->fs, name, path.p, err);
    buf_fini(&path);
    return rc;
}

static enum rc
link_all(struct idx *idx, const struct target *to, struct err *err)
{
    struct arena arena = {0};
    struct idx_manifest m = {0};
    char name[IDX_FILE_NAME_MAX];
    enum rc rc = idx_manifest_read(idx->fs, &arena, &m, err);
    for (size_t g = 0; g < m.n_generations; g++)
        for (size_t i = 0; i < m.generations[g].n_segments && rc == RC_OK; i++) {
            idx_file_name(m.generations[g].segments[i].file, name);
            rc = link_one(idx, to, name, err);
        }
    /* The manifest last: a copy that was cut short is no index. */
    if (rc == RC_OK)
        rc = idx_log_copy(idx->fs, to->fs, err);
    if (rc == RC_OK)
        rc = link_one(idx, to, IDX_MANIFEST_NAME, err);
    if (rc == RC_OK)
        rc = fs_sync_dir(to->fs, err);
    arena_fini(&arena);
    return rc;
}

static void
remove_file(void *arg, const char *name, uint64_t n_bytes)
{
    const struct target *to = arg;
    (void)n_bytes;
    enum rc rc = fs_unlink(to->fs, name, NULL);
    (void)rc; /* what stays is no index: its manifest was to come last */
}

static void
clear(struct target *to)
{
    enum rc rc = fs_list(to->fs, remove_file, to, NULL);
    (void)rc;
}

enum rc
idx_copy(struct idx *idx, const char *to_path, struct err *err)
{
    struct target to = {.path = to_path};
    enum rc rc = open_target(&to, err);
    if (rc == RC_OK) {
        must(pthread_mutex_lock(&idx->commit_lock) == 0);
        rc = link_all(idx, &to, err);
        must(pthread_mutex_unlock(&idx->commit_lock) == 0);
        if (rc != RC_OK) /* so that the same path can be used again */
            clear(&to);
    }
    fs_close(to.fs);
    return rc == RC_OK ? RC_OK : err_wrap(err, rc, "copying the index to %s", to_path);
}

/* ---- and back ---- */

static enum rc
copy_one(struct fs *from, struct fs *to, const char *name, struct err *err)
{
    struct fs_map map;
    enum rc rc = fs_map(from, name, &map, err);
    if (rc != RC_OK)
        return rc;
    rc = fs_write(to, name, span_of(map.p, map.n), err);
    fs_unmap(from, &map);
    return rc;
}

static void
count_other(void *arg, const char *name, uint64_t n_bytes)
{
    size_t *n = arg;
    (void)n_bytes;
    *n += strcmp(name, IDX_LOCK_NAME) != 0;
}

static enum rc
copy_all(struct fs *from, struct fs *to, struct err *err)
{
    struct arena arena = {0};
    struct idx_manifest m = {0};
    char name[IDX_FILE_NAME_MAX];
    enum rc rc = idx_manifest_read(from, &arena, &m, err);
    for (size_t g = 0; rc == RC_OK && g < m.n_generations; g++) {
        for (size_t i = 0; rc == RC_OK && i < m.generations[g].n_segments; i++) {
            idx_file_name(m.generations[g].segments[i].file, name);
            rc = copy_one(from, to, name, err);
        }
    }
    if (rc == RC_OK)
        rc = idx_log_copy(from, to, err);
    if (rc == RC_OK)
        rc = fs_sync_dir(to, err);
    /* The manifest last: what was cut short is no index. */
    if (rc == RC_OK)
        rc = copy_one(from, to, IDX_MANIFEST_NAME, err);
    if (rc == RC_OK)
        rc = fs_sync_dir(to, err);
    arena_fini(&arena);
    return rc;
}

enum rc
idx_restore(struct fs *from, struct fs *to, struct err *err)
{
    size_t n_files = 0;
    enum rc rc = fs_lock(to, IDX_LOCK_NAME, err);
    if (rc == RC_OK)
        rc = fs_list(to, count_other, &n_files, err);
    if (rc == RC_OK && n_files > 0)
        rc = err_set(err, RC_CONFLICT, "the directory is not empty");
    return rc == RC_OK ? copy_all(from, to, err) : rc;
}
