#include "base/err.h"

#include <stdarg.h>

/* Puts ": reason" behind the first n bytes of the text, cut to fit. */
static void
append(struct err *err, size_t n, const char *reason)
{
    size_t room = sizeof err->text - 1;
    if (n + 2 >= room)
        return;
    err->text[n] = ':';
    err->text[n + 1] = ' ';
    size_t reason_n = strnlen(reason, room - n - 2);
    memcpy(err->text + n + 2, reason, reason_n);
    err->text[n + 2 + reason_n] = '\0';
}

enum rc
err_set(struct err *err, enum rc rc, const char *format, ...)
{
    if (!err)
        return rc;
    va_list args;
    va_start(args, format);
    err->rc = rc;
    err->sys = 0;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return rc;
}

enum rc
err_sys(struct err *err, enum rc rc, int sys, const char *format, ...)
{
    if (!err)
        return rc;
    va_list args;
    va_start(args, format);
    err->rc = rc;
    err->sys = sys;
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0) {
        char reason[128];
        append(err, (size_t)n, strerror_r(sys, reason, sizeof reason));
    }
    return rc;
}

enum rc
err_wrap(struct err *err, enum rc rc, const char *format, ...)
{
    if (!err)
        return rc;
    char inner[ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0)
        append(err, (size_t)n, inner);
    if (err->rc == RC_OK)
        err->rc = rc;
    return err->rc;
}
