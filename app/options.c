/*
 * The table of options, and the order in which their sources are read.
 */
#include "app/options.h"

#include <string.h>

#define OPTION(id, name, type, fallback, min, max, choices, unit, secret, help)                    \
    [OPT_##id] = {name, CONF_##type, fallback, min, max, choices, unit, secret, help},
static const struct conf_row ROWS[APP_OPTION_N] = {
#include "app/options.def"
};
#undef OPTION

struct conf *
app_options_empty(void)
{
    return conf_new(ROWS, APP_OPTION_N);
}

/*
 * Variables of the scripts and tests that share our prefix and are no options:
 * whoever exports them should still be able to start the program.
 */
static const char *const NOT_OPTIONS[] = {
    "TAILFIN_CACHE=",    "TAILFIN_HOME=",      "TAILFIN_PORT=",
    "TAILFIN_SEED=",     "TAILFIN_OWNER_PID=", "TAILFIN_KILLS=",
    "TAILFIN_REQUESTS=", "TAILFIN_USERS=",     "TAILFIN_MONGOD_",
};

static bool
is_option(const char *variable)
{
    for (size_t i = 0; i < ARRAY_SIZE(NOT_OPTIONS); i++) {
        if (strncmp(variable, NOT_OPTIONS[i], strlen(NOT_OPTIONS[i])) == 0)
            return false;
    }
    return true;
}

/* The caller frees the list, not the strings. */
static char **
without_others(char *const *environ_list)
{
    size_t n = 0;
    while (environ_list[n])
        n++;
    char **list = xcalloc(n + 1, sizeof *list);
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (is_option(environ_list[i]))
            list[n_kept++] = environ_list[i];
    }
    return list;
}

/* Flags may stand between words: `tailfin search emotes kappa --per-page 3`. */
static enum rc
read_flags(int argc, char *const *argv, struct app_line *line, struct err *err)
{
    line->n_words = 0;
    for (int at = 0; at < argc;) {
        int n_read = 0;
        enum rc rc = conf_read_args(line->conf, argc - at, argv + at, &n_read, err);
        if (rc != RC_OK)
            return rc;
        at += n_read;
        if (at < argc)
            line->words[line->n_words++] = argv[at++];
    }
    return RC_OK;
}

static struct app_line
empty_line(int argc)
{
    return (struct app_line){.conf = app_options_empty(),
                             .words = xcalloc((size_t)argc + 1, sizeof(char *))};
}

enum rc
app_options_read(int argc, char *const *argv, char *const *environ_list, struct app_line *out,
                 struct err *err)
{
    /* The file's name comes from the stronger sources, so these are read twice. */
    struct app_line probe = empty_line(argc), line = empty_line(argc);
    char **variables = without_others(environ_list);
    enum rc rc = conf_read_env(probe.conf, "TAILFIN", variables, err);
    if (rc == RC_OK)
        rc = read_flags(argc, argv, &probe, err);
    if (rc == RC_OK && conf_str(probe.conf, OPT_CONFIG))
        rc = conf_read_file(line.conf, conf_str(probe.conf, OPT_CONFIG), err);
    if (rc == RC_OK)
        rc = conf_read_env(line.conf, "TAILFIN", variables, err);
    if (rc == RC_OK)
        rc = read_flags(argc, argv, &line, err);
    app_line_fini(&probe);
    free(variables);
    if (rc != RC_OK)
        app_line_fini(&line);
    else
        *out = line;
    return rc;
}

void
app_line_fini(struct app_line *line)
{
    conf_free(line->conf);
    free(line->words);
    *line = (struct app_line){0};
}
