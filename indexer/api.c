/*
 * The API's write half: its routes, its threads, how it starts and stops.
 */
#include "indexer/api.h"

#include "base/thread.h"

static const char JSON[] = "application/json; charset=utf-8";

/* ---- routes ---- */

typedef void job_function(struct ing_api *a, struct http_exchange *x);

struct route {
    enum http_method method;
    const char *parts[5]; /* "*" stands for any one part; ends with NULL */
    const char *action;   /* the right it takes */
    enum ing_lane lane;
    job_function *run; /* NULL: a single document write */
};

static const struct route ROUTES[] = {
    {HTTP_POST, {"collections", "*", "documents"}, "documents:create", ING_LANE_SINGLE, NULL},
    {HTTP_PATCH, {"collections", "*", "documents", "*"}, "documents:update", ING_LANE_SINGLE, NULL},
    {HTTP_DELETE,
     {"collections", "*", "documents", "*"},
     "documents:delete",
     ING_LANE_SINGLE,
     NULL},
    {HTTP_POST,
     {"collections", "*", "documents", "import"},
     "documents:import",
     ING_LANE_IMPORT,
     ing_api_import},
    {HTTP_PATCH,
     {"collections", "*", "documents"},
     "documents:update",
     ING_LANE_CATALOG,
     ing_api_update_by_filter},
    {HTTP_DELETE,
     {"collections", "*", "documents"},
     "documents:delete",
     ING_LANE_CATALOG,
     ing_api_delete_by_filter},
    {HTTP_POST, {"collections"}, "collections:create", ING_LANE_CATALOG, ing_api_create_collection},
    {HTTP_PATCH,
     {"collections", "*"},
     "collections:update",
     ING_LANE_CATALOG,
     ing_api_alter_collection},
    {HTTP_DELETE,
     {"collections", "*"},
     "collections:delete",
     ING_LANE_CATALOG,
     ing_api_drop_collection},
    {HTTP_PUT, {"aliases", "*"}, "aliases:upsert", ING_LANE_CATALOG, ing_api_put_alias},
    {HTTP_DELETE, {"aliases", "*"}, "aliases:delete", ING_LANE_CATALOG, ing_api_drop_alias},
    {HTTP_POST, {"keys"}, "keys:create", ING_LANE_CATALOG, ing_api_create_key},
    {HTTP_DELETE, {"keys", "*"}, "keys:delete", ING_LANE_CATALOG, ing_api_drop_key},
    {HTTP_POST, {"operations", "snapshot"}, "*", ING_LANE_CATALOG, ing_api_snapshot},
    {HTTP_POST, {"operations", "vote"}, "*", ING_LANE_CATALOG, ing_api_succeed},
    {HTTP_POST, {"operations", "cache", "clear"}, "*", ING_LANE_CATALOG, ing_api_succeed},
    {HTTP_POST, {"operations", "db", "compact"}, "*", ING_LANE_CATALOG, ing_api_succeed},
    {HTTP_POST, {"operations", "reset_peers"}, "*", ING_LANE_CATALOG, ing_api_succeed},
    {HTTP_POST, {"config"}, "*", ING_LANE_CATALOG, ing_api_accept_config},
};

static bool
matches(const struct route *route, const struct http_request *r)
{
    size_t n = 0;
    while (n < ARRAY_SIZE(route->parts) && route->parts[n])
        n++;
    if (route->method != r->method || n != r->n_parts)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(route->parts[i], "*") != 0 && !span_eq_str(r->parts[i], route->parts[i]))
            return false;
    }
    return true;
}

static const struct route *
find_route(const struct http_request *r)
{
    for (size_t i = 0; i < ARRAY_SIZE(ROUTES); i++) {
        if (matches(&ROUTES[i], r))
            return &ROUTES[i];
    }
    return NULL;
}

bool
ing_api_wants_stream(struct ing_api *a, const struct http_request *r)
{
    (void)a;
    const struct route *route = find_route(r);
    return route && route->lane == ING_LANE_IMPORT;
}

/* The collection that the path names; "*" (all) where it names none. */
static struct span
collection_of(const struct http_request *r)
{
    bool has_one = r->n_parts > 1 && span_eq_str(r->parts[0], "collections");
    return has_one ? r->parts[1] : SPAN_LIT("*");
}

