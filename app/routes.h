/* Which room answers a request. */
#ifndef TAILFIN_APP_ROUTES_H
#define TAILFIN_APP_ROUTES_H

#include "http/http.h"

/* http_options.handle and .wants_stream; ctx is the struct app. Loop thread; never block. */
void app_handle(void *ctx, struct http_exchange *x);
bool app_wants_stream(void *ctx, const struct http_request *r);

#endif
