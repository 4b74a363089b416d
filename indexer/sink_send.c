/*
 * A window of documents on its way to Typesense: imports of bounded size, a few
 * at a time, then deletions; every line of every answer is read. The newest
 * stored text is what is sent, whatever made the document an item. A document
 * is in one window only and windows do not overlap, so that no request can
 * overtake an older one with the same document.
 */
#include "indexer/sink.h"

#include "base/clock.h"

enum {
    DELETE_IDS_MAX = 100,
    SIMPLE_ID_MAX = 36,
    LOOK_US = 200000,
    DELETED_BYTES_MAX = 64 << 20, /* the answer to a deletion is the document */
};

enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_DONE };

struct slot { /* one request */
    struct ing_sink_slots *slots;
    struct buf url, body, answer;
    struct ing_sink_item **items; /* those it is about, in the order of its lines */
    size_t n, cap;
    bool is_delete;
    /* Of the answer: */
    int status;
    enum rc rc;
    uint64_t retry_after_s;
    char text[200];
    enum slot_state state; /* under slots->lock */
};

struct ing_sink_slots {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned n;
    struct slot all[];
};

struct sending { /* one window into one collection */
    struct ing_sink *s;
    struct ing_sink_window *w;
    struct ing_sink_feed *f;
    const char *collection;
    bool may_reject;             /* false: an older collection, whose opinion does not matter */
    size_t at;                   /* the next item */
    struct ing_sink_item **gone; /* items that are in the index no more; in the window's arena */
    size_t n_gone, cap_gone, i_gone;
    enum rc rc; /* the first failure: nothing more is begun */
    struct err *err;
};

/* ---- slots ---- */

void
ing_sink_slots_open(struct ing_sink *s)
{
    unsigned n = s->options.n_connections;
    s->slots = xcalloc(1, sizeof *s->slots + n * sizeof s->slots->all[0]);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->slots->lock, NULL);
    pthread_cond_init(&s->slots->done, &attr);
    pthread_condattr_destroy(&attr);
    s->slots->n = n;
    for (unsigned i = 0; i < n; i++)
        s->slots->all[i].slots = s->slots;
}

void
ing_sink_slots_close(struct ing_sink *s)
{
    if (!s->slots)
        return;
    for (unsigned i = 0; i < s->slots->n; i++) {
        struct slot *slot = &s->slots->all[i];
        buf_fini(&slot->url);
        buf_fini(&slot->body);
        buf_fini(&slot->answer);
        free(slot->items);
    }
    pthread_cond_destroy(&s->slots->done);
    pthread_mutex_destroy(&s->slots->lock);
    free(s->slots);
    s->slots = NULL;
}

/* The client's thread. */
static void
on_done(void *arg, const struct http_answer *answer)
{
    struct slot *slot = arg;
    slot->status = answer->status;
    slot->rc = answer->rc;
    slot->retry_after_s = answer->retry_after_s;
    snprintf(slot->text, sizeof slot->text, "%s", answer->text ? answer->text : "");
    buf_clear(&slot->answer);
    buf_put_span(&slot->answer, answer->body);
    pthread_mutex_lock(&slot->slots->lock);
    slot->state = SLOT_DONE;
    pthread_cond_signal(&slot->slots->done);
    pthread_mutex_unlock(&slot->slots->lock);
}

/* A slot in one of two states; NULL if there is none for a while. */
static struct slot *
find_slot(struct ing_sink_slots *all, enum slot_state a, enum slot_state b, uint64_t wait_us)
{
    uint64_t until_us = clock_us() + wait_us;
    struct timespec at = {.tv_sec = (time_t)(until_us / 1000000),
                          .tv_nsec = (long)(until_us % 1000000 * 1000)};
    struct slot *found = NULL;
    pthread_mutex_lock(&all->lock);
    for (bool is_last = false; !found;) {
        for (unsigned i = 0; i < all->n && !found; i++) {
            if (all->all[i].state == a || all->all[i].state == b)
                found = &all->all[i];
        }
        if (found || is_last)
            break;
        (void)pthread_cond_timedwait(&all->done, &all->lock, &at); /* it is looked again */
        is_last = clock_us() >= until_us;
    }
    pthread_mutex_unlock(&all->lock);
    return found;
}

