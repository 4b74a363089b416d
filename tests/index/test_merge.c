/*
 * Merging segments with dead documents gives the segment that building their
 * live documents would have given: the same bytes, but for stored documents,
 * whose blocks may be cut elsewhere.
 */
#include "index/segment.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "index/layout.h"
#include "index/parts.h"
#include "tests/index/corpus.h"
#include "tests/support/scratch.h"

struct parts { /* of a corpus, with liveness */
    struct idx_merge_input inputs[12];
    uint64_t *live[12];
    size_t n;
    uint32_t *kept; /* documents of the corpus that are live, in order */
    uint32_t n_kept;
};

static void
add_part(struct parts *p, struct corpus *c, uint32_t begin, uint32_t end, unsigned percent_live)
{
    struct idx_merge_input *in = &p->inputs[p->n];
    uint32_t n = end - begin;
    uint64_t *live = xcalloc(n / 64 + 1, sizeof *live);
    uint32_t *new_doc = xmalloc((n + (size_t)1) * sizeof *new_doc);
    *in = (struct idx_merge_input){corpus_segment(c, begin, end, rng_below(c->rng, 2)), live, 0,
                                   new_doc};
    for (uint32_t doc = 0; doc < n; doc++)
        if (rng_below(c->rng, 100) < percent_live) {
            live[doc / 64] |= (uint64_t)1 << (doc % 64);
            in->n_live++;
            p->kept[p->n_kept++] = begin + doc;
        }
    p->live[p->n++] = live;
}

static void
random_parts(struct parts *p, struct corpus *c)
{
    static const unsigned live[] = {0, 3, 50, 97, 100, 100};
    *p = (struct parts){.kept = xmalloc((c->n_docs + (size_t)1) * sizeof(uint32_t))};
    uint32_t begin = 0;
    size_t n = 1 + rng_below(c->rng, 12);
    for (size_t i = 0; i < n; i++) {
        uint32_t left = c->n_docs - begin;
        uint32_t end = i + 1 == n ? c->n_docs : begin + (uint32_t)rng_below(c->rng, left + 1);
        add_part(p, c, begin, end, live[rng_below(c->rng, ARRAY_SIZE(live))]);
        begin = end;
    }
}

static void
parts_fini(struct parts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        union { /* the segment is ours */
            const struct idx_segment *borrowed;
            struct idx_segment *owned;
        } segment = {p->inputs[i].segment};
        idx_segment_free(segment.owned);
        free(p->live[i]);
        free(p->inputs[i].new_doc);
    }
    free(p->kept);
}

static void
check_new_docs(const struct parts *p)
{
    uint32_t next = 0;
    for (size_t i = 0; i < p->n; i++)
        for (uint32_t doc = 0; doc < idx_segment_n_docs(p->inputs[i].segment); doc++) {
            bool is_live = p->live[i][doc / 64] >> (doc % 64) & 1;
            assert_true(p->inputs[i].new_doc[doc] == (is_live ? next : UINT32_MAX));
            next += is_live;
        }
    assert_int_equal(next, p->n_kept);
}

static void
check_same_sections(const struct idx_segment *a, const struct idx_segment *b)
{
    assert_int_equal(a->n_sections, b->n_sections);
    for (uint32_t i = 0; i < a->n_sections; i++) {
        const struct idx_section *x = &a->sections[i], *y = &b->sections[i];
        assert_int_equal(x->kind, y->kind);
        if (x->kind == SEG_DOC_BYTES || x->kind == SEG_DOC_BLOCKS)
            continue;
        assert_int_equal(x->field, y->field);
        assert_int_equal(x->flags, y->flags);
        if (!span_eq(x->bytes, y->bytes))
            fail_msg("section %u (kind %u, field %u, sub %u) differs", i, x->kind, x->field,
                     x->sub);
    }
}

/* The same merge with blocks apart, put together: the same bytes. Returns how many were apart. */
static size_t
check_apart(const struct parts *p, const struct corpus *c, struct span expected)
{
    struct buf out = {0}, whole = {0};
    struct idx_aparts aparts = {0};
    struct err err = {0};
    size_t at = 0, n = 0;
    const struct idx_merge_job job = {p->inputs, p->n, &c->schema, NULL, true};
    if (idx_segment_merge_apart(&job, &out, &aparts, &err) != RC_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < aparts.n; i++) {
        buf_put(&whole, out.p + at, aparts.v[i].at - at);
        buf_put_span(&whole, aparts.v[i].bytes);
        at = aparts.v[i].at;
        n += aparts.v[i].bytes.n;
    }
    buf_put(&whole, out.p + at, out.n - at);
    assert_true(span_eq(buf_span(&whole), expected));
    idx_aparts_fini(&aparts);
    buf_fini(&out);
    buf_fini(&whole);
    return n;
}

