/* Rules for each occasion, and parts as the policy sees them; choice.h. */
#include "index/choice.h"

#include "index/policy.h"

enum {
    RAM_PARTS = 3,       /* small ones that may rest between two commits */
    RAM_PARTS_EARLY = 5, /* with so many a commit does not wait for its time */
    /*
     * Folding at publication holds up the next one: bigger parts wait for the
     * commit, and one fold takes at most so much.
     */
    FOLD_PART_DOCS_MAX = 8192,
    FOLD_PART_BYTES_MAX = 8 << 20,
    FOLD_BYTES_MAX = 24 << 20,
    FILES = 5,        /* may rest */
    FILES_FREE = 4,   /* left by a commit, which takes light ones along... */
    FILES_BESIDE = 2, /* ...while a merge has others */
    FILES_MAX = 7,    /* from here on a commit takes along whatever it costs */
    MERGE_FILES = 5,
    /* While nobody reads a load it is merged once, when it is over, and not while it wants the
     * processor. */
    QUIET_FILES = 24,
    MANY_FILES = 32,
};

/* A commit is waited for: it takes no more along than this. */
static const uint64_t TAKE_BYTES_MAX = 32 << 20;
/* No merge takes more: sections have 32-bit offsets, and the result is made in memory. */
static const uint64_t MERGE_BYTES_MAX = (uint64_t)2 << 30;

static const struct idx_policy_rules RAM_RULES = {.max_n = RAM_PARTS,
                                                  .min_run = 2,
                                                  .factor = 2,
                                                  .min_dead = UINT32_MAX,
                                                  .max_picked = MANY_FILES};
static const struct idx_policy_rules MERGE_RULES = {.max_n = FILES,
                                                    .min_run = 2,
                                                    .factor = 2,
                                                    .min_dead = 1000,
                                                    .dead_share = 3,
                                                    .max_picked = MERGE_FILES};
/* What changes no more is worth being one segment; what changes now and then is not, each time. */
static const struct idx_policy_rules REST_RULES = {.max_n = 1,
                                                   .min_run = 1,
                                                   .factor = 8,
                                                   .may_leap = true,
                                                   .min_dead = 1000,
                                                   .dead_share = 8,
                                                   .max_picked = MERGE_FILES};

/* Documents are weights: stored ones are compressed in files and not in RAM. */
struct items { /* parts of a generation, or ALL_RAM: all parts in RAM as one */
    struct idx_policy_item *v;
    size_t *parts; /* their numbers */
    size_t n;
};

static const size_t ALL_RAM = SIZE_MAX;

static struct items
items_new(const struct idx_generation *g)
{
    return (struct items){.v = xcalloc(g->n_parts + 1, sizeof(struct idx_policy_item)),
                          .parts = xcalloc(g->n_parts + 1, sizeof(size_t))};
}

static void
items_add(struct items *items, size_t part, struct idx_policy_item item)
{
    items->parts[items->n] = part;
    items->v[items->n++] = item;
}

/* Numbers of items become numbers of parts. */
static size_t
items_end(struct items *items, size_t *picked, size_t n)
{
    for (size_t i = 0; i < n; i++)
        picked[i] = items->parts[picked[i]];
    free(items->v);
    free(items->parts);
    return n;
}

static uint64_t
live_bytes(const struct idx_part *p)
{
    return p->n_docs ? p->seg->n_bytes / p->n_docs * p->n_live : 0;
}

static bool
is_free_file(const struct idx_part *p)
{
    return p->seg->file && !p->is_busy && !p->is_bad && p->n_live > 0;
}

static bool
is_free_ram(const struct idx_part *p)
{
    return !p->seg->file && !p->is_busy;
}

static size_t
count(const struct idx_generation *g, bool (*is_one)(const struct idx_part *p))
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_parts; i++)
        n += is_one(&g->parts[i]);
    return n;
}

/* Only as many of the picked, which are lightest first, as have no more bytes in all. */
static size_t
bound(const struct idx_generation *g, const struct items *items, const size_t *picked, size_t n,
      uint64_t max_bytes)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t part = items->parts[picked[i]];
        bytes += part < g->n_parts ? live_bytes(&g->parts[part]) : 0;
        if (bytes > max_bytes)
            return i < 2 ? 0 : i;
    }
    return n;
}

/* ---- RAM ---- */

static void
add_ram(const struct idx_generation *g, bool is_any_size, struct items *items)
{
    for (size_t i = 0; i < g->n_parts; i++) {
        const struct idx_part *p = &g->parts[i];
        bool is_small = p->n_docs <= FOLD_PART_DOCS_MAX && p->seg->n_bytes <= FOLD_PART_BYTES_MAX;
        if (is_free_ram(p) && (is_small || is_any_size))
            items_add(items, i, (struct idx_policy_item){p->n_docs, p->n_docs, p->n_live});
    }
}

/* So many of the lightest, whatever it costs. */
static size_t
choose_lightest(const struct idx_generation *g, size_t n, size_t *picked)
{
    struct items items = items_new(g);
    add_ram(g, true, &items);
    const struct idx_policy_rules rules = {
        .min_run = n, .factor = 0, .min_dead = UINT32_MAX, .max_picked = n};
    return items_end(&items, picked, idx_policy_pick(items.v, items.n, &rules, picked));
}

