/*
 * What a generation's parts come to under load, in a model: publications,
 * commits and merges as the writer does them, each taking its time. The parts
 * have sizes and no contents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/choice.h"

#include "tests/support/rng.h"

enum { PARTS_MAX = 256, STEP_US = 10000, COMMIT_US = 1000000, DOC_BYTES = 600 };

struct job {
    const struct idx_seg *segs[PARTS_MAX];
    size_t n;
    uint64_t ends_us; /* 0: none is running */
};

struct model {
    struct rng *rng;
    struct idx_generation g;
    uint64_t now_us, commit_at_us;
    double commit_doc_us, merge_doc_us; /* cost of a document */
    struct job commit, merge;
    uint64_t n_files, n_arrived, n_rewritten; /* documents */
    uint64_t n_folded, n_committed;           /* of these: at publications, by commits */
    size_t n_most;
    double n_views; /* summed over publications */
    uint64_t n_publishes;
};

static void
add(struct model *m, uint32_t n_docs, uint32_t n_live, bool is_file)
{
    struct idx_generation *g = &m->g;
    struct idx_seg *seg = xcalloc(1, sizeof *seg);
    seg->file = is_file ? ++m->n_files : 0;
    seg->n_bytes = (uint64_t)n_docs * DOC_BYTES;
    g->parts = xgrow(g->parts, &g->cap_parts, g->n_parts + 1, sizeof g->parts[0]);
    g->parts[g->n_parts++] = (struct idx_part){.seg = seg, .n_docs = n_docs, .n_live = n_live};
    assert_true(g->n_parts < PARTS_MAX);
}

static void
take_out(struct idx_generation *g, size_t i)
{
    free(g->parts[i].seg);
    g->parts[i] = g->parts[--g->n_parts];
}

/* Takes the parts out whose segments are given; returns their live documents. */
static uint32_t
replace(struct model *m, const struct idx_seg *const *segs, size_t n, bool is_file)
{
    uint32_t n_live = 0;
    for (size_t k = 0; k < n; k++)
        for (size_t i = m->g.n_parts; i-- > 0;)
            if (m->g.parts[i].seg == segs[k]) {
                n_live += m->g.parts[i].n_live;
                take_out(&m->g, i);
            }
    if (n_live > 0)
        add(m, n_live, n_live, is_file);
    return n_live;
}

static void
start(struct model *m, struct job *job, const size_t *picked, size_t n, double doc_us)
{
    double took = 1 + 20000;
    job->n = n;
    for (size_t i = 0; i < n; i++) {
        struct idx_part *p = &m->g.parts[picked[i]];
        assert_false(p->is_busy);
        p->is_busy = true;
        job->segs[i] = p->seg;
        took += p->n_live * doc_us;
    }
    job->ends_us = m->now_us + (uint64_t)took;
}

static uint64_t
finish(struct model *m, struct job *job)
{
    if (job->ends_us == 0 || job->ends_us > m->now_us)
        return 0;
    job->ends_us = 0;
    uint64_t n = replace(m, job->segs, job->n, true);
    m->n_rewritten += n;
    return n;
}

static void
publish(struct model *m)
{
    size_t picked[PARTS_MAX];
    for (size_t i = m->g.n_parts; i-- > 0;)
        if (m->g.parts[i].n_live == 0 && !m->g.parts[i].is_busy)
            take_out(&m->g, i);
    size_t n = idx_choose_ram(&m->g, m->commit.ends_us ? 0 : 2, picked);
    const struct idx_seg *segs[PARTS_MAX];
    for (size_t i = 0; i < n; i++)
        segs[i] = m->g.parts[picked[i]].seg;
    uint64_t n_folded = n >= 2 ? replace(m, segs, n, false) : 0;
    m->n_folded += n_folded;
    m->n_rewritten += n_folded;
    m->n_most = m->g.n_parts > m->n_most ? m->g.n_parts : m->n_most;
    m->n_views += (double)m->g.n_parts;
    m->n_publishes++;
}

/* New versions of documents: the old ones die wherever they are. */
static void
update(struct model *m, uint32_t n)
{
    uint64_t n_all = 0;
    for (size_t i = 0; i < m->g.n_parts; i++)
        n_all += m->g.parts[i].n_live;
    for (size_t i = 0; i < m->g.n_parts; i++) {
        struct idx_part *p = &m->g.parts[i];
        uint64_t n_dying = n_all ? (uint64_t)n * p->n_live / n_all : 0;
        p->n_live -= (uint32_t)(n_dying < p->n_live ? n_dying : p->n_live);
    }
    add(m, n, n, false);
    m->n_arrived += n;
    m->g.changed_us = m->now_us;
}

