#include "tests/index/engine_kit.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FIELD_NAME, FIELD_N, FIELD_TAG, FIELDS_N, WAIT_US = 20000000 };

/* ---- operations ---- */

static struct span
number(struct arena *a, const char *prefix, uint64_t n)
{
    return arena_printf(a, "%s%" PRIu64, prefix, n);
}

void
kit_schema(const char *name, struct arena *arena, struct sch_collection *out)
{
    struct json json;
    struct err err;
    struct span text =
        arena_printf(arena,
                     "{\"name\":\"%s\",\"fields\":[{\"name\":\"name\",\"type\":\"string\"},"
                     "{\"name\":\"n\",\"type\":\"int32\"},"
                     "{\"name\":\"tag\",\"type\":\"string\",\"index\":\"exact\"}]}",
                     name);
    assert_int_equal(json_parse(text, arena, &json, &err), RC_OK);
    assert_int_equal(sch_parse(&json, arena, out, &err), RC_OK);
    out->tie = SCH_TIE_SEQ;
    out->created_at_s = 1;
}

static void
batch_put(struct idx_batch *b, uint32_t uid, uint32_t doc, uint32_t n, uint64_t seq)
{
    struct arena *a = idx_batch_arena(b);
    struct span *token = arena_alloc(a, sizeof *token);
    *token = number(a, "t", n % 50);
    struct idx_text *name = arena_calloc(a, 1, sizeof *name);
    *name = (struct idx_text){.tokens = token, .n_tokens = 1, .value = *token};
    struct idx_text *tag = arena_calloc(a, 1, sizeof *tag);
    tag->value = number(a, "g", n % 7);
    int64_t *value = arena_alloc(a, sizeof *value);
    *value = n;
    struct idx_value *values = arena_calloc(a, FIELDS_N, sizeof *values);
    values[FIELD_NAME] = (struct idx_value){.n = 1, .text = name};
    values[FIELD_N] = (struct idx_value){.n = 1, .i64 = value};
    values[FIELD_TAG] = (struct idx_value){.n = 1, .text = tag};
    struct idx_doc d = {.id = number(a, "d", doc), .seq = seq, .values = values};
    d.json = arena_printf(a, "{\"id\":\"d%u\",\"n\":%u}", doc, n);
    idx_batch_put(b, uid, &d);
}

void
kit_put(struct kit_model *m, struct idx_batch *b, uint32_t uid, uint32_t doc, uint32_t n,
        uint64_t seq)
{
    if (b)
        batch_put(b, uid, doc, n, seq);
    if (!m || !m->generations[uid].is_there)
        return;
    struct kit_doc *d = &m->generations[uid].docs[doc];
    if (!d->is_alive)
        d->seq = seq;
    d->is_alive = true;
    d->n = n;
}

void
kit_delete(struct kit_model *m, struct idx_batch *b, uint32_t uid, uint32_t doc)
{
    if (b)
        idx_batch_delete(b, uid, number(idx_batch_arena(b), "d", doc));
    if (m)
        m->generations[uid].docs[doc].is_alive = false;
}

void
kit_create(struct kit_model *m, struct idx_batch *b, uint32_t uid, uint32_t name)
{
    if (b) {
        struct sch_collection schema;
        char text[8];
        snprintf(text, sizeof text, "c%u", name);
        kit_schema(text, idx_batch_arena(b), &schema);
        idx_batch_create(b, uid, &schema, 77);
    }
    if (m && !m->generations[uid].is_there) {
        memset(&m->generations[uid], 0, sizeof m->generations[uid]);
        m->generations[uid].is_there = true;
        m->generations[uid].name = name;
    }
}

void
kit_name(struct kit_model *m, struct idx_batch *b, uint32_t uid)
{
    if (b)
        idx_batch_name(b, uid);
    if (!m || !m->generations[uid].is_there)
        return;
    for (uint32_t i = 0; i < KIT_GENERATIONS; i++) {
        struct kit_generation *g = &m->generations[i];
        if (i != uid && g->is_there && g->is_named && g->name == m->generations[uid].name)
            g->is_there = false;
    }
    m->generations[uid].is_named = true;
}

void
kit_complete(struct kit_model *m, struct idx_batch *b, uint32_t uid)
{
    if (b)
        idx_batch_complete(b, uid);
    if (m)
        m->generations[uid].is_complete = true;
}

