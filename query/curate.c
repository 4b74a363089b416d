/* Curation: documents that are shown at fixed places, and ones that are never shown. */
#include "query/curate.h"

static void
clear_bit(uint64_t *words, uint32_t doc)
{
    words[doc / 64] &= ~(1ull << (doc % 64));
}

static bool
is_taken(const struct qry_pinned_list *list, uint32_t view, uint32_t doc)
{
    for (uint32_t i = 0; i < list->n; i++)
        if (list->v[i].view == view && list->v[i].doc == doc)
            return true;
    return false;
}

void
qry_curate_words(const struct qry_plan *plan, uint64_t *const *words, struct arena *arena,
                 struct qry_pinned_list *pinned)
{
    const struct idx_collection *c = plan->search.collection;
    uint32_t view, doc, last_position = 0;

    pinned->v = arena_calloc(arena, plan->n_pins + 1, sizeof *pinned->v);
    pinned->n = 0;
    for (uint32_t i = 0; i < plan->hidden.n; i++)
        if (idx_collection_find(c, plan->hidden.v[i], &view, &doc))
            clear_bit(words[view], doc);
    for (uint32_t i = 0; i < plan->n_pins; i++) {
        const struct qry_pin *pin = &plan->pins[i];
        if (qry_names_has(&plan->hidden, pin->id) ||
            !idx_collection_find(c, pin->id, &view, &doc) || is_taken(pinned, view, doc))
            continue;
        if (plan->filters_curated && !(words[view][doc / 64] >> (doc % 64) & 1))
            continue;
        if (plan->n_group_fields == 0 && pin->position == last_position)
            continue;
        last_position = pin->position;
        pinned->v[pinned->n++] = (struct qry_pinned){
            .position = pin->position, .view = view, .doc = doc};
    }
    for (uint32_t i = 0; i < pinned->n; i++)
        clear_bit(words[pinned->v[i].view], pinned->v[i].doc);
}

/* All pins of one position as a unit. */
static struct qry_unit
unit_of(const struct qry_pinned_list *pinned, uint32_t *at, struct arena *arena)
{
    uint32_t begin = *at, n = 0;
    struct qry_unit unit = {.is_pinned = true};

    while (*at < pinned->n && pinned->v[*at].position == pinned->v[begin].position)
        ++*at;
    struct qry_hit *hits = arena_calloc(arena, *at - begin, sizeof *hits);
    for (uint32_t i = begin; i < *at; i++)
        hits[n++] = (struct qry_hit){.view = pinned->v[i].view,
                                     .doc = pinned->v[i].doc,
                                     .group = pinned->v[i].group,
                                     .is_pinned = true};
    unit.hits = hits;
    unit.n = n;
    return unit;
}

struct qry_unit *
qry_curate_merge(const struct qry_pinned_list *pinned,
                 const struct qry_unit *units, size_t *n, struct arena *arena)
{
    struct qry_unit *out = arena_calloc(arena, *n + pinned->n + 1, sizeof *out);
    uint32_t pin = 0;
    size_t n_out = 0, i = 0;

    while (i < *n || pin < pinned->n) {
        bool is_due = pin < pinned->n && (pinned->v[pin].position <= n_out + 1 || i == *n);
        if (is_due)
            out[n_out++] = unit_of(pinned, &pin, arena);
        else
            out[n_out++] = units[i++];
    }
    *n = n_out;
    return out;
}
