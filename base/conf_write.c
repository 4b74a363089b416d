#include "base/conf.h"

#include <inttypes.h>

#include "base/conf_parts.h"

static const char *const source_names[CONF_SOURCE_N] = {"default", "file", "environment", "flag"};

void
conf_write_range(const struct conf_row *row, struct buf *out)
{
    const char *unit = row->unit ? row->unit : "";
    switch (row->type) {
    case CONF_STRING:
        buf_puts(out, "a text");
        break;
    case CONF_BOOL:
        buf_puts(out, "true | false");
        break;
    case CONF_U64:
        if (row->max == UINT64_MAX)
            buf_printf(out, "%" PRIu64 " or more", row->min);
        else
            buf_printf(out, "%" PRIu64 "..%" PRIu64, row->min, row->max);
        break;
    case CONF_ENUM: {
        struct span rest = span_str(row->choices);
        for (bool is_first = true; rest.p; is_first = false) {
            if (!is_first)
                buf_puts(out, " | ");
            buf_put_span(out, span_split(&rest, '|'));
        }
        break;
    }
    }
    if (unit[0])
        buf_printf(out, " %s", unit);
}

/* What a row is now, a secret as stars. */
static const char *
shown(const struct conf *c, size_t row)
{
    const char *text = c->values[row].text;
    if (!text)
        return "";
    return c->rows[row].is_secret && text[0] ? "***" : text;
}

void
conf_write(const struct conf *c, struct buf *out)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct conf_row *row = &c->rows[i];
        buf_printf(out, "; %s\n; takes ", row->help);
        conf_write_range(row, out);
        if (row->fallback)
            buf_printf(out, "; default %s", row->fallback[0] ? row->fallback : "\"\"");
        buf_printf(out, "; from %s\n",
                   c->values[i].text ? source_names[c->values[i].source] : "nowhere: unset");
        buf_printf(out, "%s%s = %s\n\n", c->values[i].text ? "" : "; ", row->name, shown(c, i));
    }
}

void
conf_write_help(const struct conf *c, struct buf *out)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        const struct conf_row *row = &c->rows[i];
        buf_printf(out, "  --%s", row->name);
        if (row->type != CONF_BOOL) {
            buf_puts(out, " <");
            conf_write_range(row, out);
            buf_putc(out, '>');
        }
        buf_printf(out, "\n      %s", row->help);
        if (row->fallback && row->fallback[0])
            buf_printf(out, " (default %s)", row->fallback);
        buf_putc(out, '\n');
    }
}