static void
step(struct model *m, uint32_t n_docs)
{
    size_t picked[PARTS_MAX];
    m->now_us += STEP_US;
    if (n_docs)
        update(m, n_docs);
    m->n_committed += finish(m, &m->commit);
    (void)finish(m, &m->merge);
    publish(m);
    bool is_due = m->now_us >= m->commit_at_us || idx_choose_early_commit(&m->g);
    size_t n = is_due && !m->commit.ends_us ? idx_choose_commit(&m->g, picked) : 0;
    if (n > 0) {
        start(m, &m->commit, picked, n, m->commit_doc_us);
        m->commit_at_us = m->now_us + COMMIT_US;
    }
    n = m->merge.ends_us ? 0 : idx_choose_merge(&m->g, m->now_us, picked);
    if (n > 0)
        start(m, &m->merge, picked, n, m->merge_doc_us);
}

static struct model
model_of(uint32_t n_docs)
{
    struct model m = {.now_us = 1000000000, .commit_doc_us = 5, .merge_doc_us = 5};
    m.commit_at_us = m.now_us + COMMIT_US;
    m.g.is_named = m.g.is_complete = true;
    m.g.changed_us = m.now_us;
    if (n_docs)
        add(&m, n_docs, n_docs, true);
    return m;
}

static void
model_end(struct model *m)
{
    while (m->g.n_parts)
        take_out(&m->g, m->g.n_parts - 1);
    free(m->g.parts);
}

static void
print(const struct model *m, const char *what)
{
    double n = (double)m->n_arrived;
    print_message(
        "%s: at most %zu parts, %.1f on average; each update rewritten %.1f times: %.1f in "
        "RAM, %.1f by commits\n",
        what, m->n_most, m->n_views / (double)m->n_publishes, (double)m->n_rewritten / n,
        (double)m->n_folded / n, (double)m->n_committed / n);
}

/* 20,000 updates a second on a million documents for a minute, at the speed of a busy machine. */
static void
test_updates_on_a_million(void **state)
{
    (void)state;
    struct model m = model_of(1000000);
    for (int i = 0; i < 6000; i++)
        step(&m, 200);
    print(&m, "20,000/s");
    assert_true(m.n_most <= IDX_VIEWS_MAX);
    assert_true(m.n_rewritten < 12 * m.n_arrived);
    model_end(&m);
}

/* Whatever the sizes and the speeds: a reader never meets more than it should. */
static void
test_bound(void **state)
{
    (void)state;
    struct rng rng = rng_new();
    for (int round = 0; round < 300; round++) {
        struct model m = model_of((uint32_t)rng_below(&rng, 3000000));
        m.commit_doc_us = 1 + (double)rng_below(&rng, 40);
        m.merge_doc_us = 1 + (double)rng_below(&rng, 60);
        uint32_t per_step = 1 + (uint32_t)rng_below(&rng, 400);
        for (int i = 0; i < 3000; i++)
            step(&m, rng_below(&rng, 20) ? per_step : (uint32_t)rng_below(&rng, 4000));
        if (m.n_most > IDX_VIEWS_MAX)
            print(&m, "a round");
        assert_true(m.n_most <= IDX_VIEWS_MAX);
        model_end(&m);
    }
}

/* After the last change little is left within seconds, and then nothing moves. */
static void
test_rest(void **state)
{
    (void)state;
    struct model m = model_of(0);
    for (int i = 0; i < 400; i++)
        step(&m, 700);
    for (int i = 0; i < 1000; i++)
        step(&m, 0);
    assert_int_equal(m.g.n_parts, 1);
    uint64_t n_rewritten = m.n_rewritten;
    for (int i = 0; i < 1000; i++)
        step(&m, 0);
    assert_int_equal(m.n_rewritten, n_rewritten);
    model_end(&m);
}

/* Ten updates a second for an hour beside a million documents; and one in ten seconds for a day. */
static void
test_trickles(void **state)
{
    (void)state;
    struct model m = model_of(1000000);
    for (int i = 0; i < 360000; i++)
        step(&m, i % 10 == 0);
    print(&m, "10/s for an hour");
    assert_true(m.n_rewritten < 150 * m.n_arrived);
    assert_true(m.n_most <= IDX_VIEWS_MAX);
    model_end(&m);

    m = model_of(1000000);
    for (int i = 0; i < 8640000; i++)
        step(&m, i % 1000 == 0);
    print(&m, "6 a minute for a day");
    assert_true(m.n_rewritten < 150 * m.n_arrived);
    model_end(&m);
}

/* What is being loaded is left alone, and merged when it is complete, before anybody reads it. */
static void
test_bulk_load(void **state)
{
    (void)state;
    size_t picked[PARTS_MAX];
    struct model m = model_of(0);
    m.g.is_named = m.g.is_complete = false;
    for (int i = 0; i < 24; i++)
        add(&m, 30000, 30000, true);
    assert_int_equal(idx_choose_merge(&m.g, m.now_us + 2 * IDX_REST_US, picked), 0);
    m.g.is_complete = true;
    assert_int_equal(idx_choose_merge(&m.g, m.now_us, picked), 24);
    m.g.is_named = true;
    assert_int_equal(idx_choose_merge(&m.g, m.now_us, picked), 24);
    model_end(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_updates_on_a_million),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_trickles),
        cmocka_unit_test(test_bulk_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