static size_t
check_merge(struct rng *rng, uint32_t n_docs, enum corpus_ids ids, enum sch_tie tie)
{
    struct corpus c;
    struct parts p;
    struct buf merged = {0};
    struct err err = {0};
    corpus_init(&c, rng, n_docs, ids, tie);
    random_parts(&p, &c);
    if (idx_segment_merge(p.inputs, p.n, &c.schema, NULL, &merged, &err) != RC_OK)
        fail_msg("%s", err.text);
    check_new_docs(&p);
    size_t n_apart = check_apart(&p, &c, buf_span(&merged));
    struct buf built = corpus_bytes(&c, p.kept, p.n_kept, true);
    struct idx_segment *a = segment_of(&merged, &c.schema), *b = segment_of(&built, &c.schema);
    corpus_check(&c, a, p.kept, p.n_kept);
    segment_check(a);
    check_same_sections(a, b);
    idx_segment_free(a);
    idx_segment_free(b);
    parts_fini(&p);
    corpus_fini(&c);
    return n_apart;
}

static void
test_merge_is_build(void **state)
{
    struct rng rng = rng_new();
    size_t n_apart = 0;
    (void)state;
    for (int round = 0; round < 40; round++) {
        uint32_t n = (uint32_t)rng_below(&rng, round % 10 == 0 ? 1500 : 150);
        n_apart += check_merge(&rng, n, round % 2 ? CORPUS_ULIDS : CORPUS_TEXT_IDS,
                               round % 3 ? SCH_TIE_ID : SCH_TIE_SEQ);
    }
    assert_true(n_apart > 0);
}

/* Merges of merges: blocks of stored documents are copied whole. */
static void
test_merge_again(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct parts p;
    (void)state;
    corpus_init(&c, &rng, 1200, CORPUS_ULIDS, SCH_TIE_ID);
    p = (struct parts){.kept = xmalloc(c.n_docs * sizeof(uint32_t))};
    add_part(&p, &c, 0, 600, 100);
    add_part(&p, &c, 600, 1200, 100);
    struct buf first = {0}, second = {0};
    assert_int_equal(idx_segment_merge(p.inputs, 2, &c.schema, NULL, &first, NULL), RC_OK);
    struct idx_segment *s = segment_of(&first, &c.schema);
    uint64_t live[19];
    uint32_t new_doc[1200];
    memset(live, 0xff, sizeof live);
    live[18] = ((uint64_t)1 << 48) - 1;
    struct idx_merge_input in = {s, live, 1200, new_doc};
    assert_int_equal(idx_segment_merge(&in, 1, &c.schema, NULL, &second, NULL), RC_OK);
    struct idx_segment *t = segment_of(&second, &c.schema);
    corpus_check(&c, t, p.kept, 1200);
    check_same_sections(s, t);
    /* A single document is taken out: all others stay. */
    live[3] &= ~(uint64_t)2;
    in.n_live--;
    struct buf third = {0};
    assert_int_equal(idx_segment_merge(&in, 1, &c.schema, NULL, &third, NULL), RC_OK);
    memmove(p.kept + 193, p.kept + 194, (1200 - 194) * sizeof *p.kept);
    struct idx_segment *u = segment_of(&third, &c.schema);
    corpus_check(&c, u, p.kept, 1199);
    idx_segment_free(s);
    idx_segment_free(t);
    idx_segment_free(u);
    parts_fini(&p);
    corpus_fini(&c);
}

