/* Writing and reading the manifest; the layout is in manifest.h. */
#include "index/manifest.h"

#include <inttypes.h>

#include "base/bytes.h"
#include "base/hash.h"

static const char magic[8] = {'T', 'F', 'M', 'A', 'N', 'I', 'F', '1'};
enum { HEADER_N = 32, FLAG_COMPLETE = 1, FLAG_NAMED = 2, DEAD_LIST = 0, DEAD_WORDS = 1 };

void
idx_file_name(uint64_t file, char name[IDX_FILE_NAME_MAX])
{
    snprintf(name, IDX_FILE_NAME_MAX, "%016" PRIx64 ".seg", file);
}

void
idx_file_remove(struct fs *fs, uint64_t file)
{
    char name[IDX_FILE_NAME_MAX];
    idx_file_name(file, name);
    enum rc rc = fs_unlink(fs, name, NULL);
    (void)rc;
}

bool
idx_file_number(const char *name, uint64_t *file)
{
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = name[i] ? strchr(digits, name[i]) : NULL;
        if (!at)
            return false;
        v = v << 4 | (uint64_t)(at - digits);
    }
    if (strcmp(name + 16, ".seg") != 0)
        return false;
    *file = v;
    return true;
}

/* ---- writing ---- */

static uint32_t
count_dead(const struct idx_manifest_segment *s)
{
    uint32_t n = s->n_docs;
    for (uint32_t i = 0; s->live && i < idx_n_words(s->n_docs); i++)
        n -= (uint32_t)__builtin_popcountll(s->live[i]);
    return s->live ? n : 0;
}

static void
put_dead(const struct idx_manifest_segment *s, struct buf *out)
{
    uint32_t n_dead = count_dead(s), n_words = idx_n_words(s->n_docs);
    buf_put_varint(out, n_dead);
    if (n_dead == 0)
        return;
    /* A difference takes a byte or two where the list is worth while. */
    if (n_dead > s->n_docs / 16) {
        buf_putc(out, DEAD_WORDS);
        for (uint32_t i = 0; i < n_words; i++)
            buf_put_u64(out, s->live[i]);
        return;
    }
    buf_putc(out, DEAD_LIST);
    uint32_t before = 0;
    for (uint32_t i = 0; i < n_words; i++) {
        uint64_t dead = ~s->live[i];
        if (i == n_words - 1 && s->n_docs % 64)
            dead &= ((uint64_t)1 << (s->n_docs % 64)) - 1;
        for (; dead; dead &= dead - 1) {
            uint32_t doc = i * 64 + (uint32_t)__builtin_ctzll(dead);
            buf_put_varint(out, doc - before);
            before = doc;
        }
    }
}

static void
put_generation(const struct idx_manifest_generation *g, struct buf *out)
{
    struct buf json = {0};
    sch_write(g->schema, 0, false, &json);
    buf_put_varint(out, g->uid);
    buf_put_varint(out, (g->is_complete ? FLAG_COMPLETE : 0u) | (g->is_named ? FLAG_NAMED : 0u));
    buf_put_u64(out, g->analyzer);
    buf_put_bytes(out, buf_span(&json));
    buf_put_varint(out, g->schema->tie);
    buf_put_varint(out, g->n_segments);
    for (size_t i = 0; i < g->n_segments; i++) {
        const struct idx_manifest_segment *s = &g->segments[i];
        buf_put_varint(out, s->file);
        buf_put_varint(out, s->n_bytes);
        buf_put_varint(out, s->n_docs);
        put_dead(s, out);
    }
    buf_fini(&json);
}

void
idx_manifest_encode(const struct idx_manifest *m, struct buf *out)
{
    struct buf body = {0};
    const uint64_t numbers[] = {m->number, m->wall_us, m->next_uid, m->next_file};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        buf_put_varint(&body, numbers[i]);
    buf_put_varint(&body, m->n_generations);
    for (size_t i = 0; i < m->n_generations; i++)
        put_generation(&m->generations[i], &body);
    buf_put_varint(&body, m->n_entries);
    for (size_t i = 0; i < m->n_entries; i++) {
        buf_put_bytes(&body, m->entries[i].kind);
        buf_put_bytes(&body, m->entries[i].key);
        buf_put_bytes(&body, m->entries[i].value);
    }
    buf_put_varint(&body, m->n_states);
    for (size_t i = 0; i < m->n_states; i++) {
        buf_put_bytes(&body, m->states[i].name);
        buf_put_bytes(&body, m->states[i].value);
    }
    buf_put(out, magic, sizeof magic);
    buf_put_u32(out, IDX_MANIFEST_VERSION);
    buf_put_u32(out, 0);
    buf_put_u64(out, body.n);
    buf_put_u64(out, hash64(buf_span(&body)));
    buf_put_span(out, buf_span(&body));
    buf_fini(&body);
}

