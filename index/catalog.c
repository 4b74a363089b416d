/* Generations by uid, entries, states, garbage: the writer's picture; catalog.h. */
#include "index/catalog.h"

#include "base/clock.h"

/* ---- generations ---- */

static size_t
position(const struct idx_catalog *c, uint32_t uid)
{
    size_t begin = 0, end = c->n;
    while (begin < end) {
        size_t mid = begin + (end - begin) / 2;
        if (c->generations[mid]->uid < uid)
            begin = mid + 1;
        else
            end = mid;
    }
    return begin;
}

struct idx_generation *
idx_catalog_find(const struct idx_catalog *c, uint32_t uid)
{
    size_t at = position(c, uid);
    return at < c->n && c->generations[at]->uid == uid ? c->generations[at] : NULL;
}

struct idx_generation *
idx_catalog_create(struct idx_catalog *c, uint32_t uid, struct idx_schema *schema,
                   uint64_t analyzer)
{
    size_t at = position(c, uid);
    if (at < c->n && c->generations[at]->uid == uid)
        return NULL;
    struct idx_generation *g = xcalloc(1, sizeof *g);
    g->uid = uid;
    g->schema = idx_schema_acquire(schema);
    g->analyzer = analyzer;
    g->is_changed = true;
    g->changed_us = clock_us();
    c->generations = xgrow(c->generations, &c->cap, c->n + 1, sizeof(struct idx_generation *));
    memmove(&c->generations[at + 1], &c->generations[at],
            (c->n - at) * sizeof(struct idx_generation *));
    c->generations[at] = g;
    c->n++;
    c->is_changed = true;
    return g;
}

static void
generation_free(struct idx_generation *g)
{
    for (size_t i = 0; i < g->n_parts; i++)
        idx_part_fini(&g->parts[i]);
    free(g->parts);
    idx_fresh_fini(&g->fresh);
    buf_fini(&g->last_id);
    idx_published_release(g->published);
    idx_schema_release(g->schema);
    free(g);
}

void
idx_catalog_drop(struct idx_catalog *c, struct idx_generation *g)
{
    size_t at = position(c, g->uid);
    must(at < c->n && c->generations[at] == g);
    while (g->n_parts > 0)
        idx_generation_remove(c, g, g->n_parts - 1);
    c->n--;
    memmove(&c->generations[at], &c->generations[at + 1],
            (c->n - at) * sizeof(struct idx_generation *));
    c->is_changed = true;
    generation_free(g);
}

void
idx_catalog_name(struct idx_catalog *c, struct idx_generation *g)
{
    for (size_t i = 0; i < c->n; i++) {
        struct idx_generation *other = c->generations[i];
        if (other == g || !other->is_named || !span_eq(other->schema->c.name, g->schema->c.name))
            continue;
        idx_catalog_drop(c, other);
        break;
    }
    g->is_named = true;
    g->is_changed = true;
    c->is_changed = true;
}

/* ---- entries, states, garbage ---- */

static void
entry_fill(struct idx_entry *e, struct span kind, struct span key, struct span value)
{
    char *p = xmalloc(kind.n + key.n + value.n);
    struct span parts[] = {kind, key, value};
    struct span *to[] = {&e->kind, &e->key, &e->value};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        if (parts[i].n)
            memcpy(p, parts[i].p, parts[i].n);
        *to[i] = span_of(p, parts[i].n);
        p += parts[i].n;
    }
}

static void
own_free(struct span first)
{
    free((void *)(uintptr_t)first.p);
}

void
idx_catalog_entry(struct idx_catalog *c, struct span kind, struct span key, struct span value)
{
    bool is_there;
    size_t at = idx_entries_find(c->entries, c->n_entries, kind, key, &is_there);
    if (!value.p && !is_there)
        return;
    idx_table_release(c->table);
    c->table = NULL;
    c->is_changed = true;
    if (is_there)
        own_free(c->entries[at].kind);
    if (value.p && !is_there) {
        c->entries = xgrow(c->entries, &c->cap_entries, c->n_entries + 1, sizeof c->entries[0]);
        memmove(&c->entries[at + 1], &c->entries[at], (c->n_entries - at) * sizeof c->entries[0]);
        c->n_entries++;
    }
    if (value.p) {
        entry_fill(&c->entries[at], kind, key, value);
        return;
    }
    c->n_entries--;
    memmove(&c->entries[at], &c->entries[at + 1], (c->n_entries - at) * sizeof c->entries[0]);
}

