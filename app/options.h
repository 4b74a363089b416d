/*
 * The program's options: the rows of options.def, read from file, environment
 * and flags.
 */
#ifndef TAILFIN_APP_OPTIONS_H
#define TAILFIN_APP_OPTIONS_H

#include "base/conf.h"

#define OPTION(id, name, type, fallback, min, max, choices, unit, secret, help) OPT_##id,
enum app_option {
#include "app/options.def"
    APP_OPTION_N
};
#undef OPTION

struct app_line { /* a command line, as understood */
    struct conf *conf;
    const char **words; /* those that are no flags; borrowed from argv, the list is owned */
    int n_words;
};

/*
 * Reads the file (of --config or TAILFIN_CONFIG), the environment and the
 * flags of argv, in rising order of precedence. RC_INVALID with a sentence
 * that ends in the row's help. app_line_fini frees what *out holds.
 */
MUST_USE enum rc app_options_read(int argc, char *const *argv, char *const *environ_list,
                                  struct app_line *out, struct err *err);
void app_line_fini(struct app_line *line);

/* The rows with nothing read, for --help. The caller frees. */
MUST_USE struct conf *app_options_empty(void);

#endif