/* ---- reading ---- */

/* A number of things that take at least one byte each: what is left bounds it. */
static size_t
take_n(struct bytes *r)
{
    uint64_t n = bytes_varint(r);
    if (n <= bytes_left(r))
        return (size_t)n;
    r->bad = true;
    return 0;
}

static uint32_t
take_u32(struct bytes *r)
{
    uint64_t v = bytes_varint(r);
    if (v > UINT32_MAX)
        r->bad = true;
    return (uint32_t)v;
}

static struct span
take_bytes(struct bytes *r, struct arena *arena)
{
    struct span s = bytes_span(r);
    return r->bad ? (struct span){0} : arena_dup(arena, s);
}

static void
take_words(struct bytes *r, uint32_t n_docs, uint64_t *live)
{
    uint32_t n_words = idx_n_words(n_docs);
    for (uint32_t i = 0; i < n_words; i++)
        live[i] = bytes_u64(r);
    if (n_docs % 64 && live[n_words - 1] >> (n_docs % 64) != 0)
        r->bad = true;
}

static void
take_list(struct bytes *r, uint32_t n_docs, uint32_t n_dead, uint64_t *live)
{
    memset(live, 0xff, idx_n_words(n_docs) * sizeof live[0]);
    if (n_docs % 64)
        live[n_docs / 64] = ((uint64_t)1 << (n_docs % 64)) - 1;
    uint64_t doc = 0;
    for (uint32_t i = 0; i < n_dead && !r->bad; i++) {
        uint64_t step = bytes_varint(r);
        if (step >= n_docs || (doc += step) >= n_docs)
            r->bad = true;
        else
            live[doc / 64] &= ~((uint64_t)1 << (doc % 64));
    }
}

static void
take_dead(struct bytes *r, struct arena *arena, struct idx_manifest_segment *s)
{
    uint32_t n_dead = take_u32(r);
    if (n_dead > s->n_docs)
        r->bad = true;
    if (r->bad || n_dead == 0)
        return;
    uint8_t form = bytes_u8(r);
    /* Either form needs that many bytes, so that a bad number cannot make a huge allocation. */
    size_t least = form == DEAD_WORDS ? s->n_docs / 8 : n_dead;
    if (form > DEAD_WORDS || least > bytes_left(r) || s->n_docs / 16 / 8 > s->n_bytes) {
        r->bad = true;
        return;
    }
    uint64_t *live = arena_alloc(arena, idx_n_words(s->n_docs) * sizeof *live);
    if (form == DEAD_WORDS)
        take_words(r, s->n_docs, live);
    else
        take_list(r, s->n_docs, n_dead, live);
    s->live = live;
    if (count_dead(s) != n_dead)
        r->bad = true;
}

static enum rc
take_schema(struct bytes *r, struct arena *arena, struct idx_manifest_generation *g,
            struct err *err)
{
    struct span text = bytes_span(r);
    uint64_t tie = bytes_varint(r);
    if (r->bad || tie > SCH_TIE_ID)
        return err_set(err, RC_CORRUPT, "the schema of generation %u is cut", g->uid);
    struct json json;
    struct sch_collection *schema = arena_calloc(arena, 1, sizeof *schema);
    if (json_parse(text, arena, &json, err) != RC_OK)
        return err_wrap(err, RC_CORRUPT, "the schema of generation %u", g->uid);
    if (sch_parse(&json, arena, schema, err) != RC_OK)
        return err_wrap(err, RC_CORRUPT, "the schema of generation %u", g->uid);
    schema->tie = (enum sch_tie)tie;
    g->schema = schema;
    return RC_OK;
}

