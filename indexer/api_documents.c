/*
 * Writes of single documents, grouped; and writes by filter.
 */
#include "indexer/api.h"

#include <stdio.h>

#include "base/clock.h"

enum {
    LOOP_BODY_MAX = 64 << 10, /* a larger body is parsed outside the loop */
    FILTER_GROUP = 2048,      /* documents of a write by filter that share a sync */
};

static const char *
param(const struct http_request *r, const char *name, struct span *value)
{
    const struct http_param *p = http_request_param(r, name);
    *value = p ? p->value : (struct span){0};
    return p ? name : NULL;
}

bool
ing_api_read_action(struct http_exchange *x, enum ing_action *action, enum ing_dirty *dirty)
{
    static const char *const NAMES[] = {[ING_CREATE] = "create",
                                        [ING_UPSERT] = "upsert",
                                        [ING_UPDATE] = "update",
                                        [ING_EMPLACE] = "emplace"};
    const struct http_request *r = http_exchange_request(x);
    struct span value;
    bool is_known = !param(r, "action", &value);
    *action = ING_CREATE;
    for (size_t i = 0; !is_known && i < ARRAY_SIZE(NAMES); i++) {
        is_known = span_eq_str(value, NAMES[i]);
        if (is_known)
            *action = (enum ing_action)i;
    }
    if (!is_known) {
        http_reply_error(x, 400, "`action` is one of create, upsert, update, emplace");
        return false;
    }
    *dirty = ING_DIRTY_REJECT;
    if (param(r, "dirty_values", &value) && !ing_dirty_parse(value, dirty)) {
        http_reply_error(x, 400,
                         "`dirty_values` is one of reject, coerce_or_reject, coerce_or_drop, drop");
        return false;
    }
    return true;
}

bool
ing_api_read_write(struct ing_api *a, struct http_exchange *x, struct ing_job *job)
{
    (void)a;
    const struct http_request *r = http_exchange_request(x);
    struct span value;
    if (!ing_api_read_action(x, &job->write.action, &job->write.dirty))
        return false;
    job->write.collection = r->parts[1];
    job->status = 200;
    if (r->method == HTTP_DELETE) {
        job->write.action = ING_DELETE;
        job->write.id = r->parts[3];
        job->ignores_absence = param(r, "ignore_not_found", &value) && span_eq_str(value, "true");
        return true;
    }
    if (r->method == HTTP_PATCH) {
        job->write.action = ING_UPDATE;
        job->write.id = r->parts[3];
    } else {
        job->status = 201;
    }
    job->is_large = r->body.n > LOOP_BODY_MAX;
    return job->is_large || ing_api_read_object(x, &job->write.object);
}

/* ---- the single lane ---- */

/* Called before the answer, with which the exchange ends. */
static void
observe(struct ing_api *a, const struct http_exchange *x, bool is_delete)
{
    metrics_observe(a->counts, is_delete ? M_API_DELETE_TIME : M_API_WRITE_TIME,
                    clock_us() - http_exchange_begin_us(x));
}

static void
answer_write(struct ing_api *a, const struct ing_job *job, const struct ing_write *w)
{
    observe(a, job->x, w->action == ING_DELETE);
    if (w->rc == RC_OK) {
        metrics_add(a->counts, M_API_WRITES, 1);
        ing_api_answer(job->x, job->status, w->stored);
    } else if (w->rc == RC_ABSENT && job->ignores_absence) {
        struct buf body = {0};
        buf_puts(&body, "{\"id\":");
        json_put_str(&body, w->id);
        buf_putc(&body, '}');
        http_reply(job->x, 200, "application/json; charset=utf-8", &body);
    } else {
        ing_api_refuse(job->x, w->rc, &w->err);
    }
}

/* One job at least, and all that are waiting. */
static size_t
take_jobs(struct queue *lane, struct ing_job **jobs)
{
    size_t n = 0;
    if ((jobs[0] = queue_pop(lane, UINT64_MAX)))
        n = 1;
    while (n > 0 && n < ING_GROUP_MAX && (jobs[n] = queue_try_pop(lane)))
        n++;
    return n;
}

void
ing_api_run_singles(struct ing_api *a)
{
    struct ing_job *jobs[ING_GROUP_MAX];
    struct ing_group *group = &a->singles;
    for (size_t n; (n = take_jobs(a->lanes[ING_LANE_SINGLE], jobs)) > 0;) {
        for (size_t i = 0; i < n; i++)
            *ing_group_add(group) = jobs[i]->write;
        ing_group_prepare(group);
        ing_group_run(group);
        for (size_t i = 0; i < n; i++) {
            answer_write(a, jobs[i], &group->writes[i]);
            free(jobs[i]);
        }
        ing_group_reset(group);
    }
}

