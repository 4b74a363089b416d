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

/*
 * Reads the file (of --config or TAILFIN_CONFIG), the environment and the
 * flags of argv, in rising order of precedence. Words that are no flags are
 * put into words (room for argc), *n_words of them, borrowed from argv.
 * RC_INVALID with a sentence that ends in the row's help.
 */
MUST_USE enum rc app_options_read(int argc, char *const *argv, char *const *environ_list,
                                  struct conf **out, const char **words, int *n_words,
                                  struct err *err);

/* The rows with nothing read, for --help. The caller frees. */
MUST_USE struct conf *app_options_empty(void);

#endif
