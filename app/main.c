/*
 * The program: which subcommand, with which options.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "app/commands.h"
#include "app/options.h"
#include "app/server.h"

extern char **environ;

static int
serve(const struct app_call *call)
{
    return app_serve(call->conf);
}

struct command {
    const char *name;
    int (*run)(const struct app_call *call);
    int min_words, max_words;
    const char *usage, *help;
};

static const struct command COMMANDS[] = {
    {"serve", serve, 0, 0, "serve [options]", "index and answer searches until SIGTERM or Ctrl-C"},
    {"status", app_status, 0, 0, "status", "what a running server says of itself"},
    {"search", app_search, 2, 2, "search COLLECTION QUERY", "ask a running server"},
    {"compare", app_compare, 0, 0, "compare --queries FILE",
     "ask a Tailfin and a Typesense the same, and report how far they agree"},
    {"reindex", app_reindex, 0, 64, "reindex [COLLECTION...] [--wait] [--force]",
     "rebuild collections from MongoDB aside, then switch"},
    {"verify", app_verify, 0, 64, "verify [COLLECTION...] [--repair] [--wait]",
     "compare collections with MongoDB; repair what differs"},
    {"check", app_check, 1, 1, "check DIR",
     "every invariant of an index directory no one serves from"},
    {"restore", app_restore, 1, 1, "restore SNAPSHOT",
     "copy a snapshot's directory into an empty --data-dir"},
    {"config", app_config, 0, 0, "config", "every option, its value and where it comes from"},
};

static void
print_usage(FILE *to)
{
    fputs("tailfin: a search sidecar for MongoDB\n\nusage:\n", to);
    for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++)
        fprintf(to, "  tailfin %-34s %s\n", COMMANDS[i].usage, COMMANDS[i].help);
    fputs("\noptions (a flag, a line `name = value` of the file, or TAILFIN_NAME in the "
          "environment):\n",
          to);
    struct conf *conf = app_options_empty();
    struct buf text = {0};
    conf_write_help(conf, &text);
    fwrite(text.p, 1, text.n, to);
    buf_fini(&text);
    conf_free(conf);
}

static const struct command *
find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++) {
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    }
    return NULL;
}

static bool
wants_help(int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return argc > 1 && strcmp(argv[1], "help") == 0;
}

static int
run(const struct command *command, int argc, char *const *argv)
{
    struct err err = {0};
    struct app_line line = {0};
    if (app_options_read(argc, argv, environ, &line, &err) != RC_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        return 2;
    }
    int status = 2;
    if (line.n_words < command->min_words || line.n_words > command->max_words) {
        fprintf(stderr, "usage: tailfin %s\n", command->usage);
    } else {
        const struct app_call call = {line.conf, line.words, line.n_words};
        status = command->run(&call);
    }
    app_line_fini(&line);
    return status;
}

/*
 * The MongoDB driver counts in a file of /dev/shm, which a killed process
 * leaves there for ever. It is made before main (by the library's constructor,
 * too early for MONGOC_DISABLE_SHM), and nobody looks at it: it loses its name
 * while it is in use.
 */
static void
forget_driver_counters(void)
{
    char name[40];
    snprintf(name, sizeof name, "/mongoc-%d", (int)getpid());
    (void)shm_unlink(name); /* else there is none */
}

int
main(int argc, char **argv)
{
    forget_driver_counters();
    if (wants_help(argc, argv)) {
        print_usage(stdout);
        return 0;
    }
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    const struct command *command = find_command(argv[1]);
    if (!command) {
        fprintf(stderr, "error: there is no subcommand %s (see tailfin --help)\n", argv[1]);
        return 2;
    }
    return run(command, argc - 2, argv + 2);
}
