/* What MongoDB has still to get of cascades: incurred, paid, or run again. */
#include "indexer/debt.h"

#include <stdio.h>

#include <bson/bson.h>

#include "indexer/pipeline.h"

enum { DEBTS_MAX = 2000 }; /* beyond, they become one: every user */

/* Everybody hangs on the global default group. */
#define EVERYBODY SPAN_LIT("global_default_entitlement_group")

static void
debt_fini(struct ing_debt *d)
{
    buf_fini(&d->key);
    buf_fini(&d->at);
    buf_fini(&d->mid);
}

void
ing_debts_fini(struct ing_debts *d)
{
    for (size_t i = 0; i < d->n; i++)
        debt_fini(&d->v[i]);
    free(d->v);
    *d = (struct ing_debts){0};
}

static struct ing_debt *
find(struct ing_debts *all, enum ing_cascade_kind kind, struct span key)
{
    for (size_t i = 0; i < all->n; i++) {
        if (all->v[i].kind == kind && span_eq(buf_span(&all->v[i].key), key))
            return &all->v[i];
    }
    return NULL;
}

/* All-zero but for what it is of: not counted, and applied. */
static struct ing_debt *
add(struct ing_debts *all, enum ing_cascade_kind kind, struct span key)
{
    all->v = xgrow(all->v, &all->cap, all->n + 1, sizeof *all->v);
    struct ing_debt *d = &all->v[all->n++];
    *d = (struct ing_debt){.kind = kind, .is_applied = true};
    buf_put_span(&d->key, key);
    return d;
}

static void
drop(struct ing_debts *all, size_t i)
{
    debt_fini(&all->v[i]);
    all->v[i] = all->v[--all->n];
}

/* ---- stored ---- */

static void
put_bytes(bson_t *to, const char *name, const struct buf *b)
{
    bson_append_binary(to, name, -1, BSON_SUBTYPE_BINARY, (const uint8_t *)b->p, (uint32_t)b->n);
}

void
ing_debts_put(const struct ing_debts *all, struct idx_batch *b)
{
    bson_t doc = BSON_INITIALIZER, array, item;
    char number[16];
    const char *name;
    bson_append_utf8(&doc, "holder", -1, all->holder, -1);
    bson_append_array_begin(&doc, "debts", -1, &array);
    for (size_t i = 0; i < all->n; i++) {
        const struct ing_debt *d = &all->v[i];
        bson_uint32_to_string((uint32_t)i, &name, number, sizeof number);
        bson_append_document_begin(&array, name, -1, &item);
        bson_append_int32(&item, "kind", -1, (int32_t)d->kind);
        put_bytes(&item, "key", &d->key);
        put_bytes(&item, "at", &d->at);
        bson_append_int64(&item, "since", -1, d->since_s);
        bson_append_int64(&item, "until", -1, d->until_s);
        bson_append_document_end(&array, &item);
    }
    bson_append_array_end(&doc, &array);
    struct span text = span_of((const char *)bson_get_data(&doc), doc.len);
    idx_batch_state(b, SPAN_LIT("owed"), arena_dup(idx_batch_arena(b), text));
    bson_destroy(&doc);
}

static struct span
get_bytes(const bson_iter_t *item, const char *name)
{
    bson_iter_t at;
    const uint8_t *p;
    uint32_t n;
    if (!bson_iter_recurse(item, &at) || !bson_iter_find(&at, name) || !BSON_ITER_HOLDS_BINARY(&at))
        return (struct span){0};
    bson_iter_binary(&at, NULL, &n, &p);
    return span_of((const char *)p, n);
}

/* -1: absent, or no number that can be. */
static int64_t
get_number(const bson_iter_t *item, const char *name)
{
    bson_iter_t at;
    return bson_iter_recurse(item, &at) && bson_iter_find(&at, name) && BSON_ITER_HOLDS_INT(&at)
               ? bson_iter_as_int64(&at)
               : -1;
}

static bool
read_debt(struct ing_debts *all, const bson_iter_t *item)
{
    int64_t kind = get_number(item, "kind");
    int64_t since_s = get_number(item, "since"), until_s = get_number(item, "until");
    struct span key = get_bytes(item, "key");
    if (kind < 0 || kind >= ING_CASCADE_KIND_N || !key.p || since_s < 0 || since_s > UINT32_MAX ||
        until_s < 0 || until_s > UINT32_MAX)
        return false;
    struct ing_debt *d = add(all, (enum ing_cascade_kind)kind, key);
    buf_put_span(&d->at, get_bytes(item, "at"));
    d->since_s = (uint32_t)since_s;
    d->until_s = (uint32_t)until_s;
    return true;
}

void
ing_debts_read(struct ing_debts *all, struct span text)
{
    bson_t doc;
    bson_iter_t at, item;
    if (text.n == 0)
        return;
    bool is_sound = bson_init_static(&doc, (const uint8_t *)text.p, text.n) &&
                    bson_validate(&doc, BSON_VALIDATE_NONE, NULL) &&
                    bson_iter_init_find(&at, &doc, "debts") && BSON_ITER_HOLDS_ARRAY(&at) &&
                    bson_iter_recurse(&at, &item);
    while (is_sound && bson_iter_next(&item))
        is_sound = read_debt(all, &item);
    if (is_sound && bson_iter_init_find(&at, &doc, "holder") && BSON_ITER_HOLDS_UTF8(&at))
        snprintf(all->former, sizeof all->former, "%s", bson_iter_utf8(&at, NULL));
    if (!is_sound)
        add(all, ING_CASCADE_EDGE, EVERYBODY)->until_s = UINT32_MAX;
}

