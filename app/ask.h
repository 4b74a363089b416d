/* One request to a running server, for the subcommands. Prints errors to stderr itself. */
#ifndef TAILFIN_APP_ASK_H
#define TAILFIN_APP_ASK_H

#include "base/conf.h"
#include "base/json.h"

/*
 * Sends method and path (with its query string) to --url with --api-key (or
 * --search-api-key). Returns true for a 2xx answer with JSON, parsed into the
 * arena. False: the reason was printed.
 */
bool app_ask(const struct conf *conf, const char *method, const char *path, struct arena *arena,
             struct json *out);

#endif
