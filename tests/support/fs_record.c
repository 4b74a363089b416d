#include "tests/support/fs_record.h"

#include <errno.h>
#include <pthread.h>

#include "base/map.h"

enum op_kind {
    OP_CREATE, /* name, inode */
    OP_RENAME, /* name, to */
    OP_UNLINK, /* name */
    OP_SYNC_DIR,
    OP_APPEND,   /* inode, bytes */
    OP_TRUNCATE, /* inode, n_bytes */
    OP_SYNC,     /* inode */
    OP_READ,     /* all that leaves the directory as it is */
};

struct op {
    enum op_kind kind;
    bool is_failed;
    const char *verb;
    char *name, *to; /* to: OP_RENAME */
    size_t inode;
    struct buf bytes; /* OP_APPEND */
    uint64_t n_bytes; /* OP_TRUNCATE */
};

struct record {
    struct fs fs;
    struct fs *host;
    char *dir;
    pthread_mutex_t mutex; /* guards the rest */
    struct op *ops;
    size_t n_ops, cap_ops;
    size_t n_begin; /* the first of ops describe the directory at the open; not counted */
    size_t n_inodes;
    struct map names; /* name -> inode, now */
    size_t fail_begin, fail_n;
};

struct record_file {
    struct fs_file file;
    struct fs_file *host;
    size_t inode;
    char *name;
};

static struct record *
record_of(struct fs *fs)
{
    return (struct record *)fs;
}

static struct record_file *
file_of(struct fs_file *f)
{
    return (struct record_file *)f;
}

static void
lock(struct record *r)
{
    must(pthread_mutex_lock(&r->mutex) == 0);
}

static void
unlock(struct record *r)
{
    must(pthread_mutex_unlock(&r->mutex) == 0);
}

/* A new entry of the log; borrowed until the next. The lock is held. */
static struct op *
log_op(struct record *r, enum op_kind kind, const char *verb, const char *name)
{
    r->ops = xgrow(r->ops, &r->cap_ops, r->n_ops + 1, sizeof *r->ops);
    struct op *op = &r->ops[r->n_ops++];
    *op = (struct op){.kind = kind, .verb = verb, .name = xstrdup(name)};
    size_t k = r->n_ops - 1 - r->n_begin;
    op->is_failed = k >= r->fail_begin && k - r->fail_begin < r->fail_n;
    return op;
}

static enum rc
failed(const struct op *op, struct err *err)
{
    return err_sys(err, RC_IO, EIO, "cannot %s %s (the test's failure)", op->verb, op->name);
}

/* The op as it really went: without effect if it failed. */
static enum rc
ended(struct op *op, enum rc rc)
{
    if (rc != RC_OK)
        op->is_failed = true;
    return rc;
}

static void
record_close(struct fs *fs)
{
    struct record *r = record_of(fs);
    for (size_t i = 0; i < r->n_ops; i++) {
        free(r->ops[i].name);
        free(r->ops[i].to);
        buf_fini(&r->ops[i].bytes);
    }
    free(r->ops);
    fs_close(r->host);
    map_fini(&r->names);
    pthread_mutex_destroy(&r->mutex);
    free(r->dir);
    free(r);
}

static enum rc
record_lock(struct fs *fs, const char *name, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_READ, "lock", name);
    enum rc rc = op->is_failed ? failed(op, err) : ended(op, fs_lock(r->host, name, err));
    unlock(r);
    return rc;
}

static struct fs_file *
wrap(struct record *r, struct fs_file *host, const char *name, size_t inode)
{
    struct record_file *f = xmalloc(sizeof *f);
    *f = (struct record_file){{&r->fs}, host, inode, xstrdup(name)};
    return &f->file;
}

/* The lock is held. */
static enum rc
create(struct record *r, const char *name, struct fs_file **out, struct err *err)
{
    struct fs_file *host;
    struct op *op = log_op(r, OP_CREATE, "create", name);
    op->inode = r->n_inodes++;
    if (op->is_failed)
        return failed(op, err);
    enum rc rc = ended(op, fs_create(r->host, name, &host, err));
    if (rc != RC_OK)
        return rc;
    *map_put(&r->names, span_str(name), NULL) = op->inode;
    *out = wrap(r, host, name, op->inode);
    return RC_OK;
}

static enum rc
record_create(struct fs *fs, const char *name, struct fs_file **out, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    enum rc rc = create(r, name, out, err);
    unlock(r);
    return rc;
}

