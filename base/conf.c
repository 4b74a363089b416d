#include "base/conf.h"

#include <ctype.h>

#include <ini.h>

#include "base/conf_parts.h"
#include "base/fs.h"

enum { FILE_BYTES_MAX = 1 << 20, LINE_BYTES_MAX = 1 << 14 };

static const char *const bool_words[][2] = {
    {"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};

static bool
read_bool(const char *text, uint64_t *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(bool_words); i++)
        for (uint64_t v = 0; v < 2; v++)
            if (strcmp(text, bool_words[i][v]) == 0) {
                *out = v;
                return true;
            }
    return false;
}

static bool
is_choice(const char *choices, const char *text)
{
    struct span rest = span_str(choices);
    while (rest.p)
        if (span_eq_str(span_split(&rest, '|'), text))
            return true;
    return false;
}

/* Checks text against the row; *number is set for numbers and bools. */
static bool
accepts(const struct conf_row *row, const char *text, uint64_t *number)
{
    switch (row->type) {
    case CONF_STRING:
        return true;
    case CONF_U64:
        return span_u64(span_str(text), number) && *number >= row->min && *number <= row->max;
    case CONF_BOOL:
        return read_bool(text, number);
    case CONF_ENUM:
        return is_choice(row->choices, text);
    }
    return false;
}

static enum rc
refuse(const struct conf_row *row, const char *text, struct err *err)
{
    struct buf range = {0};
    conf_write_range(row, &range);
    enum rc rc = err_set(err, RC_INVALID, "%s is %s%s%s, but takes %.*s: %s", row->name,
                         row->is_secret ? "" : "\"", row->is_secret ? "not valid" : text,
                         row->is_secret ? "" : "\"", SPAN_ARG(buf_span(&range)), row->help);
    buf_fini(&range);
    return rc;
}

static enum rc
set(struct conf *c, size_t row, enum conf_source source, const char *text, struct err *err)
{
    struct conf_value *v = &c->values[row];
    uint64_t number = 0;
    if (!accepts(&c->rows[row], text, &number))
        return refuse(&c->rows[row], text, err);
    if (source < v->source)
        return RC_OK;
    free(v->text);
    *v = (struct conf_value){source, xstrdup(text), number};
    return RC_OK;
}

struct conf *
conf_new(const struct conf_row *rows, size_t n_rows)
{
    struct conf *c = xcalloc(1, sizeof *c);
    c->rows = rows;
    c->n_rows = n_rows;
    c->values = xcalloc(n_rows, sizeof *c->values);
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].fallback)
            must(set(c, i, CONF_FALLBACK, rows[i].fallback, NULL) == RC_OK);
    return c;
}

void
conf_free(struct conf *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_rows; i++)
        free(c->values[i].text);
    free(c->values);
    free(c);
}

/* The row of a name; n_rows if there is none. */
static size_t
find_row(const struct conf *c, struct span name)
{
    size_t i = 0;
    while (i < c->n_rows && !span_eq_str(name, c->rows[i].name))
        i++;
    return i;
}

/* ---- the file ---- */

struct file_reader {
    struct conf *c;
    struct err *err;
    enum rc rc;
};

/* For libinih: 0 is an error. The first error is kept. */
static int
on_pair(void *user, const char *section, const char *name, const char *value)
{
    struct file_reader *r = user;
    (void)section;
    if (r->rc != RC_OK)
        return 0;
    size_t row = find_row(r->c, span_str(name));
    if (row == r->c->n_rows)
        r->rc = err_set(r->err, RC_INVALID, "there is no option \"%s\"", name);
    else
        r->rc = set(r->c, row, CONF_FILE, value ? value : "", r->err);
    return r->rc == RC_OK;
}

/* libinih cuts longer lines in two without a word. */
static bool
has_long_line(struct span text)
{
    while (text.p)
        if (span_split(&text, '\n').n > LINE_BYTES_MAX)
            return true;
    return false;
}

static enum rc
read_text(struct conf *c, const char *path, struct buf *text, struct err *err)
{
    struct file_reader r = {c, err, RC_OK};
    if (has_long_line(buf_span(text)) || memchr(text->p, '\0', text->n))
        return err_set(err, RC_INVALID, "%s has a line above %d bytes or a NUL byte", path,
                       LINE_BYTES_MAX);
    buf_putc(text, '\0');
    /* The library's settings are process-wide; options are read at start,
     * before there are threads. A value may be long, and may hold a ';'. */
    ini_use_stack = false;
    ini_allow_realloc = true;
    ini_max_line = LINE_BYTES_MAX + 16;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    int line = ini_parse_string(text->p, on_pair, &r);
    if (r.rc != RC_OK)
        return err_wrap(err, r.rc, "%s, line %d", path, line);
    if (line != 0)
        return err_set(err, RC_INVALID, "%s, line %d: not of the form name = value", path, line);
    return RC_OK;
}

