/*
 * The subcommands that ask a running server, or look at a directory. Each
 * returns the program's exit status: 0 done, 1 failed, 2 wrong usage.
 */
#ifndef TAILFIN_APP_COMMANDS_H
#define TAILFIN_APP_COMMANDS_H

#include "base/conf.h"

struct app_call { /* what the command line said */
    const struct conf *conf;
    const char *const *words; /* behind the subcommand */
    int n_words;
};

int app_status(const struct app_call *call);
int app_search(const struct app_call *call);
int app_compare(const struct app_call *call);
int app_reindex(const struct app_call *call);
int app_verify(const struct app_call *call);
int app_check(const struct app_call *call);
int app_restore(const struct app_call *call);
int app_config(const struct app_call *call);

#endif