/* ---- incurred ---- */

static uint32_t
smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Too many to remember one by one: a single one that covers all. */
static void
merge_all(struct ing_debts *all)
{
    struct ing_debt one = {
        .kind = ING_CASCADE_EDGE, .is_counted = true, .is_applied = true, .since_s = UINT32_MAX};
    one.first_list = UINT64_MAX;
    buf_put_span(&one.key, EVERYBODY);
    while (all->n) {
        const struct ing_debt *d = &all->v[all->n - 1];
        one.is_counted &= d->is_counted;
        one.is_scan |= d->is_scan;
        one.is_applied &= d->is_applied;
        one.since_s = smaller(one.since_s, d->since_s);
        one.until_s = d->until_s > one.until_s ? d->until_s : one.until_s;
        one.first_list = d->first_list < one.first_list ? d->first_list : one.first_list;
        one.last_list = d->last_list > one.last_list ? d->last_list : one.last_list;
        drop(all, all->n - 1);
    }
    all->v[all->n++] = one;
}

/* From the first user on, with the lists of this round as the first. */
static void
begin(struct ing_debts *all, struct ing_debt *d)
{
    buf_clear(&d->at);
    d->mid_list = 0;
    d->is_counted = true;
    d->first_list = all->round_list;
}

void
ing_debts_incur(struct ing_mongo *m, const struct ing_cascade *c, bool is_done)
{
    struct ing_debts *all = &m->debts;
    struct ing_debt *d = find(all, c->kind, buf_span(&c->key));
    if (!d && all->n >= DEBTS_MAX)
        merge_all(all);
    bool is_new = !d;
    if (is_new)
        d = add(all, c->kind, buf_span(&c->key));
    if (c->at.n == 0)
        begin(all, d);
    d->since_s = is_new ? c->since_s : smaller(d->since_s, c->since_s);
    d->until_s = m->resume.read_s;
    d->last_list = ing_writeback_n_lists(m);
    d->is_applied = is_done;
    if (!is_done && !d->mid_list && c->i_ids > 0) {
        buf_clear(&d->mid);
        buf_put_span(&d->mid, c->ids[c->i_ids - 1]);
        d->mid_list = d->last_list;
    }
}

/* What a scan of users finds to write back is asked for by no cascade. */
static void
incur_scan(struct ing_mongo *m)
{
    struct ing_debts *all = &m->debts;
    bool is_scanning = m->users && m->users->state->is_scanning;
    struct ing_debt *d = find(all, ING_CASCADE_EDGE, EVERYBODY);
    if (is_scanning && !d) {
        d = add(all, ING_CASCADE_EDGE, EVERYBODY);
        begin(all, d);
        d->since_s = ing_resume_whole_s(&m->resume);
    }
    if (!d || (!is_scanning && !d->is_scan))
        return;
    d->is_scan = is_scanning;
    d->is_applied = !is_scanning;
    d->until_s = m->resume.read_s;
    d->last_list = ing_writeback_n_lists(m);
}

/* ---- paid ---- */

/* Runs the cascade once more, behind what was written of it. */
static void
run_again(struct ing_mongo *m, struct ing_debt *d)
{
    ing_resume_cascade(&m->resume, d->kind, buf_span(&d->key));
    for (size_t i = 0; i < m->resume.n_cascades; i++) {
        struct ing_cascade *c = &m->resume.cascades[i];
        if (c->kind == d->kind && span_eq(buf_span(&c->key), buf_span(&d->key)))
            buf_put_span(&c->at, buf_span(&d->at));
    }
    d->mid_list = 0;
    d->is_counted = true;
    d->first_list = m->debts.round_list;
    d->is_applied = false;
}

static void
tell_paid(struct ing_mongo *m)
{
    uint32_t paid_s = ing_resume_whole_s(&m->resume);
    for (size_t i = 0; i < m->debts.n; i++)
        paid_s = smaller(paid_s, m->debts.v[i].since_s);
    ing_writeback_tell(m, paid_s);
}

void
ing_debts_settle(struct ing_mongo *m)
{
    struct ing_debts *all = &m->debts;
    struct ing_writeback_progress p;
    if (!m->writeback)
        return;
    ing_writeback_reap(m, &p);
    all->round_list = ing_writeback_n_lists(m) + 1;
    incur_scan(m);
    for (size_t i = all->n; i-- > 0;) {
        struct ing_debt *d = &all->v[i];
        bool is_good = d->is_counted && p.lost_list < d->first_list;
        if (p.told_s > d->until_s) {
            drop(all, i);
            m->has_moved = true;
            continue;
        }
        if (is_good && d->mid_list && p.done_list >= d->mid_list) {
            buf_clear(&d->at);
            buf_put_span(&d->at, buf_span(&d->mid));
            d->mid_list = 0;
        }
        if (!d->is_applied || (d->is_counted && p.done_list < d->last_list))
            continue;
        if (is_good) {
            drop(all, i);
            m->has_moved = true;
        } else if (p.is_holder) {
            run_again(m, d);
        }
    }
    tell_paid(m);
}
