#include "app/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "http/http.h"

#include "app/ask.h"
#include "app/options.h"

enum { BAR_N = 30 };

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

bool
app_progress_print(const struct json *answer, uint32_t *n_lines)
{
    const struct json *running = json_get(answer, "running");
    bool is_running = running && running->type == JSON_BOOL && running->boolean;
    if (isatty(STDOUT_FILENO) || !is_running)
        print_all(answer, n_lines);
    return is_running;
}

int
app_progress_order(const struct app_call *call, const struct app_work *work)
{
    struct arena arena = {0};
    struct buf path = {0};
    struct json answer;
    buf_puts(&path, work->path);
    for (int i = 0; i < call->n_words; i++) {
        buf_puts(&path, i ? "," : "?collections=");
        http_encode(&path, span_str(call->words[i]));
    }
    if (conf_bool(call->conf, work->option))
        buf_printf(&path, "%c%s=true", call->n_words ? '&' : '?', work->flag);
    buf_putc(&path, '\0');
    bool ok = app_ask(call->conf, "POST", path.p, &arena, &answer);
    if (ok && conf_bool(call->conf, OPT_WAIT))
        ok = work->wait(call, &arena);
    else if (ok)
        puts(work->begun);
    buf_fini(&path);
    arena_fini(&arena);
    return ok ? 0 : 1;
}
