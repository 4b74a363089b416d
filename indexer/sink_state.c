/* What the sink stores with the index's commits: a JSON object under the state name "sink". */
#include "indexer/sink.h"

enum { VERSION = 1 };

/* ---- writing ---- */

static void
put_str(struct buf *out, const char *name, struct span value)
{
    json_put_name(out, name);
    json_put_str(out, value);
}

static void
put_u64(struct buf *out, const char *name, uint64_t value)
{
    json_put_name(out, name);
    json_put_u64(out, value);
}

static void
put_feed(const struct ing_sink_feed *f, struct buf *out)
{
    json_put_comma(out);
    buf_putc(out, '{');
    put_str(out, "name", f->name);
    put_u64(out, "uid", f->uid);
    put_str(out, "target", span_str(f->target));
    put_str(out, "building", span_str(f->building));
    put_u64(out, "scanned", f->is_scanned);
    put_str(out, "at", buf_span(&f->at));
    put_u64(out, "partial", f->is_partial);
    put_u64(out, "since_s", f->since_s);
    buf_putc(out, '}');
}

void
ing_sink_state_put(const struct ing_sink *s, struct idx_batch *b)
{
    struct buf out = {0};
    buf_putc(&out, '{');
    put_u64(&out, "version", VERSION);
    put_str(&out, "by", span_str(s->by));
    json_put_name(&out, "feeds");
    buf_putc(&out, '[');
    for (unsigned i = 0; i < s->n_feeds; i++) {
        if (s->feeds[i].uid || s->feeds[i].target[0])
            put_feed(&s->feeds[i], &out);
    }
    buf_putc(&out, ']');
    json_put_name(&out, "old");
    buf_putc(&out, '[');
    for (size_t i = 0; i < s->n_old; i++) {
        json_put_comma(&out);
        buf_putc(&out, '{');
        put_str(&out, "name", span_str(s->old[i].name));
        put_u64(&out, "drop_ms", s->old[i].drop_ms);
        buf_putc(&out, '}');
    }
    buf_puts(&out, "]}");
    idx_batch_state(b, SPAN_LIT("sink"), arena_dup(idx_batch_arena(b), buf_span(&out)));
    buf_fini(&out);
}

/* ---- reading ---- */

static uint64_t
get_u64(const struct json *object, const char *name)
{
    const struct json *v = json_get(object, name);
    return v && v->type == JSON_INT && v->i64 > 0 ? (uint64_t)v->i64 : 0;
}

static void
get_name(const struct json *object, const char *name, char out[ING_SINK_NAME_MAX])
{
    struct span text = json_get_str(object, name, (struct span){0});
    snprintf(out, ING_SINK_NAME_MAX, "%.*s", SPAN_ARG(text));
}

static void
read_feed(struct ing_sink *s, const struct json *object)
{
    struct span name = json_get_str(object, "name", (struct span){0});
    for (unsigned i = 0; i < s->n_feeds; i++) {
        struct ing_sink_feed *f = &s->feeds[i];
        if (!span_eq(f->name, name))
            continue;
        f->uid = (uint32_t)get_u64(object, "uid");
        get_name(object, "target", f->target);
        get_name(object, "building", f->building);
        f->is_scanned = get_u64(object, "scanned") != 0;
        buf_put_span(&f->at, json_get_str(object, "at", (struct span){0}));
        f->is_partial = get_u64(object, "partial") != 0;
        f->since_s = (uint32_t)get_u64(object, "since_s");
    }
}

enum rc
ing_sink_state_read(struct ing_sink *s, struct span text, struct err *err)
{
    struct arena arena = {0};
    struct json json;
    const struct json *feeds = NULL, *old = NULL;
    if (text.n == 0)
        return RC_OK;
    enum rc rc = json_parse(text, &arena, &json, err);
    if (rc || get_u64(&json, "version") != VERSION) {
        rc = err_set(err, RC_CORRUPT, "the stored state of the Typesense sink is none of ours");
    } else {
        feeds = json_get(&json, "feeds");
        old = json_get(&json, "old");
        struct span by = json_get_str(&json, "by", (struct span){0});
        snprintf(s->by, sizeof s->by, "%.*s", SPAN_ARG(by));
    }
    for (uint32_t i = 0; feeds && feeds->type == JSON_ARRAY && i < feeds->n; i++)
        read_feed(s, &feeds->items[i]);
    for (uint32_t i = 0; old && old->type == JSON_ARRAY && i < old->n; i++) {
        s->old = xgrow(s->old, &s->cap_old, s->n_old + 1, sizeof *s->old);
        struct ing_sink_old *o = &s->old[s->n_old++];
        get_name(&old->items[i], "name", o->name);
        o->drop_ms = get_u64(&old->items[i], "drop_ms");
    }
    arena_fini(&arena);
    return rc;
}
