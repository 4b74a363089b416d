/*
 * The state of the whole index that a reader sees: collections by name and by
 * uid, entries, and how to find a document by its id. Lookups are binary
 * searches over arrays made once per publication.
 */
#include "index/snapshot.h"

struct idx_published *
idx_published_acquire(struct idx_published *p)
{
    p->refs++;
    return p;
}

void
idx_published_release(struct idx_published *p)
{
    if (!p || --p->refs > 0)
        return;
    for (uint32_t i = 0; i < p->c.n_views; i++) {
        idx_seg_release(p->segs[i]);
        idx_live_release(p->lives[i]);
    }
    free(p->segs);
    free(p->lives);
    free((void *)(uintptr_t)p->c.views);
    idx_schema_release(p->schema);
    free(p);
}

/* ---- entries ---- */

static int
entry_cmp(const struct idx_entry *e, struct span kind, struct span key)
{
    int c = span_cmp(e->kind, kind);
    return c ? c : span_cmp(e->key, key);
}

size_t
idx_entries_find(const struct idx_entry *entries, size_t n, struct span kind, struct span key,
                 bool *is_there)
{
    size_t begin = 0, end = n;
    while (begin < end) {
        size_t mid = begin + (end - begin) / 2;
        if (entry_cmp(&entries[mid], kind, key) < 0)
            begin = mid + 1;
        else
            end = mid;
    }
    *is_there = begin < n && entry_cmp(&entries[begin], kind, key) == 0;
    return begin;
}

struct idx_table *
idx_table_new(const struct idx_entry *entries, size_t n)
{
    struct idx_table *t = xcalloc(1, sizeof *t);
    t->refs = 1;
    t->n = n;
    t->entries = arena_calloc(&t->arena, n, sizeof t->entries[0]);
    for (size_t i = 0; i < n; i++) {
        t->entries[i].kind = arena_dup(&t->arena, entries[i].kind);
        t->entries[i].key = arena_dup(&t->arena, entries[i].key);
        t->entries[i].value = arena_dup(&t->arena, entries[i].value);
    }
    return t;
}

struct idx_table *
idx_table_acquire(struct idx_table *t)
{
    t->refs++;
    return t;
}

void
idx_table_release(struct idx_table *t)
{
    if (!t || --t->refs > 0)
        return;
    arena_fini(&t->arena);
    free(t);
}

const struct idx_entry *
idx_snapshot_entry(const struct idx_snapshot *s, struct span kind, struct span key)
{
    bool is_there;
    size_t i = idx_entries_find(s->table->entries, s->table->n, kind, key, &is_there);
    return is_there ? &s->table->entries[i] : NULL;
}

const struct idx_entry *
idx_snapshot_entries(const struct idx_snapshot *s, struct span kind, size_t *n)
{
    bool is_there;
    const struct idx_table *t = s->table;
    size_t begin = idx_entries_find(t->entries, t->n, kind, (struct span){0}, &is_there);
    size_t end = begin;
    while (end < t->n && span_eq(t->entries[end].kind, kind))
        end++;
    *n = end - begin;
    return t->entries + begin;
}

/* ---- collections ---- */

static int
newer_first(const void *a, const void *b)
{
    const struct idx_collection *x = *(const struct idx_collection *const *)a;
    const struct idx_collection *y = *(const struct idx_collection *const *)b;
    /* By the schema's date first: a reindexed collection is as old as it was. */
    if (x->schema->created_at_s != y->schema->created_at_s)
        return x->schema->created_at_s > y->schema->created_at_s ? -1 : 1;
    return (x->uid < y->uid) - (x->uid > y->uid);
}

static int
name_order(const void *a, const void *b)
{
    const struct idx_collection *x = *(const struct idx_collection *const *)a;
    const struct idx_collection *y = *(const struct idx_collection *const *)b;
    return span_cmp(x->schema->name, y->schema->name);
}

struct idx_snapshot *
idx_snapshot_new(uint64_t version, struct idx_published *const *all, size_t n,
                 struct idx_table *table)
{
    struct idx_snapshot *s = xcalloc(1, sizeof *s);
    s->version = version;
    s->table = idx_table_acquire(table);
    s->n_all = n;
    s->all = xcalloc(n, sizeof s->all[0]);
    s->named = xcalloc(n, sizeof s->named[0]);
    s->by_name = xcalloc(n, sizeof s->by_name[0]);
    for (size_t i = 0; i < n; i++) {
        s->all[i] = idx_published_acquire(all[i]);
        if (all[i]->is_named)
            s->named[s->n_named++] = &all[i]->c;
    }
    memcpy(s->by_name, s->named, s->n_named * sizeof s->named[0]);
    qsort(s->named, s->n_named, sizeof s->named[0], newer_first);
    qsort(s->by_name, s->n_named, sizeof s->by_name[0], name_order);
    return s;
}

void
idx_snapshot_free(struct idx_snapshot *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_all; i++)
        idx_published_release(s->all[i]);
    free(s->all);
    free(s->named);
    free(s->by_name);
    idx_table_release(s->table);
    free(s);
}

uint64_t
idx_snapshot_version(const struct idx_snapshot *s)
{
    return s->version;
}

const struct idx_collection *const *
idx_snapshot_collections(const struct idx_snapshot *s, size_t *n)
{
    *n = s->n_named;
    return s->named;
}

static const struct idx_collection *
find_name(const struct idx_snapshot *s, struct span name)
{
    size_t begin = 0, end = s->n_named;
    while (begin < end) {
        size_t mid = begin + (end - begin) / 2;
        int c = span_cmp(s->by_name[mid]->schema->name, name);
        if (c == 0)
            return s->by_name[mid];
        if (c < 0)
            begin = mid + 1;
        else
            end = mid;
    }
    return NULL;
}

const struct idx_collection *
idx_snapshot_find(const struct idx_snapshot *s, struct span name)
{
    /* A real name goes before an alias. */
    const struct idx_collection *c = find_name(s, name);
    if (c)
        return c;
    const struct idx_entry *alias = idx_snapshot_entry(s, SPAN_LIT("alias"), name);
    return alias ? find_name(s, alias->value) : NULL;
}

const struct idx_collection *
idx_snapshot_find_public(const struct idx_snapshot *s, struct span name)
{
    const struct idx_collection *c = idx_snapshot_find(s, name);
    return c && !c->schema->is_internal ? c : NULL;
}

const struct idx_collection *
idx_snapshot_find_uid(const struct idx_snapshot *s, uint32_t uid)
{
    size_t begin = 0, end = s->n_all;
    while (begin < end) {
        size_t mid = begin + (end - begin) / 2;
        if (s->all[mid]->c.uid < uid)
            begin = mid + 1;
        else
            end = mid;
    }
    return begin < s->n_all && s->all[begin]->c.uid == uid ? &s->all[begin]->c : NULL;
}

bool
idx_collection_find(const struct idx_collection *c, struct span id, uint32_t *view, uint32_t *doc)
{
    for (uint32_t i = 0; i < c->n_views; i++) {
        uint32_t at;
        if (!idx_segment_find_id(c->views[i].segment, id, &at))
            continue;
        if (!idx_is_alive(c->views[i].live, at))
            continue;
        *view = i;
        *doc = at;
        return true;
    }
    return false;
}
