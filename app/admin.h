/* The operators' routes under /admin: status, dead_letters, reindex, verify. */
#ifndef TAILFIN_APP_ADMIN_H
#define TAILFIN_APP_ADMIN_H

#include "app/server.h"

/* Answers x and returns true if it is one of these routes. Loop thread; never blocks. */
bool app_admin_handle(struct app *app, struct http_exchange *x);

/*
 * Appends the body of GET /admin/status: collections with their documents,
 * segments and bytes, commits, and what the source says of itself. Any thread.
 */
void app_status_write(struct app *app, struct buf *out);

#endif
