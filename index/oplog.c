/*
 * The operation log: what standalone mode acknowledges before the next
 * commit. Records are collected in memory and written by idx_log_sync, one
 * write and one fdatasync for a whole group; the format is in oplog.h.
 *
 * A file in which a write or a sync failed is never written again: the next
 * append begins a new one at the last durable offset, and whatever the failed
 * group left behind that offset in the old file does not count, since a file
 * ends where the next one begins.
 */
#include "index/oplog.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash.h"

enum {
    FILE_HEADER_N = 24,
    RECORD_HEADER_N = 24,
    NAME_MAX_N = 32,
    FILE_BYTES_MAX = 64 << 20, /* a new file is begun behind so many */
    TRIM_BYTES_MIN = 1 << 20,  /* the newest file is left behind by a trim from so many on */
};
static const uint32_t record_mark = 0x474f4c54;
static const char file_magic[8] = {'T', 'F', 'O', 'P', 'L', 'O', 'G', '1'};

struct log_file {
    uint64_t begin, end; /* offsets of its records */
};

struct idx_log {
    struct fs *fs;
    struct log_file *files; /* ascending; the last one is being written */
    size_t n, cap;
    struct fs_file *file; /* of the last; NULL: a new one is needed */
    uint64_t synced;      /* everything before is durable */
    struct buf pending;   /* records from `synced` on */
};

typedef enum rc each_record(void *arg, struct span record, uint64_t end, struct err *err);

static void
name_of(uint64_t start, char name[NAME_MAX_N])
{
    snprintf(name, NAME_MAX_N, "%016" PRIx64 ".log", start);
}

static bool
start_of(const char *name, uint64_t *start)
{
    char text[NAME_MAX_N];
    if (strlen(name) != 20 || strspn(name, "0123456789abcdef") != 16)
        return false;
    *start = strtoull(name, NULL, 16);
    name_of(*start, text);
    return strcmp(text, name) == 0;
}

/* ---- records ---- */

static uint64_t
record_sum(uint64_t offset, uint64_t synced, struct span bytes)
{
    const uint64_t head[] = {offset, synced, bytes.n};
    uint64_t sum = hash64(span_of((const char *)head, sizeof head));
    return hash64_more(sum, bytes);
}

/* The record at the front of bytes, which begin at `offset`. False if there is no whole one. */
static bool
read_record(struct span bytes, uint64_t offset, struct span *record, uint64_t *synced)
{
    struct bytes r = bytes_of(bytes);
    uint32_t mark = bytes_u32(&r), n = bytes_u32(&r);
    *synced = bytes_u64(&r);
    uint64_t sum = bytes_u64(&r);
    if (r.bad || mark != record_mark || n > bytes_left(&r))
        return false;
    *record = bytes_take(&r, n);
    return record_sum(offset, *synced, *record) == sum;
}

/* Is there a record behind the torn one that knows it to have been durable? */
static bool
is_damage(struct span bytes, uint64_t offset)
{
    for (size_t at = 1; at + RECORD_HEADER_N <= bytes.n; at++) {
        struct span record;
        uint64_t synced;
        if (load_u32(bytes.p + at) == record_mark &&
            read_record(span_from(bytes, at), offset + at, &record, &synced) && synced > offset)
            return true;
    }
    return false;
}

/* ---- reading files ---- */

struct reading {
    uint64_t from;
    each_record *each;
    void *arg;
};

/*
 * Calls each (may be NULL) for the records of a file from r->from on;
 * file->end gets where the valid ones end. limit: where the next file begins.
 */
static enum rc
read_records(struct span bytes, struct log_file *file, uint64_t limit, const struct reading *r,
             struct err *err)
{
    uint64_t at = file->begin;
    while (at < limit && bytes.n > 0) {
        struct span record;
        uint64_t synced;
        if (!read_record(bytes, at, &record, &synced)) {
            if (limit != UINT64_MAX || is_damage(bytes, at))
                return err_set(err, RC_CORRUPT, "the record at offset %" PRIu64 " is damaged", at);
            break;
        }
        uint64_t end = at + RECORD_HEADER_N + record.n;
        enum rc rc = r->each && at >= r->from ? r->each(r->arg, record, end, err) : RC_OK;
        if (rc != RC_OK)
            return rc;
        bytes = span_from(bytes, RECORD_HEADER_N + record.n);
        at = end;
    }
    if (limit != UINT64_MAX && at != limit)
        return err_set(err, RC_CORRUPT, "the log has a gap at offset %" PRIu64, at);
    file->end = at;
    return RC_OK;
}

static bool
is_header_good(struct span bytes, uint64_t start)
{
    struct bytes r = bytes_of(bytes);
    struct span magic = bytes_take(&r, sizeof file_magic);
    uint64_t begin = bytes_u64(&r), sum = bytes_u64(&r);
    return !r.bad && memcmp(magic.p, file_magic, sizeof file_magic) == 0 && begin == start &&
           sum == hash64(span_of(bytes.p, 16));
}