/* The lock is held. */
static enum rc
open_existing(struct record *r, const char *name, size_t inode, struct fs_file **out,
              struct err *err)
{
    struct fs_file *host;
    struct op *op = log_op(r, OP_READ, "open", name);
    if (op->is_failed)
        return failed(op, err);
    enum rc rc = ended(op, fs_open_append(r->host, name, &host, err));
    if (rc == RC_OK)
        *out = wrap(r, host, name, inode);
    return rc;
}

static enum rc
record_open_append(struct fs *fs, const char *name, struct fs_file **out, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    uint64_t *inode = map_get(&r->names, span_str(name));
    enum rc rc = inode ? open_existing(r, name, *inode, out, err) : create(r, name, out, err);
    unlock(r);
    return rc;
}

static enum rc
record_append(struct fs_file *file, struct span bytes, struct err *err)
{
    struct record_file *f = file_of(file);
    struct record *r = record_of(file->fs);
    lock(r);
    struct op *op = log_op(r, OP_APPEND, "append", f->name);
    bool is_failing = op->is_failed;
    op->is_failed = false;
    op->inode = f->inode;
    if (is_failing)
        bytes.n /= 2;
    enum rc rc = ended(op, fs_append(f->host, bytes, err));
    if (rc == RC_OK)
        buf_put_span(&op->bytes, bytes);
    if (is_failing)
        rc = failed(op, err);
    unlock(r);
    return rc;
}

static enum rc
record_sync(struct fs_file *file, struct err *err)
{
    struct record_file *f = file_of(file);
    struct record *r = record_of(file->fs);
    lock(r);
    struct op *op = log_op(r, OP_SYNC, "sync", f->name);
    op->inode = f->inode;
    /* The host's disk need not be waited for. */
    enum rc rc = op->is_failed ? failed(op, err) : RC_OK;
    unlock(r);
    return rc;
}

static enum rc
record_truncate(struct fs_file *file, uint64_t n_bytes, struct err *err)
{
    struct record_file *f = file_of(file);
    struct record *r = record_of(file->fs);
    lock(r);
    struct op *op = log_op(r, OP_TRUNCATE, "truncate", f->name);
    op->inode = f->inode;
    op->n_bytes = n_bytes;
    enum rc rc = op->is_failed ? failed(op, err) : ended(op, fs_truncate(f->host, n_bytes, err));
    unlock(r);
    return rc;
}

static void
record_close_file(struct fs_file *file)
{
    struct record_file *f = file_of(file);
    fs_file_close(f->host);
    free(f->name);
    free(f);
}

/* The effect of a name operation that succeeded. */
static void
apply_name(struct map *names, const struct op *op)
{
    if (op->kind == OP_CREATE)
        *map_put(names, span_str(op->name), NULL) = op->inode;
    uint64_t *inode = map_get(names, span_str(op->name));
    if (op->kind == OP_RENAME && inode) {
        uint64_t moved = *inode;
        map_remove(names, span_str(op->name));
        *map_put(names, span_str(op->to), NULL) = moved;
    }
    if (op->kind == OP_UNLINK)
        map_remove(names, span_str(op->name));
}

static enum rc
record_rename(struct fs *fs, const char *from, const char *to, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_RENAME, "rename", from);
    op->to = xstrdup(to);
    enum rc rc = op->is_failed ? failed(op, err) : ended(op, fs_rename(r->host, from, to, err));
    if (rc == RC_OK)
        apply_name(&r->names, op);
    unlock(r);
    return rc;
}

static enum rc
record_link(struct fs *fs, const char *from, const char *to_path, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_READ, "link", from);
    enum rc rc = op->is_failed ? failed(op, err) : ended(op, fs_link(r->host, from, to_path, err));
    unlock(r);
    return rc;
}

static enum rc
record_unlink(struct fs *fs, const char *name, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_UNLINK, "unlink", name);
    enum rc rc = op->is_failed ? failed(op, err) : ended(op, fs_unlink(r->host, name, err));
    if (rc == RC_OK)
        apply_name(&r->names, op);
    unlock(r);
    return rc;
}

static enum rc
record_sync_dir(struct fs *fs, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_SYNC_DIR, "sync", ".");
    enum rc rc = op->is_failed ? failed(op, err) : RC_OK;
    unlock(r);
    return rc;
}