enum rc
conf_read_file(struct conf *c, const char *path, struct err *err)
{
    struct buf text = {0};
    enum rc rc = fs_read_path(path, FILE_BYTES_MAX, &text, err);
    if (rc == RC_LIMIT)
        rc = err_set(err, RC_INVALID, "%s is larger than %d bytes", path, FILE_BYTES_MAX);
    if (rc == RC_OK)
        rc = read_text(c, path, &text, err);
    buf_fini(&text);
    return rc;
}

/* ---- the environment ---- */

/* Does "REFRESH_MS" name the row "refresh-ms"? */
static bool
is_env_name(const char *row_name, struct span name)
{
    if (strlen(row_name) != name.n)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)row_name[i];
        char wanted = c == '.' || c == '-' ? '_' : (char)toupper(c);
        if (name.p[i] != wanted)
            return false;
    }
    return true;
}

/*
 * Kubernetes puts PREFIX_SERVICE_HOST, PREFIX_PORT=tcp://... and the like into
 * every pod beside a service of that name: they are not ours.
 */
static bool
is_service_link(struct span name, const char *value)
{
    if (span_starts(name, SPAN_LIT("SERVICE_")))
        return true;
    if (span_eq(name, SPAN_LIT("PORT")))
        return strstr(value, "://") != NULL;
    return span_starts(name, SPAN_LIT("PORT_")) && name.n > 5 && isdigit((unsigned char)name.p[5]);
}

enum rc
conf_read_env(struct conf *c, const char *prefix, char *const *environ_list, struct err *err)
{
    size_t prefix_n = strlen(prefix);
    for (size_t k = 0; environ_list[k]; k++) {
        struct span rest = span_str(environ_list[k]);
        struct span name = span_split(&rest, '=');
        if (!rest.p || name.n <= prefix_n || name.p[prefix_n] != '_' ||
            !span_starts(name, span_str(prefix)))
            continue;
        name = span_from(name, prefix_n + 1);
        size_t row = 0;
        while (row < c->n_rows && !is_env_name(c->rows[row].name, name))
            row++;
        if (row < c->n_rows) {
            enum rc rc = set(c, row, CONF_ENV, rest.p, err);
            if (rc != RC_OK)
                return err_wrap(err, rc, "environment variable %s_%.*s", prefix, SPAN_ARG(name));
        } else if (!is_service_link(name, rest.p)) {
            return err_set(err, RC_INVALID, "environment variable %s_%.*s names no option", prefix,
                           SPAN_ARG(name));
        }
    }
    return RC_OK;
}

/* ---- flags ---- */

/* Reads the flag at argv[0]; *n_read becomes the number of words used. */
static enum rc
read_flag(struct conf *c, int argc, char *const *argv, int *n_read, struct err *err)
{
    struct span rest = span_str(argv[0] + 2);
    struct span name = span_split(&rest, '=');
    size_t row = find_row(c, name);
    if (row == c->n_rows)
        return err_set(err, RC_INVALID, "there is no option --%.*s", SPAN_ARG(name));
    const char *value = rest.p;
    *n_read = 1;
    if (!value && c->rows[row].type == CONF_BOOL) {
        value = "true";
    } else if (!value) {
        if (argc < 2)
            return err_set(err, RC_INVALID, "--%s needs a value: %s", c->rows[row].name,
                           c->rows[row].help);
        value = argv[1];
        *n_read = 2;
    }
    return set(c, row, CONF_FLAG, value, err);
}

enum rc
conf_read_args(struct conf *c, int argc, char *const *argv, int *n_read, struct err *err)
{
    int at = 0;
    while (at < argc && strncmp(argv[at], "--", 2) == 0) {
        if (argv[at][2] == '\0') {
            at++;
            break;
        }
        int n = 0;
        enum rc rc = read_flag(c, argc - at, argv + at, &n, err);
        if (rc != RC_OK)
            return rc;
        at += n;
    }
    *n_read = at;
    return RC_OK;
}

/* ---- reading values ---- */

const char *
conf_str(const struct conf *c, size_t row)
{
    must(row < c->n_rows);
    return c->values[row].text;
}

uint64_t
conf_u64(const struct conf *c, size_t row)
{
    must(row < c->n_rows && c->rows[row].type == CONF_U64);
    return c->values[row].number;
}

bool
conf_bool(const struct conf *c, size_t row)
{
    must(row < c->n_rows && c->rows[row].type == CONF_BOOL);
    return c->values[row].number != 0;
}

bool
conf_is_set(const struct conf *c, size_t row)
{
    must(row < c->n_rows);
    return c->values[row].source != CONF_FALLBACK;
}