/* is_last: a torn header or tail is allowed; a torn header gives RC_ABSENT. */
static enum rc
read_file(struct fs *fs, struct log_file *file, uint64_t limit, const struct reading *r,
          struct err *err)
{
    char name[NAME_MAX_N];
    struct fs_map map;
    name_of(file->begin, name);
    enum rc rc = fs_map(fs, name, &map, err);
    if (rc != RC_OK)
        return rc;
    struct span bytes = span_of(map.p, map.n);
    if (is_header_good(bytes, file->begin))
        rc = read_records(span_from(bytes, FILE_HEADER_N), file, limit, r, err);
    else if (limit == UINT64_MAX)
        rc = RC_ABSENT;
    else
        rc = err_set(err, RC_CORRUPT, "the header is damaged");
    fs_unmap(fs, &map);
    return rc == RC_CORRUPT ? err_wrap(err, rc, "%s", name) : rc;
}

struct files {
    struct log_file *items;
    size_t n, cap;
};

static void
note_file(void *arg, const char *name, uint64_t n_bytes)
{
    struct files *l = arg;
    uint64_t start;
    (void)n_bytes;
    if (!start_of(name, &start))
        return;
    l->items = xgrow(l->items, &l->cap, l->n + 1, sizeof l->items[0]);
    size_t at = l->n++;
    for (; at > 0 && l->items[at - 1].begin > start; at--)
        l->items[at] = l->items[at - 1];
    l->items[at] = (struct log_file){start, start};
}

/*
 * Reads all records. A last file that was being made when the machine stopped
 * has no header yet and is dropped from the list; the file before it ends
 * where it would have begun.
 */
