/*
 * One event, one line on a stream: `time level room event key=value ...`.
 * Only indexer, query and app log above DEBUG (STYLE.md, 3.4). Any thread; a
 * line is written whole. Untrusted text goes in as %s and is quoted by
 * log_quote.
 */
#ifndef TAILFIN_BASE_LOG_H
#define TAILFIN_BASE_LOG_H

#include <stdio.h>

#include "base/must.h"
#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_N };

struct log;

/* stream is borrowed and outlives the log. */
MUST_USE struct log *log_new(FILE *stream, enum log_level least);
void log_free(struct log *log);
/* log may be NULL: nothing is written. rest is `key=value ...`, may be "". */
PRINTF_LIKE(5, 6)
void log_line(struct log *log, enum log_level level, const char *room, const char *event,
              const char *format, ...);
bool log_level_parse(struct span name, enum log_level *out);

enum { LOG_QUOTE_MAX = 256 };
/* text as "..." with escapes, cut to fit; returns out. */
const char *log_quote(struct span text, char out[LOG_QUOTE_MAX]);

#endif
