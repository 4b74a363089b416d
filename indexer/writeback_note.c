/*
 * What a document needs to be marked as indexed: the outputs that differ from
 * what MongoDB holds. Apply thread.
 *
 * What MongoDB holds was read before what waits to be written, so a document
 * that waits gets all its outputs again: the newest list is written last, and
 * an older one cannot leave its values behind.
 */
#include "indexer/writeback_parts.h"

#include "base/clock.h"
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

/* held_doc: the document as far as its outputs are known to stay. */
static void
set_user(bson_t *set, const bson_t *doc, const bson_t *held_doc, const struct ing_user_derived *d)
{
    bson_iter_t style, cached;
    struct arena arena = {0};
    set_array(set, held_doc, "cached.entitlements", d->entitlements, d->n_entitlements,
              ing_node_put);
    set_array(set, held_doc, "cached.active_emotes", ing_user_emotes(d, &arena), d->n_emotes,
              put_uuid);
    arena_fini(&arena);
    set_i32(set, held_doc, "cached.role_rank", d->role_rank);
    set_i32(set, held_doc, "cached.role_hoist_rank", d->role_hoist_rank);
    bool has_set = find_path(doc, "style.active_emote_set_id", &style) && ing_bson_uuid(&style);
    bool has_cached = find_path(held_doc, "cached.emote_set_id", &cached);
    const unsigned char *held = has_cached ? ing_bson_uuid(&cached) : NULL;
    if (has_set && (!held || memcmp(held, ing_bson_uuid(&style), ULID_BYTES_N) != 0))
        bson_append_iter(set, "cached.emote_set_id", -1, &style);
    else if (!has_set && (!has_cached || held))
        bson_append_null(set, "cached.emote_set_id", -1);
}

static void
set_outputs(bson_t *set, const struct ing_feed *f, const bson_t *doc,
            const struct ing_mapped *mapped, bool is_waiting)
{
    bson_iter_t rank;
    const bson_t none = BSON_INITIALIZER, *held_doc = is_waiting ? &none : doc;
    if (mapped->emotes_changed)
        bson_append_bool(set, "emotes_changed_since_reindex", -1, false);
    if (f->kind == ING_FEED_ROLES && bson_iter_init_find(&rank, doc, "rank") &&
        BSON_ITER_HOLDS_NUMBER(&rank))
        set_i32(set, held_doc, "applied_rank", (int32_t)bson_iter_as_int64(&rank));
    if (mapped->derived)
        set_user(set, doc, held_doc, mapped->derived);
}

/* Fills *set with the outputs that differ; false if the document is marked as it should be. */
static bool
is_owed(const struct ing_mongo *m, const struct ing_feed *f, const bson_t *doc,
        const struct ing_mapped *mapped, bool is_waiting, bson_t *set)
{
    int64_t updated_ms = date_of(doc, "updated_at");
    if (!m->writeback || f->kind == ING_FEED_EDGES || updated_ms == INT64_MIN)
        return false;
    set_outputs(set, f, doc, mapped, is_waiting);
    return bson_count_keys(set) > 0 || date_of(doc, "search_updated_at") <= updated_ms;
}

bool
ing_writeback_owes(struct ing_mongo *m, const struct ing_feed *f, const bson_t *doc,
                   const struct ing_mapped *mapped)
{
    bson_t set = BSON_INITIALIZER;
    bool is = ing_writeback_is_holder(m) && is_owed(m, f, doc, mapped, false, &set);
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

static void
add_item(struct ing_writeback_list *list, const struct ing_writeback_item *item)
{
    struct ing_writeback_item *copy = arena_alloc(&list->arena, sizeof *copy);
    *copy = *item;
    copy->key = arena_dup(&list->arena, item->key);
    copy->id = span_from(copy->key, 1);
    copy->set = arena_dup(&list->arena, item->set);
    *list->end = copy;
    list->end = &copy->next;
    list->n++;
}

void
ing_writeback_note(struct ing_mongo *m, struct ing_writeback_list **list, const struct ing_feed *f,
                   const bson_t *doc, const struct ing_mapped *mapped)
{
    bson_iter_t id;
    bson_t set = BSON_INITIALIZER;
    struct buf key = {0};
    if (!m->writeback || !bson_iter_init_find(&id, doc, "_id"))
        return;
    ing_event_key(f->number, &id, &key);
    bool is_waiting = map_get(&m->writeback->waiting, buf_span(&key)) != NULL;
    if (is_owed(m, f, doc, mapped, is_waiting, &set)) {
        if (!*list)
            *list = list_new(m->writeback);
        add_item(*list, &(struct ing_writeback_item){
                            .feed = f,
                            .key = buf_span(&key),
                            .updated_at_ms = date_of(doc, "updated_at"),
                            .set = span_of((const char *)bson_get_data(&set), set.len)});
    }
    buf_fini(&key);
    bson_destroy(&set);
}

/* ---- what waits ---- */

void
ing_writeback_attach(struct ing_writeback_list *list, struct idx_batch *b)
{
    if (!list)
        return;
    struct ing_writeback_queue *q = list->queue;
    uint32_t event_s = q->m->resume.read_s;
    list->event_s = event_s ? (int64_t)event_s : (int64_t)(clock_wall_us() / 1000000);
    list->number = ++q->n_lists;
    q->n_waiting++;
    for (const struct ing_writeback_item *item = list->items; item; item = item->next)
        ++*map_put(&q->waiting, item->key, NULL);
    idx_batch_on_durable(b, ing_writeback_on_durable, list);
}

uint64_t
ing_writeback_n_lists(const struct ing_mongo *m)
{
    return m->writeback->n_lists;
}

static void
reap(struct ing_writeback_queue *q, struct ing_writeback_list *list)
{
    for (const struct ing_writeback_item *item = list->items; item; item = item->next) {
        uint64_t *n = map_get(&q->waiting, item->key);
        must(n && *n > 0);
        if (--*n == 0)
            (void)map_remove(&q->waiting, item->key); /* it is there */
    }
    q->n_waiting--;
    ing_writeback_list_free(list);
}

void
ing_writeback_reap(struct ing_mongo *m, struct ing_writeback_progress *out)
{
    struct ing_writeback_queue *q = m->writeback;
    bool is_holder = ing_writeback_is_holder(m);
    pthread_mutex_lock(&q->lock);
    struct ing_writeback_list *done = q->done;
    q->done = NULL;
    m->written_s = q->written_s;
    m->written_i = q->written_i;
    if (out)
        *out = (struct ing_writeback_progress){.is_holder = is_holder,
                                               .done_list = q->done_list,
                                               .lost_list = q->lost_list,
                                               .told_s = q->told_s};
    pthread_mutex_unlock(&q->lock);
    for (struct ing_writeback_list *next; done; done = next) {
        next = done->next;
        reap(q, done);
    }
    if (q->n_waiting == 0 && q->waiting.cap > 0)
        map_fini(&q->waiting); /* with the traces of what was removed */
}

void
ing_writeback_tell(struct ing_mongo *m, uint32_t paid_s)
{
    pthread_mutex_lock(&m->writeback->lock);
    m->writeback->paid_s = paid_s;
    pthread_mutex_unlock(&m->writeback->lock);
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