void
kit_drop(struct kit_model *m, struct idx_batch *b, uint32_t uid)
{
    if (b)
        idx_batch_drop(b, uid);
    if (m)
        m->generations[uid].is_there = false;
}

void
kit_entry(struct kit_model *m, struct idx_batch *b, uint32_t key, uint32_t value)
{
    if (b) {
        struct arena *a = idx_batch_arena(b);
        idx_batch_entry(b, SPAN_LIT("note"), number(a, "k", key),
                        value ? number(a, "v", value) : (struct span){0});
    }
    if (m)
        m->entries[key] = value;
}

void
kit_pos(struct kit_model *m, struct idx_batch *b, uint64_t pos)
{
    if (b)
        idx_batch_state(b, SPAN_LIT("pos"), number(idx_batch_arena(b), "", pos));
    if (m)
        m->pos = pos;
}

/* ---- texts ---- */

static void
write_generation(uint32_t uid, const struct kit_generation *g, struct buf *out)
{
    buf_printf(out, "generation %u c%u %s %s\n", uid, g->name, g->is_named ? "named" : "aside",
               g->is_complete ? "complete" : "partial");
    for (uint32_t i = 0; i < KIT_DOCS; i++)
        if (g->docs[i].is_alive)
            buf_printf(out, "d%u n=%u seq=%" PRIu64 "\n", i, g->docs[i].n, g->docs[i].seq);
}

void
kit_write_model(const struct kit_model *m, bool without_quiet, struct buf *out)
{
    for (uint32_t i = 0; i < KIT_GENERATIONS; i++) {
        const struct kit_generation *g = &m->generations[i];
        bool is_quiet = !g->is_named || !g->is_complete;
        if (g->is_there && !(is_quiet && without_quiet))
            write_generation(i, g, out);
    }
    for (uint32_t i = 0; i < KIT_KEYS; i++)
        if (m->entries[i])
            buf_printf(out, "entry k%u v%u\n", i, m->entries[i]);
}

static uint64_t
read_number(struct span s, size_t skip)
{
    uint64_t n = 0;
    assert_true(s.n > skip && span_u64(span_from(s, skip), &n));
    return n;
}

/* The document has its token and tag, as a reader finds them. */
static void
expect_terms(const struct idx_segment *s, uint32_t doc, uint32_t n)
{
    const struct {
        uint32_t field;
        enum idx_terms_kind kind;
        const char *format;
        uint32_t n;
    } rows[] = {{FIELD_NAME, IDX_TEXT, "t%u", n % 50}, {FIELD_TAG, IDX_VALUE, "g%u", n % 7}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[16];
        uint32_t ord;
        snprintf(text, sizeof text, i == 0 ? "t%u" : "g%u", rows[i].n);
        const struct idx_terms *t = idx_segment_terms(s, rows[i].field, rows[i].kind);
        assert_non_null(t);
        assert_true(idx_terms_find(t, span_str(text), &ord));
        assert_true(idx_terms_has(t, ord, doc));
    }
}

static void
read_doc(struct idx_doc_reader *r, const struct idx_segment *s, uint32_t doc,
         struct kit_generation *g)
{
    char text[IDX_ID_MAX];
    struct span json;
    struct err err;
    struct idx_column column;
    struct span id = idx_segment_id(s, doc, text);
    uint64_t number_of = read_number(id, 1);
    assert_true(number_of < KIT_DOCS);
    assert_int_equal(idx_doc_reader_get(r, s, doc, &json, &err), RC_OK);
    assert_true(idx_segment_column(s, FIELD_N, &column));
    uint32_t n = (uint32_t)column.i32[doc];
    char expected[64];
    snprintf(expected, sizeof expected, "{\"id\":\"d%u\",\"n\":%u}", (unsigned)number_of, n);
    assert_true(span_eq_str(json, expected));
    expect_terms(s, doc, n);
    struct kit_doc *d = &g->docs[number_of];
    assert_false(d->is_alive); /* I5: alive once */
    *d = (struct kit_doc){true, n, idx_segment_tie(s, doc).hi};
}