static enum rc
record_map(struct fs *fs, const char *name, struct fs_map *out, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_READ, "map", name);
    enum rc rc = op->is_failed ? failed(op, err) : ended(op, fs_map(r->host, name, out, err));
    unlock(r);
    return rc;
}

static void
record_unmap(struct fs *fs, struct fs_map *map)
{
    fs_unmap(record_of(fs)->host, map);
}

static enum rc
record_list(struct fs *fs, void (*each)(void *arg, const char *name, uint64_t n_bytes), void *arg,
            struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_READ, "list", ".");
    enum rc rc = op->is_failed ? failed(op, err) : RC_OK;
    unlock(r);
    /* Not under the lock: each may call back. */
    return rc == RC_OK ? fs_list(r->host, each, arg, err) : rc;
}

static enum rc
record_free_bytes(struct fs *fs, uint64_t *out, struct err *err)
{
    struct record *r = record_of(fs);
    lock(r);
    struct op *op = log_op(r, OP_READ, "read the free space of", ".");
    enum rc rc = op->is_failed ? failed(op, err) : fs_free_bytes(r->host, out, err);
    unlock(r);
    return rc;
}

static const struct fs_ops record_ops = {
    .close = record_close,
    .lock = record_lock,
    .create = record_create,
    .open_append = record_open_append,
    .append = record_append,
    .sync = record_sync,
    .truncate = record_truncate,
    .close_file = record_close_file,
    .rename = record_rename,
    .link = record_link,
    .unlink = record_unlink,
    .sync_dir = record_sync_dir,
    .map = record_map,
    .unmap = record_unmap,
    .list = record_list,
    .free_bytes = record_free_bytes,
};

/* A file that was there at the open: created, filled and synced. */
static void
take_file(void *arg, const char *name, uint64_t n_bytes)
{
    struct record *r = arg;
    struct fs_map map;
    must(fs_map(r->host, name, &map, NULL) == RC_OK && map.n == n_bytes);
    size_t inode = r->n_inodes++;
    log_op(r, OP_CREATE, "create", name)->inode = inode;
    struct op *op = log_op(r, OP_APPEND, "append", name);
    op->inode = inode;
    buf_put(&op->bytes, map.p, map.n);
    log_op(r, OP_SYNC, "sync", name)->inode = inode;
    *map_put(&r->names, span_str(name), NULL) = inode;
    fs_unmap(r->host, &map);
}

struct fs *
fs_record_open(const char *dir)
{
    struct err err;
    struct record *r = xcalloc(1, sizeof *r);
    r->fs.ops = &record_ops;
    r->dir = xstrdup(dir);
    must(pthread_mutex_init(&r->mutex, NULL) == 0);
    must(fs_open_host(dir, &r->host, &err) == RC_OK);
    must(fs_list(r->host, take_file, r, &err) == RC_OK);
    (void)log_op(r, OP_SYNC_DIR, "sync", ".");
    r->n_begin = r->n_ops;
    return &r->fs;
}

size_t
fs_record_n(struct fs *fs)
{
    struct record *r = record_of(fs);
    lock(r);
    size_t n = r->n_ops - r->n_begin;
    unlock(r);
    return n;
}

bool
fs_record_is_change(struct fs *fs, size_t k)
{
    struct record *r = record_of(fs);
    lock(r);
    must(k < r->n_ops - r->n_begin);
    const struct op *op = &r->ops[r->n_begin + k];
    bool is_change = op->kind != OP_READ && !op->is_failed;
    unlock(r);
    return is_change;
}

const char *
fs_record_describe(struct fs *fs, size_t k, char out[FS_RECORD_TEXT_MAX])
{
    struct record *r = record_of(fs);
    lock(r);
    must(k < r->n_ops - r->n_begin);
    const struct op *op = &r->ops[r->n_begin + k];
    snprintf(out, FS_RECORD_TEXT_MAX, "%s %s%s%s (%zu bytes)%s", op->verb, op->name,
             op->to ? " to " : "", op->to ? op->to : "", op->bytes.n,
             op->is_failed ? " failed" : "");
    unlock(r);
    return out;
}

void
fs_record_fail(struct fs *fs, size_t k, size_t n)
{
    struct record *r = record_of(fs);
    lock(r);
    r->fail_begin = k;
    r->fail_n = n;
    unlock(r);
}

/* ---- after the crash ---- */