size_t
idx_choose_ram(const struct idx_generation *g, size_t room, size_t *picked)
{
    struct items items = items_new(g);
    add_ram(g, false, &items);
    size_t n = idx_policy_pick(items.v, items.n, &RAM_RULES, picked);
    n = items_end(&items, picked, bound(g, &items, picked, n, FOLD_BYTES_MAX));
    size_t n_left = g->n_parts - (n ? n - 1 : 0), max_n = IDX_VIEWS_MAX - room;
    bool has_too_many = n_left > max_n && g->n_parts - count(g, is_free_ram) < max_n;
    if (!has_too_many || idx_generation_is_quiet(g))
        return n;
    return choose_lightest(g, g->n_parts - max_n + 1, picked);
}

bool
idx_choose_early_commit(const struct idx_generation *g)
{
    return count(g, is_free_ram) >= RAM_PARTS_EARLY;
}

/* ---- commits ---- */

/* Numbers of files to take along with so many documents in RAM. */
static size_t
choose_along(const struct idx_generation *g, uint64_t n_ram_docs, size_t *picked)
{
    struct items items = items_new(g);
    size_t n_busy = 0, n_free = count(g, is_free_file);
    for (size_t i = 0; i < g->n_parts; i++)
        n_busy += g->parts[i].seg->file && g->parts[i].is_busy;
    /* A bulk load that was just named is the merge thread's work. */
    bool is_urgent = n_busy + n_free >= FILES_MAX && n_free < FILES_MAX;
    items_add(&items, ALL_RAM, (struct idx_policy_item){.weight = n_ram_docs});
    for (size_t i = 0; i < g->n_parts; i++) {
        const struct idx_part *p = &g->parts[i];
        if (is_free_file(p) && (is_urgent || live_bytes(p) <= TAKE_BYTES_MAX))
            items_add(&items, i, (struct idx_policy_item){.weight = p->n_live});
    }
    struct idx_policy_rules rules = RAM_RULES;
    size_t n_heavy = n_free + 1 - items.n, max_n = n_busy ? FILES_BESIDE : FILES_FREE;
    rules.max_n = max_n > n_heavy ? max_n - n_heavy : 1;
    size_t n = idx_policy_pick(items.v, items.n, &rules, picked);
    n = bound(g, &items, picked, n, is_urgent ? MERGE_BYTES_MAX : TAKE_BYTES_MAX);
    n = items_end(&items, picked, n);
    size_t n_files = 0;
    for (size_t i = 0; i < n; i++)
        if (picked[i] != ALL_RAM)
            picked[n_files++] = picked[i];
    return n_files;
}

size_t
idx_choose_commit(const struct idx_generation *g, size_t *picked)
{
    uint64_t n_docs = 0;
    for (size_t i = 0; i < g->n_parts; i++)
        n_docs += is_free_ram(&g->parts[i]) ? g->parts[i].n_live : 0;
    size_t n = n_docs ? choose_along(g, n_docs, picked) : 0;
    for (size_t i = 0; i < g->n_parts; i++)
        if (is_free_ram(&g->parts[i]))
            picked[n++] = i;
    return n;
}

/* ---- merges ---- */

static struct idx_policy_rules
merge_rules(const struct idx_generation *g, uint64_t now_us)
{
    struct idx_policy_rules rules = MERGE_RULES;
    if (!g->is_complete) {
        rules.max_n = QUIET_FILES;
        rules.max_picked = MANY_FILES;
    } else if (g->n_parts > IDX_VIEWS_MAX) {
        rules.max_picked = MANY_FILES;
    } else if (now_us - g->changed_us >= IDX_REST_US) {
        rules = REST_RULES;
    }
    return rules;
}

size_t
idx_choose_merge(const struct idx_generation *g, uint64_t now_us, size_t *picked)
{
    struct items items = items_new(g);
    const struct idx_policy_rules rules = merge_rules(g, now_us);
    for (size_t i = 0; i < g->n_parts; i++) {
        const struct idx_part *p = &g->parts[i];
        if (is_free_file(p) && live_bytes(p) <= MERGE_BYTES_MAX / 2) /* others are big enough */
            items_add(&items, i, (struct idx_policy_item){p->n_live, p->n_docs, p->n_live});
    }
    size_t n = idx_policy_pick(items.v, items.n, &rules, picked);
    return items_end(&items, picked, bound(g, &items, picked, n, MERGE_BYTES_MAX));
}

size_t
idx_choose_all(const struct idx_generation *g, size_t *picked)
{
    size_t n = 0;
    uint64_t n_dead = 0, n_live = 0;
    for (size_t i = 0; i < g->n_parts; i++) {
        if (!g->parts[i].seg->file)
            continue;
        if (g->parts[i].is_busy) /* with a commit, which is soon over */
            return 0;
        n_dead += g->parts[i].n_docs - g->parts[i].n_live;
        n_live += g->parts[i].n_live;
        picked[n++] = i;
    }
    return n_live > 0 && (n > 1 || n_dead > 0) ? n : 0;
}
