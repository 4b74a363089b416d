/* Encoding of the resume state. A field that is missing reads as zero. */
#include "indexer/resume.h"

#include <bson/bson.h>

enum { VERSION = 1 };

void
ing_resume_fini(struct ing_resume *r)
{
    ing_position_fini(&r->position);
    for (size_t i = 0; i < r->n_feeds; i++)
        buf_fini(&r->feeds[i].at);
    while (r->n_cascades)
        ing_resume_cascade_remove(r, r->n_cascades - 1);
    free(r->feeds);
    free(r->cascades);
    *r = (struct ing_resume){0};
}

struct ing_resume_feed *
ing_resume_feed(struct ing_resume *r, struct span name)
{
    for (size_t i = 0; i < r->n_feeds; i++) {
        if (span_eq_str(name, r->feeds[i].name))
            return &r->feeds[i];
    }
    r->feeds = xgrow(r->feeds, &r->cap_feeds, r->n_feeds + 1, sizeof *r->feeds);
    struct ing_resume_feed *f = &r->feeds[r->n_feeds++];
    *f = (struct ing_resume_feed){0};
    must(name.n < sizeof f->name);
    memcpy(f->name, name.p, name.n);
    return f;
}

void
ing_resume_cascade(struct ing_resume *r, enum ing_cascade_kind kind, struct span key)
{
    for (size_t i = 0; i < r->n_cascades; i++) {
        struct ing_cascade *c = &r->cascades[i];
        if (c->kind == kind && span_eq(buf_span(&c->key), key)) {
            buf_clear(&c->at);
            c->is_touched = c->is_collected = false;
            return;
        }
    }
    r->cascades = xgrow(r->cascades, &r->cap_cascades, r->n_cascades + 1, sizeof *r->cascades);
    struct ing_cascade *c = &r->cascades[r->n_cascades++];
    *c = (struct ing_cascade){.kind = kind};
    buf_put_span(&c->key, key);
    uint32_t time_i;
    (void)ing_position_time(&r->position, &c->since_s, &time_i); /* else 0 */
}

uint32_t
ing_resume_whole_s(const struct ing_resume *r)
{
    uint32_t whole_s = 0, time_i;
    (void)ing_position_time(&r->position, &whole_s, &time_i); /* else 0 */
    for (size_t i = 0; i < r->n_cascades; i++)
        whole_s = r->cascades[i].since_s < whole_s ? r->cascades[i].since_s : whole_s;
    return whole_s;
}

void
ing_resume_cascade_remove(struct ing_resume *r, size_t i)
{
    buf_fini(&r->cascades[i].key);
    buf_fini(&r->cascades[i].at);
    arena_fini(&r->cascades[i].arena);
    free(r->cascades[i].ids);
    r->n_cascades--;
    memmove(&r->cascades[i], &r->cascades[i + 1], (r->n_cascades - i) * sizeof *r->cascades);
}

/* ---- writing ---- */

static void
put_binary(bson_t *to, const char *name, const struct buf *b)
{
    bson_append_binary(to, name, -1, BSON_SUBTYPE_BINARY, (const uint8_t *)b->p, (uint32_t)b->n);
}

static void
write_feed(bson_t *to, const struct ing_resume_feed *f)
{
    bson_append_utf8(to, "name", -1, f->name, -1);
    bson_append_int64(to, "live", -1, f->live);
    bson_append_int64(to, "aside", -1, f->aside);
    bson_append_int64(to, "live_print", -1, (int64_t)f->live_print);
    bson_append_int64(to, "aside_print", -1, (int64_t)f->aside_print);
    bson_append_bool(to, "scanning", -1, f->is_scanning);
    bson_append_int64(to, "scanned", -1, (int64_t)f->n_scanned);
    put_binary(to, "at", &f->at);
    if (f->origin.is_known)
        bson_append_binary(to, "origin", -1, BSON_SUBTYPE_UUID, f->origin.uuid, ING_ORIGIN_N);
}

static void
write_cascade(bson_t *to, const struct ing_cascade *c)
{
    bson_append_int32(to, "kind", -1, (int32_t)c->kind);
    put_binary(to, "key", &c->key);
    put_binary(to, "at", &c->at);
}

void
ing_resume_write(const struct ing_resume *r, struct buf *out)
{
    bson_t doc = BSON_INITIALIZER, array, item;
    char number[16];
    const char *name;
    bson_append_int32(&doc, "version", -1, VERSION);
    put_binary(&doc, "token", &r->position.token);
    bson_append_timestamp(&doc, "time", -1, r->position.time_s, r->position.time_i);
    bson_append_array_begin(&doc, "feeds", -1, &array);
    for (size_t i = 0; i < r->n_feeds; i++) {
        bson_uint32_to_string((uint32_t)i, &name, number, sizeof number);
        bson_append_document_begin(&array, name, -1, &item);
        write_feed(&item, &r->feeds[i]);
        bson_append_document_end(&array, &item);
    }
    bson_append_array_end(&doc, &array);
    bson_append_array_begin(&doc, "cascades", -1, &array);
    for (size_t i = 0; i < r->n_cascades; i++) {
        bson_uint32_to_string((uint32_t)i, &name, number, sizeof number);
        bson_append_document_begin(&array, name, -1, &item);
        write_cascade(&item, &r->cascades[i]);
        bson_append_document_end(&array, &item);
    }
    bson_append_array_end(&doc, &array);
    buf_put(out, bson_get_data(&doc), doc.len);
    bson_destroy(&doc);
}