bool
ing_api_handle(struct ing_api *a, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    const struct route *route = find_route(r);
    if (!route)
        return false;
    struct span collection = collection_of(r);
    if (!a->options.authorize(a->options.authorize_ctx, x, route->action, collection))
        return true;
    struct ing_job *job = xcalloc(1, sizeof *job);
    job->x = x;
    job->run = route->run;
    if (!route->run && !ing_api_read_write(a, x, job)) {
        free(job);
        return true;
    }
    if (!queue_try_push(a->lanes[job->is_large ? ING_LANE_CATALOG : route->lane], job)) {
        free(job);
        http_reply_header(x, "Retry-After", "1");
        http_reply_error(x, 503, "too many writes are waiting; try again in a second");
    }
    return true;
}

/* ---- answers ---- */

bool
ing_api_read_object(struct http_exchange *x, struct json *out)
{
    struct err err = {0};
    enum rc rc = json_parse(http_exchange_request(x)->body, http_exchange_arena(x), out, &err);
    if (rc == RC_OK && out->type == JSON_OBJECT)
        return true;
    http_reply_error(x, 400, "the body is to be a JSON object%s%s", err.text[0] ? ": " : "",
                     err.text);
    return false;
}

void
ing_api_refuse(struct http_exchange *x, enum rc rc, const struct err *err)
{
    if (rc == RC_DISK)
        http_reply_header(x, "Retry-After", "5");
    http_reply_error(x, rc_http(rc), "%s", err->text[0] ? err->text : rc_text(rc));
}

void
ing_api_answer(struct http_exchange *x, int status, struct span json)
{
    struct buf body = {0};
    buf_put_span(&body, json);
    http_reply(x, status, JSON, &body);
}

/* ---- threads ---- */

static void *
run_singles(void *arg)
{
    thread_step_back(THREAD_STEPS_FEED);
    ing_api_run_singles(arg);
    return NULL;
}

static void
run_lane(struct ing_api *a, struct queue *lane)
{
    for (struct ing_job *job; (job = queue_pop(lane, UINT64_MAX));) {
        if (job->run)
            job->run(a, job->x);
        else
            ing_api_write_large(a, job);
        free(job);
    }
}

static void *
run_imports(void *arg)
{
    struct ing_api *a = arg;
    thread_step_back(THREAD_STEPS_FEED);
    run_lane(a, a->lanes[ING_LANE_IMPORT]);
    return NULL;
}

static void *
run_catalog(void *arg)
{
    struct ing_api *a = arg;
    run_lane(a, a->lanes[ING_LANE_CATALOG]);
    return NULL;
}

static enum rc
start_thread(struct ing_api *a, void *(*run)(void *), struct err *err)
{
    int failed = pthread_create(&a->threads[a->n_threads], NULL, run, a);
    if (failed)
        return err_sys(err, RC_NOMEM, failed, "starting a thread for writes");
    a->n_threads++;
    return RC_OK;
}

void
ing_api_options_init(struct ing_api_options *o)
{
    *o = (struct ing_api_options){.n_import_threads = 2};
}

enum rc
ing_api_start(const struct ing_api_options *options, struct ing_api **out, struct err *err)
{
    must(options->n_import_threads <= ING_THREADS_MAX - 2);
    struct ing_api *a = xcalloc(1, sizeof *a);
    a->options = *options;
    if (options->metrics)
        a->counts = metrics_block(options->metrics);
    for (int i = 0; i < ING_LANE_N; i++)
        a->lanes[i] = queue_new(ING_LANE_ITEMS_MAX);
    enum rc rc = ing_groups_open(options->idx, options->fs, options->mongo, &a->groups, err);
    if (rc == RC_OK)
        rc = ing_group_init(&a->singles, a->groups, err);
    if (rc == RC_OK)
        rc = start_thread(a, run_singles, err);
    if (rc == RC_OK)
        rc = start_thread(a, run_catalog, err);
    for (unsigned i = 0; rc == RC_OK && i < options->n_import_threads; i++)
        rc = start_thread(a, run_imports, err);
    if (rc != RC_OK) {
        ing_api_stop(a);
        return rc;
    }
    *out = a;
    return RC_OK;
}

void
ing_api_stop(struct ing_api *a)
{
    if (!a)
        return;
    for (int i = 0; i < ING_LANE_N; i++)
        queue_close(a->lanes[i]);
    for (unsigned i = 0; i < a->n_threads; i++)
        pthread_join(a->threads[i], NULL);
    ing_group_fini(&a->singles);
    ing_groups_close(a->groups);
    for (int i = 0; i < ING_LANE_N; i++)
        queue_free(a->lanes[i]);
    free(a);
}

void
ing_api_write_health(struct ing_api *a, struct buf *out)
{
    ing_groups_write_health(a->groups, out);
}
