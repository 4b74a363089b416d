/* The progress of work on collections that a server does in the background. */
#ifndef TAILFIN_APP_PROGRESS_H
#define TAILFIN_APP_PROGRESS_H

#include "base/json.h"

#include "app/commands.h"

enum { APP_PROGRESS_US = 300000 }; /* between looks */

/* What a server does in the background once it is ordered to. */
struct app_work {
    const char *path;  /* POST orders it, GET shows its progress */
    const char *flag;  /* of the query string, sent as "<flag>=true" ... */
    unsigned option;   /* ... where this option of the command line is on */
    const char *begun; /* the sentence for who does not wait */
    /* Draws its progress until it has ended; true if it ended well. The arena is its to reset. */
    bool (*wait)(const struct app_call *call, struct arena *arena);
};

/*
 * Orders the work for the call's words, which are collections (none: all), and
 * with --wait waits for its end. Returns the exit status.
 */
int app_progress_order(const struct app_call *call, const struct app_work *work);

/*
 * Draws a bar per entry of the answer's `collections`, over the lines of the
 * last picture where a person looks on, else only when the work has ended.
 * *n_lines: 0 at first, then kept. False if the work has ended (`running`).
 */
bool app_progress_print(const struct json *answer, uint32_t *n_lines);

#endif
