/*
 * Which room answers a request: first the routes of the program itself
 * (monitoring, administration), then searching and reading, then writing.
 */
#include "app/routes.h"

#include "app/admin.h"
#include "app/monitor.h"
#include "app/server.h"

bool
app_wants_stream(void *ctx, const struct http_request *r)
{
    struct app *app = ctx;
    return ing_api_wants_stream(app->api, r);
}

void
app_answered(void *ctx, unsigned loop, const struct http_request *r, int status, uint64_t took_us)
{
    struct app *app = ctx;
    app_stats_count(app->stats, loop, r, status, took_us);
}

void
app_handle(void *ctx, struct http_exchange *x)
{
    struct app *app = ctx;
    if (app_monitor_handle(app, x) || app_admin_handle(app, x) || qry_handle(app->qry, x) ||
        ing_api_handle(app->api, x))
        return;
    http_reply_error(x, 404, "Not Found");
}
