/*
 * Small subcommands: status, check, config.
 */
#include "app/commands.h"

#include <stdio.h>

#include "base/json.h"
#include "index/writer.h"

#include "app/ask.h"
#include "app/options.h"

static void
print_member(const struct json_member *m, int indent)
{
    struct buf text = {0};
    json_put(&text, &m->value, false);
    printf("%*s%-22.*s %.*s\n", indent, "", SPAN_ARG(m->name), SPAN_ARG(buf_span(&text)));
    buf_fini(&text);
}

static void
print_collections(const struct json *list)
{
    if (!list || list->type != JSON_ARRAY || list->n == 0) {
        puts("no collections");
        return;
    }
    printf("%-30s %12s %9s %14s  %s\n", "collection", "documents", "segments", "bytes", "state");
    for (uint32_t i = 0; i < list->n; i++) {
        const struct json *c = &list->items[i], *complete = json_get(c, "is_complete");
        double documents = 0, segments = 0, bytes = 0;
        (void)json_number(json_get(c, "documents"), &documents); /* absent: 0 is shown */
        (void)json_number(json_get(c, "segments"), &segments);
        (void)json_number(json_get(c, "bytes"), &bytes);
        struct span name = json_get_str(c, "name", SPAN_LIT("?"));
        printf("%-30.*s %12.0f %9.0f %14.0f  %s\n", SPAN_ARG(name), documents, segments, bytes,
               complete && complete->type == JSON_BOOL && complete->boolean ? "complete"
                                                                            : "building");
    }
}

int
app_status(const struct app_call *call)
{
    struct arena arena = {0};
    struct json answer;
    bool ok = app_ask(call->conf, "GET", "/admin/status", &arena, &answer);
    for (uint32_t i = 0; ok && i < answer.n; i++) {
        const struct json_member *m = &answer.members[i];
        if (span_eq_str(m->name, "collections")) {
            print_collections(&m->value);
        } else if (m->value.type == JSON_OBJECT) {
            printf("%.*s\n", SPAN_ARG(m->name));
            for (uint32_t k = 0; k < m->value.n; k++)
                print_member(&m->value.members[k], 2);
        } else {
            print_member(m, 0);
        }
    }
    arena_fini(&arena);
    return ok ? 0 : 1;
}

static void
report_finding(void *arg, const char *finding)
{
    unsigned long *n = arg;
    ++*n;
    printf("%s\n", finding);
}

int
app_check(const struct app_call *call)
{
    struct err err = {0};
    struct fs *fs = NULL;
    unsigned long n_findings = 0;
    enum rc rc = fs_open_host(call->words[0], &fs, &err);
    if (rc == RC_OK)
        rc = idx_check(fs, report_finding, &n_findings, &err);
    fs_close(fs);
    if (rc != RC_OK)
        fprintf(stderr, "error: %s\n", err.text);
    else
        printf("%s: every invariant holds\n", call->words[0]);
    return rc == RC_OK && n_findings == 0 ? 0 : 1;
}

int
app_config(const struct app_call *call)
{
    struct buf text = {0};
    conf_write(call->conf, &text);
    fwrite(text.p, 1, text.n, stdout);
    buf_fini(&text);
    return 0;
}
