/*
 * POST .../documents/import: lines in, a line of outcome for each out, in
 * bounded memory. Outcomes wait, many of them in a temporary file, until the
 * last line was read: most clients read nothing before they have sent
 * everything, and an answer that nobody takes would stop the import.
 *
 * Two threads work on an import of several groups: the lane's own reads,
 * parses and tokenises the next group of lines while the other runs the one
 * before (queue: full); groups that are done with come back (queue: empty).
 */
#include "indexer/api.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

enum {
    PIECE_BYTES = 128 << 10,
    GROUP_LINES = 4096, /* a group shares a sync and a publication */
    GROUP_BYTES = 1 << 20,
    GROUPS = 3,
    LINE_BYTES_MAX = 64 << 20, /* a longer line is an error, not a reason to grow */
    OUTPUT_BYTES = 256 << 10,  /* more outcomes than that go to a file */
};

struct lines {
    struct ing_group group; /* a write for each of the lines */
    struct buf text;        /* lines, and the beginning of those of the next group */
    struct span *v;         /* within text */
    size_t cap;
};

struct import {
    struct ing_api *a;
    struct http_exchange *x;
    struct span collection;
    enum ing_action action;
    enum ing_dirty dirty;
    bool returns_id, returns_document;
    struct lines groups[GROUPS];
    struct queue *full, *empty; /* of struct lines */
    bool has_runner;
    pthread_t runner;
    /* Of the running thread, and of everyone once it has ended. */
    FILE *spool;       /* outcomes so far; NULL: none went there */
    struct buf output; /* and those after */
    bool has_output;
    int spool_error; /* errno; 0: none */
};

static bool
read_flag(struct http_exchange *x, const char *name, bool *out)
{
    const struct http_param *p = http_request_param(http_exchange_request(x), name);
    *out = p && span_eq_str(p->value, "true");
    if (!p || *out || span_eq_str(p->value, "false"))
        return true;
    http_reply_error(x, 400, "`%s` is true or false", name);
    return false;
}

static bool
read_parameters(struct import *im)
{
    const struct http_request *r = http_exchange_request(im->x);
    const struct http_param *batch = http_request_param(r, "batch_size");
    uint64_t size = 0;
    struct err err = {0};
    im->collection = r->parts[1];
    if (!ing_api_read_action(im->x, &im->action, &im->dirty))
        return false;
    if (batch && (!span_u64(batch->value, &size) || size == 0)) {
        http_reply_error(im->x, 400, "`batch_size` is a positive number");
        return false;
    }
    if (!read_flag(im->x, "return_id", &im->returns_id) ||
        !read_flag(im->x, "return_doc", &im->returns_document))
        return false;
    ing_groups_begin(im->a->groups);
    const struct idx_collection *c =
        idx_snapshot_find_public(ing_groups_snapshot(im->a->groups), im->collection);
    enum rc rc = c ? ing_groups_check_fed(im->a->groups, c->schema->name, &err)
                   : err_set(&err, RC_ABSENT, "Not Found");
    ing_groups_end(im->a->groups);
    if (rc != RC_OK)
        ing_api_refuse(im->x, rc, &err);
    return rc == RC_OK;
}

/* ---- the running thread ---- */

static void
put_outcome(struct import *im, const struct ing_write *w, struct span line)
{
    struct buf *out = &im->output;
    if (im->has_output)
        buf_putc(out, '\n');
    im->has_output = true;
    buf_putc(out, '{');
    bool is_ok = w->rc == RC_OK;
    if (!is_ok) {
        buf_printf(out, "\"code\":%d,\"document\":", rc_http(w->rc));
        json_put_str(out, line);
        buf_puts(out, ",\"error\":");
        json_put_str(out, span_str(w->err.text));
    } else if (im->returns_document) {
        buf_puts(out, "\"document\":");
        buf_put_span(out, w->stored);
    }
    struct span id = is_ok ? w->stored_id : json_get_str(&w->object, "id", (struct span){0});
    if (im->returns_id && id.n) {
        json_put_name(out, "id");
        json_put_str(out, id);
    }
    json_put_name(out, "success");
    buf_puts(out, is_ok ? "true}" : "false}");
}