static void
read_collection(const struct idx_collection *c, struct kit_generation *g)
{
    struct idx_doc_reader *r = idx_doc_reader_new();
    uint64_t n_docs = 0;
    g->is_there = true;
    g->is_complete = c->is_complete;
    g->name = (uint32_t)read_number(c->schema->name, 1);
    assert_true(c->analyzer == 77);
    for (uint32_t v = 0; v < c->n_views; v++) {
        const struct idx_view *view = &c->views[v];
        uint32_t n_live = 0;
        for (uint32_t doc = 0; doc < view->n_docs; doc++) {
            if (!(view->live[doc / 64] >> (doc % 64) & 1))
                continue;
            char text[IDX_ID_MAX];
            uint32_t at_view, at;
            read_doc(r, view->segment, doc, g);
            assert_true(
                idx_collection_find(c, idx_segment_id(view->segment, doc, text), &at_view, &at));
            assert_true(at_view == v && at == doc);
            n_live++;
        }
        assert_int_equal(n_live, view->n_live);
        n_docs += n_live;
    }
    assert_true(n_docs == c->n_docs);
    idx_doc_reader_free(r);
}

void
kit_write_snapshot(const struct idx_snapshot *s, bool without_quiet, struct buf *out)
{
    struct kit_model *m = xcalloc(1, sizeof *m);
    size_t n;
    for (uint32_t uid = 0; uid < KIT_GENERATIONS; uid++) {
        const struct idx_collection *c = idx_snapshot_find_uid(s, uid);
        if (c)
            read_collection(c, &m->generations[uid]);
    }
    const struct idx_collection *const *named = idx_snapshot_collections(s, &n);
    for (size_t i = 0; i < n; i++) {
        m->generations[named[i]->uid].is_named = true;
        assert_ptr_equal(idx_snapshot_find(s, named[i]->schema->name), named[i]);
        assert_true(i == 0 || named[i - 1]->uid > named[i]->uid); /* newest first */
    }
    const struct idx_entry *entries = idx_snapshot_entries(s, SPAN_LIT("note"), &n);
    for (size_t i = 0; i < n; i++)
        m->entries[read_number(entries[i].key, 1)] = (uint32_t)read_number(entries[i].value, 1);
    kit_write_model(m, without_quiet, out);
    free(m);
}

void
kit_write_index(struct idx *idx, bool without_quiet, struct buf *out)
{
    struct idx_reader *r = idx_reader_new(idx);
    kit_write_snapshot(idx_reader_begin(r), without_quiet, out);
    idx_reader_end(r);
    idx_reader_free(r);
}

uint64_t
kit_durable_pos(struct idx *idx)
{
    struct arena arena = {0};
    struct span pos = idx_state(idx, SPAN_LIT("pos"), &arena);
    uint64_t n = pos.n ? read_number(pos, 0) : 0;
    arena_fini(&arena);
    return n;
}

void
kit_expect(struct idx *idx, const struct kit_model *m)
{
    struct buf got = {0}, wanted = {0};
    kit_write_index(idx, false, &got);
    kit_write_model(m, false, &wanted);
    buf_putc(&got, 0);
    buf_putc(&wanted, 0);
    assert_string_equal(got.p, wanted.p);
    buf_fini(&got);
    buf_fini(&wanted);
}

/* ---- other helpers ---- */

uint64_t
kit_submit(struct idx *idx, struct idx_batch **take, enum idx_stage stage)
{
    uint64_t ticket = idx_submit(idx, take);
    assert_true(ticket > 0);
    assert_int_equal(idx_wait(idx, ticket, stage, WAIT_US), RC_OK);
    return ticket;
}

struct fs *
kit_fs(const char *dir)
{
    struct fs *fs;
    struct err err;
    if (fs_open_host(dir, &fs, &err) != RC_OK)
        fail_msg("%s", err.text);
    return fs;
}

struct idx *
kit_open(struct fs *fs, const struct idx_options *options)
{
    struct idx_options o = options ? *options : (struct idx_options){0};
    struct idx *idx = NULL;
    struct err err;
    o.fs = fs;
    if (idx_open(&o, &idx, &err) != RC_OK)
        fail_msg("%s", err.text);
    return idx;
}

void
kit_close(struct idx *idx)
{
    struct err err;
    if (idx_close(idx, &err) != RC_OK)
        fail_msg("%s", err.text);
}

static void
print_finding(void *arg, const char *finding)
{
    (void)arg;
    print_message("finding: %s\n", finding);
}

void
kit_check(struct fs *fs)
{
    struct err err = {0};
    if (idx_check(fs, print_finding, NULL, &err) != RC_OK)
        fail_msg("%s", err.text);
}