static bool
is_any_busy(struct ing_sink_slots *all)
{
    bool is = false;
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->n; i++)
        is |= all->all[i].state != SLOT_FREE;
    pthread_mutex_unlock(&all->lock);
    return is;
}

/* ---- answers ---- */

static void
fail(struct sending *x, enum rc rc, const struct err *err)
{
    if (x->rc)
        return; /* the first one tells */
    x->rc = rc;
    if (x->err)
        *x->err = *err;
}

static void
acknowledge(struct sending *x, struct ing_sink_item *item)
{
    item->n_acked++;
    metrics_add(x->s->metrics, M_SINK_ACKED, 1);
}

static void
reject(struct sending *x, struct ing_sink_item *item, struct span reason)
{
    item->n_acked++;
    metrics_add(x->s->metrics, M_SINK_REJECTED, 1);
    if (x->may_reject)
        item->rejection = arena_dup(&x->w->arena, reason);
}

static void
read_line(struct sending *x, struct ing_sink_item *item, struct span line, struct arena *arena)
{
    struct json json;
    struct err err;
    if (span_eq(line, SPAN_LIT("{\"success\":true}"))) {
        acknowledge(x, item);
        return;
    }
    if (json_parse(line, arena, &json, NULL)) {
        fail(x,
             err_set(&err, RC_INVALID, "Typesense answers an import with a line that is no JSON"),
             &err);
        return;
    }
    const struct json *success = json_get(&json, "success"), *code = json_get(&json, "code");
    struct span reason = json_get_str(&json, "error", SPAN_LIT("no reason given"));
    int64_t status = code && code->type == JSON_INT ? code->i64 : 0;
    if (success && success->type == JSON_BOOL && success->boolean)
        acknowledge(x, item);
    else if (status >= 400 && status < 500 && status != 408 && status != 429)
        reject(x, item, reason);
    else
        fail(x,
             err_set(&err, RC_BUSY, "Typesense could not take a document (%lld): %.*s",
                     (long long)status, SPAN_ARG(reason)),
             &err);
}