static void
spill(struct import *im)
{
    if (!im->spool && !im->spool_error)
        im->spool = tmpfile();
    if (!im->spool_error &&
        (!im->spool || fwrite(im->output.p, 1, im->output.n, im->spool) != im->output.n))
        im->spool_error = errno ? errno : EIO;
    buf_clear(&im->output);
}

static void
run_group(struct import *im, struct lines *l)
{
    size_t n_done = 0;
    ing_group_run(&l->group);
    for (size_t i = 0; i < l->group.n; i++) {
        n_done += l->group.writes[i].rc == RC_OK;
        put_outcome(im, &l->group.writes[i], l->v[i]);
    }
    metrics_add(im->a->counts, M_API_WRITES, n_done);
    if (im->output.n > OUTPUT_BYTES)
        spill(im);
    ing_group_reset(&l->group);
}

static void *
run_groups(void *arg)
{
    struct import *im = arg;
    for (struct lines *l; (l = queue_pop(im->full, UINT64_MAX));) {
        run_group(im, l);
        must(queue_push(im->empty, l)); /* it has room for all, and is closed after this thread */
    }
    return NULL;
}

/* ---- the reading thread ---- */

/* Lines that are no documents keep their place among the outcomes, and take no part in the group.
 */
static void
parse_line(struct import *im, struct lines *l, struct span line)
{
    struct err err = {0};
    struct ing_write *w = ing_group_add(&l->group);
    l->v = xgrow(l->v, &l->cap, l->group.n, sizeof *l->v);
    l->v[l->group.n - 1] = line;
    w->action = im->action;
    w->dirty = im->dirty;
    w->collection = im->collection;
    if (json_parse(line, &l->group.arena, &w->object, &err) != RC_OK)
        w->rc = err_set(&w->err, RC_INVALID, "the line is no JSON: %s", err.text);
    else if (w->object.type != JSON_OBJECT)
        w->rc = err_set(&w->err, RC_INVALID, "a document is a JSON object");
}

/* The next non-blank line from *at; false if the rest is none (an unfinished one, unless at the
 * end). */
static bool
next_line(struct span all, size_t *at, bool is_end, struct span *line)
{
    while (*at < all.n) {
        size_t end = span_find(all, *at, '\n');
        if (end == all.n && !is_end)
            return false;
        *line = span_trim(span_of(all.p + *at, end - *at));
        *at = end == all.n ? end : end + 1;
        if (line->n)
            return true;
    }
    return false;
}

/* Makes writes of as many lines as a group takes; returns the bytes used. */
static size_t
parse_lines(struct import *im, struct lines *l, bool is_end)
{
    struct span line;
    size_t at = 0;
    while (l->group.n < GROUP_LINES && next_line(buf_span(&l->text), &at, is_end, &line))
        parse_line(im, l, line);
    ing_group_prepare(&l->group);
    return at;
}

/* Reads on until there is a group's worth, and at least one whole line. */
static enum rc
fill(struct import *im, struct lines *l, bool *is_end, struct err *err)
{
    size_t searched = 0;
    while (!*is_end) {
        size_t n = 0;
        if (l->text.n >= GROUP_BYTES) {
            if (span_find(buf_span(&l->text), searched, '\n') < l->text.n)
                return RC_OK;
            searched = l->text.n;
        }
        if (l->text.n > LINE_BYTES_MAX)
            return err_set(err, RC_TOO_LARGE, "a line is longer than %d bytes", LINE_BYTES_MAX);
        buf_reserve(&l->text, PIECE_BYTES);
        enum rc rc = http_body_read(im->x, l->text.p + l->text.n, PIECE_BYTES, &n, err);
        if (rc != RC_OK)
            return rc;
        l->text.n += n;
        *is_end = n == 0;
    }
    return RC_OK;
}

