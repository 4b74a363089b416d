/* Planning, running and installing a fold; fold.h. */
#include "index/fold.h"

#include "index/layout.h"
#include "index/manifest.h"

/*
 * A file is written in pieces, each synced: a commit's small sync beside a
 * big merge then waits for one piece and not for a gigabyte.
 */
enum { PIECE_N = 4 << 20 };

/* ---- planning: the writer thread ---- */

struct idx_fold *
idx_fold_new(struct idx_generation *g, const size_t *picked, size_t n, uint64_t file)
{
    struct idx_fold *f = xcalloc(1, sizeof *f);
    uint64_t n_live = 0;
    f->uid = g->uid;
    f->file = file;
    f->is_read = g->is_complete; /* if not now, then soon */
    f->schema = idx_schema_acquire(g->schema);
    f->n = n;
    f->from = xcalloc(n, sizeof f->from[0]);
    f->inputs = xcalloc(n, sizeof f->inputs[0]);
    for (size_t i = 0; i < n; i++) {
        struct idx_part *part = &g->parts[picked[i]];
        must(!part->is_busy);
        part->is_busy = true;
        n_live += part->n_live;
        f->from[i] = *part;
        idx_seg_acquire(part->seg);
        idx_live_acquire(part->live);
        f->inputs[i] = (struct idx_merge_input){
            .segment = part->seg->segment, .live = part->live->words, .n_live = part->n_live};
    }
    must(n_live > 0);
    return f;
}

/* ---- running: any thread ---- */

struct sink {
    struct fs_file *file;
    struct buf piece;
};

static enum rc
sink_flush(struct sink *s, struct err *err)
{
    enum rc rc = fs_append(s->file, buf_span(&s->piece), err);
    buf_clear(&s->piece);
    return rc == RC_OK ? fs_sync(s->file, err) : rc;
}

static enum rc
sink_put(struct sink *s, struct span bytes, struct err *err)
{
    enum rc rc = RC_OK;
    for (size_t at = 0; at < bytes.n && rc == RC_OK;) {
        size_t n = PIECE_N - s->piece.n;
        n = bytes.n - at < n ? bytes.n - at : n;
        buf_put(&s->piece, bytes.p + at, n);
        at += n;
        if (s->piece.n == PIECE_N)
            rc = sink_flush(s, err);
    }
    return rc;
}

/* Gives back what was read of a mapping, in runs: a block alone has few whole pages. */
static void
forget_run(struct span *run, const struct idx_apart *a)
{
    if (!a->is_mapped)
        return;
    /* Only blocks that follow one another; anything between two mappings is not ours. */
    uintptr_t end = (uintptr_t)run->p + run->n, begin = (uintptr_t)a->bytes.p;
    if (run->p && begin >= end && begin - end < SEG_ALIGN) {
        run->n = (size_t)(begin + a->bytes.n - (uintptr_t)run->p);
    } else {
        fs_forget(*run);
        *run = a->bytes;
    }
    if (run->n >= PIECE_N) {
        fs_forget(*run);
        *run = (struct span){0};
    }
}

static enum rc
write_all(struct sink *s, struct span bytes, const struct idx_aparts *aparts, struct err *err)
{
    enum rc rc = RC_OK;
    struct span run = {0};
    size_t at = 0;
    for (size_t i = 0; i < aparts->n && rc == RC_OK; i++) {
        const struct idx_apart *a = &aparts->v[i];
        rc = sink_put(s, span_of(bytes.p + at, a->at - at), err);
        if (rc == RC_OK)
            rc = sink_put(s, a->bytes, err);
        forget_run(&run, a);
        at = a->at;
    }
    fs_forget(run);
    if (rc == RC_OK)
        rc = sink_put(s, span_from(bytes, at), err);
    return rc == RC_OK ? sink_flush(s, err) : rc;
}

static enum rc
write_file(struct fs *fs, const char *name, struct span bytes, const struct idx_aparts *aparts,
           struct err *err)
{
    struct sink s = {0};
    enum rc rc = fs_create(fs, name, &s.file, err);
    if (rc != RC_OK)
        return rc;
    rc = write_all(&s, bytes, aparts, err);
    fs_file_close(s.file);
    buf_fini(&s.piece);
    return rc;
}

static enum rc
write_and_map(struct idx_fold *f, struct fs *fs, struct span bytes, const struct idx_aparts *aparts,
              struct err *err)
{
    char name[IDX_FILE_NAME_MAX];
    idx_file_name(f->file, name);
    struct fs_map map;
    enum rc rc = write_file(fs, name, bytes, aparts, err);
    if (rc == RC_OK)
        rc = fs_map(fs, name, &map, err);
    if (rc == RC_OK)
        rc = idx_segment_open_map(fs, &map, &f->schema->c, &f->result, err);
    if (rc != RC_OK)
        idx_file_remove(fs, f->file);
    return rc;
}

