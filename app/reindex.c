/*
 * `tailfin reindex [COLLECTION...] [--wait]`: orders a rebuild, and with
 * --wait draws its progress until it is done.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "http/http.h"

#include "app/ask.h"
#include "app/commands.h"
#include "app/options.h"

enum { POLL_US = 300000, BAR_N = 30 };

static double
number(const struct json *v, const char *name)
{
    double n = 0;
    (void)json_number(json_get(v, name), &n); /* absent or null: 0 is shown */
    return n;
}

static void
print_progress(const struct json *c)
{
    double done = number(c, "documents"), all = number(c, "estimated");
    double share = all > 0 ? done / all : 0;
    int n = (int)((share > 1 ? 1 : share) * BAR_N);
    char bar[BAR_N + 1];
    for (int i = 0; i < BAR_N; i++)
        bar[i] = i < n ? '#' : '.';
    bar[BAR_N] = '\0';
    struct span name = json_get_str(c, "name", SPAN_LIT("?"));
    struct span state = json_get_str(c, "state", SPAN_LIT("?"));
    printf("%-28.*s [%s] %9.0f of %9.0f  %7.0f/s  %4.0f s left  %.*s\n", SPAN_ARG(name), bar, done,
           all, number(c, "per_s"), number(c, "eta_s"), SPAN_ARG(state));
}

/* Draws over the lines of the last picture where a person looks on. */
static void
print_all(const struct json *answer, uint32_t *n_lines)
{
    const struct json *list = json_get(answer, "collections");
    if (*n_lines && isatty(STDOUT_FILENO))
        printf("\033[%uA", *n_lines);
    *n_lines = 0;
    for (uint32_t i = 0; list && list->type == JSON_ARRAY && i < list->n; i++) {
        print_progress(&list->items[i]);
        ++*n_lines;
    }
    fflush(stdout);
}

static bool
is_running(const struct json *answer)
{
    const struct json *running = json_get(answer, "running");
    return running && running->type == JSON_BOOL && running->boolean;
}

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

static bool
wait_for_end(const struct app_call *call, struct arena *arena)
{
    uint32_t n_lines = 0;
    for (;;) {
        struct json answer;
        if (!app_ask(call->conf, "GET", "/admin/reindex", arena, &answer))
            return false;
        if (isatty(STDOUT_FILENO) || !is_running(&answer))
            print_all(&answer, &n_lines);
        if (!is_running(&answer))
            return is_done(&answer);
        arena_reset(arena);
        clock_sleep_us(POLL_US);
    }
}

int
app_reindex(const struct app_call *call)
{
    struct arena arena = {0};
    struct buf path = {0};
    struct json answer;
    buf_puts(&path, "/admin/reindex");
    for (int i = 0; i < call->n_words; i++) {
        buf_puts(&path, i ? "," : "?collections=");
        http_encode(&path, span_str(call->words[i]));
    }
    buf_putc(&path, '\0');
    bool ok = app_ask(call->conf, "POST", path.p, &arena, &answer);
    if (ok && conf_bool(call->conf, OPT_WAIT))
        ok = wait_for_end(call, &arena);
    else if (ok)
        puts("the rebuild has begun; `tailfin reindex --wait` or GET /admin/reindex shows its "
             "progress");
    buf_fini(&path);
    arena_fini(&arena);
    return ok ? 0 : 1;
}
