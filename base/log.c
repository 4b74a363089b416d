#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/clock.h"

struct log {
    FILE *stream;
    enum log_level least;
    pthread_mutex_t mutex;
    struct buf line; /* under the mutex */
};

static const char *const level_names[LOG_LEVEL_N] = {"DEBUG", "INFO", "WARN", "ERROR"};

struct log *
log_new(FILE *stream, enum log_level least)
{
    struct log *log = xcalloc(1, sizeof *log);
    log->stream = stream;
    log->least = least;
    must(pthread_mutex_init(&log->mutex, NULL) == 0);
    return log;
}

void
log_free(struct log *log)
{
    if (!log)
        return;
    pthread_mutex_destroy(&log->mutex);
    buf_fini(&log->line);
    free(log);
}

/* 2024-05-01T12:00:00.123456Z */
static void
put_time(struct buf *out)
{
    uint64_t us = clock_wall_us();
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    char text[32];
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    buf_put(out, text, n);
    buf_printf(out, ".%06uZ", (unsigned)(us % 1000000));
}

void
log_line(struct log *log, enum log_level level, const char *room, const char *event,
         const char *format, ...)
{
    if (!log || level < log->least)
        return;
    must(pthread_mutex_lock(&log->mutex) == 0);
    struct buf *line = &log->line;
    buf_clear(line);
    put_time(line);
    buf_printf(line, " %s %s %s", level_names[level], room, event);
    size_t rest = line->n;
    buf_putc(line, ' ');
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n > 0) {
        buf_reserve(line, (size_t)n + 1);
        vsnprintf(line->p + line->n, (size_t)n + 1, format, again);
        line->n += (size_t)n;
    } else {
        line->n = rest;
    }
    va_end(again);
    va_end(args);
    /* One event stays one line, whatever a value holds. */
    for (size_t i = rest; i < line->n; i++)
        if ((unsigned char)line->p[i] < 0x20)
            line->p[i] = ' ';
    buf_putc(line, '\n');
    fwrite(line->p, 1, line->n, log->stream);
    fflush(log->stream);
    must(pthread_mutex_unlock(&log->mutex) == 0);
}

bool
log_level_parse(struct span name, enum log_level *out)
{
    for (unsigned i = 0; i < LOG_LEVEL_N; i++) {
        const char *wanted = level_names[i];
        bool is_same = strlen(wanted) == name.n;
        for (size_t k = 0; is_same && k < name.n; k++)
            is_same = (name.p[k] & ~0x20) == wanted[k];
        if (is_same) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *
log_quote(struct span text, char out[LOG_QUOTE_MAX])
{
    size_t n = 0;
    size_t i = 0;
    out[n++] = '"';
    /* Room for an escape of four, the dots, the quote and the NUL. */
    for (; i < text.n && n + 9 <= LOG_QUOTE_MAX; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') {
            out[n++] = '\\';
            out[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            n += (size_t)snprintf(out + n, LOG_QUOTE_MAX - n, "\\x%02x", c);
        } else {
            out[n++] = (char)c;
        }
    }
    out[n++] = '"';
    if (i < text.n) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = '\0';
    return out;
}