static enum rc
read_all(struct fs *fs, struct files *l, const struct reading *r, struct err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        bool is_last = i + 1 == l->n;
        uint64_t limit = is_last ? UINT64_MAX : l->items[i + 1].begin;
        enum rc rc = read_file(fs, &l->items[i], limit, r, err);
        if (rc == RC_ABSENT && is_last)
            l->n--;
        else if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc
idx_log_scan(struct fs *fs, each_record *each, void *arg, struct err *err)
{
    struct files l = {0};
    struct reading r = {.each = each, .arg = arg};
    enum rc rc = fs_list(fs, note_file, &l, err);
    if (rc == RC_OK)
        rc = read_all(fs, &l, &r, err);
    free(l.items);
    return rc;
}

enum rc
idx_log_copy(struct fs *from, struct fs *to, struct err *err)
{
    struct files l = {0};
    bool is_first = true;
    enum rc rc = fs_list(from, note_file, &l, err);
    for (size_t i = 0; i < l.n && rc == RC_OK; i++) {
        char name[NAME_MAX_N];
        struct fs_map map;
        name_of(l.items[i].begin, name);
        rc = fs_map(from, name, &map, err);
        if (rc == RC_ABSENT && is_first) { /* trimmed meanwhile */
            rc = RC_OK;
            continue;
        }
        if (rc != RC_OK)
            break;
        rc = fs_write(to, name, span_of(map.p, map.n), err);
        fs_unmap(from, &map);
        is_first = false;
    }
    free(l.items);
    return rc;
}

/* ---- opening ---- */

/* Begins a new file at the durable end. Durable itself before a record goes in. */
static enum rc
begin_file(struct idx_log *log, struct err *err)
{
    char name[NAME_MAX_N];
    struct buf head = {0};
    struct fs_file *file = NULL;
    name_of(log->synced, name);
    buf_put(&head, file_magic, sizeof file_magic);
    buf_put_u64(&head, log->synced);
    buf_put_u64(&head, hash64(buf_span(&head)));
    enum rc rc = fs_create(log->fs, name, &file, err);
    if (rc == RC_OK)
        rc = fs_append(file, buf_span(&head), err);
    if (rc == RC_OK)
        rc = fs_sync(file, err);
    if (rc == RC_OK)
        rc = fs_sync_dir(log->fs, err);
    buf_fini(&head);
    if (rc != RC_OK) {
        fs_file_close(file);
        return rc;
    }
    log->file = file;
    /* After a failure the same start may come again: the file was made anew. */
    if (log->n > 0 && log->files[log->n - 1].begin == log->synced)
        return RC_OK;
    log->files = xgrow(log->files, &log->cap, log->n + 1, sizeof log->files[0]);
    log->files[log->n++] = (struct log_file){log->synced, log->synced};
    return RC_OK;
}

static enum rc
cut_tail(struct idx_log *log, struct err *err)
{
    const struct log_file *last = &log->files[log->n - 1];
    char name[NAME_MAX_N];
    name_of(last->begin, name);
    enum rc rc = fs_open_append(log->fs, name, &log->file, err);
    if (rc == RC_OK)
        rc = fs_truncate(log->file, FILE_HEADER_N + (last->end - last->begin), err);
    if (rc == RC_OK)
        rc = fs_sync(log->file, err);
    return rc;
}

enum rc
idx_log_open(struct fs *fs, struct idx_log **out, struct err *err)
{
    struct idx_log *log = xcalloc(1, sizeof *log);
    struct files l = {0};
    struct reading r = {0};
    log->fs = fs;
    enum rc rc = fs_list(fs, note_file, &l, err);
    uint64_t newest = l.n > 0 ? l.items[l.n - 1].begin : 0;
    if (rc == RC_OK)
        rc = read_all(fs, &l, &r, err);
    log->files = l.items;
    log->n = l.n;
    log->cap = l.cap;
    if (rc == RC_OK) {
        log->synced = log->n > 0 ? log->files[log->n - 1].end : newest;
        bool is_torn_file = log->n > 0 && log->files[log->n - 1].begin != newest;
        if (log->n > 0 && !is_torn_file)
            rc = cut_tail(log, err);
        else /* the file that was never finished is made anew */
            rc = begin_file(log, err);
    }
    if (rc != RC_OK) {
        idx_log_close(log);
        return err_wrap(err, rc, "opening the operation log");
    }
    *out = log;
    return RC_OK;
}

void
idx_log_close(struct idx_log *log)
{
    if (!log)
        return;
    fs_file_close(log->file);
    buf_fini(&log->pending);
    free(log->files);
    free(log);
}

/* ---- appending ---- */

enum rc
idx_log_append(struct idx_log *log, struct span record, uint64_t *end, struct err *err)
{
    if (record.n > IDX_LOG_RECORD_MAX)
        return err_set(err, RC_LIMIT, "a record of %zu bytes is longer than %d", record.n,
                       IDX_LOG_RECORD_MAX);
    uint64_t at = log->synced + log->pending.n;
    buf_put_u32(&log->pending, record_mark);
    buf_put_u32(&log->pending, (uint32_t)record.n);
    buf_put_u64(&log->pending, log->synced);
    buf_put_u64(&log->pending, record_sum(at, log->synced, record));
    buf_put_span(&log->pending, record);
    *end = log->synced + log->pending.n;
    return RC_OK;
}

/* The file cannot be trusted any more. Records of the group were not acknowledged. */
static void
leave_file(struct idx_log *log)
{
    fs_file_close(log->file);
    log->file = NULL;
    buf_clear(&log->pending);
}

enum rc
idx_log_sync(struct idx_log *log, struct err *err)
{
    if (log->pending.n == 0)
        return RC_OK;
    if (log->file && log->synced - log->files[log->n - 1].begin >= FILE_BYTES_MAX) {
        fs_file_close(log->file);
        log->file = NULL;
    }
    enum rc rc = log->file ? RC_OK : begin_file(log, err);
    if (rc == RC_OK)
        rc = fs_append(log->file, buf_span(&log->pending), err);
    if (rc == RC_OK)
        rc = fs_sync(log->file, err);
    if (rc != RC_OK) {
        leave_file(log);
        return rc;
    }
    log->synced += log->pending.n;
    log->files[log->n - 1].end = log->synced;
    buf_clear(&log->pending);
    return RC_OK;
}

/* ---- replaying, trimming ---- */

enum rc
idx_log_replay(struct idx_log *log, uint64_t from, each_record *each, void *arg, struct err *err)
{
    struct reading r = {from, each, arg};
    if (from > log->synced)
        return err_set(err, RC_CORRUPT,
                       "the operation log ends at %" PRIu64 ", before the position %" PRIu64,
                       log->synced, from);
    if (from < log->files[0].begin)
        return err_set(err, RC_CORRUPT,
                       "the operation log begins at %" PRIu64 ", behind the position %" PRIu64,
                       log->files[0].begin, from);
    for (size_t i = 0; i < log->n; i++) {
        struct log_file file = log->files[i];
        /* Behind the durable end of the last file may lie what failed: not to be read. */
        if (file.end <= from || file.end == file.begin)
            continue;
        enum rc rc = read_file(log->fs, &file, file.end, &r, err);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc
idx_log_trim(struct idx_log *log, uint64_t before, struct err *err)
{
    const struct log_file *last = &log->files[log->n - 1];
    if (log->file && last->end <= before && last->end - last->begin >= TRIM_BYTES_MIN) {
        fs_file_close(log->file);
        log->file = NULL;
        enum rc rc = begin_file(log, err);
        if (rc != RC_OK)
            return rc;
    }
    size_t n = 0;
    enum rc rc = RC_OK;
    for (; n + 1 < log->n && log->files[n].end <= before && rc == RC_OK; n++) {
        char name[NAME_MAX_N];
        name_of(log->files[n].begin, name);
        rc = fs_unlink(log->fs, name, err);
        if (rc == RC_OK || rc == RC_ABSENT) /* one by one, so that no crash leaves a gap */
            rc = fs_sync_dir(log->fs, err);
        if (rc != RC_OK)
            break;
    }
    memmove(log->files, log->files + n, (log->n - n) * sizeof log->files[0]);
    log->n -= n;
    return rc;
}