static void
read_lines(struct sending *x, struct slot *slot)
{
    struct span rest = span_trim(buf_span(&slot->answer));
    struct arena arena = {0};
    struct err err;
    size_t n_lines = 0;
    for (struct span left = rest; left.n && left.p; n_lines++)
        (void)span_split(&left, '\n');
    if (n_lines != slot->n) {
        fail(x,
             err_set(&err, RC_INVALID, "Typesense answers %zu documents with %zu lines", slot->n,
                     n_lines),
             &err);
        return;
    }
    for (size_t i = 0; i < slot->n; i++) {
        read_line(x, slot->items[i], span_trim(span_split(&rest, '\n')), &arena);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

/* Refused as a whole: the fault is one document's, or the size's. */
static void
refuse(struct sending *x, struct slot *slot)
{
    char reason[160];
    struct err err;
    ing_sink_reason(buf_span(&slot->answer), reason, sizeof reason);
    if (slot->n == 1) {
        reject(x, slot->items[0], span_str(reason));
        return;
    }
    x->s->batch_bytes /= 4; /* down to single documents, so that the one is found */
    fail(x, err_set(&err, RC_INVALID, "Typesense refuses an import (%d): %s", slot->status, reason),
         &err);
}

static void
digest(struct sending *x, struct slot *slot)
{
    struct err err;
    enum rc rc = slot->rc ? err_set(&err, RC_UNREACHABLE, "%s", slot->text)
                          : ing_sink_judge(x->s, slot->status, slot->retry_after_s,
                                           buf_span(&slot->answer), &err);
    bool is_single_delete = slot->is_delete && slot->n == 1;
    if (rc) {
        fail(x, rc, &err);
    } else if (slot->status == 404 && !is_single_delete) {
        x->f->is_checked = false;
        fail(x, err_set(&err, RC_ABSENT, "Typesense has no collection %s", x->collection), &err);
    } else if (slot->status != 200 && slot->status != 404) {
        refuse(x, slot);
    } else if (!slot->is_delete) {
        read_lines(x, slot);
    } else {
        for (size_t i = 0; i < slot->n; i++)
            acknowledge(x, slot->items[i]);
    }
    pthread_mutex_lock(&slot->slots->lock);
    slot->state = SLOT_FREE;
    pthread_mutex_unlock(&slot->slots->lock);
}

/* ---- requests ---- */

static void
add_item(struct slot *slot, struct ing_sink_item *item)
{
    slot->items = xgrow(slot->items, &slot->cap, slot->n + 1, sizeof(struct ing_sink_item *));
    slot->items[slot->n++] = item;
}

static void
begin(struct sending *x, struct slot *slot, const char *method)
{
    struct ing_sink *s = x->s;
    struct err err;
    const char *const headers[] = {s->key_header, "Content-Type: text/plain", NULL};
    buf_putc(&slot->url, 0);
    struct http_call call = {.method = method,
                             .url = slot->url.p,
                             .headers = headers,
                             .body = buf_span(&slot->body),
                             .timeout_us = s->options.timeout_us,
                             .answer_bytes_max = slot->is_delete
                                                     ? DELETED_BYTES_MAX
                                                     : 2 * slot->body.n + (slot->n + 64) * 1024};
    if (!ing_sink_may_send(s)) {
        fail(x, err_set(&err, RC_STOPPED, "without the lease nothing is sent"), &err);
        return;
    }
    metrics_add(s->metrics, M_SINK_SENT, slot->n);
    slot->state = SLOT_BUSY; /* free: no one else looks at it */
    if (http_client_send(s->http, &call, on_done, slot, &err)) {
        slot->state = SLOT_FREE;
        fail(x, err.rc, &err);
    }
}

static void
put_documents_url(struct sending *x, struct slot *slot)
{
    buf_clear(&slot->url);
    buf_clear(&slot->body);
    slot->n = 0;
    buf_printf(&slot->url, "%s/collections/", x->s->nodes[x->s->node].url);
    ing_sink_put_escaped(&slot->url, span_str(x->collection));
    buf_puts(&slot->url, "/documents");
}

static bool
goes_here(const struct sending *x, const struct ing_sink_item *item)
{
    return item->feed == x->f && (item->key.n || x->collection == x->f->building);
}

/* Adds the newest text of the item, or notes that it is gone. */
static enum rc
add_document(struct sending *x, struct slot *slot, const struct idx_collection *c,
             struct ing_sink_item *item, struct err *err)
{
    uint32_t view, doc;
    struct span json;
    if (!c || !idx_collection_find(c, item->id, &view, &doc)) {
        x->gone = arena_grow(&x->w->arena, x->gone, &x->cap_gone, x->n_gone + 1,
                             sizeof(struct ing_sink_item *));
        x->gone[x->n_gone++] = item;
        item->is_deleted = true;
        return RC_OK;
    }
    enum rc rc = idx_doc_reader_get(x->s->doc_reader, c->views[view].segment, doc, &json, err);
    if (rc)
        return rc;
    buf_put_span(&slot->body, json);
    buf_putc(&slot->body, '\n');
    item->is_deleted = false;
    add_item(slot, item);
    return RC_OK;
}

static void
fill_import(struct sending *x, struct slot *slot)
{
    struct ing_sink *s = x->s;
    struct err err;
    put_documents_url(x, slot);
    buf_puts(&slot->url, "/import?action=upsert");
    slot->is_delete = false;
    const struct idx_collection *c = idx_snapshot_find_uid(idx_reader_begin(s->reader), x->f->uid);
    for (; x->at < x->w->n && slot->body.n < s->batch_bytes && !x->rc; x->at++) {
        struct ing_sink_item *item = &x->w->items[x->at];
        if (goes_here(x, item) && add_document(x, slot, c, item, &err))
            fail(x, err.rc, &err);
    }
    idx_reader_end(s->reader);
    idx_doc_reader_reset(s->doc_reader);
    if (slot->n && !x->rc)
        begin(x, slot, "POST");
}

static bool
is_simple(struct span id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool is_word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_word && c != '_' && c != '-')
            return false;
    }
    return id.n <= SIMPLE_ID_MAX;
}

