/*
 * `tailfin verify [COLLECTION...] [--repair] [--wait]`: orders a comparison with
 * MongoDB; with --wait draws its progress, then says what differed. Exit
 * status 1 if something differs that was not repaired.
 */
#include <stdio.h>

#include "base/clock.h"

#include "app/ask.h"
#include "app/options.h"
#include "app/progress.h"

enum { FINDINGS_SHOWN = 20 };

static double
number(const struct json *v, const char *name)
{
    double n = 0;
    (void)json_number(json_get(v, name), &n); /* absent: 0 is shown */
    return n;
}

static void
print_findings(const struct json *answer)
{
    const struct json *list = json_get(answer, "findings");
    uint32_t n = list && list->type == JSON_ARRAY ? list->n : 0;
    for (uint32_t i = 0; i < n && i < FINDINGS_SHOWN; i++) {
        const struct json *f = &list->items[i], *repaired = json_get(f, "repaired");
        struct span collection = json_get_str(f, "collection", SPAN_LIT("?"));
        struct span id = json_get_str(f, "id", SPAN_LIT("?"));
        struct span found = json_get_str(f, "found", SPAN_LIT("?"));
        printf("%-8.*s %.*s/%.*s%s\n", SPAN_ARG(found), SPAN_ARG(collection), SPAN_ARG(id),
               repaired && repaired->type == JSON_BOOL && repaired->boolean ? "  repaired" : "");
    }
    if (n > FINDINGS_SHOWN)
        printf("... GET /admin/verify lists more\n");
}

/* True if MongoDB and the index are the same now, as far as was looked. */
static bool
print_result(const struct json *answer)
{
    double missing = number(answer, "missing"), stale = number(answer, "stale");
    double ghosts = number(answer, "ghosts"), repaired = number(answer, "repaired");
    struct span state = json_get_str(answer, "state", SPAN_LIT("?"));
    print_findings(answer);
    printf("%.0f documents compared: %.0f missing, %.0f stale, %.0f ghosts; %.0f repaired\n",
           number(answer, "documents"), missing, stale, ghosts, repaired);
    if (!span_eq_str(state, "done")) {
        fprintf(stderr, "error: the verification did not come to its end: %.*s\n", SPAN_ARG(state));
        return false;
    }
    return repaired >= missing + stale + ghosts;
}

static bool
wait_for_end(const struct app_call *call, struct arena *arena)
{
    uint32_t n_lines = 0;
    for (;;) {
        struct json answer;
        if (!app_ask(call->conf, "GET", "/admin/verify", arena, &answer))
            return false;
        if (!app_progress_print(&answer, &n_lines))
            return print_result(&answer);
        arena_reset(arena);
        clock_sleep_us(APP_PROGRESS_US);
    }
}

int
app_verify(const struct app_call *call)
{
    static const struct app_work work = {
        .path = "/admin/verify",
        .flag = "repair",
        .option = OPT_REPAIR,
        .begun = "the comparison has begun; GET /admin/verify shows its progress and what it found",
        .wait = wait_for_end,
    };
    return app_progress_order(call, &work);
}
