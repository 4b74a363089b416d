/* What conf.c and conf_write.c share. */
#ifndef TAILFIN_BASE_CONF_PARTS_H
#define TAILFIN_BASE_CONF_PARTS_H

#include "base/conf.h"

/* Where a value comes from; a later one wins. */
enum conf_source { CONF_FALLBACK, CONF_FILE, CONF_ENV, CONF_FLAG, CONF_SOURCE_N };

struct conf_value {
    enum conf_source source;
    char *text;      /* NULL: unset */
    uint64_t number; /* CONF_U64 and CONF_BOOL */
};

struct conf {
    const struct conf_row *rows;
    size_t n_rows;
    struct conf_value *values; /* one per row */
};

/* Appends what a row takes, such as "1..100 ms" or "none | full". */
void conf_write_range(const struct conf_row *row, struct buf *out);

#endif