/* ---- reading ---- */

static bool
find(const bson_iter_t *doc, const char *name, bson_type_t type, bson_iter_t *out)
{
    bson_iter_t at;
    if (!bson_iter_recurse(doc, &at) || !bson_iter_find(&at, name) || bson_iter_type(&at) != type)
        return false;
    *out = at;
    return true;
}

static uint64_t
get_int(const bson_iter_t *doc, const char *name)
{
    bson_iter_t at;
    if (find(doc, name, BSON_TYPE_INT64, &at))
        return (uint64_t)bson_iter_int64(&at);
    return find(doc, name, BSON_TYPE_INT32, &at) ? (uint64_t)bson_iter_int32(&at) : 0;
}

static void
get_binary(const bson_iter_t *value, struct buf *out)
{
    uint32_t n = 0;
    const uint8_t *p = NULL;
    if (bson_iter_type(value) == BSON_TYPE_BINARY)
        bson_iter_binary(value, NULL, &n, &p);
    buf_put(out, p, n);
}

static void
get_binary_of(const bson_iter_t *doc, const char *name, struct buf *out)
{
    bson_iter_t at;
    if (find(doc, name, BSON_TYPE_BINARY, &at))
        get_binary(&at, out);
}

static void
read_origin(const bson_iter_t *feed, struct ing_origin *out)
{
    struct buf uuid = {0};
    get_binary_of(feed, "origin", &uuid);
    out->is_known = uuid.n == ING_ORIGIN_N;
    if (out->is_known)
        memcpy(out->uuid, uuid.p, ING_ORIGIN_N);
    buf_fini(&uuid);
}

static bool
read_feeds(const bson_iter_t *feeds, struct ing_resume *out)
{
    bson_iter_t item;
    if (!bson_iter_recurse(feeds, &item))
        return false;
    while (bson_iter_next(&item)) {
        bson_iter_t at;
        uint32_t n;
        if (!find(&item, "name", BSON_TYPE_UTF8, &at))
            return false;
        const char *name = bson_iter_utf8(&at, &n);
        if (n >= sizeof out->feeds->name)
            return false;
        struct ing_resume_feed *f = ing_resume_feed(out, span_of(name, n));
        f->live = (uint32_t)get_int(&item, "live");
        f->aside = (uint32_t)get_int(&item, "aside");
        f->live_print = get_int(&item, "live_print");
        f->aside_print = get_int(&item, "aside_print");
        f->is_scanning = find(&item, "scanning", BSON_TYPE_BOOL, &at) && bson_iter_bool(&at);
        f->n_scanned = get_int(&item, "scanned");
        buf_clear(&f->at);
        get_binary_of(&item, "at", &f->at);
        read_origin(&item, &f->origin);
    }
    return true;
}

static bool
read_cascades(const bson_iter_t *cascades, struct ing_resume *out)
{
    bson_iter_t item;
    if (!bson_iter_recurse(cascades, &item))
        return false;
    while (bson_iter_next(&item)) {
        uint64_t kind = get_int(&item, "kind");
        struct buf key = {0};
        get_binary_of(&item, "key", &key);
        if (kind < ING_CASCADE_KIND_N) {
            ing_resume_cascade(out, (enum ing_cascade_kind)kind, buf_span(&key));
            struct ing_cascade *c = &out->cascades[out->n_cascades - 1];
            c->since_s = 0; /* the position is behind the change */
            get_binary_of(&item, "at", &c->at);
        }
        buf_fini(&key);
        if (kind >= ING_CASCADE_KIND_N)
            return false;
    }
    return true;
}

static bool
read_all(const bson_t *doc, struct ing_resume *out)
{
    bson_iter_t at;
    if (!bson_iter_init_find(&at, doc, "version") || bson_iter_as_int64(&at) != VERSION)
        return false;
    if (bson_iter_init_find(&at, doc, "token"))
        get_binary(&at, &out->position.token);
    if (bson_iter_init_find(&at, doc, "time") && BSON_ITER_HOLDS_TIMESTAMP(&at))
        bson_iter_timestamp(&at, &out->position.time_s, &out->position.time_i);
    return bson_iter_init_find(&at, doc, "feeds") && read_feeds(&at, out) &&
           bson_iter_init_find(&at, doc, "cascades") && read_cascades(&at, out);
}

enum rc
ing_resume_read(struct span text, struct ing_resume *out, struct err *err)
{
    struct ing_resume r = {0};
    bson_t doc;
    if (text.n > 0 && (!bson_init_static(&doc, (const uint8_t *)text.p, text.n) ||
                       !bson_validate(&doc, BSON_VALIDATE_NONE, NULL) || !read_all(&doc, &r))) {
        ing_resume_fini(&r);
        return err_set(err, RC_CORRUPT, "the stored state of the MongoDB pipeline is not readable");
    }
    *out = r;
    return RC_OK;
}

struct span
ing_token_data(struct span token)
{
    bson_t doc;
    bson_iter_t at;
    uint32_t n;
    if (!bson_init_static(&doc, (const uint8_t *)token.p, token.n) ||
        !bson_iter_init_find(&at, &doc, "_data") || !BSON_ITER_HOLDS_UTF8(&at))
        return (struct span){0};
    const char *p = bson_iter_utf8(&at, &n);
    return span_of(p, n);
}
