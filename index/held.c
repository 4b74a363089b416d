/* Counted segments, live words and schemas; held.h says who counts. */
#include "index/held.h"

struct idx_schema *
idx_schema_new(const struct sch_collection *c)
{
    struct idx_schema *s = xcalloc(1, sizeof *s);
    s->refs = 1;
    sch_copy(c, &s->arena, &s->c);
    /* The profile's mapping does not concern the index and may go away before it. */
    s->c.source = NULL;
    for (uint32_t i = 0; i < s->c.n_fields; i++)
        s->c.fields[i].source = NULL;
    return s;
}

struct idx_schema *
idx_schema_acquire(struct idx_schema *s)
{
    s->refs++;
    return s;
}

void
idx_schema_release(struct idx_schema *s)
{
    if (!s || --s->refs > 0)
        return;
    arena_fini(&s->arena);
    free(s);
}

struct idx_seg *
idx_seg_new(struct idx_segment **take_segment, struct idx_schema *schema, uint64_t file)
{
    struct idx_seg *s = xcalloc(1, sizeof *s);
    s->refs = 1;
    s->segment = *take_segment;
    *take_segment = NULL;
    s->schema = idx_schema_acquire(schema);
    s->file = file;
    s->is_compressed = file != 0;
    s->n_bytes = idx_segment_n_bytes(s->segment);
    return s;
}

struct idx_seg *
idx_seg_acquire(struct idx_seg *s)
{
    s->refs++;
    return s;
}

void
idx_seg_release(struct idx_seg *s)
{
    if (!s || --s->refs > 0)
        return;
    idx_segment_free(s->segment);
    idx_schema_release(s->schema);
    free(s);
}

struct idx_live *
idx_live_new(uint32_t n_docs, bool is_alive)
{
    uint32_t n = idx_n_words(n_docs);
    struct idx_live *l = xcalloc(1, sizeof *l + n * sizeof l->words[0]);
    l->refs = 1;
    l->n_words = n;
    if (!is_alive)
        return l;
    memset(l->words, 0xff, n * sizeof l->words[0]);
    if (n_docs % 64)
        l->words[n - 1] = ((uint64_t)1 << (n_docs % 64)) - 1;
    return l;
}

struct idx_live *
idx_live_acquire(struct idx_live *l)
{
    l->refs++;
    return l;
}

void
idx_live_release(struct idx_live *l)
{
    if (l && --l->refs == 0)
        free(l);
}

struct idx_part
idx_part_of(struct idx_seg *seg, struct idx_live *live)
{
    struct idx_part p = {.seg = seg, .n_docs = idx_segment_n_docs(seg->segment)};
    p.live = live ? live : idx_live_new(p.n_docs, true);
    must(p.live->n_words == idx_n_words(p.n_docs));
    for (uint32_t i = 0; i < p.live->n_words; i++)
        p.n_live += (uint32_t)__builtin_popcountll(p.live->words[i]);
    return p;
}

bool
idx_part_kill(struct idx_part *p, uint32_t doc)
{
    if (!idx_is_alive(p->live->words, doc))
        return false;
    if (p->live->refs > 1) {
        struct idx_live *copy = idx_live_new(p->n_docs, false);
        memcpy(copy->words, p->live->words, copy->n_words * sizeof copy->words[0]);
        idx_live_release(p->live);
        p->live = copy;
    }
    p->live->words[doc / 64] &= ~((uint64_t)1 << (doc % 64));
    p->n_live--;
    return true;
}

void
idx_part_fini(struct idx_part *p)
{
    idx_seg_release(p->seg);
    idx_live_release(p->live);
    *p = (struct idx_part){0};
}
