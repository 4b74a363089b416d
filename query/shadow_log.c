#include "query/shadow_log.h"

#include "base/clock.h"
#include "base/log.h"

enum { WORST_N = 32, SEARCH_BYTES_MAX = 16 << 10, FILE_BYTES_MAX = 4 << 20 };

static const uint64_t period_us = 10000000;
static const char name[] = "shadow.log", name_before[] = "shadow.1.log";

struct line {
    double badness;
    struct buf text;
};

struct qry_shadow_log {
    struct fs *fs;
    struct log *log;
    const char *served_by, *replayed_by;
    struct line worst[WORST_N]; /* n, the worst first */
    uint32_t n;
    uint64_t period_end_us;
    uint64_t n_bytes; /* of the file */
};

static void
find_size(void *arg, const char *found, uint64_t n_bytes)
{
    struct qry_shadow_log *l = arg;

    if (strcmp(found, name) == 0)
        l->n_bytes = n_bytes;
}

struct qry_shadow_log *
qry_shadow_log_new(struct fs *fs, struct log *log, const char *served_by)
{
    struct qry_shadow_log *l = xcalloc(1, sizeof *l);

    l->fs = fs;
    l->log = log;
    l->served_by = served_by;
    l->replayed_by = strcmp(served_by, "builtin") == 0 ? "typesense" : "builtin";
    l->period_end_us = clock_us() + period_us;
    /* A file that is not seen counts as empty, and grows to twice its limit at most. */
    if (fs && fs_list(fs, find_size, l, NULL) != RC_OK)
        l->n_bytes = 0;
    return l;
}

/* ---- a line ---- */

static void
put_search(const struct qry_shadow_finding *f, struct buf *out)
{
    struct arena arena = {0};
    struct json body;
    struct span text = buf_span(&f->asked->target);

    buf_puts(out, "{\"target\":");
    json_put_str(out, text.n <= SEARCH_BYTES_MAX ? text : SPAN_LIT("(too long)"));
    text = buf_span(&f->asked->body);
    if (f->asked->is_post && text.n <= SEARCH_BYTES_MAX &&
        json_parse(text, &arena, &body, NULL) == RC_OK) {
        const struct json *searches = json_get(&body, "searches");
        buf_puts(out, ",\"search\":");
        json_put(out, &searches->items[f->at], false);
    }
    buf_putc(out, '}');
    arena_fini(&arena);
}

static void
put_side(const char *by, const struct qry_top *top, uint64_t us, struct buf *out)
{
    buf_printf(out, "{\"by\":\"%s\",\"us\":%llu,\"error\":%s,\"found\":%llu,\"ids\":", by,
               (unsigned long long)us, top->is_error ? "true" : "false",
               (unsigned long long)top->found);
    qry_top_write_ids(top, out);
    buf_putc(out, '}');
}

static void
put_finding(const struct qry_shadow_log *l, const struct qry_shadow_finding *f, struct buf *out)
{
    buf_printf(out, "{\"unix_ms\":%llu,\"asked\":", (unsigned long long)(clock_wall_us() / 1000));
    put_search(f, out);
    buf_puts(out, ",\"overlap\":");
    if (f->agreement.has_overlap)
        json_put_double(out, f->agreement.overlap);
    else
        buf_puts(out, "null");
    buf_puts(out, ",\"served\":");
    put_side(l->served_by, &f->served, f->served_us, out);
    buf_puts(out, ",\"replayed\":");
    put_side(l->replayed_by, &f->replayed, f->replayed_us, out);
    buf_puts(out, "}\n");
}

void
qry_shadow_log_add(struct qry_shadow_log *l, const struct qry_shadow_finding *f)
{
    double badness = f->agreement.badness;

    if (badness <= 0 || !l->fs)
        return;
    if (l->n == WORST_N && badness <= l->worst[WORST_N - 1].badness)
        return;
    if (l->n == WORST_N)
        buf_fini(&l->worst[--l->n].text);
    uint32_t at = l->n++;
    for (; at > 0 && l->worst[at - 1].badness < badness; at--)
        l->worst[at] = l->worst[at - 1];
    l->worst[at] = (struct line){.badness = badness};
    put_finding(l, f, &l->worst[at].text);
}

/* ---- the file ---- */

static enum rc
write_down(struct qry_shadow_log *l, struct span text, struct err *err)
{
    struct fs_file *file = NULL;
    enum rc rc = RC_OK;

    if (l->n_bytes > 0 && l->n_bytes + text.n > FILE_BYTES_MAX) {
        rc = fs_rename(l->fs, name, name_before, err);
        l->n_bytes = 0;
    }
    if (rc == RC_OK)
        rc = fs_open_append(l->fs, name, &file, err);
    if (rc == RC_OK)
        rc = fs_append(file, text, err);
    fs_file_close(file);
    l->n_bytes += text.n;
    return rc;
}

static void
flush(struct qry_shadow_log *l)
{
    struct buf text = {0};
    struct err err = {0};

    for (uint32_t i = 0; i < l->n; i++) {
        buf_put_span(&text, buf_span(&l->worst[i].text));
        buf_fini(&l->worst[i].text);
    }
    if (l->n > 0 && write_down(l, buf_span(&text), &err) != RC_OK)
        log_line(l->log, LOG_WARN, "query", "shadow", "writing %s failed: %s; going on without",
                 name, err.text);
    l->n = 0;
    l->period_end_us = clock_us() + period_us;
    buf_fini(&text);
}

void
qry_shadow_log_tick(struct qry_shadow_log *l)
{
    if (clock_us() >= l->period_end_us)
        flush(l);
}

void
qry_shadow_log_free(struct qry_shadow_log *l)
{
    if (!l)
        return;
    flush(l);
    free(l);
}