static enum rc
merge_bytes(struct idx_fold *f, const atomic_bool *is_cancelled, struct buf *out,
            struct idx_aparts *aparts, struct err *err)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->inputs[i].new_doc)
            f->inputs[i].new_doc = xcalloc(f->from[i].n_docs, sizeof(uint32_t));
    const struct idx_merge_job job = {.inputs = f->inputs,
                                      .n = f->n,
                                      .schema = &f->schema->c,
                                      .is_cancelled = is_cancelled,
                                      .is_compressed = f->file != 0};
    return idx_segment_merge_apart(&job, out, aparts, err);
}

static enum rc
merge(struct idx_fold *f, struct fs *fs, const atomic_bool *is_cancelled, struct err *err)
{
    struct idx_aparts aparts = {0};
    struct buf bytes = {0};
    enum rc rc = merge_bytes(f, is_cancelled, &bytes, f->file ? &aparts : NULL, err);
    if (rc == RC_OK && f->file)
        rc = write_and_map(f, fs, buf_span(&bytes), &aparts, err);
    else if (rc == RC_OK)
        rc = idx_segment_open_ram(&bytes, &f->schema->c, &f->result, err);
    buf_fini(&bytes);
    idx_aparts_fini(&aparts);
    return rc;
}

/* So that no reader has to do it at first use. */
static enum rc
check(struct idx_fold *f, struct fs *fs, struct err *err)
{
    enum rc rc = idx_segment_check(f->result, err);
    if (rc == RC_OK)
        return RC_OK;
    if (f->file)
        idx_file_remove(fs, f->file);
    idx_segment_free(f->result);
    f->result = NULL;
    return rc;
}

enum rc
idx_fold_run(struct idx_fold *f, struct fs *fs, const atomic_bool *is_cancelled, struct err *err)
{
    static const struct idx_aparts none;
    enum rc rc = RC_OK;
    if (f->is_straight)
        rc = write_and_map(f, fs, idx_segment_bytes(f->from[0].seg->segment), &none, err);
    else
        rc = merge(f, fs, is_cancelled, err);
    return rc == RC_OK && f->is_read ? check(f, fs, err) : rc;
}

/* ---- installing: the writer thread ---- */

static size_t
find_part(const struct idx_generation *g, const struct idx_seg *seg)
{
    size_t i = 0;
    while (i < g->n_parts && g->parts[i].seg != seg)
        i++;
    must(i < g->n_parts); /* busy parts stay */
    return i;
}

/* Marks dead in the result what was alive when the fold was planned and is not any more. */
static void
carry_deaths(const struct idx_merge_input *input, const struct idx_part *now, uint64_t *words)
{
    for (uint32_t i = 0; i < now->live->n_words; i++) {
        uint64_t died = input->live[i] & ~now->live->words[i];
        for (; died; died &= died - 1) {
            uint32_t to = input->new_doc[i * 64 + (uint32_t)__builtin_ctzll(died)];
            words[to / 64] &= ~((uint64_t)1 << (to % 64));
        }
    }
}

void
idx_fold_install(struct idx_fold *f, struct idx_catalog *c)
{
    f->is_installed = true;
    struct idx_generation *g = idx_catalog_find(c, f->uid);
    if (!g) {
        idx_catalog_garbage(c, f->file);
        return;
    }
    struct idx_live *live = NULL;
    if (!f->is_straight)
        live = idx_live_new(idx_segment_n_docs(f->result), true);
    for (size_t i = 0; i < f->n; i++) {
        size_t at = find_part(g, f->from[i].seg);
        if (f->is_straight)
            live = idx_live_acquire(g->parts[at].live);
        else
            carry_deaths(&f->inputs[i], &g->parts[at], live->words);
        idx_generation_remove(c, g, at);
    }
    struct idx_seg *seg = idx_seg_new(&f->result, f->schema, f->file);
    idx_generation_add(c, g, idx_part_of(seg, live));
}

/* The next fold must not fail for the same file: commits would never work again. */
static void
give_back(struct idx_part *part)
{
    part->is_busy = false;
    part->is_bad |= idx_segment_is_corrupt(part->seg->segment);
}

void
idx_fold_free(struct idx_fold *f, struct idx_catalog *c)
{
    if (!f)
        return;
    struct idx_generation *g = f->is_installed ? NULL : idx_catalog_find(c, f->uid);
    for (size_t i = 0; i < f->n; i++) {
        if (g)
            give_back(&g->parts[find_part(g, f->from[i].seg)]);
        idx_part_fini(&f->from[i]);
        free(f->inputs[i].new_doc);
    }
    idx_segment_free(f->result);
    idx_schema_release(f->schema);
    free(f->from);
    free(f->inputs);
    free(f);
}
