/* Which room answers a request. */
#ifndef TAILFIN_APP_ROUTES_H
#define TAILFIN_APP_ROUTES_H

#include "http/http.h"

/* http_options.handle, .wants_stream and .answered; ctx is struct app. Loop thread; never block. */
void app_handle(void *ctx, struct http_exchange *x);
bool app_wants_stream(void *ctx, const struct http_request *r);
void app_answered(void *ctx, unsigned loop, const struct http_request *r, int status,
                  uint64_t took_us);

#endif
