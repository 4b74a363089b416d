/* The progress of work on collections that a server does in the background. */
#ifndef TAILFIN_APP_PROGRESS_H
#define TAILFIN_APP_PROGRESS_H

#include "base/json.h"

#include "app/commands.h"

enum { APP_PROGRESS_US = 300000 }; /* between looks */

/* Appends "<path>?collections=a,b" for the call's words. */
void app_progress_path(const struct app_call *call, const char *path, struct buf *out);

/*
 * Draws a bar per entry of the answer's `collections`, over the lines of the
 * last picture where a person looks on, else only when the work has ended.
 * *n_lines: 0 at first, then kept. False if the work has ended (`running`).
 */
bool app_progress_print(const struct json *answer, uint32_t *n_lines);

#endif
