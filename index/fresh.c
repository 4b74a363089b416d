/* Documents between the batch and their first segment; fresh.h. */
#include "index/fresh.h"

enum { FIRST_DOCS = 1024 };

static void
grow(struct idx_fresh *f)
{
    uint32_t cap = f->cap_docs ? f->cap_docs * 2 : FIRST_DOCS;
    struct idx_live *live = idx_live_new(cap, false);
    if (f->live)
        memcpy(live->words, f->live->words, f->live->n_words * sizeof live->words[0]);
    idx_live_release(f->live);
    f->live = live;
    f->cap_docs = cap;
}

void
idx_fresh_add(struct idx_fresh *f, struct idx_schema *schema, bool is_compressed,
              const struct idx_doc *doc)
{
    if (!f->builder) {
        f->schema = idx_schema_acquire(schema);
        f->builder = idx_builder_new(&schema->c, is_compressed);
        f->is_compressed = is_compressed;
    }
    must(f->schema == schema); /* an alter flushes first */
    uint32_t n = idx_builder_add(f->builder, doc);
    must(n == f->n);
    if (n == f->cap_docs)
        grow(f);
    f->live->words[n / 64] |= (uint64_t)1 << (n % 64);
    f->seqs = xgrow(f->seqs, &f->cap_seqs, (size_t)n + 1, sizeof f->seqs[0]);
    f->seqs[n] = doc->seq;
    *map_put(&f->ids, doc->id, NULL) = n;
    f->n++;
    f->n_live++;
}

bool
idx_fresh_kill(struct idx_fresh *f, struct span id, uint64_t *seq)
{
    const uint64_t *at = f->n ? map_get(&f->ids, id) : NULL;
    if (!at)
        return false;
    uint32_t doc = (uint32_t)*at;
    if (!idx_is_alive(f->live->words, doc))
        return false;
    f->live->words[doc / 64] &= ~((uint64_t)1 << (doc % 64));
    f->n_live--;
    *seq = f->seqs[doc];
    return true;
}

size_t
idx_fresh_n_bytes(const struct idx_fresh *f)
{
    return f->builder ? idx_builder_n_bytes(f->builder) : 0;
}

struct idx_segment *
idx_fresh_build(struct idx_fresh *f)
{
    struct buf bytes = {0};
    struct idx_segment *segment = NULL;
    enum rc rc = idx_builder_finish(f->builder, &bytes, NULL);
    idx_builder_free(f->builder);
    f->builder = NULL;
    if (rc == RC_OK)
        rc = idx_segment_open_ram(&bytes, &f->schema->c, &segment, NULL);
    /* Its sizes are bounded by the caps of apply.c: what fails here is the program. */
    must(rc == RC_OK);
    return segment;
}

bool
idx_fresh_part(struct idx_fresh *f, struct idx_segment **segment, struct idx_part *out)
{
    bool has_any = f->n_live > 0;
    if (has_any) {
        struct idx_live *live = idx_live_new(f->n, false);
        memcpy(live->words, f->live->words, live->n_words * sizeof live->words[0]);
        struct idx_seg *seg = idx_seg_new(segment, f->schema, 0);
        seg->is_compressed = f->is_compressed;
        *out = idx_part_of(seg, live);
    }
    idx_segment_free(*segment);
    *segment = NULL;
    idx_fresh_fini(f);
    return has_any;
}

bool
idx_fresh_finish(struct idx_fresh *f, struct idx_part *out)
{
    if (f->n_live == 0) {
        idx_fresh_fini(f);
        return false;
    }
    struct idx_segment *segment = idx_fresh_build(f);
    return idx_fresh_part(f, &segment, out);
}

void
idx_fresh_fini(struct idx_fresh *f)
{
    idx_builder_free(f->builder);
    idx_schema_release(f->schema);
    map_fini(&f->ids);
    free(f->seqs);
    idx_live_release(f->live);
    *f = (struct idx_fresh){0};
}