/* Many plain ids by a filter, any other by its path. */
static void
fill_delete(struct sending *x, struct slot *slot)
{
    put_documents_url(x, slot);
    slot->is_delete = true;
    struct ing_sink_item *first = x->gone[x->i_gone];
    bool is_many = is_simple(first->id);
    buf_puts(&slot->url, is_many ? "?filter_by=id%3A%5B" : "/");
    do {
        struct ing_sink_item *item = x->gone[x->i_gone++];
        if (slot->n)
            buf_puts(&slot->url, "%2C");
        ing_sink_put_escaped(&slot->url, item->id);
        add_item(slot, item);
    } while (is_many && slot->n < DELETE_IDS_MAX && x->i_gone < x->n_gone &&
             is_simple(x->gone[x->i_gone]->id));
    if (is_many)
        buf_puts(&slot->url, "%5D");
    begin(x, slot, "DELETE");
}

static void
send_to(struct sending *x)
{
    struct ing_sink_slots *all = x->s->slots;
    while (!x->rc && (x->at < x->w->n || x->i_gone < x->n_gone)) {
        struct slot *slot = find_slot(all, SLOT_FREE, SLOT_DONE, LOOK_US);
        (void)ing_sink_keep_lease(x->s); /* looks only when it is due; sending asks again */
        if (!slot)
            continue;
        if (slot->state == SLOT_DONE)
            digest(x, slot);
        else if (x->at < x->w->n)
            fill_import(x, slot);
        else
            fill_delete(x, slot);
    }
    while (is_any_busy(all)) {
        struct slot *slot = find_slot(all, SLOT_DONE, SLOT_DONE, LOOK_US);
        (void)ing_sink_keep_lease(x->s); /* as above */
        if (slot)
            digest(x, slot);
    }
}

bool
ing_sink_item_is_done(const struct ing_sink_item *item)
{
    return item->n_acked >= item->n_wanted;
}

enum rc
ing_sink_send(struct ing_sink *s, struct ing_sink_window *w, struct err *err)
{
    enum rc rc = RC_OK;
    for (size_t i = 0; i < w->n; i++) {
        struct ing_sink_item *item = &w->items[i];
        const struct ing_sink_feed *f = item->feed;
        if (!f)
            continue; /* no one wants it any more: done as it is */
        item->n_wanted = item->key.n && f->target[0] ? 1u : 0u;
        item->n_wanted += f->building[0] ? 1u : 0u;
        item->n_acked = 0;
    }
    for (unsigned i = 0; i < s->n_feeds && !rc; i++) {
        struct ing_sink_feed *f = &s->feeds[i];
        const char *const collections[] = {f->building, f->target};
        for (size_t k = 0; k < ARRAY_SIZE(collections) && !rc; k++) {
            struct sending x = {.s = s, .w = w, .f = f, .collection = collections[k], .err = err};
            x.may_reject = k == 0 || !f->building[0];
            if (collections[k][0])
                send_to(&x);
            rc = x.rc;
        }
    }
    return rc;
}
