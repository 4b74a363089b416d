/*
 * POST .../documents/import: lines in, a line of outcome for each out, in
 * bounded memory. Outcomes wait in a temporary file until the last line was
 * read: most clients read nothing before they have sent everything, and an
 * answer that nobody takes would stop the import.
 */
#include "indexer/api.h"

#include <errno.h>
#include <stdio.h>

enum {
    PIECE_BYTES = 256 << 10,
    GROUP_LINES = 2048,        /* a group shares a sync and a publication */
    GROUP_BYTES = 4 << 20,
    LINE_BYTES_MAX = 64 << 20, /* a longer line is an error, not a reason to grow */
};

struct import {
    struct ing_api *a;
    struct http_exchange *x;
    struct span collection;
    enum ing_action action;
    enum ing_dirty dirty;
    bool returns_id, returns_document;
    struct buf input;   /* lines not yet handled */
    struct buf output;  /* outcomes of the group */
    FILE *spool;        /* outcomes so far */
    struct arena arena; /* of the group */
    struct ing_write writes[GROUP_LINES];
    struct span lines[GROUP_LINES];
    size_t n;
    bool has_output;
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
    bool is_there = idx_snapshot_find(ing_groups_snapshot(im->a->groups), im->collection) != NULL;
    ing_groups_end(im->a->groups);
    if (!is_there)
        http_reply_error(im->x, 404, "Not Found");
    return is_there;
}

/* ---- a group ---- */

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
parse_line(struct import *im, struct ing_write *w, struct span line)
{
    struct err err = {0};
    *w = (struct ing_write){.action = im->action, .dirty = im->dirty, .collection = im->collection};
    if (json_parse(line, &im->arena, &w->object, &err) != RC_OK)
        w->rc = err_set(&w->err, RC_INVALID, "the line is no JSON: %s", err.text);
    else if (w->object.type != JSON_OBJECT)
        w->rc = err_set(&w->err, RC_INVALID, "a document is a JSON object");
}

/* Lines that are no documents keep their place among the outcomes, and take no part in the group. */
static void
run_group(struct import *im)
{
    struct ing_write *good = arena_calloc(&im->arena, im->n + 1, sizeof *good);
    size_t *place = arena_calloc(&im->arena, im->n + 1, sizeof *place), n_good = 0, n_done = 0;
    for (size_t i = 0; i < im->n; i++) {
        parse_line(im, &im->writes[i], im->lines[i]);
        if (im->writes[i].rc == RC_OK) {
            place[n_good] = i;
            good[n_good++] = im->writes[i];
        }
    }
    if (n_good)
        ing_groups_run(im->a->groups, good, n_good, &im->arena);
    for (size_t i = 0; i < n_good; i++) {
        im->writes[place[i]] = good[i];
        n_done += good[i].rc == RC_OK;
    }
    metrics_add(im->a->counts, M_API_WRITES, n_done);
    for (size_t i = 0; i < im->n; i++)
        put_outcome(im, &im->writes[i], im->lines[i]);
}

/* The next non-blank line from *at; false if the rest is none (an unfinished one, unless at the end). */
static bool
next_line(const struct import *im, size_t *at, bool is_end, struct span *line)
{
    struct span all = buf_span(&im->input);
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

/* Handles the whole lines of the input; a part of a line stays. */
static enum rc
handle_lines(struct import *im, bool is_end, struct err *err)
{
    size_t at = 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK) {
        size_t begin = at;
        im->n = 0;
        while (im->n < GROUP_LINES && at - begin < GROUP_BYTES && next_line(im, &at, is_end, &im->lines[im->n]))
            im->n++;
        if (im->n == 0)
            break;
        run_group(im);
        arena_reset(&im->arena);
        if (fwrite(im->output.p, 1, im->output.n, im->spool) != im->output.n)
            rc = err_sys(err, RC_IO, errno, "keeping the import's outcomes");
        buf_clear(&im->output);
    }
    if (at) {
        memmove(im->input.p, im->input.p + at, im->input.n - at);
        im->input.n -= at;
    }
    return rc;
}

static enum rc
run(struct import *im, struct err *err)
{
    for (;;) {
        size_t n = 0;
        buf_reserve(&im->input, PIECE_BYTES);
        enum rc rc = http_body_read(im->x, im->input.p + im->input.n, PIECE_BYTES, &n, err);
        if (rc != RC_OK)
            return rc;
        im->input.n += n;
        bool is_end = n == 0;
        if (is_end || im->input.n >= GROUP_BYTES)
            rc = handle_lines(im, is_end, err);
        if (rc != RC_OK || is_end)
            return rc;
        if (im->input.n > LINE_BYTES_MAX)
            return err_set(err, RC_TOO_LARGE, "a line is longer than %d bytes", LINE_BYTES_MAX);
    }
}

static void
answer(struct import *im)
{
    char piece[8192];
    size_t n;
    rewind(im->spool);
    http_stream_begin(im->x, 200, "text/plain; charset=utf-8");
    enum rc rc = RC_OK;
    while (rc == RC_OK && (n = fread(piece, 1, sizeof piece, im->spool)) > 0)
        rc = http_stream_write(im->x, span_of(piece, n), NULL);
    /* A broken stream ends without its last chunk, so that the client sees it. */
    http_stream_end(im->x, rc == RC_OK && !ferror(im->spool));
}

void
ing_api_import(struct ing_api *a, struct http_exchange *x)
{
    struct import *im = xcalloc(1, sizeof *im);
    struct err err = {0};
    enum rc rc = RC_OK;
    im->a = a;
    im->x = x;
    if (!read_parameters(im))
        goto out;
    im->spool = tmpfile();
    rc = im->spool ? run(im, &err) : err_sys(&err, RC_IO, errno, "making a temporary file");
    if (rc == RC_OK)
        answer(im);
    else
        ing_api_refuse(x, rc, &err);
out:
    if (im->spool)
        fclose(im->spool);
    buf_fini(&im->input);
    buf_fini(&im->output);
    arena_fini(&im->arena);
    free(im);
}