static enum rc
take_generation(struct bytes *r, struct arena *arena, struct idx_manifest_generation *g,
                struct err *err)
{
    g->uid = take_u32(r);
    uint64_t flags = bytes_varint(r);
    g->is_complete = flags & FLAG_COMPLETE;
    g->is_named = flags & FLAG_NAMED;
    g->analyzer = bytes_u64(r);
    enum rc rc = take_schema(r, arena, g, err);
    if (rc != RC_OK)
        return RC_CORRUPT;
    g->n_segments = take_n(r);
    g->segments = arena_calloc(arena, g->n_segments, sizeof g->segments[0]);
    for (size_t i = 0; i < g->n_segments && !r->bad; i++) {
        struct idx_manifest_segment *s = &g->segments[i];
        s->file = bytes_varint(r);
        s->n_bytes = bytes_varint(r);
        s->n_docs = take_u32(r);
        take_dead(r, arena, s);
    }
    return r->bad ? err_set(err, RC_CORRUPT, "generation %u is cut", g->uid) : RC_OK;
}

static void
take_records(struct bytes *r, struct arena *arena, struct idx_manifest *m)
{
    m->n_entries = take_n(r);
    struct idx_entry *entries = arena_calloc(arena, m->n_entries, sizeof *entries);
    for (size_t i = 0; i < m->n_entries && !r->bad; i++) {
        entries[i].kind = take_bytes(r, arena);
        entries[i].key = take_bytes(r, arena);
        entries[i].value = take_bytes(r, arena);
    }
    m->entries = entries;
    m->n_states = take_n(r);
    struct idx_state_part *states = arena_calloc(arena, m->n_states, sizeof *states);
    for (size_t i = 0; i < m->n_states && !r->bad; i++) {
        states[i].name = take_bytes(r, arena);
        states[i].value = take_bytes(r, arena);
    }
    m->states = states;
}

static enum rc
take_body(struct bytes *r, struct arena *arena, struct idx_manifest *m, struct err *err)
{
    m->number = bytes_varint(r);
    m->wall_us = bytes_varint(r);
    m->next_uid = bytes_varint(r);
    m->next_file = bytes_varint(r);
    m->n_generations = take_n(r);
    m->generations = arena_calloc(arena, m->n_generations, sizeof m->generations[0]);
    for (size_t i = 0; i < m->n_generations; i++) {
        struct idx_manifest_generation *g = &m->generations[i];
        enum rc rc = take_generation(r, arena, g, err);
        if (rc != RC_OK)
            return rc;
        if (i > 0 && g->uid <= m->generations[i - 1].uid)
            return err_set(err, RC_CORRUPT, "generation %u is not in order", g->uid);
    }
    take_records(r, arena, m);
    if (r->bad || bytes_left(r) > 0)
        return err_set(err, RC_CORRUPT, "the manifest's records do not fill its body");
    return RC_OK;
}

enum rc
idx_manifest_decode(struct span bytes, struct arena *arena, struct idx_manifest *out,
                    struct err *err)
{
    struct bytes r = bytes_of(bytes);
    struct span head = bytes_take(&r, sizeof magic);
    uint32_t version = bytes_u32(&r);
    (void)bytes_u32(&r); /* always 0 in version 1 */
    uint64_t n = bytes_u64(&r), sum = bytes_u64(&r);
    if (r.bad || memcmp(head.p, magic, sizeof magic) != 0)
        return err_set(err, RC_CORRUPT, "the manifest is cut or no manifest at all");
    if (version != IDX_MANIFEST_VERSION)
        return err_set(err, RC_CORRUPT,
                       "the manifest has format version %u and this program knows only version %d",
                       version, IDX_MANIFEST_VERSION);
    if (n != bytes_left(&r))
        return err_set(err, RC_CORRUPT, "the manifest has %zu bytes of %llu", bytes_left(&r),
                       (unsigned long long)n);
    if (hash64(span_from(bytes, HEADER_N)) != sum)
        return err_set(err, RC_CORRUPT, "the manifest fails its checksum");
    struct idx_manifest m = {0};
    enum rc rc = take_body(&r, arena, &m, err);
    if (rc == RC_OK)
        *out = m;
    return rc;
}

enum rc
idx_manifest_read(struct fs *fs, struct arena *arena, struct idx_manifest *out, struct err *err)
{
    struct fs_map map;
    enum rc rc = fs_map(fs, IDX_MANIFEST_NAME, &map, err);
    if (rc != RC_OK)
        return rc;
    rc = idx_manifest_decode(span_of(map.p, map.n), arena, out, err);
    fs_unmap(fs, &map);
    return rc;
}