/* The only group is run right here: a thread would cost more than it brings. */
static enum rc
hand_over(struct import *im, struct lines *l, bool is_last, struct err *err)
{
    if (!im->has_runner && is_last) {
        run_group(im, l);
        return RC_OK;
    }
    if (!im->has_runner) {
        int failed = pthread_create(&im->runner, NULL, run_groups, im);
        if (failed)
            return err_sys(err, RC_NOMEM, failed, "starting a thread for an import");
        im->has_runner = true;
    }
    must(queue_push(im->full, l));
    return RC_OK;
}

static enum rc
read_groups(struct import *im, struct err *err)
{
    struct lines *l = queue_pop(im->empty, UINT64_MAX);
    bool is_end = false;
    for (;;) {
        enum rc rc = fill(im, l, &is_end, err);
        if (rc != RC_OK)
            return rc;
        size_t used = parse_lines(im, l, is_end);
        struct lines *next = queue_pop(im->empty, UINT64_MAX);
        struct span rest = span_from(buf_span(&l->text), used);
        buf_clear(&next->text);
        buf_put_span(&next->text, rest);
        bool is_last = is_end && rest.n == 0;
        rc = hand_over(im, l, is_last, err);
        if (rc != RC_OK || is_last)
            return rc;
        l = next;
    }
}

/* ---- the whole ---- */

static enum rc
begin(struct import *im, struct err *err)
{
    enum rc rc = RC_OK;
    im->full = queue_new(GROUPS);
    im->empty = queue_new(GROUPS);
    for (size_t i = 0; i < GROUPS && rc == RC_OK; i++) {
        rc = ing_group_init(&im->groups[i].group, im->a->groups, err);
        must(queue_push(im->empty, &im->groups[i]));
    }
    return rc;
}

static enum rc
run(struct import *im, struct err *err)
{
    enum rc rc = begin(im, err);
    if (rc != RC_OK)
        return rc;
    rc = read_groups(im, err);
    queue_close(im->full);
    if (im->has_runner)
        pthread_join(im->runner, NULL);
    if (rc == RC_OK && im->spool_error)
        rc = err_sys(err, RC_IO, im->spool_error, "keeping the import's outcomes");
    return rc;
}

/* The groups belong to the import, wherever they are. */
static void
queue_end(struct queue *q)
{
    while (q && queue_try_pop(q))
        continue;
    queue_free(q);
}

static void
end(struct import *im)
{
    if (im->spool)
        fclose(im->spool);
    for (size_t i = 0; i < GROUPS; i++) {
        ing_group_fini(&im->groups[i].group);
        buf_fini(&im->groups[i].text);
        free(im->groups[i].v);
    }
    queue_end(im->full);
    queue_end(im->empty);
    buf_fini(&im->output);
    free(im);
}

static void
answer(struct import *im)
{
    char piece[8192];
    size_t n;
    if (im->spool)
        rewind(im->spool);
    http_stream_begin(im->x, 200, "text/plain; charset=utf-8");
    enum rc rc = RC_OK;
    while (rc == RC_OK && im->spool && (n = fread(piece, 1, sizeof piece, im->spool)) > 0)
        rc = http_stream_write(im->x, span_of(piece, n), NULL);
    if (rc == RC_OK && im->output.n)
        rc = http_stream_write(im->x, buf_span(&im->output), NULL);
    /* A broken stream ends without its last chunk, so that the client sees it. */
    http_stream_end(im->x, rc == RC_OK && !(im->spool && ferror(im->spool)));
}

void
ing_api_import(struct ing_api *a, struct http_exchange *x)
{
    struct import *im = xcalloc(1, sizeof *im);
    struct err err = {0};
    im->a = a;
    im->x = x;
    if (read_parameters(im)) {
        enum rc rc = run(im, &err);
        metrics_observe(a->counts, M_API_IMPORT_TIME, clock_us() - http_exchange_begin_us(x));
        if (rc == RC_OK)
            answer(im);
        else
            ing_api_refuse(x, rc, &err);
    }
    end(im);
}