void
ing_api_write_large(struct ing_api *a, const struct ing_job *job)
{
    struct ing_group group;
    struct err err = {0};
    struct json object;
    if (!ing_api_read_object(job->x, &object))
        return;
    enum rc rc = ing_group_init(&group, a->groups, &err);
    if (rc != RC_OK) {
        ing_api_refuse(job->x, rc, &err);
        return;
    }
    struct ing_write *w = ing_group_add(&group);
    *w = job->write;
    w->object = object;
    ing_group_prepare(&group);
    ing_group_run(&group);
    answer_write(a, job, w);
    ing_group_fini(&group);
}

/* ---- by filter ---- */

struct ids {
    struct arena *arena;
    struct span *v;
    size_t n, cap;
};

static void
note_id(void *arg, struct span id)
{
    struct ids *ids = arg;
    ids->v = arena_grow(ids->arena, ids->v, &ids->cap, ids->n + 1, sizeof *ids->v);
    ids->v[ids->n++] = arena_dup(ids->arena, id);
}

/* The ids that match filter_by; false: answered. "*" means all. */
static bool
find_ids(struct ing_api *a, struct http_exchange *x, struct ids *out)
{
    const struct http_request *r = http_exchange_request(x);
    struct span filter;
    struct err err = {0};
    enum rc rc = RC_OK;
    if (!param(r, "filter_by", &filter) || span_trim(filter).n == 0) {
        http_reply_error(x, 400, "`filter_by` says which documents: it is missing");
        return false;
    }
    if (span_eq_str(span_trim(filter), "*"))
        filter = (struct span){0};
    ing_groups_begin(a->groups);
    const struct idx_collection *c =
        idx_snapshot_find_public(ing_groups_snapshot(a->groups), r->parts[1]);
    if (!c)
        rc = err_set(&err, RC_ABSENT, "Not Found");
    else
        rc = ing_groups_check_fed(a->groups, c->schema->name, &err);
    if (rc == RC_OK)
        rc = a->options.filter_ids(c, filter, note_id, out, &err);
    ing_groups_end(a->groups);
    if (rc != RC_OK)
        ing_api_refuse(x, rc, &err);
    return rc == RC_OK;
}

/* Runs one kind of write over all ids in groups; counts the successes. */
static enum rc
write_all(struct ing_api *a, const struct ids *ids, const struct ing_write *pattern,
          uint64_t *n_done, struct err *err)
{
    struct ing_group group;
    enum rc rc = ing_group_init(&group, a->groups, err);
    *n_done = 0;
    for (size_t at = 0; rc == RC_OK && at < ids->n;) {
        for (; at < ids->n && group.n < FILTER_GROUP; at++) {
            struct ing_write *w = ing_group_add(&group);
            *w = *pattern;
            w->id = ids->v[at];
        }
        ing_group_run(&group);
        for (size_t i = 0; i < group.n; i++) {
            const struct ing_write *w = &group.writes[i];
            *n_done += w->rc == RC_OK;
            /* What vanished meanwhile is no failure. */
            if (rc == RC_OK && w->rc != RC_OK && w->rc != RC_ABSENT) {
                rc = w->rc;
                *err = w->err;
            }
        }
        ing_group_reset(&group);
    }
    ing_group_fini(&group);
    metrics_add(a->counts, M_API_WRITES, *n_done);
    return rc;
}

static void
write_and_answer(struct ing_api *a, struct http_exchange *x, const struct ids *ids,
                 const struct ing_write *pattern, const char *name)
{
    struct err err = {0};
    struct buf body = {0};
    uint64_t n = 0;
    enum rc rc = write_all(a, ids, pattern, &n, &err);
    observe(a, x, pattern->action == ING_DELETE);
    if (rc != RC_OK) {
        ing_api_refuse(x, rc, &err);
        return;
    }
    buf_printf(&body, "{\"%s\":%llu}", name, (unsigned long long)n);
    http_reply(x, 200, "application/json", &body);
}

void
ing_api_delete_by_filter(struct ing_api *a, struct http_exchange *x)
{
    struct ids ids = {.arena = http_exchange_arena(x)};
    if (!find_ids(a, x, &ids))
        return;
    const struct ing_write pattern = {.action = ING_DELETE,
                                      .collection = http_exchange_request(x)->parts[1]};
    write_and_answer(a, x, &ids, &pattern, "num_deleted");
}

void
ing_api_update_by_filter(struct ing_api *a, struct http_exchange *x)
{
    struct ids ids = {.arena = http_exchange_arena(x)};
    struct ing_write pattern = {.collection = http_exchange_request(x)->parts[1]};
    if (!ing_api_read_action(x, &pattern.action, &pattern.dirty))
        return;
    pattern.action = ING_UPDATE;
    if (!ing_api_read_object(x, &pattern.object) || !find_ids(a, x, &ids))
        return;
    write_and_answer(a, x, &ids, &pattern, "num_updated");
}
