/*
 * Options: rows of a table that a program supplies (app/options.def). A value
 * comes from its default, an INI file, the environment (PREFIX_NAME with
 * dots and dashes as underscores) or a flag (--name), in rising order of
 * precedence. Unknown names and values out of range are errors that show the
 * row's help.
 */
#ifndef TAILFIN_BASE_CONF_H
#define TAILFIN_BASE_CONF_H

#include "base/buf.h"
#include "base/err.h"

enum conf_type { CONF_STRING, CONF_U64, CONF_BOOL, CONF_ENUM };

struct conf_row {
    const char *name;     /* "refresh-ms": the flag; in the file "refresh-ms = 20" */
    enum conf_type type;
    const char *fallback; /* default as text; NULL: none */
    uint64_t min, max;    /* CONF_U64, inclusive */
    const char *choices;  /* CONF_ENUM: "none|full" */
    const char *unit;     /* "ms", "bytes", ""; shown */
    bool is_secret;       /* value never shown */
    const char *help;     /* one sentence */
};

struct conf;

/* rows are borrowed for the life of the conf. */
MUST_USE struct conf *conf_new(const struct conf_row *rows, size_t n_rows);
void conf_free(struct conf *c);
/*
 * `name = value` lines; `;` and `#` begin comment lines; sections are allowed
 * and ignored. RC_INVALID, RC_ABSENT, RC_IO. At start only: libinih's settings
 * are process-wide.
 */
MUST_USE enum rc conf_read_file(struct conf *c, const char *path, struct err *err);
MUST_USE enum rc conf_read_env(struct conf *c, const char *prefix, char *const *environ_list,
                               struct err *err);
/*
 * Reads flags `--name value`, `--name=value`, and `--name` alone for bools.
 * Stops at the first word that is no flag; *n_read is the number of words
 * used. A flag `--config` is a row like others: the caller reads the file first
 * by calling with a scratch conf, or looks for it itself.
 */
MUST_USE enum rc conf_read_args(struct conf *c, int argc, char *const *argv, int *n_read,
                                struct err *err);
/* row = index in the table. Strings are borrowed until conf_free; NULL if unset. */
const char *conf_str(const struct conf *c, size_t row);
uint64_t conf_u64(const struct conf *c, size_t row);
bool conf_bool(const struct conf *c, size_t row);
bool conf_is_set(const struct conf *c, size_t row); /* by file, environment or flag */
/* Every row: name, value, default, unit, range, where it came from, help. */
void conf_write(const struct conf *c, struct buf *out);
/* The text of --help for the rows. */
void conf_write_help(const struct conf *c, struct buf *out);

#endif