static void
test_merge_with_grown_schema(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct parts p;
    struct buf out = {0};
    (void)state;
    corpus_init(&c, &rng, 300, CORPUS_ULIDS, SCH_TIE_ID);
    p = (struct parts){.kept = xmalloc(c.n_docs * sizeof(uint32_t))};
    c.schema.n_fields = CORPUS_KIND;
    add_part(&p, &c, 0, 150, 80);
    c.schema.n_fields = CORPUS_FIELD_N;
    add_part(&p, &c, 150, 300, 80);
    assert_int_equal(idx_segment_merge(p.inputs, 2, &c.schema, NULL, &out, NULL), RC_OK);
    struct idx_segment *s = segment_of(&out, &c.schema);
    /* What the old segment did not have is missing. */
    for (uint32_t i = 0; i < p.n_kept && p.kept[i] < 150; i++) {
        struct idx_value *values = arena_calloc(&c.arena, CORPUS_FIELD_N, sizeof *values);
        memcpy(values, c.docs[p.kept[i]].values, CORPUS_KIND * sizeof *values);
        c.docs[p.kept[i]].values = values;
    }
    corpus_check(&c, s, p.kept, p.n_kept);
    segment_check(s);
    idx_segment_free(s);
    parts_fini(&p);
    corpus_fini(&c);
}

static void
test_cancel(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct parts p;
    struct buf out = {0};
    atomic_bool is_cancelled = true;
    (void)state;
    corpus_init(&c, &rng, 100, CORPUS_ULIDS, SCH_TIE_ID);
    random_parts(&p, &c);
    buf_puts(&out, "before");
    assert_int_equal(idx_segment_merge(p.inputs, p.n, &c.schema, &is_cancelled, &out, NULL),
                     RC_STOPPED);
    assert_true(span_eq_str(buf_span(&out), "before"));
    buf_fini(&out);
    parts_fini(&p);
    corpus_fini(&c);
}

/* ---- memory ---- */

/* The same segment from a file of that name. */
static void
map_input(struct idx_merge_input *in, struct fs *fs, const char *name,
          const struct sch_collection *schema)
{
    struct fs_map map;
    struct idx_segment *mapped;
    union {
        const struct idx_segment *borrowed;
        struct idx_segment *owned;
    } before = {in->segment};
    assert_int_equal(fs_write(fs, name, idx_segment_bytes(in->segment), NULL), RC_OK);
    assert_int_equal(fs_map(fs, name, &map, NULL), RC_OK);
    assert_int_equal(idx_segment_open_map(fs, &map, schema, &mapped, NULL), RC_OK);
    in->segment = mapped;
    idx_segment_free(before.owned);
}

/* Bytes of mapped files with this in their path that count as memory of this process. */
static uint64_t
resident_bytes(const char *part)
{
    char line[1024];
    bool is_ours = false;
    uint64_t n = 0;
    unsigned long long begin, end, kb;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%llx-%llx", &begin, &end) == 2)
            is_ours = strstr(line, part) != NULL;
        if (is_ours && sscanf(line, "Rss: %llu", &kb) == 1)
            n += kb << 10;
    }
    assert_int_equal(fclose(f), 0);
    return n;
}

/* What a merge has read of files, and what was checked of one, is in the page cache only. */
static void
test_memory(void **state)
{
    struct rng rng = rng_new();
    struct corpus c;
    struct parts p = {.kept = xmalloc(3000 * sizeof(uint32_t))};
    struct fs *fs;
    struct buf out = {0};
    char *dir = scratch_new();
    (void)state;
    corpus_init(&c, &rng, 3000, CORPUS_ULIDS, SCH_TIE_ID);
    assert_int_equal(fs_open_host(dir, &fs, NULL), RC_OK);
    add_part(&p, &c, 0, 1500, 100);
    add_part(&p, &c, 1500, 3000, 90);
    map_input(&p.inputs[0], fs, "a.seg", &c.schema);
    map_input(&p.inputs[1], fs, "b.seg", &c.schema);
    uint64_t n_bytes = p.inputs[0].segment->bytes.n + p.inputs[1].segment->bytes.n;
    assert_true(n_bytes > 4 << 20);

    assert_int_equal(idx_segment_check(p.inputs[0].segment, NULL), RC_OK);
    assert_true(resident_bytes("/a.seg") < n_bytes / 8);
    assert_int_equal(idx_segment_merge(p.inputs, 2, &c.schema, NULL, &out, NULL), RC_OK);
    assert_true(resident_bytes(dir) < n_bytes / 4);
    struct idx_segment *s = segment_of(&out, &c.schema);
    corpus_check(&c, s, p.kept, p.n_kept);
    idx_segment_free(s);
    parts_fini(&p);
    corpus_fini(&c);
    fs_close(fs);
    scratch_free(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_is_build),
        cmocka_unit_test(test_merge_again),
        cmocka_unit_test(test_merge_with_grown_schema),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