struct idx_table *
idx_catalog_table(struct idx_catalog *c)
{
    if (!c->table)
        c->table = idx_table_new(c->entries, c->n_entries);
    return c->table;
}

void
idx_catalog_state(struct idx_catalog *c, struct span name, struct span value)
{
    size_t at = 0;
    while (at < c->n_states && !span_eq(c->states[at].name, name))
        at++;
    struct idx_entry e;
    entry_fill(&e, name, value, (struct span){0});
    if (at == c->n_states) {
        c->states = xgrow(c->states, &c->cap_states, at + 1, sizeof c->states[0]);
        c->n_states++;
    } else {
        own_free(c->states[at].name);
    }
    c->states[at] = (struct idx_state_part){e.kind, e.key};
}

void
idx_catalog_garbage(struct idx_catalog *c, uint64_t file)
{
    if (file == 0)
        return;
    c->garbage = xgrow(c->garbage, &c->cap_garbage, c->n_garbage + 1, sizeof c->garbage[0]);
    c->garbage[c->n_garbage++] = file;
}

void
idx_catalog_fini(struct idx_catalog *c)
{
    for (size_t i = 0; i < c->n; i++)
        generation_free(c->generations[i]);
    free(c->generations);
    for (size_t i = 0; i < c->n_entries; i++)
        own_free(c->entries[i].kind);
    free(c->entries);
    idx_table_release(c->table);
    for (size_t i = 0; i < c->n_states; i++)
        own_free(c->states[i].name);
    free(c->states);
    free(c->garbage);
    *c = (struct idx_catalog){0};
}

/* ---- parts ---- */

void
idx_generation_add(struct idx_catalog *c, struct idx_generation *g, struct idx_part part)
{
    if (part.seg->file)
        c->file_bytes += part.seg->n_bytes;
    else
        c->ram_bytes += part.seg->n_bytes;
    g->parts = xgrow(g->parts, &g->cap_parts, g->n_parts + 1, sizeof g->parts[0]);
    g->parts[g->n_parts++] = part;
    g->is_changed = true;
}

void
idx_generation_remove(struct idx_catalog *c, struct idx_generation *g, size_t i)
{
    const struct idx_seg *seg = g->parts[i].seg;
    if (seg->file)
        c->file_bytes -= seg->n_bytes;
    else
        c->ram_bytes -= seg->n_bytes;
    idx_catalog_garbage(c, seg->file);
    idx_part_fini(&g->parts[i]);
    g->parts[i] = g->parts[--g->n_parts];
    g->is_changed = true;
}

void
idx_generation_flush(struct idx_catalog *c, struct idx_generation *g)
{
    struct idx_part part;
    if (g->fresh.n > 0 && idx_fresh_finish(&g->fresh, &part))
        idx_generation_add(c, g, part);
}

void
idx_generation_sweep(struct idx_catalog *c, struct idx_generation *g)
{
    for (size_t i = g->n_parts; i-- > 0;)
        if (g->parts[i].n_live == 0 && !g->parts[i].is_busy)
            idx_generation_remove(c, g, i);
}

bool
idx_generation_is_quiet(const struct idx_generation *g)
{
    return !g->is_named || !g->is_complete;
}

void
idx_generation_publish(struct idx_generation *g)
{
    must(g->fresh.n == 0);
    uint32_t n = (uint32_t)g->n_parts;
    struct idx_published *p = xcalloc(1, sizeof *p);
    struct idx_view *views = xcalloc(n, sizeof *views);
    p->refs = 1;
    p->is_named = g->is_named;
    p->schema = idx_schema_acquire(g->schema);
    p->segs = xcalloc(n, sizeof(struct idx_seg *));
    p->lives = xcalloc(n, sizeof(struct idx_live *));
    p->c = (struct idx_collection){.uid = g->uid,
                                   .n_views = n,
                                   .views = views,
                                   .schema = &g->schema->c,
                                   .analyzer = g->analyzer,
                                   .is_complete = g->is_complete,
                                   .version = ++g->version};
    for (uint32_t i = 0; i < n; i++) {
        const struct idx_part *part = &g->parts[i];
        p->segs[i] = idx_seg_acquire(part->seg);
        p->lives[i] = idx_live_acquire(part->live);
        views[i] = (struct idx_view){part->seg->segment, part->live->words, part->n_docs,
                                     part->n_live, part->seg->file};
        p->c.n_docs += part->n_live;
    }
    idx_published_release(g->published);
    g->published = p;
    g->is_changed = false;
}
