/*
 * `tailfin reindex [COLLECTION...] [--wait] [--force]`: orders a rebuild, and with
 * --wait draws its progress until it is done.
 */
#include <stdio.h>

#include "base/clock.h"

#include "app/ask.h"
#include "app/options.h"
#include "app/progress.h"

enum { FAILURES_MAX = 20, FAILURE_US = 2000000 };

/* Every collection of the finished rebuild reached its end. */
static bool
is_done(const struct json *answer)
{
    const struct json *list = json_get(answer, "collections");
    for (uint32_t i = 0; list && list->type == JSON_ARRAY && i < list->n; i++) {
        struct span state = json_get_str(&list->items[i], "state", SPAN_LIT(""));
        if (!span_eq_str(state, "done")) {
            struct span name = json_get_str(&list->items[i], "name", SPAN_LIT("?"));
            struct span text = json_get_str(&list->items[i], "error", state);
            fprintf(stderr, "error: %.*s was not rebuilt: %.*s\n", SPAN_ARG(name), SPAN_ARG(text));
            return false;
        }
    }
    return true;
}

/* A server that is started again goes on with the rebuild: it is waited for a while. */
static bool
wait_for_end(const struct app_call *call, struct arena *arena)
{
    uint32_t n_lines = 0;
    for (unsigned n_failures = 0; n_failures < FAILURES_MAX;) {
        struct json answer;
        if (!app_ask(call->conf, "GET", "/admin/reindex", arena, &answer)) {
            n_failures++;
            clock_sleep_us(FAILURE_US);
            continue;
        }
        n_failures = 0;
        if (!app_progress_print(&answer, &n_lines))
            return is_done(&answer);
        arena_reset(arena);
        clock_sleep_us(APP_PROGRESS_US);
    }
    return false;
}

int
app_reindex(const struct app_call *call)
{
    static const struct app_work work = {
        .path = "/admin/reindex",
        .flag = "force",
        .option = OPT_FORCE,
        .begun = "the rebuild has begun; `tailfin reindex --wait` or GET /admin/reindex shows its "
                 "progress",
        .wait = wait_for_end,
    };
    return app_progress_order(call, &work);
}
