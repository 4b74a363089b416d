/* The monitoring routes: /health, /metrics, /debug, /stats.json, /metrics.json, /status. */
#ifndef TAILFIN_APP_MONITOR_H
#define TAILFIN_APP_MONITOR_H

#include "app/server.h"

/* Answers x and returns true if it is one of these routes. Loop thread; never blocks. */
bool app_monitor_handle(struct app *app, struct http_exchange *x);

#endif