static bool
is_name_op(const struct op *op)
{
    return !op->is_failed &&
           (op->kind == OP_CREATE || op->kind == OP_RENAME || op->kind == OP_UNLINK);
}

/* Applies the pending changes of one kind and leaves the others out. */
static void
replay_kind(const struct op *ops, size_t begin, size_t n, enum op_kind kind, struct map *names)
{
    struct map all = {0}; /* what the running program saw: which file a rename moved */
    for (size_t i = 0; i < n; i++) {
        const struct op *op = &ops[i];
        if (!is_name_op(op))
            continue;
        const uint64_t *inode = map_get(&all, span_str(op->name));
        if (i >= begin && op->kind == kind) {
            map_remove(names, span_str(op->name));
            if (kind == OP_RENAME && inode)
                *map_put(names, span_str(op->to), NULL) = *inode;
        }
        apply_name(&all, op);
    }
    map_fini(&all);
}

/* The directory after ops[0, n). */
static void
replay_names(const struct op *ops, size_t n, enum fs_crash_names left, struct map *names)
{
    size_t n_durable = n;
    while (n_durable > 0 &&
           (ops[n_durable - 1].kind != OP_SYNC_DIR || ops[n_durable - 1].is_failed))
        n_durable--;
    size_t n_pending = 0;
    for (size_t i = n_durable; i < n; i++)
        n_pending += is_name_op(&ops[i]);
    bool is_one_kind = left == FS_CRASH_NAMES_RENAMES || left == FS_CRASH_NAMES_UNLINKS;
    if (left == FS_CRASH_NAMES_DROP || is_one_kind)
        n_pending = 0;
    else if (left == FS_CRASH_NAMES_HALF)
        n_pending = (n_pending + 1) / 2;
    for (size_t i = 0; i < n; i++) {
        if (!is_name_op(&ops[i]))
            continue;
        if (i >= n_durable && n_pending-- == 0)
            break;
        apply_name(names, &ops[i]);
    }
    if (is_one_kind)
        replay_kind(ops, n_durable, n, left == FS_CRASH_NAMES_RENAMES ? OP_RENAME : OP_UNLINK,
                    names);
}

/* The bytes of an inode after ops[0, n). */
static void
replay_data(const struct op *ops, size_t n, size_t inode, enum fs_crash_data left,
            struct buf *durable)
{
    struct buf now = {0};
    for (size_t i = 0; i < n; i++) {
        const struct op *op = &ops[i];
        if (op->inode != inode || op->is_failed)
            continue;
        if (op->kind == OP_APPEND)
            buf_put_span(&now, buf_span(&op->bytes));
        if (op->kind == OP_TRUNCATE && op->n_bytes < now.n)
            now.n = (size_t)op->n_bytes;
        if (op->kind == OP_SYNC) {
            buf_clear(durable);
            buf_put_span(durable, buf_span(&now));
        }
    }
    bool is_longer = span_starts(buf_span(&now), buf_span(durable));
    size_t n_new = is_longer ? now.n - durable->n : 0;
    if (left == FS_CRASH_DATA_HALF) {
        buf_put(durable, now.p + (now.n - n_new), n_new / 2);
    } else if (left == FS_CRASH_DATA_ZERO) {
        for (size_t i = 0; i < n_new; i++)
            buf_putc(durable, '\0');
    } else if (left == FS_CRASH_DATA_KEEP) {
        buf_clear(durable);
        buf_put_span(durable, buf_span(&now));
    }
    buf_fini(&now);
}

void
fs_record_rebuild(struct fs *fs, struct fs_crash crash, const char *into)
{
    struct record *r = record_of(fs);
    struct map names = {0};
    struct fs *host;
    size_t at = 0;
    struct span name;
    uint64_t *inode;
    lock(r);
    must(crash.n_ops <= r->n_ops - r->n_begin);
    size_t n = r->n_begin + crash.n_ops;
    replay_names(r->ops, n, crash.names, &names);
    must(fs_open_host(into, &host, NULL) == RC_OK);
    while (map_next(&names, &at, &name, &inode)) {
        struct buf bytes = {0};
        struct fs_file *f;
        replay_data(r->ops, n, *inode, crash.data, &bytes);
        must(fs_create(host, name.p, &f, NULL) == RC_OK);
        must(fs_append(f, buf_span(&bytes), NULL) == RC_OK);
        fs_file_close(f);
        buf_fini(&bytes);
    }
    fs_close(host);
    map_fini(&names);
    unlock(r);
}
