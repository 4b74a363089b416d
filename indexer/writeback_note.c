/*
 * What a document needs to be marked as indexed: the outputs that differ from
 * what MongoDB holds. Apply thread.
 */
#include "indexer/writeback_parts.h"

#include "base/ulid.h"

#include "indexer/event.h"
#include "indexer/node.h"

static int64_t
date_of(const bson_t *doc, const char *name)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, doc, name) && BSON_ITER_HOLDS_DATE_TIME(&at)
               ? bson_iter_date_time(&at)
               : INT64_MIN;
}

static bool
find_path(const bson_t *doc, const char *path, bson_iter_t *out)
{
    bson_iter_t at;
    return bson_iter_init(&at, doc) && bson_iter_find_descendant(&at, path, out);
}

typedef bool put_element(bson_t *array, const char *index, struct span text);

static bool
put_uuid(bson_t *array, const char *index, struct span text)
{
    unsigned char bytes[ULID_BYTES_N];
    return ulid_read(text, bytes) &&
           bson_append_binary(array, index, -1, BSON_SUBTYPE_UUID, bytes, sizeof bytes);
}

/* Sets the array at path to these texts unless it holds exactly them already. */
static void
set_array(bson_t *set, const bson_t *doc, const char *path, const struct span *texts, uint32_t n,
          put_element *put)
{
    bson_t array = BSON_INITIALIZER, held;
    bson_iter_t at;
    uint32_t n_held = 0;
    const uint8_t *p = NULL;
    for (uint32_t i = 0; i < n; i++) {
        char number[16];
        const char *index;
        bson_uint32_to_string(i, &index, number, sizeof number);
        (void)put(&array, index, texts[i]); /* false: a text that is no id was never one */
    }
    if (find_path(doc, path, &at) && BSON_ITER_HOLDS_ARRAY(&at))
        bson_iter_array(&at, &n_held, &p);
    if (!p || !bson_init_static(&held, p, n_held) || !bson_equal(&held, &array))
        bson_append_array(set, path, -1, &array);
    bson_destroy(&array);
}

static void
set_i32(bson_t *set, const bson_t *doc, const char *path, int32_t value)
{
    bson_iter_t at;
    if (!find_path(doc, path, &at) || !BSON_ITER_HOLDS_NUMBER(&at) ||
        bson_iter_as_int64(&at) != value)
        bson_append_int32(set, path, -1, value);
}

static void
set_user(bson_t *set, const bson_t *doc, const struct ing_user_derived *d)
{
    bson_iter_t style, cached;
    struct arena arena = {0};
    set_array(set, doc, "cached.entitlements", d->entitlements, d->n_entitlements, ing_node_put);
    set_array(set, doc, "cached.active_emotes", ing_user_emotes(d, &arena), d->n_emotes, put_uuid);
    arena_fini(&arena);
    set_i32(set, doc, "cached.role_rank", d->role_rank);
    set_i32(set, doc, "cached.role_hoist_rank", d->role_hoist_rank);
    bool has_set = find_path(doc, "style.active_emote_set_id", &style) && ing_bson_uuid(&style);
    bool has_cached = find_path(doc, "cached.emote_set_id", &cached);
    const unsigned char *held = has_cached ? ing_bson_uuid(&cached) : NULL;
    if (has_set && (!held || memcmp(held, ing_bson_uuid(&style), ULID_BYTES_N) != 0))
        bson_append_iter(set, "cached.emote_set_id", -1, &style);
    else if (!has_set && (!has_cached || held))
        bson_append_null(set, "cached.emote_set_id", -1);
}

static void
set_outputs(bson_t *set, const struct ing_feed *f, const bson_t *doc,
            const struct ing_mapped *mapped)
{
    bson_iter_t rank;
    if (mapped->emotes_changed)
        bson_append_bool(set, "emotes_changed_since_reindex", -1, false);
    if (f->kind == ING_FEED_ROLES && bson_iter_init_find(&rank, doc, "rank") &&
        BSON_ITER_HOLDS_NUMBER(&rank))
        set_i32(set, doc, "applied_rank", (int32_t)bson_iter_as_int64(&rank));
    if (mapped->derived)
        set_user(set, doc, mapped->derived);
}

/* Fills *set with the outputs that differ; false if the document is marked as it should be. */
static bool
is_owed(const struct ing_mongo *m, const struct ing_feed *f, const bson_t *doc,
        const struct ing_mapped *mapped, bson_t *set)
{
    int64_t updated_ms = date_of(doc, "updated_at");
    if (!m->writeback || f->kind == ING_FEED_EDGES || updated_ms == INT64_MIN)
        return false;
    set_outputs(set, f, doc, mapped);
    return bson_count_keys(set) > 0 || date_of(doc, "search_updated_at") <= updated_ms;
}

bool
ing_writeback_owes(struct ing_mongo *m, const struct ing_feed *f, const bson_t *doc,
                   const struct ing_mapped *mapped)
{
    bson_t set = BSON_INITIALIZER;
    bool is = ing_writeback_is_holder(m) && is_owed(m, f, doc, mapped, &set);
    bson_destroy(&set);
    return is;
}

static struct ing_writeback_list *
list_new(struct ing_writeback_queue *q)
{
    struct ing_writeback_list *list = xcalloc(1, sizeof *list);
    list->end = &list->items;
    list->queue = q;
    pthread_mutex_lock(&q->lock);
    q->n_references++;
    pthread_mutex_unlock(&q->lock);
    return list;
}

void
ing_writeback_note(struct ing_mongo *m, struct ing_writeback_list **list, const struct ing_feed *f,
                   const bson_t *doc, const struct ing_mapped *mapped)
{
    bson_iter_t id;
    bson_t set = BSON_INITIALIZER;
    if (bson_iter_init_find(&id, doc, "_id") && is_owed(m, f, doc, mapped, &set)) {
        if (!*list)
            *list = list_new(m->writeback);
        struct arena *a = &(*list)->arena;
        struct buf key = {0};
        struct ing_writeback_item *item = arena_alloc(a, sizeof *item);
        ing_event_key(f->number, &id, &key);
        *item = (struct ing_writeback_item){
            .feed = f,
            .key = span_from(arena_dup(a, buf_span(&key)), 1),
            .updated_at_ms = date_of(doc, "updated_at"),
            .set = arena_dup(a, span_of((const char *)bson_get_data(&set), set.len))};
        buf_fini(&key);
        *(*list)->end = item;
        (*list)->end = &item->next;
        (*list)->n++;
    }
    bson_destroy(&set);
}

void
ing_writeback_fields(bson_t *projection)
{
    static const char *const names[] = {"updated_at", "search_updated_at",
                                        "emotes_changed_since_reindex", "applied_rank", "cached"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!bson_has_field(projection, names[i]))
            bson_append_int32(projection, names[i], -1, 1);
    }
}
